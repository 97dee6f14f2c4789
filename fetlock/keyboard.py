"""Keys of a terminal as they are pressed: any of them stops the robots at an operator's station, space does beside a run."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
import threading
from collections.abc import Callable, Iterator

from fetlock.stop_motion import stop_motion
from robot.clock import monotonic_s
from safety.estop import StopBoard
from safety.stop_records import StopLevel

_KEY_BYTES = 1024
_SPACE = b" "
# How long the end of a run waits for the thread that reads keys, s.
_LOOK_S = 0.1
# What a stop waits for motion processes, s: a bus tick is 2 to 20 ms.
_PATIENCE_S = 0.05


def next_keys(keyboard: int | None, period_s: float) -> bytes | None:
    """Wait for keys for so long; b"" if none came, None if none can come any more."""
    ready = select.select([] if keyboard is None else [keyboard], [], [], period_s)[0]
    if not ready:
        return b""
    try:
        return os.read(ready[0], _KEY_BYTES) or None
    except OSError:
        return None


def attended() -> bool:
    """Tell whether a person sits at this terminal; a job in the background would be stopped by its shell for touching it."""
    return sys.stdin.isatty() and os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()


@contextlib.contextmanager
def each_key(keyboard: int | None, *, signals: bool) -> Iterator[None]:
    """Let each key of a terminal through at once, unseen, and without flow control: Ctrl-S is a key too.

    Args:
        keyboard: Descriptor of the terminal; None: there is none.
        signals: Ctrl-C and Ctrl-Z stay what they are; else they are keys as well.
    """
    if keyboard is None:
        yield
        return
    before = termios.tcgetattr(keyboard)
    raw = termios.tcgetattr(keyboard)
    raw[3] &= ~(termios.ICANON | termios.ECHO | (0 if signals else termios.ISIG) | termios.IEXTEN)
    raw[0] &= ~termios.IXON
    try:
        termios.tcsetattr(keyboard, termios.TCSANOW, raw)
        yield
    finally:
        with contextlib.suppress(termios.error):
            termios.tcsetattr(keyboard, termios.TCSANOW, before)


@contextlib.contextmanager
def space_stops(heed: Callable[[bytes], None] = lambda _: None) -> Iterator[None]:
    """While a person sits at this terminal, space holds every robot of this machine, as `fetlock stop` does; without one, nothing.

    Args:
        heed: Told every key, in a thread.
    """
    if not attended():
        yield
        return
    keyboard, over = sys.stdin.fileno(), threading.Event()
    with StopBoard() as board, each_key(keyboard, signals=True):
        reader = threading.Thread(target=_read, args=(keyboard, board, heed, over), daemon=True, name="fetlock-space")
        reader.start()
        sys.stderr.write("space holds the robot; 'fetlock stop --clear' elsewhere releases it\n")
        try:
            yield
        finally:
            over.set()
            reader.join()


def _read(keyboard: int, board: StopBoard, heed: Callable[[bytes], None], over: threading.Event) -> None:
    while not over.is_set():
        keys = next_keys(keyboard, _LOOK_S)
        if keys is None or _SPACE in keys:
            source = "space" if keys else "keyboard (the terminal is gone)"
            board.trip(StopLevel.HOLD, source, monotonic_s())
            stop_motion(_PATIENCE_S)
        if keys is None:
            return
        if keys:
            heed(keys)
