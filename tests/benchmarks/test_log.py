"""The benchmark of the rollout log: every record counted, real time and full speed told apart, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.log import main
from fetlock.config import DEFAULT_CONFIG
from robot import UsageError

pytestmark = pytest.mark.realtime


def test_a_second_of_real_time_and_a_few_of_the_file_are_measured_whole() -> None:
    report = main(["--seconds", "1", "--hours", "0.001", "--load", "0"])
    details = report.details
    assert report.ours == details["handing over, us per policy tick"]["p99"] > 0.0
    assert details["in real time"]["steps"] == 50
    assert details["with the log"]["dropped"] == 0
    full = details["at full speed"]
    assert (full["steps"], full["bus ticks"], full["transitions in the replay"]) == (180, 360, 180)
    # Flushed as often as in real time: a file of the same rate, less what begins and ends each one.
    assert full["bytes per step"] == pytest.approx(details["in real time"]["bytes per step"], rel=0.3)
    assert details["camera frames, 84 x 84"] is None


def test_no_motor_is_moved(tmp_path: Path) -> None:
    file = tmp_path / "metal.yaml"
    text = (DEFAULT_CONFIG.parent / "kitty_emulated.yaml").read_text()
    emulated = text[text.index("  kind: emulated") : text.index("# configs/limits")]
    file.write_text(text.replace(emulated, "  kind: dynamixel\n  port: /dev/null\n"))
    with pytest.raises(UsageError, match="is a robot of metal"):
        main(["--config", str(file)])


@pytest.mark.parametrize("arguments", [["--seconds", "0"], ["--hours", "0"], ["--hours", "25"], ["--load", "-1"]])
def test_what_cannot_be_measured_is_refused(arguments: list[str]) -> None:
    with pytest.raises(UsageError, match="give at least 1 s"):
        main(arguments)
