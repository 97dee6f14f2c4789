"""What every Robot must do, whatever stands behind it. A test class derives from `RobotContract` and gives `make`."""

from __future__ import annotations

import abc

import numpy as np
import pytest

from robot import Clock, ClosedError, CommandError, Robot, command


class RobotContract(abc.ABC):
    """Laws of the protocol `robot.Robot`."""

    # Pose near which every robot under test can move, rad.
    pose_rad: float = 0.0

    @abc.abstractmethod
    def make(self) -> tuple[Robot, Clock]:
        """Return a fresh robot with its bus clock."""

    def test_it_is_a_robot(self) -> None:
        robot, clock = self.make()
        assert isinstance(robot, Robot)
        assert isinstance(clock, Clock)
        assert len(set(robot.joint_names)) == len(robot.joint_names) > 0
        robot.close()

    def test_states_have_one_value_per_joint_and_cannot_be_written(self) -> None:
        robot, _ = self.make()
        joints = robot.read().joints
        for values in (joints.position_rad, joints.velocity_rad_s, joints.age_s):
            assert values.shape == (len(robot.joint_names),)
            assert np.isfinite(values).all()
            assert not values.flags.writeable
        assert (joints.age_s >= 0.0).all()
        robot.close()

    def test_reading_twice_at_one_time_gives_the_same(self) -> None:
        robot, _ = self.make()
        first, second = robot.read(), robot.read()
        assert first.joints.stamp_s == second.joints.stamp_s
        np.testing.assert_array_equal(first.joints.position_rad, second.joints.position_rad)
        robot.close()

    def test_a_command_is_invisible_in_the_state_of_its_own_time(self) -> None:
        robot, clock = self.make()
        before = robot.read()
        robot.write(command(np.full(len(robot.joint_names), self.pose_rad + 0.05), len(robot.joint_names)))
        np.testing.assert_array_equal(robot.read().joints.position_rad, before.joints.position_rad)
        clock.wait()
        assert robot.read().joints.stamp_s > before.joints.stamp_s
        robot.close()

    def test_a_command_moves_the_joints_towards_it(self) -> None:
        robot, clock = self.make()
        start = robot.read().joints.position_rad
        target = start + 0.1 * np.where(np.arange(len(start)) % 2 == 0, 1.0, -1.0)
        applied = start
        for _ in range(50):
            applied = robot.write(command(target, len(start))).position_rad
            clock.wait()
        end = robot.read().joints.position_rad
        assert applied.shape == start.shape
        assert np.abs(end - target).mean() < np.abs(start - target).mean()
        robot.close()

    def test_commands_of_another_shape_are_refused(self) -> None:
        robot, _ = self.make()
        with pytest.raises(CommandError, match="joints"):
            robot.write(command(np.zeros(len(robot.joint_names) + 1), len(robot.joint_names) + 1))
        robot.close()

    def test_stop_can_be_repeated_and_holds(self) -> None:
        robot, clock = self.make()
        for _ in range(3):
            clock.wait()
        robot.stop()
        robot.stop()
        held = robot.read().joints.position_rad
        far = command(held + 1.0, len(held))
        for _ in range(30):
            robot.write(far)
            clock.wait()
        assert np.abs(robot.read().joints.position_rad - held).max() < 0.3
        robot.close()

    def test_after_close_nothing_works_and_close_and_stop_still_do(self) -> None:
        robot, _ = self.make()
        joints = len(robot.joint_names)
        robot.close()
        robot.close()
        robot.stop()
        with pytest.raises(ClosedError):
            robot.read()
        with pytest.raises(ClosedError):
            robot.write(command(np.zeros(joints), joints))
