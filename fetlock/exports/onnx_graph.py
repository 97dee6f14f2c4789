"""A policy's mean action as a graph of ONNX operators.

They are written one by one: a policy is a few products and convolutions, and torch's exporter would bring further packages.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from policy.image import ImageLayout
from policy.layout import Vector
from policy.snapshot import Policy

# All operators used of float32 are the same in every operator set since, but for ReduceMean, whose axes became an input in 18 (ONNX's
# operator changelog), and this file format goes with it (ONNX's table of versions): small runtimes on robots are old ones.
_OPSET, _IR = 13, 7
# As in torch.nn.functional.layer_norm.
_EPSILON = 1e-5


def onnx_model(policy: Policy) -> ModelProto:
    """Build the graph; what must agree between policy and robot goes with it as metadata, JSON where it is not text.

    Inputs: `observation`, (batch, o), float32, and of a policy that sees `image`, (batch, stack, h, w, 3), uint8, RGB, the oldest frame
    first. Output: `action`, (batch, a), float32, in [-1, 1].
    """
    layout = policy.config.layout
    parameters, encoder = layout.split_encoder(policy.vector)
    graph, actions, last = _Graph(), len(layout.action_names), len(layout.hidden)
    inputs = [helper.make_tensor_value_info("observation", TensorProto.FLOAT, ["batch", len(layout.observation_names)])]
    x = "observation"
    if layout.image is not None:
        inputs.append(helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", *layout.image.shape]))
        x = graph.add("Concat", _encoder(graph, encoder, layout.image), x, axis=1)
    for layer in range(last + 1):
        # The output layer's other half is the standard deviation, which a mean action does without.
        kept = slice(None) if layer < last else slice(actions)
        weight, bias = (graph.constant(parameters[f"{name}_{layer}"][..., kept], f"{name}_{layer}") for name in ("weight", "bias"))
        x = graph.add("Gemm", x, weight, bias)
        x = graph.add("Relu", x) if layer < last else graph.add("Tanh", x, output="action")
    output = helper.make_tensor_value_info("action", TensorProto.FLOAT, ["batch", actions])
    model = helper.make_model(
        graph.close(f"{layout.robot} {layout.task}", inputs, output),
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR,
        producer_name="fetlock",
    )
    helper.set_model_props(model, _metadata(policy))
    return model


class _Graph:
    """Nodes and weights of a graph under way; tensors are known by their names."""

    def __init__(self) -> None:
        self._nodes: list[NodeProto] = []
        self._weights: list[TensorProto] = []

    def add(self, operator: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:  # noqa: ANN401 (those of an operator)
        """Add a node and return the name of its output."""
        name = output or f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def constant(self, value: NDArray[np.generic], name: str | None = None) -> str:
        """Add a weight, or what an operator takes as one, and return its name."""
        name = name or f"constant_{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(np.array(value, order="C"), name))
        return name

    def close(self, name: str, inputs: list[ValueInfoProto], output: ValueInfoProto) -> GraphProto:
        """Return the graph."""
        return helper.make_graph(self._nodes, name, inputs, [output], self._weights)


def _encoder(graph: _Graph, parameters: dict[str, Vector], layout: ImageLayout) -> str:
    """Add `policy.encoders.encode` of the input `image`; return the name of its features, (batch, features)."""
    stack, height, width, channels = layout.shape
    shade = graph.add("Mul", graph.add("Cast", "image", to=TensorProto.FLOAT), graph.constant(np.array([1.0 / 255.0], np.float32)))
    planes = graph.add("Transpose", graph.add("Sub", shade, graph.constant(np.array([0.5], np.float32))), perm=(0, 1, 4, 2, 3))
    # A zero keeps the size that is there: the batch's.
    x = entered = graph.add("Reshape", planes, graph.constant(np.array([0, stack * channels, height, width], np.int64)))
    for number, layer in enumerate(layout.convolutions):
        before, entered = entered, x
        filters, offset = (graph.constant(parameters[f"{name}_{number}"], f"{name}_{number}") for name in ("filter", "offset"))
        x = graph.add(
            "Conv",
            graph.add("Relu", x) if number else x,
            filters,
            offset,
            kernel_shape=[layer.kernel] * 2,
            strides=[layer.stride] * 2,
            pads=[layer.padding] * 4,
        )
        if layer.pool > 1:
            x = graph.add("MaxPool", x, kernel_shape=[layer.pool] * 2, strides=[layer.pool] * 2)
        if layer.skip:
            x = graph.add("Add", x, before)
    cells = graph.add("Transpose", graph.add("Relu", x), perm=(0, 2, 3, 1))
    flat = graph.add("Reshape", cells, graph.constant(np.array([0, -1], np.int64)))
    weight, bias, scale, shift = (
        graph.constant(parameters[name], name) for name in ("neck_weight", "neck_bias", "neck_scale", "neck_shift")
    )
    neck = graph.add("Gemm", flat, weight, bias)
    centred = graph.add("Sub", neck, graph.add("ReduceMean", neck, axes=[1], keepdims=1))
    variance = graph.add("ReduceMean", graph.add("Mul", centred, centred), axes=[1], keepdims=1)
    deviation = graph.add("Sqrt", graph.add("Add", variance, graph.constant(np.array([_EPSILON], np.float32))))
    return graph.add("Tanh", graph.add("Add", graph.add("Mul", graph.add("Div", centred, deviation), scale), shift))


def _metadata(policy: Policy) -> dict[str, str]:
    config = policy.config
    values = {
        **config.layout.model_dump(mode="json"),
        **config.model_dump(mode="json", include={"version", "steps", "updates", "evaluation"}),
    }
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}
