"""`./run bench estop`: from the trip of the stop board to the bus frame that brakes, over emulated motors in real time.

The loop looks at the board once a bus tick and is not woken: the bound is two bus ticks.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from collections.abc import Sequence
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np
from pydantic import JsonValue

from benchmarks.report import Report
from fetlock.guarding import guarded, read_limits
from fetlock.machines import HardwareConfig
from robot.calibration import nominal
from robot.clock import RealTimeClock, TickClock, monotonic_s, sleep_s
from robot.description import load_description
from robot.dynamixel.backends import open_bus
from robot.emulator import EmulatorProcess
from robot.errors import UsageError
from robot.hardware import HardwareRobot
from robot.realtime import become_realtime
from robot.types import Command, frozen_array
from safety import BoardWatch, GuardConfig, StopBoard
from safety.stop_records import StopLevel
from safety.types import STOPPED

_BUS_HZ = 100.0
# The swing of the joints that a trip interrupts: rad, rad/s.
_SWING_RAD, _SWING_RAD_S = 0.1, 6.0
# Time for the loop to be driving again before the next trip, s; the trip comes at a random part of a tick after it.
_DRIVEN_S = 0.012


def main(argv: Sequence[str]) -> Report:
    """Trip and clear; 1,000 trips take about a minute."""
    parser = argparse.ArgumentParser(prog="bench estop", description=__doc__)
    parser.add_argument("--trips", type=int, default=10_000, help="(10000)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(list(argv))
    if options.trips < 1:
        raise UsageError(f"--trips {options.trips}: give at least 1")
    board_name = f"fetlock-bench-{os.getpid()}"
    with EmulatorProcess([sys.executable, "-m", "fetlock", "emulate", "--robot", "kitty"]) as emulated, StopBoard(board_name) as board:
        try:
            frame_ms, granted = _measure(emulated.port, board, board_name, options.trips, options.seed)
        finally:
            Path("/dev/shm", board_name).unlink()
    p50, p99, p999, most = (float(value) for value in np.percentile(frame_ms, (50, 99, 99.9, 100)))
    limit_ms = 2e3 / _BUS_HZ
    details: dict[str, JsonValue] = {
        "trips": len(frame_ms),
        "p50 ms": round(p50, 3),
        "p99 ms": round(p99, 3),
        "p99.9 ms": round(p999, 3),
        "max ms": round(most, 3),
        "over two bus ticks": int((np.array(frame_ms) > limit_ms).sum()),
        "bus tick ms": 1e3 / _BUS_HZ,
        "granted": granted,
    }
    return Report("estop", round(p99, 3), None, limit_ms, "ms from trip to braking frame, p99", [options.seed], details)


def _measure(port: str, board: StopBoard, board_name: str, trips: int, seed: int) -> tuple[list[float], str]:
    """Drive in this process and trip from another one; return the times, ms, and what the kernel granted the loop."""
    ready, done = multiprocessing.Event(), multiprocessing.Event()
    tripping = multiprocessing.Process(target=_trip, args=(board_name, seed, ready, done), daemon=True)
    tripping.start()
    grants = become_realtime("fifo")
    description = load_description("kitty")
    config = GuardConfig.model_validate(read_limits("kitty"))
    real = RealTimeClock(1.0 / _BUS_HZ)
    robot = HardwareRobot(description, lambda: open_bus(port, description.bus.baud), nominal(description), 1.0 / _BUS_HZ)
    clock = TickClock(robot, real)
    guard = guarded(
        robot,
        HardwareConfig(description="kitty", port=port),
        config,
        bus_hz=_BUS_HZ,
        control_hz=_BUS_HZ,
        now_s=clock.now_s,
        drive=robot,
        outside=(BoardWatch(board, monotonic_s),),
    )
    taken: list[float] = []
    try:
        guard.arm()
        guard.engage()
        middle = guard.read().joints.position_rad
        real.start()
        ready.set()
        while len(taken) < trips:
            target = middle + _SWING_RAD * np.sin(_SWING_RAD_S * clock.now_s())
            applied = guard.write(Command(frozen_array(target)))
            sent_s = monotonic_s()
            clock.wait()
            guard.read()
            if applied.mode in STOPPED:
                taken.append((sent_s - board.state(sent_s).stamp_s) * 1e3)
                board.clear(monotonic_s(), "bench")
                guard.engage()
                ready.set()
    finally:
        done.set()
        ready.set()
        robot.cut()
        guard.close()
        tripping.join(5.0)
    return taken, "; ".join(grant.line() for grant in grants)


def _trip(board_name: str, seed: int, ready: Event, done: Event) -> None:
    """Trip whenever the robot is driven again, at a random part of a tick."""
    rng = np.random.default_rng(seed)
    with StopBoard(board_name) as board:
        while ready.wait() and not done.is_set():
            ready.clear()
            sleep_s(_DRIVEN_S + float(rng.uniform(0.0, 1.0 / _BUS_HZ)))
            board.trip(StopLevel.HOLD, "bench", monotonic_s())
