"""Robots that tests of routines share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.righting import Kind, Patient, admit


@pytest.fixture(scope="module", params=["kitty", "minitaur", "minitaur_dynamixel"])
def patient(request: pytest.FixtureRequest) -> Iterator[Patient]:
    """Each robot on legs with its guard and its routine."""
    kind: Kind = request.param
    made = admit(kind)
    yield made
    made.simulation.robot.close()
