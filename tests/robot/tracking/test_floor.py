"""The floor's calibration: what is found, and what is refused."""

from __future__ import annotations

import logging
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from robot.errors import CalibrationError
from robot.tracking import FloorCalibration, FloorFit, Sighting, TagDetector, fit_floor, flat_tag, render_tags
from tests.robot.tracking.scene import PINHOLE, SIZE_PX, frame_of, overhead, seen

MARKERS = {10: (-0.6, -0.35), 11: (0.6, -0.35), 12: (0.6, 0.35), 13: (-0.6, 0.35), 14: (0.1, 0.0)}


def markers_seen(camera_x: float = 0.1, markers: dict[int, tuple[float, float]] = MARKERS) -> Sighting:
    camera = overhead(1.5, camera_x)
    return seen(camera, 0.0, *(flat_tag(marker, 0.1, (*place, 0.0), 0.7 * marker) for marker, place in markers.items()))


def fit(sighting: Sighting, layout: dict[int, tuple[float, float]]) -> FloorFit:
    return fit_floor(sighting, layout, PINHOLE, SIZE_PX)


@given(st.floats(0.8, 2.5), st.floats(-0.4, 0.4), st.floats(-0.4, 0.4), st.integers(4, 5))
def test_exact_sightings_give_the_camera_back(height_m: float, x: float, y: float, count: int) -> None:
    camera = overhead(height_m, x, y)
    layout = dict(list(MARKERS.items())[:count])
    tags = [flat_tag(marker, 0.1, (*place, 0.0), 0.7 * marker) for marker, place in layout.items()]
    found = fit(seen(camera, 0.0, *tags, flat_tag(7, 0.1, (0.2, 0.1, 0.3))), layout)
    np.testing.assert_allclose(found.camera.position_world_m, (x, y, height_m), atol=1e-5)
    assert found.error_px < 1e-4
    assert found.ids == tuple(layout)
    np.testing.assert_allclose(found.calibration.to_world(camera.project([[0.2, 0.1, 0.3]]), 0.3), [[0.2, 0.1]], atol=1e-6)


def test_rendered_markers_give_the_camera_to_millimetres() -> None:
    camera = overhead(1.8, 0.2, -0.3)
    tags = [flat_tag(marker, 0.1, (*place, 0.0), 0.7 * marker) for marker, place in MARKERS.items()]
    image = render_tags(camera, tags, rng=np.random.default_rng(0))
    found = fit(TagDetector().detect(frame_of(image)), MARKERS)
    off_m = np.linalg.norm(found.camera.position_world_m - camera.position_world_m)
    logging.getLogger("measured").info(
        f"floor fit at 1.8 m, 5 markers of 100 mm: camera off by {off_m * 1e3:.2f} mm, error {found.error_px:.3f} px"
    )
    assert found.error_px < 0.2
    assert off_m < 0.005


def test_a_calibration_survives_its_configuration_file() -> None:
    found = fit(markers_seen(), MARKERS).calibration
    assert FloorCalibration.model_validate_json(found.model_dump_json()) == found


def test_fewer_than_four_markers_are_refused_and_the_missing_named() -> None:
    sighting = markers_seen(markers={marker: MARKERS[marker] for marker in (10, 11, 12)})
    with pytest.raises(CalibrationError, match=r"3 floor markers are seen, at least 4 .* \(not seen: \[13, 14\]\)"):
        fit(sighting, MARKERS)


def test_markers_on_a_line_are_refused() -> None:
    line = {10: (-0.6, 0.0), 11: (-0.2, 0.001), 12: (0.2, 0.0), 13: (0.6, 0.002)}
    with pytest.raises(CalibrationError, match="almost on a line"):
        fit(markers_seen(markers=line), line)


@pytest.mark.parametrize("count", [4, 5])
def test_a_wrong_place_is_refused_even_with_four_markers(count: int) -> None:
    layout = dict(list(MARKERS.items())[:count])
    with pytest.raises(CalibrationError, match=r"off by \d+\.\d+ px, at most 1\.0 px is allowed \({10: "):
        fit(markers_seen(markers=layout), {**layout, 12: (0.6, 0.40)})
    with pytest.raises(CalibrationError, match="off by"):
        fit(markers_seen(markers=layout), {**layout, 12: MARKERS[13], 13: MARKERS[12]})


def test_a_mirrored_layout_is_refused() -> None:
    with pytest.raises(CalibrationError, match="seen from below: their layout is mirrored"):
        fit(markers_seen(0.0), {marker: (x, -y) for marker, (x, y) in MARKERS.items()})


def test_the_bound_decides() -> None:
    slightly_off = {**MARKERS, 12: (0.603, 0.35)}
    error_px = fit_floor(markers_seen(), slightly_off, PINHOLE, SIZE_PX, 10.0).error_px
    fit_floor(markers_seen(), slightly_off, PINHOLE, SIZE_PX, error_px * 1.01)
    with pytest.raises(CalibrationError):
        fit_floor(markers_seen(), slightly_off, PINHOLE, SIZE_PX, error_px * 0.99)


@pytest.mark.parametrize("bad", [[0.0, 0.0, 0.0], [math.nan, 0.0, 1.0]])
def test_a_calibration_that_cannot_be_inverted_is_refused(bad: list[float]) -> None:
    good = FloorCalibration.of_camera(overhead()).model_dump()
    with pytest.raises(ValidationError, match="finite and invertible"):
        FloorCalibration.model_validate({**good, "homography_floor_to_image": [*good["homography_floor_to_image"][:2], bad]})
    with pytest.raises(ValidationError, match="above the floor"):
        FloorCalibration.model_validate({**good, "camera_position_world_m": (0.0, 0.0, -1.0)})
