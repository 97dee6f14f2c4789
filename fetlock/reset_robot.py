"""`fetlock reset`: brings a robot back to where an episode begins, by its routine, once."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

import numpy as np

from fetlock.arguments import VerbParser
from fetlock.config import load_config
from fetlock.resets import routine
from fetlock.staging import Stage, staged
from fetlock.video import Film
from robot.errors import UsageError
from robot.operator import ConsoleOperator
from robot.protocols import Clock
from safety.resets import ResetReport, ResetStep, run_routine


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
    with staged(config, rng, fallen=options.fallen) as stage:
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


def _plain(report: ResetReport) -> dict[str, object]:
    return {
        "seconds": round(report.seconds, 3),
        "operator_calls": report.operator_calls,
        "attempts": [asdict(attempt) for attempt in report.attempts],
    }


def _sentences(report: ResetReport) -> str:
    lines = "".join(f"{attempt}\n" for attempt in report.attempts)
    return lines + (f"ready after {report.seconds:.1f} s\n" if report.attempts else "ready: nothing was needed\n")
