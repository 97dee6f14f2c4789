"""`fetlock identify`: parameters hidden in a recorded machine come back, and whatever cannot be identified is said to be so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from fetlock.__main__ import main
from fetlock.config import load_config
from fetlock.excitation import swings_of
from fetlock.identification.excerpts import excerpts_of
from fetlock.identification.fit import fit
from fetlock.identification.identifying import Identification
from fetlock.identification.machine import Model
from fetlock.identification.overlay import sentences
from fetlock.identification.parameters import Parameter, parameters_of, with_values
from fetlock.machines import names_of_joints
from fetlock.replays.logs import logs_of, read_whole
from robot.errors import UsageError
from sim import KittyConfig, MinitaurConfig, simulate
from sim.linkage import knee_rad
from tests.fetlock.test_train import ROOT

Capture = pytest.CaptureFixture[str]
KITTY = str(ROOT / "configs" / "kitty_walk.yaml")
STAND = ("--config", KITTY, "--robot.stand")
HIDDEN = {"control_latency_s": 0.014, "gain_scale": 0.85, "joint_friction_nm": 0.05}


def call(capsys: Capture, *arguments: str, code: int = 0) -> str:
    assert main(list(arguments)) == code
    captured = capsys.readouterr()
    if code:
        assert captured.err.count("\n") == 1
    return captured.err if code else captured.out


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One swing of a kitty with hidden parameters, and one without."""
    folder = tmp_path_factory.mktemp("runs")
    hidden = [word for key, value in HIDDEN.items() for word in (f"--robot.{key.replace('_', '-')}", str(value))]
    excite = ("run", "--excite", "--duration", "2.3", "--runs-dir", str(folder), *STAND)
    assert main([*excite, "--name", "hidden", *hidden, "--robot.sensing-latency-s", "0.01"]) == 0
    assert main([*excite, "--name", "plain"]) == 0
    return folder


def test_hidden_parameters_come_back_and_go_over_a_configuration(runs: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "fitted.yaml"
    only = ("--only", *HIDDEN)
    found = json.loads(call(capsys, "identify", str(runs / "hidden"), *only, "--out", str(out), "--json", *STAND))
    values = {one["key"]: one for one in found["estimates"]}
    assert abs(values["control_latency_s"]["value"] - 0.014) < 0.002
    assert values["joint_friction_nm"]["value"] == pytest.approx(0.05, rel=0.2)
    assert values["gain_scale"]["value"] == pytest.approx(0.85, rel=0.03)
    for key, hidden in HIDDEN.items():
        assert values[key]["identified"]
        assert abs(values[key]["value"] - hidden) < 3.0 * values[key]["half_width"]
    # The age of the measurements is in the log, and is no part of the fitted latency.
    assert found["measured"] == {"sensing_latency_s": 0.01}
    # What was held out is explained too, down to the pulses of the encoders.
    assert found["held_out_after_rad"] < 0.6e-3 < found["held_out_before_rad"] / 5.0
    config = load_config([*STAND, "--overlay", str(out)])
    written = {key: one["value"] for key, one in values.items()} | found["measured"]
    assert {key: getattr(config.robot, key) for key in written} == written
    assert config == load_config([*STAND, *(w for k, v in written.items() for w in (f"--robot.{k.replace('_', '-')}", repr(v)))])
    assert "exists already" in call(capsys, "identify", str(runs / "hidden"), "--out", str(out), *STAND, code=2)


def test_where_nothing_is_hidden_nothing_changes(runs: Path, capsys: Capture) -> None:
    only = ("--only", "control_latency_s", "joint_friction_nm")
    found = json.loads(call(capsys, "identify", str(runs / "plain"), *only, "--json", *STAND))
    for one in found["estimates"]:
        assert abs(one["value"] - one["start"]) <= max(2.0 * one["half_width"], 1e-4)
    assert found["held_out_after_rad"] == pytest.approx(found["held_out_before_rad"], rel=0.03)


def test_a_log_that_does_not_fit_is_one_line(runs: Path, tmp_path: Path, capsys: Capture) -> None:
    log = runs / "plain" / "rollouts" / "c0-e000000.mcap"
    identify = ("identify", str(runs / "plain"))
    assert "is of another robot" in call(capsys, *identify, "--config", str(ROOT / "configs" / "minitaur_walk.yaml"), code=2)
    assert "what its fingers meet of the valve" in call(capsys, *identify, "--config", str(ROOT / "configs" / "claw_emulated.yaml"), code=2)
    assert "choose control_latency_s" in call(capsys, *identify, "--only", "kp", *STAND, code=2)
    assert "has no episode 7" in call(capsys, *identify, "--episode", "7", *STAND, code=2)
    assert "neither a log nor a run" in call(capsys, "identify", str(tmp_path), *STAND, code=2)
    assert "give 2 to 3600" in call(capsys, *identify, "--seconds", "1", *STAND, code=2)
    whole = log.read_bytes()
    (damaged := tmp_path / "damaged.mcap").write_bytes(whole[: len(whole) // 2])
    assert "is damaged after" in call(capsys, "identify", str(damaged), *STAND, code=1)
    (tmp_path / "text.mcap").write_text("no log")
    assert "is no rollout log" in call(capsys, "identify", str(tmp_path / "text.mcap"), *STAND, code=1)
    short = tmp_path / "short"
    assert main(["run", "--excite", "--duration", "1", "--name", "short", "--runs-dir", str(tmp_path), *STAND]) == 0
    capsys.readouterr()
    assert "too short" in call(capsys, "identify", str(short), *STAND, code=1)
    still = ("--guard.velocity-max-rad-s", "0.005", "--robot.start-pose-noise-rad", "0")
    assert main(["run", "--excite", "--duration", "2.3", "--name", "still", "--runs-dir", str(tmp_path), *STAND, *still]) == 0
    capsys.readouterr()
    assert "nothing can be identified" in call(capsys, "identify", str(tmp_path / "still"), *STAND, code=1)
    # A base that nobody saw move is not one that moves.
    ground = ("--config", KITTY)
    assert main(["run", "--excite", "--duration", "1.3", "--name", "ground", "--runs-dir", str(tmp_path), *ground]) == 0
    capsys.readouterr()
    assert "set stand to false" in call(capsys, "identify", str(tmp_path / "ground"), *STAND, code=2)
    assert "as on a stand" in call(capsys, *identify, *ground, code=2)
    assert not list(tmp_path.glob("*.yaml"))


def test_an_excitation_comes_back_bit_for_bit_and_is_a_whole_log(runs: Path, capsys: Capture) -> None:
    assert "bit-exact" in call(capsys, "replay", str(runs / "plain"))
    call(capsys, "log", "verify", str(runs / "plain"))


def test_a_robot_on_a_stand_stays_there_and_cannot_fall() -> None:
    robot = simulate(KittyConfig(stand=True), 100.0).robot
    before = robot.read().tracked_base.position_world_m
    assert before[2] == pytest.approx(0.5)
    for _ in range(10):
        robot.advance()
    assert (robot.read().tracked_base.position_world_m == before).all()
    with pytest.raises(UsageError, match="cannot fall"):
        robot.drop(np.random.default_rng(0))
    robot.close()


def test_what_to_run_is_said(tmp_path: Path, capsys: Capture) -> None:
    assert "--excite and no policy" in call(capsys, "run", code=2)
    assert "--excite and no policy" in call(capsys, "run", "--excite", "--policy", "x", code=2)
    assert "leave --realtime out" in call(capsys, "run", "--excite", "--realtime", "--runs-dir", str(tmp_path), *STAND, code=2)


def test_swings_keep_to_half_of_what_the_guard_allows() -> None:
    config = load_config(["--config", KITTY])
    limits = config.guard.limits(names_of_joints(config.robot))
    swings = swings_of(config)
    times = np.arange(0.0, 30.0, 0.004)
    goals = np.array([swings.goal_rad(time) for time in times])
    assert (goals > limits.position_min_rad).all()
    assert (goals < limits.position_max_rad).all()
    assert (np.abs(np.diff(goals, axis=0)) / 0.004 < 0.5 * limits.velocity_max_rad_s).all()
    assert (np.ptp(goals, axis=0) > 0.1).all()


# On the ground, where feet touch a little other than they did: knees of a Minitaur are not measured.
@pytest.mark.parametrize(("config", "apart_rad"), [("minitaur_walk", 3e-3), ("kitty_walk", 1e-3)])
def test_a_replica_goes_where_the_robot_went(config: str, apart_rad: float, tmp_path: Path, capsys: Capture) -> None:
    words = ["--config", str(ROOT / "configs" / f"{config}.yaml")]
    call(capsys, "run", "--excite", "--duration", "1.2", "--name", "run", "--runs-dir", str(tmp_path), *words)
    robot = load_config(words).robot
    (path,) = logs_of(tmp_path / "run")
    excerpts = excerpts_of(path, read_whole(path)).excerpts
    model = Model(robot, parameters_of(robot, ("control_latency_s",)))
    right, late = (float(np.sqrt(np.nanmean(model.errors([latency], excerpts) ** 2))) for latency in (0.0, 0.03))
    assert right < min(apart_rad, late / 2.0)


def linear(slope: np.ndarray, truth: np.ndarray, noise: float):
    errors = np.random.default_rng(0).normal(0.0, noise, slope.shape[:2])
    return lambda values: np.einsum("ekp,p->ek", slope, values - truth) + errors


PAIR = (Parameter("one", "", 0.0, 10.0, 0.1, 0.5), Parameter("two", "", 0.0, 10.0, 0.1, 0.5))


def test_the_fit_finds_what_a_linear_model_hides_and_knows_how_well() -> None:
    slope = np.random.default_rng(1).normal(0.0, 1.0, (20, 30, 2))
    truth = np.array([3.0, 7.0])
    one, two = fit(linear(slope, truth, 0.1), PAIR, np.array([1.0, 1.0]), np.array([1.0, 1.0]))
    for estimate, hidden in ((one, 3.0), (two, 7.0)):
        assert estimate.identified
        assert abs(estimate.value - hidden) < 2.0 * estimate.half_width
        # 600 measurements of standard deviation 0.1.
        assert estimate.half_width == pytest.approx(1.96 * 0.1 / np.sqrt(600.0), rel=0.5)


@pytest.mark.parametrize("direction", [(0.0, 1.0), (1.0, 1.0)])
def test_what_the_residuals_do_not_depend_on_is_left_as_configured(direction: tuple[float, float]) -> None:
    slope = np.random.default_rng(1).normal(0.0, 1.0, (20, 30, 1)) * np.array(direction)
    configured = np.array([2.0, 2.0])
    estimates = fit(linear(slope, np.array([2.0, 7.0]), 0.1), PAIR, configured, configured)
    assert [one.identified for one in estimates] == [False, True]
    assert np.isinf(estimates[0].half_width)
    assert estimates[0].value == 2.0
    assert estimates[1].value == pytest.approx(7.0, abs=0.1)


def test_a_value_at_the_end_of_its_range_is_said_to_be_there() -> None:
    slope = np.random.default_rng(1).normal(0.0, 1.0, (20, 30, 2))
    one, two = fit(linear(slope, np.array([10.02, 7.0]), 0.1), PAIR, np.array([5.0, 5.0]), np.array([5.0, 5.0]))
    assert one.at_bound
    assert one.value == pytest.approx(10.0, abs=0.01)
    assert not two.at_bound


@pytest.mark.parametrize("machine", [KittyConfig(), MinitaurConfig()])
def test_every_parameter_is_a_key_within_its_range(machine: KittyConfig | MinitaurConfig) -> None:
    for one in parameters_of(machine):
        for value in (one.low, one.high):
            assert getattr(with_values(machine, {one.key: value}), one.key) == value
        assert one.low <= getattr(machine, one.key) <= one.high
    with pytest.raises(UsageError, match="control_latency_s"):
        with_values(machine, {"control_latency_s": 7.0})


def identified(before_rad: float, after_rad: float) -> Identification:
    return Identification((), 4.0, 0.8, before_rad, after_rad, before_rad, after_rad, {"knee": None})


def test_a_fit_that_explains_nothing_is_doubted_and_one_that_does_harm_does_not_hold() -> None:
    doubt = "do not trust these values"
    assert doubt in sentences(identified(0.030, 0.029), {}, None)
    assert doubt not in sentences(identified(0.030, 0.001), {}, None)
    # Nothing was hidden.
    assert doubt not in sentences(identified(0.00045, 0.00044), {}, None)
    assert identified(0.00044, 0.00045).holds
    assert not identified(0.010, 0.011).holds


def test_knees_are_where_the_linkages_close() -> None:
    assert knee_rad(np.pi / 2.0) == pytest.approx(-2.1834, abs=1e-4)


def test_an_overlay_goes_over_a_file_and_under_flags(tmp_path: Path, capsys: Capture) -> None:
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text(yaml.safe_dump({"robot": {"gain_scale": 0.8, "joint_friction_nm": 0.1}, "guard": "kitty"}))
    second.write_text(yaml.safe_dump({"robot": {"gain_scale": 0.7}}))
    words = ["--config", KITTY, "--overlay", str(first), f"--overlay={second}"]
    robot = load_config(words).robot
    assert (robot.gain_scale, robot.joint_friction_nm) == (0.7, 0.1)
    assert robot.model_copy(update={"gain_scale": 1.0, "joint_friction_nm": 0.03}) == load_config(words[:2]).robot
    assert load_config([*words, "--robot.gain-scale", "1.1"]).robot.gain_scale == 1.1
    second.write_text("robot: {gain_scale: 70}")
    assert f"{second}: robot.gain_scale: the integer 70 must be at most 10" in call(capsys, "config", *words, code=2)
    second.write_text("robot: {gain_scal: 0.7}")
    assert "the nearest is robot.gain_scale" in call(capsys, "config", *words, code=2)
    assert "--overlay needs a file" in call(capsys, "config", "--overlay", code=2)
    assert "the nearest is --overlay" in call(capsys, "config", "--overly", str(first), code=2)
    assert "cannot be read" in call(capsys, "config", "--overlay", str(tmp_path / "none.yaml"), code=2)
