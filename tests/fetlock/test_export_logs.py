"""`fetlock export` of logs: a foreign reader finds every step of them, bit for bit."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import minari
import numpy as np
import pyarrow.parquet as pq
import pytest
from rerun.chunk import RrdReader
from rerun.experimental import LeRobotReader

from fetlock.__main__ import main
from fetlock.exports.lerobot import export_lerobot
from fetlock.exports.minari import env_spec
from fetlock.exports.recording import open_recording
from fetlock.exports.statistics import statistics
from fetlock.machines import HardwareConfig
from tests.fetlock.recorded import FLAGS, record_run
from training.rollout_log import RolloutLog, read_log

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two episodes; the last actions of the second are no numbers, and the guard holds the robot."""
    folder = tmp_path_factory.mktemp("runs") / "mine"
    record_run(folder, broken_from=60)
    return folder


@pytest.fixture(scope="module")
def logs(run_folder: Path) -> list[RolloutLog]:
    return [read_log(path) for path in sorted((run_folder / "rollouts").glob("*.mcap"))]


@pytest.fixture(scope="module")
def steps(logs: list[RolloutLog]) -> np.ndarray:
    return np.concatenate([log.steps for log in logs])


def call(capsys: Capture, *arguments: object, code: int = 0) -> str:
    assert main(["export", *map(str, arguments)]) == code
    captured = capsys.readouterr()
    assert (captured.err if code else captured.out).count("\n") == 1
    return captured.err if code else captured.out


def column(table: object, name: str) -> np.ndarray:
    values = table.column(name).combine_chunks()
    return values.to_numpy(zero_copy_only=False) if values.type.num_fields == 0 else np.stack(values.to_numpy(zero_copy_only=False))


def test_a_lerobot_data_set_holds_every_step(
    run_folder: Path, logs: list[RolloutLog], steps: np.ndarray, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "walk"
    told = json.loads(call(capsys, run_folder, "--to", "lerobot", "--out", out, "--json"))
    assert told["counts"] == {"episodes": 2, "steps": len(steps)}
    table = pq.read_table(out / "data" / "chunk-000" / "file-000.parquet")
    for name, field in {"observation.environment_state": "observation", "action": "action", "applied_action": "applied_action"}.items():
        assert column(table, name).tobytes() == steps[field].tobytes()
    assert column(table, "next.reward").tobytes() == steps["reward"].astype(np.float32).tobytes()
    assert column(table, "stamp_s").tobytes() == steps["stamp_s"].tobytes()
    assert (column(table, "next.done") == (steps["terminated"] | steps["truncated"])).all()
    assert (column(table, "next.truncated") == steps["truncated"]).all()
    for name in ("policy_version", "filter_mask", "mode"):
        assert (column(table, name) == steps[name]).all()
    assert (column(table, "episode_index") == steps["episode"]).all()
    assert (column(table, "frame_index") == steps["step"]).all()
    assert (column(table, "index") == np.arange(len(steps))).all()
    assert column(table, "timestamp") == pytest.approx(0.02 * steps["step"], rel=1e-6)
    # The log's own bus ticks, one by one.
    joints = [log.bus["position_rad"][log.bus["sequence"] == first][0] for log in logs for first in log.steps["bus_first"]]
    assert column(table, "observation.state").tobytes() == np.array(joints, np.float32).tobytes()


def test_a_lerobot_data_set_describes_itself(run_folder: Path, steps: np.ndarray, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "walk"
    call(capsys, run_folder, "--to", "lerobot", "--out", out)
    info = json.loads((out / "meta" / "info.json").read_text())
    assert (info["codebase_version"], info["fps"], info["robot_type"], info["total_frames"]) == ("v3.0", 50, "minitaur", len(steps))
    assert info["features"]["observation.state"]["names"][0] == "motor_front_left_left.pos"
    assert info["features"]["observation.state"]["info"] == {"unit": "rad"}
    stored = pq.read_schema(out / "data" / "chunk-000" / "file-000.parquet")
    assert stored.names == list(info["features"])
    stats = json.loads((out / "meta" / "stats.json").read_text())
    finite = steps["action"][np.isfinite(steps["action"]).all(axis=1)].astype(np.float64)
    assert len(steps) > len(finite) == stats["action"]["count"][0]
    assert stats["action"]["mean"] == pytest.approx(finite.mean(axis=0))
    assert stats["action"]["q90"] == pytest.approx(np.quantile(finite, 0.9, axis=0))
    episodes = pq.read_table(out / "meta" / "episodes" / "chunk-000" / "file-000.parquet").to_pylist()
    assert [(row["dataset_from_index"], row["dataset_to_index"]) for row in episodes] == [(0, 40), (40, len(steps))]
    assert [row["log"] for row in episodes] == ["c0-e000000.mcap", "c0-e000001.mcap"]
    assert episodes[1]["stats/next.reward/max"] == [pytest.approx(steps["reward"][40:].max())]
    tasks = pq.read_table(out / "meta" / "tasks.parquet")
    assert (tasks.column("task").to_pylist(), json.loads(tasks.schema.metadata[b"pandas"])["index_columns"]) == (["walk"], ["task"])


def test_another_program_reads_the_lerobot_data_set(run_folder: Path, steps: np.ndarray, tmp_path: Path, capsys: Capture) -> None:
    call(capsys, run_folder, "--to", "lerobot", "--out", tmp_path / "walk")
    reader = LeRobotReader(tmp_path / "walk")
    assert (reader.version, reader.episodes()) == ("v3", [0, 1])
    (action,) = [chunk for chunk in reader.stream(0) if chunk.entity_path == "/action" and not chunk.is_static]
    assert np.array_equal(scalars(action), steps["action"][:40])


def test_a_long_data_set_is_several_files(run_folder: Path, steps: np.ndarray, tmp_path: Path) -> None:
    export_lerobot(open_recording(run_folder, 0, None), tmp_path / "walk", file_bytes=1)
    files = sorted((tmp_path / "walk" / "data").rglob("*.parquet"))
    assert [file.name for file in files] == ["file-000.parquet", "file-001.parquet"]
    assert np.concatenate([column(pq.read_table(file), "action") for file in files]).tobytes() == steps["action"].tobytes()
    episodes = pq.read_table(tmp_path / "walk" / "meta" / "episodes" / "chunk-000" / "file-000.parquet")
    assert episodes.column("data/file_index").to_pylist() == [0, 1]


def test_statistics_without_a_number_are_none() -> None:
    assert np.isnan(statistics(np.array([[np.nan, 1.0]]))["mean"]).all()
    assert statistics(np.array([np.inf, 2.0, 4.0])) | {"count": [2], "mean": [3.0]} == statistics(np.array([2.0, 4.0]))


def test_minari_reads_every_step(
    run_folder: Path, logs: list[RolloutLog], tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    call(capsys, run_folder, "--to", "minari", "--out", tmp_path / "walk-v3")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    held = minari.load_dataset("walk-v3")
    assert (held.id, held.total_episodes, held.total_steps) == ("walk-v3", 2, sum(len(log.steps) for log in logs))
    for episode, log in zip(held.iterate_episodes(), logs, strict=True):
        steps = log.steps
        assert episode.observations[:-1].tobytes() == steps["observation"].tobytes()
        assert episode.observations[1:].tobytes() == steps["next_observation"].tobytes()
        assert episode.actions.tobytes() == steps["action"].tobytes()
        assert episode.rewards.tobytes() == steps["reward"].tobytes()
        assert (episode.terminations == steps["terminated"]).all()
        assert (episode.truncations == steps["truncated"]).all()
        assert episode.infos["applied_action"].tobytes() == steps["applied_action"].tobytes()
        assert episode.infos["stamp_s"].tobytes() == steps["stamp_s"].tobytes()
        assert episode.infos["joint_position_rad"].shape == (len(steps), 8)
        assert held.observation_space.contains(episode.observations[0])
    first, second = held.storage.get_episode_metadata([0, 1])
    assert (first["run_seed"], first["log"], second["episode"]) == (5, "c0-e000000.mcap", 1)
    assert held.storage.metadata["fetlock"]["control_hz"] == 50.0


def test_the_environment_of_a_minari_data_set_is_the_recorded_one(
    run_folder: Path, logs: list[RolloutLog], tmp_path: Path, capsys: Capture
) -> None:
    call(capsys, run_folder, "--to", "minari", "--out", tmp_path / "walk-v0", "--episode", 0)
    env = minari.MinariDataset(tmp_path / "walk-v0" / "data").recover_environment().unwrapped
    try:
        # The collector's generator: the same start pose, machine and noise.
        observation = env.begin(np.random.default_rng([5, 0, 0]), float(np.floor(logs[0].steps["stamp_s"][0])))
        assert observation.tobytes() == logs[0].steps["observation"][0].tobytes()
    finally:
        env.close()


def test_no_environment_opens_the_port_of_a_robot_of_metal(run_folder: Path) -> None:
    config = open_recording(run_folder, 0, None).config
    assert env_spec(config) is not None
    assert env_spec(config.model_copy(update={"robot": HardwareConfig(port="/dev/ttyUSB0")})) is None


def scalars(chunk: object) -> np.ndarray:
    batch = chunk.to_record_batch()
    (name,) = [name for name in batch.schema.names if name.endswith("Scalars:scalars")]
    return np.array(batch.column(name).to_pylist())


def test_rerun_reads_every_step_and_bus_tick(run_folder: Path, logs: list[RolloutLog], tmp_path: Path, capsys: Capture) -> None:
    assert "2 episodes" in call(capsys, run_folder, "--to", "rrd", "--out", tmp_path / "walk.rrd")
    reader = RrdReader(tmp_path / "walk.rrd")
    (entry,) = reader.recordings()
    assert (entry.application_id, entry.recording_id, len(reader.blueprints())) == ("fetlock", "walk", 1)
    chunks = [chunk for chunk in reader.stream(store=entry) if not chunk.is_static]

    def held(place: str) -> np.ndarray:
        own = [chunk for chunk in chunks if chunk.entity_path == f"/c0/{place}"]
        own.sort(key=lambda chunk: chunk.to_record_batch().column("robot_time")[0].as_py())
        return np.concatenate([scalars(chunk) for chunk in own])

    for place, field in {"joints/position": "position_rad", "joints/emission": "emission_rad", "guard/mode": "mode"}.items():
        expected = np.concatenate([log.bus[field] for log in logs])
        assert np.array_equal(held(place), expected.reshape(len(expected), -1))
    for place, field in {"action/proposed": "action", "action/applied": "applied_action", "reward": "reward"}.items():
        expected = np.concatenate([log.steps[field] for log in logs])
        finite = np.isfinite(expected).reshape(len(expected), -1).all(axis=1)
        assert np.array_equal(held(place)[finite], expected.reshape(len(expected), -1)[finite])
    text = [line for chunk in chunks if chunk.entity_path == "/c0/events" for (line,) in chunk.to_record_batch().column(-1).to_pylist()]
    assert sum("begins" in str(line) for line in text) == 2
    assert any("HOLD because of REJECTED" in str(line) for line in text)
    times = [chunk.to_record_batch().column("robot_time").to_numpy() for chunk in chunks if chunk.entity_path == "/c0/reward"]
    assert np.array_equal(
        np.sort(np.concatenate(times)).astype(np.int64), np.rint(1e9 * np.concatenate([log.steps["stamp_s"] for log in logs]))
    )


def test_wrong_input_is_one_line_and_leaves_nothing(run_folder: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "out-v0"
    log = run_folder / "rollouts" / "c0-e000001.mcap"
    assert "'lerobot', 'minari', 'rrd', 'onnx'" in call(capsys, run_folder, "--to", "zarr", "--out", out, code=2)
    assert "give --to" in call(capsys, run_folder, "--out", out, code=2)
    assert "give --out" in call(capsys, run_folder, "--to", "rrd", code=2)
    assert "ends in .rrd" in call(capsys, run_folder, "--to", "rrd", "--out", out, code=2)
    assert "exists already" in call(capsys, run_folder, "--to", "lerobot", "--out", tmp_path, code=2)
    assert "as walk-v0" in call(capsys, run_folder, "--to", "minari", "--out", tmp_path / "walk", code=2)
    assert "no episode 7" in call(capsys, run_folder, "--to", "minari", "--out", out, "--episode", 7, code=2)
    assert "give --episode too" in call(capsys, run_folder, "--to", "rrd", "--out", tmp_path / "x.rrd", "--collector", 1, code=2)
    assert "no rollouts/ in it" in call(capsys, tmp_path, "--to", "lerobot", "--out", out, code=2)
    assert "cannot be written" in call(capsys, run_folder, "--to", "lerobot", "--out", log / "out", code=1)
    (tmp_path / "torn").mkdir()
    torn = tmp_path / "torn" / log.name
    torn.write_bytes(log.read_bytes()[:-3000])
    for kind in ("lerobot", "minari"):
        assert "is damaged after" in call(capsys, torn, "--to", kind, "--out", out, code=1)
    assert [path.name for path in tmp_path.iterdir()] == ["torn"]


def test_logs_of_two_robots_are_not_one_data_set(run_folder: Path, tmp_path: Path, capsys: Capture) -> None:
    record_run(tmp_path / "mixed", episodes=1, base=(*FLAGS, "--task.swing-scale-rad", "0.4"))
    source = run_folder / "rollouts" / "c0-e000001.mcap"
    (tmp_path / "mixed" / "rollouts" / source.name).write_bytes(source.read_bytes())
    said = call(capsys, tmp_path / "mixed", "--to", "lerobot", "--out", tmp_path / "out", code=1)
    assert "c0-e000001.mcap is of another robot or task" in said
    assert "action_scaling" in said
    assert not (tmp_path / "out").exists()


def test_a_missing_package_is_named_with_its_command(
    run_folder: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "minari", None)
    said = call(capsys, run_folder, "--to", "minari", "--out", tmp_path / "out-v0", code=1)
    assert "needs minari" in said
    assert "./run export" in said
