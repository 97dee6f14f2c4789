"""The update-to-data ratio as a contract: so many updates of the critics for each environment step, no fewer and no more.

It throttles the learner always; in a fast simulation it throttles the collectors as well, so that a run at 900 steps/s does not outrun a
learner that digests 50; a robot in real time is never throttled: its learner catches up, or reports the ratio that it reaches.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Contract:
    """The numbers that both ends agree on.

    Attributes:
        updates_per_step: Updates owed for each step after the start.
        learning_starts: Steps before the first update.
        random_steps: Steps of uniformly random actions at the start: none where the run begins with a policy.
        lead: Steps that a collector may be ahead of the updates.
        total_steps: Steps of the run.
        realtime: A robot, or a simulation slowed to real time.
    """

    updates_per_step: int
    learning_starts: int
    random_steps: int
    lead: int
    total_steps: int
    realtime: bool

    def updates_due(self, steps: int, updates: int) -> int:
        """Return the updates owed after `steps` digested steps (never negative)."""
        return max(0, self.updates_per_step * (steps - self.learning_starts) - updates)

    def steps_learned(self, steps: int, updates: int) -> int:
        """Return the steps that the updates done so far amount to: where the policy stands, whatever the collectors have run ahead."""
        return min(steps, self.learning_starts + updates // self.updates_per_step)

    def may_collect(self, collected: int, updates: int) -> bool:
        """Tell whether the collectors may take one more step."""
        if collected >= self.total_steps:
            return False
        return self.realtime or collected < self.learning_starts + self.lead + updates / self.updates_per_step

    def ratio(self, steps: int, updates: int) -> float:
        """Return the ratio reached: updates for each step after the start; nan before it."""
        return updates / (steps - self.learning_starts) if steps > self.learning_starts else float("nan")
