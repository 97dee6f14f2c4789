"""Pixel SAC learns what only a picture shows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from policy.acting import NumpyActor
from policy.config import EncoderConfig, NetworkConfig
from policy.image import FrameStack
from tests.training.seeing import LENGTH, STEP, Square, frame_of, layout
from training.config import SacConfig
from training.pixel_replay import PixelReplay
from training.pixel_sac import PixelSac

LAYOUT = layout()
assert LAYOUT.image is not None
IMAGE = LAYOUT.image
CONFIG = SacConfig(
    network=NetworkConfig(hidden=LAYOUT.hidden), batch_size=64, discount=0.8, learning_rate=1e-3, target_rate=0.02, updates_per_step=1
)
NOTHING = np.zeros(0, STEP)


def mean_return(act: Callable[[np.ndarray, np.ndarray], np.ndarray], episodes: int = 20) -> float:
    world, stack, total = Square(seed=1), FrameStack(IMAGE), 0.0
    for _ in range(episodes):
        world.begin()
        stack.clear()
        for _ in range(LENGTH):
            total += world.move(act(world.observation, stack.push(world.image)))
    return total / episodes


def learn(episodes: int, seed: int) -> NumpyActor:
    sac = PixelSac(2, 2, IMAGE, EncoderConfig(stack=IMAGE.stack), CONFIG, seed)
    replay, actor, stack = PixelReplay(2, 2, IMAGE, 20_000), NumpyActor(LAYOUT), FrameStack(IMAGE)
    world, rng = Square(seed=2), np.random.default_rng(seed)
    actor.load(sac.actor_vector().numpy())
    for episode in range(episodes):
        world.begin()
        stack.clear()
        for step in range(LENGTH):
            sequence = episode * LENGTH + step
            image = world.image
            record = np.zeros(1, STEP)
            record["episode"], record["sequence"], record["step"], record["mode"] = episode, sequence, step, 3
            record["observation"] = world.observation
            action = actor.act(world.observation, rng.standard_normal(2, dtype=np.float32), stack.push(image))
            record["action"] = rng.uniform(-1.0, 1.0, 2) if episode < 15 else action
            record["reward"] = world.move(record["action"][0])
            record["next_observation"] = world.observation
            replay.extend(record, frame_of(image, episode, sequence))
            if episode >= 15:
                sac.update(replay.sample(CONFIG.batch_size, 1, sac.generator))
                actor.load(sac.actor_vector().numpy())
        replay.extend(NOTHING, frame_of(world.image, episode, (episode + 1) * LENGTH))
    assert (replay.size, replay.waiting, replay.missing) == (episodes * LENGTH, 0, 0)
    return actor


def test_it_finds_what_only_a_picture_shows():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        actor = learn(75, seed=0)
    finally:
        torch.set_num_threads(threads)
    rng = np.random.default_rng(3)
    # The best that does not look goes to the middle, and stays there.
    blind = mean_return(lambda observation, _: np.clip(-observation / 0.3, -1.0, 1.0))
    random = mean_return(lambda _observation, _image: rng.uniform(-1.0, 1.0, 2))
    learned = mean_return(lambda observation, image: actor.act(observation, None, image))
    assert random < blind
    assert learned > 0.6 * blind
