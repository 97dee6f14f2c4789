"""Laws of the rollout log: what was acknowledged is on disk, once, whatever dies; and standard tools can read it."""

from __future__ import annotations

import multiprocessing
import os
import resource
import struct
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from mcap.opcode import Opcode
from mcap.reader import make_reader

from robot import LogError
from robot.clock import monotonic_s, sleep_s
from robot.transport import Counters, Ring
from tests.training.records import BUS, STEP, bus_records, step_records
from training.records import dtype_of, ros2msg
from training.rollout_log import EpisodeWriter, Logger, RunMetadata, log_files, read_log, read_run, recover, set_aside, stream_positions

spawn = multiprocessing.get_context("spawn")
METADATA = RunMetadata(config_sha="abc", robot="test", seed=7)
FIELDS = ("stop", "log_error")


@dataclass
class Rings:
    steps: Ring
    bus: Ring
    counters: Counters

    def append(self, first: int, count: int, **where: object) -> None:
        for record in bus_records(2 * first, 2 * count, **{k: v for k, v in where.items() if k != "end"}):
            assert self.bus.append(np.array([record], BUS))
        for record in step_records(first, count, **where):
            assert self.steps.append(np.array([record], STEP))

    def logger(self, folder: Path) -> Logger:
        return Logger(folder, [self.steps], [self.bus], self.counters, METADATA)


@pytest.fixture
def rings() -> Iterator[Rings]:
    name = f"fetlock-test-{uuid.uuid4().hex[:12]}"
    made = Rings(Ring.create(f"{name}-s", STEP, 4096), Ring.create(f"{name}-b", BUS, 8192), Counters.create(f"{name}-c", FIELDS))
    yield made
    for piece in (made.steps, made.bus, made.counters):
        piece.close()
        piece.unlink()


def same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.tobytes() == b.tobytes()


@pytest.mark.parametrize("dtype", [STEP, BUS])
def test_the_schema_describes_the_record(dtype):
    assert dtype_of(ros2msg(dtype)) == dtype


def test_a_strange_schema_is_named():
    with pytest.raises(LogError, match="string frame"):
        dtype_of("float64 x\nstring frame\n")


@pytest.mark.parametrize("dtype", [STEP, BUS])
def test_records_are_cdr_messages(dtype):
    """Decode by the alignment rules of CDR, written from its specification: each primitive lies at a multiple of its size."""
    record = (step_records(3, 1) if dtype is STEP else bus_records(3, 1))[0]
    payload, at = record.tobytes(), 0
    codes = {"float64": "d", "float32": "f", "uint64": "Q", "uint32": "I", "uint8": "B"}
    for line in ros2msg(dtype).splitlines():
        kind, name = line.split()
        base, _, length = kind.partition("[")
        code, count = codes[base], int(length.rstrip("]") or 1)
        size = struct.calcsize(code)
        at += -at % size
        values = struct.unpack_from(f"<{count}{code}", payload, at)
        at += size * count
        np.testing.assert_array_equal(np.ravel(record[name]), values)
    assert at == len(payload)


def test_what_is_logged_comes_back_bit_for_bit_and_standard_readers_see_it(rings, tmp_path):
    logger = rings.logger(tmp_path)
    rings.append(0, 30, end=True)
    rings.append(30, 20, episode=1)
    logger.drain(flush=True)
    assert (rings.steps.acknowledged, rings.bus.acknowledged) == (50, 100)
    logger.close()
    assert [path.name for path in log_files(tmp_path)] == ["c0-e000000.mcap", "c0-e000001.mcap"]
    first, second = (read_log(path) for path in log_files(tmp_path))
    assert (first.complete, first.intact, second.complete, second.intact) == (True, True, False, True)
    assert same(first.steps, step_records(0, 30, end=True))
    assert same(first.bus, bus_records(0, 60))
    assert first.metadata["config_sha"] == "abc"
    with log_files(tmp_path)[0].open("rb") as file:
        reader = make_reader(file)
        summary = reader.get_summary()
        assert summary is not None
        assert summary.statistics is not None
        assert summary.statistics.message_count == 90
        assert {channel.topic for channel in summary.channels.values()} == {"/step", "/bus"}
        assert {schema.encoding for schema in summary.schemas.values()} == {"ros2msg"}


def test_nothing_is_acknowledged_before_it_is_flushed(rings, tmp_path):
    logger = rings.logger(tmp_path)
    rings.append(0, 3)
    logger.drain()
    assert rings.steps.acknowledged == 0
    deadline_s = monotonic_s() + 10.0
    while rings.steps.acknowledged < 3 and monotonic_s() < deadline_s:
        logger.drain()
    assert rings.steps.acknowledged == 3
    assert len(read_run(tmp_path)) == 3


def _log(folder: str, name: str) -> None:
    steps, bus = Ring.attach(f"{name}-s", STEP, 4096), Ring.attach(f"{name}-b", BUS, 8192)
    logger = Logger(Path(folder), [steps], [bus], Counters.attach(f"{name}-c", FIELDS), METADATA)
    while True:
        logger.drain()


def test_a_logger_killed_again_and_again_loses_and_doubles_nothing(rings, tmp_path):
    name = rings.steps.name.removesuffix("-s")
    rng = np.random.default_rng(1)
    made = acknowledged = 0
    for _ in range(10):
        process = spawn.Process(target=_log, args=(str(tmp_path), name))
        process.start()
        goal, deadline_s = rings.steps.acknowledged + int(rng.integers(5, 150)), monotonic_s() + 30.0
        while rings.steps.acknowledged < goal and monotonic_s() < deadline_s:
            if rings.steps.free > 50 and rings.bus.free > 100 and made < goal + 100:
                episode = made // 120
                rings.append(made, 1, episode=episode, end=made % 120 == 119)
                made += 1
        sleep_s(float(rng.uniform(0.0, 0.02)))
        process.kill()
        process.join()
        acknowledged = rings.steps.acknowledged
        on_disk = read_run(tmp_path)
        assert len(on_disk) >= acknowledged
    logger = rings.logger(tmp_path)
    while rings.steps.acknowledged < made:
        logger.drain(flush=True)
    logger.close()
    steps = read_run(tmp_path)
    np.testing.assert_array_equal(steps["sequence"], np.arange(made))
    bus = np.concatenate([read_log(path).bus for path in log_files(tmp_path)])
    np.testing.assert_array_equal(np.sort(bus["sequence"]), np.arange(2 * made))
    assert not list(tmp_path.glob("*.part"))


def write_log(folder: Path, steps: int = 40) -> Path:
    writer = EpisodeWriter(folder, 0, 0, STEP, BUS, METADATA)
    for i in range(0, steps, 4):
        writer.write(bus_records(2 * i, 8), step_records(i, 4))
        writer.flush()
    writer.finish(complete=True)
    return folder / "c0-e000000.mcap"


def test_a_log_cut_at_any_byte_is_read_up_to_the_cut(tmp_path):
    path = write_log(tmp_path)
    whole, content = read_log(path).steps, path.read_bytes()
    previous = 0
    for size in [*range(8, 120, 7), *range(120, len(content), 211)]:
        path.write_bytes(content[:size])
        try:
            log = read_log(path)
        except LogError:
            # Cut inside of the header: later cuts must be readable.
            assert previous == 0
            continue
        assert same(log.steps, whole[: len(log.steps)])
        assert len(log.steps) >= previous
        previous = len(log.steps)
    assert previous >= 36


def chunk_headers(content: bytes) -> Iterator[int]:
    """Yield the places of kind, length, times, size and checksum of all chunks (MCAP specification, section Records)."""
    at = 8
    while at < len(content) - 8:
        if content[at] == Opcode.CHUNK:
            yield from range(at, at + 1 + 8 + 28)
        at += 9 + int.from_bytes(content[at + 1 : at + 9], "little")


def test_a_flipped_byte_never_yields_wrong_records(tmp_path):
    path = write_log(tmp_path)
    whole, content = read_log(path).steps, path.read_bytes()
    rng = np.random.default_rng(0)
    for at in (*rng.integers(0, len(content), 150), *(place for place in chunk_headers(content) for _ in range(2))):
        damaged = bytearray(content)
        damaged[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(damaged))
        try:
            log = read_log(path)
        except LogError:
            continue
        assert log.steps.dtype != STEP or same(log.steps, whole[: len(log.steps)])


@pytest.mark.parametrize("content", [b"", b"not a log at all, but some text", b"\x89MCAP0\r\n"])
def test_a_file_that_is_no_log_says_so(tmp_path, content):
    path = tmp_path / "c0-e000000.mcap"
    path.write_bytes(content)
    with pytest.raises(LogError, match="is no rollout log"):
        read_log(path)
    with pytest.raises(LogError, match="cannot be read"):
        read_log(tmp_path / "missing.mcap")


def test_a_missing_or_copied_file_is_an_error_that_names_a_file(rings, tmp_path):
    logger = rings.logger(tmp_path)
    for episode in range(3):
        rings.append(10 * episode, 10, episode=episode, end=True)
    logger.drain(flush=True)
    middle = tmp_path / "c0-e000001.mcap"
    content = middle.read_bytes()
    middle.unlink()
    with pytest.raises(LogError, match=r"c0-e000002\.mcap: step 20 .* follows 9"):
        read_run(tmp_path)
    middle.write_bytes(content)
    (tmp_path / "c0-e000003.mcap").write_bytes(content)
    with pytest.raises(LogError, match="occurs twice"):
        read_run(tmp_path)


def test_recovery_can_be_repeated_and_moves_empty_leftovers_aside(tmp_path):
    path = write_log(tmp_path)
    part = path.with_name(path.name + ".part")
    part.write_bytes(path.read_bytes()[:-300])
    whole = read_log(path).steps
    path.unlink()
    (tmp_path / "c0-e000001.mcap.part").write_bytes(b"")
    assert recover(tmp_path) == [path]
    assert recover(tmp_path) == []
    log = read_log(path)
    assert log.intact
    assert not log.complete
    assert same(log.steps, whole[: len(log.steps)])
    assert len(log.steps) >= 36
    assert [p.name for p in (tmp_path / "empty").iterdir()] == ["c0-e000001.mcap.part"]


def test_what_lies_behind_a_position_is_set_aside_not_deleted(rings, tmp_path):
    logger = rings.logger(tmp_path)
    for episode in range(4):
        rings.append(10 * episode, 10, episode=episode, end=True)
    logger.drain(flush=True)
    position = stream_positions(tmp_path, 1)[0]
    assert (position.step, position.bus, position.episode) == (40, 80, 4)
    assert [path.name for path in set_aside(tmp_path, {0: 20})] == ["c0-e000002.mcap", "c0-e000003.mcap"]
    assert len(read_run(tmp_path)) == 20
    assert len(list((tmp_path / "discarded-0").iterdir())) == 2
    assert stream_positions(tmp_path, 1)[0].episode == 2


def _log_on_a_small_disk(folder: str, name: str) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, resource.RLIM_INFINITY))
    steps, bus = Ring.attach(f"{name}-s", STEP, 4096), Ring.attach(f"{name}-b", BUS, 8192)
    counters = Counters.attach(f"{name}-c", FIELDS)
    logger = Logger(Path(folder), [steps], [bus], counters, METADATA)
    while not counters.get("log_error"):
        logger.drain(flush=True)
    while not counters.get("stop"):
        sleep_s(0.005)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    while steps.acknowledged < steps.head:
        logger.drain(flush=True)
        sleep_s(0.05)
    logger.close()


def test_a_disk_that_refuses_stops_the_acknowledgements_and_recording_goes_on_when_it_can(rings, tmp_path):
    name = rings.steps.name.removesuffix("-s")
    process = spawn.Process(target=_log_on_a_small_disk, args=(str(tmp_path), name))
    process.start()
    made, deadline_s = 0, monotonic_s() + 60.0
    while not rings.counters.get("log_error") and monotonic_s() < deadline_s:
        if rings.steps.free > 10 and rings.bus.free > 20:
            rings.append(made, 1)
            made += 1
    assert rings.counters.get("log_error") == 1
    acknowledged = rings.steps.acknowledged
    assert acknowledged < made
    assert len(read_run(tmp_path)) >= acknowledged
    rings.append(made, 5, end=True)
    made += 5
    rings.counters.set("stop", 1)
    process.join(60.0)
    assert rings.steps.acknowledged == made
    assert rings.counters.get("log_error") == 0
    np.testing.assert_array_equal(read_run(tmp_path)["sequence"], np.arange(made))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_named_with_the_fix(rings, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(LogError, match="--runs-dir"):
        rings.logger(tmp_path / "rollouts")
