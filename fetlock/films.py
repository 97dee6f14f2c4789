"""Films episodes of policies: the best one at the end of a run, and those that are judged on the way."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fetlock.build import judged_config, make_env
from fetlock.config import RunConfig
from fetlock.machines import simulated
from fetlock.video import Film
from policy.acting import Actor, NumpyActor
from policy.snapshot import load_policy
from robot.errors import FetlockError
from training.env import RobotEnv
from training.evaluation import run_episode
from training.roles.evaluate import Filmer


def film_policy(policy_folder: Path, config: RunConfig, path: Path) -> None:
    """Write a video of one episode of a policy's mean action."""
    env = make_env(judged_config(config))
    try:
        policy = load_policy(policy_folder)
        actor = NumpyActor(policy.config.layout)
        actor.load(policy.vector)
        film_episode(env, actor, path, control_hz=config.control_hz)
    finally:
        env.close()


def film_episode(
    env: RobotEnv[Any],
    actor: Actor,
    path: Path,
    goes_on: Callable[[], bool] = lambda: True,
    *,
    control_hz: float,
    limit_s: float | None = None,
) -> None:
    """Write a video of an episode, or of its first `limit_s` seconds.

    Raises:
        FetlockError: If it cannot be written, or does not go on; nothing is left of it then.
    """
    limit = None if limit_s is None else max(1, round(limit_s * control_hz))
    with Film(partial(scene, env), path, control_hz) as film:

        def step() -> None:
            if not goes_on():
                raise FetlockError("the run was stopped meanwhile")
            film.step()

        run_episode(env, actor, 0, step, limit)


def scene(env: RobotEnv[Any]) -> NDArray[np.uint8]:
    """Return what a camera sees of the robot, and beside it, as high, the newest frame that a policy sees; (height, width, 3), uint8."""
    picture = env.picture()
    if env.image is None:
        return picture
    height, (rows, columns) = picture.shape[0], env.image.shape[1:3]
    # Pixel by pixel: what is small is to look so.
    down, right = np.arange(height) * rows // height, np.arange(height * columns // rows) * rows // height
    return np.concatenate([picture, env.image[-1][down[:, None], right]], axis=1)


def picture_px(config: RunConfig) -> tuple[int, int]:
    """Return width and height of the videos of policies that are judged."""
    width = config.train.video_width_px
    return width, width * 2 // 3


def filmer_of(folder: Path, config: RunConfig) -> Filmer | None:
    """Return what films the policies of a run that are judged; None where none are to be, or nothing can be seen of the robot."""
    train = config.train
    if not train.videos or simulated(config.robot) is None:
        return None
    return Filmer(folder / "videos", partial(film_episode, control_hz=config.control_hz, limit_s=train.video_s), train.videos)
