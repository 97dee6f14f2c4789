"""Frames that carry their own number in black and white squares, which survive JPEG."""

from __future__ import annotations

import numpy as np

WIDTH, HEIGHT = 320, 240
_SQUARE, _BITS = 20, 16


def paint(frame: int) -> np.ndarray:
    """Draw a frame's number above a red field. BGR."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[_SQUARE:, :] = (0, 0, 255)
    for bit in range(_BITS):
        image[:_SQUARE, bit * _SQUARE : (bit + 1) * _SQUARE] = 255 * (frame >> bit & 1)
    return image


def number(image: np.ndarray) -> int:
    """Read the number from an image of any channel order."""
    centres = image[_SQUARE // 2, _SQUARE // 2 :: _SQUARE].mean(axis=1)
    return sum(int(value > 128) << bit for bit, value in enumerate(centres[:_BITS]))
