"""`fetlock plot` over runs that the real collector recorded: what is drawn is what the logs hold."""

from __future__ import annotations

import shutil
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetlock.__main__ import main
from fetlock.plots.curves import PANELS, running_mean, series_of
from fetlock.plots.episode import read_episode
from fetlock.plots.gait import gait_of
from fetlock.plots.interventions import stages_of
from fetlock.plots.learning import read_curves
from fetlock.plots.seeds import Line, bootstrap_interval, interquartile_mean, repetitions, together
from fetlock.plots.stepping import stepping
from fetlock.plots.tracking import tracking_lag_ms, tracking_rms
from safety.types import INTERVENTIONS, Reason
from tests.fetlock.recorded import record_run
from training.rollout_log import EpisodeWriter, RunMetadata, read_log, read_run

Capture = pytest.CaptureFixture[str]
# Okabe and Ito's vermilion: the second colour of a picture.
VERMILION = np.array([0.835, 0.369, 0.0])
# Long enough for a trot, and limits that bite.
TROT = ("--seed", "3", "--task.time-limit-steps", "150", "--sac.network.hidden", "8")
TIGHT = ("--guard.velocity-max-rad-s", "2", "--guard.position-max-rad", "2.2")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for seed in (5, 6, 7):
        record_run(folder / f"mine-{seed}", episodes=3, seed=seed)
    record_run(folder / "tight", episodes=2, flags=TIGHT)
    record_run(folder / "trot", episodes=1, base=TROT, trots=True)
    return folder


def call(capsys: Capture, *arguments: object, code: int = 0) -> str:
    assert main(["plot", *map(str, arguments)]) == code
    captured = capsys.readouterr()
    return captured.out if code == 0 else captured.err


def pixels(path: Path) -> np.ndarray:
    return matplotlib.image.imread(path)[:, :, :3]


def coloured(path: Path, colour: np.ndarray) -> int:
    return int((np.abs(pixels(path) - colour).max(axis=2) < 0.02).sum())


def test_curves_are_the_runs(runs: Path) -> None:
    curves, steps = read_curves(runs / "mine-5"), read_run(runs / "mine-5" / "rollouts")
    assert curves.length.sum() == len(steps) == curves.end_step[-1]
    assert curves.episode_return.sum() == pytest.approx(steps["reward"].sum())
    assert curves.failed.sum() == steps["terminated"].sum()
    assert (curves.label, curves.origin.mark, len(curves.evaluations)) == ("mine-5 (seed 5)", 0.6, 3)
    series = series_of(curves)
    assert set(series.lines) == set(PANELS)
    assert series.lines["falls"].y[-1] == curves.failed.sum()
    np.testing.assert_array_equal(series.dots["return"].y, curves.episode_return)


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=20))
def test_the_running_mean_is_over_the_last_five(values: list[float]) -> None:
    expected = [np.mean(values[max(0, index - 4) : index + 1]) for index in range(len(values))]
    np.testing.assert_allclose(running_mean(np.array(values)), expected, atol=1e-9)


def test_several_runs_make_one_picture(runs: Path, tmp_path: Path, capsys: Capture) -> None:
    alone, both = tmp_path / "alone.png", tmp_path / "pictures" / "both.png"
    call(capsys, "curves", runs / "mine-5", "--out", alone)
    assert call(capsys, "curves", runs / "mine-5", runs / "mine-6", "--out", both) == f"{both}\n"
    assert min(pixels(path).shape[0] for path in (alone, both)) > 600
    assert coloured(alone, VERMILION) == 0
    assert coloured(both, VERMILION) > 50
    assert [path.name for path in both.parent.iterdir()] == ["both.png"]


def test_runs_that_differ_in_their_seed_alone_are_one_curve(runs: Path, tmp_path: Path, capsys: Capture) -> None:
    curves = [read_curves(runs / name) for name in ("mine-5", "tight", "mine-7", "mine-6")]
    groups = repetitions(curves)
    assert [(label, [run.name for run in members]) for label, members in groups] == [
        ("mine (3 runs)", ["mine-5", "mine-7", "mine-6"]),
        ("tight (seed 5)", ["tight"]),
    ]
    out = tmp_path / "group.png"
    call(capsys, "curves", *(runs / f"mine-{seed}" for seed in (5, 6, 7)), "--group", "--out", out)
    # One colour for all of them.
    assert coloured(out, VERMILION) == 0


def test_groups_of_one_name_are_told_apart(runs: Path) -> None:
    curves = [read_curves(runs / name) for name in ("mine-5", "mine-6")]
    twin = [read_curves(runs / "tight"), read_curves(runs / "tight")]
    for run, name in zip(twin, ("mine-8", "mine-9"), strict=True):
        object.__setattr__(run, "name", name)
    assert [label for label, _ in repetitions([*curves, *twin])] == ["mine-5 (2 runs)", "mine-8 (2 runs)"]


def test_the_interquartile_mean_drops_a_quarter_at_each_end() -> None:
    values = np.array([9.0, -100.0, 1.0, 2.0, 3.0, 4.0, 100.0, 0.0])
    assert interquartile_mean(values) == pytest.approx(np.mean([1.0, 2.0, 3.0, 4.0]))
    assert interquartile_mean(values[:3]) == pytest.approx(np.mean(values[:3]))
    rows = np.stack([values, values + 1.0], axis=1)
    np.testing.assert_allclose(interquartile_mean(rows), [2.5, 3.5])


def test_the_interval_covers_the_mean_of_repetitions_as_often_as_it_says() -> None:
    # The bootstrap of few runs is known to be narrow: ten runs cover about 90% where 95% is asked for.
    rng = np.random.default_rng(1)
    values = rng.standard_normal((10, 400))
    low, high = bootstrap_interval(values)
    covered = np.mean((low <= 0.0) & (high >= 0.0))
    assert 0.85 < covered < 0.98
    assert ((low <= interquartile_mean(values)) & (interquartile_mean(values) <= high)).mean() > 0.99
    np.testing.assert_array_equal(low, bootstrap_interval(values)[0])


def test_a_group_is_drawn_over_what_all_of_its_runs_have() -> None:
    one, two = Line(np.array([0.0, 10.0]), np.array([0.0, 10.0])), Line(np.array([4.0, 6.0, 20.0]), np.array([0.0, 0.0, 14.0]))
    both = together([one, two])
    assert (both.x[0], both.x[-1]) == (4.0, 10.0)
    np.testing.assert_allclose(both.y, (both.x + np.maximum(both.x - 6.0, 0.0)) / 2.0)
    assert both.low is not None
    assert len(together([one, Line(np.array([11.0]), np.array([0.0]))]).x) == 0
    assert len(together([one, Line(np.zeros(0), np.zeros(0))]).x) == 0
    assert together([one]).low is None


@given(st.integers(20, 60), st.floats(0.3, 0.8), st.lists(st.floats(0.0, 0.99), min_size=1, max_size=4))
def test_a_made_up_gait_is_found_again(stride: int, duty: float, phases: list[float]) -> None:
    # A whole number of ticks of 10 ms in each stance; feet begin where their phase says.
    stance, ticks = round(duty * stride), np.arange(12 * stride)
    offsets = [0, *(round(phase * stride) % stride for phase in phases)]
    down = np.stack([(ticks - offset) % stride < stance for offset in offsets], axis=1)
    found = stepping(down, 0.01, [str(offset) for offset in offsets])
    assert found.stride_hz == pytest.approx(100.0 / stride, rel=0.01)
    assert found.strides in (11, 12)
    for foot, offset in zip(found.feet, offsets, strict=True):
        assert foot.duty_factor == pytest.approx(stance / stride, abs=0.03)
        assert foot.phase is not None
        assert abs((foot.phase - offset / stride + 0.5) % 1.0 - 0.5) < 0.03


def test_a_foot_that_lands_twice_takes_one_stride() -> None:
    ticks = np.arange(400)
    once, twice = ticks % 50 < 30, (ticks % 50 < 20) | ((ticks % 50 >= 28) & (ticks % 50 < 40))
    found = stepping(np.stack([once, twice], axis=1), 0.01, ["once", "twice"])
    assert found.stride_hz == pytest.approx(2.0, rel=0.01)
    assert [foot.duty_factor for foot in found.feet] == pytest.approx([0.6, 0.64], abs=0.01)


def test_what_does_not_repeat_has_no_stride() -> None:
    rng = np.random.default_rng(0)
    still = np.stack([np.ones(300, np.bool_), np.zeros(300, np.bool_)], axis=1)
    for down in (still, still[:0], rng.random((300, 4)) < 0.5, np.arange(100)[:, None] < 50):
        found = stepping(down, 0.01, [str(foot) for foot in range(down.shape[1])])
        assert (found.strides, found.stride_hz, found.feet) == (0, None, ())


def test_a_foot_that_never_leaves_the_ground_has_no_phase() -> None:
    ticks = np.arange(300)
    found = stepping(np.stack([ticks % 40 < 20, ticks >= 0], axis=1), 0.01, ["steps", "stands"])
    assert [(foot.duty_factor, foot.phase) for foot in found.feet][1] == (1.0, None)


def test_a_simulated_trot_is_a_trot(runs: Path, tmp_path: Path, capsys: Capture) -> None:
    path = runs / "trot" / "rollouts" / "c0-e000000.mcap"
    gait = gait_of(read_episode(path, tmp_path / "x.png").between(1.0, 3.0))
    assert gait.names == ("back_left", "front_left", "front_right", "back_right")
    assert gait.stepping.stride_hz == pytest.approx(2.0, rel=0.02)
    phases = {foot.name: foot.phase for foot in gait.stepping.feet}
    # Diagonal feet together, the others half a stride later.
    for name, phase in (("front_right", 0.0), ("front_left", 0.5), ("back_right", 0.5)):
        found = phases[name]
        assert found is not None
        assert abs((found - phase + 0.5) % 1.0 - 0.5) < 0.12
    for foot, duty in zip(gait.stepping.feet, gait.down[:200].mean(axis=0), strict=True):
        assert foot.duty_factor == pytest.approx(duty, abs=0.02)
    out = tmp_path / "gait.png"
    assert call(capsys, "gait", path, "--from", "1", "--to", "3", "--out", out) == f"{out}\n"
    assert coloured(out, VERMILION) > 1000


def test_joints_are_what_was_sent_and_measured(runs: Path, tmp_path: Path, capsys: Capture) -> None:
    episode = read_episode(runs / "trot" / "rollouts" / "c0-e000000.mcap", tmp_path / "x.png")
    bus = read_log(episode.path).bus
    expected = np.sqrt(np.mean((bus["position_rad"][1:] - bus["emission_rad"][:-1]) ** 2, axis=0))
    np.testing.assert_allclose(list(tracking_rms(episode).values()), expected)
    lag_ms = tracking_lag_ms(episode)
    assert lag_ms is not None
    # Its motors follow a target within some bus ticks, and never before it.
    assert 5.0 < lag_ms < 100.0
    out = tmp_path / "tracking.svg"
    call(capsys, "tracking", runs / "trot", "--out", out)
    # One panel for each joint, named in the picture's text.
    assert out.read_text().count('id="axes_') == 8


def test_interventions_are_counted_where_the_log_has_them(runs: Path, tmp_path: Path, capsys: Capture) -> None:
    for path in sorted((runs / "tight" / "rollouts").iterdir()):
        log = read_log(path)
        found = stages_of(log)
        assert (found.steps, found.ticks) == (len(log.steps), len(log.bus))
        rate = sum(bool(int(mask) & int(Reason.RATE)) for mask in log.bus["filter_mask"])
        assert found.changed[Reason.RATE] == rate > 0
        assert found.overridden == sum(bool(int(mask) & int(INTERVENTIONS)) for mask in log.bus["filter_mask"])
        assert Reason.HOLD not in found.changed
    for name in ("tight", "mine-5"):
        out = tmp_path / f"{name}.png"
        call(capsys, "interventions", runs / name, "--out", out)
        assert pixels(out).shape[1] > 1000
    # Nothing overrides where the limits are wide.
    assert coloured(tmp_path / "tight.png", VERMILION) > 50
    assert coloured(tmp_path / "mine-5.png", VERMILION) == 0


def test_pictures_lie_in_the_run_by_default(runs: Path, tmp_path: Path, capsys: Capture) -> None:
    folder = Path(shutil.copytree(runs / "trot", tmp_path / "copy"))
    for kind in ("curves", "gait", "tracking", "interventions"):
        assert call(capsys, kind, folder) == f"{folder / kind}.png\n"
        # They follow from the logs: made again, they are replaced.
        assert call(capsys, kind, folder) == f"{folder / kind}.png\n"


def test_wrong_input_is_one_line(runs: Path, tmp_path: Path, capsys: Capture) -> None:
    mine = runs / "mine-5"
    assert "nearest is curves" in call(capsys, "curve", mine, code=2)
    assert ".png, .svg or .pdf" in call(capsys, "curves", mine, "--out", tmp_path / "a.bmpp", code=2)
    assert "was given twice" in call(capsys, "curves", mine, mine, code=2)
    (tmp_path / "empty" / "rollouts").mkdir(parents=True)
    assert "no recorded step" in call(capsys, "curves", tmp_path / "empty", code=1)
    for kind in ("gait", "tracking"):
        assert "has no complete episode" in call(capsys, kind, tmp_path / "empty", code=2)
        assert "neither a log nor a run" in call(capsys, kind, tmp_path, code=2)
        assert "goes from 0 to" in call(capsys, kind, mine, "--from", "90", code=2)
    assert "has no log yet" in call(capsys, "interventions", tmp_path / "empty", code=2)


def test_runs_of_different_robots_share_no_picture(runs: Path, tmp_path: Path, capsys: Capture) -> None:
    other = Path(shutil.copytree(runs / "mine-6", tmp_path / "other"))
    text = (other / "config.yaml").read_text()
    (other / "config.yaml").write_text(text.replace("kind: minitaur", "kind: minitaur_dynamixel", 1))
    said = call(capsys, "curves", runs / "mine-5", other, code=2)
    assert "minitaur_dynamixel, walk" in said
    assert "draw them apart" in said
    (other / "config.yaml").write_text("just words")
    assert "is no configuration of a run" in call(capsys, "curves", other, code=2)
    (other / "config.yaml").unlink()
    assert "is no configuration of a run" in call(capsys, "curves", other, code=2)


def test_contacts_that_are_not_known_are_refused(runs: Path, tmp_path: Path, capsys: Capture) -> None:
    other = Path(shutil.copytree(runs / "trot", tmp_path / "other"))
    path = other / "rollouts" / "c0-e000000.mcap"
    log = read_log(path)
    path.unlink()
    config = log.metadata["config"].replace("kp: 1.0", "kp: 0.5", 1)
    assert config != log.metadata["config"]
    metadata = RunMetadata("0", "minitaur", 3, config=config)
    writer = EpisodeWriter(other / "rollouts", 0, 0, log.steps.dtype, log.bus.dtype, metadata)
    writer.write(log.bus, log.steps)
    writer.finish(complete=True)
    assert "does not come back bit for bit" in call(capsys, "gait", path, code=1)


def test_metal_has_no_gait_diagram(runs: Path, tmp_path: Path, capsys: Capture) -> None:
    log = read_log(runs / "trot" / "rollouts" / "c0-e000000.mcap")
    metal = "robot: {kind: dynamixel, port: /dev/null, description: kitty}\nguard: kitty\ntask: null\n"
    writer = EpisodeWriter(tmp_path, 0, 0, log.steps.dtype, log.bus.dtype, RunMetadata("0", "dynamixel", 3, config=metal))
    writer.write(log.bus, log.steps)
    writer.finish(complete=True)
    assert "no sensors in its feet" in call(capsys, "gait", tmp_path / "c0-e000000.mcap", code=2)
    call(capsys, "tracking", tmp_path / "c0-e000000.mcap", "--out", tmp_path / "t.png")
