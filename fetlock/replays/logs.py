"""Which logs a word on the command line means, and the configuration that they were made with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from fetlock.config import RunConfig
from fetlock.evaluate import default_config_of
from robot.errors import LogError, UsageError
from training.rollout_log import PART, RolloutLog, log_files, read_log


def find_log(path: Path, collector: int, episode: int | None) -> Path:
    """Return a log itself, or that of an episode of a run folder; without a number, that of its last complete episode.

    Raises:
        UsageError: If there is none; with those that there are.
    """
    if path.is_file():
        return path
    files = [file for file in logs_of(path) if file.name.startswith(f"c{collector}-e")]
    if episode is not None:
        found = [file for file in files if file.name.startswith(f"c{collector}-e{episode:06d}.")]
        if not found:
            raise UsageError(f"{path} has no episode {episode} of collector {collector}: {_offer(files)}")
        return found[0]
    whole = next((file for file in reversed(files) if file.suffix == ".mcap" and read_log(file).complete), None)
    if whole is None:
        raise UsageError(f"{path} has no complete episode of collector {collector}: {_offer(files)}")
    return whole


def some_logs_of(path: Path) -> list[Path]:
    """As `logs_of`; raises UsageError also if the run has none yet."""
    if not (paths := logs_of(path)):
        raise UsageError(f"{path} has no log yet: train or run with it first")
    return paths


def logs_of(path: Path) -> list[Path]:
    """Return a log itself, or all logs of a run folder, by collector and episode.

    Raises:
        UsageError: If it is neither.
    """
    if path.is_file():
        return [path]
    rollouts = path / "rollouts"
    if not rollouts.is_dir():
        raise UsageError(
            f"{path} is neither a log nor a run (no rollouts/ in it): give an .mcap file or a folder that `fetlock train` made"
        )
    return log_files(rollouts)


@contextmanager
def config_of(path: Path, log: RolloutLog) -> Iterator[Path]:
    """Yield a file with the configuration of a log: its own, or, where it says none, that of the run in whose folder it lies."""
    text = log.metadata.get("config")
    if not text:
        yield default_config_of(path)
        return
    with TemporaryDirectory(prefix="fetlock-replay-") as folder:
        file = Path(folder) / f"config of {path.name}.yaml"
        file.write_text(text)
        yield file


def flaw(path: Path, log: RolloutLog) -> str:
    """Say what is wrong with a log as a whole, nothing if it was read to its end."""
    if path.suffix == PART:
        return "unfinished: its writer lives, or `fetlock log recover` finishes it"
    if not log.intact:
        return f"damaged after {len(log.steps)} steps and {len(log.bus)} bus ticks: restore it from a copy"
    return ""


def require_undamaged(path: Path, log: RolloutLog) -> None:
    """Raise LogError if a finished log is damaged; one that nobody has finished is taken as far as it goes."""
    if path.suffix != PART and (wrong := flaw(path, log)):
        raise LogError(f"{path} is {wrong}")


def read_whole(path: Path, *, frames: bool = False) -> RolloutLog:
    """Read a log, with its frames if asked for; raises LogError if it is unfinished, damaged, or none."""
    log = read_log(path, frames=frames)
    if wrong := flaw(path, log):
        raise LogError(f"{path} is {wrong}")
    return log


def another_robot(path: Path, log: RolloutLog, config: RunConfig) -> UsageError:
    """Return the error of a log that does not fit a configuration."""
    return UsageError(
        f"{path} is of another robot ({log.metadata.get('robot')}) than the configuration ({config.robot.kind}): give its --config"
    )


def _offer(files: list[Path]) -> str:
    return f"its logs are {files[0].name} to {files[-1].name}" if files else "it has no log of that collector"
