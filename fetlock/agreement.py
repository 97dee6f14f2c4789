"""What the parts of a run's configuration must agree on. Each check raises ValueError with the keys, their values and the way out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from fetlock.flags import flag_of
from fetlock.machines import EmulatedConfig, HardwareConfig, body_kind, simulated
from sim import ClawConfig
from training.tasks import AnyTurnConfig, AnyWalkConfig, ClawTurnPixelsConfig

if TYPE_CHECKING:
    from fetlock.config import RunConfig

# A rate counts as a whole multiple of another within this relative error: 1/3 of 100 Hz written as 33.333333333 does.
_RATE_TOLERANCE = 1e-9
# The tasks that fit each robot; robots on legs can also turn around by themselves.
_LEGGED = {"minitaur": ("walk",), "minitaur_dynamixel": ("walk",), "kitty": ("kitty_walk",)}
TASKS = {**_LEGGED, "claw": ("claw_turn", "claw_turn_pixels", "claw_screw")}


def require_agreement(config: RunConfig) -> None:
    """Raise ValueError if two parts of a configuration do not fit."""
    _require_whole_ratios(config)
    _require_one_collector(config)
    _require_camera(config)
    _require_arena(config)
    _require_task(config)
    _require_lobes(config)
    _require_goals(config)


def _require_whole_ratios(config: RunConfig) -> None:
    _require_multiple("bus_hz", config.bus_hz, "control_hz", config.control_hz)
    if isinstance(config.robot, EmulatedConfig):
        _require_multiple("robot.machine.physics_hz", config.robot.machine.physics_hz, "bus_hz", config.bus_hz)
    elif not isinstance(config.robot, HardwareConfig):
        _require_multiple("robot.physics_hz", config.robot.physics_hz, "bus_hz", config.bus_hz)


def _require_one_collector(config: RunConfig) -> None:
    if isinstance(config.robot, HardwareConfig) and config.train.collectors > 1:
        raise ValueError(f"train.collectors is {config.train.collectors}, and robot.kind dynamixel is one robot: set it to 1")


def _require_camera(config: RunConfig) -> None:
    if config.camera is not None and isinstance(config.robot, HardwareConfig) and config.robot.camera is None:
        raise ValueError(
            "camera asks for frames of a camera, and this robot has none: set robot.camera to a file that says how it is opened "
            "(docs/hardware.md), or set camera to null"
        )
    if config.camera is not None and config.camera.late and isinstance(config.robot, HardwareConfig):
        raise ValueError(
            f"camera.latency_s {config.camera.latency_s} is of simulated cameras, and robot.kind dynamixel has one of metal, whose latency "
            "is its own: leave it out"
        )
    if config.sac.encoder is not None and config.camera is None:
        raise ValueError(
            "sac.encoder is for what a camera sees, and camera is null: give its frames' size, such as --camera.width-px 32 "
            "--camera.height-px 32, or set sac.encoder to null"
        )
    if config.train.replay_on_disk and config.sac.encoder is None:
        raise ValueError("train.replay_on_disk is for the frames of a policy that sees, and sac.encoder is null: leave it out")
    if isinstance(config.task, ClawTurnPixelsConfig) and config.sac.encoder is None:
        raise ValueError(
            "task.kind claw_turn_pixels hides the valve, and this policy sees nothing: set sac.encoder.kind (paper, drq or residual), "
            "or use claw_turn"
        )


def _require_arena(config: RunConfig) -> None:
    arena = config.arena
    if arena is None:
        return
    kind = body_kind(config.robot)
    if kind not in _LEGGED:
        raise ValueError(f"arena is for robots that walk, {', '.join(_LEGGED)}, and robot.kind {kind} does not: set arena to null")
    if isinstance(config.robot, HardwareConfig) and config.robot.tracker is None:
        raise ValueError(
            "arena needs a tracked base, and this robot has none: set robot.tracker, or set arena to null and keep the robot in by hand"
        )
    start_m = math.hypot(*arena.center_m)
    if start_m >= arena.radius_m:
        raise ValueError(
            f"arena.center_m is {start_m:g} m from (0, 0), where robots in simulation start, and arena.radius_m is {arena.radius_m:g}: "
            "a robot starts inside; move the centre or widen the radius"
        )


def _require_task(config: RunConfig) -> None:
    kind = body_kind(config.robot)
    fitting = TASKS.get(kind)
    if config.task is None:
        return
    if fitting is None:
        raise ValueError(f"task.kind {config.task.kind}: no task is known for robot.kind {kind}: set task to null, or use another robot")
    if config.task.kind not in fitting:
        raise ValueError(f"task.kind {config.task.kind} is not for robot.kind {kind}: use {' or '.join(fitting)}")
    if not isinstance(config.task, AnyWalkConfig):
        return
    machine = simulated(config.robot)
    ground, height_m = "flat" if machine is None else machine.ground.kind, config.task.fall_height_m
    if ground != "flat" and height_m is not None:
        raise ValueError(
            f"task.fall_height_m is a world height, {height_m} m, and means nothing on robot.ground.kind {ground}: set it to null "
            f"({flag_of(('task', 'fall_height_m'))} null); a fall is then judged by task.fall_upright alone"
        )


def _require_lobes(config: RunConfig) -> None:
    machine = simulated(config.robot)
    if not isinstance(config.task, AnyTurnConfig) or not isinstance(machine, ClawConfig):
        return
    lobes = config.task.lobes
    if machine.valve.lobes != lobes:
        raise ValueError(f"task.lobes is {lobes}, and the valve has {machine.valve.lobes} (valve.lobes of the robot): set both to one")


def _require_goals(config: RunConfig) -> None:
    share, task, encoder = config.sac.hindsight_share, config.task, config.sac.encoder
    if encoder is not None and encoder.asymmetric and not isinstance(task, AnyTurnConfig):
        raise ValueError(
            f"sac.encoder.asymmetric tells critics where the valve is, and task.kind {task.kind if task else 'null'} has none: "
            f"leave it out, or turn a valve ({', '.join(TASKS['claw'])})"
        )
    if share and not isinstance(task, AnyTurnConfig):
        kind = "null" if task is None else task.kind
        raise ValueError(
            f"sac.hindsight_share is {share:g}, and task.kind {kind} has no goals to exchange: set it to 0, or turn a valve "
            f"({', '.join(TASKS['claw'])})"
        )


def _require_multiple(fast: str, fast_hz: float, slow: str, slow_hz: float) -> None:
    ratio = fast_hz / slow_hz
    if round(ratio) < 1 or not math.isclose(ratio, round(ratio), rel_tol=_RATE_TOLERANCE):
        below, above = (slow_hz * max(1, factor) for factor in (math.floor(ratio), math.floor(ratio) + 1))
        choices = f"{below:g}" if below == above else f"{below:g} or {above:g}"
        raise ValueError(f"{fast} {fast_hz:g} must be a whole multiple of {slow} {slow_hz:g}: use {choices}")
