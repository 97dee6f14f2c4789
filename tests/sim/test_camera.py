"""The camera sees the robot, follows it and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from robot import Camera, ClosedError, UsageError
from sim import MinitaurConfig, MinitaurSimulation, simulate_minitaur
from tests.sim.gaits import record


@pytest.fixture
def simulation() -> Iterator[MinitaurSimulation]:
    made = simulate_minitaur(MinitaurConfig(), 100.0)
    yield made
    made.robot.close()


def dark(image: np.ndarray) -> np.ndarray:
    """Rows and columns of the pixels as dark as the robot's body; sky and ground are bright."""
    return np.argwhere(image.max(axis=2) < 100)


def test_it_shows_the_robot_in_the_middle_of_a_ground_with_squares(simulation: MinitaurSimulation) -> None:
    camera = simulation.camera()
    assert isinstance(camera, Camera)
    frame = camera.capture()
    assert frame.image.shape == (320, 480, 3)
    assert frame.image.dtype == np.uint8
    assert not frame.image.flags.writeable
    assert frame.stamp_s == simulation.clock.now_s()
    assert len(dark(frame.image)) > 500
    row, column = dark(frame.image).mean(axis=0)
    assert 100 < row < 220
    assert 180 < column < 300
    assert frame.image[250:].std() > 10.0


def test_it_follows_the_robot(simulation: MinitaurSimulation) -> None:
    camera = simulation.camera(96, 64)
    first = camera.capture()
    start = dark(first.image).mean(axis=0)
    rows = record(simulation, 300)
    assert rows[-1, 44] > 1.0
    last = camera.capture()
    assert np.abs(dark(last.image).mean(axis=0) - start).max() < 12.0
    assert not np.array_equal(first.image, last.image)
    assert last.stamp_s > first.stamp_s


def test_looking_changes_nothing(simulation: MinitaurSimulation) -> None:
    unseen = record(simulation, 30)
    simulation.robot.reset(np.random.default_rng(0))
    camera = simulation.camera(64, 48)
    np.testing.assert_array_equal(camera.capture().image, camera.capture().image)
    np.testing.assert_array_equal(record(simulation, 30), unseen)


def test_a_closed_camera_and_impossible_sizes_are_refused(simulation: MinitaurSimulation) -> None:
    camera = simulation.camera(64, 48)
    camera.close()
    camera.close()
    with pytest.raises(ClosedError):
        camera.capture()
    with pytest.raises(UsageError, match="16 to 2048"):
        simulation.camera(0, 48)
