"""`fetlock log` over a run that the real collector recorded: what it says is what is there, and it harms nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from fetlock.__main__ import main
from tests.fetlock.recorded import record_run
from training.rollout_log import EpisodeWriter, RunMetadata, read_log, read_run
from training.runs import lock_run

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "mine"
    record_run(folder, episodes=3)
    return folder


@pytest.fixture
def copy(run_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run_folder, tmp_path / "copy"))


def call(capsys: Capture, *arguments: str, code: int = 0) -> str:
    assert main(["log", *arguments]) == code
    captured = capsys.readouterr()
    return captured.err if code == 2 or (code and not captured.out) else captured.out


def leave_behind(rollouts: Path, name: str) -> np.ndarray:
    """Turn a log into what a killed writer leaves; return its steps."""
    log = read_log(rollouts / name)
    (rollouts / name).unlink()
    metadata = RunMetadata("0", "minitaur", 5, config=log.metadata["config"])
    writer = EpisodeWriter(rollouts, 0, int(log.metadata["episode"]), log.steps.dtype, log.bus.dtype, metadata)
    writer.write(log.bus, log.steps)
    writer.flush()
    return log.steps


def test_every_log_has_its_line(run_folder: Path, capsys: Capture) -> None:
    lines = [json.loads(line) for line in call(capsys, "ls", str(run_folder), "--json").splitlines()]
    steps = read_run(run_folder / "rollouts")
    for episode, line in enumerate(lines):
        own = steps[steps["episode"] == episode]
        assert (line["file"], line["episode"], line["steps"], line["bus_ticks"]) == (
            f"c0-e{episode:06d}.mcap",
            episode,
            len(own),
            2 * len(own),
        )
        assert line["episode_return"] == pytest.approx(own["reward"].sum())
        assert line["seconds"] == pytest.approx(0.02 * len(own))
        assert line["ended"] == ("terminated" if own["terminated"][-1] else "truncated")
        assert line["state"] == "whole"
    assert len(lines) == 3
    assert f"3 logs, {len(steps)} steps" in call(capsys, "ls", str(run_folder))


def test_one_log_is_described(run_folder: Path, capsys: Capture) -> None:
    told = json.loads(call(capsys, "info", str(run_folder), "--episode", "1", "--json"))
    log = read_log(run_folder / "rollouts" / "c0-e000001.mcap")
    assert (told["seed"], told["robot"], told["format"], told["observation_size"], told["action_size"]) == ("5", "minitaur", "2", 36, 8)
    assert told["modes"] == {"ACTIVE": len(log.bus)}
    assert told["stages"]["INTERPOLATED"] == int(((log.bus["filter_mask"] & (1 << 9)) != 0).sum())
    assert "observation size" in call(capsys, "info", str(run_folder / "rollouts" / "c0-e000001.mcap"))
    assert call(capsys, "info", str(run_folder), "--config") == (run_folder / "config.yaml").read_text()


def test_what_is_whole_is_found_whole_and_stays_as_it_is(run_folder: Path, capsys: Capture) -> None:
    before = {path: path.read_bytes() for path in sorted(run_folder.rglob("*")) if path.is_file()}
    assert "as they were written" in call(capsys, "verify", str(run_folder))
    assert json.loads(call(capsys, "verify", str(run_folder / "rollouts" / "c0-e000000.mcap"), "--json"))["wrong"] == []
    assert {path: path.read_bytes() for path in sorted(run_folder.rglob("*")) if path.is_file()} == before


def test_damage_gaps_and_strangers_are_found(copy: Path, capsys: Capture) -> None:
    rollouts = copy / "rollouts"
    content = bytearray((rollouts / "c0-e000001.mcap").read_bytes())
    content[len(content) // 2] ^= 0x10
    (rollouts / "c0-e000001.mcap").write_bytes(bytes(content))
    assert "c0-e000001.mcap: damaged after" in call(capsys, "verify", str(copy), code=1)
    (rollouts / "c0-e000001.mcap").unlink()
    assert "c0-e000002.mcap" in call(capsys, "verify", str(copy), code=1)
    (rollouts / "c0-e000001.mcap").write_bytes(b"no log at all")
    assert "is no rollout log" in call(capsys, "verify", str(copy), code=1)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("bus_first", 0, "other steps span too"),
        ("step", 9, "steps of its episode are missing"),
        ("reward", np.nan, "reward holds what is no number"),
        ("action", np.inf, "though the guard let it through"),
    ],
)
def test_records_that_contradict_each_other_are_found(
    run_folder: Path, tmp_path: Path, capsys: Capture, field: str, value: float, said: str
) -> None:
    log = read_log(run_folder / "rollouts" / "c0-e000001.mcap")
    steps = log.steps.copy()
    steps[field][4] = value
    writer = EpisodeWriter(tmp_path, 0, 1, steps.dtype, log.bus.dtype, RunMetadata("0", "minitaur", 5))
    writer.write(log.bus, steps)
    writer.finish(complete=True)
    assert said in call(capsys, "verify", str(tmp_path / "c0-e000001.mcap"), code=1)


def test_what_a_killed_writer_left_is_finished(copy: Path, capsys: Capture) -> None:
    steps = leave_behind(copy / "rollouts", "c0-e000002.mcap")
    assert "unfinished" in call(capsys, "verify", str(copy), code=1)
    assert "unfinished" in call(capsys, "ls", str(copy))
    with lock_run(copy):
        assert "in use by another process" in call(capsys, "recover", str(copy), code=1)
    assert "c0-e000002.mcap" in call(capsys, "recover", str(copy))
    assert read_log(copy / "rollouts" / "c0-e000002.mcap").steps.tobytes() == steps.tobytes()
    assert "as they were written" in call(capsys, "verify", str(copy))
    assert call(capsys, "recover", str(copy)) == "nothing to recover\n"


def test_a_part_of_a_log_is_a_log(run_folder: Path, tmp_path: Path, capsys: Capture) -> None:
    source, out = run_folder / "rollouts" / "c0-e000001.mcap", tmp_path / "part.mcap"
    whole = read_log(source)
    assert "7 steps, 14 bus ticks" in call(capsys, "cut", str(source), "--from", "3", "--to", "9", "--out", str(out))
    part = read_log(out)
    assert part.steps.tobytes() == whole.steps[3:10].tobytes()
    assert part.bus.tobytes() == whole.bus[6:20].tobytes()
    assert (part.complete, part.intact, part.metadata["config"]) == (False, True, whole.metadata["config"])
    assert "as they were written" in call(capsys, "verify", str(out))
    call(capsys, "cut", str(source), "--out", str(tmp_path / "all.mcap"))
    assert (tmp_path / "all.mcap").read_bytes()
    assert read_log(tmp_path / "all.mcap").complete
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all.mcap", "part.mcap"]


def test_wrong_input_is_one_line(run_folder: Path, tmp_path: Path, capsys: Capture) -> None:
    log = str(run_folder / "rollouts" / "c0-e000001.mcap")
    assert "the nearest is info" in call(capsys, "inof", code=2)
    assert "ls" in call(capsys)
    assert "no rollouts/ in it" in call(capsys, "ls", str(tmp_path), code=2)
    assert "no rollouts/ in it" in call(capsys, "recover", str(tmp_path), code=2)
    (tmp_path / "rollouts").mkdir()
    for command in ("ls", "verify"):
        assert "has no log yet" in call(capsys, command, str(tmp_path), code=2)
    assert "give --out" in call(capsys, "cut", log, code=2)
    assert "ends in .mcap" in call(capsys, "cut", log, "--out", "x.txt", code=2)
    assert "exists already" in call(capsys, "cut", log, "--out", log, code=2)
    assert "are not all in" in call(capsys, "cut", log, "--from", "3", "--to", "900", "--out", str(tmp_path / "x.mcap"), code=2)
    assert "cannot be written" in call(capsys, "cut", log, "--out", str(tmp_path / "nowhere" / "x.mcap"), code=1)
    assert "cannot be read" in call(capsys, "cut", "nothing.mcap", "--out", str(tmp_path / "x.mcap"), code=1)
