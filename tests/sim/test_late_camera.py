"""Laws of a camera that comes late: each capture is what a camera without latency showed so long ago, and says so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetlock.build import judged_config, make_env
from fetlock.config import load_config
from robot import CameraFrame, UsageError, frozen_array
from robot.clock import TickClock
from sim import LateCamera

ROOT = Path(__file__).resolve().parents[2]
BUS_S, TICKS = 0.01, 5


class World:
    """A clock, and a camera whose only pixel says at which tick it was taken."""

    period_s = BUS_S

    def __init__(self) -> None:
        self.tick = 0
        self.taken: list[int] = []
        self.closed = False

    def now_s(self) -> float:
        return self.tick * BUS_S

    def wait(self) -> float:
        self.tick += 1
        return 0.25

    def capture(self) -> CameraFrame:
        self.taken.append(self.tick)
        return CameraFrame(self.now_s(), np.full((1, 1, 3), self.tick % 256, np.uint8))

    def close(self) -> None:
        self.closed = True


@given(st.integers(0, 23), st.integers(0, 1000), st.integers(1, 30))
def test_each_capture_is_of_a_latency_ago_and_the_first_ones_of_the_beginning(latency: int, start: int, steps: int) -> None:
    world = World()
    world.tick = start
    camera = LateCamera(world, world, TICKS * BUS_S, (latency * BUS_S, latency * BUS_S))
    clock = TickClock(camera, world)
    camera.begin(np.random.default_rng(0))
    for _ in range(steps):
        frame = camera.capture()
        expected = max(start, world.tick - latency)
        assert (frame.stamp_s, int(frame.image[0, 0, 0])) == (pytest.approx(expected * BUS_S), expected % 256)
        for _ in range(TICKS):
            assert clock.wait() == 0.25
    # Each picture that is drawn is one that is asked for, but those that are under way at the end.
    assert len(world.taken) <= steps + 1


def test_a_latency_is_drawn_for_each_episode_within_its_range_in_whole_ticks() -> None:
    world = World()
    camera = LateCamera(world, world, TICKS * BUS_S, (0.012, 0.049))
    clock = TickClock(camera, world)
    seen = set()
    for episode in range(40):
        camera.begin(np.random.default_rng(episode))
        for _ in range(3):
            frame = camera.capture()
            for _ in range(TICKS):
                clock.wait()
        seen.add(round((world.now_s() - TICKS * BUS_S - frame.stamp_s) / BUS_S))
    assert seen == {1, 2, 3, 4, 5}
    # Between episodes nobody looks.
    camera.rest()
    taken = len(world.taken)
    for _ in range(100):
        clock.wait()
    assert len(world.taken) == taken
    camera.close()
    assert world.closed


def claw(*arguments: str) -> object:
    return make_env(judged_config(load_config(["--config", str(ROOT / "configs" / "claw_pixels.yaml"), *arguments])))


def episode(env: object, seed: int) -> list[np.ndarray]:
    env.begin(np.random.default_rng(seed))
    pictures = [env.image[-1]]
    for number in range(8):
        env.advance(np.random.default_rng([seed, number]).uniform(-1.0, 1.0, 9))
        pictures.append(env.image[-1])
    return pictures


def test_the_claws_policy_sees_what_was_a_tick_before_and_is_told_its_age() -> None:
    now, late = claw(), claw("--camera.latency-s", "0.1", "0.1")
    try:
        # As late as a policy tick: the same pictures, one later, of the same motion.
        shown, seen = episode(now, 3), episode(late, 3)
        for before, after in zip(shown[:-1], seen[1:], strict=True):
            np.testing.assert_array_equal(before, after)
        assert (shown[-1] != seen[-1]).any()
        for latency, ages in ("0", [0.0] * 3), ("0.03", [0.0, 0.3, 0.3]), ("0.15", [0.0, 1.0, 1.5]):
            env = claw("--camera.latency-s", latency, latency)
            observation = env.begin(np.random.default_rng(0))
            found = [float(observation[-1])]
            for _ in range(2):
                found.append(float(env.advance(frozen_array(np.zeros(9))).observation[-1]))
            assert found == pytest.approx(ages, abs=1e-5)
            env.close()
    finally:
        now.close()
        late.close()


@pytest.mark.parametrize("bounds", [("0.1", "0.05"), ("-0.1", "0.1"), ("0.0", "0.3")])
def test_a_latency_is_a_range_that_an_episode_survives(bounds: tuple[str, str]) -> None:
    with pytest.raises(UsageError, match=r"0 <= low <= high <= 0\.2 s"):
        load_config(["--config", str(ROOT / "configs" / "claw_pixels.yaml"), "--camera.latency-s", *bounds])
