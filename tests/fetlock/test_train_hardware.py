"""`fetlock train` on a robot of metal as far as the host can tell: serial ports and an overhead camera, in real time."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import yaml

from fetlock.__main__ import main
from fetlock.build import policy_layout
from fetlock.config import load_config
from fetlock.emulated import connect_hardware
from policy.acting import NumpyActor
from policy.snapshot import Policy, PolicyConfig, load_policy, save_policy
from robot.camera import MjpegServer, Pinhole
from robot.emulator import EmulatorProcess
from robot.errors import UsageError
from robot.tracking import FloorCalibration, flat_tag, looking_at, render_tags
from tests.fetlock.test_train import ROOT, finished, train
from training.evaluation import read_evaluations
from training.rollout_log import log_files, read_log, read_run

pytestmark = pytest.mark.realtime

WIDTH, HEIGHT = 320, 240
PINHOLE = Pinhole(fx_px=200.0, fy_px=200.0, cx_px=159.5, cy_px=119.5)
CAMERA = looking_at(PINHOLE, (WIDTH, HEIGHT), (0.0, 0.0, 2.5), (0.0, 0.0, 0.0))
# Of the tag above the floor, about where a standing kitty has its back, m.
BACK_M = 0.25
METAL = ROOT / "configs" / "kitty_hardware.yaml"


class Overhead:
    """Serves what a camera above the emulated robot would see: a tag at the place of its base."""

    def __init__(self, machine: EmulatorProcess) -> None:
        self._machine = machine
        self._lock = threading.Lock()
        self.server = MjpegServer.start(self._draw, 12.0)

    def _draw(self, frame: int) -> np.ndarray:
        with self._lock:
            body = self._machine.client.body()[0]
        assert body is not None
        x, y, _ = body.position_world_m
        _, _, qz, qw = body.quaternion
        yaw = 2.0 * float(np.arctan2(qz, qw))
        return render_tags(CAMERA, [flat_tag(0, 0.2, (x, y, BACK_M), yaw)])


def overhead_file(path: Path, url: str) -> Path:
    floor = FloorCalibration.of_camera(CAMERA).model_dump(mode="json")
    camera = {
        "source": {"kind": "http", "url": url},
        "width_px": WIDTH,
        "height_px": HEIGHT,
        "max_age_s": 1.0,
        # What is drawn has no noise.
        "still_max_s": None,
        "intrinsics": {"pinhole": PINHOLE.model_dump()},
    }
    base = {"plane": {"floor": floor, "height_m": BACK_M, "size_m": 0.2}, "max_age_s": 1.0, "velocity_window_s": 0.5}
    path.write_text(yaml.safe_dump({"camera": camera, "base": base}))
    return path


@contextmanager
def metal(folder: Path) -> Iterator[tuple[str, ...]]:
    """Yield the flags of a robot whose motors, IMU and camera are emulated behind what the host sees of real ones."""
    words = ("emulate", "--config", str(ROOT / "configs" / "kitty_emulated.yaml"), "--robot.lockstep", "false", "--robot.paced", "false")
    with EmulatorProcess([sys.executable, "-m", "fetlock", *words]) as machine:
        overhead = Overhead(machine)
        try:
            file = overhead_file(folder / "overhead.yaml", overhead.server.url)
            imu = str(machine.client.ask("status")["imu"])
            yield (
                *("--config", str(METAL), "--robot.port", machine.port, "--robot.imu.port", imu, "--robot.imu.max-age-s", "0.5"),
                # A busy machine may keep all of them waiting.
                *("--robot.tracker", str(file), "--guard.sensor-age-max-s", "2.0", "--guard.encoder-still-s", "1"),
                *("--guard.encoder-still-rad", "0.5", "--bus-hz", "50"),
            )
        finally:
            overhead.server.close()


def save_actor(folder: Path, flags: tuple[str, ...]) -> Path:
    """A policy that hardly moves."""
    layout = policy_layout(load_config(list(flags)))
    vector = 0.02 * np.random.default_rng(0).standard_normal(layout.vector_size).astype(np.float32)
    save_policy(folder, Policy(PolicyConfig(layout=layout, version=1, steps=1, updates=1), vector))
    return folder


def test_it_learns_on_the_only_robot_there_is_and_judges_its_policies_there(tmp_path: Path) -> None:
    network = ("--sac.network.hidden", "32", "32", "--sac.batch-size", "32", "--train.compile", "never", "--train.learner-threads", "1")
    schedule = ("--train.total-steps", "90", "--train.learning-starts", "30", "--train.evaluation-episodes", "2")
    with metal(tmp_path) as metals:
        flags = (*metals, *network, *schedule, "--task.time-limit-steps", "20", "--train.operator-wait-s", "0")
        finished(train(tmp_path, "run", *flags, "--from", str(save_actor(tmp_path / "policy", flags)), config=False))
    run = tmp_path / "run"
    steps = read_run(run / "rollouts")
    assert len(steps) >= 90
    # A cautious start: the first episode keeps to the box.
    assert np.abs(steps["action"][steps["episode"] == steps["episode"][0]]).max() <= np.float32(0.5)
    # What it began with was judged first, by two whole episodes of the run: the mean action of that policy, and nothing else.
    first = read_evaluations(run / "evaluations.jsonl")[0]
    actor = NumpyActor(load_policy(tmp_path / "policy").config.layout)
    actor.load(load_policy(tmp_path / "policy").vector)
    returns = []
    # One that was cut off, where a busy machine kept the motors from answering, is begun again.
    whole = np.unique(steps["episode"][(steps["terminated"] | steps["truncated"]) != 0])
    for episode in whole[:2]:
        own = steps[steps["episode"] == episode]
        np.testing.assert_array_equal(own["action"], [actor.act(observation, None) for observation in own["observation"]])
        assert set(own["policy_version"].tolist()) == {first.version}
        returns.append(own["reward"].sum())
    assert (first.steps, first.episodes) == (0, 2)
    assert first.mean_return == pytest.approx(np.mean(returns), abs=1e-9)
    later = steps[steps["episode"] > whole[1]]
    assert (later["action"] != [actor.act(observation, None) for observation in later["observation"]]).any(axis=1).all()
    assert not (run / "walk.mp4").exists()
    # What the camera saw was recorded, and all that the guard decided can be decided again.
    seen = np.concatenate([read_log(path).bus["base_position_world_m"] for path in log_files(run / "rollouts")])
    assert np.isfinite(seen[len(seen) // 2 :]).all()
    assert main(["replay", str(run), "--compare", "guard"]) == 0


def test_what_a_robot_of_metal_cannot_do_is_said_before_it_is_reached(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"train\.collectors is 2, and robot\.kind dynamixel is one robot"):
        load_config(["--config", str(METAL), "--train.collectors", "2"])
    with pytest.raises(UsageError, match="arena needs a tracked base"):
        load_config(["--config", str(METAL), "--robot.tracker", "null", "--arena.radius-m", "2"])
    assert load_config(["--config", str(METAL), "--arena.radius-m", "2"]).arena is not None
    # It follows the clock, whatever the schedule says.
    assert load_config(["--config", str(METAL)]).realtime


def test_a_wrong_file_of_the_overhead_camera_names_its_key(tmp_path: Path) -> None:
    file = overhead_file(tmp_path / "overhead.yaml", "http://127.0.0.1:1/stream.mjpg")
    values = yaml.safe_load(file.read_text())
    for change, message in (
        ({"camera": {**values["camera"], "widht_px": 3}}, "widht_px"),
        ({"camera": {key: value for key, value in values["camera"].items() if key != "intrinsics"}}, "camera.intrinsics are missing"),
    ):
        file.write_text(yaml.safe_dump({**values, **change}))
        with pytest.raises(UsageError, match=message):
            connect_hardware(load_config(["--config", str(METAL), "--robot.tracker", str(file)]))
