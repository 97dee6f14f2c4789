"""`fetlock teleop` and `fetlock run --steer`: real PyBullet, real processes, a pipe in the gamepad's place."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fetlock.__main__ import main
from robot.clock import sleep_s
from safety.types import Mode
from tests.fetlock.recorded import record_run
from tests.robot.test_gamepad import AXIS, BUTTON, Pipe
from tests.waiting import eventually
from training.records import learnable
from training.rollout_log import read_run

ROOT = Path(__file__).resolve().parents[2]
_SOON_S = 120.0
SMALL = (
    *("--sac.network.hidden", "8", "--sac.batch-size", "16", "--sac.updates-per-step", "1", "--train.compile", "never"),
    *("--train.learning-starts", "20", "--no-video", "--train.evaluation-episodes", "1"),
)


def drive(folder: Path, name: str, *words: str) -> dict[str, float]:
    assert main(["teleop", "--by", "words", "--runs-dir", str(folder), "--name", name, *words]) == 0
    summary: dict[str, float] = json.loads((folder / name / "summary.json").read_text())
    return summary


# A third of what was measured (policy/gaits.py).
@pytest.mark.parametrize(("robot", "speed_m_s"), [("kitty", 0.12), ("minitaur", 0.17)])
def test_the_gait_walks_forward_and_back_without_a_fall(tmp_path: Path, robot: str, speed_m_s: float) -> None:
    config = ("--config", str(ROOT / "configs" / f"{robot}_walk.yaml"), "--duration", "8")
    there, back = drive(tmp_path, "there", *config), drive(tmp_path, "back", *config, "--forward", "-1")
    assert (there["falls"], back["falls"]) == (0, 0)
    assert there["measure"] > speed_m_s
    assert back["measure"] < -speed_m_s


@pytest.mark.parametrize("turn", [1, -1])
def test_the_kitty_turns_where_it_is_asked_to(tmp_path: Path, turn: int) -> None:
    drive(tmp_path, "turn", "--config", str(ROOT / "configs" / "kitty_walk.yaml"), "--duration", "1", "--forward", "0", "--turn", str(turn))
    steps = read_run(tmp_path / "turn" / "rollouts")
    assert set(steps["mode"]) == {Mode.TELEOP}
    assert learnable(steps).all()
    # 36 joints and angles, two frames of 12 joints and 6: yaw is the fifth of the six.
    assert turn * float(steps["observation"][-1][16]) > 0.3


def test_a_run_learns_from_what_was_driven(tmp_path: Path) -> None:
    drive(tmp_path, "shown", "--duration", "4")
    words = ["train", "--runs-dir", str(tmp_path), "--name", "learned", "--deterministic", *SMALL, "--train.total-steps", "60"]
    assert main([*words, "--prior.runs", f"[{tmp_path / 'shown'}]"]) == 0
    assert len(read_run(tmp_path / "learned" / "prior" / "rollouts-0")) == 200
    assert json.loads((tmp_path / "learned" / "summary.json").read_text())["updates"] > 0


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--by", "words", "--forward", "1.5"), "--forward 1.5: give a share from -1 to 1"),
        (("--by", "words", "--turn", "nan"), "--turn nan: give a share from -1 to 1"),
        (("--by", "words", "--duration", "0"), "--duration 0.0: give 0.1 to 86400 seconds"),
        (("--by", "gamepad", "--gamepad", "/dev/null/js7"), "no gamepad at /dev/null/js7"),
        ((), "the keyboard drives from a terminal in the foreground"),
        (("--by", "words", "--run", "nowhere"), "nowhere holds no run"),
        (("--by", "words", "--run", "nowhere", "--seed", "1"), "leave it out with --run"),
    ],
)
def test_wrong_words_are_one_line_and_leave_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], complaint: str
) -> None:
    assert main(["teleop", "--runs-dir", str(tmp_path), *words]) in (1, 2)
    said = capsys.readouterr().err.splitlines()
    assert complaint in said[-1]
    assert list(tmp_path.iterdir()) == []


def fetlock(*words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "fetlock", *words]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.realtime
def test_a_person_takes_a_robot_over_that_is_learning_and_gives_it_back(tmp_path: Path) -> None:
    run = tmp_path / "learning"
    words = ("--runs-dir", str(tmp_path), "--name", "learning", "--train.realtime", "true", "--train.total-steps", "100000")
    with fetlock("train", *SMALL, *words) as training:
        try:

            def modes() -> list[int]:
                steps = read_run(run / "rollouts") if (run / "rollouts").is_dir() else []
                return steps["mode"].tolist() if len(steps) else []

            assert eventually(lambda: len(modes()) > 60, _SOON_S)
            with fetlock("teleop", "--run", str(run), "--by", "words", "--duration", "2") as person:
                # Nobody else may come between.
                sleep_s(1.0)
                with fetlock("teleop", "--run", str(run), "--by", "words", "--duration", "1") as other:
                    assert "somebody else drives" in other.communicate(timeout=_SOON_S)[1]
                said, _ = person.communicate(timeout=_SOON_S)
            assert person.returncode == 0
            assert "the policy drives again" in said
            driven = modes().count(Mode.TELEOP)
            assert eventually(lambda: len(modes()) > 0 and modes()[-20:] == [Mode.ACTIVE] * 20, _SOON_S)
        finally:
            training.terminate()
            training.communicate(timeout=_SOON_S)
    assert training.returncode == 0
    steps = read_run(run / "rollouts")
    # Two seconds at 50 Hz, and what the policy needs to be heard again.
    assert 60 < driven <= int((steps["mode"] == Mode.TELEOP).sum()) < 140
    assert learnable(steps).all()


@pytest.mark.realtime
def test_a_heading_follows_the_stick_of_a_gamepad(tmp_path: Path) -> None:
    record_run(tmp_path / "mine", episodes=1)
    pipe = Pipe(tmp_path / "js0")
    words = ("--policy", str(tmp_path / "mine"), "--runs-dir", str(tmp_path), "--name", "steered", "--duration", "3")
    with fetlock("run", *words, "--steer", "gamepad", "--gamepad", str(pipe.path), "--task.time-limit-steps", "1000") as process:
        pipe.send(BUTTON, 4, 1)
        pipe.send(AXIS, 3, -32767)
        said, complaints = process.communicate(timeout=_SOON_S)
    assert process.returncode == 0, complaints
    assert "left shoulder button" in complaints
    steps = read_run(tmp_path / "steered" / "rollouts")
    yaw = steps["observation"][:, 12]
    # At 30 deg/s to the left what goes straight strays to the right.
    assert float(np.diff(yaw).mean()) * 50.0 == pytest.approx(-np.radians(30.0), abs=0.2)
    assert said.startswith(str(tmp_path / "mine"))
