"""Videos of the policies that a run judges: one at each evaluation, bounded in number, from the real evaluator."""

from __future__ import annotations

import math
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetlock.build import judged_config, make_env, mark_of, policy_layout
from fetlock.config import RunConfig, load_config
from fetlock.films import filmer_of, picture_px, scene, with_dial
from training.evaluation import read_evaluations
from training.judging import Judge, Terms
from training.roles.evaluate import Evaluator, every
from training.transport import Weights

SMALL = ("--sac.network.hidden", "8", "--task.time-limit-steps", "12", "--train.video-s", "0.16", "--train.video-width-px", "60")


def evaluator_of(config: RunConfig, folder: Path) -> Evaluator:
    env = make_env(judged_config(config), picture_px=picture_px(config))
    judge = Judge(policy_layout(config), Terms(mark_of(config), 1, folder), 0.0)
    return Evaluator(env, judge, filmer_of(folder, config))


def evaluate(evaluator: Evaluator, config: RunConfig, evaluations: range) -> None:
    vector = np.zeros(policy_layout(config).vector_size, np.float32)
    for number in evaluations:
        evaluator.evaluate(Weights(version=number + 1, steps=1000 * (number + 1), updates=number, vector=vector))
        evaluator.film()


def steps_of(folder: Path) -> list[int]:
    return [int(path.stem) for path in sorted((folder / "videos").iterdir())]


def test_each_evaluation_has_its_video_until_there_are_too_many(tmp_path: Path) -> None:
    config = load_config([*SMALL, "--train.videos", "3"])
    evaluator = evaluator_of(config, tmp_path)
    evaluate(evaluator, config, range(3))
    assert steps_of(tmp_path) == [1000, 2000, 3000]
    with av.open(str(tmp_path / "videos" / "000001000.mp4")) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    # 8 steps of 50 Hz are 4 pictures of 25 Hz; the episode goes on to 12.
    assert (len(frames), frames[0].shape) == (4, (40, 60, 3))
    assert frames[0].std() > 5
    evaluate(evaluator, config, range(3, 5))
    assert steps_of(tmp_path) == [1000, 3000, 5000]
    # A restarted evaluator goes on where the results stand.
    evaluate(evaluator_of(config, tmp_path), config, range(5, 7))
    assert steps_of(tmp_path) == [1000, 5000]
    assert len(read_evaluations(tmp_path / "evaluations.jsonl")) == 7


@given(st.integers(1, 10_000), st.integers(1, 100))
def test_the_number_of_videos_is_bounded_and_none_comes_back(results: int, limit: int) -> None:
    kept = set(range(0, results, every(results, limit)))
    assert 1 <= len(kept) <= limit
    assert set(range(0, results + 1, every(results + 1, limit))) <= kept | {results}


def test_filming_changes_no_evaluation(tmp_path: Path) -> None:
    for name, videos in (("with", "3"), ("without", "0")):
        config = load_config([*SMALL, "--train.videos", videos])
        (tmp_path / name).mkdir()
        evaluate(evaluator_of(config, tmp_path / name), config, range(2))
    found = [
        [line.model_copy(update={"seconds": 0.0}) for line in read_evaluations(tmp_path / name / "evaluations.jsonl")]
        for name in ("with", "without")
    ]
    assert found[0] == found[1]
    assert not (tmp_path / "without" / "videos").exists()


def test_a_disk_that_takes_no_video_costs_no_evaluation(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = load_config([*SMALL])
    (tmp_path / "videos").touch()
    evaluate(evaluator_of(config, tmp_path), config, range(1))
    assert "no video of step 1000" in caplog.text
    assert len(read_evaluations(tmp_path / "evaluations.jsonl")) == 1


def test_a_run_that_is_stopped_waits_for_no_film(tmp_path: Path) -> None:
    config = load_config([*SMALL])
    evaluator = evaluator_of(config, tmp_path)
    evaluate(evaluator, config, range(1))
    (tmp_path / "videos" / "000001000.mp4").unlink()
    evaluator.film(keep_going=lambda: False)
    assert list((tmp_path / "videos").iterdir()) == []


def test_what_nobody_can_see_is_not_filmed(tmp_path: Path) -> None:
    metal = tmp_path / "metal.yaml"
    metal.write_text("robot: {kind: dynamixel, port: /dev/null, description: kitty}\nguard: kitty\ntask: {kind: kitty_walk}\n")
    assert filmer_of(tmp_path, load_config(["--config", str(metal)])) is None
    assert filmer_of(tmp_path, load_config([])) is not None


def test_what_a_policy_sees_is_beside_it_pixel_by_pixel() -> None:
    config = load_config(["--config", str(Path(__file__).resolve().parents[2] / "configs" / "claw_pixels.yaml")])
    env = make_env(judged_config(config), picture_px=(60, 48))
    try:
        env.begin(np.random.default_rng(0))
        assert env.image is not None
        picture = scene(env)
        assert picture.shape == (48, 60 + 48, 3)
        assert env.aim_rad is not None
        np.testing.assert_array_equal(picture[:, :60], with_dial(env.picture(), *env.aim_rad))
        # Each of 32 x 32 px is there, on one or two rows and columns.
        places = [int(np.flatnonzero(np.arange(48) * 32 // 48 == row)[0]) for row in range(32)]
        np.testing.assert_array_equal(picture[:, 60:][np.ix_(places, places)], env.image[-1])
    finally:
        env.close()


def middle_of(marked: np.ndarray) -> np.ndarray:
    """Return where the marked pixels of a picture are, right and down."""
    return np.array(np.nonzero(marked)[::-1]).mean(axis=1)


@given(st.floats(-7.0, 7.0), st.floats(0.3, 6.0))
def test_a_dial_shows_an_angle_and_its_goal_and_leaves_the_rest_as_it_is(angle_rad: float, apart_rad: float) -> None:
    picture = np.full((320, 480, 3), 128, np.uint8)
    drawn = with_dial(picture, angle_rad, goal_rad := angle_rad + apart_rad)
    red, green, blue = (drawn[:, :, channel].astype(int) for channel in range(3))
    centre = middle_of((drawn != picture).any(axis=2))
    for marked, angle in ((red > 150) & (green < 80), angle_rad), ((green > 120) & (red < 60) & (blue < 90), goal_rad):
        way = middle_of(marked) - centre
        assert math.cos(math.atan2(way[0], way[1]) - angle) > 0.97
    assert (drawn[80:] == picture[80:]).all()
    assert (drawn[:, 80:] == picture[:, 80:]).all()


def test_the_dial_turns_as_the_valve_does_in_the_picture() -> None:
    config = load_config(["--config", str(Path(__file__).resolve().parents[2] / "configs" / "claw_pixels.yaml")])
    env = make_env(judged_config(config), picture_px=(480, 320))
    try:
        angles_rad = []
        for seed in range(6):
            env.begin(np.random.default_rng(seed))
            assert env.aim_rad is not None
            angle_rad = env.aim_rad[0]
            if abs(math.sin(angle_rad)) < 0.5:
                continue
            angles_rad.append(angle_rad)
            picture = env.picture().astype(int)
            lobe = (picture[:, :, 0] > 2 * picture[:, :, 1]) & (picture[:, :, 0] > 90)
            # On the side of the valve's axis on which the hand is.
            assert (middle_of(lobe)[0] - 240.0) * math.sin(angle_rad) > 0.0
        assert min(angles_rad) < 0.0 < max(angles_rad)
    finally:
        env.close()


def test_where_nothing_is_turned_there_is_no_dial() -> None:
    env = make_env(judged_config(load_config(list(SMALL))), picture_px=(60, 48))
    try:
        assert env.aim_rad is None
        env.begin(np.random.default_rng(0))
        assert env.aim_rad is None
        np.testing.assert_array_equal(scene(env), env.picture())
    finally:
        env.close()
