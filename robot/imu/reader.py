"""The driver of a serial IMU: a port, a parser, and the newest sample with what is known of its arrival."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from robot.clock import monotonic_s, sleep_s
from robot.dynamixel.port import Port
from robot.errors import ClosedError, PortLostError, RobotError, StaleError
from robot.imu.config import ImuConfig
from robot.imu.sample import ImuSample, ParserStatistics, sample_to_state, tilt_error_rad
from robot.types import ImuState

# What a terminal hands out at once at most (Linux, N_TTY_BUF_SIZE - 1). After so much more may be waiting in the kernel, which moves it up
# in its own time: 16 us were measured with a pty, a busy machine gets 2 ms.
_FULL_READ_BYTES = 4095
_REFILL_S = 0.002
# 256 KiB: no line brings that much between two reads. A port that always has more is not drained for ever.
_MAX_READS = 64
# WitMotion's quick start asks for 50 to 100 ms between two commands; a VN-100 saves for 0.5 s (UM001, 5.1.3) and answers then.
_COMMAND_GAP_S = 0.1
_FIRST_SAMPLE_S = 2.0
# At rest both say the same within a few degrees (MPU-9250 data sheet: zero offset of an accelerometer up to 80 mg, 4.6 deg).
_MAX_TILT_ERROR_RAD = math.radians(20.0)


@dataclass(frozen=True, slots=True)
class _Arrival:
    """A sample, the time at which it was taken off the port, and the latest at which it certainly was not there yet."""

    sample: ImuSample
    stamp_s: float
    absent_s: float


class SerialImu:
    """Implements ImuSource over a serial port. No thread: every call takes all that waits in the port and keeps the newest sample.

    `age_s` counts from the stamp, the time at which a sample was taken off the port. It came some time after the read before that, and
    whether it is stale is judged as if it had come right then: what piled up while nobody read is never taken for new. So the first read
    after a pause of more than `max_age_s` waits for the next sample; every other returns at once.

    Args:
        config: Of the device.
        now_s: The clock of stamps and ages: the monotonic one, or that of a machine that runs in lockstep.

    Raises:
        PortError: If the port cannot be opened.
    """

    def __init__(self, config: ImuConfig, now_s: Callable[[], float] = monotonic_s) -> None:
        self._config = config
        self._now_s = now_s
        self._parser = config.device.parser()
        self._rotation = config.mount.rotation_sensor_to_base
        self._name = f"the {config.device.name} at {config.port}"
        self._newest: _Arrival | None = None
        self._empty_s = -math.inf
        self._closed = False
        self._lost = ""
        self._port = Port(config.port, config.baud)
        # What came before is of unknown age.
        self._take(0.0)
        self._newest = None

    @property
    def statistics(self) -> ParserStatistics:
        """What the parser counted since the port was opened."""
        return self._parser.statistics

    @property
    def sample(self) -> ImuSample | None:
        """The newest sample as the device sent it, of any age."""
        return self._newest.sample if self._newest else None

    @property
    def stamp_s(self) -> float:
        """When the newest sample was taken off the port, s; minus infinity before the first."""
        return self._newest.stamp_s if self._newest else -math.inf

    def read(self) -> ImuState:
        """Return the newest orientation and rate of the base, with its age.

        Waits only where nobody has looked for more than `max_age_s`, and at most as long, in real time, for a sample whose age is known.

        Raises:
            StaleError: If none is certainly younger than `max_age_s`.
            PortLostError: If the port is gone.
            ClosedError: After `close`.
        """
        now_s = self._now_s()
        if now_s - self._empty_s > self._config.max_age_s:
            return self.wait_newer(now_s - self._config.max_age_s, self._config.max_age_s)
        self._take(0.0)
        newest = self._newest
        if newest is None:
            raise StaleError(f"{self._name} has sent no sample yet: {self._advice()}")
        oldest_s = self._now_s() - newest.absent_s
        if oldest_s > self._config.max_age_s:
            raise StaleError(
                f"the newest sample of {self._name} may be {oldest_s:.3f} s old (bound {self._config.max_age_s}): if it sends nothing, "
                f"{self._advice()}"
            )
        return self._state(newest)

    def wait_newer(self, stamp_s: float, timeout_s: float) -> ImuState:
        """Wait for a sample that certainly arrived after a time.

        A device that sends only when it is told, in lockstep, must be told after the call before has returned; `stamp_s` is then this
        object's own, as it was before the telling.

        Args:
            stamp_s: On the clock of this object, s.
            timeout_s: How long to wait at most, in real time, s.

        Raises:
            StaleError: If none has come by then.
            PortLostError: If the port is gone.
            ClosedError: After `close`.
        """
        deadline_s = monotonic_s() + timeout_s
        self._take(0.0)
        while self._newest is None or self._newest.absent_s < stamp_s or self._newest.stamp_s <= stamp_s:
            if monotonic_s() >= deadline_s:
                raise StaleError(f"{self._name} has sent nothing new for {timeout_s} s: {self._advice()}")
            self._take(deadline_s)
        return self._state(self._newest)

    def wait_samples(self, count: int, timeout_s: float) -> ImuState:
        """Wait until so many samples in all have been taken off the port, as `statistics` counts them; return the newest.

        For a machine in lockstep, which says how many it has sent.

        Raises:
            StaleError: If they have not come within `timeout_s` of real time.
            PortLostError: If the port is gone.
            ClosedError: After `close`.
        """
        deadline_s = monotonic_s() + timeout_s
        self._take(0.0)
        while self.statistics.samples < count or self._newest is None:
            if monotonic_s() >= deadline_s:
                raise StaleError(f"{self._name} was to send {count} samples, {self.statistics.samples} arrived whole within {timeout_s} s")
            self._take(deadline_s)
        return self._state(self._newest)

    def configure(self, sleep: Callable[[float], None] = sleep_s) -> None:
        """Make the device send what is read here, at `rate_hz`, also after it is switched off; return when it does. The robot stands still.

        Args:
            sleep: Waits between two commands, s.

        Raises:
            StaleError: If no sample comes.
            RobotError: If the orientation contradicts the accelerometer.
            PortLostError: If the port is gone.
            ClosedError: After `close`.
        """
        for command in self._config.device.configuration(self._config.rate_hz):
            self._require_open()
            try:
                self._port.write(command)
            except PortLostError as error:
                raise self._gone(error) from error
            sleep(_COMMAND_GAP_S)
        self._take(0.0)
        self._newest = None
        self.wait_newer(-math.inf, _FIRST_SAMPLE_S)
        self.require_upright()

    def require_upright(self) -> None:
        """Check that orientation and accelerometer of the newest sample agree on what is up. The robot stands still.

        A device whose quaternion has another order or direction than is read here fails it in most positions. One that sends no
        acceleration passes.

        Raises:
            RobotError: If they are more than 20 deg apart.
        """
        error_rad = tilt_error_rad(self._newest.sample) if self._newest else None
        if error_rad is not None and error_rad > _MAX_TILT_ERROR_RAD:
            raise RobotError(
                f"orientation and accelerometer of {self._name} are {math.degrees(error_rad):.0f} deg apart "
                f"(bound {math.degrees(_MAX_TILT_ERROR_RAD):.0f}): let the robot stand still and try again; if they stay so, calibrate the "
                "device, or its firmware orders the quaternion otherwise"
            )

    def close(self) -> None:
        """Release the port. Idempotent."""
        self._closed = True
        self._port.close()

    def _take(self, deadline_s: float) -> None:
        """Take all that is there, waiting for the first bytes until a time of the monotonic clock."""
        absent_s = self._empty_s
        for _ in range(_MAX_READS):
            before_s = self._now_s()
            data = self._receive(deadline_s)
            if not data:
                self._empty_s = before_s
                return
            samples = self._parser.feed(data)
            if samples:
                self._newest = _Arrival(samples[-1], self._now_s(), absent_s)
            deadline_s = monotonic_s() + _REFILL_S if len(data) >= _FULL_READ_BYTES else 0.0

    def _receive(self, deadline_s: float) -> bytes:
        self._require_open()
        try:
            return self._port.read(deadline_s)
        except PortLostError as error:
            raise self._gone(error) from error

    def _require_open(self) -> None:
        if self._closed:
            raise ClosedError(f"{self._name} was closed: open it again")
        if self._lost:
            raise PortLostError(self._lost)

    def _gone(self, error: PortLostError) -> PortLostError:
        self._lost = f"{self._name} is gone ({error.__cause__ or error}): plug it in again and open it anew"
        return PortLostError(self._lost)

    def _state(self, arrival: _Arrival) -> ImuState:
        return sample_to_state(arrival.sample, self._rotation, self._now_s() - arrival.stamp_s)

    def _advice(self) -> str:
        seen = self.statistics
        return (
            f"look at its cable and at kind and baud ({self._config.kind}, {self._config.baud}), or configure it "
            f"({seen.samples} samples, {seen.bad_checksums} bad checksums, {seen.skipped_bytes} bytes skipped)"
        )
