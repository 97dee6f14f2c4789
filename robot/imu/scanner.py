"""Finds frames of one length in a stream of bytes that may begin anywhere, be damaged and miss pieces."""

from __future__ import annotations

import re
from collections.abc import Callable

from robot.imu.sample import ParserStatistics


class FrameScanner:
    """Looks for a header, checks the frame behind it, and after a failure goes on one byte further: a damaged frame costs only itself.

    A frame is returned with its last byte: nothing in front of it can hold it back, because all frames are equally long. Less than one
    frame is kept between two calls.

    Args:
        header: Matches the first bytes of a frame.
        length: Of a frame, bytes.
        intact: Whether the checksum of a frame is right.
        statistics: Where it counts.
    """

    def __init__(self, header: re.Pattern[bytes], length: int, intact: Callable[[bytes], bool], statistics: ParserStatistics) -> None:
        self._header = header
        self._length = length
        self._intact = intact
        self._statistics = statistics
        self._buffer = b""
        self._in_sequence = True

    def feed(self, data: bytes) -> list[tuple[bytes, bool]]:
        """Take bytes; return the frames that are complete now, each with whether it followed the one before without a gap."""
        buffer = self._buffer + data
        frames: list[tuple[bytes, bool]] = []
        at = 0
        while len(buffer) - at >= self._length:
            match = self._header.search(buffer, at)
            # Without a match the last bytes may still begin a frame.
            start = match.start() if match else len(buffer) - self._length + 1
            self._skip(start - at)
            at = start
            frame = buffer[at : at + self._length]
            if len(frame) < self._length:
                break
            if not self._intact(frame):
                self._statistics.bad_checksums += 1
                self._skip(1)
                at += 1
                continue
            self._statistics.resyncs += not self._in_sequence
            frames.append((frame, self._in_sequence))
            self._in_sequence = True
            at += self._length
        self._buffer = buffer[at:]
        return frames

    def _skip(self, count: int) -> None:
        if count > 0:
            self._statistics.skipped_bytes += count
            self._in_sequence = False
