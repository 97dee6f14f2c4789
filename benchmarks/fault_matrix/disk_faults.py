"""Faults of what is written down: a full disk, a power cut, a checkpoint that is killed, weights that nobody may use."""

from __future__ import annotations

import multiprocessing
import resource
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast
from uuid import uuid4

import numpy as np
import torch

from benchmarks.fault_matrix.checks import require
from benchmarks.fault_matrix.dying import killed_at
from benchmarks.fault_matrix.made_records import BUS, STEP, steps_of, ticks_of
from benchmarks.fault_matrix.outcome import Outcome, WrongOutcome
from policy.acting import make_actor
from policy.layout import PolicyLayout, Vector
from robot.errors import PolicyError
from robot.transport import Counters, Ring
from training.checkpoint import CheckpointState, load_checkpoint, save_checkpoint
from training.collector import Collector
from training.feed import WeightFeed
from training.rollout_log import EpisodeWriter, Logger, RunMetadata, log_files, read_log, read_run, recover
from training.rollout_log import logger as logger_module
from training.transport import WeightSlot

_fork = multiprocessing.get_context("fork")
_METADATA = RunMetadata(config_sha="faults", robot="made up", seed=0)
# Files of the first episode have about 600 bytes before a record and 7,000 in all (tests/training/test_durability.py).
_LIMIT_BYTES = (600, 20_000)
# Two checkpoints take about 150 system calls (`./run bench kill_sweep`), and beyond the last a learner lives.
_SAVE_CALLS = 170


def disk_full(rng: np.random.Generator) -> None:
    """The disk takes no more at a random byte; later there is room again: nothing is lost or doubled."""
    limit = int(rng.integers(*_LIMIT_BYTES))
    with TemporaryDirectory() as folder:
        process = _fork.Process(target=_fill, args=(folder, limit, int(rng.integers(1, 20))))
        process.start()
        process.join(60.0)
        require(process.exitcode == 0, f"the logger's process ended with {process.exitcode}")


def _fill(folder: str, limit: int, batch: int) -> None:
    # The logger tries again every second; here at once.
    logger_module._RETRY_S = 0.0  # noqa: SLF001
    path, name = Path(folder) / "rollouts", f"fetlock-faults-{uuid4().hex[:8]}"
    rings = Ring.create(f"{name}-s", STEP, 4096), Ring.create(f"{name}-b", BUS, 8192)
    counters = Counters.create(f"{name}-c", ("log_error",))
    soft = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        logger = Logger(path, [rings[0]], [rings[1]], counters, _METADATA)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, soft[1]))
        made = 0
        for turn in range(24):
            _append(rings, made, batch, turn // 6, end=turn % 6 == 5)
            made += batch
            logger.drain(flush=True)
            if len(read_run(path)) < rings[0].acknowledged:
                raise WrongOutcome("acknowledged steps are not on the disk")
        resource.setrlimit(resource.RLIMIT_FSIZE, soft)
        # The next record shows that there is room again.
        _append(rings, made, 1, 4, end=False)
        made += 1
        for _ in range(1000):
            if rings[0].acknowledged >= made:
                break
            logger.drain(flush=True)
        logger.close()
        sequence = read_run(path)["sequence"]
        if counters.get("log_error") or not np.array_equal(sequence, np.arange(made)):
            raise WrongOutcome("steps were lost or doubled")
    finally:
        for piece in (*rings, counters):
            piece.close()
            piece.unlink()


def _append(rings: tuple[Ring, Ring], first: int, count: int, episode: int, *, end: bool) -> None:
    for tick in ticks_of(2 * first, 2 * count, episode):
        rings[1].append(np.array([tick], BUS))
    for record in steps_of(first, count, episode, end=end):
        rings[0].append(np.array([record], STEP))


def power_cut(rng: np.random.Generator) -> Outcome:
    """A log whose end never reached the disk, from a random byte on."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        writer = EpisodeWriter(folder, 0, 0, STEP, BUS, _METADATA)
        safe: list[tuple[int, int]] = []
        made = 0
        for batch in rng.integers(1, 9, 12).tolist():
            writer.write(ticks_of(2 * made, 2 * batch, 0), steps_of(made, batch, 0))
            writer.flush()
            made += batch
            safe.append((next(folder.glob("*.part")).stat().st_size, made))
        writer.abandon()
        part = next(folder.glob("*.part"))
        size = int(rng.integers(1, part.stat().st_size + 1))
        with part.open("r+b") as file:
            file.truncate(size)
        recover(folder)
        files = log_files(folder)
        sequence = read_log(files[0]).steps["sequence"] if files else np.zeros(0, np.uint64)
        least = max((count for at, count in safe if at <= size), default=0)
        require(np.array_equal(sequence, np.arange(len(sequence))), "what was recovered is no prefix")
        require(len(sequence) >= least, f"{least} steps were in the part that is left, {len(sequence)} came back")
    return Outcome(saw="valid prefix")


def checkpoint_killed(rng: np.random.Generator) -> Outcome:
    """A learner is killed at a random system call of saving."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        save_checkpoint(folder, _tensors(10), _state(10))
        died = killed_at(int(rng.integers(1, _SAVE_CALLS)), lambda: _save(folder))
        loaded = load_checkpoint(folder, config_sha="faults")
        require(loaded is not None, "neither the old nor the new one is there")
        tensors, state = loaded or ({}, _state(0))
        require(bool((tensors["weights"] == float(state.steps)).all()), "a mixture")
        require(state.steps in (10, 20, 30), f"a checkpoint of step {state.steps}")
    return Outcome(saw=f"{'died' if died else 'lived'}: {'old' if state.steps == 10 else 'new'}")


def _save(folder: Path) -> None:
    for steps in (20, 30):
        save_checkpoint(folder, _tensors(steps), _state(steps))


def _tensors(steps: int) -> dict[str, torch.Tensor]:
    return {"weights": torch.full((40, 30), float(steps)), "random": torch.get_rng_state()}


def _state(steps: int) -> CheckpointState:
    return CheckpointState(steps=steps, updates=steps, policy_version=steps, log_position={0: steps}, config_sha="faults")


class _Adopter:
    """The part of a collector that weights go to."""

    def __init__(self, layout: PolicyLayout) -> None:
        self.actor = make_actor(layout, "numpy")

    def adopt(self, version: int, vector: Vector) -> None:
        self.actor.load(vector)


def weights_bad(rng: np.random.Generator) -> Outcome:
    """Weights that are not finite, of another network, old, or damaged on their way."""
    layout = PolicyLayout(
        robot="made up",
        task="none",
        joint_names=("a",),
        observation_names=("x", "y"),
        action_names=("u",),
        control_hz=50.0,
        action_scaling=(),
        hidden=(16,),
    )
    size = layout.vector_size
    slot = WeightSlot.create(f"fetlock-faults-{uuid4().hex[:8]}", size)
    try:
        adopter = _Adopter(layout)
        feed = WeightFeed(slot, cast("Collector", adopter))
        version = int(rng.integers(2, 1000))
        slot.publish(version, rng.standard_normal(size).astype(np.float32), 1, 1)
        feed.poll()
        seen = rng.standard_normal(2).astype(np.float32)
        before = adopter.actor.act(seen, None)
        kind = str(rng.choice(("not finite", "not finite, past the writer", "wrong shape", "old", "damaged")))
        _spoil(slot, kind, version, size, rng)
        feed.poll()
        require(np.array_equal(adopter.actor.act(seen, None), before), f"{kind}: the policy has changed")
        slot.publish(version + 5, rng.standard_normal(size).astype(np.float32), 2, 2)
        feed.poll()
        require(not np.array_equal(adopter.actor.act(seen, None), before), f"{kind}: good weights are not taken any more")
    finally:
        slot.close()
        slot.unlink()
    return Outcome(saw=f"{kind}: last good kept")


def _spoil(slot: WeightSlot, kind: str, version: int, size: int, rng: np.random.Generator) -> None:
    bad = rng.standard_normal(size).astype(np.float32)
    if kind == "damaged":
        slot.publish(version + 1, bad, 2, 2)
        buffer = slot.array(np.uint8, size * 4, _data_offset(slot, version + 1, size))
        buffer[int(rng.integers(size * 4))] ^= 1 << int(rng.integers(8))
        return
    if kind == "not finite, past the writer":
        slot.publish(version + 1, bad, 2, 2)
        _poison(slot, version + 1, size, rng)
        return
    bad[int(rng.integers(size))] = rng.choice((np.nan, np.inf))
    zeros = np.zeros(size, np.float32)
    wrong = {"not finite": (version + 1, bad), "wrong shape": (version + 1, np.zeros(size + 1, np.float32)), "old": (version, zeros)}
    try:
        slot.publish(*wrong[kind], 2, 2)
    except PolicyError:
        return
    raise WrongOutcome(f"{kind}: published")


def _data_offset(slot: WeightSlot, version: int, size: int) -> int:
    """Return where the vector of a version begins, by the layout in `training.transport.slot`."""
    stride = -(-(40 + size * 4) // 64) * 64
    holder = next(index for index in range(2) if int(slot.array(np.uint64, 5, 64 + index * stride)[1]) == version)
    return 64 + holder * stride + 40


def _poison(slot: WeightSlot, version: int, size: int, rng: np.random.Generator) -> None:
    """Put a number that is not finite into a published vector, and the checksum that fits it: a writer gone mad."""
    at = _data_offset(slot, version, size)
    vector = slot.array(np.float32, size, at)
    vector[int(rng.integers(size))] = np.nan
    slot.array(np.uint64, 5, at - 40)[4] = zlib.crc32(vector.tobytes())
