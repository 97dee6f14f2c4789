"""Frames of a camera as the log keeps them: PNG, lossless, each with the number of its step and its exact stamp inside.

Number and stamp lie in a chunk of the image itself, which every decoder passes over: private and ancillary (W3C, Portable Network
Graphics, section 5.4). So a message of a standard type loses nothing, and an image that was taken out of a log still says whose it is.
OpenCV, which takes a tenth of a second to import, is imported where images are coded.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robot.errors import LogError
from robot.types import ByteImage
from training.records import frame_dtype

# W3C, Portable Network Graphics, section 5.2; the header chunk: 4 bytes of length, 4 of name, 13 of content, 4 of checksum.
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER_END = len(_SIGNATURE) + 25
# Lower case: ancillary; private; (reserved: upper); may be copied by an editor that does not know it.
_NAME = b"stEp"
_LENGTH, _BODY, _CHECKSUM = struct.Struct(">I"), struct.Struct(">4sQd"), struct.Struct(">I")
_TAG_END = _HEADER_END + _LENGTH.size + _BODY.size + _CHECKSUM.size
# Width and height begin the header chunk's content.
_SIZE, _SIZE_AT = struct.Struct(">II"), len(_SIGNATURE) + 8


@dataclass(frozen=True)
class Frames:
    """Encoded frames, in the order of their steps.

    Attributes:
        sequence: Number of the step whose observation each shows, shape (k,), uint64. The last observation of an episode, from which no
            step went on, has the number after that of the episode's last step, as the next episode's first one has in its own file.
        stamp_s: Of their capture on the robot's clock, shape (k,), s.
        pngs: The k images.
    """

    sequence: NDArray[np.uint64]
    stamp_s: NDArray[np.float64]
    pngs: tuple[bytes, ...]

    @classmethod
    def of(cls, tags: list[tuple[int, float]], pngs: list[bytes]) -> Frames:
        """Return the frames that some images are, with what `tag_of` says of each."""
        sequence, stamp_s = ([tag[field] for tag in tags] for field in (0, 1))
        return cls(np.array(sequence, np.uint64), np.array(stamp_s, np.float64), tuple(pngs))

    def __len__(self) -> int:
        return len(self.pngs)

    def where(self, mask: NDArray[np.bool_]) -> Frames:
        """Return some of them. Shape of `mask`: (k,)."""
        return Frames(self.sequence[mask], self.stamp_s[mask], tuple(png for png, wanted in zip(self.pngs, mask, strict=True) if wanted))

    def belonging(self, steps: NDArray[np.void]) -> Frames:
        """Return those of some step records, oldest first, and that of the last observation of an episode that ends among them."""
        if not len(steps):
            return self.where(np.zeros(len(self), np.bool_))
        ends = steps["sequence"][(steps["terminated"] | steps["truncated"]).astype(bool)]
        return self.where(np.isin(self.sequence, steps["sequence"]) | np.isin(self.sequence, ends + 1))

    def of_steps(self, steps: NDArray[np.void]) -> Frames:
        """Return those of some step records."""
        return self.where(np.isin(self.sequence, steps["sequence"]))

    @property
    def sizes_px(self) -> set[tuple[int, int]]:
        """Widths and heights that occur."""
        return {_SIZE.unpack_from(png, _SIZE_AT) for png in self.pngs}

    def decoded(self) -> Iterator[ByteImage]:
        """Yield the images one by one: shape (height, width, 3), uint8, RGB, as they were captured.

        Raises:
            LogError: If one cannot be decoded; with the number of its step.
        """
        for sequence, png in zip(self.sequence.tolist(), self.pngs, strict=True):
            yield _decode(png, sequence)

    def images(self) -> NDArray[np.uint8]:
        """Return all images: shape (k, height, width, 3), uint8, RGB, as they were captured; (0, 0, 0, 3) without any.

        Raises:
            LogError: If one cannot be decoded, or they are of different sizes.
        """
        if len(sizes := self.sizes_px) > 1:
            raise LogError(f"the frames are of different sizes, {sorted(sizes)}: a log has one")
        ((width, height),) = sizes or {(0, 0)}
        images = np.empty((len(self), height, width, 3), np.uint8)
        for place, image in zip(images, self.decoded(), strict=True):
            place[...] = image
        return images

    def records(self, episode: int) -> NDArray[np.void]:
        """Return them decoded, as records of `training.records.frame_dtype` of an episode; errors as of `images`."""
        images = self.images()
        records = np.zeros(len(self), frame_dtype(*images.shape[1:3]))
        records["sequence"], records["stamp_s"], records["episode"], records["image"] = self.sequence, self.stamp_s, episode, images
        return records


NO_FRAMES = Frames.of([], [])


def tag_of(png: bytes) -> tuple[int, float]:
    """Return number of the step and stamp, s, that an image has in it; raises ValueError if it has none."""
    tag = png[_HEADER_END:_TAG_END]
    name, sequence, stamp_s = _BODY.unpack_from(tag, _LENGTH.size) if len(tag) == _TAG_END - _HEADER_END else (b"", 0, 0.0)
    if not png.startswith(_SIGNATURE) or name != _NAME or tag != _tag(sequence, stamp_s):
        raise ValueError("an image that does not say its step")
    return sequence, stamp_s


def encode(records: NDArray[np.void]) -> Frames:
    """Encode records of `training.records.frame_dtype`, shape (k,), without loss."""
    import cv2

    pngs = []
    for record in records:
        # OpenCV's own setting, level 1 with run lengths, of those that were measured on frames of 84 x 84 of the simulated Minitaur and on
        # the same with a camera's noise of 1.8 grey levels: 3.9 and 12.0 kB in 0.14 and 0.25 ms. zlib's own strategy at level 1: 3.4 and
        # 13.6 kB in 0.24 and 0.58 ms; at level 9, 2.8 and 13.2 kB in 59 and 6 ms.
        _, coded = cv2.imencode(".png", cv2.cvtColor(record["image"], cv2.COLOR_RGB2BGR))
        png = coded.tobytes()
        pngs.append(png[:_HEADER_END] + _tag(int(record["sequence"]), float(record["stamp_s"])) + png[_HEADER_END:])
    return Frames(records["sequence"].copy(), records["stamp_s"].copy(), tuple(pngs))


def _decode(png: bytes, sequence: int) -> ByteImage:
    import cv2

    image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    width, height = _SIZE.unpack_from(png, _SIZE_AT)
    if image is None or image.shape != (height, width, 3) or image.dtype != np.uint8:
        raise LogError(f"the frame of step {sequence} is no image that can be decoded: restore the log from a copy")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def _tag(sequence: int, stamp_s: float) -> bytes:
    body = _BODY.pack(_NAME, sequence, stamp_s)
    return _LENGTH.pack(len(body) - len(_NAME)) + body + _CHECKSUM.pack(zlib.crc32(body))
