"""What the claw's camera sees: where it stands, the light, and the colours, drawn anew at each reset where that is asked for."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np
import pybullet
from pydantic import BaseModel, ConfigDict, Field

from sim.camera import Look
from sim.claw.textures import load_surfaces
from sim.config import Range
from sim.engine import Vector

# Red, green, blue and alpha of the coloured lobe, of the others, of the fingers and of the table.
_LOBE, _PLAIN, _FINGER, _TABLE = (0.85, 0.15, 0.12, 1.0), (0.88, 0.88, 0.85, 1.0), (0.25, 0.25, 0.28, 1.0), (0.62, 0.56, 0.48, 1.0)
# The coloured lobe keeps a hue of its own, whatever the light: within this of red, as a share of the circle.
_HUE = 0.06
_LIGHT_DIRECTION = (0.6, -0.4, 1.5)


class ViewRandomisationConfig(BaseModel):
    """What the picture of each episode draws anew, uniformly, while `enabled`.

    Chosen by eye: wider than what the light of a room and a bumped tripod do.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = False
    # Half-width of what is added to each coordinate of the camera's place and of the point that it looks at, m.
    place_m: float = Field(default=0.015, ge=0.0, le=0.1)
    target_m: float = Field(default=0.005, ge=0.0, le=0.05)
    ambient: Range = (0.4, 0.8)
    diffuse: Range = (0.15, 0.5)
    # Half-width of what is added to each channel of each colour, 0 to 1.
    colour: float = Field(default=0.15, ge=0.0, le=0.5)
    # Share of the episodes whose table has one of the surfaces of sim.claw.textures, under its colour; the others' is plain.
    textured: float = Field(default=0.75, ge=0.0, le=1.0)


class ClawViewConfig(BaseModel):
    """Where the camera of the claw stands: beside it, looking down between the fingers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    eye_m: Vector = (0.30, 0.0, 0.26)
    target_m: Vector = (0.0, 0.0, 0.10)
    field_of_view_deg: float = Field(default=38.0, ge=10.0, le=120.0)
    randomise: ViewRandomisationConfig = ViewRandomisationConfig()


class ClawView:
    """The picture of an episode.

    Args:
        config: Of the camera.
        client: Number of the physics client.
        lobe: Body and link of the coloured lobe.
        plain: The other parts of the valve.
        fingers: Links of the claw.
        table: What it stands on.
    """

    def __init__(
        self,
        config: ClawViewConfig,
        client: int,
        lobe: tuple[int, int],
        plain: Sequence[tuple[int, int]],
        fingers: Sequence[tuple[int, int]],
        table: tuple[int, int],
    ) -> None:
        self._config = config
        self._client = client
        self._parts = (((lobe,), _LOBE), (plain, _PLAIN), (fingers, _FINGER), ((table,), _TABLE))
        # A checkerboard says where the camera stands, and little else: the table has one colour.
        self._table = table
        self._cover(-1)
        ranges = config.randomise
        self._surfaces = load_surfaces(client) if ranges.enabled and ranges.textured > 0.0 else []
        self._paint([colour for _, colour in self._parts])
        self.look = self._looking(config.eye_m, config.target_m, Look((), config.field_of_view_deg, _LIGHT_DIRECTION))

    def draw(self, rng: np.random.Generator) -> None:
        """Draw the picture of an episode; the order of the draws is part of what a seed means."""
        config, ranges = self._config, self._config.randomise
        if not ranges.enabled:
            return
        eye, target = (
            tuple((np.array(point) + rng.uniform(-spread, spread, 3)).tolist())
            for point, spread in ((config.eye_m, ranges.place_m), (config.target_m, ranges.target_m))
        )
        ambient, diffuse = float(rng.uniform(*ranges.ambient)), float(rng.uniform(*ranges.diffuse))
        angle, height = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(0.7, 2.0)
        light = (float(np.cos(angle)), float(np.sin(angle)), float(height))
        self.look = self._looking(eye, target, Look((), config.field_of_view_deg, light, ambient, diffuse))
        hue, value = rng.uniform(-_HUE, _HUE) % 1.0, rng.uniform(0.6, 1.0)
        lobe = (*colorsys.hsv_to_rgb(hue, rng.uniform(0.7, 1.0), value), 1.0)
        others = [
            (*np.clip(np.array(colour[:3]) + rng.uniform(-ranges.colour, ranges.colour, 3), 0.0, 1.0).tolist(), 1.0)
            for _, colour in self._parts[1:]
        ]
        self._paint([lobe, *others])
        if self._surfaces:
            chosen = self._surfaces[int(rng.integers(len(self._surfaces)))]
            self._cover(chosen if rng.uniform() < ranges.textured else -1)

    def _looking(self, eye_m: Vector, target_m: Vector, look: Look) -> Look:
        view = pybullet.computeViewMatrix(eye_m, target_m, (0.0, 0.0, 1.0), physicsClientId=self._client)
        return Look(view, look.field_of_view_deg, look.light_direction, look.ambient, look.diffuse)

    def _cover(self, surface: int) -> None:
        body, link = self._table
        pybullet.changeVisualShape(body, link, textureUniqueId=surface, physicsClientId=self._client)

    def _paint(self, colours: Sequence[Sequence[float]]) -> None:
        for (links, _), colour in zip(self._parts, colours, strict=True):
            for body, link in links:
                pybullet.changeVisualShape(body, link, rgbaColor=colour, physicsClientId=self._client)
