"""Draw tags as a camera sees them: for the emulated robot's overhead camera, and to measure the trackers against the truth."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from robot.tracking.detect import Dictionary, opencv_dictionary
from robot.tracking.geometry import PosedCamera, transform
from robot.types import ByteImage, FloatArray, frozen_array

# Subpixels along each side of a pixel: edges then lie within 1/8 px of where they belong before they are averaged.
_OVERSAMPLING = 4
# Texture pixels along the side of a tag's cell, above what an oversampled image resolves (a cell of 8 px).
_CELL_PX = 32

GreyImage = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class DrawnTag:
    """A tag in the world, with a white margin of one cell around it.

    Attributes:
        tag_id: Of the dictionary.
        size_m: Side of the black square, m.
        centre_world_m: Shape (3,), m.
        rotation_tag_to_world: Shape (3, 3): x right and y up on the print, z out of it.
    """

    tag_id: int
    size_m: float
    centre_world_m: FloatArray
    rotation_tag_to_world: FloatArray


def flat_tag(tag_id: int, size_m: float, centre_world_m: ArrayLike, yaw_rad: float = 0.0) -> DrawnTag:
    """Return a tag that lies face up, turned about world z."""
    cosine, sine = math.cos(yaw_rad), math.sin(yaw_rad)
    rotation = frozen_array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    return DrawnTag(tag_id, size_m, frozen_array(centre_world_m), rotation)


def render_tags(
    camera: PosedCamera,
    tags: Sequence[DrawnTag],
    *,
    dictionary: Dictionary = "4x4_50",
    floor_grey: int = 110,
    blur_px: float = 0.7,
    noise_grey: float = 2.0,
    rng: np.random.Generator | None = None,
) -> ByteImage:
    """Draw tags on a plain floor, later ones over earlier ones.

    Args:
        camera: Who looks.
        tags: What it sees.
        dictionary: Of all tags.
        floor_grey: Of everything else, 0 to 255.
        blur_px: Standard deviation of the lens' blur, px; 0 is sharp.
        noise_grey: Standard deviation of the sensor's noise, in grey levels.
        rng: Draws the noise; None: there is none.

    Returns:
        Shape (height, width, 3), uint8, BGR.
    """
    image = np.full((camera.height_px, camera.width_px), floor_grey, np.uint8)
    for tag in tags:
        _draw(image, camera, tag, dictionary)
    if blur_px > 0.0:
        cv2.GaussianBlur(image, (0, 0), blur_px, dst=image)
    if rng is not None:
        noisy = image + noise_grey * rng.standard_normal(image.shape, np.float32)
        image = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), np.uint8)


@functools.lru_cache(maxsize=64)
def _texture(dictionary: Dictionary, tag_id: int) -> tuple[GreyImage, int]:
    """Return a tag with its margin, and the number of cells along the side of its black square."""
    book = opencv_dictionary(dictionary)
    cells = book.markerSize + 2
    tag = cv2.aruco.generateImageMarker(book, tag_id, cells * _CELL_PX)
    bordered = cv2.copyMakeBorder(tag, _CELL_PX, _CELL_PX, _CELL_PX, _CELL_PX, cv2.BORDER_CONSTANT, value=255)
    return np.asarray(bordered, np.uint8), cells


def _draw(image: GreyImage, camera: PosedCamera, tag: DrawnTag, dictionary: Dictionary) -> None:
    texture, cells = _texture(dictionary, tag.tag_id)
    side = texture.shape[0]
    step_m = tag.size_m / (cells * _CELL_PX)
    # Pixel i covers i - 0.5 to i + 0.5; rows grow downwards, against the tag's y axis.
    middle = (side - 1) / 2.0
    to_tag = np.array([[step_m, 0.0, -step_m * middle], [0.0, -step_m, step_m * middle], [0.0, 0.0, 1.0]])
    to_world = np.zeros((4, 3))
    to_world[:3, :2] = tag.rotation_tag_to_world[:, :2]
    to_world[:, 2] = (*tag.centre_world_m, 1.0)
    to_image = camera.projection() @ to_world @ to_tag
    edges = np.array([[x, y] for x in (-0.5, side - 0.5) for y in (-0.5, side - 0.5)])
    if not ((np.column_stack([edges, np.ones(4)]) @ to_image[2]) > 0.0).all():
        return  # behind the camera
    corners_px = transform(to_image, edges)
    low = np.maximum(np.floor(corners_px.min(axis=0)).astype(int) - 1, 0)
    high = np.minimum(np.ceil(corners_px.max(axis=0)).astype(int) + 2, (camera.width_px, camera.height_px))
    if not (low < high).all():
        return  # outside the image
    _paste(image[low[1] : high[1], low[0] : high[0]], texture, _zoom(low) @ to_image)


def _zoom(low_px: NDArray[np.int_]) -> FloatArray:
    """Return the matrix from pixels to subpixels of a patch that begins at a pixel."""
    shift = (0.5 - low_px) * _OVERSAMPLING - 0.5
    return frozen_array([[_OVERSAMPLING, 0.0, shift[0]], [0.0, _OVERSAMPLING, shift[1]], [0.0, 0.0, 1.0]])


def _paste(patch: GreyImage, texture: GreyImage, to_subpixels: FloatArray) -> None:
    """Draw the texture into a patch of the image, each pixel the mean of its subpixels."""
    height, width = patch.shape
    fine = (width * _OVERSAMPLING, height * _OVERSAMPLING)
    drawn = cv2.warpPerspective(texture, to_subpixels, fine)
    cover = cv2.warpPerspective(np.full_like(texture, 255), to_subpixels, fine)
    drawn_px = np.asarray(cv2.resize(drawn, (width, height), interpolation=cv2.INTER_AREA), np.float64)
    cover_px = np.asarray(cv2.resize(cover, (width, height), interpolation=cv2.INTER_AREA), np.float64)
    # What lies outside the texture was drawn black, so `drawn_px` is already weighted by its cover.
    patch[:] = np.clip(np.rint(drawn_px + patch * (1.0 - cover_px / 255.0)), 0, 255).astype(np.uint8)
