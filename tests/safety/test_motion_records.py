"""Laws of the motion process's records: what is written is what is read."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from robot import ImuState, JointState, RobotState, TrackedPose, frozen_array
from robot.types import TrackedAngle
from safety.motion_records import tick_dtype
from safety.tick_records import applied_of, bus_tick_of, fill_state, state_of
from safety.types import Mode, Reason

JOINTS = 3
numbers = st.floats(allow_nan=False, width=64)
rows = st.lists(numbers, min_size=JOINTS, max_size=JOINTS).map(frozen_array)
vectors = st.lists(numbers, min_size=3, max_size=3).map(frozen_array)
rotations = st.lists(numbers, min_size=9, max_size=9).map(lambda values: frozen_array(np.reshape(values, (3, 3))))


def maybe(strategy: st.SearchStrategy) -> st.SearchStrategy:
    return st.none() | strategy


joint_states = st.builds(
    JointState,
    numbers,
    rows,
    rows,
    rows,
    torque_nm=maybe(rows),
    current_a=maybe(rows),
    temperature_c=maybe(rows),
    hardware_error=maybe(st.tuples(*[st.integers(0, 255)] * JOINTS)),
)
states = st.builds(
    RobotState,
    joint_states,
    imu=maybe(st.builds(ImuState, rotations, vectors, numbers)),
    tracked_base=maybe(st.builds(TrackedPose, vectors, vectors, numbers)),
    tracked_object=maybe(st.builds(TrackedAngle, numbers, numbers, numbers)),
    voltage_v=maybe(numbers),
)


def described(value: object) -> object:
    """Everything in a state, as what can be compared."""
    if isinstance(value, np.ndarray):
        return value.shape, value.tolist(), value.flags.writeable
    if hasattr(value, "__dataclass_fields__"):
        return {name: described(getattr(value, name)) for name in value.__dataclass_fields__}
    return value


@given(states, states)
def test_a_state_survives_its_record_whatever_the_record_held_before(earlier, state):
    record = np.zeros(1, tick_dtype(JOINTS))
    fill_state(record, earlier)
    record["has"] = fill_state(record, state)
    assert described(state_of(record[0])) == described(state)


reasons = st.sets(st.sampled_from(sorted(Reason))).map(lambda bits: Reason(sum(bits)))


@given(states, rows, rows, reasons, st.sampled_from(Mode), numbers)
def test_a_bus_tick_survives_its_record(state, target, emission, mask, mode, period_s):
    record = np.zeros(1, tick_dtype(JOINTS))
    record["has"] = fill_state(record, state)
    record["target_rad"], record["emission_rad"], record["period_s"] = target, emission, period_s
    record["filter_mask"], record["mode"] = mask, mode
    tick = bus_tick_of(record[0])
    assert described(tick.state) == described(state)
    assert described(tick.target.position_rad) == described(target)
    assert tick.period_s == period_s
    for applied in (tick.applied, applied_of(record[0])):
        assert described(applied.position_rad) == described(emission)
        assert (applied.reasons, applied.mode) == (mask, mode)
