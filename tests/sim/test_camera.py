"""The camera sees the robot, follows it and changes nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from robot import Camera, ClosedError, UsageError
from sim import ClawConfig, MinitaurConfig, MinitaurSimulation, simulate_minitaur, simulate_servos
from sim.config import RendererKind
from sim.renderer import _plugin
from tests.sim.claws import episodes_seen
from tests.sim.gaits import record

ROOT = Path(__file__).resolve().parents[2]


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


@pytest.fixture
def egl() -> None:
    """Skip where there is no EGL; asked when the test runs, since a driver stays in the process."""
    try:
        simulate_servos(ClawConfig(renderer="egl"), 100.0).robot.close()
    except UsageError:
        pytest.skip("no EGL on this machine")


def pictures(renderer: RendererKind) -> list[np.ndarray]:
    return episodes_seen(ClawConfig(renderer=renderer), 3)


@pytest.mark.usefixtures("egl")
def test_opengl_shows_what_the_software_renderer_shows(capfd: pytest.CaptureFixture[str]) -> None:
    drawn, shown = pictures("software"), pictures("egl")
    # Another light, but each is most like the picture of the same pose.
    distances = np.array([[np.abs((a - a.mean()) / a.std() - (b - b.mean()) / b.std()).mean() for b in shown] for a in drawn])
    assert (distances.argmin(axis=1) == [0, 1, 2]).all(), distances
    assert capfd.readouterr() == ("", "")
    # Worlds that are opened afterwards are drawn in software again, bit for bit.
    assert all((first == again).all() for first, again in zip(drawn, pictures("software"), strict=True))


@pytest.mark.usefixtures("egl")
def test_a_process_that_draws_by_opengl_may_compile_networks_afterwards() -> None:
    code = (
        "from sim import ClawConfig, simulate_servos\n"
        "simulate_servos(ClawConfig(renderer='egl'), 100.0).camera(32, 32).capture()\n"
        "import torch\n"
        "print(torch.compile(lambda x: x + 1, backend='eager')(torch.ones(1)).item())\n"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (result.returncode, "2.0" in result.stdout) == (0, True), result.stderr


def test_where_there_is_no_egl_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    # What loads the driver finds none.
    monkeypatch.setenv("__EGL_VENDOR_LIBRARY_FILENAMES", "/nowhere.json")
    _plugin.cache_clear()
    try:
        with pytest.raises(UsageError, match=r"renderer egl: .* set renderer to software"):
            simulate_servos(ClawConfig(renderer="egl"), 100.0)
    finally:
        _plugin.cache_clear()
    # And nothing is left behind.
    simulate_servos(ClawConfig(), 100.0).robot.close()


def test_a_closed_camera_and_impossible_sizes_are_refused(simulation: MinitaurSimulation) -> None:
    camera = simulation.camera(64, 48)
    camera.close()
    camera.close()
    with pytest.raises(ClosedError):
        camera.capture()
    with pytest.raises(UsageError, match="16 to 2048"):
        simulation.camera(0, 48)
