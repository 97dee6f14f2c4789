"""A swinging robot to break: emulated kitty motors in real time, our driver, the guard, and a loop at 100 Hz that remembers everything."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

import numpy as np

from benchmarks.fault_matrix.outcome import Disturbed, WrongOutcome
from fetlock.guarding import capability, read_limits
from robot.calibration import nominal
from robot.clock import RealTimeClock, TickClock, monotonic_s, sleep_s
from robot.description import load_description
from robot.dynamixel.backends import open_bus
from robot.dynamixel.native import NativeBus
from robot.dynamixel.provision import SetupBus
from robot.dynamixel.units import POSITION_RAD
from robot.emulator import EmulatorProcess
from robot.errors import RobotError
from robot.hardware import HardwareRobot
from robot.protocols import Robot
from robot.types import Command, FloatArray, frozen_array
from safety import Cause, GuardConfig, GuardedRobot, Mode, Reason

KITTY = load_description("kitty")
PERIOD_S = 0.01
# As in `fetlock.emulated`: motors of metal do not share a core with whoever asks them.
_SILENCE_S = 0.004
# A swing of each leg's joints, rad and Hz: inside of configs/limits/kitty.yaml, at up to half of its velocity.
_CENTRE_RAD, _AMPLITUDE_RAD, _SWING_HZ = np.tile((0.0, 0.75, -1.2), 4), np.tile((0.25, 0.6, 0.7), 4), 1.0
# The swing grows to its full size within this time, s.
_GROWTH_S = 0.3
# A motor that started again answers after 0.2 s (`robot.emulator.motor`).
_BOOT_S = 0.25
# At rest, rad/s: 2 units of the velocity register.
REST_RAD_S = 0.05


@dataclass(frozen=True, slots=True)
class Tick:
    """What the loop saw in a tick; arrays of shape (12,).

    Attributes:
        stamp_s: When it was over, monotonic, s.
        emission_rad: Sent; None: nothing was.
        position_rad: Measured; None: nothing was.
        mode: Of the guard.
        causes: Of the guard.
        reasons: Stages of the guard that changed the command.
        segment: Grows whenever the guard begins anew at the measured pose.
        error: What the robot said, if it raised.
        truth: What the machine says, if it was asked.
    """

    stamp_s: float
    emission_rad: FloatArray | None
    position_rad: FloatArray | None
    mode: Mode
    causes: Cause
    reasons: Reason
    segment: int
    error: str
    truth: dict[str, Any] | None


class Bench:
    """One emulated machine for all repeats of a fault; a context manager."""

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments

    def __enter__(self) -> Self:
        self._folder = TemporaryDirectory(prefix="fetlock-faults-")
        self.port = str(Path(self._folder.name) / "port")
        self.machine = EmulatorProcess(
            [sys.executable, "-m", "fetlock", "emulate", "--robot", "kitty", "--link", self.port, *self._arguments]
        )
        self.client = self.machine.client
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.machine.close()
        self._folder.cleanup()

    def prepare(self) -> None:
        """Mend the machine, put it into its home pose, and start all motors again there."""
        self.client.ask("mend")
        self.client.reset(np.random.default_rng(0))
        self.client.ask("fault", fault={"kind": "reboot"})
        sleep_s(_BOOT_S)

    def connect(self) -> HardwareRobot:
        """Return our driver on its bus, torque off."""
        return HardwareRobot(KITTY, self.open, nominal(KITTY), PERIOD_S)

    def open(self) -> SetupBus:
        """Open the bus."""
        bus = open_bus(self.port, KITTY.bus.baud, silence_s=_SILENCE_S)
        if isinstance(bus, NativeBus):
            self.bus = bus
        return bus

    def inject(self, kind: str, **more: Any) -> None:  # noqa: ANN401 (JSON)
        """Break something."""
        self.client.ask("fault", fault={"kind": kind, **more})


@contextmanager
def judged(bench: Bench, starved: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Tell a wrong outcome from one that the machine spoilt.

    Args:
        bench: Whose motors were used.
        starved: Whether whoever drove them was kept from it.

    Raises:
        Disturbed: If emulated motors' clocks stood still for a while, as no motor's do, or the loop missed ticks: that proves nothing.
        WrongOutcome: If anything else than promised happened.
    """
    skipped_s = bench.client.ask("status")["skipped_s"]
    try:
        yield
    except (WrongOutcome, RobotError) as wrong:
        if bench.client.ask("status")["skipped_s"] > skipped_s or starved():
            raise Disturbed("the machine was too busy") from wrong
        if isinstance(wrong, WrongOutcome):
            raise
        raise WrongOutcome(f"{type(wrong).__name__}: {wrong}") from wrong


class Rig:
    """A guarded robot that swings, in a repeat of a fault.

    Args:
        bench: Its machine, prepared.
        rng: Draws the swing.
        wrap: Puts something around the driver, such as a camera.
        changes: To the limits of the kitty.
    """

    def __init__(
        self, bench: Bench, rng: np.random.Generator, wrap: Callable[[Robot], Robot] = lambda robot: robot, **changes: float
    ) -> None:
        self.bench = bench
        self.rng = rng
        try:
            self.robot = bench.connect()
        except RobotError as error:
            raise Disturbed(f"before the fault: {error}") from error
        self.config = GuardConfig.model_validate({**read_limits("kitty"), **changes})
        self.guard = GuardedRobot(
            wrap(self.robot),
            self.config,
            PERIOD_S,
            now_s=monotonic_s,
            drive=self.robot,
            capability=capability(KITTY),
            pulse_rad=POSITION_RAD,
        )
        self._clock = RealTimeClock(PERIOD_S)
        self.clock = TickClock(self.robot, self._clock)
        self.ticks: list[Tick] = []
        self.segment = 0
        self._phase = rng.uniform(0.0, 2.0 * np.pi, 12)
        self._begun_s = 0.0
        # What is commanded in place of the swing.
        self.command: FloatArray | None = None

    def start(self) -> None:
        """Arm and swing for a random time."""
        try:
            self.guard.arm()
            self.drive()
        except RobotError as error:
            raise Disturbed(f"before the fault: {error}") from error
        self.run(int(self.rng.integers(45, 95)))
        if self.guard.causes:
            raise Disturbed(f"before the fault: {self.guard.causes!r}")

    def drive(self) -> None:
        """Let the swing begin anew from where the robot stands."""
        self.guard.engage()
        self.segment += 1
        self._begun_s = monotonic_s()
        self._clock.start()

    def run(self, ticks: int, *, watch: bool = False) -> None:
        """Run some ticks; `watch` asks the machine for the truth in each."""
        for _ in range(ticks):
            self.tick(watch=watch)

    def tick(self, *, watch: bool = False, fault: Callable[[], object] | None = None) -> float:
        """Run one tick, with a fault at a random time of what is left of it; return when that was, s."""
        emission = position = None
        reasons, error = Reason.NONE, ""
        try:
            position = self.guard.read().joints.position_rad
            applied = self.guard.write(Command(self._wanted()))
            emission, reasons = applied.position_rad, applied.reasons
        except RobotError as problem:
            error = f"{type(problem).__name__}: {problem}"
        stamp_s = monotonic_s()
        truth = self.bench.client.ask("truth") if watch else None
        guard = self.guard
        self.ticks.append(Tick(stamp_s, emission, position, guard.mode, guard.causes, reasons, self.segment, error, truth))
        at_s = 0.0
        if fault is not None:
            # The rest of the tick, less what the injection takes.
            sleep_s(float(self.rng.uniform(0.0, 0.6 * PERIOD_S)))
            at_s = monotonic_s()
            fault()
        self.clock.wait()
        return at_s

    def until(self, over: Callable[[Tick], bool], within_s: float, what: str) -> Tick:
        """Run until a tick shows something; raises WrongOutcome if it does not come in time."""
        end_s = monotonic_s() + within_s
        while monotonic_s() < end_s:
            self.tick(watch=True)
            if over(self.ticks[-1]):
                return self.ticks[-1]
        last = self.ticks[-1]
        raise WrongOutcome(f"no {what} within {within_s:g} s: {last.mode.name}, {last.causes!r}")

    def _wanted(self) -> FloatArray:
        if self.command is not None:
            return self.command
        passed_s = monotonic_s() - self._begun_s
        share = min(1.0, passed_s / _GROWTH_S)
        home = np.array([joint.home_rad for joint in KITTY.joints])
        swing = _CENTRE_RAD + _AMPLITUDE_RAD * np.sin(2.0 * np.pi * _SWING_HZ * passed_s + self._phase)
        return frozen_array((1.0 - share) * home + share * swing)

    @property
    def starved(self) -> bool:
        """Whether this loop woke up late by a period or more, which is the machine's doing."""
        return self._clock.statistics.worst_lateness_s >= PERIOD_S

    def truth(self) -> dict[str, Any]:
        """Return what the machine knows."""
        return self.bench.client.ask("truth")
