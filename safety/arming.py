"""What must be true before torque goes on: a conjunction that is false until every part of it holds."""

from __future__ import annotations

from collections.abc import Sequence

from robot.types import JointState, RobotState
from safety.capability import Capability
from safety.limits import GuardConfig, Limits

# Beyond the limits by the play of the gears and a pulse is not outside, rad (15 arcmin, e-manual).
PLAY_RAD = 0.006


def arming_complaints(
    state: RobotState, config: GuardConfig, wide: Limits, joint_names: Sequence[str], capability: Capability | None
) -> list[str]:
    """Return one sentence for each reason not to switch torque on; none: it may.

    That all motors are there, of the model and firmware that the description names, and that their watchdogs are armed and read back is the
    driver's part: it raises.

    Args:
        state: Just measured.
        config: Of the guard.
        wide: Limits of reset routines: the hard ones.
        joint_names: Of the robot.
        capability: What its motors can do.
    """
    complaints = [] if capability is None else capability.complaints(config, joint_names)
    complaints += standing_complaints(state.joints, wide, joint_names)
    complaints += _motors(state.joints, config, joint_names)
    if config.voltage_min_v is not None and state.voltage_v is not None and state.voltage_v < config.voltage_min_v:
        complaints.append(f"the supply has {state.voltage_v:.1f} V, less than voltage_min_v {config.voltage_min_v:g}: charge the battery")
    for what, sensor in (("IMU", state.imu), ("tracker", state.tracked_base)):
        if sensor is not None and not sensor.age_s <= config.sensor_age_max_s:
            complaints.append(f"the {what}'s reading is {sensor.age_s:.2f} s old, more than {config.sensor_age_max_s:g}: is it connected?")
    return complaints


def standing_complaints(joints: JointState, wide: Limits, joint_names: Sequence[str]) -> list[str]:
    """Return one sentence for each joint that is outside of the widest limits; one that is not a number is nowhere."""
    return [
        f"{name} stands at {angle:.3f} rad, outside of {low:g} to {high:g}: move it by hand, or calibrate again"
        for name, angle, low, high in zip(joint_names, joints.position_rad, wide.position_min_rad, wide.position_max_rad, strict=True)
        if not low - PLAY_RAD <= angle <= high + PLAY_RAD
    ]


def _motors(joints: JointState, config: GuardConfig, joint_names: Sequence[str]) -> list[str]:
    """Look at what motors say of themselves; a temperature that has not been asked for yet is NaN, and no complaint."""
    complaints = []
    if joints.temperature_c is not None:
        complaints += [
            f"{name} has {heat:.0f} deg C: wait until it is below {config.temperature_arm_c:g}"
            for name, heat in zip(joint_names, joints.temperature_c, strict=True)
            if heat >= config.temperature_arm_c
        ]
    if joints.hardware_error is not None:
        complaints += [
            f"{name} reports hardware error {error:#04x}: find its cause, then 'fetlock bus reboot'"
            for name, error in zip(joint_names, joints.hardware_error, strict=True)
            if error
        ]
    return complaints
