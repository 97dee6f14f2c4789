"""The claw and its valve as URDFs of boxes, cylinders and capsules; names, lengths and limits of the claw are those of its description.

Dimensions and masses: ROBEL's D'Claw (https://github.com/google-research/robel, dclaw3xh and its valves). Where mass sits is not told
there: links are solid boxes. The palm's frame, that of `safety.fingers`, has z along a straight finger: it hangs upside down in the world.
"""

from __future__ import annotations

import math

from robot.description import RobotDescription
from robot.errors import UsageError
from robot.fingers import PER_FINGER, FingersDescription
from sim.engine import Vector
from sim.urdf import Mass, Shape, Urdf, box, box_mass

# The side joints' axes above the table, m: a palm at 0.335, and from its middle 0.003 to the servos and 0.01425 to their axes.
PALM_HEIGHT_M = 0.31775
# About each joint's axis, kg m^2: what the rotor adds through its gear, as ROBEL models it.
ARMATURE_KG_M2 = 0.001
# What moves behind the side, the middle and the tip's joint, kg.
_MASSES_KG = (0.105, 0.105, 0.032)
# Servo with brackets, and the tip's plastic foot: half of their width along the axis of middle and tip joint, and across, m.
_SERVO_HALF_M, _FOOT_HALF_M, _FOOT_M = (0.0214, 0.0125), (0.0245, 0.014), 0.03
# The fingertip, a capsule on the link's axis: radius, half of its straight part, and its middle from the tip's joint on, m.
_TIP_RADIUS_M, _TIP_HALF_M, _TIP_AT_M = 0.011, 0.02, 0.053
_PALM_RADIUS_M, _PALM_THICKNESS_M, _PALM_KG = 0.075, 0.008, 0.11
_CLAW_COLOURS = {"palm": "0.25 0.25 0.28 1", "side": "0.16 0.16 0.18 1", "middle": "0.30 0.30 0.34 1", "tip": "0.55 0.57 0.60 1"}

# The lobes' axes above the table, m.
LOBE_HEIGHT_M = 0.102
# A lobe is a capsule from the hub outwards: radius, half of its straight part, distance of its middle from the axis, m. The valve of four
# is a cross of two such bars.
_LOBE_RADIUS_M, _LOBE_HALF_M, _LOBE_AT_M = 0.021, 0.035, 0.038
_HUB_RADIUS_M, _HUB_HALF_M = 0.02, 0.0275
# From the axis to the tip of a lobe's straight part, m: that of a bar of the cross.
_BAR_HALF_M = 0.074
_COLUMN_RADIUS_M, _BASE_KG = 0.03, 1.0
COLOURED, PLAIN = "coloured", "plain"
_VALVE_COLOURS = {"base": "0.35 0.35 0.38 1", COLOURED: "0.85 0.15 0.12 1", PLAIN: "0.88 0.88 0.85 1"}


def claw_urdf(description: RobotDescription) -> str:
    """Return the URDF of the claw in the palm's frame.

    Args:
        description: With fingers; three joints of each, side, middle and tip.
    """
    fingers = fingers_of(description)
    robot = Urdf(description.name, _CLAW_COLOURS)
    palm = Shape("cylinder", {"radius": str(_PALM_RADIUS_M), "length": str(_PALM_THICKNESS_M)}, (0.0, 0.0, -0.017))
    robot.link("palm", "palm", box_mass(_PALM_KG, (2 * _PALM_RADIUS_M, 2 * _PALM_RADIUS_M, _PALM_THICKNESS_M)), [palm])
    for number, azimuth in enumerate(fingers.azimuth_rad):
        outwards = (math.cos(azimuth), math.sin(azimuth), 0.0)
        across = (math.sin(azimuth), -math.cos(azimuth), 0.0)
        base = (fingers.base_radius_m * outwards[0], fingers.base_radius_m * outwards[1], 0.0)
        joints = description.joints[PER_FINGER * number : PER_FINGER * (number + 1)]
        origins = (base, (0.0, 0.0, fingers.side_m), (0.0, 0.0, fingers.middle_m))
        lengths = (fingers.side_m, fingers.middle_m, _FOOT_M)
        parent = "palm"
        for place, (joint, axis, origin, length) in enumerate(zip(joints, (outwards, across, across), origins, lengths, strict=True)):
            part = ("side", "middle", "tip")[place]
            turned = (0.0, 0.0, azimuth)
            half_across, half_outwards = _FOOT_HALF_M if part == "tip" else _SERVO_HALF_M
            size, centre = (2 * half_outwards, 2 * half_across, length), (0.0, 0.0, length / 2.0)
            shapes = [box(size, centre, turned)]
            if part == "tip":
                shapes.append(_capsule(_TIP_RADIUS_M, _TIP_HALF_M, (0.0, 0.0, _TIP_AT_M)))
            robot.link(joint.name, part, box_mass(_MASSES_KG[place], size, centre, turned), shapes)
            robot.revolute(joint.name, parent, axis, origin, (joint.lower_rad, joint.upper_rad))
            parent = joint.name
    return robot.text()


def fingers_of(description: RobotDescription) -> FingersDescription:
    """Return where the fingers of a claw are; raises UsageError if its description does not say."""
    if description.fingers is None:
        raise UsageError(f"the description of {description.name} has no fingers: a claw is simulated from them")
    return description.fingers


def valve_urdf(lobes: int, density_kg_m3: float) -> str:
    """Return the URDF of a valve: a column, and on it a joint `valve` that turns about the vertical without end.

    Each lobe is a link of its own, so that it can have a colour of its own; that of the first, at angle 0, stands out.

    Args:
        lobes: 3 or 4.
        density_kg_m3: Of hub and lobes.
    """
    robot = Urdf("valve", _VALVE_COLOURS)
    column = Shape("cylinder", {"radius": str(_COLUMN_RADIUS_M), "length": str(0.6 * LOBE_HEIGHT_M)}, (0.0, 0.0, 0.3 * LOBE_HEIGHT_M))
    robot.link("base", "base", box_mass(_BASE_KG, (0.1, 0.1, 0.05)), [column])
    hub = Shape("cylinder", {"radius": str(_HUB_RADIUS_M), "length": str(2 * _HUB_HALF_M)})
    hub_kg = density_kg_m3 * 2.0 * math.pi * _HUB_RADIUS_M**2 * _HUB_HALF_M
    side_m = math.sqrt(math.pi) * _HUB_RADIUS_M
    robot.link("valve", PLAIN, box_mass(hub_kg, (side_m, side_m, 2 * _HUB_HALF_M)), [hub])
    robot.revolute("valve", "base", (0.0, 0.0, 1.0), (0.0, 0.0, LOBE_HEIGHT_M), None)
    at_m, half_m = (_LOBE_AT_M, _LOBE_HALF_M) if lobes == 3 else (_BAR_HALF_M / 2.0, _BAR_HALF_M / 2.0)
    for number in range(lobes):
        angle = 2.0 * math.pi * number / lobes
        lobe = _capsule(_LOBE_RADIUS_M, half_m, (0.0, 0.0, 0.0), (0.0, math.pi / 2.0, 0.0))
        name = f"lobe_{number}"
        robot.link(name, COLOURED if number == 0 else PLAIN, _lobe_mass(density_kg_m3, half_m), [lobe])
        robot.fixed(name, "valve", (at_m * math.cos(angle), at_m * math.sin(angle), 0.0), (0.0, 0.0, angle))
    return robot.text()


def _lobe_mass(density_kg_m3: float, half_m: float) -> Mass:
    volume_m3 = math.pi * _LOBE_RADIUS_M**2 * (2.0 * half_m + 4.0 / 3.0 * _LOBE_RADIUS_M)
    return box_mass(density_kg_m3 * volume_m3, (2.0 * (half_m + _LOBE_RADIUS_M), 2.0 * _LOBE_RADIUS_M, 2.0 * _LOBE_RADIUS_M))


def _capsule(radius_m: float, half_m: float, centre_m: Vector, turned_rad: Vector = (0.0, 0.0, 0.0)) -> Shape:
    return Shape("capsule", {"radius": str(radius_m), "length": str(2.0 * half_m)}, centre_m, turned_rad)


def turning_links(lobes: int) -> tuple[str, ...]:
    """Return the names of a valve's links behind its joint: the hub, the coloured lobe, the others."""
    return ("valve", *(f"lobe_{number}" for number in range(lobes)))
