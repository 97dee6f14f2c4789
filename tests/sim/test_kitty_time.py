"""Laws of time and chance of the simulated kitty: delays in whole steps, one seed one trajectory, noise."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

from sim import BodyNoiseConfig, KittyConfig, ServoRandomisationConfig, simulate_servos
from tests.sim.kitty_gaits import reading, record, trot

NOISE = BodyNoiseConfig(orientation_rad=0.01, gyro_rad_s=0.1, tracked_position_m=0.01, tracked_velocity_m_s=0.1)


@pytest.mark.parametrize("steps", [0, 1, 4, 9])
def test_a_command_acts_exactly_one_control_latency_later(steps: int) -> None:
    direct, delayed = (simulate_servos(KittyConfig(control_latency_s=latency), 1000.0) for latency in (0.0, steps * 0.001))
    np.testing.assert_array_equal(record(delayed, 100), record(direct, 100 + steps, delay_ticks=steps)[:101])
    direct.robot.close()
    delayed.robot.close()


@pytest.mark.parametrize(("latency_s", "steps"), [(0.001, 1), (0.010, 10), (0.0131, 13), (0.024, 24)])
def test_what_is_read_was_true_one_sensing_latency_ago(latency_s: float, steps: int) -> None:
    exact, delayed = simulate_servos(KittyConfig(), 1000.0), simulate_servos(KittyConfig(sensing_latency_s=latency_s), 100.0)
    truth = [reading(exact)]
    for _ in range(steps):
        exact.clock.wait()
        truth.append(reading(exact))
    for tick in range(40):
        exact.robot.write(trot(tick * 0.01))
        for _ in range(10):
            exact.clock.wait()
            truth.append(reading(exact))
    seen = record(delayed, 40)
    for tick, row in enumerate(seen):
        np.testing.assert_array_equal(row[:36], truth[10 * tick][:36])
        np.testing.assert_array_equal(row[48:], truth[10 * tick][48:])
        np.testing.assert_allclose(row[36:48], steps * 0.001, atol=1e-12)
    exact.robot.close()
    delayed.robot.close()


def digest(seed: int, warm_up: int) -> str:
    """Hash of an episode of `seed` with everything random, after `warm_up` other ones."""
    config = KittyConfig(noise=NOISE, randomise=ServoRandomisationConfig(enabled=True), self_collision=True)
    made = simulate_servos(config, 100.0)
    for other in range(warm_up):
        made.robot.reset(np.random.default_rng(1000 + other))
        made.robot.push((8.0, 10.0, 0.0), 0.1)
        record(made, 30 + 17 * other)
    made.robot.reset(np.random.default_rng(seed))
    rows = record(made, 150)
    made.robot.close()
    return hashlib.sha256(rows.tobytes()).hexdigest()


def test_an_episode_is_the_same_in_any_world_after_any_other_episodes_and_in_another_process() -> None:
    code = "from tests.sim.test_kitty_time import digest; print(digest(7, 1))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": "."})
    alone = digest(7, 0)
    assert digest(7, 3) == alone
    assert other.stdout.strip() == alone
    assert digest(8, 0) != alone


def test_noise_is_on_the_base_alone_with_the_configured_deviation() -> None:
    clean, noisy = simulate_servos(KittyConfig(), 100.0), simulate_servos(KittyConfig(noise=NOISE), 100.0)
    error = record(noisy, 200) - record(clean, 200)
    assert not error[:, :48].any()
    for part, deviation in ((slice(57, 60), 0.1), (slice(60, 63), 0.01), (slice(63, 66), 0.1)):
        assert error[:, part].std() == pytest.approx(deviation, rel=0.15)
    assert 0.003 < np.abs(error[:, 48:57]).mean() < 0.02
    np.testing.assert_array_equal(reading(noisy), reading(noisy))
    clean.robot.close()
    noisy.robot.close()
