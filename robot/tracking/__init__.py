"""Low-cost motion capture: a robot's base and a valve, followed by ArUco tags in the images of a fixed camera."""

from robot.tracking.config import BaseTrackerConfig, OverheadConfig, TagPlane, TrackerConfig, ValveTrackerConfig
from robot.tracking.detect import Dictionary, Sighting, TagDetector
from robot.tracking.floor import FloorCalibration, FloorFit, fit_floor
from robot.tracking.geometry import PlanarTag, PosedCamera, looking_at, planar_tag
from robot.tracking.overhead import OverheadTracker
from robot.tracking.render import DrawnTag, flat_tag, render_tags
from robot.tracking.trackers import BasePose, BaseTagTracker, ValveTagTracker

__all__ = [
    "BasePose",
    "BaseTagTracker",
    "BaseTrackerConfig",
    "Dictionary",
    "DrawnTag",
    "FloorCalibration",
    "FloorFit",
    "OverheadConfig",
    "OverheadTracker",
    "PlanarTag",
    "PosedCamera",
    "Sighting",
    "TagDetector",
    "TagPlane",
    "TrackerConfig",
    "ValveTagTracker",
    "ValveTrackerConfig",
    "fit_floor",
    "flat_tag",
    "looking_at",
    "planar_tag",
    "render_tags",
]
