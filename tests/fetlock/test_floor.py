"""`fetlock floor` over the images of a camera that stands somewhere else than it says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

from fetlock.__main__ import main
from robot.camera import MjpegServer, Pinhole
from robot.tracking import OverheadConfig, flat_tag, looking_at, render_tags

pytestmark = pytest.mark.realtime

WIDTH, HEIGHT = 640, 480
PINHOLE = Pinhole(fx_px=420.0, fy_px=420.0, cx_px=319.5, cy_px=239.5)
PLACE_M = (0.3, -0.2, 2.2)
CAMERA = looking_at(PINHOLE, (WIDTH, HEIGHT), PLACE_M, (0.1, 0.1, 0.0))
MARKERS = {10: (-0.6, -0.5), 11: (0.7, -0.5), 12: (0.7, 0.6), 13: (-0.6, 0.6), 14: (0.0, 0.1)}


@pytest.fixture(scope="module")
def server() -> Iterator[MjpegServer]:
    tags = [flat_tag(tag, 0.2, (x, y, 0.0), 0.3 * tag) for tag, (x, y) in MARKERS.items()]
    picture = render_tags(CAMERA, tags)
    made = MjpegServer.start(lambda _: picture, 30.0)
    yield made
    made.close()


def layout(path: Path, server: MjpegServer, places: dict[int, tuple[float, float]], **more: object) -> Path:
    camera = {
        "source": {"kind": "http", "url": server.url},
        "width_px": WIDTH,
        "height_px": HEIGHT,
        "max_age_s": 2.0,
        # What is drawn has no noise.
        "still_max_s": None,
        "intrinsics": {"pinhole": PINHOLE.model_dump()},
    }
    base = {"plane": {"height_m": 0.27, "size_m": 0.1}}
    markers = [{"id": tag, "x_m": x, "y_m": y} for tag, (x, y) in places.items()]
    path.write_text(yaml.safe_dump({"camera": camera, "base": base, "markers": markers, **more}))
    return path


def test_the_file_that_comes_out_says_where_pixels_are(tmp_path: Path, server: MjpegServer, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "overhead.yaml"
    assert main(["floor", str(layout(tmp_path / "layout.yaml", server, MARKERS)), "--out", str(out)]) == 0
    assert "5 tags (10, 11, 12, 13, 14)" in capsys.readouterr().out
    floor = OverheadConfig.model_validate(yaml.safe_load(out.read_text())).base.plane.floor
    np.testing.assert_allclose(floor.camera_position_world_m, PLACE_M, atol=0.02)
    # A point that was no marker, at a height that none had.
    point = np.array([[0.2, 0.3, 0.27]])
    np.testing.assert_allclose(floor.to_world(CAMERA.project(point), 0.27), point[:, :2], atol=0.005)
    # It is not written over.
    assert main(["floor", str(tmp_path / "layout.yaml"), "--out", str(out)]) == 2
    assert "exists already" in capsys.readouterr().err


def test_what_is_wrong_is_named_and_leaves_no_file(tmp_path: Path, server: MjpegServer, capsys: pytest.CaptureFixture[str]) -> None:
    def refused(code: int, places: dict[int, tuple[float, float]], **more: object) -> str:
        path = layout(tmp_path / "layout.yaml", server, places, **more)
        assert main(["floor", str(path), "--out", str(tmp_path / "out.yaml")]) == code
        assert not (tmp_path / "out.yaml").exists()
        return capsys.readouterr().err

    assert "off by" in refused(1, {**MARKERS, 14: (0.1, 0.1)})
    assert "3 floor markers are seen, at least 4" in refused(1, {10: MARKERS[10], 11: MARKERS[11], 12: MARKERS[12], 40: (0.0, 0.0)})
    assert "markers" in refused(2, {10: MARKERS[10]})
    assert "base" in refused(2, MARKERS, base={"tag": 3})
    twice = [{"id": 10, "x_m": float(number), "y_m": 0.0} for number in range(4)]
    assert "id 10 twice" in refused(2, MARKERS, markers=twice)
    assert main(["floor", str(tmp_path / "layout.yaml")]) == 2
    assert "where to? give --out FILE" in capsys.readouterr().err
    assert main(["floor", str(tmp_path / "none.yaml"), "--out", str(tmp_path / "out.yaml")]) != 0
    assert "none.yaml" in capsys.readouterr().err
