"""Laws of the replay of images: every stack is what the policy saw, whenever frames come, and each frame is held once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.image import FrameStack, ImageLayout
from robot import UsageError
from tests.training.records import STEP, step_records
from training.frames import FrameStore
from training.pixel_replay import PixelReplay, default_shift_px
from training.records import frame_dtype
from training.sac import Batch

HEIGHT, WIDTH = 16, 20
FRAME = frame_dtype(HEIGHT, WIDTH)
NO_STEPS, NO_FRAMES = np.zeros(0, STEP), np.zeros(0, FRAME)


def image_layout(stack: int) -> ImageLayout:
    return ImageLayout(width_px=WIDTH, height_px=HEIGHT, stack=stack, encoder="residual", features=8)


def picture(collector: int, episode: int, sequence: int) -> np.ndarray:
    return np.random.default_rng([collector, episode, sequence]).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def frames_of(keys: list[tuple[int, int]], collector: int = 0) -> np.ndarray:
    records = np.zeros(len(keys), FRAME)
    for record, (episode, sequence) in zip(records, keys, strict=True):
        record["episode"], record["sequence"], record["image"] = episode, sequence, picture(collector, episode, sequence)
    return records


def episodes_of(lengths: list[int], collector: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Steps and frames of whole episodes, one after the other; a step's reward is its sequence and its collector."""
    steps, keys, first = [], [], 0
    for episode, length in enumerate(lengths):
        steps.append(step_records(first, length, episode=episode, collector=collector, end=True))
        keys += [(episode, first + step) for step in range(length + 1)]
        first += length
    joined = np.concatenate(steps)
    joined["reward"] = joined["sequence"] + 0.25 * collector
    return joined, frames_of(keys, collector)


def seen_by(step: np.void, stack: int) -> tuple[np.ndarray, np.ndarray]:
    """The stacks before and after a step, as a policy that acts stacks them."""
    frames, stacks = FrameStack(image_layout(stack)), []
    episode, sequence, collector = int(step["episode"]), int(step["sequence"]), int(step["collector"])
    for number in range(sequence - int(step["step"]), sequence + 2):
        stacks.append(frames.push(picture(collector, episode, number)))
    return stacks[-2], stacks[-1]


def everything(replay: PixelReplay, batch: int = 64) -> Batch:
    return next(replay.sample(batch, 1, torch.Generator().manual_seed(0)))


def same(one: Batch, other: Batch) -> bool:
    """Tell whether two batches hold the same columns, those of images and of the object among them."""
    columns = [name for name in Batch._fields if getattr(one, name) is not None]
    assert {"image", "next_image", "object_rad"} <= {*columns}
    assert columns == [name for name in Batch._fields if getattr(other, name) is not None]
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in columns)


def require_true(replay: PixelReplay, steps: np.ndarray, stack: int) -> set[float]:
    """Require that what is sampled from a replay without shifts is what happened; return the rewards that were seen."""
    by_reward = {float(step["reward"]): step for step in steps}
    batch = everything(replay)
    assert batch.image is not None
    assert batch.next_image is not None
    for number, reward in enumerate(batch.reward.tolist()):
        before, after = seen_by(by_reward[reward], stack)
        np.testing.assert_array_equal(batch.image[number].numpy(), before)
        np.testing.assert_array_equal(batch.next_image[number].numpy(), after)
        np.testing.assert_array_equal(batch.observation[number].numpy(), by_reward[reward]["observation"])
    return set(batch.reward.tolist())


def cut(data: st.DataObject, count: int) -> list[int]:
    """Places at which a stream of `count` records is cut into calls."""
    return sorted({0, count, *data.draw(st.lists(st.integers(0, count), max_size=6))})


@settings(max_examples=40)
@given(st.data())
def test_what_grew_in_any_order_of_calls_is_what_is_rebuilt_at_once_and_true(data):
    stack, capacity = data.draw(st.integers(1, 4)), data.draw(st.integers(4, 30))
    steps, frames = episodes_of(data.draw(st.lists(st.integers(1, 12), min_size=1, max_size=5)))
    at_once = PixelReplay(5, 2, image_layout(stack), capacity, shift_px=0, tracking=True)
    at_once.extend(steps, frames)
    grown = PixelReplay(5, 2, image_layout(stack), capacity, shift_px=0, tracking=True)
    places = cut(data, len(steps)), cut(data, len(frames))
    calls = [(steps[a:b], NO_FRAMES) for a, b in zip(places[0], places[0][1:], strict=False)]
    calls_of_frames = [(NO_STEPS, frames[a:b]) for a, b in zip(places[1], places[1][1:], strict=False)]
    while calls or calls_of_frames:
        from_steps = bool(calls) and (not calls_of_frames or data.draw(st.booleans()))
        grown.extend(*(calls if from_steps else calls_of_frames).pop(0))
    assert (grown.size, grown.waiting, grown.missing) == (at_once.size, 0, 0)
    assert same(everything(grown), everything(at_once))
    newest = steps["reward"][-grown.size :].tolist()
    assert require_true(grown, steps, stack) <= set(newest)


@settings(max_examples=25)
@given(st.lists(st.integers(8, 30), min_size=1, max_size=4), st.integers(1, 3))
def test_long_episodes_fill_the_capacity(lengths, stack):
    steps, frames = episodes_of(lengths)
    replay = PixelReplay(5, 2, image_layout(stack), 20, shift_px=0)
    assert replay.extend(steps, frames) == len(steps)
    assert replay.size == min(20, len(steps))


def test_short_episodes_leave_fewer_transitions_and_the_newest():
    steps, frames = episodes_of([1] * 400)
    replay = PixelReplay(5, 2, image_layout(2), 200, shift_px=0)
    assert replay.extend(steps, frames) == 400
    assert 100 < replay.size < 200
    assert require_true(replay, steps, 2) <= set(steps["reward"][-replay.size :].tolist())


@settings(max_examples=25)
@given(st.data())
def test_steps_whose_frame_never_comes_are_left_out_and_counted(data):
    stack = data.draw(st.integers(1, 3))
    steps, frames = episodes_of([6, 9, 7])
    lost = data.draw(st.sets(st.integers(0, len(frames) - 2), max_size=4))
    replay = PixelReplay(5, 2, image_layout(stack), 100, shift_px=0)
    replay.extend(steps, frames[[number for number in range(len(frames)) if number not in lost]])
    gone = {(int(frames[number]["episode"]), int(frames[number]["sequence"])) for number in lost}
    whole = [
        float(step["reward"])
        for step in steps
        if not gone
        & {
            (int(step["episode"]), number)
            for number in range(max(int(step["sequence"]) - stack + 1, int(step["sequence"] - step["step"])), int(step["sequence"]) + 2)
        }
    ]
    assert (replay.size, replay.missing, replay.waiting) == (len(whole), len(steps) - len(whole), 0)
    if whole:
        assert require_true(replay, steps, stack) <= set(whole)


def test_a_step_waits_for_its_last_frame_and_those_behind_it_wait_with_it():
    steps, frames = episodes_of([4])
    others, seen = episodes_of([3], collector=1)
    replay = PixelReplay(5, 2, image_layout(2), 100, shift_px=0)
    assert replay.extend(steps, frames[:4]) == 3
    assert replay.extend(others, seen, collector=1) == 0
    assert replay.waiting == 4
    assert replay.extend(NO_STEPS, frames[4:]) == 4
    assert (replay.size, replay.missing, replay.waiting) == (7, 0, 0)
    assert require_true(replay, np.concatenate([steps, others]), 2) == {0.0, 1.0, 2.0, 3.0, 0.25, 1.25, 2.25}


def test_collectors_that_take_turns_never_see_each_others_frames():
    streams = [episodes_of([30, 25], collector) for collector in range(3)]
    replay = PixelReplay(5, 2, image_layout(3), 200, shift_px=0)
    for first in range(0, 57, 7):
        for collector, (steps, frames) in enumerate(streams):
            replay.extend(steps[first : first + 7], frames[first : first + 7], collector)
    assert (replay.size, replay.waiting) == (3 * 55, 0)
    require_true(replay, np.concatenate([steps for steps, _ in streams]), 3)


def test_what_the_guard_drove_is_not_learned_from_but_its_frames_are_seen():
    steps, frames = episodes_of([8])
    steps["mode"][2:4] = 1
    replay = PixelReplay(5, 2, image_layout(3), 100, shift_px=0)
    assert replay.extend(steps, frames) == 6
    assert replay.missing == 0
    assert require_true(replay, steps, 3) == {0.0, 1.0, 4.0, 5.0, 6.0, 7.0}


@settings(max_examples=50)
@given(st.integers(-5, 5), st.integers(-5, 5), st.integers(0, 6))
def test_a_shift_is_padding_by_the_edge_and_a_crop(down, right, number):
    store = FrameStore(7, HEIGHT, WIDTH)
    images = np.stack([picture(0, 0, sequence) for sequence in range(7)])
    store.write(np.arange(7), images)
    gathered = store.gather(np.array([[number, 6 - number]]), np.array([[down, right]]))[0]
    for image, source in zip(gathered, (images[number], images[6 - number]), strict=True):
        padded = np.pad(source, ((5, 5), (5, 5), (0, 0)), mode="edge")
        np.testing.assert_array_equal(image, padded[5 + down : 5 + down + HEIGHT, 5 + right : 5 + right + WIDTH])


def test_stacks_are_shifted_each_on_its_own_and_their_frames_alike():
    steps, frames = episodes_of([3])
    frames["image"] = picture(0, 0, 0)
    replay = PixelReplay(5, 2, image_layout(3), 10, shift_px=3)
    replay.extend(steps, frames)
    batch = everything(replay, 200)
    assert batch.image is not None
    assert batch.next_image is not None
    assert (batch.image == batch.image[:, :1]).all()
    assert len(np.unique(batch.image[:, 0].reshape(200, -1).numpy(), axis=0)) > 30
    assert not torch.equal(batch.image, batch.next_image)


@pytest.mark.parametrize(("side", "shift"), [(84, 4), (64, 3), (32, 2)])
def test_the_shift_keeps_its_share_of_the_image(side, shift):
    assert default_shift_px(side) == shift


@pytest.mark.parametrize("side", [32, 84])
def test_it_holds_each_frame_once(side):
    layout = ImageLayout(width_px=side, height_px=side, stack=3, encoder="residual", features=50)
    replay = PixelReplay(18, 9, layout, 20_000)
    rows = 20_000 * 4 * (18 + 9 + 2 + 18)
    assert replay.nbytes <= 1.05 * 20_000 * side * side * 3 + rows


def test_a_replay_on_disk_samples_the_same_and_leaves_nothing(tmp_path: Path):
    steps, frames = episodes_of([9, 9])
    on_disk, in_memory = (PixelReplay(5, 2, image_layout(2), 12, folder, tracking=True) for folder in (tmp_path / "frames", None))
    for replay in (on_disk, in_memory):
        replay.extend(steps, frames)
    assert list((tmp_path / "frames").iterdir()) == []
    assert same(everything(on_disk), everything(in_memory))


def test_images_that_nobody_looks_at_are_left_out():
    steps, frames = episodes_of([8])
    whole, part = (PixelReplay(5, 2, image_layout(2), 12, shift_px=0, **options) for options in ({}, {"images": 3, "following": False}))
    for replay in (whole, part):
        replay.extend(steps, frames)
    (everything,), (some,) = (replay.sample(16, 1, torch.Generator().manual_seed(1)) for replay in (whole, part))
    assert torch.equal(some.image, everything.image[:3])
    assert some.next_image is None
    assert torch.equal(some.next_observation, everything.next_observation)


def test_no_room_for_frames_is_said_at_once(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"no file of .* GB for frames can be made"):
        PixelReplay(5, 2, image_layout(2), 12, tmp_path / "file")


def test_frames_of_another_size_and_an_empty_replay_are_refused():
    replay = PixelReplay(5, 2, image_layout(2), 12)
    with pytest.raises(UsageError, match="frames of 8 x 9 px do not fit a replay of 20 x 16 px"):
        replay.extend(NO_STEPS, np.zeros(1, frame_dtype(9, 8)))
    with pytest.raises(UsageError, match="empty"):
        next(replay.sample(4, 1, torch.Generator()))


def test_noise_fills_it():
    replay = PixelReplay(5, 2, image_layout(2), 12)
    replay.fill_with_noise(torch.Generator().manual_seed(0))
    assert replay.size == 12
    batch = everything(replay)
    assert batch.image is not None
    assert batch.image.shape == (64, 2, HEIGHT, WIDTH, 3)
    assert not batch.terminated.any()
