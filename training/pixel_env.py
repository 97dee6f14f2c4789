"""An environment whose policy sees, as other libraries take it: a dictionary of what it feels and what it sees."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from robot.errors import UsageError
from training.env import RobotEnv
from training.tasks.task import Observation

Seen = dict[str, NDArray[Any]]


class PixelEnv(gymnasium.ObservationWrapper[Seen, NDArray[np.float32], Observation]):
    """`RobotEnv` with observations of `state`, Box (o,), float32, and `image`, Box (h, w, 3 k), uint8: k frames, oldest first, RGB each.

    Args:
        env: Of a policy that sees.

    Raises:
        UsageError: If it sees nothing.
    """

    def __init__(self, env: RobotEnv[Any]) -> None:
        super().__init__(env)
        if env.stack is None:
            raise UsageError("this environment shows no frames: set sac.encoder and camera in its configuration")
        self._robot_env = env
        count, height, width, channels = env.stack.shape
        image = spaces.Box(0, 255, (height, width, count * channels), np.uint8)
        self.observation_space = spaces.Dict({"state": env.observation_space, "image": image})  # type: ignore[assignment]

    def observation(self, observation: Observation) -> Seen:
        """Put the frames beside what is felt."""
        stack = self._robot_env.image
        if stack is None:
            raise UsageError("step was called before reset: call reset first")
        count, height, width, channels = stack.shape
        return {"state": observation, "image": stack.transpose(1, 2, 0, 3).reshape(height, width, count * channels)}
