"""A point that is to be moved onto a red square that only a picture shows, and its records."""

from __future__ import annotations

import numpy as np

from policy.image import EncoderKind, ImageLayout
from policy.layout import PolicyLayout
from training.records import frame_dtype, step_dtype

SIDE = 16
STEP = step_dtype(2, 2)
FRAME = frame_dtype(SIDE, SIDE)
# Steps of an episode.
LENGTH = 20


def layout(encoder: EncoderKind = "residual", stack: int = 2, side: int = SIDE) -> PolicyLayout:
    return PolicyLayout(
        robot="point",
        task="square",
        joint_names=("x", "y"),
        observation_names=("x", "y"),
        action_names=("x", "y"),
        control_hz=10.0,
        action_scaling=(),
        hidden=(64, 64),
        image=ImageLayout(width_px=side, height_px=side, stack=stack, encoder=encoder, features=16),
    )


class Square:
    """Point and square begin anywhere; an action moves the point by up to 0.3 each way; the reward is the distance, negative."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self.begin()

    def begin(self) -> None:
        self.point, self._square = self._rng.uniform(-0.8, 0.8, (2, 2))

    def move(self, action: np.ndarray) -> float:
        self.point = np.clip(self.point + 0.3 * action, -1.0, 1.0)
        return -float(np.linalg.norm(self.point - self._square))

    @property
    def observation(self) -> np.ndarray:
        return self.point.astype(np.float32)

    @property
    def image(self) -> np.ndarray:
        pixels = np.full((SIDE, SIDE, 3), 40, np.uint8)
        near = np.abs(np.arange(SIDE) - 0.5 * (self._square[:, None] + 1.0) * (SIDE - 1)) < 1.5
        pixels[np.ix_(near[1], near[0])] = (230, 60, 40)
        return pixels


def frame_of(image: np.ndarray, episode: int, sequence: int) -> np.ndarray:
    record = np.zeros(1, FRAME)
    record["image"], record["episode"], record["sequence"] = image, episode, sequence
    return record
