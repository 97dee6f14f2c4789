"""The videos of a run in its report: inside the page while they are small, beside it otherwise."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from urllib.parse import quote

# Of all videos inside the page, in base64: with its pictures it stays below 3 MB, which any mail takes.
_EMBED_BYTES = 2_000_000
_PREFIX = "data:video/mp4;base64,"


def sources(videos: list[Path], page: Path) -> dict[Path, str]:
    """Return what each video is played from: the first ones from the page itself, as far as there is room, others from their files.

    Args:
        videos: The most important first.
        page: Where the report is written; a video beside it is named relative to it.
    """
    left = _EMBED_BYTES
    found = {}
    for video in videos:
        size = 4 * -(-video.stat().st_size // 3)
        if size <= left:
            left -= size
            found[video] = _PREFIX + base64.b64encode(video.read_bytes()).decode()
        else:
            found[video] = quote(os.path.relpath(video.resolve(), page.resolve().parent))
    return found
