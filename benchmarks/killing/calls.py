"""Death at each system call: of saving a checkpoint, of logging an episode and a half, of recovering a log, of taking episodes back."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import torch
from pydantic import JsonValue

from benchmarks.fault_matrix.checks import require
from benchmarks.fault_matrix.dying import killed_at
from benchmarks.fault_matrix.made_records import BUS, STEP, steps_of, ticks_of
from benchmarks.killing.tally import Acknowledged, Found, find
from robot.transport import Counters, Ring
from training.checkpoint import CheckpointState, load_checkpoint, save_checkpoint
from training.rollout_log import EpisodeWriter, Logger, RunMetadata, read_run, recover, set_aside

_METADATA = RunMetadata(config_sha="kills", robot="made up", seed=0)
# Steps of an episode, and of the pieces that it is flushed in.
_EPISODE, _PIECE = 24, 8

Outcomes = dict[str, JsonValue]
# Of steps, of bus ticks, and the logger's counter.
Rings = tuple[Ring, Ring, Counters]


def checkpoint_calls(tensors: Mapping[str, torch.Tensor], stride: int = 1) -> Outcomes:
    """Kill the saving of a third checkpoint, which removes the first, at each of its calls: the second or the third one loads.

    Args:
        tensors: A learner's.
        stride: Leave calls out: only every so many-th.

    Raises:
        WrongOutcome: If neither does, or a mixture, or a later one cannot be saved.
    """
    contents = {steps: {name: value.clone() for name, value in tensors.items()} for steps in (10, 20, 30, 40)}
    for steps, named in contents.items():
        for value in named.values():
            value.add_(steps) if value.is_floating_point() else value.fill_(steps)
    outcomes: Counter[int] = Counter()
    with TemporaryDirectory(prefix="fetlock-kills-") as name:
        start, folder = Path(name) / "start", Path(name) / "checkpoints"
        for steps in (10, 20):
            save_checkpoint(start, contents[steps], _state(steps))
        at, died = 1, True
        while died:
            shutil.copytree(start, folder)
            died = killed_at(at, lambda: save_checkpoint(folder, contents[30], _state(30)))
            steps = _loaded(folder, contents)
            require(steps in (20, 30), f"call {at}: the checkpoint of step {steps} loads")
            require(died or steps == 30, "a save that was not killed has saved nothing")
            save_checkpoint(folder, contents[40], _state(40))
            require(_loaded(folder, contents) == 40, f"call {at}: no later checkpoint can be saved")
            shutil.rmtree(folder)
            outcomes[steps if died else 0] += 1
            at += stride
    return {"calls": outcomes[20] + outcomes[30], "old": outcomes[20], "new": outcomes[30], "neither": 0}


def _loaded(folder: Path, contents: Mapping[int, Mapping[str, torch.Tensor]]) -> int:
    loaded = load_checkpoint(folder, config_sha="kills")
    if loaded is None:
        return 0
    tensors, state = loaded
    wanted = contents[state.steps]
    require(tensors.keys() == wanted.keys() and all(torch.equal(tensors[name], wanted[name]) for name in wanted), "a mixture")
    return state.steps


def _state(steps: int) -> CheckpointState:
    return CheckpointState(steps=steps, updates=steps, policy_version=steps, log_position={0: steps}, config_sha="kills")


def log_calls(stride: int = 1) -> Outcomes:
    """Kill a logger at each call of an episode and a third: written, flushed, acknowledged, finished, renamed, and the next file begun.

    Raises:
        WrongOutcome: If a step was lost, doubled, or acknowledged before it was safe; or the next logger does not go on.
    """
    at, calls, renamed, died = 1, 0, 0, True
    while died:
        with TemporaryDirectory(prefix="fetlock-kills-") as name, _rings() as rings:
            folder = Path(name) / "rollouts"
            died = killed_at(at, partial(_log, rings, folder))
            steps, bus, _ = rings
            acknowledged, found = Acknowledged(steps.acknowledged, bus.acknowledged), find(folder)
            require(len(found.steps) >= acknowledged.steps and found.bus >= acknowledged.bus, f"call {at}: acknowledged records are lost")
            _require_each_once(found, at)
            renamed += died and (folder / "c0-e000000.mcap").exists()
            _log(rings, folder, until=2 * _EPISODE).close()
            after = find(folder)
            require(len(after.steps) == 2 * _EPISODE and after.bus == 4 * _EPISODE, f"call {at}: {len(after.steps)} steps in the end")
            _require_each_once(after, at)
        calls += died
        at += stride
    return {"calls": calls, "of them behind the rename of the first file": renamed, "lost": 0, "doubled": 0}


def _log(rings: Rings, folder: Path, until: int = _EPISODE + _PIECE) -> Logger:
    """Go on with a log up to a step."""
    steps, bus, counters = rings
    logger = Logger(folder, [steps], [bus], counters, _METADATA)
    while steps.head < until:
        end = steps.head - steps.head % _PIECE + _PIECE
        episode = steps.head // _EPISODE
        for record in ticks_of(bus.head, 2 * end - bus.head, episode):
            bus.append(record.reshape(1))
        for record in steps_of(steps.head, end - steps.head, episode, end=end % _EPISODE == 0):
            steps.append(record.reshape(1))
        logger.drain(flush=True)
    logger.drain(flush=True)
    return logger


def _require_each_once(found: Found, at: int) -> None:
    counts = (found.doubled, found.missing, found.unreadable)
    require(counts == (0, 0, 0), f"call {at}: {counts} records doubled, numbers missing, files unreadable")


@contextmanager
def _rings() -> Iterator[Rings]:
    name = f"fetlock-kills-{uuid4().hex[:8]}"
    made = Ring.create(f"{name}-s", STEP, 256), Ring.create(f"{name}-b", BUS, 512), Counters.create(f"{name}-c", ("log_error",))
    try:
        yield made
    finally:
        for piece in made:
            piece.close()
            piece.unlink()


def recovery_calls(stride: int = 1) -> Outcomes:
    """Kill the recovery of a log and of an empty one at each call; then recover: the same steps are there, once, at every moment."""
    with TemporaryDirectory(prefix="fetlock-kills-") as name:
        start = Path(name) / "start"
        _write_part(start, 0)
        (start / "c0-e000001.mcap.part").touch()
        whole = read_run(start)
        return _at_each_call(start, recover, lambda found: found == whole.tobytes(), stride)


def taking_back_calls(stride: int = 1) -> Outcomes:
    """Kill a deterministic run that takes three episodes back, at each call: what is left is a run; taken back again, the right one."""
    with TemporaryDirectory(prefix="fetlock-kills-") as name:
        start = Path(name) / "start"
        for episode in range(4):
            _write_part(start, episode)
        recover(start)
        whole = read_run(start)
        return _at_each_call(
            start, lambda folder: set_aside(folder, {0: _EPISODE}), lambda found: whole.tobytes().startswith(found), stride
        )


def _write_part(folder: Path, episode: int) -> None:
    """Leave the log of an episode, behind those that are there, as a killed logger does."""
    folder.mkdir(exist_ok=True)
    first = _EPISODE * len(list(folder.iterdir()))
    writer = EpisodeWriter(folder, 0, episode, STEP, BUS, _METADATA)
    writer.write(ticks_of(2 * first, 2 * _EPISODE, episode), steps_of(first, _EPISODE, episode))
    writer.flush()
    writer.abandon()


def _at_each_call(start: Path, mend: Callable[[Path], object], valid: Callable[[bytes], bool], stride: int) -> Outcomes:
    """Kill `mend` of a copy of a folder at each call: what is left must be `valid`, and come to the same when it is mended again."""
    done, folder = start.with_name("done"), start.with_name("folder")
    shutil.copytree(start, done)
    mend(done)
    wanted = read_run(done).tobytes()
    at, calls, died = 1, 0, True
    while died:
        shutil.copytree(start, folder)
        died = killed_at(at, partial(mend, folder))
        require(valid(read_run(folder).tobytes()), f"call {at}: what is left is no run")
        mend(folder)
        require(read_run(folder).tobytes() == wanted, f"call {at}: done again, it came to something else")
        require(not list(folder.glob("*.part")), f"call {at}: an unfinished file stays")
        shutil.rmtree(folder)
        calls += died
        at += stride
    return {"calls": calls, "unreadable in between": 0, "wrong in the end": 0}
