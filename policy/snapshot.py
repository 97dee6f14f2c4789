"""A policy on disk: `config.json` naming a safetensors file beside it by its checksum; never pickle."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from policy.layout import PolicyLayout, Vector
from robot.errors import PolicyError
from robot.files import write_atomically

_CONFIG = "config.json"


class PolicyConfig(BaseModel):
    """Content of `config.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = 1
    layout: PolicyLayout
    version: int
    steps: int
    updates: int
    # Mean over the episodes of the evaluation that it was kept for, if any.
    evaluation: dict[str, float] = {}
    # Set by `save_policy`: the weights' file in the same folder, and its SHA-256.
    weights: str = ""
    sha256: str = ""


@dataclass(frozen=True)
class Policy:
    """A loaded policy: its vector, shape (layout.vector_size,), float32, and where it comes from."""

    config: PolicyConfig
    vector: Vector


def save_policy(folder: Path, policy: Policy) -> None:
    """Write the policy into `folder`: the weights under a name of their own, then `config.json`, whose rename commits both.

    Raises:
        PolicyError: If the folder cannot be written; an older policy there stays whole.
    """
    tensors = {name: np.ascontiguousarray(value) for name, value in policy.config.layout.split(policy.vector).items()}
    content = save_tensors(tensors)
    digest = hashlib.sha256(content).hexdigest()
    config = policy.config.model_copy(update={"weights": f"policy-{digest[:12]}.safetensors", "sha256": digest})
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / config.weights, content)
        write_atomically(folder / _CONFIG, config.model_dump_json(indent=2).encode())
        for old in folder.glob("policy-*.safetensors"):
            if old.name != config.weights:
                old.unlink()
    except OSError as error:
        raise PolicyError(f"{folder}: the policy cannot be saved ({error.strerror}): free space or choose another folder") from error


def load_policy(path: Path) -> Policy:
    """Read a policy from its folder, or from a run's folder that holds `policy/`.

    Raises:
        PolicyError: If a file is missing, corrupt or of another format.
    """
    folder = path if (path / _CONFIG).exists() or not (path / "policy").is_dir() else path / "policy"
    if not (folder / _CONFIG).is_file():
        raise PolicyError(f"{path} holds no policy ({_CONFIG} is missing): give a run folder or its policy/ folder")
    try:
        config = PolicyConfig.model_validate_json((folder / _CONFIG).read_bytes())
        content = (folder / Path(config.weights).name).read_bytes()
        if hashlib.sha256(content).hexdigest() != config.sha256:
            raise PolicyError(
                f"{folder}: {config.weights} does not have the checksum in {_CONFIG}: take the policy of another run or checkpoint"
            )
        tensors = load_tensors(content)
    except (ValidationError, SafetensorError, json.JSONDecodeError, OSError) as error:
        raise PolicyError(
            f"{folder}: the policy is corrupt ({str(error).splitlines()[0]}): take the policy of another run or checkpoint"
        ) from error
    if {name: tensor.shape for name, tensor in tensors.items()} != config.layout.shapes:
        raise PolicyError(f"{folder}: the weights do not fit the layout in {_CONFIG}: the two files come from different policies")
    vector = np.concatenate([tensors[name].reshape(-1) for name in config.layout.shapes]).astype(np.float32)
    config.layout.split(vector)
    return Policy(config, vector)
