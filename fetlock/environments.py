"""Makers behind the Gymnasium ids; any library that speaks Gymnasium trains on them."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from fetlock.build import make_env
from fetlock.config import DEFAULT_CONFIG, load_config
from training.env import RobotEnv
from training.tasks.walk import WalkMemory

_KITTY_CONFIG = DEFAULT_CONFIG.with_name("kitty_walk.yaml")


def minitaur_walk(render_mode: str | None = None, config: str | None = None, overrides: tuple[str, ...] = ()) -> RobotEnv[WalkMemory]:
    """The walking Minitaur behind its guard.

    Args:
        render_mode: None or "rgb_array".
        config: A configuration file; by default `configs/minitaur_walk.yaml`.
        overrides: Flags as on the command line, for example ("--robot.ground.kind", "slope").
    """
    return _walk(str(DEFAULT_CONFIG) if config is None else config, overrides, render_mode)


def kitty_walk(render_mode: str | None = None, config: str | None = None, overrides: tuple[str, ...] = ()) -> RobotEnv[WalkMemory]:
    """The walking kitty behind its guard; as `minitaur_walk`, by default from `configs/kitty_walk.yaml`."""
    return _walk(str(_KITTY_CONFIG) if config is None else config, overrides, render_mode)


def recorded(config: str, render_mode: str | None = None) -> RobotEnv[WalkMemory]:
    """The environment that a log was recorded in: what an exported data set names.

    Args:
        config: The whole configuration, YAML, as a log holds it.
        render_mode: None or "rgb_array".
    """
    with TemporaryDirectory(prefix="fetlock-recorded-") as folder:
        file = Path(folder) / "recorded.yaml"
        file.write_text(config)
        return _walk(str(file), (), render_mode)


def _walk(config: str, overrides: tuple[str, ...], render_mode: str | None) -> RobotEnv[WalkMemory]:
    return make_env(load_config(["--config", config, *overrides], prog="fetlock"), render_mode=render_mode)
