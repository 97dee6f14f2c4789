"""The configuration of a run: one file, typed by the models of the rooms that use it, overridden by flags."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, JsonValue, Tag, ValidationError, model_validator

from fetlock import document
from fetlock.agreement import TASKS, require_agreement
from fetlock.complaint import complaint
from fetlock.config_help import config_help
from fetlock.flags import Flag, apply, overlaid, read_flags
from fetlock.guarding import read_limits, require_able
from fetlock.machines import EmulatedConfig, HardwareConfig, body_kind, names_of_joints
from policy.image import ImageLayout
from robot.errors import UsageError
from safety.arena import ArenaConfig
from safety.limits import GuardConfig
from sim import ClawConfig, DynamixelMinitaurConfig, KittyConfig, MinitaurConfig
from training.config import FramesConfig, PriorConfig, SacConfig, TrainConfig
from training.tasks import (
    AnyTaskConfig,
    ClawScrewConfig,
    ClawTurnConfig,
    ClawTurnPixelsConfig,
    KittyWalkConfig,
    WalkConfig,
)

DEFAULT_CONFIG = Path(__file__).resolve().parent.parent / "configs" / "minitaur_walk.yaml"


def _kind_or(default: str) -> Callable[[object], str]:
    """Return a discriminator of unions by `kind`; a group of keys without one is of the default kind."""

    def kind(value: object) -> str:
        return str(value.get("kind", default) if isinstance(value, dict) else getattr(value, "kind", default))

    return kind


RobotConfig = Annotated[
    Annotated[MinitaurConfig, Tag("minitaur")]
    | Annotated[DynamixelMinitaurConfig, Tag("minitaur_dynamixel")]
    | Annotated[KittyConfig, Tag("kitty")]
    | Annotated[ClawConfig, Tag("claw")]
    | Annotated[EmulatedConfig, Tag("emulated")]
    | Annotated[HardwareConfig, Tag("dynamixel")],
    Discriminator(_kind_or("minitaur")),
]
TaskConfig = Annotated[
    Annotated[WalkConfig, Tag("walk")]
    | Annotated[KittyWalkConfig, Tag("kitty_walk")]
    | Annotated[ClawTurnConfig, Tag("claw_turn")]
    | Annotated[ClawTurnPixelsConfig, Tag("claw_turn_pixels")]
    | Annotated[ClawScrewConfig, Tag("claw_screw")],
    Discriminator(_kind_or("walk")),
]


class RunConfig(BaseModel):
    """Everything that decides what a run does."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # Of all random numbers: start poses, exploration, networks, replay.
    seed: int = Field(default=0, ge=0, lt=2**63)
    # Policy ticks per second.
    control_hz: float = Field(default=50.0, ge=1.0, le=500.0)
    # Ticks of the guard and the bus per second; a whole multiple of control_hz.
    bus_hz: float = Field(default=100.0, ge=1.0, le=1000.0)
    robot: RobotConfig = MinitaurConfig()
    # Without defaults: what may move is decided for each robot. In a file, the name of one in configs/limits/ may stand for all of it, or,
    # as `limits`, for all that is not said beside it.
    guard: GuardConfig
    reset: Literal["teleport", "routine"] = Field(
        default="teleport",
        description="How episodes of a simulated robot begin: by magic, or by the routines that a robot of metal runs in any case.",
    )
    task: TaskConfig | None = Field(
        default=WalkConfig(), description="Null for a robot that no task is known for: it can be reset, and nothing learns on it."
    )
    # Where a robot with a tracked base stays: an episode ends at the border, and the reset routine turns the robot around. Null: anywhere.
    arena: ArenaConfig | None = None
    sac: SacConfig = SacConfig()
    train: TrainConfig = TrainConfig()
    # Null: the log has no frames of a camera.
    camera: FramesConfig | None = None
    # Null: nothing is known before the first step. `fetlock train --from RUN` sets prior.policy.
    prior: PriorConfig | None = None

    @property
    def image(self) -> ImageLayout | None:
        """What the policy sees; None if it sees nothing."""
        encoder, camera = self.sac.encoder, self.camera
        return None if encoder is None or camera is None else encoder.layout(camera.width_px, camera.height_px)

    @property
    def realtime(self) -> bool:
        """Whether training follows the clock: a robot of metal does in any case."""
        return self.train.realtime or isinstance(self.robot, HardwareConfig)

    @property
    def frame(self) -> tuple[int, int] | None:
        """Height and width of the frames in the log, px; None without frames."""
        return None if self.camera is None else (self.camera.height_px, self.camera.width_px)

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        require_agreement(self)
        return self


def task_of(config: RunConfig) -> AnyTaskConfig:
    """Return the task of a run.

    Raises:
        UsageError: If it has none.
    """
    if config.task is None:
        kind = body_kind(config.robot)
        fitting = TASKS.get(kind)
        way = f"set task.kind {' or '.join(fitting)}" if fitting else f"none is known for robot.kind {kind}: choose {', '.join(TASKS)}"
        raise UsageError(f"task is null, and nothing can be learned or judged without one: {way}")
    return config.task


def load_config(argv: Sequence[str], prog: str = "fetlock", default: Path = DEFAULT_CONFIG, others: Sequence[str] = ()) -> RunConfig:
    """Read `--config FILE`, or `default`; let the files of `--overlay FILE` override its values, and the remaining flags both.

    `--help` prints all keys and ends the program (SystemExit 0).

    Args:
        argv: Arguments that are the configuration's alone.
        prog: Program and verb for the help text.
        default: File that is read when no `--config` is given.
        others: Options that the verb itself has read: a misspelt one may be meant.

    Raises:
        UsageError: One line that names the file or flag, the key, the value, the bound and the nearest valid key.
    """
    words = list(argv)
    if "--help" in words or "-h" in words:
        sys.stdout.write(f"usage: {prog} [--config FILE] [--overlay FILE] [--KEY VALUE ...]\n\n{key_help(default)}")
        raise SystemExit(0)
    paths = _take_paths(words, "--config")
    if len(paths) > 1:
        raise UsageError("--config was given twice: a run has one file; override parts of it by --overlay, or single values by flags")
    path = paths[0] if paths else default
    laid = [flag for overlay in _take_paths(words, "--overlay") for flag in overlaid(document.read(overlay), str(overlay))]
    return _validated(document.read(path), str(path), laid, read_flags(words, RunConfig, [*others, "--config", "--overlay"]))


def key_help(default: Path = DEFAULT_CONFIG) -> str:
    """Return the help text of all keys, with the values of the file `default`."""
    return config_help(RunConfig, load_config([], default=default).model_dump(mode="json"), default)


def config_yaml(config: RunConfig) -> str:
    """Write a configuration with all its values; `load_config` reads an equal one back, floats bit for bit."""
    return document.dump(config.model_dump(mode="json"))


def _take_paths(words: list[str], option: str) -> list[Path]:
    """Take every `--option FILE` and `--option=FILE` out of the arguments."""
    paths = []
    while found := [index for index, word in enumerate(words) if word == option or word.startswith(f"{option}=")]:
        at = found[0]
        word = words.pop(at)
        if word != option:
            paths.append(Path(word.removeprefix(f"{option}=")))
            continue
        if at == len(words) or words[at].startswith("--"):
            raise UsageError(f"{option} needs a file: {option} FILE.yaml")
        paths.append(Path(words.pop(at)))
    return paths


def _validated(values: dict[str, JsonValue], where: str, laid: list[Flag], given: list[Flag]) -> RunConfig:
    """Put what overlays and flags say into a document, later ones over earlier ones, and check all of it."""
    apply(laid, values)
    guard = values.get("guard")
    own = dict(guard) if isinstance(guard, dict) else {}
    if isinstance(name := own.pop("limits", None) or guard, str):
        # The resolved configuration holds the limits themselves: a run's folder needs no other file.
        values["guard"] = read_limits(name) | own
        where = f"{where} (guard: {name})"
    apply(given, values)
    # Whoever spoke last is who a complaint is about.
    flags = list({flag.path: flag for flag in (*laid, *given)}.values())
    _require_finite(values, where, flags, ())
    try:
        # JSON's strict mode takes lists for tuples and whole numbers for floats, and nothing else for what it is not.
        config = RunConfig.model_validate_json(json.dumps(values), strict=True)
        # Only here are limits, joints and motors known together.
        require_able(config.robot, config.guard, names_of_joints(config.robot), where)
    except ValidationError as error:
        raise UsageError(complaint(error, values, where, flags, RunConfig)) from error
    return config


def _require_finite(value: JsonValue, where: str, flags: list[Flag], path: tuple[str, ...]) -> None:
    """No value of a configuration may be infinite or not a number."""
    if isinstance(value, float) and not math.isfinite(value):
        source = next((flag.text for flag in flags if flag.path == path), where)
        raise UsageError(f"{source}: {'.'.join(path)}: {document.describe(value)} is not finite: give a finite number")
    for key, item in value.items() if isinstance(value, dict) else ():
        _require_finite(item, where, flags, (*path, key))
    for item in value if isinstance(value, list) else ():
        _require_finite(item, where, flags, path)
