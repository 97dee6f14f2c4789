"""Laws of the configuration: it round-trips, and whatever is wrong is one line that says where and what would be right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fetlock.build import make_env
from fetlock.config import DEFAULT_CONFIG, RunConfig, config_yaml, key_help, load_config
from fetlock.document import dump, parse
from fetlock.flags import leaves
from fetlock.guarding import capability, read_limits
from robot.description import load_description
from robot.dynamixel.timing import CycleTiming
from robot.errors import UsageError
from safety import GuardConfig

CONFIGS = sorted(DEFAULT_CONFIG.parent.glob("*.yaml"))
BASE = DEFAULT_CONFIG.read_text()
KITTY = ["--config", str(DEFAULT_CONFIG.with_name("kitty_walk.yaml"))]
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec="utf-8", exclude_categories=["C"]))
)


def complaint(*argv: str) -> str:
    with pytest.raises(UsageError) as caught:
        load_config(argv)
    message = str(caught.value)
    assert "\n" not in message
    return message


def file_complaint(folder: Path, text: str | bytes) -> str:
    path = folder / "mine.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    message = complaint("--config", str(path))
    assert str(path) in message
    return message


@given(st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc_", min_size=1), inner, max_size=3)))
def test_a_document_reads_back_as_it_was_written(value: object) -> None:
    back = parse(dump(value), "test")
    assert repr(back) == repr(value)


@given(st.sampled_from(["yes", "no", "on", "1e3", "1:30", "0x10", "012", "~", "null", "true", "2001-01-01", "", "3e-4", "=", "<<"]))
def test_text_that_looks_like_something_else_stays_text(text: str) -> None:
    assert parse(dump({"key": text}), "test") == {"key": text}


@pytest.mark.parametrize(("text", "value"), [("3e-4", 3e-4), ("1E5", 1e5), ("yes", "yes"), ("012", 12), ("1:30", "1:30"), (".5", 0.5)])
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    assert parse(text, "test") == value


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_shipped_file_loads_and_its_resolved_form_is_the_same(path: Path, tmp_path: Path) -> None:
    config = load_config(["--config", str(path)])
    resolved = tmp_path / "config.yaml"
    resolved.write_text(config_yaml(config))
    again = load_config(["--config", str(resolved)])
    assert again == config
    assert config_yaml(again) == resolved.read_text()


@settings(max_examples=25)
@given(rate=st.floats(1e-12, 0.99), penalty=st.floats(0.0, 1e300), seed=st.integers(0, 2**63 - 1))
def test_numbers_survive_flags_and_files_bit_for_bit(
    rate: float, penalty: float, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    config = load_config(["--sac.learning-rate", repr(rate), "--task.fall-penalty", repr(penalty), "--seed", str(seed)])
    assert (config.sac.learning_rate, config.task.fall_penalty, config.seed) == (rate, penalty, seed)
    path = tmp_path_factory.mktemp("config") / "config.yaml"
    path.write_text(config_yaml(config))
    assert load_config(["--config", str(path)]) == config


def test_flags_override_the_file_and_may_choose_another_ground() -> None:
    network = ("--sac.batch-size=32", "--sac.network.hidden", "64", "32", "--train.realtime")
    ground = ("--robot.ground.kind", "slope", "--robot.ground.angle-rad", "-0.2", "--task.fall-height-m", "null")
    config = load_config([*network, *ground, "--guard.position-min-rad", "0.8"])
    assert config.sac.batch_size == 32
    assert config.sac.network.hidden == (64, 32)
    assert (config.robot.ground.kind, config.robot.ground.angle_rad) == ("slope", -0.2)
    assert config.task.fall_height_m is None
    assert config.train.realtime
    assert config.guard.position_min_rad == 0.8


@pytest.mark.parametrize(
    ("robot", "named"),
    [("kitty", "arena needs a tracked base, and this robot has none"), ("claw", "arena is for robots that walk, minitaur,")],
)
def test_an_arena_is_for_robots_that_walk_and_are_tracked(robot: str, named: str, tmp_path: Path) -> None:
    text = f"robot: {{kind: dynamixel, port: /dev/null, description: {robot}}}\nguard: {robot}\ntask: {{kind: kitty_walk}}\n"
    message = file_complaint(tmp_path, text + "arena: {radius_m: 1.5}\n")
    assert named in message
    assert "set arena to null" in message


def test_a_latency_is_drawn_for_simulated_cameras_alone(tmp_path: Path) -> None:
    text = "robot: {kind: dynamixel, port: /dev/null, description: claw, camera: eye.yaml}\nguard: claw\ntask: {kind: claw_turn}\n"
    message = file_complaint(tmp_path, text + "camera: {latency_s: [0.0, 0.05]}\n")
    assert "camera.latency_s (0.0, 0.05) is of simulated cameras" in message
    assert "leave it out" in message


def test_an_arena_is_none_until_a_flag_or_a_file_gives_one(tmp_path: Path) -> None:
    assert load_config([]).arena is None
    config = load_config(["--arena.radius-m", "1.5"])
    assert config.arena is not None
    assert (config.arena.center_m, config.arena.radius_m) == ((0.0, 0.0), 1.5)
    resolved = tmp_path / "config.yaml"
    # A run's own file says null where there is none, and a flag may still give one.
    resolved.write_text(config_yaml(load_config([])))
    assert load_config(["--config", str(resolved), "--arena.radius-m", "1.5"]) == config


@pytest.mark.parametrize(
    ("argv", "parts"),
    [
        (["--sac.lerning-rate", "1"], ["--sac.lerning-rate", "--sac.learning-rate"]),
        (["--lerning-rate", "1"], ["--sac.learning-rate"]),
        (["--sac.batch-size", "2.5"], ["sac.batch_size", "2.5", "whole number"]),
        (["--sac.batch-size", "0"], ["sac.batch_size", "0", "at least 1"]),
        (["--sac.batch-size"], ["--sac.batch-size", "needs a value"]),
        (["--sac.discount", "1"], ["sac.discount", "less than 1"]),
        (["--sac.network.hidden", "a"], ["sac.network.hidden[0]", "'a'", "whole number"]),
        (["--sac.precision", "float33"], ["'float33'", "'float32' or 'bfloat16'", "nearest is 'float32'"]),
        (["--train.realtime", "yes"], ["train.realtime", "'yes'", "true or false"]),
        (["--seed", "1", "--seed", "2"], ["--seed", "twice"]),
        (["--seed", "true"], ["seed", "true", "whole number"]),
        (["--task.speed-weight", ".nan"], ["task.speed_weight", "finite"]),
        (["--task.speed-weight", "1e999"], ["task.speed_weight", "finite"]),
        (["--robot.ground.kind", "slop"], ["robot.ground.kind", "'slope'", "'blocks'"]),
        (["--robot.randomise.mass-scale", "1.2", "0.8"], ["robot.randomise.mass_scale", "1.2", "low <= high"]),
        (["--sac", "3"], ["--sac.batch-size"]),
        (["stray"], ["'stray'"]),
        (["--config"], ["--config FILE"]),
        (["--config", "a.yaml", "--config", "b.yaml"], ["--config", "twice"]),
        (["--config", "missing.yaml"], ["missing.yaml", "No such file"]),
        (["--bus-hz", "75"], ["bus_hz 75", "control_hz 50", "50 or 100"]),
        (["--robot.physics-hz", "650"], ["robot.physics_hz 650", "bus_hz 100", "600 or 700"]),
        (["--robot.ground.kind", "slope"], ["fall_height_m", "slope", "--task.fall-height-m null"]),
        (["--arena.radius-m", "-1"], ["arena.radius_m", "-1", "at least 0.5"]),
        (["--arena.radius-m", "2000"], ["arena.radius_m", "2000", "at most 1000"]),
        (["--arena.center-m", "0.0", "0.0"], ["arena.radius_m"]),
        (["--arena.radius-m", "1.0", "--arena.center-m", "1.0", "1.0"], ["1.41421 m from (0, 0)", "radius_m is 1", "starts inside"]),
        (["--guard.position-min-rad", "5"], ["guard", "5.0", "3.1"]),
        (["--guard.velocity-max-rad-s", "0"], ["guard.velocity_max_rad_s", "positive", "0.0"]),
        (["--guard.velocity-max-rad-s", "200"], ["guard.velocity_max_rad_s 200", "167.7 rad/s"]),
        (["--guard.braking-rad-s2", "10000"], ["braking_rad_s2 10000", "acceleration_max_rad_s2 9000"]),
        (["--guard.position-min-rad", "{motor_front_left_left: 1}"], ["guard.position_min_rad", "motor_front_left_right", "every joint"]),
        ([*KITTY, "--guard.velocity-max-rad-s", "9"], ["guard", "front_right_abduction", "velocity_max_rad_s 9", "motor's own 8.06"]),
        ([*KITTY, "--guard.velocity-max-rad-s", "{front_rigth_hip: 1}"], ["front_rigth_hip", "nearest", "front_right_hip"]),
        (["--sac.network.target-critics", "3"], ["target_critics 3", "critics 2"]),
        (["--robot.kind", "kity"], ["robot.kind", "'kity'", "'minitaur_dynamixel'", "nearest is 'kitty'"]),
        ([*KITTY, "--task.kind", "walk"], ["task.kind walk", "robot.kind kitty", "kitty_walk"]),
        (
            [*KITTY, "--guard.routine-position-max-rad", "4", "--guard.routine-position-min-rad", "-4"],
            ["guard", "lowest position", "wider than the motor's own"],
        ),
        ([*KITTY, "--robot.start-pose-rad", "2.0"], ["robot.start_pose_rad", "unknown key"]),
        ([*KITTY, "--robot.physics-hz", "650"], ["robot.physics_hz 650", "bus_hz 100", "600 or 700"]),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else str(value),
)
def test_a_wrong_flag_is_one_line_with_the_right_one(argv: list[str], parts: list[str]) -> None:
    message = complaint(*argv)
    assert [part for part in parts if part not in message] == []


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (BASE + "lerning_rate: 3\n", ["lerning_rate", "nearest is sac.learning_rate"]),
        (BASE.replace("updates_per_step", "updates_per_stp"), ["sac.updates_per_stp", "nearest is sac.updates_per_step"]),
        (BASE.replace("guard: minitaur", "guard: {velocity_max: 3}"), ["guard.velocity_max:", "nearest is guard.velocity_max_rad_s"]),
        (BASE.replace("guard: minitaur", "guard: {position_min_rad: 1}"), ["guard.position_max_rad is missing"]),
        (BASE.replace("seed: 0", "seed: 2.5"), ["seed", "2.5", "whole number"]),
        (BASE.replace("seed: 0", "seed: yes"), ["seed", "'yes'", "whole number"]),
        (BASE + "seed: 1\n", ["line", "seed occurs twice"]),
        ("", ["guard is missing"]),
        ("- 1\n", ["the list [1]", "keys and values"]),
        ("a: [1\n", ["line 2", "flow sequence"]),
        ("a: !!python/object/apply:os.system [true]\n", ["line 1", "constructor"]),
        ("a: 2001-01-01\n" + BASE, ["a: unknown key"]),
        ("? [1]\n: 2\n", ["line 1"]),
        ("a: &a [*a]\n", ["holds itself"]),
        ("1: 2\n", ["key 1"]),
        (b"\xff\xfe\xff", []),
        (BASE[: BASE.index("train:")] + "train: 3\n", ["train", "the integer 3", "group of keys"]),
        (BASE.replace("  kind: minitaur\n", "  ground: {angle_rad: 0.1}\n"), ["robot.ground", "kind"]),
    ],
)  # fmt: skip
def test_a_wrong_file_is_one_line_that_names_it(text: str | bytes, parts: list[str], tmp_path: Path) -> None:
    message = file_complaint(tmp_path, text)
    assert [part for part in parts if part not in message] == []


def test_the_guard_of_the_kitty_lies_within_what_its_mechanics_allow() -> None:
    config = load_config(KITTY)
    limits = config.guard.limits(load_description("kitty").joint_names)
    joints = load_description("kitty").joints
    assert all(limits.position_min_rad >= [joint.lower_rad for joint in joints])
    assert all(limits.position_max_rad <= [joint.upper_rad for joint in joints])
    reach = config.task.legs.joints_rad
    for action in (np.ones(12), -np.ones(12)):
        assert all((limits.position_min_rad < reach(action)) & (reach(action) < limits.position_max_rad))


def test_what_is_said_beside_named_limits_goes_before_them(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    words = ["robot: {kind: kitty}", "task: {kind: kitty_walk}", "guard: {limits: kitty, encoder_still_s: 0.25}"]
    file.write_text("\n".join(words))
    guard = load_config(["--config", str(file)]).guard
    named = GuardConfig.model_validate(read_limits("kitty"))
    assert guard == named.model_copy(update={"encoder_still_s": 0.25})
    file.write_text("\n".join([*words[:2], "guard: {limits: kitty, encoder_stil_s: 0.25}"]))
    with pytest.raises(UsageError, match="encoder_still_s"):
        load_config(["--config", str(file)])


def test_limits_that_do_not_exist_are_named_with_those_that_do(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(BASE.replace("guard: minitaur", "guard: minitour"))
    assert "choose claw, kitty, minitaur, minitaur_dynamixel" in complaint("--config", str(path))


@pytest.mark.parametrize("name", ["claw", "kitty", "minitaur"])
def test_every_shipped_limit_is_within_what_the_motors_can_do(name: str) -> None:
    description = load_description(name)
    limits = GuardConfig.model_validate(read_limits("minitaur_dynamixel" if name == "minitaur" else name))
    assert capability(description).complaints(limits, description.joint_names) == []


def test_the_bus_of_the_kitty_carries_its_ticks() -> None:
    config, description = load_config(KITTY), load_description("kitty")
    cycle = CycleTiming(motors=len(description.motors), baud=description.bus.baud, latency_s=0.001)
    assert cycle.cycle_s < 0.5 / config.bus_hz


def test_the_default_file_does_not_depend_on_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_config([]) == load_config(["--config", str(DEFAULT_CONFIG)])


def test_help_names_every_key() -> None:
    text = key_help()
    assert [leaf.flag for leaf in leaves(RunConfig) if f"  {leaf.flag} " not in text] == []


def test_help_ends_the_program_well(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        load_config(["--help"], prog="fetlock test")
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("usage: fetlock test")


def test_a_robot_without_a_task_can_be_configured_and_not_trained() -> None:
    claw = ["--config", str(DEFAULT_CONFIG.with_name("claw_emulated.yaml"))]
    config = load_config(claw).model_copy(update={"task": None})
    with pytest.raises(
        UsageError, match=r"task is null, and nothing can be learned .*: set task\.kind claw_turn or claw_turn_pixels or claw_screw"
    ) as caught:
        make_env(config)
    assert "\n" not in str(caught.value)


def test_a_task_that_is_not_for_a_robot_is_refused(tmp_path: Path) -> None:
    text = DEFAULT_CONFIG.with_name("claw_emulated.yaml").read_text()
    message = file_complaint(tmp_path, text.replace("kind: claw_turn", "kind: walk"))
    assert "task.kind walk is not for robot.kind claw: use claw_turn or claw_turn_pixels or claw_screw" in message
    pixels = file_complaint(tmp_path, text.replace("kind: claw_turn", "kind: claw_turn_pixels"))
    assert "task.kind claw_turn_pixels hides the valve, and this policy sees nothing: set sac.encoder.kind" in pixels
    blind = file_complaint(tmp_path, text.replace("sac:\n", "sac:\n  encoder: {kind: paper}\n"))
    assert "sac.encoder is for what a camera sees, and camera is null: give its frames' size" in blind
    lobes = file_complaint(tmp_path, text.replace("kind: claw_turn", "kind: claw_turn\n  lobes: 4"))
    assert "task.lobes is 4, and the valve has 3" in lobes
    goals = complaint("--config", str(DEFAULT_CONFIG), "--sac.hindsight-share", "0.5")
    assert "sac.hindsight_share is 0.5, and task.kind walk has no goals to exchange: set it to 0" in goals
    told = complaint("--config", str(DEFAULT_CONFIG), "--camera.width-px", "16", "--sac.encoder.asymmetric")
    assert "sac.encoder.asymmetric tells critics where the valve is, and task.kind walk has none: leave it out" in told
    images = complaint("--config", str(DEFAULT_CONFIG), "--sac.encoder.images", "64")
    assert "critics that see need those of every transition: set asymmetric true, or leave images out" in images
    pretrained = complaint("--config", str(DEFAULT_CONFIG), "--sac.encoder.asymmetric", "--sac.encoder.pretrained", "a.safetensors")
    assert "stays as it is: set one of the two" in pretrained
    frames = complaint("--config", str(DEFAULT_CONFIG), "--train.replay-on-disk")
    assert "train.replay_on_disk is for the frames of a policy that sees, and sac.encoder is null: leave it out" in frames
    assert "physics_hz 1000 must be a whole multiple of bus_hz 300" in complaint(*KITTY, "--bus-hz", "300", "--control-hz", "25")
