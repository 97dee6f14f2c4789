"""Asks a policy again what it would do at every recorded observation."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fetlock.build import policy_layout
from fetlock.config import RunConfig
from fetlock.replays.logs import read_whole
from policy.acting import load_actor
from policy.image import FrameStack, Image
from policy.layout import PolicyLayout
from robot.errors import LogError
from training.rollout_log import NO_FRAMES, RolloutLog


@dataclass(frozen=True, slots=True)
class ActionComparison:
    """How far a policy's mean action is from what was done.

    Attributes:
        logs: Number of files.
        steps: Policy ticks in them.
        random: Of them, without a policy: the actions were drawn.
        same: Steps with every number of the action the same, bit for bit.
        rms: Root mean square by action, by name, in action units; of the steps that had a policy.
        max: Largest difference.
        at: Where the largest difference is.
    """

    logs: int
    steps: int
    random: int
    same: int
    rms: dict[str, float]
    max: float
    at: str


def compare_actions(paths: Sequence[Path], policy_path: Path, config: RunConfig) -> ActionComparison:
    """Compare a policy with what some logs recorded.

    A run of the same policy without exploration agrees bit for bit. A training run explores: what is left is its noise.

    Args:
        paths: The logs.
        policy_path: A run folder, or the folder of a policy.
        config: Of the logs.

    Raises:
        LogError: If a file is no log, is damaged, or no step had a policy.
        PolicyError: If the policy cannot be read, or is of another robot or task.
    """
    layout = policy_layout(config)
    actor, _ = load_actor(policy_path, layout)
    differences: list[np.ndarray] = []
    steps = random = same = 0
    worst, at = 0.0, ""
    for path in paths:
        log = read_whole(path, frames=layout.image is not None)
        asked = log.steps["policy_version"] > 0 if len(log.steps) else np.zeros(0, np.bool_)
        driven = log.steps[asked]
        steps, random = steps + len(log.steps), random + len(log.steps) - len(driven)
        if not len(driven):
            continue
        if driven["observation"].shape[1] != len(layout.observation_names) or driven["action"].shape[1] != len(layout.action_names):
            raise LogError(f"{path} has observations or actions of another size than this task: give the --config that it was made with")
        seen = itertools.compress(_seen(path, log, layout), asked)
        found = np.stack([actor.act(observation, None, image) for observation, image in zip(driven["observation"], seen, strict=True)])
        difference = np.abs(found.astype(np.float64) - driven["action"])
        same += int((found == driven["action"]).all(axis=1).sum())
        differences.append(difference)
        # A broken policy's actions were no numbers.
        largest = np.nan_to_num(difference, nan=np.inf).max(axis=1)
        if float(largest.max()) > worst:
            worst, at = float(largest.max()), f"{path.name}, step {driven['step'][int(largest.argmax())]}"
    if not differences:
        raise LogError(f"{paths[0]}: no step had a policy, all actions were drawn or a person's: choose a later episode")
    rms = np.sqrt(np.mean(np.concatenate(differences) ** 2, axis=0))
    named = {name: float(value) for name, value in zip(layout.action_names, rms, strict=True)}
    return ActionComparison(len(paths), steps, random, same, named, worst, at)


def _seen(path: Path, log: RolloutLog, layout: PolicyLayout) -> Iterator[Image | None]:
    """Yield what the policy saw at each step; None where it sees nothing."""
    if layout.image is None:
        yield from itertools.repeat(None, len(log.steps))
        return
    frames = (log.frames or NO_FRAMES).of_steps(log.steps)
    if len(frames) < len(log.steps):
        raise LogError(f"{path}: {len(log.steps) - len(frames)} steps have no frame of what the policy saw: choose another episode")
    stack = FrameStack(layout.image)
    for image in frames.decoded():
        yield stack.push(image)


def sentence(comparison: ActionComparison) -> str:
    """Say a comparison in words."""
    asked = comparison.steps - comparison.random
    drawn = f" ({comparison.random} more were drawn or driven by a person)" if comparison.random else ""
    head = f"{comparison.logs} logs: {comparison.same} of {asked} actions are the policy's own, bit for bit{drawn}"
    if comparison.same == asked:
        return f"{head}\n"
    rows = "".join(f"  {name} {value:.4f}\n" for name, value in comparison.rms.items())
    return f"{head}; the largest difference is {comparison.max:.3g}, in {comparison.at}; RMS by action:\n{rows}"
