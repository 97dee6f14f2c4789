"""The benchmark of the rollout log: every record counted, real time and full speed told apart, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.log import main
from fetlock.config import DEFAULT_CONFIG
from robot import UsageError

pytestmark = pytest.mark.realtime


def test_a_second_of_real_time_and_a_few_of_the_file_are_measured_whole() -> None:
    report = main(["--seconds", "1", "--hours", "0.001", "--load", "0", "--camera", "32"])
    details = report.details
    assert report.ours == details["handing over, us per policy tick"]["p99"] > 0.0
    assert details["in real time"]["steps"] == 50
    assert details["with the log"]["dropped"] == 0
    full = details["at full speed"]
    assert (full["steps"], full["bus ticks"], full["transitions in the replay"]) == (180, 360, 180)
    # Flushed as often as in real time: a file of the same rate, less what begins and ends each one.
    assert full["bytes per step"] == pytest.approx(details["in real time"]["bytes per step"], rel=0.3)
    of_frame = details["in real time"]["of it the frame, before chunks are compressed"]
    assert of_frame > 500
    assert full["frames"]["bytes per frame"] == pytest.approx(of_frame, rel=0.3)
    assert full["frames"]["GB in memory"] == pytest.approx(180 * 32 * 32 * 3 / 1e9, abs=0.01)
    kinds = details["camera frames, 32 x 32"]
    # Noise cannot be compressed.
    assert kinds["with a camera's noise in every pixel"]["bytes per frame"] > kinds["of the simulation"]["bytes per frame"] > 100
    assert details["of it handing a frame over, us"]["p50"] < details["handing over, us per policy tick"]["p50"]


@pytest.mark.parametrize("side", ["8", "257", "-1"])
def test_frames_have_a_size_or_there_are_none(side: str) -> None:
    with pytest.raises(UsageError, match="16 to 256 px, or 0 for none"):
        main(["--camera", side])


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
