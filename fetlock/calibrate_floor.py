"""`fetlock floor`: where an overhead camera sees the floor, from tags that lie at known places on it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from fetlock import document
from fetlock.arguments import VerbParser
from fetlock.complaint import validated
from robot.errors import CalibrationError, UsageError
from robot.files import made_whole
from robot.types import frozen_array

if TYPE_CHECKING:
    from robot.tracking import OverheadConfig, Sighting

# Frames that are looked at, and the share of them in which a tag must be seen: the noise of a corner falls with the root of their number.
_FRAMES, _SEEN_SHARE = 30, 0.5


class FloorMarker(BaseModel):
    """A tag that lies on the floor, and the place of its centre in the world, m."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: int = Field(ge=0)
    x_m: float
    y_m: float


class FloorMarkers(BaseModel):
    """All of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    markers: tuple[FloorMarker, ...] = Field(min_length=4)

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        ids = [marker.id for marker in self.markers]
        if twice := sorted({tag for tag in ids if ids.count(tag) > 1}):
            raise ValueError(f"markers have id {', '.join(map(str, twice))} twice: a tag lies in one place")
        return self


def run(argv: list[str]) -> int:
    """Calibrate; see `fetlock floor --help`."""
    parser = VerbParser(
        "floor",
        "Find where an overhead camera sees the floor, and write the file for robot.tracker. LAYOUT is that file without base.plane.floor, "
        "and with `markers: [{id: 10, x_m: 0.0, y_m: 0.5}, ...]`: at least four flat tags (docs/hardware.md). Nothing moves.",
    )
    parser.add_argument("layout", type=Path, metavar="LAYOUT", help="YAML file: camera, base, markers")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the file to make; must not exist")
    options = parser.read(argv)
    if options.out is None:
        raise UsageError("where to? give --out FILE")
    if options.out.exists():
        raise UsageError(f"{options.out} exists already: give another --out")
    from robot.tracking import OverheadConfig

    values, where = document.read(options.layout), str(options.layout)
    markers = validated({"markers": values.pop("markers", [])}, where, FloorMarkers)
    # Any floor will do until it is known; what else is wrong with the file is said before the camera opens.
    any_floor = _with_floor(values, [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], [0.0, 0.0, 1e6])
    config = validated(any_floor, where, OverheadConfig)
    return _calibrate(config, values, markers, options.out)


def _calibrate(config: OverheadConfig, values: dict[str, JsonValue], markers: FloorMarkers, out: Path) -> int:
    from robot.camera import OpenCvCamera
    from robot.tracking import TagDetector, fit_floor

    pinhole = config.camera.pinhole
    if pinhole is None:
        raise UsageError("camera.intrinsics are missing: calibrate the camera")
    detector = TagDetector(config.base.dictionary)
    camera = OpenCvCamera.open(config.camera)
    try:
        frames = [camera.capture() for _ in range(_FRAMES)]
    finally:
        camera.close()
    places = {marker.id: (marker.x_m, marker.y_m) for marker in markers.markers}
    height, width = frames[0].image.shape[:2]
    fit = fit_floor(_mean([detector.detect(frame) for frame in frames]), places, pinhole, (width, height))
    floor = fit.calibration
    rows = [list(row) for row in floor.homography_floor_to_image]
    text = document.dump(_with_floor(values, rows, list(floor.camera_position_world_m)))
    try:
        with made_whole(out) as temporary:
            temporary.write_text(text)
    except OSError as error:
        raise CalibrationError(f"{out}: the calibration cannot be written ({error.strerror}): choose another --out") from error
    x, y, z = floor.camera_position_world_m
    sys.stdout.write(
        f"{len(fit.ids)} tags ({', '.join(map(str, fit.ids))}), off by {fit.error_px:.2f} px (root mean square); "
        f"the camera is at {x:.3f}, {y:.3f}, {z:.3f} m: measure its height to check\n{out}: give it as robot.tracker\n"
    )
    return 0


def _with_floor(values: dict[str, JsonValue], rows: list[list[float]], camera_m: list[float]) -> dict[str, JsonValue]:
    """Return a document with the floor in its place; what has no such place is left to be complained of."""
    base = values.get("base")
    plane = base.get("plane") if isinstance(base, dict) else None
    if not isinstance(base, dict) or not isinstance(plane, dict):
        return values
    floor: JsonValue = {"homography_floor_to_image": [[*row] for row in rows], "camera_position_world_m": [*camera_m]}
    return {**values, "base": {**base, "plane": {**plane, "floor": floor}}}


def _mean(sightings: list[Sighting]) -> Sighting:
    """Return one sighting with the mean corners of each tag that was seen often enough."""
    from robot.tracking import Sighting

    ids = {tag for sighting in sightings for tag in sighting.corners_px}
    seen = {tag: [sighting.corners_px[tag] for sighting in sightings if tag in sighting.corners_px] for tag in ids}
    often = {tag: frozen_array(np.mean(corners, axis=0)) for tag, corners in seen.items() if len(corners) >= _SEEN_SHARE * len(sightings)}
    return Sighting(sightings[-1].stamp_s, often)
