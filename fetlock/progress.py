"""What a person sees while a run trains: one live line at a terminal, a line every ten seconds elsewhere."""

from __future__ import annotations

import math
import sys
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from robot.clock import monotonic_s
from training.contract import Contract
from training.link import Link
from training.tasks import Measure

# Seconds over which rates are taken, and between two lines where there is no terminal.
_RATE_WINDOW_S = 10.0
_LINE_EVERY_S = 10.0


@dataclass(frozen=True, slots=True)
class Figures:
    """The state of a run at one time."""

    steps: int
    total: int
    updates: int
    updates_per_s: float
    steps_per_s: float
    ratio: float
    episode_return: float
    measure: float
    task: Measure
    falls: int
    evaluations: int
    marks: int
    missed: int
    lateness_ms: float
    phase: str

    @property
    def left(self) -> str:
        """Time left to the last step at the present rate, as hours, minutes and seconds."""
        if self.steps_per_s <= 0.0:
            return "--:--"
        seconds = int((self.total - self.steps) / self.steps_per_s)
        hours, minutes = seconds // 3600, seconds // 60 % 60
        return f"{hours}:{minutes:02d}:{seconds % 60:02d}" if hours else f"{minutes}:{seconds % 60:02d}"

    @property
    def ratio_text(self) -> str:
        """The update-to-data ratio; before the first update there is none."""
        return "-" if math.isnan(self.ratio) else f"{self.ratio:.2f}"

    def line(self) -> str:
        """One line of text."""
        return (
            f"{self.phase}: {self.steps}/{self.total} steps, return {self.episode_return:.0f}, {self.task.told(self.measure)}, "
            f"falls {self.falls}, {self.updates_per_s:.0f} updates/s, ratio {self.ratio_text}, late {self.lateness_ms:.2f} ms, "
            f"missed {self.missed}, marks {self.marks} in {self.evaluations} evaluations, left {self.left}"
        )


class Gauge:
    """Reads the shared counters into `Figures`."""

    def __init__(self, link: Link, contract: Contract, collectors: int, task: Measure) -> None:
        self._link = link
        self._task = task
        self._contract = contract
        self._collectors = collectors
        self._window: deque[tuple[float, int, int]] = deque()

    def read(self) -> Figures:
        """Return the figures now."""
        counters = self._link.counters
        now_s, steps, updates = monotonic_s(), int(counters.get("consumed")), int(counters.get("updates"))
        self._window.append((now_s, steps, updates))
        while now_s - self._window[0][0] > _RATE_WINDOW_S:
            self._window.popleft()
        since_s, since_steps, since_updates = self._window[0]
        elapsed_s = max(now_s - since_s, 1e-6)
        return Figures(
            steps=steps,
            total=self._contract.total_steps,
            updates=updates,
            updates_per_s=(updates - since_updates) / elapsed_s,
            steps_per_s=(steps - since_steps) / elapsed_s,
            ratio=self._contract.ratio(steps, updates),
            episode_return=counters.get("return"),
            measure=counters.get("measure"),
            task=self._task,
            falls=int(counters.get("falls")),
            evaluations=int(counters.get("evaluations")),
            marks=int(counters.get("marks")),
            missed=self._link.total("missed"),
            lateness_ms=1e3 * max(counters.get(f"lateness_s_{i}") for i in range(self._collectors)),
            phase=self._phase(),
        )

    def _phase(self) -> str:
        counters = self._link.counters
        if counters.get("log_error"):
            # The logger tries again every second; nothing is acknowledged, so nothing is lost, until it can.
            held = ", the robot holds" if self._link.total("held") else ""
            return f"waiting for the log{held} (is the disk full? see logs/logger.log)"
        if self._link.total("waiting"):
            return "waiting for the robot (see logs/collector-0.log)" if self._collectors == 1 else "waiting for a robot (see logs/)"
        return "training" if counters.get("learner_ready") else "compiling"


class Progress:
    """Shows figures; use as a context manager."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._live = Live(console=self._console, refresh_per_second=4, transient=True) if self._console.is_terminal else None
        self._printed_s = -_LINE_EVERY_S

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, figures: Figures) -> None:
        """Show the newest figures."""
        if self._live is not None:
            self._live.update(_table(figures))
        elif monotonic_s() - self._printed_s >= _LINE_EVERY_S:
            self._printed_s = monotonic_s()
            sys.stderr.write(figures.line() + "\n")
            sys.stderr.flush()


def _table(figures: Figures) -> Table:
    table = Table.grid(padding=(0, 2))
    cells = {
        figures.phase: f"{figures.steps}/{figures.total}",
        "return": f"{figures.episode_return:.0f}",
        f"{figures.task.name} {figures.task.unit}": f"{figures.measure:.2f}",
        "falls": str(figures.falls),
        "updates/s": f"{figures.updates_per_s:.0f}",
        "ratio": figures.ratio_text,
        "late ms": f"{figures.lateness_ms:.2f}",
        "missed": str(figures.missed),
        "marks": f"{figures.marks} of {figures.evaluations}",
        "left": figures.left,
    }
    for _ in cells:
        table.add_column(justify="right")
    table.add_row(*(f"[dim]{name}[/dim]" for name in cells))
    table.add_row(*cells.values())
    outer = Table.grid()
    outer.add_row(ProgressBar(total=max(1, figures.total), completed=figures.steps, width=80))
    outer.add_row(table)
    return outer
