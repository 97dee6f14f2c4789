"""Laws of the standard messages: another program's reader finds in them what the bus records say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory

from safety.tick_records import Has
from training.records import bus_dtype, step_dtype
from training.rollout_log import EpisodeWriter, RunMetadata, read_log, recover
from training.rollout_log.standard import quaternions

NAMES = ("left_hip", "left_knee", "b")
BUS = bus_dtype(3)


def rotation(quaternion: np.ndarray) -> np.ndarray:
    """Return the matrix of a unit quaternion (x, y, z, w): Diebel 2006, equation 125."""
    x, y, z, w = quaternion
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


@given(st.lists(st.floats(-1.0, 1.0), min_size=4, max_size=4).filter(lambda q: np.linalg.norm(q) > 1e-3))
def test_a_quaternion_turns_as_its_matrix_does(components):
    unit = np.array(components) / np.linalg.norm(components)
    (found,) = quaternions(rotation(unit)[None])
    assert found[3] >= 0.0
    np.testing.assert_allclose(np.linalg.norm(found), 1.0, atol=1e-12)
    np.testing.assert_allclose(rotation(found), rotation(unit), atol=1e-9)


def ticks(count: int, imu_from: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    bus = np.zeros(count, BUS)
    bus["sequence"] = np.arange(count)
    bus["stamp_s"] = 1.25 + 0.01 * np.arange(count)
    for name in ("position_rad", "velocity_rad_s"):
        bus[name] = rng.uniform(-3.0, 3.0, (count, 3))
    bus["torque_nm"] = np.nan
    bus["rotation_base_to_world"] = np.nan
    for row in bus[imu_from:]:
        axis = rng.standard_normal(4)
        row["rotation_base_to_world"] = rotation(axis / np.linalg.norm(axis)).ravel()
        row["angular_velocity_base_rad_s"] = rng.standard_normal(3)
        row["has"] = Has.IMU
    return bus


def decoded(path: Path, topic: str) -> list[object]:
    with path.open("rb") as file:
        return [message for _, _, _, message in make_reader(file, decoder_factories=[DecoderFactory()]).iter_decoded_messages([topic])]


def require_said(path: Path, bus: np.ndarray, imu_from: int) -> None:
    joints, imus = decoded(path, "/joint_states"), decoded(path, "/imu")
    assert (len(joints), len(imus)) == (len(bus), len(bus) - imu_from)
    for row, message in zip(bus, joints, strict=True):
        assert message.header.stamp.sec + 1e-9 * message.header.stamp.nanosec == np.float64(row["stamp_s"]).round(9)
        assert tuple(message.name) == NAMES
        np.testing.assert_array_equal(message.position, row["position_rad"])
        np.testing.assert_array_equal(message.velocity, row["velocity_rad_s"])
        assert np.isnan(message.effort).all()
    for row, message in zip(bus[imu_from:], imus, strict=True):
        assert message.header.frame_id == "base"
        q = message.orientation
        np.testing.assert_allclose(rotation(np.array([q.x, q.y, q.z, q.w])).ravel(), row["rotation_base_to_world"], atol=1e-12)
        w = message.angular_velocity
        np.testing.assert_array_equal([w.x, w.y, w.z], row["angular_velocity_base_rad_s"])
        assert message.linear_acceleration_covariance[0] == -1.0


def test_another_reader_finds_joints_and_imu(tmp_path: Path) -> None:
    bus = ticks(7, imu_from=3)
    writer = EpisodeWriter(tmp_path, 0, 0, step_dtype(5, 2), BUS, RunMetadata("a", "b", 1, joint_names=NAMES))
    writer.write(bus[:4], np.zeros(0, step_dtype(5, 2)))
    writer.write(bus[4:], np.zeros(0, step_dtype(5, 2)))
    writer.finish(complete=True)
    require_said(tmp_path / "c0-e000000.mcap", bus, imu_from=3)
    log = read_log(tmp_path / "c0-e000000.mcap")
    assert log.intact
    assert log.bus.tobytes() == bus.tobytes()


def test_a_recovered_log_says_them_too(tmp_path: Path) -> None:
    bus = ticks(5, imu_from=0)
    writer = EpisodeWriter(tmp_path, 0, 0, step_dtype(5, 2), BUS, RunMetadata("a", "b", 1, joint_names=NAMES))
    writer.write(bus, np.zeros(0, step_dtype(5, 2)))
    writer.flush()
    del writer
    (path,) = recover(tmp_path)
    require_said(path, bus, imu_from=0)


def test_a_log_without_names_has_no_such_messages(tmp_path: Path) -> None:
    writer = EpisodeWriter(tmp_path, 0, 0, step_dtype(5, 2), BUS, RunMetadata("a", "b", 1))
    writer.write(ticks(2, 0), np.zeros(0, step_dtype(5, 2)))
    writer.finish(complete=True)
    assert decoded(tmp_path / "c0-e000000.mcap", "/joint_states") == []
