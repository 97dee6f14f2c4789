"""What the tests of the claw's pictures have in common."""

from __future__ import annotations

import numpy as np

from sim import ClawConfig, simulate_servos


def episodes_seen(config: ClawConfig, episodes: int) -> list[np.ndarray]:
    """Return what a claw's camera shows at the beginning of the episodes of the first seeds, each (64, 64, 3)."""
    claw = simulate_servos(config, 100.0)
    try:
        camera, pictures = claw.camera(64, 64), []
        for seed in range(episodes):
            claw.robot.reset(np.random.default_rng(seed))
            pictures.append(camera.capture().image.astype(float))
        return pictures
    finally:
        claw.robot.close()
