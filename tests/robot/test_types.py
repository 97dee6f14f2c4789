"""Laws of the data that cross the layers."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from robot.errors import CommandError, FetlockError
from robot.types import Command, command, frozen_array, require_executable

finite = st.floats(allow_nan=False, allow_infinity=False)
targets = st.lists(finite, min_size=1, max_size=16)
not_finite = st.sampled_from([math.nan, math.inf, -math.inf])


@given(arrays(np.float64, array_shapes(max_dims=3, max_side=5)))
def test_a_frozen_array_is_an_equal_copy_that_nobody_can_write(source: np.ndarray) -> None:
    frozen = frozen_array(source)
    before = source.copy()
    source += 1.0
    assert np.array_equal(frozen, before, equal_nan=True)
    assert frozen.dtype == np.float64
    with pytest.raises(ValueError, match="read-only"):
        frozen[...] = 0.0


@given(targets)
def test_a_command_owns_its_target(target: list[float]) -> None:
    source = np.array(target)
    made = command(source, len(target))
    source[:] = 0.0
    assert made.position_rad.tolist() == target
    with pytest.raises(ValueError, match="read-only"):
        made.position_rad[0] = 0.0
    with pytest.raises(FrozenInstanceError):
        made.position_rad = frozen_array(target)  # type: ignore[misc]


@given(array_shapes(min_dims=0, max_dims=3, max_side=5), st.integers(1, 16))
def test_only_one_target_a_joint_is_a_command(shape: tuple[int, ...], joints: int) -> None:
    values = np.zeros(shape)
    if shape == (joints,):
        require_executable(command(values, joints), joints)
        return
    with pytest.raises(CommandError, match=rf"of {joints} joints: it takes \({joints},\)"):
        command(values, joints)
    with pytest.raises(CommandError, match=rf"of {joints} joints: it takes \({joints},\)"):
        require_executable(Command(frozen_array(values)), joints)


@given(targets)
def test_a_finite_target_of_the_right_shape_is_executable(target: list[float]) -> None:
    require_executable(command(target, len(target)), len(target))


@given(targets, st.data())
def test_a_target_that_is_not_finite_is_refused_and_its_joints_are_named(target: list[float], data: st.DataObject) -> None:
    bad = data.draw(st.sets(st.integers(0, len(target) - 1), min_size=1))
    for joint in bad:
        target[joint] = data.draw(not_finite)
    made = command(target, len(target))
    with pytest.raises(CommandError, match="not finite") as caught:
        require_executable(made, len(target))
    assert str(sorted(bad)) in str(caught.value)
    assert isinstance(caught.value, FetlockError)


@pytest.mark.parametrize("values", [[[1.0], [1.0, 2.0]], ["left", "right"], [None, object()]])
def test_what_is_no_array_of_numbers_is_a_command_error(values: object) -> None:
    with pytest.raises(CommandError, match="2 joints"):
        command(values, 2)  # type: ignore[arg-type]
