"""The benchmark of steering, over a policy that the real collector recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.steering import main, steer
from tests.fetlock.recorded import record_run


def test_every_policy_is_steered_at_every_rate_from_the_same_start(tmp_path: Path) -> None:
    record_run(tmp_path / "mine", episodes=1)
    report = main(["--policies", str(tmp_path / "mine"), "--rates", "0", "30"])
    assert list(report.details) == ["mine, 0 deg/s", "mine, 30 deg/s"]
    assert report.peer == 30.0
    assert steer(tmp_path / "mine", 30.0).turned_deg_s == pytest.approx(report.ours)
