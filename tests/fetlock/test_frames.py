"""Frames of a camera from a user's side: a run records one for each step, and what reads logs shows them."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from rerun.chunk import RrdReader
from rerun.experimental import LeRobotReader

from fetlock.__main__ import main
from fetlock.build import judged_config, make_env
from fetlock.cameras import open_eye
from fetlock.config import RunConfig, load_config
from fetlock.replays.playing import machine_for
from robot.camera import MjpegServer
from robot.errors import UsageError
from tests.fetlock.test_train import ROOT, SMALL
from tests.fetlock.test_train_hardware import save_actor
from tests.robot.camera.painted import HEIGHT, WIDTH, number, paint
from training.collector import episode_rng
from training.rollout_log import EpisodeWriter, RolloutLog, RunMetadata, log_files, read_log

Capture = pytest.CaptureFixture[str]
STEPS = 70
METAL = ROOT / "configs" / "kitty_hardware.yaml"


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A deterministic training with a camera: two episodes, the second cut off at the end of the run."""
    folder = tmp_path_factory.mktemp("seen")
    flags = ("--camera.width-px", "32", "--camera.height-px", "24", "--train.total-steps", str(STEPS), "--task.time-limit-steps", "40")
    assert main(["train", "--runs-dir", str(folder), "--name", "run", "--no-video", "--deterministic", *SMALL, *flags]) == 0
    return folder / "run"


@pytest.fixture(scope="module")
def logs(run_folder: Path) -> list[RolloutLog]:
    return [read_log(path, frames=True) for path in log_files(run_folder / "rollouts")]


def call(capsys: Capture, *arguments: object, code: int = 0) -> str:
    assert main([*map(str, arguments)]) == code
    captured = capsys.readouterr()
    return captured.out or captured.err


def config_of(run_folder: Path) -> RunConfig:
    return load_config(["--config", str(run_folder / "config.yaml")])


def test_each_step_of_a_run_has_the_frame_of_its_observation(run_folder: Path, logs: list[RolloutLog]) -> None:
    """Done again by hand: the same episodes, seen before each action."""
    assert [len(log.steps) for log in logs] == [40, 30]
    env = make_env(config_of(run_folder))
    try:
        stamp_s = 0.0
        for episode, log in enumerate(logs):
            assert log.frames is not None
            first, count, ended = int(log.steps["sequence"][0]), len(log.steps), bool(log.steps["truncated"][-1])
            np.testing.assert_array_equal(log.frames.sequence, first + np.arange(count + ended))
            images, stamps_s = log.frames.images(), log.frames.stamp_s
            observation = env.begin(episode_rng(0, 0, episode), np.floor(stamp_s) + 2.0 if episode else 2.0)
            for number, step in enumerate(log.steps):
                assert observation.tobytes() == step["observation"].tobytes()
                assert (env.frame.image.tobytes(), env.frame.stamp_s) == (images[number].tobytes(), stamps_s[number])
                observation = env.advance(step["action"]).observation
                stamp_s = float(step["stamp_s"])
            assert ended is (len(images) > count)
            if ended:
                assert env.frame.image.tobytes() == images[count].tobytes()
    finally:
        env.close()


def test_films_keep_their_own_size_and_judges_see_nothing(run_folder: Path) -> None:
    env = make_env(judged_config(config_of(run_folder)), picture_px=(60, 40))
    try:
        env.begin(np.random.default_rng(0))
        assert env.picture().shape == (40, 60, 3)
        assert env.frame is None
    finally:
        env.close()


def test_log_commands_say_what_there_is_and_what_is_missing(
    run_folder: Path, logs: list[RolloutLog], tmp_path: Path, capsys: Capture
) -> None:
    told = json.loads(call(capsys, "log", "info", run_folder, "--json"))
    first = logs[0].frames
    assert first is not None
    assert (told["frames"], told["frame_sizes_px"], told["frame_bytes"]) == (41, ["32 x 24"], sum(map(len, first.pngs)))
    # That of the last observation of the episode that ended.
    assert f"{STEPS + 1} frames: as they were written" in call(capsys, "log", "verify", run_folder)
    source, part = run_folder / "rollouts" / "c0-e000000.mcap", tmp_path / "part.mcap"
    assert "7 steps, 14 bus ticks, 7 frames" in call(capsys, "log", "cut", source, "--from", "3", "--to", "9", "--out", part)
    kept = read_log(part, frames=True).frames
    assert kept is not None
    assert kept.pngs == first.pngs[3:10]
    assert "as they were written" in call(capsys, "log", "verify", part)
    log, metadata = logs[0], RunMetadata("0", "minitaur", 0, config=logs[0].metadata["config"])
    broken = (*first.pngs[:4], first.pngs[4][:90] + bytes(40) + first.pngs[4][130:], *first.pngs[5:])
    for name, frames, steps, said in (
        ("lost", first.where(first.sequence != 5), log.steps, "1 of 40 steps have no frame, the first is step 5"),
        ("none", first.where(first.sequence > 99), log.steps, "40 of 40 steps have no frame"),
        ("more", first, log.steps[:38], "3 frames are of no step of this log, the first is of step 38"),
        ("torn", type(first)(first.sequence, first.stamp_s, broken), log.steps, "the frame of step 4 is no image"),
    ):
        writer = EpisodeWriter(tmp_path, 0, ord(name[0]), steps.dtype, log.bus.dtype, metadata)
        writer.write(log.bus, steps, frames)
        writer.finish(complete=True)
        assert said in call(capsys, "log", "verify", tmp_path / f"c0-e{ord(name[0]):06d}.mcap", code=1)
    lost = tmp_path / f"c0-e{ord('l'):06d}.mcap"
    assert "1 of 40 steps have no frame" in call(capsys, "export", lost, "--to", "lerobot", "--out", tmp_path / "x", code=1)


def test_rerun_gets_the_pictures(run_folder: Path, logs: list[RolloutLog], tmp_path: Path, capsys: Capture) -> None:
    assert f"{STEPS + 1} frames" in call(capsys, "export", run_folder, "--to", "rrd", "--out", tmp_path / "seen.rrd")
    reader = RrdReader(tmp_path / "seen.rrd")
    (entry,) = reader.recordings()
    batches = [chunk.to_record_batch() for chunk in reader.stream(store=entry) if chunk.entity_path == "/c0/camera" and not chunk.is_static]
    rows = []
    for batch in batches:
        (blob,) = [name for name in batch.schema.names if name.endswith("blob")]
        times = batch.column("robot_time").to_numpy().astype(np.int64).tolist()
        rows += zip(times, (bytes(value[0]) for value in batch.column(blob).to_pylist()), strict=True)
    expected = [row for log in logs if log.frames for row in zip(np.rint(1e9 * log.frames.stamp_s), log.frames.pngs, strict=True)]
    assert sorted(rows) == expected


def test_a_lerobot_data_set_has_the_images_of_the_log(run_folder: Path, logs: list[RolloutLog], tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "seen"
    call(capsys, "export", run_folder, "--to", "lerobot", "--out", out)
    info = json.loads((out / "meta" / "info.json").read_text())
    name = "observation.images.camera"
    assert info["features"][name] == {"dtype": "image", "shape": [24, 32, 3], "names": ["height", "width", "channels"]}
    table = pq.read_table(out / "data" / "chunk-000" / "file-000.parquet")
    assert table.schema.names == list(info["features"])
    own = [log.frames.of_steps(log.steps) for log in logs if log.frames]
    pngs = [png for frames in own for png in frames.pngs]
    assert [cell["bytes"] for cell in table.column(name).to_pylist()] == pngs
    pixels = np.concatenate([frames.images() for frames in own]) / 255.0
    stats = json.loads((out / "meta" / "stats.json").read_text())[name]
    for kind, expected in {"mean": pixels.mean((0, 1, 2)), "std": pixels.std((0, 1, 2)), "min": pixels.min((0, 1, 2))}.items():
        np.testing.assert_allclose(stats[kind], expected.reshape(3, 1, 1), atol=1e-12)
    np.testing.assert_allclose(stats["q90"], np.quantile(pixels, 0.9, (0, 1, 2), method="inverted_cdf").reshape(3, 1, 1))
    assert stats["count"] == [STEPS]
    (episode, _) = pq.read_table(out / "meta" / "episodes" / "chunk-000" / "file-000.parquet").to_pylist()
    np.testing.assert_allclose(episode[f"stats/{name}/max"], pixels[:40].max((0, 1, 2)).reshape(3, 1, 1))
    # Another program finds and shows them.
    chunks = [chunk for chunk in LeRobotReader(out).stream(0) if chunk.entity_path == f"/{name}" and not chunk.is_static]
    assert sum(chunk.num_rows for chunk in chunks) == 40


def overhead(tmp_path: Path, url: str, **changes: object) -> RunConfig:
    file = tmp_path / "camera.yaml"
    values = {"source": {"kind": "http", "url": url}, "width_px": WIDTH, "height_px": HEIGHT, "max_age_s": 5.0, "still_max_s": None}
    file.write_text(yaml.safe_dump(values | changes))
    return load_config(["--config", str(METAL), "--robot.camera", str(file), "--camera.width-px", "64", "--camera.height-px", "48"])


@pytest.mark.realtime
def test_the_camera_of_a_robot_of_metal_is_opened_and_resized(tmp_path: Path) -> None:
    server = MjpegServer.start(paint, 50.0)
    try:
        camera = open_eye(overhead(tmp_path, server.url))
        assert camera is not None
        image = camera.capture().image
        assert image.shape == (48, 64, 3)
        red, green, blue = image[24:].reshape(-1, 3).mean(axis=0)
        assert red > 240
        assert max(green, blue) < 15
        # The number in the squares survives: it is the picture that was sent, whole.
        enlarged = cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST)
        assert number(enlarged) <= server.timer.wait()
        camera.close()
        with pytest.raises(UsageError, match="widht_px"):
            open_eye(overhead(tmp_path, server.url, widht_px=3))
    finally:
        server.close()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--camera.width-px", "8"), "camera.width_px: the integer 8 must be at least 16"),
        (("--camera.height-px", "257"), "camera.height_px: the integer 257 must be at most 256"),
        (("--config", str(METAL), "--camera.width-px", "84"), "this robot has none: set robot.camera to a file"),
    ],
)
def test_what_cannot_be_seen_is_said_before_anything_starts(arguments: tuple[str, ...], said: str, tmp_path: Path, capsys: Capture) -> None:
    line = call(capsys, "train", "--runs-dir", tmp_path, *arguments, code=2)
    assert said in line
    assert line.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_robot_that_only_the_motion_process_could_draw_is_refused_there(run_folder: Path, tmp_path: Path, capsys: Capture) -> None:
    policy = save_actor(tmp_path / "policy", ("--config", str(run_folder / "config.yaml")))
    runs = tmp_path / "runs"
    seen = ("--config", run_folder / "config.yaml", "--runs-dir", runs)
    for words in (("run", "--policy", policy, "--realtime"), ("teleop", "--by", "words", "--realtime")):
        line = call(capsys, *words, *seen, code=2)
        assert "only the bus loop of its motion process could draw" in line
        assert line.count("\n") == 1
    assert not runs.exists()
    # What is played again looks at nothing, and needs no camera.
    assert machine_for("sim", config_of(run_folder)).camera is None


def test_a_policy_that_runs_records_frames_too(run_folder: Path, tmp_path: Path, capsys: Capture) -> None:
    config = run_folder / "config.yaml"
    policy = save_actor(tmp_path / "policy", ("--config", str(config)))
    call(capsys, "run", "--policy", policy, "--config", config, "--duration", "0.4", "--runs-dir", tmp_path, "--name", "again")
    (log,) = [read_log(path, frames=True) for path in log_files(tmp_path / "again" / "rollouts")]
    assert log.frames is not None
    assert len(log.frames) == len(log.steps) == 20
    assert log.frames.sizes_px == {(32, 24)}
