"""Makers behind the Gymnasium ids; any library that speaks Gymnasium trains on them."""

from __future__ import annotations

from fetlock.build import make_env
from fetlock.config import load_config
from training.env import RobotEnv
from training.tasks.walk import WalkMemory


def minitaur_walk(render_mode: str | None = None, config: str | None = None, overrides: tuple[str, ...] = ()) -> RobotEnv[WalkMemory]:
    """The walking Minitaur behind its guard.

    Args:
        render_mode: None or "rgb_array".
        config: A configuration file; by default `configs/minitaur_walk.yaml`.
        overrides: Flags as on the command line, for example ("--robot.ground.kind", "slope").
    """
    arguments = [*(("--config", config) if config else ()), *overrides]
    return make_env(load_config(arguments, prog="fetlock"), render_mode=render_mode)
