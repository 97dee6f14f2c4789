"""A policy's mean action as ONNX, compared with the acting that drives robots before it is handed out.

The operators are written one by one: the actor is a few matrix products, and torch's exporter would bring further packages.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from fetlock.exports.report import Exported, exported
from policy.acting import NumpyActor
from policy.layout import Vector
from policy.snapshot import Policy
from robot.errors import PolicyError, UsageError
from robot.files import made_whole

# Gemm, Relu and Tanh of float32 are the same in every operator set since (ONNX's operator changelog), and this file format goes with it
# (ONNX's table of versions): small runtimes on robots are old ones.
_OPSET, _IR = 13, 7
# Observations compared.
_TRIALS = 2000
# Largest difference of an action that is let through. An action of 1 is at most about 1 rad, and a pulse of the finest encoder here
# 2 pi / 4096 rad: this is a fifteenth of a pulse. Float32 in another order of summation gives 2e-6 to 4e-6 with two layers of 256
# (measured).
BOUND = 1e-4


def export_onnx(policy: Policy, out: Path) -> Exported:
    """Write a policy's mean action: input `observation`, (batch, o), float32; output `action`, (batch, a), float32, in [-1, 1].

    Observations go in as the task makes them; there is no normalisation outside the weights.

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
    return exported(out, compared=_TRIALS, largest_difference=difference, bound=BOUND)


def onnx_model(policy: Policy) -> onnx.ModelProto:
    """Build the graph; what must agree between policy and robot goes with it as metadata, JSON where it is not text."""
    layout = policy.config.layout
    if layout.image is not None:
        raise UsageError("a policy that sees is not exported to ONNX: its encoder is not written there; share its safetensors file")
    parameters = layout.split(policy.vector)
    actions, last = len(layout.action_names), len(layout.hidden)
    nodes, weights, x = [], [], "observation"
    for layer in range(last + 1):
        # The output layer's other half is the standard deviation, which a mean action does without.
        kept = slice(None) if layer < last else slice(actions)
        for name in (f"weight_{layer}", f"bias_{layer}"):
            weights.append(numpy_helper.from_array(np.ascontiguousarray(parameters[name][..., kept]), name))
        linear, squashed = f"linear_{layer}", f"relu_{layer}" if layer < last else "action"
        nodes.append(helper.make_node("Gemm", [x, f"weight_{layer}", f"bias_{layer}"], [linear]))
        nodes.append(helper.make_node("Relu" if layer < last else "Tanh", [linear], [squashed]))
        x = squashed
    graph = helper.make_graph(
        nodes,
        f"{layout.robot} {layout.task}",
        [helper.make_tensor_value_info("observation", TensorProto.FLOAT, ["batch", len(layout.observation_names)])],
        [helper.make_tensor_value_info("action", TensorProto.FLOAT, ["batch", actions])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR, producer_name="fetlock")
    helper.set_model_props(model, _metadata(policy))
    return model


def largest_difference(path: Path, policy: Policy) -> float:
    """Return the largest difference of an action element between a file, in ONNX Runtime, and the policy, acting at batch 1.

    The observations are normal, of magnitudes from 0.01 to 10, which is where tasks clip theirs.
    """
    layout = policy.config.layout
    rng = np.random.default_rng(0)
    scale = 10.0 ** rng.uniform(-2.0, 1.0, (_TRIALS, 1))
    observations: Vector = (scale * rng.standard_normal((_TRIALS, len(layout.observation_names)))).astype(np.float32)
    actor = NumpyActor(layout)
    actor.load(policy.vector)
    # Weights that overflow are told by the difference, which is then no number.
    with np.errstate(over="ignore", invalid="ignore"):
        expected = np.stack([actor.act(observation, None) for observation in observations])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (found,) = session.run(["action"], {"observation": observations})
    return float(np.abs(expected.astype(np.float64) - found).max())


def _metadata(policy: Policy) -> dict[str, str]:
    config = policy.config
    values = {
        **config.layout.model_dump(mode="json"),
        **config.model_dump(mode="json", include={"version", "steps", "updates", "evaluation"}),
    }
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}
