"""Judges candidate policies by their episodes, whoever ran them, and keeps the best."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from policy.layout import PolicyLayout
from policy.snapshot import Policy, PolicyConfig, save_policy
from robot.clock import monotonic_s
from robot.transport import Counters
from training.evaluation import (
    Episode,
    Evaluation,
    Mark,
    append_evaluation,
    marks_in_a_row,
    read_evaluations,
    summarise,
    write_evaluations,
)
from training.transport import Weights


@dataclass(frozen=True, slots=True)
class Terms:
    """What policies are judged by, and where it is written.

    Attributes:
        mark: When the task counts as learned.
        episodes: Episodes for each policy.
        folder: The run's.
    """

    mark: Mark
    episodes: int
    folder: Path


class Judge:
    """Writes `evaluations.jsonl`, and the best policy into `policy/`.

    Args:
        layout: Of the policies.
        terms: To judge by.
        started_s: Monotonic time of the start of the run, for the `seconds` of each evaluation.
    """

    def __init__(self, layout: PolicyLayout, terms: Terms, started_s: float) -> None:
        self.layout = layout
        self.terms = terms
        self._file = terms.folder / "evaluations.jsonl"
        self._started_s = started_s
        self.results: list[Evaluation] = read_evaluations(self._file)

    @property
    def marks(self) -> int:
        """For how many evaluations in a row the mark has been held."""
        return marks_in_a_row(self.results)

    @property
    def version(self) -> int:
        """Of the newest policy that was judged; 0: none was."""
        return max((result.version for result in self.results), default=0)

    def forget_after(self, steps: int) -> None:
        """Drop the results of policies younger than `steps`: a deterministic run that goes back to a checkpoint judges them anew."""
        self.results = [result for result in self.results if result.steps <= steps]
        write_evaluations(self._file, self.results)

    def decide(self, weights: Weights, episodes: list[Episode]) -> Evaluation:
        """Write the result of a policy's episodes, and keep the policy if it is the best so far."""
        seconds = monotonic_s() - self._started_s
        result = summarise(
            episodes, self.terms.mark, steps=weights.steps, updates=weights.updates, version=weights.version, seconds=seconds
        )
        best = all(result.rank > other.rank for other in self.results)
        self.results.append(result)
        append_evaluation(self._file, result)
        if best:
            figures = {"mean_return": result.mean_return, "mean_measure": result.mean_measure, "falls": float(result.falls)}
            config = PolicyConfig(
                layout=self.layout, version=result.version, steps=result.steps, updates=result.updates, evaluation=figures
            )
            save_policy(self.terms.folder / "policy", Policy(config, weights.vector))
        return result

    def report(self, counters: Counters, version: int) -> None:
        """Tell the other processes that a policy was judged."""
        counters.set("marks", self.marks)
        counters.set("evaluations", len(self.results))
        counters.set("evaluated", version)
