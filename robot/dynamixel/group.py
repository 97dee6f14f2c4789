"""The motors of one robot on a bus: what they last said and when, goals inside of their bounds, torque with its checks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robot.dynamixel.bus import MotorBus
from robot.dynamixel.freshness import TickCheck
from robot.dynamixel.provision import SetupBus, read_register, require_healthy, write_register
from robot.dynamixel.tables import ControlTable
from robot.dynamixel.units import POSITION_RAD, PULSES_PER_TURN, VOLTAGE_V, WATCHDOG_S, RawArray
from robot.errors import BusError, MotorError
from robot.types import FloatArray

# Registers 120 to 135 in one block: clock, moving, pwm, current, velocity, position; at the same addresses in all tables.
_STATE_FROM, _STATE_TO = "realtime_tick", "present_position"
_TICK, _CURRENT, _VELOCITY, _POSITION = 0, 6, 8, 12
# Torque stays on only if no motor is further than this from its goal when it comes on, pulses: 3.5 degrees, twice what a kitty with weak
# motors gives way under its own weight (simulated).
_ARM_PULSES = 40
# The play of the gears may show a joint this far beyond its range, pulses (15 arcmin, e-manual, is three of them).
_PLAY_PULSES = 3
# Wrong answers are counted in so many reads: a motor that has been silent for long is asked in every fifth only.
_WRONG_WITHIN = 10
# Where something begins all motors are asked for as long as a joint may be silent at 100 Hz, s; so often where the clock stands still.
_BEGIN_S, _BEGIN_READS = 0.1, 100
# How often a motor's torque is switched off until it confirms.
_CUT_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class GroupState:
    """What the motors last said. Shapes (n,).

    Attributes:
        stamp_s: When they were asked, on the caller's clock, s.
        position_raw: Register 132.
        velocity_raw: Register 128.
        current_raw: Register 126.
        measured_s: When it was said, on the caller's clock, s.
        fresh: Said in this tick.
        wrong_reads: Reads with a wrong answer in the place of a right one: of the newest ten, since all motors were last heard, with this
            one; 0 in a read without.
        hardware_error: Register 70.
        temperature_c: deg C; one motor a tick is asked for it and for its voltage.
        voltage_v: Lowest input voltage, V.
    """

    stamp_s: float
    position_raw: RawArray
    velocity_raw: RawArray
    current_raw: RawArray
    measured_s: FloatArray
    fresh: NDArray[np.bool_]
    wrong_reads: int
    hardware_error: tuple[int, ...]
    temperature_c: FloatArray
    voltage_v: float


class MotorGroup:
    """Motors that are read and written together.

    Args:
        bus: Theirs.
        ids: Of the motors.
        names: For messages.
        tables: Control table of each.
        driven: How many of them, from the first on, get torque and goals; the others are read only.
        now_s: The caller's clock, s.
    """

    def __init__(
        self,
        bus: SetupBus,
        ids: Sequence[int],
        names: Sequence[str],
        tables: Sequence[ControlTable],
        driven: int,
        now_s: Callable[[], float],
    ) -> None:
        self.bus: MotorBus = bus
        self.ids = tuple(ids)
        self.names = tuple(names)
        self.tables = tuple(tables)
        self.driven = driven
        self._address, self._size = tables[0].span((_STATE_FROM, _STATE_TO))
        self._health_address, self._health_size = tables[0].span(("present_input_voltage", "present_temperature"))
        self._ticks = TickCheck(len(ids))
        self._now_s = now_s
        self._turn = self._reads = 0
        # Numbers of the newest reads with a wrong answer.
        self._wrong: tuple[int, ...] = ()
        count = len(ids)
        self._position = self._velocity = self._current = np.zeros(count, np.int64)
        self._measured_s: FloatArray = np.full(count, -np.inf)
        self._asked_s = -np.inf
        self._error = [0] * count
        self._temperature: FloatArray = np.full(count, np.nan)
        self._voltage: FloatArray = np.full(count, np.nan)

    def read(self) -> GroupState:
        """Ask all motors for their state, and one of them for its temperature and voltage.

        Raises:
            PortLostError: If the port is gone.
        """
        now_s = self._asked_s = self._now_s()
        self._reads += 1
        readings = self.bus.sync_read(self.ids, self._address, self._size)
        fresh = self._ticks.judge(readings.column(_TICK, "<u2"), now_s, self._now_s(), readings.fresh)
        if bool(fresh.all()):
            self._wrong = ()
            self._position = readings.column(_POSITION, "<i4")
            self._velocity = readings.column(_VELOCITY, "<i4")
            self._current = readings.column(_CURRENT, "<i2")
            self._measured_s = np.full(len(self.ids), now_s)
        else:
            if readings.wrong:
                self._wrong = (*(number for number in self._wrong if number > self._reads - _WRONG_WITHIN), self._reads)
            self._position = np.where(fresh, readings.column(_POSITION, "<i4"), self._position)
            self._velocity = np.where(fresh, readings.column(_VELOCITY, "<i4"), self._velocity)
            self._current = np.where(fresh, readings.column(_CURRENT, "<i2"), self._current)
            self._measured_s = np.where(fresh, now_s, self._measured_s)
        for index in np.flatnonzero(readings.alert & fresh).tolist():
            self._read_error(index)
        self._read_health()
        return GroupState(
            now_s,
            self._position,
            self._velocity,
            self._current,
            self._measured_s,
            fresh,
            len(self._wrong) if readings.wrong else 0,
            tuple(self._error),
            self._temperature.copy(),
            float(np.fmin.reduce(self._voltage)),
        )

    def read_all(self) -> GroupState:
        """As `read`, until all motors have answered the same one, for 0.1 s: where something begins, a lost answer is no fault."""
        start_s = self._now_s()
        for _ in range(_BEGIN_READS):
            state = self.read()
            if bool(state.fresh.all()) or state.stamp_s - start_s >= _BEGIN_S:
                break
        return state

    def asked_within(self, seconds: float) -> bool:
        """Tell whether the motors were read not longer ago than this, and not since `forget`: only then is an old answer a silence."""
        return self._now_s() - self._asked_s <= seconds

    def forget(self) -> None:
        """Believe the next answers whatever the motors' clocks say, and take no earlier one for known."""
        self._ticks.forget()
        self._measured_s = np.full(len(self.ids), -np.inf)
        self._asked_s = -np.inf
        self._error = [0] * len(self.ids)

    def write_goals(self, position_raw: RawArray) -> None:
        """Send goal positions to all driven motors at once, shape (driven,). Bounds are the caller's.

        Raises:
            PortLostError: If the port is gone.
        """
        goals = position_raw.astype("<i4").view(np.uint8).reshape(-1, 4)
        address = self.tables[0]["goal_position"].address
        self.bus.sync_write(address, {motor: row.tobytes() for motor, row in zip(self.ids[: self.driven], goals, strict=True)})

    def arm(self, bounds: tuple[RawArray, RawArray], watchdog_s: float) -> RawArray:
        """Switch the torque of the driven motors on where they stand; return the goals, shape (driven,).

        Args:
            bounds: Lowest and highest position of each driven motor, shapes (driven,).
            watchdog_s: After which the motors stop by themselves.

        Raises:
            MotorError: If a motor reports an error, is outside of its bounds, does not take its watchdog or its torque, or moves; torque is
                then off.
            BusError: If a motor does not answer.
        """
        for motor, name, table in self._driven:
            require_healthy(self.bus, motor, name, table)
            # 0 clears an expired watchdog, which locks the goals.
            write_register(self.bus, motor, table["bus_watchdog"], 0)
        # Every motor has just answered a request of its own: nothing older is on the line.
        self._ticks.forget()
        goals = self._require_inside(self.read_all(), bounds)
        try:
            for (motor, _, table), goal in zip(self._driven, goals.tolist(), strict=True):
                write_register(self.bus, motor, table["goal_position"], goal)
                write_register(self.bus, motor, table["bus_watchdog"], round(watchdog_s / WATCHDOG_S))
                write_register(self.bus, motor, table["torque_enable"], 1)
            self._ticks.forget()
            after = self._require_heard(self.read_all())
            moved = np.abs(after.position_raw[: self.driven] - goals)
            if int(moved.max()) > _ARM_PULSES:
                worst = int(moved.argmax())
                raise MotorError(
                    f"motor {self.ids[worst]} ({self.names[worst]}) moved by {moved[worst] * POSITION_RAD:.3f} rad when its torque came on "
                    "(bound 0.017): torque is off again; support the robot and look for what pushes it"
                )
        except Exception:
            self.cut()
            raise
        return goals

    def turn(self, place: int, goal_raw: int, velocity_raw: int, watchdog_s: float) -> Iterator[None]:
        """Switch the torque of a motor that is not driven on where it stands, and let it go to a goal by its own profile.

        Yields after each register, so that a loop at the bus rate reads or writes one in each of its ticks.

        Args:
            place: Of the motor in `ids`.
            goal_raw: Register 116.
            velocity_raw: Of the profile, register 112.
            watchdog_s: After which the motor stops by itself.

        Raises:
            MotorError: If it reports an error, or does not keep what is written.
            BusError: If it does not answer.
        """
        motor, table = self.ids[place], self.tables[place]
        require_healthy(self.bus, motor, self.names[place], table)
        yield
        low, high = (read_register(self.bus, motor, table[name]) for name in ("min_position_limit", "max_position_limit"))
        yield
        # Without torque a motor counts turns; with it, a position is within one turn again (e-manual, Present Position), and a goal is.
        here = min(max(int(self._position[place]) % PULSES_PER_TURN, low), high)
        # 0 clears an expired watchdog, which locks the goals.
        for name, raw in (
            ("bus_watchdog", 0),
            ("profile_velocity", velocity_raw),
            ("goal_position", here),
            ("bus_watchdog", round(watchdog_s / WATCHDOG_S)),
            ("torque_enable", 1),
            ("goal_position", goal_raw),
        ):
            write_register(self.bus, motor, table[name], raw)
            yield

    def cut(self, places: Sequence[int] | None = None) -> None:
        """Switch torque off; motors that are not silent confirm it.

        Args:
            places: Of the motors in `ids`; by default all.

        Raises:
            BusError: If a motor does not confirm: switch its supply off.
            PortLostError: If the port is gone: the motors' watchdog stops them.
        """
        register = self.tables[0]["torque_enable"]
        left: list[int] = list(self.ids) if places is None else [self.ids[place] for place in places]
        for _ in range(_CUT_ATTEMPTS):
            self.bus.sync_write(register.address, {motor: register.encode(0) for motor in left})
            readings = self.bus.sync_read(left, register.address, register.size)
            off = readings.fresh & (readings.data[:, 0] == 0)
            left = [motor for motor, done in zip(left, off.tolist(), strict=True) if not done]
            if not left:
                return
        raise BusError(f"motor {', '.join(map(str, left))} did not confirm that its torque is off: switch off the motors' supply")

    def watchdogs_expired(self) -> list[int]:
        """Return the motors that have stopped by themselves because nothing was sent for too long."""
        register = self.tables[0]["bus_watchdog"]
        readings = self.bus.sync_read(self.ids, register.address, register.size)
        return [
            motor for motor, value, fresh in zip(self.ids, readings.column(0, "<i1"), readings.fresh, strict=True) if fresh and value < 0
        ]

    def without_torque(self, places: Sequence[int]) -> list[int]:
        """Return which of some driven motors say now that their torque is off.

        Args:
            places: Of the motors in `ids`.
        """
        register = self.tables[0]["torque_enable"]
        asked = [self.ids[place] for place in places if place < self.driven]
        readings = self.bus.sync_read(asked, register.address, register.size)
        return [motor for motor, fresh, data in zip(asked, readings.fresh, readings.data, strict=True) if fresh and not data[0]]

    def with_errors(self) -> list[int]:
        """Return the motors that report a hardware error now."""
        return [motor for motor, status in zip(self.ids, self.read_all().hardware_error, strict=True) if status]

    def _require_heard(self, state: GroupState) -> GroupState:
        silent = [motor for motor, fresh in zip(self.ids[: self.driven], state.fresh[: self.driven], strict=True) if not fresh]
        if silent:
            raise BusError(f"motor {', '.join(map(str, silent))} did not answer just now: torque is off; try again or look at its cable")
        return state

    def _require_inside(self, state: GroupState, bounds: tuple[RawArray, RawArray]) -> RawArray:
        low, high = bounds
        position = self._require_heard(state).position_raw[: self.driven]
        outside = np.flatnonzero((position < low - _PLAY_PULSES) | (position > high + _PLAY_PULSES))
        if len(outside):
            index = int(outside[0])
            raise MotorError(
                f"motor {self.ids[index]} ({self.names[index]}) stands at {position[index]}, outside of its range {low[index]} to "
                f"{high[index]}: move it inside by hand; torque stays off"
            )
        return np.clip(position, low, high)

    @property
    def _driven(self) -> list[tuple[int, str, ControlTable]]:
        return list(zip(self.ids, self.names, self.tables, strict=True))[: self.driven]

    def _read_error(self, index: int) -> None:
        try:
            self._error[index] = read_register(self.bus, self.ids[index], self.tables[index]["hardware_error_status"])
        except BusError:
            # The alert is known; which error it is will be read in the next tick.
            self._error[index] = self._error[index] or 0x80

    def _read_health(self) -> None:
        index = self._turn
        self._turn = (index + 1) % len(self.ids)
        readings = self.bus.sync_read((self.ids[index],), self._health_address, self._health_size)
        if readings.fresh[0]:
            self._voltage[index] = int(readings.column(0, "<u2")[0]) * VOLTAGE_V
            self._temperature[index] = int(readings.data[0, 2])
