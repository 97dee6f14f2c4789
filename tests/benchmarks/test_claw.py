"""The benchmark of the claw, over a policy that does nothing: what it did not turn is left, and what the hand turned stays turned."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks.claw import main
from fetlock.build import policy_layout
from fetlock.config import config_yaml, load_config
from policy.snapshot import Policy, PolicyConfig, save_policy
from robot import UsageError
from tests.fetlock.test_train import ROOT

CLAW = ("--config", str(ROOT / "configs" / "claw_turn.yaml"), "--task.time-limit-steps", "8", "--sac.network.hidden", "8")


def leave_run(folder: Path, *flags: str) -> Path:
    """Make the folder of a run whose policy lifts its fingers off the valve and keeps them there."""
    config = load_config([*CLAW, *flags])
    folder.mkdir()
    (folder / "config.yaml").write_text(config_yaml(config))
    layout = policy_layout(config)
    vector = np.zeros(layout.vector_size, np.float32)
    # The biases of the means come first of the last layer's: middle joints outwards.
    vector[-18:-9] = np.tile([0.0, -9.0, 0.0], 3)
    save_policy(folder / "policy", Policy(PolicyConfig(layout=layout, version=1, steps=7, updates=1), vector))
    return folder


def test_what_nobody_turns_is_left_and_what_a_hand_turns_is_turned(tmp_path: Path) -> None:
    run = leave_run(tmp_path / "still")
    report = main([str(run), "--episodes", "12"])
    figures = report.details["still"]
    assert isinstance(figures, dict)
    assert (figures["task"], figures["steps"], figures["minutes"]) == ("claw_turn", 7, None)
    # Goals cover half of a turn to either side.
    assert 0.5 < float(str(figures["median_rad"])) < math.pi - 0.5
    assert report.ours == figures["there"] < 0.3
    # 0.15 to 0.4 N m for 0.3 s against 0.1 N m per rad/s.
    assert 0.3 < float(str(figures["pushed_rad"])) < 1.2


def test_what_is_no_run_of_a_claw_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is no run: give folders"):
        main([str(tmp_path)])
    (tmp_path / "walk").mkdir()
    (tmp_path / "walk" / "config.yaml").write_text(config_yaml(load_config([])))
    with pytest.raises(UsageError, match=r"task.kind walk turns no valve"):
        main([str(tmp_path / "walk")])
    with pytest.raises(UsageError, match=r"--episodes 0: at least 1"):
        main([str(tmp_path), "--episodes", "0"])
