"""Laws of frames in the log: what was captured comes back bit for bit, with its step, whatever dies; standard readers see the pictures."""

from __future__ import annotations

import multiprocessing
import uuid
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory
from rerun.chunk import McapReader

from fetlock.__main__ import main
from robot import LogError
from robot.clock import monotonic_s, sleep_s
from robot.transport import Counters, Ring
from tests.training.records import BUS, STEP, bus_records, step_records
from training.link import Link, LinkShape
from training.records import frame_dtype
from training.rollout_log import (
    PART,
    EpisodeWriter,
    Logger,
    RolloutLog,
    RunMetadata,
    StreamPosition,
    copy_log,
    log_files,
    read_log,
    read_seen,
    recover,
)
from training.rollout_log.frames import Frames, encode

spawn = multiprocessing.get_context("spawn")
METADATA = RunMetadata(config_sha="abc", robot="test", seed=7)
FIELDS = ("stop", "log_error")
HEIGHT, WIDTH = 12, 16
FRAME = frame_dtype(HEIGHT, WIDTH)


def image_of(sequence: int) -> np.ndarray:
    """What the camera saw at a step: anything, but always the same."""
    return np.random.default_rng(sequence).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def frame_records(first: int, count: int, *, episode: int = 0) -> np.ndarray:
    records = np.zeros(count, FRAME)
    records["sequence"] = np.arange(first, first + count)
    records["episode"] = episode
    records["stamp_s"] = 0.02 * records["sequence"] + np.pi
    records["image"] = [image_of(sequence) for sequence in range(first, first + count)]
    return records


class Rings:
    """The rings of one robot with a camera."""

    def __init__(self, name: str, *, create: bool) -> None:
        make = Ring.create if create else Ring.attach
        self.name = name
        self.steps, self.bus = make(f"{name}-s", STEP, 4096), make(f"{name}-b", BUS, 8192)
        self.frames = make(f"{name}-f", FRAME, 512)
        self.counters = (Counters.create if create else Counters.attach)(f"{name}-c", FIELDS)

    def append(self, first: int, count: int, *, episode: int = 0, end: bool = False, seen: bool = True, last: bool = False) -> None:
        for step in range(first, first + count):
            if seen:
                assert self.frames.append(frame_records(step, 1, episode=episode))
            if last and step == first + count - 1:
                assert self.frames.append(frame_records(step + 1, 1, episode=episode))
            for record in bus_records(2 * step, 2, episode=episode):
                assert self.bus.append(np.array([record], BUS))
            record = step_records(step, 1, episode=episode, end=end and step == first + count - 1)
            record["step"] = step - first
            assert self.steps.append(record)

    def logger(self, folder: Path) -> Logger:
        return Logger(folder, [self.steps], [self.bus], self.counters, METADATA, [self.frames])


@pytest.fixture
def rings() -> Iterator[Rings]:
    made = Rings(f"fetlock-test-{uuid.uuid4().hex[:12]}", create=True)
    yield made
    for piece in (made.steps, made.bus, made.frames, made.counters):
        piece.close()
        piece.unlink()


def require_seen(log: RolloutLog, sequence: np.ndarray) -> None:
    """Require exactly these frames, bit for bit."""
    assert log.frames is not None
    np.testing.assert_array_equal(log.frames.sequence, sequence)
    assert log.frames.stamp_s.tobytes() == (0.02 * log.frames.sequence + np.pi).tobytes()
    for number, image in zip(log.frames.sequence.tolist(), log.frames.decoded(), strict=True):
        assert image.tobytes() == image_of(number).tobytes()


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_coding_loses_nothing(data):
    size = data.draw(st.tuples(st.integers(1, 20), st.integers(1, 20)))
    record = np.zeros(1, frame_dtype(*size))
    record["image"] = data.draw(arrays(np.uint8, (1, *size, 3)))
    record["sequence"] = data.draw(st.integers(0, 2**64 - 1))
    record["stamp_s"] = data.draw(st.floats(allow_nan=False))
    frames = encode(record)
    assert frames.images().tobytes() == record["image"].tobytes()
    assert frames.sizes_px == {size[::-1]}
    assert (frames.sequence.tobytes(), frames.stamp_s.tobytes()) == (record["sequence"].tobytes(), record["stamp_s"].tobytes())


def test_what_was_captured_comes_back_bit_for_bit_through_a_process(rings, tmp_path):
    rings.append(0, 90, end=True)
    rings.append(90, 40, episode=1)
    process = spawn.Process(target=_log_until, args=(str(tmp_path), rings.name, 130))
    process.start()
    process.join(60.0)
    assert process.exitcode == 0
    assert (rings.steps.acknowledged, rings.frames.acknowledged) == (130, 130)
    first, second = (read_log(path, frames=True) for path in log_files(tmp_path))
    require_seen(first, np.arange(90))
    require_seen(second, np.arange(90, 130))
    assert first.frames.images().shape == (90, HEIGHT, WIDTH, 3)
    # Nobody who does not ask for frames pays for them.
    plain = read_log(log_files(tmp_path)[0])
    assert plain.frames is None
    assert (plain.steps.tobytes(), plain.bus.tobytes(), plain.intact) == (first.steps.tobytes(), first.bus.tobytes(), True)


def _log_until(folder: str, name: str, steps: int) -> None:
    rings = Rings(name, create=False)
    logger = rings.logger(Path(folder))
    while rings.steps.acknowledged < steps:
        logger.drain()
    logger.close()


def test_a_standard_reader_and_a_plain_decoder_see_the_pictures(rings, tmp_path):
    rings.append(0, 5, end=True)
    rings.logger(tmp_path).drain(flush=True)
    with (tmp_path / "c0-e000000.mcap").open("rb") as file:
        reader = make_reader(file, decoder_factories=[DecoderFactory()])
        messages = [message for _, _, _, message in reader.iter_decoded_messages(["/camera"])]
    assert len(messages) == 5
    for sequence, message in enumerate(messages):
        assert (message.header.frame_id, message.format) == ("camera", "png")
        assert message.header.stamp.sec + 1e-9 * message.header.stamp.nanosec == pytest.approx(0.02 * sequence + np.pi, abs=1e-9)
        picture = cv2.imdecode(np.frombuffer(bytes(message.data), np.uint8), cv2.IMREAD_COLOR)
        assert (picture[:, :, ::-1] == image_of(sequence)).all()


def test_rerun_opens_the_log_with_its_pictures(tmp_path):
    path = write_log(tmp_path)
    batches = [chunk.to_record_batch() for chunk in McapReader(path).stream() if chunk.entity_path == "/camera" and not chunk.is_static]
    pngs = [bytes(cell[0]) for batch in batches for cell in batch.column("EncodedImage:blob").to_pylist()]
    assert sorted(pngs) == sorted(read_log(path, frames=True).frames.pngs)
    assert len(pngs) == 40


def test_a_frame_is_acknowledged_with_its_step_and_not_before(rings, tmp_path):
    logger = rings.logger(tmp_path)
    rings.append(0, 3)
    # The frame of a tick that is not over yet.
    assert rings.frames.append(frame_records(3, 1))
    logger.drain()
    assert rings.frames.acknowledged == 0
    logger.drain(flush=True)
    assert (rings.steps.acknowledged, rings.frames.acknowledged) == (3, 3)


def test_the_frame_of_a_tick_that_a_killed_collector_never_finished_is_nobodys(rings, tmp_path):
    logger = rings.logger(tmp_path)
    rings.append(0, 3)
    orphan = frame_records(3, 1)
    orphan["image"] = 0
    assert rings.frames.append(orphan)
    rings.append(3, 80, episode=1)
    logger.drain(flush=True)
    logger.close()
    first, second = (read_log(path, frames=True) for path in log_files(tmp_path))
    require_seen(first, np.arange(3))
    require_seen(second, np.arange(3, 83))
    assert rings.frames.acknowledged == rings.frames.head == 84


def test_the_frame_of_the_last_observation_is_in_the_log_of_its_episode(rings, tmp_path):
    logger = rings.logger(tmp_path)
    rings.append(0, 70, end=True, last=True)
    logger.drain(flush=True)
    # Before the next episode begins.
    assert rings.frames.acknowledged == 71
    rings.append(70, 5, episode=1, end=True, last=True)
    rings.append(75, 3, episode=2)
    logger.drain(flush=True)
    logger.close()
    logs = [read_log(path, frames=True) for path in log_files(tmp_path)]
    for log, numbers in zip(logs, (np.arange(71), np.arange(70, 76), np.arange(75, 78)), strict=True):
        require_seen(log, numbers)
        assert len(log.frames.belonging(log.steps)) == len(numbers)
        np.testing.assert_array_equal(log.frames.of_steps(log.steps).sequence, log.steps["sequence"])
    assert [main(["log", "verify", str(path)]) for path in log_files(tmp_path)] == [0, 0, 0]


def test_the_last_frame_of_an_episode_whose_last_step_never_came_is_nobodys(rings, tmp_path):
    logger = rings.logger(tmp_path)
    rings.append(0, 3)
    # Killed between the frames and the step.
    assert rings.frames.append(frame_records(3, 1))
    assert rings.frames.append(frame_records(4, 1))
    rings.append(3, 1, episode=1, end=True, last=True)
    rings.append(4, 2, episode=2)
    logger.drain(flush=True)
    logger.close()
    for path, numbers in zip(log_files(tmp_path), (np.arange(3), np.arange(3, 5), np.arange(4, 6)), strict=True):
        require_seen(read_log(path, frames=True), numbers)
    assert rings.frames.acknowledged == rings.frames.head


def test_a_frame_that_found_no_room_is_missing_alone(rings, tmp_path):
    logger = rings.logger(tmp_path)
    rings.append(0, 3)
    rings.append(3, 2, seen=False)
    rings.append(5, 3)
    logger.drain(flush=True)
    logger.close()
    log = read_log(tmp_path / "c0-e000000.mcap", frames=True)
    assert len(log.steps) == 8
    require_seen(log, np.array([0, 1, 2, 5, 6, 7]))


def _log_for_ever(folder: str, name: str) -> None:
    logger = Rings(name, create=False).logger(Path(folder))
    while True:
        logger.drain()


def test_a_logger_killed_again_and_again_loses_and_doubles_no_frame(rings, tmp_path):
    rng = np.random.default_rng(1)
    made = 0
    for _ in range(3):
        process = spawn.Process(target=_log_for_ever, args=(str(tmp_path), rings.name))
        process.start()
        goal, deadline_s = rings.steps.acknowledged + int(rng.integers(5, 120)), monotonic_s() + 30.0
        while rings.steps.acknowledged < goal and monotonic_s() < deadline_s:
            if min(rings.steps.free, rings.frames.free) > 50 and made < goal + 100:
                rings.append(made, 1, episode=made // 120, end=made % 120 == 119)
                made += 1
            else:
                sleep_s(0.001)
        process.kill()
        process.join()
        acknowledged = rings.frames.acknowledged
        seen = [read_log(path, frames=True).frames.sequence for path in log_files(tmp_path)]
        assert np.isin(np.arange(acknowledged), np.concatenate([*seen, []])).all()
    logger = rings.logger(tmp_path)
    while rings.steps.acknowledged < made:
        logger.drain(flush=True)
    logger.close()
    logs = [read_log(path, frames=True) for path in log_files(tmp_path)]
    for log in logs:
        require_seen(log, log.steps["sequence"])
    np.testing.assert_array_equal(np.concatenate([log.frames.sequence for log in logs]), np.arange(made))


def write_log(folder: Path, steps: int = 40) -> Path:
    folder.mkdir(exist_ok=True)
    writer = EpisodeWriter(folder, 0, 0, STEP, BUS, METADATA)
    for i in range(0, steps, 4):
        writer.write(bus_records(2 * i, 8), step_records(i, 4), encode(frame_records(i, 4)))
        writer.flush()
    writer.finish(complete=True)
    return folder / "c0-e000000.mcap"


def test_a_log_cut_at_any_byte_has_the_frames_before_the_cut(tmp_path):
    path = write_log(tmp_path)
    content = path.read_bytes()
    previous = 0
    for size in [*range(8, 120, 13), *range(120, len(content), 701)]:
        path.write_bytes(content[:size])
        try:
            log = read_log(path, frames=True)
        except LogError:
            assert previous == 0
            continue
        require_seen(log, np.arange(len(log.frames)))
        # Every step that is there has its frame.
        assert len(log.frames) >= max(previous, len(log.steps))
        previous = len(log.frames)
    assert previous == 40


def test_a_flipped_byte_never_yields_a_wrong_frame(tmp_path):
    path = write_log(tmp_path)
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    for at in rng.integers(0, len(content), 60):
        damaged = bytearray(content)
        damaged[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(damaged))
        try:
            log = read_log(path, frames=True)
        except LogError:
            continue
        require_seen(log, np.arange(len(log.frames)))


def test_recovery_keeps_the_frames_of_all_steps_byte_for_byte(tmp_path):
    path = write_log(tmp_path)
    whole = read_log(path, frames=True)
    part = path.with_name(path.name + ".part")
    # Cut behind the frames of the last steps, and before those steps.
    part.write_bytes(path.read_bytes()[: path.read_bytes().rindex(b"fetlock.end") - 500])
    path.unlink()
    left = read_log(part, frames=True)
    assert len(left.frames) >= len(left.steps) > 30
    assert recover(tmp_path) == [path]
    log = read_log(path, frames=True)
    assert log.intact
    assert log.steps.tobytes() == left.steps.tobytes()
    assert log.frames.pngs == whole.frames.pngs[: len(log.steps)]
    require_seen(log, log.steps["sequence"])


def test_a_copy_of_some_steps_has_their_frames_byte_for_byte(tmp_path):
    log = read_log(write_log(tmp_path), frames=True)
    steps = log.steps[7:20]
    copy_log(tmp_path / "copy.mcap", log.bus[14:40], steps, log.frames.of_steps(steps), log.metadata, complete=False)
    assert read_log(tmp_path / "copy.mcap", frames=True).frames.pngs == log.frames.pngs[7:20]


def test_a_log_without_frames_has_none(tmp_path):
    writer = EpisodeWriter(tmp_path, 0, 0, STEP, BUS, METADATA)
    writer.write(bus_records(0, 8), step_records(0, 4))
    writer.finish(complete=True)
    log = read_log(tmp_path / "c0-e000000.mcap", frames=True)
    assert (log.intact, len(log.steps), len(log.frames), log.frames.images().shape) == (True, 4, 0, (0, 0, 0, 3))


def test_images_that_cannot_be_decoded_or_do_not_belong_together_are_named():
    small = np.zeros(1, frame_dtype(4, 4))
    mixed = Frames.of([(0, 0.0), (1, 0.0)], [*encode(frame_records(0, 1)).pngs, *encode(small).pngs])
    with pytest.raises(LogError, match=r"different sizes, \[\(4, 4\), \(16, 12\)\]"):
        mixed.images()
    cut = Frames.of([(9, 0.0)], [encode(frame_records(9, 1)).pngs[0][:100]])
    with pytest.raises(LogError, match="frame of step 9 is no image"):
        list(cut.decoded())


@pytest.mark.parametrize(("height", "width", "capacity"), [(84, 84, 3166), (256, 256, 341), (16, 16, 16384)])
def test_shared_memory_for_frames_is_bounded(height, width, capacity):
    shape = LinkShape(f"fetlock-test-{uuid.uuid4().hex[:12]}", 1, 5, 2, 3, 4, (height, width))
    link = Link.create(shape, [StreamPosition()])
    try:
        other = Link.attach(shape)
        assert other.frames_of(0).capacity == capacity
        assert capacity * other.frames_of(0).dtype.itemsize <= 64 * 2**20
        other.close()
    finally:
        link.close()
        link.unlink()


def test_a_file_that_is_finished_while_it_is_read_has_its_frames(rings, tmp_path, monkeypatch):
    logger = rings.logger(tmp_path)
    rings.append(0, 5, end=True, last=True)
    logger.drain(flush=True)
    (path,) = log_files(tmp_path)
    # As it was called when the folder was looked through.
    monkeypatch.setattr("training.rollout_log.reader.log_files", lambda _: [path.with_name(path.name + PART)])
    ((collector, steps, frames),) = read_seen(tmp_path)
    assert (collector, len(steps)) == (0, 5)
    np.testing.assert_array_equal(frames["sequence"], np.arange(6))
    assert (frames["episode"] == 0).all()
    for number, image in zip(frames["sequence"].tolist(), frames["image"], strict=True):
        assert image.tobytes() == image_of(number).tobytes()
    assert list(read_seen(tmp_path, start=5)) == []
