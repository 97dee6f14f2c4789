"""eval, replay and run over a run that the real collector recorded on the real simulation."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest

from fetlock.__main__ import main
from safety.types import Mode
from tests.fetlock.recorded import record_run
from training.rollout_log import read_log, read_run

pytestmark = pytest.mark.realtime

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "mine"
    record_run(folder, episodes=3)
    return folder


def call(capsys: Capture, *arguments: str, code: int = 0) -> str:
    assert main(list(arguments)) == code
    captured = capsys.readouterr()
    return captured.out if code == 0 else captured.err


@pytest.mark.parametrize("episode", [0, 1, 2])
def test_a_replay_is_exact_bit_for_bit(run_folder: Path, capsys: Capture, episode: int) -> None:
    result = json.loads(call(capsys, "replay", str(run_folder), "--episode", str(episode), "--json"))
    assert (result["exact"], result["max_rad"], result["rms_rad"], result["base_max_m"]) == (True, 0.0, 0.0, 0.0)
    assert result["bus_ticks"] == len(read_log(Path(result["log"])).bus)


@pytest.mark.parametrize("guard", [("--guard.low-pass-hz", "5"), ("--guard.velocity-max-rad-s", "2", "--guard.position-max-rad", "2.2")])
def test_a_replay_is_exact_whatever_the_guard_did(guard: tuple[str, ...], tmp_path: Path, capsys: Capture) -> None:
    record_run(tmp_path / "run", episodes=1, flags=guard)
    assert "bit-exact" in call(capsys, "replay", str(tmp_path / "run"))


def test_a_replay_holds_where_the_guard_held(tmp_path: Path, capsys: Capture) -> None:
    record_run(tmp_path / "run", episodes=1, broken_from=10)
    modes = read_log(tmp_path / "run" / "rollouts" / "c0-e000000.mcap").bus["mode"]
    assert (modes[0], modes[-1]) == (Mode.ACTIVE, Mode.HOLD)
    assert "bit-exact" in call(capsys, "replay", str(tmp_path / "run"))


def test_a_changed_robot_is_measured(run_folder: Path, capsys: Capture) -> None:
    log = run_folder / "rollouts" / "c0-e000001.mcap"
    result = json.loads(call(capsys, "replay", str(log), "--json", "--robot.kp", "0.5"))
    assert not result["exact"]
    assert 0.0 < result["rms_rad"] <= result["max_rad"]


def test_a_log_that_cannot_be_replayed_says_why(run_folder: Path, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "torn.mcap").write_bytes(b"nothing")
    assert "is no rollout log" in call(capsys, "replay", str(tmp_path / "torn.mcap"), code=1)
    assert "c0-e000000.mcap to c0-e000002.mcap" in call(capsys, "replay", str(run_folder), "--episode", "9", code=2)
    assert "collector 4" in call(capsys, "replay", str(run_folder), "--collector", "4", code=2)


def test_an_evaluation_repeats_and_reports_every_episode(run_folder: Path, capsys: Capture) -> None:
    arguments = ("eval", str(run_folder), "-n", "3", "--json", "--seed", "4")
    first, second = call(capsys, *arguments), call(capsys, *arguments)
    assert first == second
    report = json.loads(first)
    returns = [episode["reward"] for episode in report["episodes"]]
    assert len(set(returns)) == 3
    assert report["episode_return"] == pytest.approx({"mean": np.mean(returns), "sd": np.std(returns, ddof=1)})
    assert report["share_fallen"] == np.mean([episode["failed"] for episode in report["episodes"]])
    assert not report["mark_reached"]
    # The next seed is the next episode's.
    assert (
        json.loads(call(capsys, "eval", str(run_folder / "policy"), "-n", "1", "--json", "--seed", "5"))["episodes"]
        == report["episodes"][1:2]
    )


def test_an_evaluation_prints_a_table_and_films(run_folder: Path, tmp_path: Path, capsys: Capture) -> None:
    out = call(capsys, "eval", str(run_folder), "-n", "1", "--task.time-limit-steps", "6", "--video", str(tmp_path / "v.mp4"))
    assert "mark of 0.6 m/s without a failure: not reached" in out
    with av.open(str(tmp_path / "v.mp4")) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == 3
    assert frames[0].std() > 10


def test_a_policy_of_another_task_is_refused(run_folder: Path, capsys: Capture) -> None:
    message = call(capsys, "eval", str(run_folder), "--task.swing-scale-rad", "0.4", code=1)
    assert "action_scaling" in message
    assert "0.4" in message


def run_policy(capsys: Capture, run_folder: Path, folder: Path, *words: str, code: int = 0) -> str:
    return call(capsys, "run", "--policy", str(run_folder), "--runs-dir", str(folder), "--name", "done", *words, code=code)


def test_run_drives_the_robot_by_the_policy_in_simulated_time_and_logs_it(run_folder: Path, tmp_path: Path, capsys: Capture) -> None:
    report = json.loads(run_policy(capsys, run_folder, tmp_path, "--duration", "3", "--json"))
    assert (report["policy_ticks"], report["bus_ticks"], report["missed"], report["lost"]) == (150, 300, 0, 0)
    assert report["episodes"] >= 2
    assert report["lateness_ms"] is None
    done = Path(report["log"])
    steps = read_run(done / "rollouts")
    assert len(steps) == 150
    assert (steps["policy_version"] == 3).all()
    assert len(np.unique(steps["episode"])) == report["episodes"]
    assert steps["terminated"].sum() == report["falls"]
    assert np.mean(steps["measure"]) == pytest.approx(report["measure"])
    assert json.loads((done / "summary.json").read_text()) == report
    assert (done / "config.yaml").read_text() == (run_folder / "config.yaml").read_text()
    # It is played, decided and asked again bit for bit.
    assert "bit-exact" in call(capsys, "replay", str(done), "--episode", "0")
    assert "bit for bit" in call(capsys, "replay", str(done), "--compare", "guard")
    assert "150 of 150 actions are the policy's own" in call(capsys, "replay", str(done), "--compare", "policy")
    assert "as they were written" in call(capsys, "log", "verify", str(done))


def test_run_drives_the_robot_in_real_time_over_the_motion_process_and_logs_it(run_folder: Path, tmp_path: Path, capsys: Capture) -> None:
    for attempt in range(3):  # a busy machine may make a tick so late that nothing is decided in it
        runs = tmp_path / str(attempt)
        runs.mkdir()
        report = json.loads(run_policy(capsys, run_folder, runs, "--duration", "2", "--realtime", "--json"))
        decided = json.loads(call(capsys, "replay", report["log"], "--compare", "guard", "--json"))
        if not decided["skipped"]:
            break
    assert report["policy_ticks"] == 100
    assert report["bus_ticks"] >= 200
    assert report["lateness_ms"]["p50"] >= 0.0
    assert any("garbage collector" in line for line in report["granted"])
    done = report["log"]
    assert len(read_run(runs / "done" / "rollouts")) == 100
    assert (decided["exact"], decided["skipped"]) == (True, 0)
    assert decided["repeated"] >= report["bus_ticks"]
    assert "100 of 100 actions are the policy's own" in call(capsys, "replay", done, "--compare", "policy")


def test_run_refuses_a_policy_of_another_robot_and_leaves_nothing(run_folder: Path, tmp_path: Path, capsys: Capture) -> None:
    said = run_policy(capsys, run_folder, tmp_path, "--config", "configs/kitty_walk.yaml", "--realtime", code=1)
    assert "the policy was trained for robot 'minitaur', this robot has 'kitty'" in said
    assert "--duration 0.0: give 0.1" in run_policy(capsys, run_folder, tmp_path, "--duration", "0", code=2)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "done").mkdir()
    (tmp_path / "done" / "mine").write_text("")
    assert "exists already" in run_policy(capsys, run_folder, tmp_path, code=2)
