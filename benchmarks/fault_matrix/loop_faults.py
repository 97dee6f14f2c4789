"""Faults of the process that owns the bus: the real motion process on emulated motors, killed, or stopped for two seconds."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from benchmarks.fault_matrix.checks import require
from benchmarks.fault_matrix.outcome import Disturbed, Outcome, WrongOutcome
from benchmarks.fault_matrix.rig import KITTY, PERIOD_S, REST_RAD_S, Bench, judged
from fetlock.guarding import capability, read_limits
from fetlock.motion import serve
from robot.calibration import nominal
from robot.clock import RealTimeClock, TickClock, monotonic_s, sleep_s
from robot.dynamixel.backends import open_bus
from robot.dynamixel.units import POSITION_RAD
from robot.errors import FetlockError, RobotError
from robot.hardware import HardwareRobot
from robot.types import Command, frozen_array
from safety import Cause, GuardConfig, GuardedRobot, Machine, Mode, MotionClient, Silence, sweep_dead

_spawn = multiprocessing.get_context("spawn")
# Imports, connecting and arming take 2 to 5 s on two busy cores (measured).
_START_S = 60.0
# What `fetlock.motion.silence_of` gives a policy at 25 Hz, s.
_SILENCE = Silence(0.08, 0.5)
# The pause that the fault list names, s.
_PAUSE_S = 2.0
# Longest wait for motors to stop, s: far above the bound.
_PATIENCE_S = 3.0


def _serve(port: str, name: str) -> None:
    """Be the motion process of a kitty on this port."""

    def make() -> Machine:
        robot = HardwareRobot(KITTY, lambda: open_bus(port, KITTY.bus.baud, silence_s=0.004), nominal(KITTY), PERIOD_S)
        schedule = RealTimeClock(PERIOD_S)
        guard = GuardedRobot(
            robot,
            GuardConfig.model_validate(read_limits("kitty")),
            PERIOD_S,
            now_s=monotonic_s,
            drive=robot,
            capability=capability(KITTY),
            pulse_rad=POSITION_RAD,
        )
        return Machine(guard, TickClock(robot, schedule), schedule, lambda _: robot.resync(), robot)

    serve(make, name, _SILENCE)


class Loop:
    """A motion process on a bench, and its client."""

    def __init__(self, bench: Bench, name: str) -> None:
        self.bench = bench
        self.name = name

    def start(self) -> None:
        """Start the process and attach to it."""
        self.process = _spawn.Process(target=_serve, args=(self.bench.port, self.name), daemon=True)
        self.process.start()
        end_s = monotonic_s() + _START_S
        while True:
            try:
                self.client = MotionClient(self.name, monotonic_s, sleep_s, stale_after_s=0.5)
            except FetlockError:
                if monotonic_s() > end_s or not self.process.is_alive():
                    raise Disturbed("the motion process did not start") from None
                sleep_s(0.02)
            else:
                return

    def swing(self, seconds: float) -> None:
        """Drive the legs to and fro for so long."""
        home = np.array([joint.home_rad for joint in KITTY.joints])
        start_s = monotonic_s()
        while (passed_s := monotonic_s() - start_s) < seconds:
            self.client.write(Command(frozen_array(home + 0.25 * np.sin(2.0 * np.pi * passed_s))))

    def end(self) -> None:
        """End the process, and remove what it left."""
        self.process.kill()
        self.process.join()
        self.client.close()
        sweep_dead(self.name)


@contextmanager
def loops(fault: Callable[[Loop, np.random.Generator], Outcome]) -> Iterator[Callable[[np.random.Generator], Outcome]]:
    """Repeat a fault of the loop, each time with a new process."""
    with Bench() as bench:

        def repeat(rng: np.random.Generator) -> Outcome:
            bench.prepare()
            loop = Loop(bench, f"faults-{os.getpid()}")
            loop.start()
            try:
                with judged(bench):
                    try:
                        loop.client.arm()
                        loop.swing(float(rng.uniform(0.4, 1.0)))
                    except RobotError as error:
                        raise Disturbed(f"before the fault: {error}") from error
                    return fault(loop, rng)
            finally:
                loop.end()

        yield repeat


def killed(loop: Loop, rng: np.random.Generator) -> Outcome:
    """SIGKILL; the motors stop by themselves, and a new process begins without torque."""
    safe_s, _ = _gone(loop, signal.SIGKILL)
    loop.process.join()
    loop.client.close()
    sweep_dead(loop.name)
    loop.start()
    require(not loop.client.armed, "the new process began with torque on")
    require(not any(loop.bench.client.ask("truth")["torque"]), "the new process left torque on")
    _drives(loop)
    return Outcome(safe_s, "watchdogs; a new process is DISARMED")


def paused(loop: Loop, rng: np.random.Generator) -> Outcome:
    """SIGSTOP for two seconds, with commands that queue up meanwhile; nothing moves until an operator arms again."""
    safe_s, held = _gone(loop, signal.SIGSTOP)
    for _ in range(20):
        # Far away, and stale when the loop goes on.
        loop.client.send(Command(frozen_array(np.tile((0.2, 0.3, -0.5), 4))))
        sleep_s(0.02)
    sleep_s(max(0.0, _PAUSE_S - safe_s - 0.4))
    os.kill(loop.process.pid or 0, signal.SIGCONT)
    sleep_s(0.3)
    truth = loop.bench.client.ask("truth")
    require(truth["goals"] == held, "goals changed when it went on")
    require(max(map(abs, truth["joints_rad_s"])) < REST_RAD_S, "joints moved when it went on")
    row = loop.client.rows(loop.client.head - 1, loop.client.head)[0][0]
    require(int(row["mode"]) == Mode.DISARMED, f"it went on into {Mode(int(row['mode'])).name}")
    try:
        loop.client.arm()
    except RobotError:
        pass
    else:
        raise WrongOutcome("armed without an operator's word")
    loop.client.clear()
    _drives(loop)
    return Outcome(safe_s, "watchdogs; DISARMED, the queue dropped")


def _gone(loop: Loop, number: signal.Signals) -> tuple[float, list[int]]:
    """Send a signal; return how long it took until all motors had stopped by themselves, s, and their goals then."""
    client = loop.bench.client
    at_s = monotonic_s()
    os.kill(loop.process.pid or 0, number)
    while min((truth := client.ask("truth"))["watchdog"]) >= 0:
        require(monotonic_s() < at_s + _PATIENCE_S, "the motors' watchdogs did not expire")
    safe_s = monotonic_s() - at_s
    while max(map(abs, client.ask("truth")["joints_rad_s"])) > REST_RAD_S:
        require(monotonic_s() < at_s + _PATIENCE_S, "the joints did not come to rest")
    require(client.ask("truth")["goals"] == truth["goals"], "goals changed behind expired watchdogs")
    return safe_s, list(truth["goals"])


def _drives(loop: Loop) -> None:
    loop.client.arm()
    before = np.array(loop.bench.client.ask("truth")["joints_rad"])
    moved = 0.0
    # To one side and to the other: it may have stopped at either.
    for seconds in (0.3, 0.8):
        loop.swing(seconds)
        moved = max(moved, float(np.abs(np.array(loop.bench.client.ask("truth")["joints_rad"]) - before).max()))
    causes = loop.client.causes
    if Cause.LATE in causes:
        raise Disturbed("a tick of the loop was late")
    require(moved > 0.1, f"armed again, it moved by {moved:.3f} rad only: {causes!r}")
