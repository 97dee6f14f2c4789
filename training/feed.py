"""What policy a collector acts with: the newest that was learned, or one that is judged on the only robot that there is."""

from __future__ import annotations

from policy.layout import Vector
from robot.errors import PolicyError
from safety.types import Mode
from training.collector import Collector
from training.env import StepResult
from training.evaluation import Episode, Tally
from training.judging import Judge
from training.link import Link
from training.transport import Weights, WeightSlot


class WeightFeed:
    """Gives the collector the newest weights that are good; counts what was adopted and refused."""

    def __init__(self, slot: WeightSlot, collector: Collector) -> None:
        self._slot = slot
        self._collector = collector
        self._version = 0
        self.adopted = 0
        self.refused = 0

    def poll(self) -> None:
        """Before a policy tick: adopt the newest version if there is one; keep the last good set if it is corrupt or not finite."""
        weights = self._slot.newest(self._version)
        if weights is None:
            return
        self._version = weights.version
        self._adopt(weights.version, weights.vector)

    def take(self, result: StepResult | None) -> None:
        """After a policy tick; None: the robot failed in it."""

    def _adopt(self, version: int, vector: Vector) -> bool:
        try:
            self._collector.adopt(version, vector)
        except PolicyError:
            self.refused += 1
            return False
        self.adopted += 1
        return True


class Rehearsal(WeightFeed):
    """Lets candidates drive as well: each has some whole episodes of its mean action, by which it is judged.

    What they show is recorded and learned from like everything else that the robot does. Its box of actions holds for them too. An episode
    in which a person drove is not theirs, and is not counted.

    Args:
        link: Where weights are published and candidates offered.
        collector: Of the robot.
        judge: Of the episodes.
    """

    def __init__(self, link: Link, collector: Collector, judge: Judge) -> None:
        super().__init__(link.weights, collector)
        self._link = link
        self._judge = judge
        self._judged = judge.version
        self._candidate: Weights | None = None
        self._episodes: list[Episode] = []
        self._forget()

    def poll(self) -> None:
        if self._candidate is None and self._collector.between_episodes:
            self._begin()
        if self._candidate is None:
            super().poll()

    def take(self, result: StepResult | None) -> None:
        if self._candidate is None:
            return
        if result is None:
            self._forget()
            return
        self._helped |= result.mode is Mode.TELEOP
        if (episode := self._tally.add(result)) is None:
            return
        helped = self._helped
        self._forget()
        if helped:
            return
        self._episodes.append(episode)
        if len(self._episodes) == self._judge.terms.episodes:
            self._judge.decide(self._candidate, self._episodes)
            self._judge.report(self._link.counters, self._candidate.version)
            self._candidate = None
            self._collector.mean = False
            # The newest weights may be ones that the candidate has replaced.
            self._version = 0

    def _forget(self) -> None:
        self._tally, self._helped = Tally(), False

    def _begin(self) -> None:
        candidate = self._link.candidate.newest(self._judged)
        if candidate is None:
            return
        self._judged = candidate.version
        if self._adopt(candidate.version, candidate.vector):
            self._candidate, self._episodes = candidate, []
            self._forget()
            self._collector.mean = True
