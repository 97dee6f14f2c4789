"""The firmware's life of one motor: what registers set off, its bus watchdog, its hardware errors, its reboots.

Assumptions where the manual gives no figures: the heating model and the overload rule below; a reboot takes 0.2 s. Torque that is
switched on keeps the goal that stands in the register: the worst case for a driver.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from struct import Struct

from robot.dynamixel.codec import ErrorCode, ResetLevel
from robot.dynamixel.plant import PlantSample, ServoPlant
from robot.dynamixel.servos import ServoRegisters
from robot.dynamixel.tables import BAUD_RATES, ControlTable, OperatingMode
from robot.dynamixel.units import PULSES_PER_TURN, PWM_FULL_RAW, WATCHDOG_S
from robot.emulator.memory import GOALS, MotorMemory, Write

# Registers that the servo's firmware model acts on, written through to it.
_DRIVING = tuple(ServoRegisters.__dataclass_fields__)
# Bits of register 70 (e-manual, Hardware Error Status).
VOLTAGE_ERROR, HEAT_ERROR, ENCODER_ERROR, SHOCK_ERROR, LOAD_ERROR = 0, 2, 3, 4, 5
_REBOOT_S = 0.2
_AMBIENT_C = 25.0
# Heating, assumed: a motor stalled at its data sheet's current settles 100 K above the air, with a time constant of a minute.
_STALL_RISE_K, _HEAT_TIME_S = 100.0, 60.0
# Overload, assumed: driven fully and hardly moving for this long, s; slower than this, raw velocity.
_OVERLOAD_S, _OVERLOAD_VELOCITY = 1.0, 3
# Registers 120 to 146 of all models: clock, moving, its status, pwm, current, velocity, position, two trajectories, voltage, temperature.
_STATE_FROM, _STATE = 120, Struct("<HBBhhiiiiHB")
# A goal profile of 0 after the watchdog has expired, and -1 in its register (e-manual, Bus Watchdog).
_EXPIRED = -1
# Gains go back to their initial values with the operating mode (e-manual, Operating Mode).
_GAINS = (
    "velocity_i_gain",
    "velocity_p_gain",
    "position_d_gain",
    "position_i_gain",
    "position_p_gain",
    "feedforward_2nd_gain",
    "feedforward_1st_gain",
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an instruction came to.

    Attributes:
        error: Code of the status.
        data: What was asked for.
    """

    error: ErrorCode = ErrorCode.NONE
    data: bytes = b""


class EmulatedMotor:
    """One motor; its servo is `plant.servos[index]`.

    Args:
        index: In the plant.
        plant: Moves it.
        table: Of its model and firmware.
        firmware: Version.
        motor_id: At the start.
        baud: At the start, bits/s.
    """

    def __init__(self, index: int, plant: ServoPlant, table: ControlTable, firmware: int, motor_id: int, baud: int) -> None:
        self.index = index
        self.plant = plant
        values = {"firmware_version": firmware, "id": motor_id, "baud_rate": BAUD_RATES.index(baud)}
        self.memory = MotorMemory(table, values)
        self.servo = plant.servos[index]
        self.temperature_c = _AMBIENT_C
        # What the encoder shows beside the truth, pulses, and where it is stuck.
        self.encoder_offset = 0
        self.encoder_stuck: int | None = None
        self._fed_s = self._booted_s = 0.0
        self._asleep_until_s = 0.0
        self._overloaded_s = 0.0
        self._updated_s = 0.0
        self._registered: tuple[int, bytes] | None = None
        self._backup: dict[str, int] = {}
        self._drive_all()

    @property
    def id(self) -> int:
        """Id now."""
        return self.memory["id"]

    @property
    def baud(self) -> int:
        """Its rate now, bits/s."""
        return BAUD_RATES[self.memory["baud_rate"]]

    @property
    def alert(self) -> bool:
        """Whether it reports a hardware error."""
        return self.memory["hardware_error_status"] != 0

    @property
    def return_delay_s(self) -> float:
        """Time before it answers, s."""
        return self.memory["return_delay_time"] * 2e-6

    def awake(self, now_s: float) -> bool:
        """Tell whether it is not just starting."""
        return now_s >= self._asleep_until_s

    def feed(self, now_s: float) -> None:
        """An instruction was seen on the bus: any one feeds the watchdog."""
        self._fed_s = now_s

    @property
    def watchdog_expiry_s(self) -> float:
        """When it will stop by itself, s; infinite if it will not."""
        value = self.memory["bus_watchdog"]
        if value <= 0 or not self.memory["torque_enable"]:
            return float("inf")
        return self._fed_s + value * WATCHDOG_S

    def check_watchdog(self, now_s: float) -> None:
        """Stop if nothing was heard for too long: hold where it is, forget the profile, lock the goals."""
        if now_s < self.watchdog_expiry_s:
            return
        self.memory["bus_watchdog"] = _EXPIRED
        # In the other modes goal current and goal pwm bound what holds the shaft.
        drive = {OperatingMode.CURRENT: ("goal_current",), OperatingMode.PWM: ("goal_pwm",)}.get(self.memory["operating_mode"], ())
        for name in ("profile_acceleration", "profile_velocity", "goal_velocity", *drive):
            self._set(name, 0)
        # What a loop has summed up would drive on.
        self.servo.restart()
        self._set("goal_position", self.servo.present_position(self.plant.angle_rad(self.index)))

    def update(self, sample: PlantSample, now_s: float) -> None:
        """Show in the registers what was measured, and look for hardware errors."""
        memory, index = self.memory, self.index
        position = sample.position_raw[index] + self.encoder_offset
        if self.encoder_stuck is not None:
            position = self.encoder_stuck
        # A register of 32 bits turns over.
        position = (position + (1 << 31)) % (1 << 32) - (1 << 31)
        velocity = 0 if self.encoder_stuck is not None else sample.velocity_raw[index]
        trajectory, speed = self.servo.trajectory
        self._live(sample, now_s)
        memory.show(
            _STATE_FROM,
            _STATE,
            # Rounded down, but not below a tick that floating point has just missed.
            int((now_s - self._booted_s) * 1e3 + 1e-6) % 32_768,
            abs(velocity) > memory["moving_threshold"],
            abs(trajectory - position) < memory["moving_threshold"],
            sample.pwm_raw[index],
            sample.current_raw[index],
            velocity,
            position,
            speed,
            trajectory,
            max(0, round(self.servo.supply_v * 10.0)),
            min(255, max(0, round(self.temperature_c))),
        )

    def _live(self, sample: PlantSample, now_s: float) -> None:
        """Heat, load and voltage over the time since the last look."""
        elapsed_s, self._updated_s = max(0.0, now_s - self._updated_s), now_s
        memory = self.memory
        share = self.servo.current_a / self.servo.table.motor.stall_current_a
        settled_c = _AMBIENT_C + _STALL_RISE_K * share * share
        self.temperature_c += (settled_c - self.temperature_c) * min(1.0, elapsed_s / _HEAT_TIME_S)
        full = abs(sample.pwm_raw[self.index]) >= min(memory["pwm_limit"], PWM_FULL_RAW) > 0
        stalled = full and abs(sample.velocity_raw[self.index]) <= _OVERLOAD_VELOCITY
        self._overloaded_s = self._overloaded_s + elapsed_s if stalled else 0.0
        if self._overloaded_s >= _OVERLOAD_S:
            self.fail(LOAD_ERROR)
        if self.temperature_c > memory["temperature_limit"]:
            self.fail(HEAT_ERROR)
        if not memory["min_voltage_limit"] <= round(self.servo.supply_v * 10.0) <= memory["max_voltage_limit"]:
            self.fail(VOLTAGE_ERROR)

    def fail(self, bit: int) -> None:
        """Report a hardware error from now on; let the shaft go if the shutdown register says so. Only a reboot ends either."""
        self.memory["hardware_error_status"] |= 1 << bit
        if self.memory["shutdown"] >> bit & 1:
            self._set("torque_enable", 0)

    def settle(self) -> None:
        """Take the goal that an unseen hand has left; nothing is moved."""
        self.memory["goal_position"] = self.servo.registers.goal_position

    def free_encoder(self) -> None:
        """Let a stuck encoder show the truth again."""
        self.encoder_stuck = None

    def recover(self) -> None:
        """Be as cool as the air, with an encoder that shows the truth."""
        self.temperature_c = _AMBIENT_C
        self.encoder_offset, self.encoder_stuck = 0, None

    def read(self, address: int, size: int) -> Outcome:
        """Read a block."""
        data = self.memory.read(address, size)
        return Outcome(data) if isinstance(data, ErrorCode) else Outcome(data=data)

    def write(self, address: int, data: bytes) -> Outcome:
        """Write a block, all of it or nothing."""
        plan = self.memory.plan(address, data, locked_goals=self.memory["bus_watchdog"] == _EXPIRED)
        if isinstance(plan, ErrorCode):
            return Outcome(plan)
        for write in plan:
            self._carry_out(write)
        return Outcome()

    def register_write(self, address: int, data: bytes) -> Outcome:
        """Keep a write until `act`."""
        plan = self.memory.plan(address, data, locked_goals=self.memory["bus_watchdog"] == _EXPIRED)
        if isinstance(plan, ErrorCode):
            return Outcome(plan)
        self._registered = (address, data)
        self.memory["registered_instruction"] = 1
        return Outcome()

    def act(self) -> Outcome:
        """Carry out what `register_write` left."""
        kept, self._registered = self._registered, None
        self.memory["registered_instruction"] = 0
        return Outcome() if kept is None else self.write(*kept)

    def reboot(self, now_s: float) -> None:
        """Start again: RAM is lost, errors with it; silent for a while."""
        self.memory.restart()
        self._asleep_until_s = now_s + _REBOOT_S
        self._booted_s = now_s
        self._overloaded_s = 0.0
        self._registered = None
        self.memory["backup_ready"] = int(bool(self._backup))
        if self.memory["startup_configuration"] & 2:
            # RAM alone: the EEPROM has kept what it was told since (e-manual, Startup Configuration).
            self._restore(_GAINS)
        if self.memory["startup_configuration"] & 1:
            self.memory["torque_enable"] = 1
        self._forget_turns()
        self._drive_all()

    def factory_reset(self, level: int, now_s: float) -> Outcome:
        """Set EEPROM to what the factory delivers, and start again."""
        if self.memory["torque_enable"]:
            return Outcome(ErrorCode.ACCESS)
        if level not in set(ResetLevel):
            return Outcome(ErrorCode.DATA_RANGE)
        keep = {ResetLevel.EXCEPT_ID: ("id",), ResetLevel.EXCEPT_ID_AND_BAUD: ("id", "baud_rate")}.get(ResetLevel(level), ())
        self.memory.reset_to_factory(keep)
        self.reboot(now_s)
        return Outcome()

    def clear_turns(self) -> Outcome:
        """Bring the position back into one turn. Refused while it moves (e-manual, Clear)."""
        if self.memory["moving"]:
            return Outcome(ErrorCode.RESULT_FAIL)
        self._forget_turns()
        return Outcome()

    def back_up(self, *, restore: bool) -> Outcome:
        """Keep the EEPROM and the gains, or bring them back. Refused while torque is on (e-manual, Control Table Backup)."""
        if self.memory["torque_enable"]:
            return Outcome(ErrorCode.RESULT_FAIL)
        if restore:
            if not self._backup:
                return Outcome(ErrorCode.RESULT_FAIL)
            self._restore(self._backup)
            return Outcome()
        names = [name for name, register in self.memory.table.registers.items() if register.writable and register.eeprom]
        self._backup = {name: self.memory[name] for name in (*names, *_GAINS)}
        self.memory["backup_ready"] = 1
        return Outcome()

    def _restore(self, names: Iterable[str]) -> None:
        for name in names:
            if name in self._backup:
                self._set(name, self._backup[name])

    def _carry_out(self, write: Write) -> None:
        name, raw = write.register.name, write.raw
        if name == "torque_enable":
            self._switch(raw)
        elif name == "operating_mode" and raw != self.memory["operating_mode"]:
            self._set(name, raw)
            self._change_mode()
        else:
            self._set(name, raw)
            if name in GOALS and self.memory["drive_mode"] & 0x08:
                # Torque on by goal update (e-manual, Drive Mode, bit 3).
                self._switch(1)

    def _switch(self, on: int) -> None:
        masked = self.memory["hardware_error_status"] & self.memory["shutdown"]
        if on and masked:
            # After a shutdown torque comes back only with a reboot (e-manual, Shutdown).
            return
        if on != self.memory["torque_enable"]:
            self._set("torque_enable", on)
            if on and self.memory["operating_mode"] == OperatingMode.POSITION:
                # The position is within one turn again (e-manual, Present Position); the goal stays.
                self.servo.forget_turns(self.servo.present_position(self.plant.angle_rad(self.index)) // PULSES_PER_TURN)
            self.servo.restart()

    def _change_mode(self) -> None:
        """A new mode resets gains, profiles and goals (e-manual, Operating Mode)."""
        for name in _GAINS:
            self._set(name, self.memory.table[name].initial or 0)
        for name in ("profile_acceleration", "profile_velocity", "goal_velocity"):
            self._set(name, 0)
        self._reset_goals()
        self._forget_turns()

    def _reset_goals(self) -> None:
        self._set("goal_pwm", self.memory["pwm_limit"])
        self._set("goal_current", self.memory["current_limit"])
        self._set("goal_position", self.servo.present_position(self.plant.angle_rad(self.index)))

    def _forget_turns(self) -> None:
        """Let the position be within one turn again."""
        present = self.servo.present_position(self.plant.angle_rad(self.index))
        self.servo.forget_turns(present // PULSES_PER_TURN)
        self._set("goal_position", self.servo.present_position(self.plant.angle_rad(self.index)))

    def _set(self, name: str, raw: int) -> None:
        self.memory[name] = raw
        if name in _DRIVING:
            if name == "goal_position":
                # The one that a delay of the bus applies to.
                self.plant.put(self.index, name, raw)
            else:
                setattr(self.servo.registers, name, raw)

    def _drive_all(self) -> None:
        """Let the firmware model act on all registers, as after a start."""
        self.servo.restart()
        self._reset_goals()
        for name in _DRIVING:
            if self.memory.has(name) and name not in GOALS:
                setattr(self.servo.registers, name, self.memory[name])
        self.memory["goal_velocity"] = 0
        self.servo.registers.goal_velocity = 0
