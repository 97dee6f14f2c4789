"""The videos: what is written can be decoded, and nothing half-written takes a name."""

from __future__ import annotations

import contextlib
from pathlib import Path

import av
import numpy as np
import pytest

from fetlock.video import Film, VideoWriter
from robot.errors import FetlockError, UsageError


def picture(brightness: int, height: int = 48, width: int = 64) -> np.ndarray:
    return np.full((height, width, 3), brightness, np.uint8)


def test_frames_come_back_in_order(tmp_path: Path) -> None:
    path = tmp_path / "new" / "v.mp4"
    with VideoWriter(path, fps=20) as video:
        for brightness in range(0, 250, 10):
            video.write(picture(brightness, 49, 65))
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt, stream.average_rate) == ("h264", "yuv420p", 20)
    assert frames[0].shape == (48, 64, 3)
    assert np.abs([frame.mean() for frame in frames] - np.arange(0, 250, 10)).max() < 3
    # Browsers start to play before the file's end when its index comes first.
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_a_film_takes_25_frames_a_second(tmp_path: Path) -> None:
    path = tmp_path / "f.mp4"
    with Film(lambda: picture(9), path, control_hz=100.0) as film:
        for _ in range(100):
            film.step()
    with av.open(str(path)) as container:
        assert container.streams.video[0].average_rate == 25
        assert sum(1 for _ in container.decode(video=0)) == 25


def test_an_error_leaves_the_older_video_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    path.write_bytes(b"older")
    with contextlib.suppress(RuntimeError), VideoWriter(path, fps=20) as video:
        video.write(picture(0))
        raise RuntimeError
    with VideoWriter(path, fps=20):
        pass
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("v.mp4", b"older")]


def test_wrong_names_places_and_sizes_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FetlockError, match=r"file/v\.mp4: the video cannot be written"):
        VideoWriter(tmp_path / "file" / "v.mp4", fps=20)
    with pytest.raises(UsageError, match=r"\.mp4"):
        VideoWriter(tmp_path / "v.avi", fps=20)
    with pytest.raises(UsageError, match="at least 1"):
        VideoWriter(tmp_path / "v.mp4", fps=0)
    with VideoWriter(tmp_path / "v.mp4", fps=20) as video:
        video.write(picture(0))
        with pytest.raises(UsageError, match="64 x 32 px in a video of 64 x 48"):
            video.write(picture(0, 32))
    (tmp_path / "v.mp4").unlink()
    assert [file.name for file in tmp_path.iterdir()] == ["file"]
