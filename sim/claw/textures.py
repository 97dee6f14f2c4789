"""Surfaces of the table that a randomised picture chooses from: cloudy, striped, chequered and speckled ones, the same on every machine."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pybullet
from numpy.typing import NDArray

# Pixels on a side, and how many there are, of each kind a quarter. The renderer cannot change a surface that it has: all are loaded before.
_SIDE_PX, _COUNT = 64, 16
# Darkest and brightest grey: a colour is laid over it.
_DARK, _BRIGHT = 90.0, 255.0


def surfaces() -> list[NDArray[np.uint8]]:
    """Return them all, each of shape (64, 64, 3), uint8, grey."""
    rng = np.random.default_rng(0)
    kinds = (_cloudy, _striped, _chequered, _speckled)
    return [_grey(kinds[number % len(kinds)](rng)) for number in range(_COUNT)]


def load_surfaces(client: int) -> list[int]:
    """Load them into a world; return PyBullet's numbers of them."""
    # Takes a tenth of a second to import: only who wants surfaces waits for it.
    import cv2

    with tempfile.TemporaryDirectory(prefix="fetlock-surfaces-") as folder:
        loaded = []
        for number, surface in enumerate(surfaces()):
            path = str(Path(folder) / f"{number}.png")
            cv2.imwrite(path, surface)
            loaded.append(pybullet.loadTexture(path, physicsClientId=client))
    return loaded


def _grey(pattern: NDArray[np.float64]) -> NDArray[np.uint8]:
    low, high = pattern.min(), pattern.max()
    grey = np.round(_DARK + (_BRIGHT - _DARK) * (pattern - low) / (high - low)).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


def _cloudy(rng: np.random.Generator) -> NDArray[np.float64]:
    """Sum waves along both sides, slow ones high: nothing shows where the surface is repeated."""
    at = np.arange(_SIDE_PX) * 2.0 * np.pi / _SIDE_PX
    field = np.zeros((_SIDE_PX, _SIDE_PX))
    for _ in range(12):
        down, right = rng.integers(-4, 5, 2)
        phase, weight = rng.uniform(0.0, 2.0 * np.pi), 1.0 / (1.0 + np.hypot(down, right))
        field += weight * np.sin(down * at[:, None] + right * at[None, :] + phase)
    return field


def _striped(rng: np.random.Generator) -> NDArray[np.float64]:
    at = np.arange(_SIDE_PX) * 2.0 * np.pi / _SIDE_PX
    down, right = int(rng.integers(0, 5)), int(rng.integers(1, 9))
    bent = rng.uniform(0.0, 1.5) * np.sin(at)[:, None]
    return np.asarray(np.sin(down * at[:, None] + right * at[None, :] + bent))


def _chequered(rng: np.random.Generator) -> NDArray[np.float64]:
    squares = (np.arange(_SIDE_PX) + int(rng.integers(_SIDE_PX))) // int(rng.choice((4, 8, 16)))
    return ((squares[:, None] + squares[None, :]) % 2).astype(float)


def _speckled(rng: np.random.Generator) -> NDArray[np.float64]:
    grains = int(rng.choice((16, 32, 64)))
    return np.asarray(np.kron(rng.uniform(0.0, 1.0, (grains, grains)), np.ones((_SIDE_PX // grains,) * 2)), np.float64)
