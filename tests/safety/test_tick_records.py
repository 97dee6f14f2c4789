"""Laws of the records of bus ticks: what is written is what is read."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from robot import Command, ImuState, JointState, RobotState, TrackedPose, frozen_array
from robot.types import TrackedAngle
from safety.motion import BusTick
from safety.tick_records import Has, applied_of, bus_tick_of, pack_tick, state_of, tick_fields
from safety.types import AppliedCommand, Cause, Mode, Note, Reason

JOINTS = 3
DTYPE = np.dtype([field for fields in tick_fields(JOINTS) for field in fields])
ZEROS = frozen_array(np.zeros(JOINTS))
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


def packed(tick: BusTick, **options: Any) -> np.ndarray:
    return np.frombuffer(b"".join(pack_tick(tick, **options)), DTYPE)


@given(states)
def test_a_state_survives_its_record(state):
    record = packed(BusTick(0.01, state, Command(ZEROS), Command(ZEROS)))
    assert described(state_of(record[0])) == described(state)


reasons = st.sets(st.sampled_from(sorted(Reason))).map(lambda bits: Reason(sum(bits)))


flags = st.sets(st.sampled_from(sorted(Note))).map(lambda bits: Note(sum(bits)))
causes = st.sets(st.sampled_from(sorted(Cause))).map(lambda bits: Cause(sum(bits)))


@given(states, rows, rows, reasons, st.sampled_from(Mode), numbers, causes, flags, maybe(rows))
def test_a_bus_tick_survives_its_record(state, target, emission, mask, mode, period_s, cause, notes, heating):
    applied = AppliedCommand(emission, mask, mode, cause, notes, heating)
    record = packed(BusTick(period_s, state, Command(target), applied))
    tick = bus_tick_of(record[0])
    assert described(tick) == described(BusTick(period_s, state, Command(target), applied))
    assert described(applied_of(record[0])) == described(applied)


def test_heat_that_is_known_of_some_motors_is_kept():
    heating = frozen_array([np.nan, 1.0, *np.zeros(JOINTS - 2)])
    state = RobotState(JointState(0.0, ZEROS, ZEROS, ZEROS))
    record = packed(BusTick(0.01, state, Command(ZEROS), AppliedCommand(ZEROS, Reason.NONE, heating_a2=heating)))
    np.testing.assert_array_equal(applied_of(record[0]).heating_a2, heating)


def test_what_a_robot_lacks_is_no_number_and_no_error():
    record = packed(BusTick(0.01, RobotState(JointState(0.0, ZEROS, ZEROS, ZEROS)), Command(ZEROS), Command(ZEROS)))
    for name in (
        "torque_nm",
        "current_a",
        "temperature_c",
        "rotation_base_to_world",
        "base_age_s",
        "object_angle_rad",
        "voltage_v",
        "heating_a2",
    ):
        assert np.isnan(record[name]).all()
    assert (record["hardware_error"] == 0).all()
    assert [int(record[name][0]) for name in ("has", "filter_mask", "causes", "notes", "mode")] == [0, 0, 0, 0, Mode.ACTIVE]


@given(states, causes, causes, st.booleans())
def test_a_record_says_whether_torque_is_on_and_a_later_cause_replaces_that_of_the_tick(state, earlier, later, armed):
    applied = AppliedCommand(ZEROS, Reason.NONE, causes=earlier)
    tick = BusTick(0.01, state, Command(ZEROS), applied)
    ((record,), (plain,)) = packed(tick, armed=armed, causes=later), packed(tick)
    assert (bool(record["has"] & Has.ARMED), record["causes"]) == (armed, later)
    assert record["has"] & ~np.uint32(Has.ARMED) == plain["has"]
    assert plain["causes"] == earlier


def test_numbers_of_another_type_are_recorded_as_what_they_are():
    whole = np.arange(JOINTS)
    state = RobotState(JointState(0.0, whole, whole.astype(np.float32), ZEROS))
    record = packed(BusTick(0.01, state, Command(ZEROS), Command(ZEROS)))
    assert record["position_rad"].tolist() == record["velocity_rad_s"].tolist() == [list(range(JOINTS))]
