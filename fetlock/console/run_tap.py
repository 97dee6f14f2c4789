"""Reads a run's shared memory and its evaluations, and never writes to them."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

from fetlock.build import contract_of, policy_layout
from fetlock.config import RunConfig, task_of
from fetlock.console.episodes import Episodes
from fetlock.console.state import Curve, LoopView, RobotView, RunView
from fetlock.console.ticks import WINDOW_S, Progress, lateness_ms, newest, robot_view
from fetlock.progress import Gauge
from robot.errors import LogError
from robot.transport import find
from training.episodes import EpisodeSummary
from training.evaluation import Evaluation, read_evaluations
from training.link import Link, LinkShape


class RunTap:
    """The shared memory of one run, attached; close it at the end.

    Args:
        folder: Of the run.
        pid: Its process.
        config: Of the run.

    Raises:
        FetlockError: If it cannot be attached to.
    """

    def __init__(self, folder: Path, pid: int, config: RunConfig) -> None:
        layout = policy_layout(config)
        # `fetlock run` has one collector whatever its configuration says.
        collectors = len(find(rf"fetlock-{pid}-s([0-9]+)"))
        self._link = Link.attach(replace(LinkShape.of(layout, collectors), prefix=f"fetlock-{pid}"))
        self._joint_names = layout.joint_names
        self._config = config
        self._measure = task_of(config).measure
        self._gauge = Gauge(self._link, contract_of(config), collectors, self._measure)
        self._episodes = [Episodes(ring, collectors) for ring in self._link.steps]
        self._progress = Progress()
        self._file = folder / "evaluations.jsonl"
        self._read_s = -1.0
        self._evaluations: list[Evaluation] = []

    @property
    def collectors(self) -> int:
        """Robots of the run."""
        return len(self._link.steps)

    @property
    def waits(self) -> bool:
        """Whether a robot waits for something that ends by itself, or by a person."""
        return bool(self._link.total("waiting"))

    def robot(self, now_s: float) -> RobotView | None:
        """Return the newest tick of the first robot; None before the first. `now_s` is monotonic time, s."""
        ring = self._link.bus[0]
        silent_s = self._progress.silent_s(ring.head, now_s)
        rows = newest(ring, WINDOW_S * self._config.bus_hz)
        return robot_view(rows, self._joint_names, silent_s) if len(rows) else None

    def loop(self) -> LoopView | None:
        """Return how punctual the first collector is; None before its first step."""
        rows = newest(self._link.steps[0], WINDOW_S * self._config.control_hz)
        if not len(rows):
            return None
        return LoopView(1.0 / self._config.bus_hz, lateness_ms(rows), self._link.total("missed"))

    def run(self) -> RunView:
        """Return how far the run is."""
        for episodes in self._episodes:
            episodes.look()
        done = sorted((one for episodes in self._episodes for one in episodes.finished), key=lambda one: one.end_steps)
        judged, measure = self._judged(), self._measure
        return RunView(
            self._facts(done),
            Curve(
                "Return of an episode",
                tuple((one.end_steps, one.reward) for one in done),
                tuple((one.steps, one.mean_return) for one in judged),
            ),
            Curve(
                f"{measure.title}, {measure.unit}",
                tuple((one.end_steps, one.measure) for one in done),
                tuple((one.steps, one.mean_measure) for one in judged),
            ),
        )

    def _facts(self, done: list[EpisodeSummary]) -> tuple[tuple[str, str], ...]:
        figures = self._gauge.read()
        last = done[-1] if done else None
        figures_of_last = (
            ("return", "–" if last is None else f"{last.reward:.1f}"),
            (self._measure.name, "–" if last is None else f"{last.measure:.2f} {self._measure.unit}"),
        )
        if not self._link.counters.get("learner_ready") and not figures.steps:
            # Nobody learns: a policy runs, or its learner is not ready yet.
            falls = sum(one.failed for one in done)
            return (("steps", f"{self._link.collected}"), ("episodes", str(len(done))), ("falls", str(falls)), *figures_of_last)
        return (
            ("steps", f"{figures.steps} of {figures.total}"),
            ("falls", str(figures.falls)),
            *figures_of_last,
            ("updates/s", f"{figures.updates_per_s:.0f}"),
            ("left", figures.left),
            ("phase", figures.phase),
        )

    def _judged(self) -> list[Evaluation]:
        with contextlib.suppress(OSError, LogError):
            changed_s = self._file.stat().st_mtime
            if changed_s != self._read_s:
                self._evaluations, self._read_s = read_evaluations(self._file), changed_s
        return self._evaluations

    def close(self) -> None:
        """Detach."""
        self._link.close()
