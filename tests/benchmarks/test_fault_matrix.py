"""Each cheap fault of the matrix once: its outcome, not its time, which a busy machine makes longer."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from benchmarks.fault_matrix.matrix import FAULTS, measure
from benchmarks.fault_matrix.outcome import Outcome, Promise, Row, markdown
from benchmarks.faults import main
from robot.errors import UsageError

pytestmark = pytest.mark.realtime

# Without those that take five seconds to settle, start processes that import torch, or have unit tests of the same.
CHEAP = (
    "packet_lost", "corrupt_crc", "wrong_id_or_length", "motor_reboot", "encoder_jump", "unplugged", "wall_clock",
    "camera_frozen", "disk_full", "power_cut", "checkpoint_killed", "weights_bad",
)  # fmt: skip


@pytest.mark.parametrize("name", CHEAP)
def test_a_fault_comes_to_what_is_promised(name: str) -> None:
    row = measure(name, 1, np.random.default_rng(7))
    assert row.wrong == []
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


def test_a_row_counts_what_is_wrong_and_late_and_the_table_shows_it() -> None:
    row = Row(Promise("x", 0.1, "a bound"), [Outcome(0.05, "HOLD"), Outcome(0.2, "HOLD")], ["it went on"], disturbed=2)
    record = row.record()
    assert (record["repeats"], record["right"], record["later than the bound"], record["met"]) == (3, 2, 1, False)
    assert not Row(Promise("x"), [], []).met
    assert Row(Promise("x"), [Outcome()], []).met
    assert not Row(Promise("x", missing="a part"), [Outcome()], []).met
    line = markdown({"x": record}).splitlines()[-1]
    assert "| x | 3 | 2 | 125.0 |" in line
    assert "**no**" in line
    assert "HOLD x 2, it went on x 1; disturbed and done again: 2" in line
    json.dumps(record, allow_nan=False)


def test_an_unknown_fault_names_the_valid_ones() -> None:
    with pytest.raises(UsageError, match="there is no fault 'overlod': choose of"):
        main(["--faults", "overlod"])
    assert len(FAULTS) == 24
