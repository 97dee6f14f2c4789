"""The learning curve of a run, from what it left on disk."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from robot.errors import FetlockError, UsageError
from training.evaluation import Evaluation, read_evaluations
from training.rollout_log import read_run
from training.tasks import Measure, measure_of


@dataclass(frozen=True)
class Origin:
    """What a run's configuration says of its curves.

    Attributes:
        seed: Of the run.
        measure: What the task's figure is called.
        mark: Measure at which the task counts as learned, if the run says.
        body: Robot and task: what may share a picture.
        recipe: The whole configuration but the seed, as text: runs with the same one are repetitions of each other.
    """

    seed: int | None
    measure: Measure
    mark: float | None
    body: str
    recipe: str


@dataclass(frozen=True)
class Curves:
    """What is drawn of one run.

    Attributes:
        name: Of the run's folder.
        origin: Of its configuration.
        end_step: Shape (e,): environment steps of all collectors at the end of each episode.
        episode_return: Shape (e,): sum of rewards.
        measure: Shape (e,): mean of the task's measure, for walking the forward speed in m/s.
        length: Shape (e,): policy ticks.
        failed: Shape (e,): the episode was terminated, for walking by a fall.
        evaluations: Oldest first.
    """

    name: str
    origin: Origin
    end_step: NDArray[np.int64]
    episode_return: NDArray[np.float64]
    measure: NDArray[np.float64]
    length: NDArray[np.int64]
    failed: NDArray[np.bool_]
    evaluations: list[Evaluation]

    @property
    def label(self) -> str:
        """Name of the run and its seed."""
        return self.name + ("" if self.origin.seed is None else f" (seed {self.origin.seed})")


def read_curves(folder: Path) -> Curves:
    """Reduce a run's log and evaluations to its curves.

    Raises:
        UsageError: If the folder holds no run.
        FetlockError: If nothing has been recorded yet.
        LogError: If the log is damaged.
    """
    if not (folder / "rollouts").is_dir():
        raise UsageError(f"{folder} holds no run (rollouts/ is missing): give a folder that `fetlock train` made, such as runs/NAME")
    steps = read_run(folder / "rollouts")
    evaluations = read_evaluations(folder / "evaluations.jsonl")
    if not len(steps):
        raise FetlockError(f"{folder} has no recorded step yet: wait for its first episode")
    # Several collectors take turns; their clocks cannot order them, since a restarted one begins anew.
    steps = steps[np.lexsort((steps["collector"], steps["sequence"]))]
    _, episode = np.unique(np.stack([steps["collector"], steps["episode"]]), axis=1, return_inverse=True)
    episode = episode.reshape(-1)
    length = np.bincount(episode)
    # The number of the last step of each episode among all steps.
    end_step = np.zeros(len(length), np.int64)
    np.maximum.at(end_step, episode, np.arange(1, len(steps) + 1))
    ended = np.bincount(episode, steps["terminated"] | steps["truncated"]) > 0
    # An episode that is under way or was cut off would look like a fall in length and return.
    order = np.argsort(end_step)[ended[np.argsort(end_step)]]
    return Curves(
        folder.resolve().name,
        origin_of(folder),
        end_step[order],
        np.bincount(episode, steps["reward"]).astype(np.float64)[order],
        (np.bincount(episode, steps["measure"]) / length)[order],
        length[order],
        (np.bincount(episode, steps["terminated"]) > 0)[order],
        evaluations,
    )


def origin_of(folder: Path) -> Origin:
    """Read a run's configuration, whichever version of Fetlock wrote it.

    Raises:
        UsageError: If there is none.
    """
    path = folder / "config.yaml"
    try:
        config = yaml.safe_load(path.read_text())
        robot, task = config["robot"], config["task"] or {}
        machine = robot.get("machine", robot)
        seed = config.pop("seed", None)
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is no configuration of a run ({type(error).__name__}): restore it, or give another run") from error
    body = f"{machine.get('kind', 'minitaur')}, {task.get('kind', 'no task')}"
    mark = task.get("mark_speed_m_s", task.get("mark_share"))
    return Origin(seed, measure_of(str(task.get("kind", "walk"))), mark, body, json.dumps(config, sort_keys=True))
