"""The registered environments under the libraries that people bring."""

from __future__ import annotations

from pathlib import Path

import av
import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import RecordVideo
from stable_baselines3 import SAC

ID = "fetlock:fetlock/MinitaurWalk-v0"
ALL = {
    "fetlock:fetlock/MinitaurWalk-v0": 8,
    "fetlock:fetlock/KittyWalk-v0": 12,
    "fetlock:fetlock/ClawTurn-v0": 9,
    "fetlock:fetlock/ClawTurnPixels-v0": 9,
    "fetlock:fetlock/ClawScrew-v0": 9,
}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.filterwarnings("error::UserWarning")
def test_gymnasium_finds_nothing_wrong(name: str):
    env = gymnasium.make(name, render_mode="rgb_array")
    check_env(env.unwrapped)
    assert env.action_space.shape == (ALL[name],)
    env.close()


@pytest.mark.parametrize("name", ALL)
def test_one_seed_is_one_episode_through_the_registry(name: str):
    def episode() -> list[bytes]:
        env = gymnasium.make(name)
        observations = [env.reset(seed=5)[0]]
        env.action_space.seed(5)
        observations += [env.step(env.action_space.sample())[0] for _ in range(20)]
        env.close()
        return [b"".join(part.tobytes() for part in (one.values() if isinstance(one, dict) else (one,))) for one in observations]

    assert episode() == episode()


def test_overrides_reach_the_environment():
    env = gymnasium.make(ID, overrides=("--task.time-limit-steps", "3"))
    env.reset(seed=0)
    ends = [env.step(np.zeros(8, np.float32))[2:4] for _ in range(3)]
    assert ends == [(False, False), (False, False), (False, True)]
    env.close()


def test_stable_baselines3_trains_on_it():
    env = gymnasium.make(ID)
    model = SAC("MlpPolicy", env, seed=0, learning_starts=60, policy_kwargs={"net_arch": [32, 32]}, batch_size=32)
    before = [parameter.detach().clone() for parameter in model.actor.parameters()]
    model.learn(120)
    assert any((old != new).any() for old, new in zip(before, model.actor.parameters(), strict=True))
    env.close()


def test_what_is_seen_is_a_stack_of_frames_and_the_valve_is_felt_nowhere():
    env = gymnasium.make("fetlock:fetlock/ClawTurnPixels-v0")
    seen, _ = env.reset(seed=3)
    assert seen["image"].shape == (32, 32, 9)
    # The first frame stands for those before it.
    np.testing.assert_array_equal(seen["image"][:, :, :3], seen["image"][:, :, 6:])
    for _ in range(5):
        before, (seen, *_) = seen, env.step(np.full(9, 0.8, np.float32))
        np.testing.assert_array_equal(seen["image"][:, :, :6], before["image"][:, :, 3:])
    assert (seen["image"][:, :, 6:] != seen["image"][:, :, :3]).any()
    names = env.unwrapped.task.observation_names
    assert not [name for name in names if name.startswith(("lobe", "valve", "error", "near"))]
    assert names[-1] == "frame age"
    assert seen["state"][-1] == 0.0
    env.close()


def test_stable_baselines3_trains_on_what_is_seen():
    env = gymnasium.make("fetlock:fetlock/ClawTurnPixels-v0", overrides=("--camera.width-px", "36", "--camera.height-px", "36"))
    model = SAC("MultiInputPolicy", env, seed=0, learning_starts=20, buffer_size=50, policy_kwargs={"net_arch": [16]}, batch_size=8)
    model.learn(24)
    env.close()


def test_record_video_films_an_episode(tmp_path: Path):
    folder = tmp_path / "videos"
    env = RecordVideo(gymnasium.make(ID, render_mode="rgb_array", overrides=("--task.time-limit-steps", "5")), str(folder))
    env.reset(seed=0)
    while not env.step(np.zeros(8, np.float32))[3]:
        pass
    env.close()
    (video,) = folder.glob("*.mp4")
    with av.open(str(video)) as container:
        rate = container.streams.video[0].average_rate
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(pictures) == 6
    assert all(picture.std() > 10.0 for picture in pictures)
    assert rate == 50
