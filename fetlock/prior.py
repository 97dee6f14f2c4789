"""Checks what a run is to begin with before its folder is made: `fetlock train --from RUN`, and the keys under `prior`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fetlock.build import goals_of, policy_layout
from fetlock.config import RunConfig, load_config
from policy.layout import TRANSITION_FIELDS, PolicyLayout
from policy.snapshot import Policy, load_policy
from robot.errors import CheckpointError, UsageError
from training.config import PriorConfig
from training.records import learnable
from training.rollout_log import read_run
from training.runs import PRIOR_FOLDER

if TYPE_CHECKING:
    from torch import Tensor

    from training.checkpoint import CheckpointState


@dataclass(frozen=True)
class Beginning:
    """What fits a run.

    Attributes:
        networks: Tensors by name, and where they stood; None: fresh ones.
        runs: Folders of the runs whose logs are prior data.
    """

    networks: tuple[Mapping[str, Tensor], CheckpointState] | None
    runs: tuple[Path, ...]

    def keep(self, folder: Path) -> None:
        """Copy it into the run's folder."""
        from training.prior import keep_prior

        keep_prior(folder, self.networks, self.runs)


def is_kept(folder: Path) -> bool:
    """Tell whether a run's folder holds already what the run began with."""
    return (folder / PRIOR_FOLDER).is_dir()


def find_beginning(config: RunConfig) -> Beginning | None:
    """Read what the configuration says that the run begins with; None if it says nothing.

    Raises:
        UsageError: If a path is no run or policy, or is of another robot, task or network.
        PolicyError, CheckpointError, LogError: If it is damaged.
    """
    prior = config.prior
    if prior is None:
        return None
    layout = policy_layout(config)
    networks = None if prior.policy is None else _networks(Path(prior.policy), layout, config)
    paths = _runs(prior) if prior.share else ()
    if paths and layout.image is not None:
        raise UsageError("a policy that sees learns from no prior data: set prior.share 0, and it begins with the networks alone")
    for path in paths:
        _require_data(path, layout)
    return Beginning(networks, paths)


def _runs(prior: PriorConfig) -> tuple[Path, ...]:
    """Return the runs that are named for their data, else the one whose policy it is; a policy alone has none."""
    if prior.runs is not None or prior.policy is None:
        return tuple(Path(run) for run in prior.runs or ())
    source = Path(prior.policy)
    return (source,) if (source / "rollouts").is_dir() else ()


def _networks(path: Path, layout: PolicyLayout, config: RunConfig) -> tuple[Mapping[str, Tensor], CheckpointState]:
    """Take the best actor; where there is a whole run, with the rest of its newest checkpoint."""
    import torch

    from training.checkpoint import CheckpointState, load_checkpoint
    from training.learner import make_sac

    policy = load_policy(path)
    policy.config.layout.require_same(layout, str(path))
    own, encoder = layout.split_encoder(policy.vector)
    actor = {f"actor.{name}": torch.from_numpy(np.array(value)) for name, value in own.items()}
    for group in ("encoder", "target_encoder"):
        actor |= {f"{group}.{name}": torch.from_numpy(np.array(value)) for name, value in encoder.items()}
    checkpoint = load_checkpoint(path / "checkpoints")
    if checkpoint is None:
        return actor, CheckpointState(**_stand(policy), log_position={}, config_sha="")
    fresh = make_sac(layout, config.sac, 0, goals_of(config)).state.tensors()
    # Random states, and figures of the newest update, are the other run's own.
    tensors = {name: value for name, value in (checkpoint[0] | actor).items() if name in fresh}
    for name in sorted(fresh):
        if name not in tensors or fresh[name].shape != tensors[name].shape:
            raise UsageError(f"{path}: its networks are others ({name} differs): set sac.network as in {path / 'config.yaml'}")
        if not torch.isfinite(tensors[name]).all():
            raise CheckpointError(f"{path}: {name} of its newest checkpoint is not finite: begin with another run")
    return tensors, checkpoint[1]


def _stand(policy: Policy) -> dict[str, int]:
    return {"steps": policy.config.steps, "updates": policy.config.updates, "policy_version": policy.config.version}


def _require_data(path: Path, layout: PolicyLayout) -> None:
    """A run's transitions must mean what this run's do, and there must be some."""
    if not (path / "config.yaml").is_file():
        raise UsageError(f"{path} is no run, so that it has no prior data (config.yaml is missing): give a run's folder, or prior.share 0")
    other = policy_layout(load_config([], default=path / "config.yaml"))
    if difference := other.difference(layout, TRANSITION_FIELDS):
        raise UsageError(f"{path}: its transitions were made for {difference}: give a run of this robot and task")
    steps = read_run(path / "rollouts")
    if not len(steps) or not learnable(steps).any():
        raise UsageError(f"{path} has logged no transition to learn from: give another run, or prior.share 0")
