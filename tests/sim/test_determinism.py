"""One seed, one trajectory, to the last bit: after other episodes, in other worlds, in other processes."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

from sim import MinitaurConfig, simulate_minitaur
from tests.sim.gaits import record

CONFIGS = {
    "plain": {},
    "everything": {
        "randomise": {"enabled": True},
        "noise": {"position_rad": 0.01, "gyro_rad_s": 0.01},
        "ground": {"kind": "blocks", "seed": 3},
        "self_collision": True,
    },
}


def digest(kind: str, seed: int, warm_up: int) -> str:
    """Hash of an episode of `seed` after `warm_up` other ones."""
    simulation = simulate_minitaur(MinitaurConfig.model_validate(CONFIGS[kind]), 100.0)
    for other in range(warm_up):
        simulation.robot.reset(np.random.default_rng(1000 + other))
        simulation.robot.push((20.0, 30.0, 0.0), 0.1)
        record(simulation, 30 + 17 * other)
    simulation.robot.reset(np.random.default_rng(seed))
    rows = record(simulation, 150)
    simulation.robot.close()
    return hashlib.sha256(rows.tobytes()).hexdigest()


@pytest.mark.parametrize("kind", CONFIGS)
def test_an_episode_is_the_same_in_any_world_after_any_other_episodes_and_in_another_process(kind: str) -> None:
    code = f"from tests.sim.test_determinism import digest; print(digest({kind!r}, 7, 1))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": "."})
    alone = digest(kind, 7, 0)
    assert digest(kind, 7, 3) == alone
    assert other.stdout.strip() == alone
    assert digest(kind, 8, 0) != alone


def test_an_episode_does_not_depend_on_falls_and_overheating_before_it() -> None:
    simulation = simulate_minitaur(MinitaurConfig(start_pose_noise_rad=0.0), 100.0)
    first = record(simulation, 100)
    simulation.robot.push((0.0, 400.0, 100.0), 0.3)
    record(simulation, 400)
    simulation.robot.stop()
    simulation.robot.reset(np.random.default_rng(0))
    np.testing.assert_array_equal(record(simulation, 100), first)
    simulation.robot.close()
