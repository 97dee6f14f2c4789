"""Follow a robot's base and a valve by their tags."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from robot.errors import StaleError
from robot.tracking.config import BaseTrackerConfig, TrackerConfig, ValveTrackerConfig
from robot.tracking.detect import Sighting
from robot.tracking.geometry import planar_tag
from robot.types import FloatArray, TrackedAngle, TrackedPose, frozen_array

# A tag whose side comes out this much off is tilted, at another height or none of ours. 0.1 m of height under a camera at 1 m make 10%.
_SIDE_TOLERANCE = 0.2
# Rows of an image grow downwards.
_UPWARDS = frozen_array([1.0, -1.0])
# Two stamps give a slope too, but one of their errors alone.
_VELOCITY_STAMPS_MIN = 3


@dataclass(frozen=True, slots=True)
class BasePose:
    """Where the overhead camera sees the base.

    Attributes:
        pose: Position, velocity and age. The height is the configured one and the vertical velocity 0: the camera does not measure them.
        yaw_rad: From world x to the base's x axis about world z, within [-pi, pi].
    """

    pose: TrackedPose
    yaw_rad: float


class _Track:
    """What both trackers share: where one tag was seen of late, and why not, if not."""

    def __init__(self, config: TrackerConfig) -> None:
        self._config = config
        self._stamp_s = -math.inf
        self._seen: deque[tuple[float, ...]] = deque()
        self._reason = "no image was observed"

    def corners_px(self, sighting: Sighting) -> FloatArray | None:
        """Return the tag's corners in an image that is newer than all before; None if there are none. Shape (4, 2), px."""
        if sighting.stamp_s <= self._stamp_s:
            return None
        self._stamp_s = sighting.stamp_s
        self._reason = f"the newest image shows tags {sorted(sighting.corners_px)}"
        return sighting.corners_px.get(self._config.tag_id)

    def refuse(self, reason: str) -> None:
        """Take the newest corners for none of the tag's."""
        self._reason = reason

    def accept(self, *values: float) -> None:
        """Keep what the newest image showed of the tag, for the length of the velocity's window."""
        self._seen.append((self._stamp_s, *values))
        while self._seen[0][0] < self._stamp_s - self._config.velocity_window_s:
            self._seen.popleft()

    def age_s(self, now_s: float) -> float:
        """Return the time since the newest capture that shows the tag, s.

        Raises:
            StaleError: If it is more than `max_age_s`.
        """
        tag, bound_s = self._config.tag_id, self._config.max_age_s
        if not self._seen:
            raise StaleError(f"tag {tag} was never seen; {self._reason}: check sight, light and focus")
        age_s = now_s - self._seen[-1][0]
        if age_s > bound_s:
            raise StaleError(
                f"tag {tag} was last seen {age_s:.3f} s ago, at most max_age_s {bound_s} s is allowed; {self._reason}: "
                "check sight, light and focus"
            )
        return age_s

    def newest(self) -> tuple[FloatArray, FloatArray]:
        """Return the newest values and their least-squares slopes over the window. Shapes (k,), in a unit and in unit/s.

        Raises:
            StaleError: If the tag was seen on fewer than three images of the window.
        """
        if len(self._seen) < _VELOCITY_STAMPS_MIN:
            raise StaleError(
                f"tag {self._config.tag_id} was seen on {len(self._seen)} images of the last {self._config.velocity_window_s} s, "
                f"a velocity takes {_VELOCITY_STAMPS_MIN}: wait, or raise velocity_window_s above three frames"
            )
        seen = np.array(self._seen)
        centred = seen - seen.mean(axis=0)
        return seen[-1, 1:], centred[:, 0] @ centred[:, 1:] / (centred[:, 0] @ centred[:, 0])


class BaseTagTracker:
    """The displacement of a robot's base in the plane, from a tag that lies flat on its back.

    The velocity is the least-squares slope over the stamps of the last `velocity_window_s`: it lags the motion by half of that window.
    With d for the tag's horizontal distance from the camera over its depth below it: a back that is tilted by t rad shows a yaw that is off
    by up to about t d/2 + t^2/4 rad, and one that is lifted by h is seen h d farther out.

    Args:
        config: Of tag, plane and base.
    """

    def __init__(self, config: BaseTrackerConfig) -> None:
        self._config = config
        self._track = _Track(config)
        self._yaw_rad = 0.0

    def observe(self, sighting: Sighting) -> bool:
        """Take in the tags of an image; return whether the tag was there. An image that is not newer than the last changes nothing."""
        corners_px = self._track.corners_px(sighting)
        if corners_px is None:
            return False
        plane = self._config.plane
        tag = planar_tag(plane.floor.to_world(corners_px, plane.height_m))
        if not abs(tag.side / plane.size_m - 1.0) <= _SIDE_TOLERANCE:
            self._track.refuse(f"it was seen with a side of {tag.side:.4f} m where size_m is {plane.size_m} m")
            return False
        cosine, sine = math.cos(tag.yaw_rad), math.sin(tag.yaw_rad)
        x, y, _ = self._config.base_in_tag_m
        self._track.accept(float(tag.centre[0]) + cosine * x - sine * y, float(tag.centre[1]) + sine * x + cosine * y)
        self._yaw_rad = math.remainder(tag.yaw_rad + self._config.base_yaw_in_tag_rad, 2.0 * math.pi)
        return True

    def pose(self, now_s: float) -> BasePose:
        """Return the newest pose.

        Args:
            now_s: Time on the clock of the frames' stamps, s.

        Raises:
            StaleError: If the tag was not seen for `max_age_s`, or on fewer than three images of the velocity's window.
        """
        age_s = self._track.age_s(now_s)
        place_m, velocity_m_s = self._track.newest()
        height_m = self._config.plane.height_m + self._config.base_in_tag_m[2]
        return BasePose(TrackedPose(frozen_array([*place_m, height_m]), frozen_array([*velocity_m_s, 0.0]), age_s), self._yaw_rad)


class ValveTagTracker:
    """The angle of a valve from the in-plane yaw of its tag, over any number of turns.

    The image plane stands for the valve's. A camera askew foreshortens the tag, and the fit of all four edges takes any linear
    foreshortening for a constant, which belongs into the zero; what perspective adds is below 0.02 deg (50 mm tag at 0.3 m, 40 deg askew).
    Turns are counted right while the valve turns less than half a turn between two images that show the tag. The velocity is the
    least-squares slope over the stamps of the last `velocity_window_s`.

    Args:
        config: Of tag and zero.
    """

    def __init__(self, config: ValveTrackerConfig) -> None:
        self._config = config
        self._track = _Track(config)
        self._zero_rad = config.zero_yaw_rad
        self._yaw_rad = config.zero_yaw_rad
        self._stamp_s: float | None = None
        self._certain = True

    @property
    def turns_certain(self) -> bool:
        """False once the valve was out of sight for long enough to turn half a turn; its angle within a turn still holds."""
        return self._certain

    def observe(self, sighting: Sighting) -> bool:
        """Take in the tags of an image; return whether the tag was there. An image that is not newer than the last changes nothing."""
        corners_px = self._track.corners_px(sighting)
        if corners_px is None:
            return False
        yaw_rad = planar_tag(corners_px * _UPWARDS).yaw_rad
        self._yaw_rad += math.remainder(yaw_rad - self._yaw_rad, 2.0 * math.pi)
        if self._stamp_s is not None and (sighting.stamp_s - self._stamp_s) * self._config.max_speed_rad_s >= math.pi:
            self._certain = False
        self._stamp_s = sighting.stamp_s
        self._track.accept(self._yaw_rad)
        return True

    def angle(self, now_s: float) -> TrackedAngle:
        """Return the newest angle, counter-clockwise as the camera sees it, and its rate.

        Args:
            now_s: Time on the clock of the frames' stamps, s.

        Raises:
            StaleError: If the tag was not seen for `max_age_s`, or on fewer than three images of the velocity's window.
        """
        age_s = self._track.age_s(now_s)
        yaw_rad, velocity_rad_s = self._track.newest()
        return TrackedAngle(float(yaw_rad[0]) - self._zero_rad, float(velocity_rad_s[0]), age_s)

    def zero(self, now_s: float) -> None:
        """Make the present angle 0, and its turns certain.

        Raises:
            StaleError: If the tag was not seen for `max_age_s`.
        """
        self._track.age_s(now_s)
        self._zero_rad = self._yaw_rad
        self._certain = True
