"""Makers behind the Gymnasium ids; any library that speaks Gymnasium trains on them."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fetlock.build import make_env
from fetlock.config import DEFAULT_CONFIG, load_config
from training.env import RobotEnv
from training.pixel_env import PixelEnv


def minitaur_walk(render_mode: str | None = None, config: str | None = None, overrides: tuple[str, ...] = ()) -> RobotEnv[Any]:
    """The walking Minitaur behind its guard.

    Args:
        render_mode: None or "rgb_array".
        config: A configuration file; by default `configs/minitaur_walk.yaml`.
        overrides: Flags as on the command line, for example ("--robot.ground.kind", "slope").
    """
    return _made("minitaur_walk", config, overrides, render_mode)


def kitty_walk(render_mode: str | None = None, config: str | None = None, overrides: tuple[str, ...] = ()) -> RobotEnv[Any]:
    """The walking kitty behind its guard; as `minitaur_walk`, by default from `configs/kitty_walk.yaml`."""
    return _made("kitty_walk", config, overrides, render_mode)


def claw_turn(render_mode: str | None = None, config: str | None = None, overrides: tuple[str, ...] = ()) -> RobotEnv[Any]:
    """The claw that turns its valve to an angle, from state; as `minitaur_walk`, by default from `configs/claw_turn.yaml`."""
    return _made("claw_turn", config, overrides, render_mode)


def claw_screw(render_mode: str | None = None, config: str | None = None, overrides: tuple[str, ...] = ()) -> RobotEnv[Any]:
    """The claw that keeps its valve turning, from state; as `minitaur_walk`, by default from `configs/claw_screw.yaml`."""
    return _made("claw_screw", config, overrides, render_mode)


def claw_turn_pixels(render_mode: str | None = None, config: str | None = None, overrides: tuple[str, ...] = ()) -> PixelEnv:
    """The claw that turns its valve to an angle that it sees; as `minitaur_walk`, by default from `configs/claw_pixels.yaml`."""
    return PixelEnv(_made("claw_pixels", config, overrides, render_mode))


def recorded(config: str, render_mode: str | None = None) -> RobotEnv[Any]:
    """The environment that a log was recorded in: what an exported data set names.

    Args:
        config: The whole configuration, YAML, as a log holds it.
        render_mode: None or "rgb_array".
    """
    with TemporaryDirectory(prefix="fetlock-recorded-") as folder:
        file = Path(folder) / "recorded.yaml"
        file.write_text(config)
        return _made("", str(file), (), render_mode)


def _made(name: str, config: str | None, overrides: tuple[str, ...], render_mode: str | None) -> RobotEnv[Any]:
    path = str(DEFAULT_CONFIG.with_name(f"{name}.yaml")) if config is None else config
    return make_env(load_config(["--config", path, *overrides], prog="fetlock"), render_mode=render_mode)
