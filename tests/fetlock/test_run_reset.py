"""`fetlock run --reset routine`: a fallen kitty on emulated motors is stood up beside its guard, by real processes in real time."""

from __future__ import annotations

import json
import multiprocessing
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fetlock.__main__ import main
from fetlock.build import policy_layout
from fetlock.config import load_config
from fetlock.machines import description_of
from fetlock.motion_process import MotionProcess
from policy.snapshot import Policy, PolicyConfig, save_policy
from robot.clock import sleep_s
from safety import BusTick, Cause, Mode, MotionLink
from safety.motion_records import Outcome
from safety.resets import UPRIGHT_COSINE, stands, tilt_cosine
from safety.tick_records import bus_tick_of
from tests.fetlock.test_motion import ROOT, attach, eventually
from tests.safety.served import unique

pytestmark = pytest.mark.realtime

CONFIG = (
    "--config",
    str(ROOT / "configs" / "kitty_emulated.yaml"),
    "--robot.paced",
    "false",
    "--robot.fallen",
    "true",
    "--reset",
    "routine",
    # A guard that counts in ticks is as patient as a busy machine needs it to be.
    "--bus-hz",
    "50",
)
_SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture(scope="module")
def fallen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MotionProcess]:
    with MotionProcess(unique(), CONFIG, tmp_path_factory.mktemp("motion") / "motion.log") as process:
        yield process


def newest_mode(name: str) -> Mode:
    ring = MotionLink.attach(name).ticks
    return Mode(int(ring.read(ring.head - 1, 1)[0]["mode"]))


def test_a_fallen_robot_is_stood_up_and_then_driven(fallen: MotionProcess) -> None:
    client = attach(fallen.name)
    try:
        client.release(1)
        assert tilt_cosine(client.read()) < UPRIGHT_COSINE
        first = client.head
        end = client.reset()
        assert end.outcome is Outcome.DONE, end
        # In real time no two falls are alike: an attempt may fail.
        assert re.fullmatch(r"stand up, attempt \d: done after .* s", end.history.split("; ")[-1]), end
        config = load_config(CONFIG)
        home = np.array([joint.home_rad for joint in description_of(config.robot).joints])
        assert stands(client.read(), home, 0.2)
        rows, lost = client.rows(first, client.head)
        assert lost == 0
        assert Mode.RESETTING in set(rows["mode"])
        # At the bus rate: no tick of the motion is missing.
        driven = rows[rows["mode"] == Mode.RESETTING]
        np.testing.assert_array_equal(np.diff(driven["sequence"]), 1)
        assert client.causes == Cause.NONE
    finally:
        client.close()


def stand_up(name: str, begun: Any) -> None:
    """Ask for a routine: the body of a process that is killed in the middle of it."""
    client = attach(name)
    client.release(2)
    begun.set()
    client.reset()


def test_a_client_that_is_killed_in_a_routine_leaves_a_robot_that_holds(fallen: MotionProcess) -> None:
    begun = _SPAWN.Event()
    owner = _SPAWN.Process(target=stand_up, args=(fallen.name, begun))
    owner.start()
    try:
        assert begun.wait(60.0)
        assert eventually(lambda: newest_mode(fallen.name) is Mode.RESETTING)
    finally:
        owner.kill()
    assert eventually(lambda: newest_mode(fallen.name) is Mode.HOLD)
    owner.join()
    client = attach(fallen.name)
    try:
        assert Cause.SILENT in client.causes
        assert client.reset().outcome is Outcome.DONE
    finally:
        client.close()


def test_a_policy_run_stands_its_robot_up_first_and_after_each_episode(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(row: np.void) -> BusTick:
        sleep_s(0.003)
        return bus_tick_of(row)

    # Of a routine of 2 s it takes longer than the motion process may be silent: the robot goes on meanwhile, and no tick is lost.
    monkeypatch.setattr("fetlock.served_reset.bus_tick_of", slowly)
    words = [*CONFIG, "--task.time-limit-steps", "20"]
    layout = policy_layout(load_config(words))
    # Zero weights: it stands.
    save_policy(
        tmp_path / "still", Policy(PolicyConfig(layout=layout, version=1, steps=0, updates=0), np.zeros(layout.vector_size, np.float32))
    )
    assert (
        main(
            [
                "run",
                "--policy",
                str(tmp_path / "still"),
                "--realtime",
                "--duration",
                "2",
                "--runs-dir",
                str(tmp_path),
                "--name",
                "done",
                "--json",
                *words,
            ]
        )
        == 0
    )
    report = json.loads(capsys.readouterr().out)
    assert (report["falls"], report["policy_ticks"]) == (0, 50)
    assert main(["replay", str(tmp_path / "done"), "--compare", "guard"]) == 0
    # Each begins where the routine has left the robot, and none was held.
    assert report["episodes"] >= 3
