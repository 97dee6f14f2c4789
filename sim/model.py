"""The Minitaur as data: joints, directions, constants of its motors and legs. `docs/robots.md` describes the machine."""

from __future__ import annotations

from collections.abc import Sequence

# bullet3's order of legs and, within a leg, of its two motors.
LEGS = ("front_left", "back_left", "front_right", "back_right")
SIDES = ("left", "right")
JOINT_NAMES = tuple(f"motor_{leg}_{side}" for leg in LEGS for side in SIDES)

# Angle of the URDF's joint over the motor's angle: bullet3's Minitaur. All start poses are then positive.
DIRECTIONS = (-1.0, -1.0, -1.0, -1.0, 1.0, 1.0, 1.0, 1.0)

URDF = "quadruped/minitaur.urdf"
# Names in that file, in the order of JOINT_NAMES.
URDF_MOTORS = tuple(f"motor_{leg}{side[0].upper()}_joint" for leg in LEGS for side in SIDES)
URDF_KNEES = tuple(f"knee_{leg}{side[0].upper()}_link" for leg in LEGS for side in SIDES)

# Angles at which the linkage closes, in the motor convention, rad: bullet3's Minitaur.
CLOSED_MOTOR_RAD = 1.5707963267948966
CLOSED_KNEE_RAD = -2.1834
# A motor's angle is extension -+ sign * swing, by leg: left motor, right motor.
SWING_SIGNS = (1.0, 1.0, -1.0, -1.0)
# Ranges of a leg: bullet3's Minitaur, whose swing is counted from another direction. The gap between the motors, twice the extension, stays
# 0.1 rad away from 0 and from 2 pi, where both arms lie on each other and the leg may turn inside out.
EXTENSION_MARGIN_RAD = 0.05
SWING_MAX_RAD = 3.0415926535897933
# Where the two shanks of a leg are pinned to each other, in the shank's frame, m: bullet3's Minitaur.
RIGHT_PIVOT_M = (0.0, 0.005, 0.2)
LEFT_PIVOT_M = (0.0, 0.01, 0.2)
# Height at which the body is loaded, m: above its standing height at the closed pose (0.157, measured).
LOAD_HEIGHT_M = 0.2

# Bullet takes a link's inertia from its collision shape, and the URDF forgets that of this motor (link name): its twin's is used.
LINK_WITHOUT_SHAPE = "motor_front_leftR_link"
TWIN_OF_LINK_WITHOUT_SHAPE = "motor_back_leftR_link"

# The motor (T-Motor U8 class): bullet3's identified model.
RESISTANCE_OHM = 0.186
TORQUE_CONSTANT_NM_PER_A = 0.0954
# Torque saturates with the current: N m at 0, 10, ... 60 A, constant beyond.
SATURATION_STEP_A = 10.0
SATURATION_TORQUE_NM = (0.0, 1.0, 1.9, 2.45, 3.0, 3.25, 3.5)
# The torque that the motor's controller reports is its duty cycle's, bounded by its calibration.
OBSERVED_TORQUE_LIMIT_NM = 5.7
# Above this torque for this long without a pause, the controller shuts the motor off.
OVERHEAT_TORQUE_NM = 2.45
OVERHEAT_TIME_S = 1.0


def feet_of(shanks: Sequence[int]) -> dict[str, tuple[int, ...]]:
    """Return the two links of each foot by its leg's name, from the links of the shanks in the order of JOINT_NAMES."""
    return {leg: tuple(shanks[len(SIDES) * index : len(SIDES) * (index + 1)]) for index, leg in enumerate(LEGS)}


def to_joints(motors_rad: Sequence[float]) -> list[float]:
    """Return the URDF's joint angles of motor angles, rad. Shape (8,)."""
    return [direction * angle for direction, angle in zip(DIRECTIONS, motors_rad, strict=True)]
