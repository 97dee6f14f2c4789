"""Checkpoints: weights, optimiser, random states, counters and log position, committed by one manifest.

The tensors go to a file of their own; the manifest that names it by its checksum is renamed into place last. Whatever moment a process
dies at, the old checkpoint or the new one is there, never a mixture.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from robot.errors import CheckpointError
from robot.files import write_atomically

# The newest, and the one before it in case the newest is damaged.
_KEEP = 2

_log = logging.getLogger(__name__)


class CheckpointState(BaseModel):
    """The numbers of a checkpoint.

    Attributes:
        steps: Environment steps digested.
        updates: Critic updates done.
        policy_version: Newest version published.
        log_position: For each collector, the first step that is not in it.
        config_sha: Of the run's configuration.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int
    updates: int
    policy_version: int
    log_position: dict[int, int]
    config_sha: str


class _Manifest(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = 1
    tensors: str
    bytes: int
    sha256: str
    state: CheckpointState


def save_checkpoint(folder: Path, tensors: Mapping[str, torch.Tensor], state: CheckpointState) -> None:
    """Commit a checkpoint, then remove all but the newest two.

    Raises:
        CheckpointError: If the disk does not take it; the older checkpoints stay.
    """
    content = save_tensors({name: value.contiguous() for name, value in tensors.items()})
    stem = f"{state.steps:09d}-{state.updates:09d}"
    checksum = hashlib.sha256(content).hexdigest()
    # Named by its content: a second checkpoint of the same step must not overwrite tensors that the manifest in place still names.
    manifest = _Manifest(tensors=f"{stem}-{checksum[:12]}.safetensors", bytes=len(content), sha256=checksum, state=state)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / manifest.tensors, content)
        write_atomically(folder / f"{stem}.json", manifest.model_dump_json(indent=2).encode())
        _prune(folder)
    except OSError as error:
        raise CheckpointError(f"{folder}: no checkpoint can be saved ({error.strerror}): free some space or fix the permissions") from error


def load_checkpoint(folder: Path, config_sha: str | None = None) -> tuple[dict[str, torch.Tensor], CheckpointState] | None:
    """Return the newest checkpoint that is whole; None if there has never been one.

    Raises:
        CheckpointError: If there are checkpoints but none is whole, or the newest was made with another configuration.
    """
    manifests = sorted(folder.glob("*.json"), reverse=True)
    problems = []
    for path in manifests:
        try:
            tensors, state = _load(path)
        except CheckpointError as error:
            problems.append(str(error))
            continue
        if config_sha is not None and state.config_sha != config_sha:
            raise CheckpointError(f"{path} was made with another configuration: resume with the config.yaml of its run")
        for problem in problems:
            _log.warning("%s: an older checkpoint is taken", problem)
        return tensors, state
    if problems:
        raise CheckpointError(
            f"{problems[0]}; no older one is whole: move {folder} away to learn again from the log, or restore it from a copy"
        )
    return None


def _load(path: Path) -> tuple[dict[str, torch.Tensor], CheckpointState]:
    try:
        manifest = _Manifest.model_validate_json(path.read_bytes())
        content = (path.parent / Path(manifest.tensors).name).read_bytes()
    except (ValidationError, OSError) as error:
        raise CheckpointError(f"{path} is corrupt ({str(error).splitlines()[0]})") from error
    if len(content) != manifest.bytes or hashlib.sha256(content).hexdigest() != manifest.sha256:
        raise CheckpointError(f"{path.parent / manifest.tensors} is corrupt (its checksum differs from the one in {path.name})")
    try:
        return load_tensors(content), manifest.state
    except SafetensorError as error:
        raise CheckpointError(f"{path.parent / manifest.tensors} is corrupt ({error})") from error


def _tensors_of(path: Path) -> Path | None:
    """Return the tensors that a manifest names, None if it or they are visibly damaged."""
    try:
        manifest = _Manifest.model_validate_json(path.read_bytes())
        tensors = path.parent / Path(manifest.tensors).name
        return tensors if tensors.stat().st_size == manifest.bytes else None
    except (ValidationError, OSError):
        return None


def _prune(folder: Path) -> None:
    """Remove what the newest manifests do not name; a damaged one does not count as kept."""
    kept: set[Path] = set()
    for path in sorted(folder.glob("*.json"), reverse=True):
        tensors = _tensors_of(path)
        # Two files to a checkpoint.
        if tensors is not None and len(kept) < 2 * _KEEP:
            kept |= {path, tensors}
    for path in [*folder.glob("*.json"), *folder.glob("*.safetensors")]:
        if path not in kept:
            path.unlink()
    for stale in folder.glob(".*.tmp"):
        stale.unlink()
