"""Accuracy over rendered images of 1280x720 against the truth. `--log-cli-level=INFO` shows what was measured."""

from __future__ import annotations

import logging
import math

import cv2
import numpy as np
import pytest

from robot.clock import monotonic_s
from robot.tracking import (
    FloorCalibration,
    TagDetector,
    ValveTagTracker,
    ValveTrackerConfig,
    fit_floor,
    flat_tag,
    looking_at,
    planar_tag,
    render_tags,
)
from robot.tracking.detect import TAG_COUNTS, opencv_dictionary
from tests.robot.tracking.scene import PINHOLE, SIZE_PX, frame_of, overhead

DETECTOR = TagDetector()
measured = logging.getLogger("measured").info


def off_deg(found_rad: float, true_rad: float) -> float:
    return abs(math.degrees(math.remainder(found_rad - true_rad, 2.0 * math.pi)))


@pytest.mark.parametrize("height_m", [0.8, 1.4, 2.0])
def test_base_position_and_yaw_with_a_floor_found_from_markers(height_m: float) -> None:
    rng = np.random.default_rng(int(height_m * 10))
    x, y = rng.uniform(-0.1, 0.1, 2) * height_m
    camera = overhead(height_m, x, y)
    half = np.array([0.55, 0.28]) * height_m
    layout = {10 + k: (half[0] * sx, half[1] * sy) for k, (sx, sy) in enumerate(((-1, -1), (1, -1), (1, 1), (-1, 1), (0, 0.9)))}
    floor_tags = [flat_tag(marker, 0.1, (*place, 0.0), rng.uniform(-3, 3)) for marker, place in layout.items()]
    floor = fit_floor(DETECTOR.detect(frame_of(render_tags(camera, floor_tags, rng=rng))), layout, PINHOLE, SIZE_PX)
    off_m, yaws_deg, times_s = [], [], []
    for _ in range(25):
        tag_m = rng.uniform(0.1, 0.3)
        place = np.array([*(rng.uniform(-0.6, 0.6, 2) * half * (1.0 - tag_m / height_m)), tag_m])
        yaw = rng.uniform(-math.pi, math.pi)
        frame = frame_of(render_tags(camera, [flat_tag(7, 0.1, place, yaw)], rng=rng))
        start_s = monotonic_s()
        corners_px = DETECTOR.detect(frame).corners_px[7]
        times_s.append(monotonic_s() - start_s)
        tag = planar_tag(floor.calibration.to_world(corners_px, tag_m))
        off_m.append(float(np.hypot(*(tag.centre - place[:2]))))
        yaws_deg.append(off_deg(tag.yaw_rad, yaw))
    measured(
        f"camera at {height_m} m, 100 mm tag: position {np.median(off_m) * 1e3:.2f} mm (worst {max(off_m) * 1e3:.2f}), "
        f"yaw {np.median(yaws_deg):.3f} deg (worst {max(yaws_deg):.3f}), detection {np.median(times_s) * 1e3:.1f} ms"
    )
    assert max(off_m) < 0.002
    assert max(yaws_deg) < 0.3


def test_valve_angle_from_a_camera_askew_over_two_turns() -> None:
    rng = np.random.default_rng(5)
    camera = looking_at(PINHOLE, SIZE_PX, (0.25, -0.1, 0.4), (0.0, 0.0, 0.0))
    tracker = ValveTagTracker(ValveTrackerConfig(tag_id=7))
    off = []
    for k, angle_rad in enumerate([0.0, 0.0, *np.arange(0.0, 4.0 * math.pi, 0.4)]):
        frame = frame_of(render_tags(camera, [flat_tag(7, 0.05, (0.0, 0.0, 0.05), angle_rad)], rng=rng), k / 30)
        assert tracker.observe(DETECTOR.detect(frame))
        if k < 2:
            tracker.zero(k / 30)
            continue
        off.append(math.degrees(abs(tracker.angle(k / 30).angle_rad - angle_rad)))
    measured(f"valve, 50 mm tag at 0.45 m, 34 deg askew: angle {np.median(off):.3f} deg (worst {max(off):.3f})")
    assert max(off) < 0.4


def test_tags_are_found_in_clutter_under_a_shadow_and_after_jpeg() -> None:
    rng = np.random.default_rng(3)
    camera = overhead(1.4)
    image = render_tags(camera, [flat_tag(k, 0.1, (0.25 * (k - 2), -0.1, 0.2), k) for k in range(5)], rng=rng)
    for _ in range(150):
        low = rng.integers(0, (1180, 260))
        cv2.rectangle(image, low.tolist(), (low + rng.integers(5, 60, 2)).tolist(), rng.integers(0, 255, 3).tolist(), -1)
    image[:, :540] = image[:, :540] // 2
    image = cv2.imdecode(cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, 90))[1], cv2.IMREAD_COLOR)
    frame = frame_of(image)
    start_s = monotonic_s()
    corners_px = DETECTOR.detect(frame).corners_px
    measured(f"detection in clutter: {(monotonic_s() - start_s) * 1e3:.1f} ms")
    assert set(corners_px) == set(range(5))
    for k in range(5):
        tag = planar_tag(FloorCalibration.of_camera(camera).to_world(corners_px[k], 0.2))
        assert np.hypot(*(tag.centre - (0.25 * (k - 2), -0.1))) < 0.002
        assert off_deg(tag.yaw_rad, k) < 0.5


def test_a_covered_tag_is_not_seen_and_a_doubled_one_is_left_out() -> None:
    camera = overhead()
    image = render_tags(camera, [flat_tag(1, 0.1, (-0.3, 0, 0)), flat_tag(2, 0.1, (0, 0, 0)), flat_tag(1, 0.1, (0.3, 0, 0))])
    assert set(DETECTOR.detect(frame_of(image)).corners_px) == {2}
    image[300:360, 600:680] = 0
    assert set(DETECTOR.detect(frame_of(image)).corners_px) == set()


@pytest.mark.parametrize("shift_px", [0.0, 0.1, 0.3, 0.5, 0.8])
def test_edges_are_drawn_where_they_belong(shift_px: float) -> None:
    # 1000 px/m at this height: the black square of 100 px begins 50 px to the left and above its centre.
    camera, shift_m = overhead(0.9), shift_px / 1000.0
    image = render_tags(camera, [flat_tag(0, 0.1, (shift_m, -shift_m, 0.0))], floor_grey=0, blur_px=0.0)[..., 0].astype(float)
    left, top = 589.5 + shift_px, 309.5 + shift_px
    # From within the white margin to within the black border, through the middle of the side; pixel i ends at i + 0.5.
    assert 579.5 + image[355:365, 580:600].mean(axis=0).sum() / 255.0 == pytest.approx(left, abs=0.02)
    assert 299.5 + image[300:320, 635:645].mean(axis=1).sum() / 255.0 == pytest.approx(top, abs=0.02)


def test_drawing_is_repeatable_and_leaves_out_what_the_camera_does_not_see() -> None:
    camera = overhead()
    tag = flat_tag(4, 0.1, (0.1, 0.0, 0.0))
    first, second = (render_tags(camera, [tag], rng=np.random.default_rng(1)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    empty = render_tags(camera, [])
    assert (empty == 110).all()
    for place in ((5.0, 0.0, 0.0), (0.0, 0.0, 2.0)):
        np.testing.assert_array_equal(render_tags(camera, [flat_tag(4, 0.1, place)]), empty)
    larger = flat_tag(5, 0.2, (0.1, 0.0, 0.0))
    np.testing.assert_array_equal(render_tags(camera, [tag, larger]), render_tags(camera, [larger]))


def test_dictionaries_hold_as_many_tags_as_stated() -> None:
    for name, count in TAG_COUNTS.items():
        assert len(opencv_dictionary(name).bytesList) == count
