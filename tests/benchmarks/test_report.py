"""What every benchmark prints, and how one is found."""

from __future__ import annotations

import json
import math
import platform
import re

import pytest

from benchmarks.__main__ import find, main, names
from benchmarks.loop import main as loop
from benchmarks.report import Report
from fetlock.revision import revision
from robot.errors import UsageError

KEYS = {"bench", "ours", "peer", "limit", "ratio", "unit", "seeds", "machine", "commit", "details"}


def test_a_report_is_one_line_of_json_with_the_machine_and_the_commit() -> None:
    line = Report("speed", 3.0, 2.0, None, "steps/s", seeds=(1, 2), details={"bad": -1.0}).json_line()
    record = json.loads(line)
    assert "\n" not in line
    assert set(record) == KEYS
    assert record["ratio"] == 1.5
    assert record["seeds"] == [1, 2]
    assert set(record["machine"]) == {"cpu", "cores", "ram_gib", "python", "torch"}


def test_the_host_name_stays_out() -> None:
    assert platform.node() not in Report("speed", 1.0, None, None, "s").json_line()


@pytest.mark.parametrize("peer", [None, 0.0])
def test_without_a_peer_there_is_no_ratio(peer: float | None) -> None:
    assert Report("speed", 1.0, peer, None, "s").ratio is None


@pytest.mark.parametrize("figure", [math.nan, math.inf])
def test_a_figure_that_is_not_finite_is_no_report(figure: float) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        Report("speed", figure, None, None, "s").json_line()


def test_the_commit_says_when_the_tree_differs_from_it() -> None:
    assert re.fullmatch(r"[0-9a-f]{12}(-dirty)?|unknown", revision())


def test_an_unknown_name_is_refused_with_the_valid_names_and_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lopp"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "loop" in names()
    assert all(name in error for name in names())
    assert "nearest: loop" in error


def test_a_known_name_is_its_module() -> None:
    assert find("loop") is loop


@pytest.mark.parametrize("arguments", [["--load", "-1"], ["--rates-hz", "0"], ["--seconds", "0.001"]])
def test_the_loop_refuses_what_it_cannot_measure(arguments: list[str]) -> None:
    with pytest.raises(UsageError, match="at least one tick"):
        loop(arguments)


def test_the_loop_reports_every_rate_and_counts_every_tick() -> None:
    report = loop(["--seconds", "0.1", "--rates-hz", "50", "100", "--load", "0", "--trainer-seconds", "0"])
    counted = {key: value["ticks"] for key, value in report.details.items() if key.startswith("default_")}
    assert counted == {"default_50_hz": 5, "default_100_hz": 10}
    assert report.unit == "ms"
    assert report.ours >= 0.0
