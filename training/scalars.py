"""TensorBoard events under the tag names of Stable-Baselines3, so that its users' dashboards work unchanged; ours beside them."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch.utils.tensorboard.writer import SummaryWriter

from safety.types import INTERVENTIONS
from training.episodes import EpisodeSummary
from training.evaluation import Evaluation
from training.sac import Metrics

_log = logging.getLogger(__name__)

# Episodes in the running means, as Stable-Baselines3's `stats_window_size`.
_WINDOW = 100


class Scalars:
    """Writes the events of one run into `folder`."""

    def __init__(self, folder: Path) -> None:
        self._writer: SummaryWriter | None = None
        try:
            self._writer = SummaryWriter(str(folder))
        except OSError as error:
            self._give_up(error)
        self._episodes: deque[EpisodeSummary] = deque(maxlen=_WINDOW)

    def episodes(self, summaries: list[EpisodeSummary]) -> None:
        """Add finished episodes to the running means, and each one's speed and length."""
        for summary in summaries:
            self._episodes.append(summary)
            self._scalar("rollout/ep_rew_mean", float(np.mean([e.reward for e in self._episodes])), summary.end_steps)
            self._scalar("rollout/ep_len_mean", float(np.mean([e.steps for e in self._episodes])), summary.end_steps)
            self._scalar("rollout/success_rate", float(np.mean([not e.failed for e in self._episodes])), summary.end_steps)
            self._scalar("rollout/ep_measure", summary.measure, summary.end_steps)

    def remember(self, summaries: list[EpisodeSummary]) -> None:
        """Take episodes that an earlier process has written into the running means."""
        self._episodes.extend(summaries)

    def learning(self, metrics: Metrics, steps: int, updates: int, rates: dict[str, float]) -> None:
        """Write the newest losses, and `rates` under their own tags."""
        self._scalar("train/critic_loss", float(metrics.critic_loss), steps)
        self._scalar("train/actor_loss", float(metrics.actor_loss), steps)
        self._scalar("train/ent_coef", float(metrics.temperature), steps)
        self._scalar("train/entropy", float(metrics.entropy), steps)
        self._scalar("train/q_mean", float(metrics.value), steps)
        self._scalar("train/n_updates", float(updates), steps)
        for tag, value in rates.items():
            self._scalar(tag, value, steps)

    def loop(self, records: NDArray[np.void], steps: int) -> None:
        """Write what the control loop and the guard did over some step records."""
        if len(records):
            self._scalar("loop/lateness_ms_p99", float(np.percentile(records["lateness_s"], 99)) * 1e3, steps)
            self._scalar("safety/clip_rate", float(np.mean((records["filter_mask"] & int(INTERVENTIONS)) != 0)), steps)

    def robot(self, ticks: Sequence[NDArray[np.void]], bus_errors: Sequence[float], steps: int) -> None:
        """Write what a robot's body says, as far as it does: its hottest motor over some bus records, and errors of its bus so far.

        Args:
            ticks: Bus records, of each collector.
            bus_errors: Of each collector; NaN where there is no bus.
            steps: Of the run.
        """
        temperatures_c = [float(np.nanmax(records["temperature_c"])) for records in ticks if np.isfinite(records["temperature_c"]).any()]
        if temperatures_c:
            self._scalar("robot/temp_max_c", max(temperatures_c), steps)
        counted = [errors for errors in bus_errors if np.isfinite(errors)]
        if counted:
            self._scalar("robot/bus_errors", sum(counted), steps)

    def evaluation(self, result: Evaluation) -> None:
        """Write one evaluation."""
        self._scalar("eval/mean_reward", result.mean_return, result.steps)
        self._scalar("eval/mean_measure", result.mean_measure, result.steps)
        self._scalar("eval/falls", float(result.falls), result.steps)

    def flush(self) -> None:
        """Hand everything to the kernel."""
        self._attempt(SummaryWriter.flush)

    def close(self) -> None:
        """Finish the file."""
        self._attempt(SummaryWriter.close)

    def _scalar(self, tag: str, value: float, steps: int) -> None:
        self._attempt(lambda writer: writer.add_scalar(tag, value, steps))

    def _attempt(self, call: Callable[[SummaryWriter], None]) -> None:
        if self._writer is None:
            return
        try:
            call(self._writer)
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        """Curves are worth no run: when the disk does not take them, say so once and go on without."""
        self._writer = None
        _log.warning("no more TensorBoard events: %s", error.strerror)
