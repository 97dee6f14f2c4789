"""`./run bench hil`: long proofs of the driver on emulated motors: damaged bytes, many threads, many unpluggings, killed drivers.

Each row is a law; what it counts as wrong must be 0. The headline is the sum of everything that was wrong.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from multiprocessing.synchronize import Event
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from pydantic import JsonValue

from benchmarks.report import Report
from robot.calibration import nominal
from robot.clock import RealTimeClock, TickClock, monotonic_s, sleep_s
from robot.description import load_description
from robot.dynamixel.backends import open_bus
from robot.dynamixel.line import SILENCE_S
from robot.dynamixel.native import NativeBus
from robot.dynamixel.timing import CycleTiming
from robot.emulator import EmulatorProcess
from robot.errors import PortLostError
from robot.hardware import HardwareRobot
from robot.types import command

_KITTY = load_description("kitty")
_PATIENT_S = 0.05


def main(argv: Sequence[str]) -> Report:
    """Run all proofs; 1,000 cycles of one take about a second, of the damaged line about four."""
    parser = argparse.ArgumentParser(prog="bench hil", description=__doc__)
    parser.add_argument("--cycles", type=int, default=100_000, help="of the damaged line, and of the clean one (100000)")
    parser.add_argument("--seconds", type=float, default=60.0, help="of the threads (60)")
    parser.add_argument("--unplugs", type=int, default=100, help="how often the port is pulled (100)")
    parser.add_argument("--kills", type=int, default=20, help="how often a driver is killed (20)")
    options = parser.parse_args(list(argv))
    proofs: dict[str, Callable[[], dict[str, JsonValue]]] = {
        "damaged bytes": lambda: damaged(options.cycles),
        "clean line": lambda: clean(options.cycles),
        "four threads": lambda: threads(options.seconds),
        "unplugging": lambda: unplugging(options.unplugs),
        "killed drivers": lambda: killed(options.kills),
    }
    rows: dict[str, dict[str, JsonValue]] = {}
    for name, proof in proofs.items():
        rows[name] = proof()
        print(f"{name}: {rows[name]}", flush=True)
    wrong = sum(int(str(row["wrong"])) for row in rows.values())
    return Report("hil", float(wrong), None, 0.0, "things that were wrong", details={name: dict(row) for name, row in rows.items()})


def machine(*arguments: str) -> EmulatorProcess:
    """Start the emulated motors of the kitty."""
    return EmulatorProcess([sys.executable, "-m", "fetlock", "emulate", "--robot", "kitty", *arguments])


def native(port: str, silence_s: float = _PATIENT_S) -> NativeBus:
    """Open our bus."""
    bus = open_bus(port, _KITTY.bus.baud, silence_s=silence_s)
    if not isinstance(bus, NativeBus):
        raise TypeError("the native back end was asked for")
    return bus


def damaged(cycles: int) -> dict[str, JsonValue]:
    """One byte in a hundred has a flipped bit, both ways: no wrong value, no exception, no stall beyond the budget of the bus."""
    ids = _KITTY.ids
    goals = {motor: (1000 + 31 * motor).to_bytes(4, "little") for motor in ids}
    right = np.array([list(goals[motor]) for motor in ids], np.uint8)
    with machine() as emulated:
        bus = native(emulated.port, SILENCE_S)
        bus.sync_write(116, goals)
        sleep_s(0.1)
        emulated.client.ask("fault", fault={"kind": "corrupt", "probability": 0.01})
        wrong = fresh = 0
        times = np.zeros(cycles)
        for cycle in range(cycles):
            start_s = monotonic_s()
            readings = bus.sync_read(ids, 116, 4)
            times[cycle] = monotonic_s() - start_s
            wrong += int((readings.fresh & (readings.data != right).any(axis=1)).sum())
            fresh += int(readings.fresh.sum())
        bus.close()
    # Two fences, the burst with its silence, and the budget for asking again, whose last burst may have begun just before its end.
    bound_s = 2 * (SILENCE_S + 0.0003) + CycleTiming(12, _KITTY.bus.baud, 0, 4).wire_s + 2 * SILENCE_S + 0.005
    return {
        "cycles": cycles,
        "wrong": wrong,
        "fresh answers": round(fresh / cycles / len(ids), 4),
        "ms p50 / p99 / p99.9 / max": [round(float(value) * 1e3, 2) for value in np.percentile(times, (50, 99, 99.9, 100))],
        "longer than the budget": int((times > bound_s).sum()),
        "budget ms": round(bound_s * 1e3, 2),
    }


def clean(cycles: int) -> dict[str, JsonValue]:
    """Nothing is lost on a line where nothing is wrong."""
    ids = _KITTY.ids
    with machine() as emulated:
        bus = native(emulated.port)
        missed = 0
        start_s = monotonic_s()
        for _ in range(cycles):
            bus.sync_write(116, dict.fromkeys(ids, (2048).to_bytes(4, "little")))
            missed += len(ids) - int(bus.sync_read(ids, 120, 16).fresh.sum())
        elapsed_s = monotonic_s() - start_s
        bus.close()
    return {
        "cycles": cycles,
        "wrong": missed,
        "cycles/s": round(cycles / elapsed_s),
        "retries": bus.count.retries,
        "strays": bus.count.strays,
    }


def threads(seconds: float) -> dict[str, JsonValue]:
    """Four threads ask on one bus: no answer reaches another's request."""
    with machine() as emulated:
        bus = native(emulated.port)
        wrong: list[int] = []
        asked = [0] * 4
        end_s = monotonic_s() + seconds

        def work(index: int) -> None:
            motor = _KITTY.ids[index]
            while monotonic_s() < end_s:
                value = 1000 + (asked[index] * 7 + index) % 2000
                bus.write(motor, 116, value.to_bytes(4, "little"))
                answer = int.from_bytes(bus.read(motor, 116, 4).data, "little")
                readings = bus.sync_read(_KITTY.ids[:4], 7, 1)
                good = answer == value and bool(readings.fresh.all()) and readings.data[:, 0].tolist() == list(_KITTY.ids[:4])
                asked[index] += 1
                if not good:
                    wrong.append(motor)

        workers = [threading.Thread(target=work, args=(index,)) for index in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        bus.close()
    return {"seconds": seconds, "wrong": len(wrong), "rounds": sum(asked)}


def unplugging(times: int) -> dict[str, JsonValue]:
    """The port is pulled and plugged in again: one typed error within 50 ms each time, and no descriptor is lost."""
    with TemporaryDirectory() as folder, machine("--link", f"{folder}/port") as emulated:
        robot = _connect(f"{folder}/port")
        before = len(list(Path("/proc/self/fd").iterdir()))
        wrong = 0
        waits = []
        for _ in range(times):
            emulated.client.ask("unplug")
            robot.advance()
            start_s = monotonic_s()
            try:
                robot.read()
                wrong += 1
            except PortLostError:
                waits.append(monotonic_s() - start_s)
            emulated.client.ask("plug")
            robot.reconnect()
            robot.read()
        leaked = len(list(Path("/proc/self/fd").iterdir())) - before
        robot.close()
    late = sum(wait > 0.05 for wait in waits)
    return {"times": times, "wrong": wrong + leaked + late, "descriptors leaked": leaked, "slowest error ms": round(max(waits) * 1e3, 2)}


def killed(times: int) -> dict[str, JsonValue]:
    """A driver is killed while its robot moves: every motor's watchdog stops it within 100 + 20 ms."""
    stops: list[float] = []
    rests: list[float] = []
    for _ in range(times):
        with machine() as emulated:
            context = multiprocessing.get_context("spawn")
            ready = context.Event()
            driver = context.Process(target=_drive, args=(emulated.port, ready))
            driver.start()
            ready.wait(30.0)
            os.kill(driver.pid or 0, signal.SIGKILL)
            killed_s = float(emulated.client.ask("status")["time_s"])
            driver.join()
            while min((truth := emulated.client.ask("truth"))["watchdog"]) >= 0:
                pass
            stops.append(truth["time_s"] - killed_s)
            while max(map(abs, (truth := emulated.client.ask("truth"))["joints_rad_s"])) > 0.05:
                pass
            rests.append(truth["time_s"] - killed_s)
    late = sum(stop > 0.12 for stop in stops)
    return {
        "times": times,
        "wrong": late,
        "stopped after ms, median / max": [round(float(np.median(stops)) * 1e3, 1), round(max(stops) * 1e3, 1)],
        "at rest after ms, median / max": [round(float(np.median(rests)) * 1e3, 1), round(max(rests) * 1e3, 1)],
    }


def _connect(port: str) -> HardwareRobot:
    return HardwareRobot(_KITTY, lambda: open_bus(port, _KITTY.bus.baud, silence_s=_PATIENT_S), nominal(_KITTY), 0.01)


def _drive(port: str, ready: Event) -> None:
    robot = _connect(port)
    clock = TickClock(robot, RealTimeClock(0.01))
    robot.arm()
    start = robot.read().joints.position_rad
    for tick in range(1_000_000):
        robot.write(command(start + 0.4 * np.sin(0.15 * tick), 12))
        if tick == 10:
            ready.set()
        clock.wait()
        robot.read()
