"""Builds what an environment needs of a robot on a bus, emulated or of metal."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fetlock.cameras import await_view, open_overhead, open_pictures
from fetlock.config import RunConfig, config_yaml
from fetlock.machines import EmulatedConfig, HardwareConfig, description_of
from robot.calibration import load_calibration, nominal
from robot.clock import LockstepClock, RealTimeClock, TickClock, monotonic_s, sleep_s
from robot.dynamixel.backends import open_bus
from robot.dynamixel.readings import joint_readings
from robot.emulator import EmulatorCamera, EmulatorProcess, Start
from robot.errors import RobotError, StaleError, UsageError
from robot.hardware import HardwareRobot
from robot.imu import SerialImu, straight_mounted
from robot.listener import Senses
from robot.protocols import Camera, Clock, ImuSource
from robot.types import ImuState, TrackedPose
from sim import ClawConfig, ServoSensors

_log = logging.getLogger(__name__)

# An answer of an emulated IMU is in the terminal within microseconds; a busy machine may need longer to deliver it.
_IMU_WAIT_S = 5.0
_DELIVERY_S = 0.02
# A machine in lockstep answers when its physics are done: asking again would move them twice.
_LOCKSTEP_SILENCE_S = 10.0
# Motors of metal do not share a core with whoever asks them.
_REALTIME_SILENCE_S = 0.004


@dataclass(frozen=True, slots=True)
class BusMachine:
    """A robot on a bus with its clock.

    Attributes:
        robot: Connected.
        clock: Begins its ticks.
        reset: Puts it into a start pose, torque as it is.
        skip_to: Moves simulated time on; nothing where time is real.
        close: Releases everything; a robot of metal holds where it stands.
        schedule: The real-time clock; it stands still where time is simulated.
        camera: Makes a camera of so many pixels, width and height, that shows the robot; None where there is none.
        eye: Makes the one whose frames are recorded; it holds no tick up where time is real.
    """

    robot: HardwareRobot
    clock: Clock
    reset: Callable[[np.random.Generator], None]
    skip_to: Callable[[float], None]
    close: Callable[[], None]
    schedule: RealTimeClock
    camera: Callable[[int, int], Camera] | None
    eye: Callable[[int, int], Camera] | None


def connect_emulated(config: RunConfig, *, realtime: bool, control: Path | None = None) -> BusMachine:
    """Start the emulated machine of a run in a process of its own and connect to it, torque off; in lockstep it is on.

    Args:
        config: Of the run.
        realtime: Follow the clock, whatever the configuration says of lockstep.
        control: Path of the machine's control socket, for others who look at it; by default one that nobody else knows.

    Raises:
        RobotError: If it does not start, or its motors are not as described.
    """
    robot_config = config.robot
    if not isinstance(robot_config, EmulatedConfig):
        raise UsageError(f"robot.kind is {robot_config.kind}, not emulated")
    lockstep = robot_config.lockstep and not realtime
    served = config.model_copy(
        update={
            "robot": robot_config.model_copy(update={"lockstep": lockstep}),
            "train": config.train.model_copy(update={"realtime": False}),
        }
    )
    command = [sys.executable, "-m", "fetlock", "emulate", "--config", "/dev/stdin"]
    process = EmulatorProcess(command, config_yaml(served), linked=True, control=control)
    try:
        return _Emulated(config, robot_config, process, lockstep=lockstep).machine()
    except BaseException:
        process.close()
        raise


class _Emulated:
    """One emulated machine, from this side of its wires."""

    def __init__(self, config: RunConfig, robot_config: EmulatedConfig, process: EmulatorProcess, *, lockstep: bool) -> None:
        self._process = process
        self._client = process.client
        status = self._client.ask("status")
        self._lockstep = LockstepClock(float(status["step_s"]), int(status["bus_steps"])) if lockstep else None
        self._real = RealTimeClock(1.0 / config.bus_hz)
        self._control_hz = config.control_hz
        self._eyes: list[Camera] = []
        self._not_before_step = 0
        self._fallen = robot_config.fallen
        self._step_s = float(status["step_s"])
        description = description_of(robot_config)
        silence_s = _LOCKSTEP_SILENCE_S if lockstep else _REALTIME_SILENCE_S
        self._tracker = EmulatedTracker(process, robot_config, self._step_s)
        # A claw is bolted down: nothing tracks its base.
        self._tracked = not isinstance(robot_config.machine, ClawConfig)
        self._imu = self._open_imu(robot_config, status)
        self._robot = HardwareRobot(
            description,
            lambda: open_bus(process.port, description.bus.baud, robot_config.bus, silence_s),
            nominal(description),
            1.0 / config.bus_hz,
            Senses(self._imu, self._tracker if self._tracked else None),
            now_s=self._now_s,
            source="the description",
            lockstep=lockstep,
        )

    def _open_imu(self, config: EmulatedConfig, status: dict[str, object]) -> ImuSource | None:
        if isinstance(config.machine, ClawConfig):
            return None
        kind = config.machine.imu
        if kind == "exact":
            return ExactImu(self._tracker)
        serial = SerialImu(straight_mounted(kind, str(status["imu"])), now_s=self._now_s)
        return LockstepImu(serial, int(self._client.ask("status")["imu_samples"])) if self._lockstep is not None else serial

    def _now_s(self) -> float:
        return monotonic_s() if self._lockstep is None else self._lockstep.now_s()

    def _camera(self, width_px: int, height_px: int) -> Camera:
        return EmulatorCamera(self._client, self._now_s, width_px, height_px)

    def _eye(self, width_px: int, height_px: int) -> Camera:
        if self._lockstep is not None:
            return self._camera(width_px, height_px)
        self._eyes.append(open_pictures(self._process.control, width_px, height_px, self._control_hz))
        return self._eyes[-1]

    def machine(self) -> BusMachine:
        """Return the robot with what an environment needs, torque off; in lockstep it is on."""
        if self._lockstep is not None:
            # What arming asks moves the machine: it comes before the first episode's time.
            self._client.reset(np.random.default_rng(0), self._not_before_step, hold=True)
            self._robot.arm()
        clock = TickClock(self._robot, self._lockstep or self._real)
        return BusMachine(self._robot, clock, self._reset, self._skip_to, self._close, self._real, self._camera, self._eye)

    def _close(self) -> None:
        self._robot.close()
        self._tracker.close()

    def _reset(self, rng: np.random.Generator) -> None:
        # An unseen hand holds a robot whose torque is off until the guard has switched it on.
        start = self._client.reset(rng, self._not_before_step, hold=not self._robot.armed, fallen=self._fallen)
        if self._lockstep is not None:
            self._lockstep.step = start.step
        self._tracker.begin(start)
        if isinstance(self._imu, LockstepImu):
            self._imu.expect(int(start.answer["imu_samples"]))
        elif isinstance(self._imu, SerialImu):
            self._imu.wait_newer(self._now_s(), _IMU_WAIT_S)
        # A machine that lets its robot come to rest draws nothing.
        for eye in self._eyes:
            await_view(eye, self._now_s())
        self._robot.resync()
        self._real.start()

    def _skip_to(self, now_s: float) -> None:
        self._not_before_step = round(now_s / self._step_s) if self._lockstep is not None else 0


class EmulatedTracker:
    """Implements BaseTracker with what the emulated machine knows, and the noise that its simulation is told to have."""

    def __init__(self, process: EmulatorProcess, config: EmulatedConfig, step_s: float) -> None:
        self._process = process
        self._config = config
        self._step_s = step_s
        self._sensors: ServoSensors | None = None
        self._closed = False

    def begin(self, start: Start) -> None:
        """Let the noise of an episode begin."""
        machine = self._config.machine
        if not isinstance(machine, ClawConfig):
            readings = joint_readings(description_of(self._config))
            self._sensors = ServoSensors(readings, machine.noise, start.conditions, start.sample_step, self._step_s)

    def sense(self) -> tuple[ImuState, TrackedPose]:
        """Ask the machine now.

        Raises:
            StaleError: Before the first reset, or if the machine is bolted down.
        """
        body, sample_step, step = self._process.client.body()
        if body is None or self._sensors is None:
            raise StaleError("the emulated machine has no base that moves, or was not reset yet")
        return self._sensors.base(body, sample_step, (step - sample_step) * self._step_s)

    def read(self) -> TrackedPose:
        return self.sense()[1]

    def close(self) -> None:
        """End the machine; say how punctual it was. Idempotent."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(RobotError):
            status = self._process.client.ask("status")
            late = ", ".join(f"{name} {value:.3f}" for name, value in zip(("p50", "p99", "max"), status["late_ms"], strict=True))
            _log.info("emulator: woke up late by %s ms; %.3f s of physics were skipped", late, status["skipped_s"])
        self._process.close()


class ExactImu:
    """Implements ImuSource with what the emulated machine knows."""

    def __init__(self, tracker: EmulatedTracker) -> None:
        self._tracker = tracker

    def read(self) -> ImuState:
        return self._tracker.sense()[0]

    def close(self) -> None:
        """Nothing is held."""


class LockstepImu:
    """Implements ImuSource on a serial IMU whose machine sends exactly one sample for each bus tick: waits for that one.

    Args:
        serial: Its port is open, and the machine stands still.
        sent: How many samples the machine has sent so far.
    """

    def __init__(self, serial: SerialImu, sent: int) -> None:
        self._serial = serial
        # What a terminal delivers a moment after it was written belongs to those that were sent before the port was opened.
        sleep_s(_DELIVERY_S)
        with contextlib.suppress(StaleError):
            serial.read()
        self._before = sent - serial.statistics.samples
        self._expected = sent
        self._first = True

    def expect(self, sent: int) -> None:
        """Take the newest of so many samples in all as the first reading after a reset."""
        self._expected, self._first = sent, True

    def read(self) -> ImuState:
        self._expected += not self._first
        self._first = False
        return self._serial.wait_samples(self._expected - self._before, _IMU_WAIT_S)

    def close(self) -> None:
        self._serial.close()


def _senses(config: HardwareConfig) -> Senses:
    """Open what a robot of metal has beside its motors."""
    tracker = None if config.tracker is None else open_overhead(Path(config.tracker))
    try:
        return Senses(None if config.imu is None else SerialImu(config.imu), tracker)
    except BaseException:
        if tracker is not None:
            tracker.close()
        raise


def connect_hardware(config: RunConfig) -> BusMachine:
    """Connect to the robot of metal of a run, torque off.

    Raises:
        RobotError: If it cannot be reached, or is not as described.
    """
    robot_config = config.robot
    if not isinstance(robot_config, HardwareConfig):
        raise UsageError(f"robot.kind is {robot_config.kind}, not dynamixel")
    description = description_of(robot_config)
    path = robot_config.calibration
    calibration = nominal(description) if path is None else load_calibration(Path(path))
    senses = _senses(robot_config)
    robot = HardwareRobot(
        description,
        lambda: open_bus(robot_config.port, description.bus.baud, robot_config.bus),
        calibration,
        1.0 / config.bus_hz,
        senses,
        source=path or "the description",
    )
    real = RealTimeClock(1.0 / config.bus_hz)

    def reset(_: np.random.Generator) -> None:
        """A robot of metal begins where it stands."""
        robot.resync()
        real.start()

    return BusMachine(robot, TickClock(robot, real), reset, lambda _: None, robot.close, real, None, None)
