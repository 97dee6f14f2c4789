"""A policy's mean action as ONNX, compared with the acting that drives robots before it is handed out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from fetlock.exports.onnx_graph import onnx_model
from fetlock.exports.report import Exported, exported
from policy.acting import NumpyActor
from policy.image import Image
from policy.layout import Vector
from policy.snapshot import Policy
from robot.errors import PolicyError
from robot.files import made_whole

# Observations compared, and where each comes with images, which take a hundred times as long.
_TRIALS, _SEEN = 2000, 200
# Largest difference of an action that is let through. An action of 1 is at most about 1 rad, and a pulse of the finest encoder here
# 2 pi / 4096 rad: this is a fifteenth of a pulse. Float32 in another order of summation gives 2e-6 to 4e-6 with two layers of 256
# (measured).
BOUND = 1e-4


def export_onnx(policy: Policy, out: Path) -> Exported:
    """Write a policy's mean action; inputs and output as of `onnx_model`.

    Observations go in as the task makes them, and frames as the camera does; there is no normalisation outside the file.

    Args:
        policy: The policy.
        out: File to make.

    Raises:
        PolicyError: If the file does not act as the policy does; it is removed.
        OSError: If it cannot be written.
    """
    model = onnx_model(policy)
    onnx.checker.check_model(model, full_check=True)
    with made_whole(out) as temporary:
        temporary.write_bytes(model.SerializeToString())
        difference = largest_difference(temporary, policy)
        # Written so that NaN is refused too.
        if not difference <= BOUND:
            raise PolicyError(
                f"{out.name} would differ from the policy by {difference:.3g} in an action, {BOUND:g} is the most: its weights, up to "
                f"{np.abs(policy.vector).max():.3g}, are too large for float32 to say the same twice; nothing was written"
            )
    return exported(out, compared=_trials(policy), largest_difference=difference, bound=BOUND)


def largest_difference(path: Path, policy: Policy) -> float:
    """Return the largest difference of an action element between a file, in ONNX Runtime, and the policy, acting at batch 1.

    The observations are normal, of magnitudes from 0.01 to 10, which is where tasks clip theirs; images are of random bytes.
    """
    layout, trials = policy.config.layout, _trials(policy)
    rng = np.random.default_rng(0)
    scale = 10.0 ** rng.uniform(-2.0, 1.0, (trials, 1))
    observations: Vector = (scale * rng.standard_normal((trials, len(layout.observation_names)))).astype(np.float32)
    inputs: dict[str, NDArray[np.generic]] = {"observation": observations}
    images: list[Image | None] = [None] * trials
    if layout.image is not None:
        inputs["image"] = stacks = rng.integers(0, 256, (trials, *layout.image.shape), np.uint8)
        images = list(stacks)
    actor = NumpyActor(layout)
    actor.load(policy.vector)
    # Weights that overflow are told by the difference, which is then no number.
    with np.errstate(over="ignore", invalid="ignore"):
        expected = np.stack([actor.act(observation, None, image) for observation, image in zip(observations, images, strict=True)])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (found,) = session.run(["action"], inputs)
    return float(np.abs(expected.astype(np.float64) - found).max())


def _trials(policy: Policy) -> int:
    return _TRIALS if policy.config.layout.image is None else _SEEN
