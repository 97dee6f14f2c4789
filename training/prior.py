"""What a run begins with, kept in its own folder: networks of another run and logs of others, so that a resumed run needs neither.

    prior/checkpoints/   the networks        prior/rollouts-0/, -1/ ...   the logs

Prior data in every batch is RLPD: Ball et al. 2023, arXiv 2302.02948.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from robot.errors import FetlockError, LogError
from training.checkpoint import CheckpointState, load_checkpoint, save_checkpoint
from training.rollout_log import log_files, read_run
from training.runs import PRIOR_FOLDER


@dataclass(frozen=True)
class Prior:
    """Read from a run's folder.

    Attributes:
        tensors: Of `training.sac.SacState`, by name; all of them, the actor's alone, or none.
        steps: Step records, oldest first in each run.
    """

    tensors: Mapping[str, Tensor]
    steps: NDArray[np.void]


def keep_prior(folder: Path, networks: tuple[Mapping[str, Tensor], CheckpointState] | None, runs: Sequence[Path]) -> None:
    """Copy networks and logs into a run's folder: all or nothing, whenever the process dies.

    Args:
        folder: The run's.
        networks: Tensors and where they stood.
        runs: Folders of the runs whose logs are taken; hard links where the file system has them.

    Raises:
        FetlockError: If they cannot be written.
    """
    workshop = folder / f".{PRIOR_FOLDER}"
    try:
        shutil.rmtree(workshop, ignore_errors=True)
        workshop.mkdir()
        if networks is not None:
            save_checkpoint(workshop / "checkpoints", *networks)
        for number, run in enumerate(runs):
            copies = workshop / f"rollouts-{number}"
            copies.mkdir()
            for log in log_files(run / "rollouts"):
                _link(log, copies / log.name)
        workshop.rename(folder / PRIOR_FOLDER)
    except OSError as error:
        raise FetlockError(f"{folder}: what the run begins with cannot be kept ({error.strerror}): free space or fix it") from error


def load_prior(folder: Path) -> Prior:
    """Read what `keep_prior` has kept.

    Raises:
        CheckpointError: If no networks can be read where there were some.
        LogError: If a log cannot be read, or they do not belong together.
    """
    checkpoint = load_checkpoint(folder / PRIOR_FOLDER / "checkpoints")
    logs = [read_run(path) for path in sorted((folder / PRIOR_FOLDER).glob("rollouts-*"))]
    if len({steps.dtype for steps in logs}) > 1:
        raise LogError(f"{folder / PRIOR_FOLDER}: its logs are of different robots: restore it from a copy")
    return Prior({} if checkpoint is None else checkpoint[0], np.concatenate(logs) if logs else np.empty(0, np.dtype([])))


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
