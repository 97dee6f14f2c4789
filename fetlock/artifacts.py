"""What every run leaves behind: summary.json, curves.png, a video of its best policy, and its report."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import JsonValue

from fetlock.build import contract_of
from fetlock.config import RunConfig, task_of
from fetlock.films import film_policy
from fetlock.host import machine
from fetlock.machines import HardwareConfig
from fetlock.plots.curves import plot_curves
from fetlock.report import write_report
from fetlock.revision import revision
from policy.snapshot import load_policy
from robot.errors import FetlockError
from safety.types import INTERVENTIONS
from training.evaluation import first_held, read_evaluations
from training.rollout_log import read_run
from training.tasks import Measure


@dataclass(frozen=True, slots=True)
class LoopFigures:
    """What the control loops counted since the run was started or resumed.

    Attributes:
        restarts: Of each process.
        missed: Bus ticks skipped.
        lost: Records that found no room, because the logger was too slow or its disk full.
    """

    restarts: dict[str, int]
    missed: int
    lost: int


def finish_run(folder: Path, config: RunConfig, *, seconds: float, loop: LoopFigures, video: bool) -> None:
    """Write the run's artifacts and print where they are; an artifact that fails is named and does not cost the others."""
    summary = summarise_run(folder, config, seconds=seconds, loop=loop)
    (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    sys.stdout.write(f"{folder}: {_sentence(summary, task_of(config).measure)}\n")
    _attempt("curves.png", lambda: plot_curves([folder], folder / "curves.png"))
    # A robot of metal does not get up to be filmed.
    if video and (folder / "policy").is_dir() and not isinstance(config.robot, HardwareConfig):
        _attempt("walk.mp4", lambda: film_policy(folder / "policy", config, folder / "walk.mp4"))
    _attempt("report.html", lambda: write_report(folder, folder / "report.html"))


def summarise_run(folder: Path, config: RunConfig, *, seconds: float, loop: LoopFigures) -> dict[str, JsonValue]:
    """Reduce a run to its figures: learning from the evaluations, timing and interventions from the log."""
    steps = read_run(folder / "rollouts")
    evaluations = read_evaluations(folder / "evaluations.jsonl")
    last = folder / "policy_last"
    updates = load_policy(last).config.updates if last.is_dir() else 0
    best = max(evaluations, key=lambda e: e.rank, default=None)
    # The mark is reached when it was held in so many evaluations in a row; the run stops there.
    wanted = max(1, config.train.stop_after_marks)
    reached = first_held(evaluations, wanted)
    lateness_ms = 1e3 * steps["lateness_s"] if len(steps) else np.zeros(1)
    clipped = float(np.mean((steps["filter_mask"] & int(INTERVENTIONS)) != 0)) if len(steps) else 0.0
    return {
        "steps": len(steps),
        "episodes": len(np.unique(np.stack([steps["collector"], steps["episode"]]), axis=1)[0]) if len(steps) else 0,
        "training_falls": int(steps["terminated"].sum()),
        "updates": updates,
        "update_to_data_ratio": None if len(steps) <= config.train.learning_starts else contract_of(config).ratio(len(steps), updates),
        "seconds": round(seconds, 1),
        "updates_per_s": round(updates / seconds, 1) if seconds > 0 else None,
        "mark": None if reached is None else {"steps": reached.steps, "seconds": round(reached.seconds, 1), "evaluations_in_a_row": wanted},
        "best": None if best is None else best.model_dump(mode="json"),
        "evaluations": len(evaluations),
        "lateness_ms": {name: round(float(np.percentile(lateness_ms, q)), 3) for name, q in (("p50", 50), ("p99", 99), ("p99.9", 99.9))},
        "interventions_share": round(clipped, 5),
        "missed_ticks": loop.missed,
        "lost_records": loop.lost,
        "restarts": dict(loop.restarts),
        "revision": revision(),
        "machine": machine(),
        "learner_threads": config.train.threads,
        "seed": config.seed,
    }


def _attempt(name: str, make: Callable[[], None]) -> None:
    try:
        make()
    except FetlockError as error:
        sys.stderr.write(f"{name} was not made: {error}\n")


def _sentence(summary: dict[str, JsonValue], measure: Measure) -> str:
    best = summary["best"]
    head = f"{summary['steps']} steps, {summary['updates']} updates in {summary['seconds']} s, {summary['training_falls']} falls"
    if not isinstance(best, dict):
        return f"{head}; no policy was evaluated yet"
    kept = f"best policy: {measure.told(float(str(best['mean_measure'])))}, {best['falls']} falls in {best['episodes']} episodes"
    mark = summary["mark"]
    return f"{head}; {kept}; " + (f"mark held at step {mark['steps']}" if isinstance(mark, dict) else "mark not held")
