"""Learning from a link: digest what the logger acknowledged, update as the contract says, publish, offer candidates, keep checkpoints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from policy.snapshot import Policy, PolicyConfig, save_policy
from robot.clock import monotonic_s
from robot.transport import OverrunError, Ring
from training.checkpoint import CheckpointState, load_checkpoint, save_checkpoint
from training.contract import Contract
from training.episodes import EpisodeSummary
from training.evaluation import read_evaluations
from training.learner import Learner
from training.link import Link
from training.rollout_log import read_run, read_seen
from training.sac import Metrics
from training.scalars import Scalars

# Steps between two rows of learning figures in TensorBoard.
_SCALARS_EVERY = 250
# Bus ticks that are looked through for the hottest motor then: a motor warms up over minutes.
_BUS_TICKS = 100
# Records taken from a ring at a time: bounds the time until the next update.
_PULL_LIMIT = 1024


class Session:
    """One learner's work on a run, in a process of its own or inside a deterministic one.

    Args:
        learner: Fresh; `restore` brings it to where the run stands.
        link: Rings to read, slots to publish to.
        contract: The update-to-data ratio.
        folder: The run's: `checkpoints/`, `rollouts/`, `tensorboard/`.
        config_sha: Of the run's configuration: a checkpoint of another one is refused.
        evaluate_every: Steps between candidates.
        checkpoint_every: Steps between checkpoints.
    """

    def __init__(
        self, learner: Learner, link: Link, contract: Contract, folder: Path, config_sha: str, evaluate_every: int, checkpoint_every: int
    ) -> None:
        self.learner = learner
        self._link = link
        self._contract = contract
        self._folder = folder
        self._config_sha = config_sha
        self._evaluate_every = evaluate_every
        self._checkpoint_every = checkpoint_every
        self._scalars = Scalars(folder / "tensorboard")
        self._next = [ring.acknowledged for ring in link.steps]
        # Before the log is read: what it has already comes again, and does no harm.
        self._next_frame = [ring.acknowledged for ring in link.frames]
        self._recent: list[NDArray[np.void]] = []
        self._metrics: Metrics | None = None
        self._version = 0
        self._candidate_at = self._checkpoint_at = self._scalars_at = 0
        self._evaluations = len(read_evaluations(folder / "evaluations.jsonl"))
        self._rate_since = (monotonic_s(), 0, 0)

    def restore(self) -> None:
        """Load the newest checkpoint if there is one, and rebuild the replay from the log.

        Raises:
            CheckpointError: If checkpoints are there but none can be read, or they belong to another configuration.
            LogError: If the log cannot be read.
        """
        checkpoint = load_checkpoint(self._folder / "checkpoints", config_sha=self._config_sha)
        if checkpoint is not None:
            tensors, state = checkpoint
            self.learner.restore(tensors, state.updates)
            self._version = state.policy_version
            self._checkpoint_at = state.steps
        steps = read_run(self._folder / "rollouts")
        if len(steps):
            self._scalars.remember(self._relearn(steps))
            self._recent = [steps[len(steps) - len(steps) % _SCALARS_EVERY :]]
            if int(steps["policy_version"].max()) > self._version:
                self._version = int(steps["policy_version"].max()) + 1
            for collector in range(len(self._next)):
                own = steps["sequence"][steps["collector"] == collector]
                self._next[collector] = int(own.max()) + 1 if len(own) else 0
        self._candidate_at, self._scalars_at = self._learned, self.learner.steps
        self._rate_since = (monotonic_s(), self.learner.steps, self.learner.updates)
        if self.learner.ready:
            if not (self.learner.updates or self._evaluations):
                # What the run begins with is its first candidate.
                self._candidate_at = -1
            # 0 is the version of random actions.
            self._version = max(self._version, self._link.weights.version + 1)
            self._publish()
        self._report()

    @property
    def _learned(self) -> int:
        return self._contract.steps_learned(self.learner.steps, self.learner.updates)

    @property
    def due(self) -> int:
        """Updates that the contract owes now."""
        return self._contract.updates_due(self.learner.steps, self.learner.updates) if self.learner.replay.size else 0

    @property
    def finished(self) -> bool:
        """Every step of the run was digested and no update is owed."""
        return self.learner.steps >= self._contract.total_steps and self.due == 0

    def pull(self) -> int:
        """Digest what was acknowledged since the last call; return the number of steps."""
        count = 0
        for collector, ring in enumerate(self._link.steps):
            start = self._next[collector]
            available = ring.acknowledged - start
            if available <= 0:
                continue
            try:
                records, frames = ring.read(start, min(available, _PULL_LIMIT)), self._frames(collector)
            except OverrunError:
                records, frames = self._from_log(collector, start)
            self._next[collector] = start + len(records)
            ring.consume(self._next[collector])
            self._digest(records, frames, collector)
            count += len(records)
        if count:
            self._report()
        return count

    def work(self) -> bool:
        """Do the updates of one environment step if they are owed, publish, and do what is due at this step; return whether it worked."""
        if self.due <= 0:
            return False
        self._metrics = self.learner.update()
        self._version += 1
        self._publish()
        self._report()
        return True

    def offer_candidate(self) -> bool:
        """Hand the present policy to the evaluator if it is `evaluate_every` steps further or the run's last; return whether it did."""
        # What the run began with has learned from none of its steps.
        steps = self._learned if self.learner.updates else 0
        further = steps // self._evaluate_every > self._candidate_at // self._evaluate_every
        last = self.finished and steps > self._candidate_at
        if not (self.learner.ready and (further or last)) or self._version == self._link.candidate.version:
            return False
        self._candidate_at = steps
        self._link.candidate.publish(self._version, self.learner.vector(), steps, self.learner.updates)
        return True

    def checkpoint_due(self) -> bool:
        """Tell whether `checkpoint_every` steps have passed since the last checkpoint."""
        return self.learner.steps - self._checkpoint_at >= self._checkpoint_every

    def checkpoint(self) -> None:
        """Commit weights, optimiser, random states and log position in one manifest."""
        self._checkpoint_at = self.learner.steps
        # What is behind a checkpoint is made again; what is before it must not be missing from the curves.
        self._scalars.flush()
        state = CheckpointState(
            steps=self.learner.steps,
            updates=self.learner.updates,
            policy_version=self._version,
            log_position=dict(enumerate(self._next)),
            config_sha=self._config_sha,
        )
        save_checkpoint(self._folder / "checkpoints", self.learner.tensors(), state)

    def write_scalars(self) -> None:
        """Write the learning figures if it is time, and evaluations that have come in."""
        # At multiples, wherever a resumed run begins to count.
        if self.learner.steps // _SCALARS_EVERY > self._scalars_at // _SCALARS_EVERY:
            self._scalars_at = self.learner.steps
            if self._metrics is not None:
                self._scalars.learning(self._metrics, self.learner.steps, self.learner.updates, self._rates())
            self._scalars.loop(np.concatenate(self._recent), self.learner.steps)
            self._recent.clear()
            errors = [self._link.counters.get(f"bus_errors_{collector}") for collector in range(len(self._next))]
            self._scalars.robot([newest_ticks(ring) for ring in self._link.bus], errors, self.learner.steps)
        if int(self._link.counters.get("evaluations")) > self._evaluations:
            results = read_evaluations(self._folder / "evaluations.jsonl")
            for result in results[self._evaluations :]:
                self._scalars.evaluation(result)
            self._evaluations = len(results)

    def save_last(self) -> None:
        """Write the present policy to `policy_last/`, whatever its evaluation."""
        config = PolicyConfig(layout=self.learner.layout, version=self._version, steps=self.learner.steps, updates=self.learner.updates)
        save_policy(self._folder / "policy_last", Policy(config, self.learner.vector()))

    def close(self) -> None:
        """Finish the event file."""
        self.write_scalars()
        self._scalars.close()

    def _digest(self, records: NDArray[np.void], frames: NDArray[np.void] | None, collector: int) -> None:
        finished = self.learner.add(records, frames, collector)
        self._recent.append(records)
        self._scalars.episodes(finished)
        if finished:
            self._link.counters.set("return", finished[-1].reward)
            self._link.counters.set("measure", finished[-1].measure)

    def _frames(self, collector: int) -> NDArray[np.void] | None:
        """Take the frames that were acknowledged since the last call, those of all such steps among them; None where none is seen."""
        if self.learner.layout.image is None:
            return None
        ring, start = self._link.frames[collector], self._next_frame[collector]
        frames = ring.read(start, ring.acknowledged - start)
        self._next_frame[collector] = start + len(frames)
        return frames

    def _from_log(self, collector: int, start: int) -> tuple[NDArray[np.void], NDArray[np.void] | None]:
        folder = self._folder / "rollouts"
        if self.learner.layout.image is None:
            steps = read_run(folder)
            return steps[(steps["collector"] == collector) & (steps["sequence"] >= start)], None
        self._next_frame[collector] = self._link.frames[collector].acknowledged
        parts = [(own, frames) for _, own, frames in read_seen(folder, collector, start)]
        return np.concatenate([own for own, _ in parts]), np.concatenate([frames for _, frames in parts])

    def _relearn(self, steps: NDArray[np.void]) -> list[EpisodeSummary]:
        """Digest what the log has."""
        if self.learner.layout.image is None:
            return self.learner.add(steps)
        seen = read_seen(self._folder / "rollouts")
        return [episode for collector, own, frames in seen for episode in self.learner.add(own, frames, collector)]

    def _publish(self) -> None:
        self._link.weights.publish(self._version, self.learner.vector(), self._learned, self.learner.updates)

    def _report(self) -> None:
        counters = self._link.counters
        counters.set("consumed", self.learner.steps)
        counters.set("updates", self.learner.updates)
        counters.set("episodes", self.learner.book.finished)
        counters.set("falls", self.learner.book.failures)

    def _rates(self) -> dict[str, float]:
        now_s, steps, updates = monotonic_s(), self.learner.steps, self.learner.updates
        since_s, since_steps, since_updates = self._rate_since
        self._rate_since = (now_s, steps, updates)
        elapsed_s = max(now_s - since_s, 1e-9)
        return {
            "time/fps": (steps - since_steps) / elapsed_s,
            "time/updates_per_s": (updates - since_updates) / elapsed_s,
            "train/update_to_data_ratio": self._contract.ratio(steps, updates),
        }


def newest_ticks(ring: Ring) -> NDArray[np.void]:
    """Return bus records of the last second or some; none where the collector has just overwritten them."""
    try:
        return ring.read(max(ring.head - _BUS_TICKS, 0), _BUS_TICKS)
    except OverrunError:
        return np.zeros(0, ring.dtype)
