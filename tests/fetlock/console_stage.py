"""What the browser tests of the console share: a console as a process, a driver of the robot, and both with a browser before them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.chromium import Tab
from fetlock.console.motion_tap import MotionTap
from fetlock.motion_process import MotionProcess
from robot import RobotError
from robot.clock import monotonic_s, sleep_s
from robot.types import Command
from safety import MotionClient
from safety.estop import StopBoard
from safety.types import Cause, Mode
from tests.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
# What a person asked for; anything else that stops the robot is this machine's load, and it is begun anew.
ASKED = Cause.ASKED | Cause.STOP_HOLD | Cause.OPERATOR_GONE
_SOON_S = 60.0


class Driver:
    """Commands the pose that the robot has, 25 times a second, and begins anew when it is asked to."""

    def __init__(self, name: str) -> None:
        self.client = MotionClient(name, monotonic_s, sleep_s, 5.0)
        self.begin = threading.Event()
        self.over = threading.Event()
        self.error: RobotError | None = None
        self.begin.set()
        self.thread = threading.Thread(target=self._drive, daemon=True)
        self.thread.start()

    def _drive(self) -> None:
        while not self.over.wait(0.04):
            try:
                causes = self.client.causes
                if self.begin.is_set() or (causes and not causes & ASKED):
                    self.client.release(1)
                    self.pose_rad = self.client.read().joints.position_rad
                    self.begin.clear()
                self.client.send(Command(self.pose_rad))
            except RobotError as error:
                # It is stopped: the next look tries again.
                self.error = error

    def close(self) -> None:
        self.over.set()
        self.thread.join()
        self.client.close()


class Console:
    """`fetlock console` as a process, and what it printed."""

    def __init__(self, *arguments: str, code: str | None = None) -> None:
        program = ["-m", "fetlock"] if code is None else ["-c", code]
        command = [sys.executable, *program, "console", "--port", "0", *arguments]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().removeprefix("console: ").strip()
        match = re.fullmatch(r"(http://127\.0\.0\.1:[0-9]+)/\?token=(.+)", self.address)
        assert match is not None, self.address
        self.origin, self.token = match[1], match[2]

    def ask(self, path: str, method: str = "GET", **headers: str) -> int:
        cookie = f"fetlock_console_{self.origin.rsplit(':', 1)[1]}={self.token}"
        data = b"{}" if method == "POST" else None
        request = urllib.request.Request(self.origin + path, data, {"Cookie": cookie, **headers}, method=method)
        try:
            with urllib.request.build_opener(Stay).open(request, timeout=30.0) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def close(self) -> str:
        self.process.terminate()
        return self.process.communicate(timeout=30.0)[1]


class Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirection."""

    def redirect_request(self, *_: object) -> None:
        return None


@contextmanager
def console(*arguments: str, code: str | None = None) -> Iterator[Console]:
    made = Console(*arguments, code=code)
    try:
        yield made
    finally:
        if made.process.poll() is None:
            made.close()
        made.process.communicate()


class Stage:
    """What all tests share: board, motion process, who drives it, browser, console."""

    def __init__(self, board: StopBoard, motion: MotionProcess, tab: Tab, watching: Console, waited: str) -> None:
        self.board = board
        self.motion = motion
        self.tab = tab
        self.watching = watching
        # What the page said before there was a robot.
        self.waited = waited
        self.driver = Driver(motion.name)
        self.reader = MotionReader(motion.name)

    def drives(self) -> bool:
        self.board.clear(monotonic_s(), "test")
        self.driver.begin.set()
        return eventually(lambda: self.reader.mode() is Mode.ACTIVE)

    def answered(self, style: str) -> bool:
        """Tell whether the page says how its newest stop went, and so."""
        return bool(self.tab.ask(f"document.getElementById('stop-said').className === {json.dumps(style)}"))

    def mode_shown(self, title: str) -> bool:
        return self.tab.wait(f"document.querySelector('.mode')?.textContent === {json.dumps(title)}", _SOON_S)

    def visit(self, console: Console) -> None:
        self.tab.events.clear()
        self.tab.open(console.address)
        assert self.mode_shown("ACTIVE")


class MotionReader:
    """Reads the ticks of a motion process."""

    def __init__(self, name: str) -> None:
        self.tap = MotionTap(name)

    def mode(self) -> Mode | None:
        seen = self.tap.look(monotonic_s())
        return None if seen is None else seen[0].mode

    def causes(self) -> Cause:
        seen = self.tap.look(monotonic_s())
        return Cause.NONE if seen is None else seen[0].causes


def define_order(stage: Stage) -> None:
    find = "window.order = (title) => [...document.querySelectorAll('.order')].find((it) => it.textContent.includes(title)); true"
    stage.tab.ask(find)


def press_order(stage: Stage, title: str) -> None:
    define_order(stage)
    assert stage.tab.wait(f"order({title!r}) && !order({title!r}).disabled")
    stage.tab.ask(f"order({title!r}).click()")
