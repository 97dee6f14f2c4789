"""`python -m fetlock.motion`: the motion process, which owns a guarded robot and serves it over shared memory. It imports no torch."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from fetlock.arguments import VerbParser
from fetlock.config import RunConfig, load_config
from fetlock.guarding import guard_of
from fetlock.machines import EmulatedConfig, HardwareConfig
from fetlock.resets import served_routine
from robot.clock import PacedClock, RealTimeClock, monotonic_s
from robot.errors import FetlockError, UsageError
from robot.realtime import Scheduler, become_realtime
from safety import Machine, MotionLink, MotionServer, Silence
from sim import simulate

# A command older than this many policy periods counts no more (the newest that a policy at its rate sent is at most one old).
_FREEZE_PERIODS = 2
# A client that is silent for so long is gone or stuck: the robot is stopped until it is released. Longer than any pause of a policy.
_HOLD_S, _HOLD_PERIODS = 0.5, 5


def make_machine(config: RunConfig, control: Path | None = None) -> Machine:
    """Build the robot of a configuration behind its guard, in real time. A robot on a bus is connected, its torque off until it is armed.

    Args:
        config: Of the robot.
        control: Path of the control socket of an emulated machine; by default one that nobody else knows.

    Raises:
        UsageError: If there is a path, and no emulated machine.
        RobotError: If a robot on a bus cannot be reached, or is not as described.
    """
    robot = config.robot
    if control is not None and not isinstance(robot, EmulatedConfig):
        raise UsageError(f"--emulator-control {control}: robot.kind is {robot.kind}, and only an emulated machine has a control socket")
    if isinstance(robot, EmulatedConfig | HardwareConfig):
        # Only who has a bus imports what drives one.
        from fetlock.emulated import connect_emulated, connect_hardware

        emulated = isinstance(robot, EmulatedConfig)
        reached = connect_emulated(config, realtime=True, control=control) if emulated else connect_hardware(config)
        guard = guard_of(config, reached.robot, reached.clock, reached.robot, stoppable=True)
        return Machine(guard, reached.clock, reached.schedule, reached.reset, reached.robot, served_routine(config, reached.robot))
    simulation = simulate(robot, config.bus_hz)
    real = RealTimeClock(1.0 / config.bus_hz)
    guard = guard_of(config, simulation.robot, simulation.clock, stoppable=True)
    return Machine(guard, PacedClock(simulation.clock, real), real, simulation.robot.reset, steps=served_routine(config))


def silence_of(control_hz: float) -> Silence:
    """Return how long a command counts for a policy of this rate."""
    return Silence(_FREEZE_PERIODS / control_hz, max(_HOLD_S, _HOLD_PERIODS / control_hz))


def serve(
    make: Callable[[], Machine],
    name: str,
    silence: Silence,
    *,
    scheduler: Scheduler = "fifo",
    parent: int | None = None,
    cut: bool = False,
) -> None:
    """Build a machine and serve it until a client, SIGTERM or SIGINT asks for the end, or the parent is gone.

    Args:
        make: Builds the machine; called once.
        name: Under which clients find it.
        silence: When the commands of a silent client stop counting.
        scheduler: Whether to ask for SCHED_FIFO.
        parent: Process without which this one stops the robot and ends, torque as it is; None: it lives on its own.
        cut: Switch torque off at the end that was asked for.

    Raises:
        UsageError: If a process of this name serves already.
        RobotError: If the robot cannot be built or let go.
    """
    machine = make()
    try:
        # Before the scheduler is asked for: creating the first block starts a helper process, which would inherit it.
        link = MotionLink.create(name, len(machine.robot.joint_names))
    except BaseException:
        machine.robot.close()
        raise
    try:
        with _signals() as asked:
            grants = become_realtime(scheduler)
            for grant in grants:
                if not grant.granted:
                    sys.stderr.write(f"fetlock motion: {grant.line()}\n")
            server = MotionServer(machine, link, silence, monotonic_s, tuple(grant.line() for grant in grants))
            _run(server, asked, parent, cut=cut)
    finally:
        link.close()
        link.unlink()


def _run(server: MotionServer, asked: Callable[[], bool], parent: int | None, *, cut: bool) -> None:
    try:
        server.run(lambda: not asked() and parent in (None, os.getppid()))
    except BaseException as error:
        server.halt(f"{type(error).__name__}: {error}")
        raise
    if asked() or server.closing:
        server.close(cut=cut)
    else:
        server.halt("the process that started it is gone")


@contextmanager
def _signals() -> Iterator[Callable[[], bool]]:
    """Take SIGTERM and SIGINT as a request to end; yield whether one came."""
    received: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        received.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run(argv: list[str]) -> int:
    """Serve the robot of a configuration; see `python -m fetlock.motion --help`."""
    parser = VerbParser("motion", "Serve a robot behind its guard in a process of its own, in real time, over shared memory.")
    parser.add_argument("--name", help="under which clients find it; two processes cannot share one")
    parser.add_argument("--scheduler", choices=("fifo", "default"), default="fifo", help="ask for SCHED_FIFO, or leave the scheduler alone")
    parser.add_argument("--parent", type=int, help="end when this process is no longer the one that started it")
    parser.add_argument("--emulator-control", type=Path, metavar="PATH", help="of an emulated machine's control socket")
    parser.add_argument("--cut-on-exit", action="store_true", help="switch torque off when asked to end: the robot drops")
    options, rest = parser.read_before_config(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    if options.name is None:
        raise UsageError("the motion process needs a --name: clients find it by that")
    config = load_config(rest, prog=parser.prog, others=parser.flags)
    serve(
        lambda: make_machine(config, options.emulator_control),
        options.name,
        silence_of(config.control_hz),
        scheduler=options.scheduler,
        parent=options.parent,
        cut=options.cut_on_exit,
    )
    return 0


def main(argv: list[str] | None = None) -> int:
    """Run the process; every error is one line. Exit codes: 0 done, 1 failed, 2 wrong usage."""
    words = sys.argv[1:] if argv is None else argv
    try:
        return run(words)
    except FetlockError as error:
        if "--debug" in words:
            raise
        sys.stderr.write(f"fetlock motion: {' '.join(str(error).split())}\n")
        return 2 if isinstance(error, UsageError) else 1


if __name__ == "__main__":
    sys.exit(main())
