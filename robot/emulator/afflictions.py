"""What befalls single motors on purpose, and when it is over."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from robot.emulator.faults import Fault
from robot.emulator.motor import HEAT_ERROR, LOAD_ERROR, EmulatedMotor
from robot.errors import RobotError

# A supply below this share of a motor's lowest voltage starts it again.
_BROWN_OUT_SHARE = 0.6


class Afflictions:
    """Lets faults of motors begin and end.

    Args:
        motors: Of the bus.
        physics: Of the machine: jams shafts if it can.
        dead: Numbers of motors that do not answer; kept here.
    """

    def __init__(self, motors: Sequence[EmulatedMotor], physics: object, dead: set[int]) -> None:
        self._motors = motors
        self._jam: Callable[..., None] | None = getattr(physics, "jam", None)
        self._dead = dead
        # Voltages of the brown-outs that are on, by motor, behind that of the supply.
        self._supplies: dict[int, list[float]] = {}
        self._ends: list[tuple[float, Callable[[], None]]] = []

    def require_possible(self, fault: Fault) -> None:
        """Raise RobotError if this machine cannot have a fault."""
        if fault.kind == "jam" and self._jam is None:
            raise RobotError("joints of this machine cannot be jammed: its physics cannot do that")

    def begin(self, fault: Fault, now_s: float) -> None:
        """Let a fault begin at the motors that it names."""
        end_s = now_s + fault.duration_s
        if fault.kind == "unplug" and fault.motors:
            named = set(fault.motors)
            self._dead |= named
            self._ends.append((end_s, lambda: self._dead.difference_update(named)))
        for motor in self._motors:
            if fault.hits(motor.id):
                self._befall(motor, fault, now_s, end_s)

    def end_due(self, now_s: float) -> None:
        """End what is over."""
        over = [end for at_s, end in self._ends if at_s <= now_s]
        if over:
            self._ends = [(at_s, end) for at_s, end in self._ends if at_s > now_s]
            for end in over:
                end()

    def end_all(self) -> None:
        """End everything now."""
        self.end_due(float("inf"))

    def forget_brown_outs(self) -> None:
        """Leave supplies as they are: a new machine has brought its own."""
        self._supplies.clear()

    def _befall(self, motor: EmulatedMotor, fault: Fault, now_s: float, end_s: float) -> None:
        match fault.kind:
            case "reboot":
                motor.reboot(now_s)
            case "overheat":
                _heat(motor, fault.magnitude)
            case "overload":
                motor.fail(LOAD_ERROR)
            case "brown_out":
                self._brown_out(motor, fault.magnitude or 0.0, now_s, end_s)
            case "encoder_wrap":
                motor.encoder_offset += round(fault.magnitude or 4096.0)
            case "stuck_encoder":
                motor.encoder_stuck = motor.memory["present_position"]
                self._ends.append((end_s, motor.free_encoder))
            case "jam" if self._jam is not None:
                # Whatever drives the shaft, it does not turn.
                jam, index = self._jam, motor.index
                jam(index, on=True)
                self._ends.append((end_s, lambda: jam(index, on=False)))

    def _brown_out(self, motor: EmulatedMotor, supply_v: float, now_s: float, end_s: float) -> None:
        supplies = self._supplies.setdefault(motor.index, [motor.servo.supply_v])
        supplies.append(supply_v)
        motor.servo.supply_v = supply_v
        if supply_v * 10.0 < _BROWN_OUT_SHARE * motor.memory.table["min_voltage_limit"].minimum:
            motor.reboot(now_s)

        def end() -> None:
            # A reset has brought the supply back before.
            if self._supplies.get(motor.index) is supplies:
                del supplies[supplies.index(supply_v, 1)]
                motor.servo.supply_v = supplies[-1]

        self._ends.append((end_s, end))


def _heat(motor: EmulatedMotor, temperature_c: float | None) -> None:
    """Make a motor hot; without a temperature, hotter than its limit."""
    limit_c = motor.memory["temperature_limit"]
    motor.temperature_c = limit_c + 1.0 if temperature_c is None else temperature_c
    # Its own look at it comes with the next sample, which lockstep may not have soon.
    if motor.temperature_c > limit_c:
        motor.fail(HEAT_ERROR)
