"""`fetlock export --to onnx`: ONNX Runtime acts as the policy does, and says for which robot."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from safetensors.numpy import save

from fetlock.__main__ import main
from fetlock.build import policy_layout
from fetlock.config import DEFAULT_CONFIG, load_config
from fetlock.exports.onnx import BOUND, largest_difference
from policy.acting import NumpyActor
from policy.snapshot import Policy, PolicyConfig, load_policy, save_policy

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def policy(tmp_path: Path) -> Policy:
    """The default network of the walking Minitaur, on disk below `tmp_path`."""
    layout = policy_layout(load_config([]))
    vector = np.random.default_rng(1).standard_normal(layout.vector_size).astype(np.float32) * np.float32(0.1)
    save_policy(tmp_path / "run" / "policy", Policy(PolicyConfig(layout=layout, version=7, steps=5000, updates=20000), vector))
    return load_policy(tmp_path / "run")


def call(capsys: Capture, *arguments: object, code: int = 0) -> str:
    assert main(["export", *map(str, arguments), "--to", "onnx"]) == code
    captured = capsys.readouterr()
    assert (captured.err if code else captured.out).count("\n") == 1
    return captured.err if code else captured.out


def test_onnx_runtime_acts_as_the_policy_does(policy: Policy, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "walk.onnx"
    told = json.loads(call(capsys, tmp_path / "run", "--out", out, "--json"))
    assert told["counts"]["compared"] >= 1000
    assert told["counts"]["largest_difference"] <= told["counts"]["bound"] == BOUND
    actor = NumpyActor(policy.config.layout)
    actor.load(policy.vector)
    observations = np.random.default_rng(2).uniform(-10.0, 10.0, (300, 36)).astype(np.float32)
    expected = np.stack([actor.act(observation, None) for observation in observations])
    (found,) = onnxruntime.InferenceSession(out).run(None, {"observation": observations})
    assert (found.shape, found.dtype) == ((300, 8), np.float32)
    assert np.abs(found - expected).max() <= BOUND
    # One observation, as a robot has it.
    (single,) = onnxruntime.InferenceSession(out).run(["action"], {"observation": observations[:1]})
    assert np.abs(single - expected[:1]).max() <= BOUND


@pytest.mark.parametrize("kind", ["paper", "drq", "residual"])
def test_a_policy_that_sees_is_exported_with_its_encoder(tmp_path: Path, capsys: Capture, kind: str) -> None:
    # Wider than high: rows are no columns.
    words = ("--camera.width-px", "40", "--camera.height-px", "32", "--sac.encoder.kind", kind)
    layout = policy_layout(load_config(["--config", str(DEFAULT_CONFIG.with_name("claw_pixels.yaml")), *words]))
    vector = np.random.default_rng(1).standard_normal(layout.vector_size).astype(np.float32) * np.float32(0.1)
    save_policy(tmp_path / "policy", Policy(PolicyConfig(layout=layout, version=1, steps=1, updates=1), vector))
    out = tmp_path / "turn.onnx"
    told = json.loads(call(capsys, tmp_path / "policy", "--out", out, "--json"))
    assert told["counts"]["compared"] >= 100
    actor = NumpyActor(layout)
    actor.load(vector)
    rng = np.random.default_rng(2)
    observations = rng.uniform(-1.0, 1.0, (5, len(layout.observation_names))).astype(np.float32)
    # Of few shades: what is seen differs by more than noise does.
    images = rng.choice(np.uint8([0, 90, 255]), (5, 3, 32, 40, 3))
    expected = np.stack([actor.act(observation, None, image) for observation, image in zip(observations, images, strict=True)])
    (found,) = onnxruntime.InferenceSession(out).run(None, {"observation": observations, "image": images})
    assert (found.shape, found.dtype) == ((5, 9), np.float32)
    assert np.abs(found - expected).max() <= BOUND
    # It looks: another image is another action.
    (blind,) = onnxruntime.InferenceSession(out).run(None, {"observation": observations, "image": images[::-1]})
    assert np.abs(blind - expected).max() > 100 * BOUND


def test_the_file_says_for_which_robot_it_is(policy: Policy, tmp_path: Path, capsys: Capture) -> None:
    call(capsys, tmp_path / "run" / "policy", "--out", tmp_path / "walk.onnx")
    model = onnx.load(tmp_path / "walk.onnx")
    said = {entry.key: entry.value for entry in model.metadata_props}
    layout = policy.config.layout
    assert (said["robot"], said["task"], json.loads(said["version"]), json.loads(said["control_hz"])) == ("minitaur", "walk", 7, 50.0)
    for name in ("joint_names", "observation_names", "action_names", "action_scaling"):
        assert tuple(json.loads(said[name])) == getattr(layout, name)


def test_the_comparison_sees_another_policy(policy: Policy, tmp_path: Path, capsys: Capture) -> None:
    call(capsys, tmp_path / "run", "--out", tmp_path / "walk.onnx")
    vector = policy.vector.copy()
    # The bias of one action's mean: sixteen biases end the vector, eight means and eight deviations.
    vector[-16] += 0.1
    assert largest_difference(tmp_path / "walk.onnx", Policy(policy.config, vector)) > 0.05
    vector = policy.vector.copy()
    vector[-1] += 0.1
    assert largest_difference(tmp_path / "walk.onnx", Policy(policy.config, vector)) <= BOUND


def test_weights_that_float32_cannot_repeat_are_refused(policy: Policy, tmp_path: Path, capsys: Capture) -> None:
    save_policy(tmp_path / "wild", Policy(policy.config, policy.vector * np.float32(20.0)))
    said = call(capsys, tmp_path / "wild", "--out", tmp_path / "wild.onnx", code=1)
    assert f"{BOUND:g} is the most" in said
    # So large that products overflow, and the difference is no number.
    save_policy(tmp_path / "wilder", Policy(policy.config, policy.vector * np.float32(1e30)))
    assert "nothing was written" in call(capsys, tmp_path / "wilder", "--out", tmp_path / "wild.onnx", code=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "wild", "wilder"]


def test_what_is_no_policy_is_one_line(policy: Policy, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "walk.onnx"
    assert "holds no policy" in call(capsys, tmp_path, "--out", out, code=1)
    assert "ends in .onnx" in call(capsys, tmp_path / "run", "--out", tmp_path / "walk.pt", code=2)
    assert "--episode is of logs" in call(capsys, tmp_path / "run", "--out", out, "--episode", 1, code=2)
    (weights,) = (tmp_path / "run" / "policy").glob("*.safetensors")
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert "checksum" in call(capsys, tmp_path / "run", "--out", out, code=1)
    # NaN with a checksum that fits.
    tensors = {name: np.full(shape, np.nan, np.float32) for name, shape in policy.config.layout.shapes.items()}
    weights.write_bytes(save(tensors))
    described = policy.config.model_copy(update={"sha256": hashlib.sha256(weights.read_bytes()).hexdigest()})
    (tmp_path / "run" / "policy" / "config.json").write_text(described.model_dump_json())
    assert "not finite" in call(capsys, tmp_path / "run", "--out", out, code=1)
    assert not out.exists()
