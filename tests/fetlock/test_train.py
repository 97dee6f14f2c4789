"""A run as its user starts it: real processes over shared memory, real PyBullet, killed by SIGKILL."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fetlock.__main__ import main
from robot import FetlockError
from robot.clock import monotonic_s, sleep_s
from training import runs
from training.checkpoint import load_checkpoint
from training.evaluation import Evaluation, read_evaluations
from training.rollout_log import log_files, read_log, read_run
from training.runs import lock_run

ROOT = Path(__file__).resolve().parents[2]
# A network small enough that eager updates keep up; everything else is the default task.
SMALL = (
    *("--sac.network.hidden", "32", "32", "--sac.batch-size", "32", "--train.compile", "never", "--train.learner-threads", "1"),
    *(
        "--train.learning-starts",
        "100",
        "--train.checkpoint-every",
        "100",
        "--sac.updates-per-step",
        "2",
        "--train.evaluation-episodes",
        "1",
        "--train.evaluate-every",
        "500",
    ),
)


SCALARS = (
    *("rollout/ep_rew_mean", "rollout/ep_len_mean", "rollout/success_rate", "time/fps", "eval/mean_reward"),
    *("train/actor_loss", "train/critic_loss", "train/ent_coef", "train/n_updates", "loop/lateness_ms_p99", "safety/clip_rate"),
)


def fetlock(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "fetlock", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def training(folder: Path, name: str, *arguments: str, config: bool = True) -> tuple[str, ...]:
    return ("train", "--runs-dir", str(folder), "--name", name, "--no-video", *arguments, *(SMALL if config else ()))


def train(folder: Path, name: str, *arguments: str, config: bool = True) -> subprocess.Popen[str]:
    return fetlock(*training(folder, name, *arguments, config=config))


def finished(process: subprocess.Popen[str], code: int = 0) -> tuple[str, str]:
    out, err = process.communicate(timeout=280)
    assert process.returncode == code, err
    return out, err


def wait_for(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    deadline_s = monotonic_s() + 120.0
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert monotonic_s() < deadline_s, "it took longer than 120 s"
        sleep_s(0.02)


def children(process: subprocess.Popen[str]) -> list[int]:
    """Processes of the run, in the order of their start; the first is the shared memory's tracker."""
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(pid) for pid in listed]


def role_of(pid: int) -> str:
    """Name the role of a child by the log file that its output goes to."""
    return Path(f"/proc/{pid}/fd/2").readlink().stem


def kill_role(process: subprocess.Popen[str], role: str) -> None:
    os.kill(next(pid for pid in children(process) if role_of(pid) == role), signal.SIGKILL)


def require_whole(run: Path, steps: int) -> np.ndarray:
    """Every step is there once; every bus tick too; every episode's steps are gapless."""
    records = read_run(run / "rollouts")
    np.testing.assert_array_equal(records["sequence"], np.arange(len(records)))
    assert len(records) >= steps
    for episode in np.unique(records["episode"]):
        own = records[records["episode"] == episode]
        np.testing.assert_array_equal(own["step"], np.arange(len(own)))
    bus = np.concatenate([read_log(path).bus for path in log_files(run / "rollouts")])
    np.testing.assert_array_equal(np.sort(bus["sequence"])[: 2 * steps], np.arange(2 * steps))
    return records


def checkpoint_steps(run: Path) -> int:
    names = sorted((run / "checkpoints").glob("*.json"))
    return int(names[-1].name.split("-")[0]) if names else 0


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of 500 steps, called "run", and what it said; nobody may change it."""
    folder = tmp_path_factory.mktemp("trained")
    out, _ = finished(train(folder, "run", "--train.total-steps", "500"))
    return folder / "run", out


def test_a_run_leaves_everything_that_it_promises(trained):
    run, out = trained
    summary = json.loads((run / "summary.json").read_text())
    assert summary["steps"] == 500
    assert summary["update_to_data_ratio"] == 2.0
    assert summary["updates"] == 2 * 400
    assert "500 steps" in out
    assert [e.steps for e in read_evaluations(run / "evaluations.jsonl")][-1] == 500
    for name in ("config.yaml", "curves.png", "report.html", "policy/config.json", "policy_last/config.json"):
        assert (run / name).stat().st_size > 0
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    # Stable-Baselines3's, and ours of a robot that measures no temperature and has no bus.
    assert {*SCALARS} <= {*events.Tags()["scalars"]}
    assert not [tag for tag in events.Tags()["scalars"] if tag.startswith("robot/")]
    records = require_whole(run, 500)
    assert (records["policy_version"][:100] == 0).all()
    assert records["policy_version"][-1] > 0
    assert not list((run / "rollouts").glob("*.part"))
    assert main(["replay", str(run), "--compare", "guard"]) == 0


def test_killed_processes_come_back_and_the_run_ends_as_well_as_without(tmp_path):
    process = train(tmp_path, "run", "--train.total-steps", "700", "--camera.width-px", "16", "--camera.height-px", "16")
    run = tmp_path / "run"
    roles = ("learner", "logger", "collector-0", "evaluator")
    for hundreds, role in enumerate(roles, start=2):
        wait_for(lambda steps=100 * hundreds: checkpoint_steps(run) >= steps, process)
        kill_role(process, role)
    _, err = finished(process)
    assert err.count("SIGKILL") == len(roles)
    summary = json.loads((run / "summary.json").read_text())
    assert summary["restarts"] == dict.fromkeys(roles, 1)
    assert summary["updates"] == 2 * 600
    require_whole(run, 700)
    # Each step has its frame, and no other.
    assert main(["log", "verify", str(run)]) == 0
    for log in (read_log(path, frames=True) for path in log_files(run / "rollouts")):
        np.testing.assert_array_equal(log.frames.sequence, log.steps["sequence"])
        np.testing.assert_array_equal(log.frames.stamp_s, log.steps["stamp_s"])
    assert torch.isfinite(load_checkpoint(run / "checkpoints")[0]["actor.weight_0"]).all()


def test_everything_killed_and_resumed_loses_and_doubles_no_acknowledged_step(tmp_path):
    process = train(tmp_path, "run", "--train.total-steps", "500")
    run = tmp_path / "run"
    wait_for(lambda: checkpoint_steps(run) >= 200, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = read_run(run / "rollouts")
    seen_by_the_learner = load_checkpoint(run / "checkpoints")[1].steps
    assert len(before) >= seen_by_the_learner
    finished(train(tmp_path, "run", "--resume", config=False))
    after = require_whole(run, 500)
    assert after[: len(before)].tobytes() == before.tobytes()
    summary = json.loads((run / "summary.json").read_text())
    assert (summary["steps"], summary["updates"]) == (len(after), 2 * (len(after) - 100))


def test_children_end_when_their_supervisor_is_killed_and_who_resumes_waits_for_them(tmp_path):
    process = train(tmp_path, "run", "--train.total-steps", "100000")
    run = tmp_path / "run"
    wait_for(lambda: checkpoint_steps(run) >= 200, process)
    # The first is the tracker of shared memory: it cleans up behind the others.
    workers = children(process)[1:]
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with lock_run(run):
        assert not any(_alive(pid) for pid in workers)
        before = read_run(run / "rollouts")
    assert not list((run / "rollouts").glob("*.part"))
    # A supervisor that dies while its children start: none of them begins to work, and none lives on.
    again = train(tmp_path, "run", "--resume", config=False)
    wait_for(lambda: len(children(again)) == 5, again)
    orphans = children(again)
    os.kill(again.pid, signal.SIGKILL)
    again.wait()
    deadline_s = monotonic_s() + 60.0
    while any(_alive(pid) for pid in orphans) and monotonic_s() < deadline_s:
        sleep_s(0.05)
    assert not any(_alive(pid) for pid in orphans)
    assert read_run(run / "rollouts").tobytes() == before.tobytes()


def test_who_resumes_does_not_wait_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "_ENDING_S", 0.1)
    (tmp_path / "logs").mkdir()
    with (tmp_path / "logs" / "learner.log").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        with pytest.raises(FetlockError, match=r"the learner of a run that was killed has not ended .* end it"):
            lock_run(tmp_path)
    lock_run(tmp_path).close()


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_ctrl_c_stops_in_order_and_the_run_can_be_resumed(tmp_path):
    process = train(tmp_path, "run", "--train.total-steps", "100000")
    wait_for(lambda: checkpoint_steps(tmp_path / "run") >= 200, process)
    os.killpg(process.pid, signal.SIGINT)
    finished(process)
    run = tmp_path / "run"
    assert not list((run / "rollouts").glob("*.part"))
    # Steps that the logger acknowledged after the learner stopped stay in the log: a resumed run begins with them.
    assert load_checkpoint(run / "checkpoints")[1].steps <= len(require_whole(run, 200))


def weights(run: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted((run / "policy_last").glob("*.safetensors")))


def curves(run: Path) -> set[tuple[str, int, float]]:
    """Every scalar that TensorBoard is given, its tag, step and value, but for those of the wall clock; what was written twice is one."""
    events = EventAccumulator(str(run / "tensorboard"), {"scalars": 0}, purge_orphaned_data=False).Reload()
    tags = [tag for tag in events.Tags()["scalars"] if not tag.startswith("time/")]
    return {(tag, event.step, event.value) for tag in tags for event in events.Scalars(tag)}


def judged(run: Path) -> list[Evaluation]:
    return [result.model_copy(update={"seconds": 0.0}) for result in read_evaluations(run / "evaluations.jsonl")]


def bus(run: Path) -> bytes:
    return b"".join(read_log(path).bus.tobytes() for path in log_files(run / "rollouts"))


def test_deterministic_runs_are_identical_and_a_resumed_one_equals_an_uninterrupted_one(tmp_path):
    # Every source of randomness, an actor whose figures are older than an update, and episodes that end between rows of the curves.
    hard = (
        "--robot.randomise.enabled",
        "--robot.noise.gyro-rad-s",
        "0.1",
        "--sac.network.critic-dropout",
        "0.01",
        "--sac.actor-every",
        "3",
    )
    arguments = ("--deterministic", "--train.total-steps", "500", "--task.time-limit-steps", "90", *hard)
    finished(train(tmp_path, "first", *arguments))
    summary = json.loads((tmp_path / "first" / "summary.json").read_text())
    assert (summary["steps"], summary["updates"], summary["update_to_data_ratio"]) == (500, 2 * 400, 2.0)
    records = read_run(tmp_path / "first" / "rollouts")
    assert len(records) == 500
    # Two runs agree if one of them does that was killed on its way.
    first, killed = tmp_path / "first", tmp_path / "killed"
    process = train(tmp_path, "killed", *arguments)
    wait_for(lambda: checkpoint_steps(killed) >= 200, process)
    sleep_s(float(np.random.default_rng().uniform(0.0, 1.0)))
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    finished(train(tmp_path, "killed", "--resume", "--deterministic", config=False))
    assert read_run(killed / "rollouts").tobytes() == records.tobytes()
    assert bus(killed) == bus(first)
    assert weights(killed) == weights(first)
    assert judged(killed) == judged(first)
    assert len({step for tag, step, _ in curves(first) if tag == "train/actor_loss"}) == 2
    assert curves(killed) == curves(first)
    # Networks, targets, temperature, moments of the optimiser, both random states.
    for run in (killed, first):
        tensors, state = load_checkpoint(run / "checkpoints")
        assert state.updates > 500
        digest = {name: value.numpy().tobytes() for name, value in tensors.items()}
        if run == killed:
            kept, at = digest, state
    assert (kept, at) == (digest, state)


def test_a_run_that_is_over_goes_on_further_where_it_is_asked_to(trained, tmp_path):
    run, _ = trained
    shutil.copytree(run, tmp_path / "longer")
    finished(train(tmp_path, "longer", "--resume", "--train.total-steps", "600", config=False))
    records, before = require_whole(tmp_path / "longer", 600), read_run(run / "rollouts")
    assert (len(records), records[:500].tobytes()) == (600, before.tobytes())
    summary = json.loads((tmp_path / "longer" / "summary.json").read_text())
    assert (summary["steps"], summary["updates"]) == (600, 2 * 500)
    # And then as any other run.
    finished(train(tmp_path, "longer", "--resume", config=False))
    assert len(read_run(tmp_path / "longer" / "rollouts")) == 600


def complaint(capsys: pytest.CaptureFixture[str], code: int, *arguments: str) -> str:
    """Return the one line on standard error of a call that ends with a code."""
    capsys.readouterr()
    assert main(list(arguments)) == code
    return only_line(capsys.readouterr().err)


def only_line(err: str) -> str:
    lines = [line for line in err.splitlines() if line.strip()]
    assert len(lines) == 1, err
    return lines[0]


def test_wrong_calls_are_refused_in_one_line_and_touch_nothing(trained, tmp_path, capsys):
    run, _ = trained
    before = {path: path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file()}
    assert "--resume" in complaint(capsys, 2, *training(run.parent, "run"))
    assert "another configuration" in complaint(capsys, 2, *training(run.parent, "run", "--resume", "--seed", "9"))
    fewer = complaint(capsys, 2, *training(run.parent, "run", "--resume", "--train.total-steps", "499", config=False))
    assert "made for train.total_steps 500, and 499 is less" in fewer
    named = (f"--config={run / 'config.yaml'}", "--train.total-steps", "499")
    assert complaint(capsys, 2, *training(run.parent, "run", "--resume", *named, config=False)) == fewer
    # What differs is named, not how far it is to go.
    longer = ("--train.total-steps", "600", "--train.videos", "3")
    other = complaint(capsys, 2, *training(run.parent, "run", "--resume", *longer, config=False))
    assert "given 'videos: 3'" in other
    assert "no run to resume" in complaint(capsys, 2, *training(tmp_path, "other", "--resume"))
    assert "--name" in complaint(capsys, 2, "train", "--resume")
    assert "is no name of a folder" in complaint(capsys, 2, *training(tmp_path, "../run"))
    assert {path: path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file()} == before
    (tmp_path / "file").write_text("")
    assert "--runs-dir" in complaint(capsys, 1, *training(tmp_path / "file", "run"))
    copy = tmp_path / "copy"
    for damage in ("checkpoint", "log"):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(run, copy)
        victims = copy.glob("checkpoints/*.safetensors") if damage == "checkpoint" else [sorted(copy.glob("rollouts/*.mcap"))[0]]
        for victim in victims:
            content = bytearray(victim.read_bytes())
            content[len(content) // 2] ^= 0xFF
            victim.write_bytes(bytes(content))
        _, err = finished(train(tmp_path, "copy", "--resume", config=False), 1)
        line = only_line(err)
        assert ("corrupt" if damage == "checkpoint" else "damaged") in line
