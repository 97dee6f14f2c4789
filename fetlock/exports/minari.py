"""A Minari data set: HDF5 with one group an episode, written by Minari's own storage."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from minari import MinariDataset
from minari import __version__ as minari_version
from minari.data_collector import EpisodeBuffer
from minari.dataset.minari_storage import MinariStorage

from fetlock.build import make_task
from fetlock.config import RunConfig, config_yaml
from fetlock.exports.recording import Episode, Recording
from fetlock.exports.report import Exported, exported
from fetlock.machines import HardwareConfig
from robot.errors import UsageError
from robot.files import made_whole

# Minari's names of data sets; the folder that holds them may be any.
_NAME = re.compile(r"[-_\w]+-v[0-9]+")


def export_minari(recording: Recording, out: Path) -> Exported:
    """Write logs as a data set.

    Args:
        recording: The logs.
        out: Folder to make; its name, NAME-vVERSION, becomes that of the data set, whose files lie in `data/` below it.

    Raises:
        UsageError: If Minari would not take the folder's name.
        LogError: If the logs cannot be read.
        OSError: If the folder cannot be written.
    """
    if not _NAME.fullmatch(out.name):
        raise UsageError(f"--out {out}: a Minari data set is named NAME-vVERSION: give such a name, as {out.name}-v0")
    layout, config = recording.layout, recording.config
    bound = make_task(config, 1.0 / layout.control_hz).observation_bound
    with made_whole(out) as folder:
        folder.mkdir()
        storage = MinariStorage.new(
            folder / "data",
            observation_space=spaces.Box(-bound, bound, (len(layout.observation_names),), np.float32),
            action_space=spaces.Box(-1.0, 1.0, (len(layout.action_names),), np.float32),
            env_spec=env_spec(config),
        )
        storage.update_metadata({"dataset_id": out.name, "minari_version": minari_version, "fetlock": layout.model_dump(mode="json")})
        for number, episode in enumerate(recording.episodes()):
            storage.update_episodes([_buffer(episode)])
            storage.update_episode_metadata([_metadata(episode)], [number])
        held = MinariDataset(storage)
        counts = {"episodes": held.total_episodes, "steps": held.total_steps}
    return exported(out, **counts)


def env_spec(config: RunConfig) -> EnvSpec | None:
    """Describe the environment of a configuration to Gymnasium, the whole configuration with it.

    None for a robot of metal: nobody expects `recover_environment` to open a port and to switch torque on.
    """
    if isinstance(config.robot, HardwareConfig):
        return None
    return EnvSpec("fetlock/Recorded-v0", entry_point="fetlock.environments:recorded", kwargs={"config": config_yaml(config)})


def _buffer(episode: Episode) -> EpisodeBuffer:
    """Return an episode as Minari wants it: k actions between k + 1 observations. Row i of what else is known belongs to action i."""
    steps = episode.steps
    more = {name: steps[name] for name in ("applied_action", "measure", "stamp_s", "policy_version", "filter_mask", "mode")}
    return EpisodeBuffer(
        observations=np.concatenate([steps["observation"], steps["next_observation"][-1:]]),
        actions=steps["action"],
        rewards=steps["reward"],
        terminations=steps["terminated"].astype(np.bool_),
        truncations=steps["truncated"].astype(np.bool_),
        infos={**more, "joint_position_rad": episode.joints_rad},
    )


def _metadata(episode: Episode) -> dict[str, object]:
    return {
        "log": episode.log,
        "collector": episode.collector,
        "episode": episode.number,
        "run_seed": episode.seed,
        "complete": episode.complete,
    }
