"""A training run whose robot fails, as its user sees it: real processes, our driver in real time on an emulated bus, `fetlock inject`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fetlock.__main__ import main
from robot.clock import monotonic_s, sleep_s
from safety import Mode
from tests.fetlock.test_train import ROOT, checkpoint_steps, children, role_of, train
from tests.safety.served import unique
from training.rollout_log import read_run

KITTY = ("--config", str(ROOT / "configs" / "kitty_emulated.yaml"), "--robot.paced", "false", "--train.realtime", "true")


pytestmark = [pytest.mark.realtime, pytest.mark.timeout(600)]
# Two real-time processes and three others start on two cores: it takes its time where they are shared.
LIMIT_S = 150.0


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a run called "run", with a stop board of its own; what still goes on at the end is asked to stop."""
    board = unique()
    monkeypatch.setenv("FETLOCK_ESTOP", board)
    begun: list[subprocess.Popen[str]] = []

    def begin(*arguments: str, config: bool = True) -> subprocess.Popen[str]:
        begun.append(train(tmp_path, "run", *arguments, config=config))
        return begun[-1]

    yield begin
    for process in begun:
        if process.poll() is None:
            process.terminate()
            process.communicate()
    Path("/dev/shm", board).unlink(missing_ok=True)


def finished(process: subprocess.Popen[str], code: int = 0) -> str:
    """Wait for the end of a run; return what it said."""
    _, err = process.communicate(timeout=2.0 * LIMIT_S)
    assert process.returncode == code, err
    return err


def wait_for(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    deadline_s = monotonic_s() + LIMIT_S
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert monotonic_s() < deadline_s, f"it took longer than {LIMIT_S} s"
        # To read a log beside a loop in real time costs that loop.
        sleep_s(0.5)


def control_of(process: subprocess.Popen[str]) -> Path:
    """Return the control socket of the machine that the collector of a run has started."""
    for child in children(process):
        if role_of(child) == "collector-0":
            for machine in Path(f"/proc/{child}/task/{child}/children").read_text().split():
                words = Path(f"/proc/{machine}/cmdline").read_text().split("\0")
                if "--control" in words:
                    return Path(words[words.index("--control") + 1])
    raise AssertionError("the collector has no machine")


def stepped(run: Path, steps: int) -> Callable[[], bool]:
    def reached() -> bool:
        return (run / "rollouts").is_dir() and len(read_run(run / "rollouts")) >= steps

    return reached


def said(run: Path, words: str) -> Callable[[], bool]:
    log = run / "logs" / "collector-0.log"
    return lambda: log.is_file() and words in log.read_text()


def require_gapless(run: Path) -> np.ndarray:
    """Every step is there once, and what was cut off is cut off between two measured ends."""
    records = read_run(run / "rollouts")
    np.testing.assert_array_equal(records["sequence"], np.arange(len(records)))
    for episode in np.unique(records["episode"]):
        own = records[records["episode"] == episode]
        np.testing.assert_array_equal(own["step"], np.arange(len(own)))
        trained = own[own["mode"] == Mode.ACTIVE]
        assert (np.diff(trained["stamp_s"]) < 0.5).all()
    # Whatever befell the robot, what was sent is what the chain decides of what was logged.
    assert main(["replay", str(run), "--compare", "guard"]) == 0
    return records


def require_one_line(process: subprocess.Popen[str], shown: str) -> None:
    """A run has ended with one line that says why, and what to do."""
    err = finished(process, code=1)
    last = err.strip().splitlines()[-1]
    assert last.startswith("fetlock train: the collector-0 stopped: ")
    assert shown in last
    assert last.endswith("; mend that, then go on with --resume")
    assert "Traceback" not in err


def test_silence_is_waited_for_and_so_is_a_person_until_the_run_is_asked_to_end(tmp_path: Path, start: Any):
    run = tmp_path / "run"
    process = start(*KITTY, "--train.total-steps", "2000")
    wait_for(stepped(run, 30), process)
    control = control_of(process)
    assert main(["inject", "packets_lost", "--control", str(control), "--seconds", "2"]) == 0
    # It fell silent in an episode, or between two.
    wait_for(said(run, "it is tried again in 0.5 s"), process)
    wait_for(stepped(run, len(read_run(run / "rollouts")) + 20), process)
    assert main(["inject", "unplugged", "--control", str(control), "--seconds", "3"]) == 0
    wait_for(said(run, "waiting for an operator"), process)
    wait_for(said(run, "connected again, torque off"), process)
    steps = len(read_run(run / "rollouts"))
    assert main(["stop", "--clear"]) == 0
    wait_for(stepped(run, steps + 20), process)
    assert main(["inject", "unplugged", "--control", str(control)]) == 0
    wait_for(lambda: (run / "logs" / "collector-0.log").read_text().count("waiting for an operator") == 2, process)
    process.terminate()
    assert "Traceback" not in finished(process)
    records = require_gapless(run)
    assert json.loads((run / "summary.json").read_text())["steps"] >= len(records) > steps


def test_what_only_a_person_can_mend_ends_a_run_that_nobody_attends_and_it_can_be_resumed(tmp_path: Path, start: Any):
    run = tmp_path / "run"
    process = start(*KITTY, "--train.total-steps", "2000", "--train.operator-wait-s", "0")
    wait_for(stepped(run, 130), process)
    assert main(["inject", "motor_reboot", "--control", str(control_of(process)), "--motors", "31"]) == 0
    require_one_line(process, "motor 31 has lost its torque")
    before = require_gapless(run)
    assert checkpoint_steps(run) >= 100
    again = start("--resume", config=False)
    wait_for(stepped(run, len(before) + 20), again)
    assert main(["inject", "unplugged", "--control", str(control_of(again))]) == 0
    require_one_line(again, "is gone")
    after = require_gapless(run)
    assert after[: len(before)].tobytes() == before.tobytes()
