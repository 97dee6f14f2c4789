"""Evaluation: episodes of the mean action, apart from the data that learning sees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from policy.acting import Actor
from robot.errors import LogError
from training.env import RobotEnv, StepResult

# Episode seeds of evaluations lie apart from those of any collector.
_EVALUATION_STREAM = 2**20


class Mark(BaseModel):
    """When a task counts as learned: mean of the measure at least this, and no failed episode."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    measure: float


@dataclass(frozen=True, slots=True)
class Episode:
    """Sum of rewards, steps, mean of the task's measure, and whether it ended by a failure (a fall)."""

    reward: float
    steps: int
    measure: float
    failed: bool


class Evaluation(BaseModel):
    """One line of `evaluations.jsonl`: means over the episodes of one policy."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int
    updates: int
    version: int
    seconds: float
    episodes: int
    mean_return: float
    mean_measure: float
    falls: int
    mark: bool

    @property
    def rank(self) -> tuple[bool, float]:
        """Order of preference between policies: those at the mark first, then by return."""
        return self.mark, self.mean_return


class Tally:
    """Adds the policy ticks of an episode up."""

    def __init__(self) -> None:
        self._reward = 0.0
        self._measures: list[float] = []

    def add(self, result: StepResult, limit: int | None = None) -> Episode | None:
        """Take a tick; return the episode if it has ended, or has `limit` ticks."""
        self._reward += result.reward
        self._measures.append(result.measure)
        if result.terminated or result.truncated or len(self._measures) == limit:
            return Episode(self._reward, len(self._measures), float(np.mean(self._measures)), result.terminated)
        return None


def run_episode(
    env: RobotEnv[Any], actor: Actor, seed: int, each_step: Callable[[], None] = lambda: None, limit: int | None = None
) -> Episode:
    """Run one episode of the mean action from the start that `seed` draws, or its first `limit` steps."""
    observation = env.begin(np.random.default_rng([_EVALUATION_STREAM, seed]))
    tally = Tally()
    while True:
        result = env.advance(actor.act(observation, None, env.image))
        each_step()
        observation = result.observation
        if (episode := tally.add(result, limit)) is not None:
            return episode


def summarise(episodes: list[Episode], mark: Mark, *, steps: int, updates: int, version: int, seconds: float) -> Evaluation:
    """Reduce the episodes of one policy to the figures that decide."""
    falls = sum(episode.failed for episode in episodes)
    measure = float(np.mean([episode.measure for episode in episodes]))
    return Evaluation(
        steps=steps,
        updates=updates,
        version=version,
        seconds=seconds,
        episodes=len(episodes),
        mean_return=float(np.mean([episode.reward for episode in episodes])),
        mean_measure=measure,
        falls=falls,
        mark=falls == 0 and measure >= mark.measure,
    )


def append_evaluation(path: Path, evaluation: Evaluation) -> None:
    """Append one line to `evaluations.jsonl`."""
    _write(path, "a", [evaluation])


def write_evaluations(path: Path, evaluations: list[Evaluation]) -> None:
    """Replace `evaluations.jsonl`."""
    temporary = path.with_name(f".{path.name}.tmp")
    _write(temporary, "w", evaluations)
    temporary.replace(path)


def _write(path: Path, mode: str, evaluations: list[Evaluation]) -> None:
    try:
        with path.open(mode) as file:
            file.writelines(evaluation.model_dump_json() + "\n" for evaluation in evaluations)
    except OSError as error:
        raise LogError(f"{path}: the evaluation cannot be written ({error.strerror}): free space or fix the permissions") from error


def read_evaluations(path: Path) -> list[Evaluation]:
    """Read `evaluations.jsonl`, oldest first; an unfinished last line is left out. A missing file is an empty list."""
    if not path.exists():
        return []
    lines = path.read_text().splitlines()
    evaluations = []
    for number, line in enumerate(lines, start=1):
        try:
            evaluations.append(Evaluation.model_validate_json(line))
        except ValidationError as error:
            if number < len(lines):
                raise LogError(f"{path}: line {number} is no evaluation: restore the file or move it away") from error
    return evaluations


def marks_in_a_row(evaluations: list[Evaluation]) -> int:
    """Return for how many of the newest evaluations in a row the mark was held."""
    count = 0
    for evaluation in reversed(evaluations):
        if not evaluation.mark:
            break
        count += 1
    return count


def first_held(evaluations: list[Evaluation], in_a_row: int) -> Evaluation | None:
    """Return the evaluation at which the mark was first held `in_a_row` times; None if it never was."""
    return next((e for i, e in enumerate(evaluations) if marks_in_a_row(evaluations[: i + 1]) >= in_a_row), None)
