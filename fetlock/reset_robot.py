"""`fetlock reset`: brings a robot back to where an episode begins, by its routine, once."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from fetlock.arguments import VerbParser
from fetlock.config import RunConfig, load_config
from fetlock.guarding import guard_of
from fetlock.machines import PICTURE_PX, EmulatedConfig, HardwareConfig
from fetlock.resets import routine
from fetlock.video import Film
from robot.errors import UsageError
from robot.operator import ConsoleOperator
from robot.protocols import Camera, Clock
from safety import GuardedRobot
from safety.resets import ResetReport, ResetStep, Turner, run_routine
from sim import simulate


@dataclass(frozen=True, slots=True)
class Stage:
    """A robot where its routine is to begin: behind its guard, with its clock, what can film it and what turns its object."""

    guard: GuardedRobot
    clock: Clock
    camera: Callable[[], Camera] | None
    turner: Turner | None = None


class FilmedClock:
    """Implements Clock; films at every tick."""

    def __init__(self, clock: Clock, film: Film) -> None:
        self._clock = clock
        self._film = film
        self.period_s = clock.period_s

    def now_s(self) -> float:
        return self._clock.now_s()

    def wait(self) -> float:
        slack_s = self._clock.wait()
        self._film.step()
        return slack_s


def run(argv: list[str]) -> int:
    """Reset a robot; see `fetlock reset --help`."""
    about = "cool down, stand up and return to the arena, or gather fingers and turn the valve. The motors move."
    parser = VerbParser("reset", f"Bring a robot back to where an episode begins, by its routine: {about}")
    parser.add_argument("--fallen", action="store_true", help="let a simulated robot fall anyhow first")
    parser.add_argument("--seed", type=int, default=0, help="of the fall, the start pose and where a valve is turned (0)")
    parser.add_argument("--video", type=Path, metavar="FILE.mp4", help="film it")
    parser.add_argument("--cut", action="store_true", help="switch torque off at the end: the robot drops")
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    options, rest = parser.read_before_config(argv)
    if options.seed < 0:
        raise UsageError(f"--seed {options.seed}: at least 0")
    config = load_config(rest, prog=parser.prog, others=parser.flags)
    # Refused before anything is reached.
    routine(config)
    rng = np.random.default_rng(options.seed)
    with _staged(config, rng, fallen=options.fallen) as stage:
        report = _perform(stage, routine(config, stage.turner)(rng), options.video, config.bus_hz)
        if options.cut:
            stage.guard.cut()
    sys.stdout.write(json.dumps(_plain(report)) + "\n" if options.json else _sentences(report))
    return 0


def _perform(stage: Stage, steps: tuple[ResetStep, ...], video: Path | None, bus_hz: float) -> ResetReport:
    operator = ConsoleOperator(sys.stdin, sys.stderr)
    if video is not None and stage.camera is None:
        raise UsageError("--video: this robot has no camera")
    camera = None if video is None or stage.camera is None else stage.camera()
    with nullcontext() if video is None or camera is None else Film(lambda: camera.capture().image, video, bus_hz) as film:
        clock = stage.clock if film is None else FilmedClock(stage.clock, film)
        stage.guard.arm()
        return run_routine(steps, stage.guard, clock, operator)


@contextmanager
def _staged(config: RunConfig, rng: np.random.Generator, *, fallen: bool) -> Iterator[Stage]:
    """Reach a robot of metal or on an emulated bus, or build a simulated one; it holds where it stands at the end."""
    robot = config.robot
    if not isinstance(robot, EmulatedConfig | HardwareConfig):
        simulation = simulate(robot, config.bus_hz)
        guard = guard_of(config, simulation.robot, simulation.clock)
        (simulation.robot.drop if fallen else simulation.robot.reset)(rng)
        try:
            yield Stage(guard, simulation.clock, simulation.camera)
        finally:
            guard.close()
        return
    if fallen:
        raise UsageError("--fallen lets a simulated robot fall: give a configuration whose robot.kind is a simulation")
    from fetlock.emulated import connect_emulated, connect_hardware

    machine = connect_emulated(config, realtime=True) if isinstance(robot, EmulatedConfig) else connect_hardware(config)
    try:
        guard = guard_of(config, machine.robot, machine.clock, machine.robot, stoppable=True)
        machine.reset(rng)
        camera = None if machine.camera is None else partial(machine.camera, *PICTURE_PX)
        yield Stage(guard, machine.clock, camera, machine.robot)
    finally:
        machine.close()


def _plain(report: ResetReport) -> dict[str, object]:
    return {
        "seconds": round(report.seconds, 3),
        "operator_calls": report.operator_calls,
        "attempts": [asdict(attempt) for attempt in report.attempts],
    }


def _sentences(report: ResetReport) -> str:
    lines = "".join(f"{attempt}\n" for attempt in report.attempts)
    return lines + (f"ready after {report.seconds:.1f} s\n" if report.attempts else "ready: nothing was needed\n")
