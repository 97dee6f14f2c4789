"""Films episodes of policies: the best one at the end of a run, and those that are judged on the way."""

from __future__ import annotations

import math
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

# Radius of the dial, as a share of a picture's height; its colours.
_DIAL = 0.09
_FACE, _RIM, _HAND, _GOAL = (250, 250, 250), (40, 40, 40), (200, 40, 30), (30, 150, 60)


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
    """Return what a camera sees of the robot, and beside it, as high, the newest frame that a policy sees; (height, width, 3), uint8.

    Where the task turns an object, a dial in the corner of the first, which no policy sees, has its angle and its goal.
    """
    picture = env.picture()
    if env.aim_rad is not None:
        picture = with_dial(picture, *env.aim_rad)
    if env.image is None:
        return picture
    height, (rows, columns) = picture.shape[0], env.image.shape[1:3]
    # Pixel by pixel: what is small is to look so.
    down, right = np.arange(height) * rows // height, np.arange(height * columns // rows) * rows // height
    return np.concatenate([picture, env.image[-1][down[:, None], right]], axis=1)


def with_dial(picture: NDArray[np.uint8], angle_rad: float, goal_rad: float) -> NDArray[np.uint8]:
    """Return a picture with a dial in its upper left corner: a red hand at an angle, a green dot at its goal.

    0 is down, towards who looks, and angles grow to the right: as the claw's camera, in front of it, sees its valve.

    Args:
        picture: Shape (height, width, 3), uint8, RGB.
        angle_rad: Of the object.
        goal_rad: Where it should be.
    """
    import cv2

    drawn = picture.copy()
    radius = max(4.0, _DIAL * picture.shape[0])
    thick = max(1, round(radius / 8.0))

    def at(angle: float, share: float) -> tuple[int, int]:
        reach = share * radius
        return round(1.3 * radius + reach * math.sin(angle)), round(1.3 * radius + reach * math.cos(angle))

    middle = at(0.0, 0.0)
    cv2.circle(drawn, middle, round(radius), _FACE, -1, cv2.LINE_AA)
    cv2.circle(drawn, middle, round(radius), _RIM, thick, cv2.LINE_AA)
    cv2.line(drawn, middle, at(angle_rad, 0.85), _HAND, thick, cv2.LINE_AA)
    cv2.circle(drawn, at(goal_rad, 1.0), 2 * thick, _GOAL, -1, cv2.LINE_AA)
    return drawn


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
