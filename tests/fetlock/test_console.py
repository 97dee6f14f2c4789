"""The operator's console in a real browser, before a real motion process on emulated motors that a client drives."""

from __future__ import annotations

import os
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from benchmarks.chromium import browsing, program
from fetlock.motion_process import MotionProcess
from robot.clock import monotonic_s
from safety.estop import StopBoard
from safety.stop_records import StopLevel
from safety.types import Cause, Mode
from tests.fetlock.console_stage import ROOT, Console, Driver, Stage, console, define_order, eventually, press_order
from tests.safety.served import unique

pytestmark = pytest.mark.realtime

# The claw's motors turn freely: the cheapest machine behind a whole bus.
CONFIG = ["--config", str(ROOT / "configs" / "claw_emulated.yaml")]
HEARTBEAT_S = 1.0
_SOCKET = "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"

if program() is None:
    reason = "no Chromium on this machine: apt-get install chromium"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason, allow_module_level=True)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    name = unique()
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("FETLOCK_ESTOP", name)
        stack.callback(lambda: Path("/dev/shm", name).unlink(missing_ok=True))
        board = stack.enter_context(StopBoard(name))
        motion_name = unique()
        watching = stack.enter_context(console("--motion", motion_name))
        tab = stack.enter_context(browsing())
        tab.open(watching.address)
        tab.wait("document.querySelector('.notes')?.textContent.includes('Waiting')")
        waited = tab.ask("document.querySelector('.console').innerText")
        motion = stack.enter_context(MotionProcess(motion_name, CONFIG, tmp_path_factory.mktemp("motion") / "motion.log"))
        made = Stage(board, motion, tab, watching, waited)
        stack.callback(made.reader.tap.close)
        stack.callback(made.driver.close)
        yield made


@pytest.fixture(scope="module")
def watching(stage: Stage) -> Console:
    return stage.watching


@pytest.fixture
def shown(stage: Stage, watching: Console) -> Stage:
    """The console's page, with the robot driven."""
    assert stage.drives(), stage.driver.error
    stage.visit(watching)
    return stage


def test_the_page_asks_nobody_but_this_machine(shown: Stage, watching: Console) -> None:
    place = watching.origin.removeprefix("http://")
    asked = shown.tab.requests()
    assert len(asked) > 10
    assert [address for address in asked if not re.match(rf"(http|ws)://{re.escape(place)}/|blob:|data:", address)] == []
    # The browser itself would refuse anything else.
    refused = "fetch('http://192.0.2.1/').then(() => 'asked', (error) => error.name)"
    assert shown.tab.ask(refused) == "TypeError"
    assert shown.tab.ask("document.cookie") == ""


def test_without_a_robot_the_page_says_so_and_waits_for_it(shown: Stage) -> None:
    assert "NO ROBOT" in shown.waited
    assert f"No motion process {shown.motion.name} runs. Waiting for it." in shown.waited
    assert shown.motion.name in shown.tab.ask("document.querySelector('.watched').textContent")


def test_all_that_is_vital_is_seen_without_scrolling(shown: Stage) -> None:
    size = "[document.documentElement.scrollHeight <= innerHeight, document.documentElement.scrollWidth <= innerWidth]"
    assert shown.tab.ask(size) == [True, True]
    seen = "[...document.querySelectorAll('#stop, .mode, .reason, .joint, .order, .figures')].every((it) => {" + (
        "const box = it.getBoundingClientRect(); const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);"
        "return box.bottom <= innerHeight && box.right <= innerWidth && box.width > 0 && (it.contains(top) || top.contains(it)); })"
    )
    assert shown.tab.wait("document.querySelectorAll('.joint').length === 9")
    assert shown.tab.wait(seen)


@pytest.mark.parametrize("way", ["press", "space", "space on a button"])
def test_a_stop_reaches_the_motion_process(shown: Stage, way: str) -> None:
    before = shown.board.state(monotonic_s()).sequence
    if way == "press":
        shown.tab.press("#stop")
    else:
        if way == "space on a button":
            shown.tab.ask("document.querySelector('.order').focus()")
        shown.tab.space()
    assert eventually(lambda: shown.reader.mode() is Mode.HOLD)

    def confirmed() -> bool:
        # What a machine that is too busy did not confirm in time is told in red, and asked again.
        if shown.answered("bad"):
            shown.tab.space()
        return shown.answered("good")

    assert eventually(confirmed)
    assert Cause.STOP_HOLD in shown.reader.causes()
    state = shown.board.state(monotonic_s())
    assert (state.level, state.source) == (StopLevel.HOLD, "console")
    assert state.sequence > before
    assert shown.mode_shown("HOLD")
    assert "the emergency stop was pressed" in shown.tab.ask("document.querySelector('.reason').textContent")
    assert shown.tab.ask("document.querySelector('.q-dialog') === null") is True


def test_hold_lasts_until_the_next_episode_and_trips_nothing(shown: Stage) -> None:
    before = shown.board.state(monotonic_s()).sequence
    press_order(shown, "HOLD")
    assert eventually(lambda: shown.reader.mode() is Mode.HOLD)
    assert shown.board.state(monotonic_s()).sequence == before
    shown.driver.begin.set()
    assert eventually(lambda: shown.reader.mode() is Mode.ACTIVE)


def test_a_release_is_asked_twice_and_clears_the_board(shown: Stage) -> None:
    define_order(shown)
    assert shown.tab.wait("order('RELEASE').disabled")
    shown.tab.press("#stop")
    assert shown.tab.wait("!order('RELEASE').disabled")
    shown.tab.ask("order('RELEASE').click()")
    assert shown.tab.wait("document.querySelector('.q-dialog .confirm') !== null")
    assert shown.board.state(monotonic_s()).level is StopLevel.HOLD
    shown.tab.ask("document.querySelector('.q-dialog .confirm').click()")
    assert eventually(lambda: shown.board.state(monotonic_s()).level is None)
    assert shown.tab.wait("document.querySelector('.answer').textContent.startsWith('released')")


def test_who_does_not_drive_may_not_arm_and_who_is_alone_may(stage: Stage, watching: Console) -> None:
    assert stage.drives(), stage.driver.error
    stage.visit(watching)
    define_order(stage)
    assert stage.tab.ask("order('ARM').disabled") is True
    stage.driver.close()
    try:
        press_order(stage, "ARM")
        assert stage.tab.wait("document.querySelector('.q-dialog .confirm') !== null")
        stage.tab.ask("document.querySelector('.q-dialog .confirm').click()")
        assert stage.tab.wait("document.querySelector('.answer').textContent.startsWith('torque is on')")
        assert stage.reader.mode() is Mode.HOLD
    finally:
        stage.driver = Driver(stage.motion.name)


def test_a_console_that_hangs_still_stops_and_a_dead_one_leaves_the_robot_driving(stage: Stage) -> None:
    """The loop that serves the page is blocked: the stop has a door of its own. Then the console is killed."""
    code = (
        "import sys, threading; import fetlock.console.server as server; from fetlock.__main__ import main; made = server._app\n"
        "def app(*parts):\n    app = made(*parts)\n    async def block(): threading.Event().wait(20.0)\n"
        "    app.router.routes.insert(0, __import__('fastapi').routing.APIRoute('/block', block)); return app\n"
        "server._app = app; sys.exit(main(sys.argv[1:]))"
    )
    assert stage.drives(), stage.driver.error
    with console("--motion", stage.motion.name, code=code) as blocked:
        stage.visit(blocked)
        stage.tab.ask("void fetch('/block')")
        assert stage.tab.wait("document.body.classList.contains('stale')")
        assert "STANDS STILL" in stage.tab.ask("document.getElementById('stale').textContent")
        stage.tab.press("#stop")
        assert eventually(lambda: stage.reader.mode() is Mode.HOLD)
        assert eventually(lambda: stage.answered("good") or stage.answered("bad"))
        assert stage.drives(), stage.driver.error
        blocked.process.kill()
        blocked.process.wait()
        head = stage.reader.tap.head
        assert eventually(lambda: stage.reader.tap.head > head + 100)
        assert stage.reader.mode() is Mode.ACTIVE
        assert stage.board.state(monotonic_s()).level is None
        # What cannot arrive any more is told.
        stage.tab.press("#stop")
        assert stage.tab.wait("document.getElementById('stop-said').textContent.includes('DID NOT ARRIVE')")


def test_with_a_heartbeat_the_robot_needs_the_open_page(stage: Stage) -> None:
    assert stage.drives(), stage.driver.error
    with console("--motion", stage.motion.name, "--heartbeat", str(HEARTBEAT_S), "--present", "3600") as needed:
        # Until the first check-in it is stopped.
        assert eventually(lambda: stage.reader.mode() is Mode.HOLD)
        assert Cause.OPERATOR_GONE in stage.reader.causes()
        stage.tab.open(needed.address)
        assert eventually(lambda: stage.board.state(monotonic_s()).silent == ())
        assert stage.tab.wait("document.getElementById('operator').className === 'good'")
        assert stage.drives()
        stage.tab.open("about:blank")
        assert eventually(lambda: stage.reader.mode() is Mode.HOLD)
        stage.tab.open(needed.address)
        assert eventually(lambda: stage.board.state(monotonic_s()).silent == ())
        # The silence is remembered until an operator releases it.
        assert stage.board.state(monotonic_s()).level is StopLevel.HOLD
        assert stage.drives()
        needed.process.send_signal(signal.SIGKILL)
        needed.process.wait()
        assert eventually(lambda: stage.reader.mode() is Mode.HOLD)


def test_the_page_is_for_its_own_origin_host_and_token_alone(stage: Stage, watching: Console) -> None:
    cookie = f"fetlock_console_{watching.origin.rsplit(':', 1)[1]}={watching.token}"
    before = stage.board.state(monotonic_s()).sequence
    assert watching.ask("/") == 200
    assert watching.ask("/static/console.js") == 200
    assert watching.ask(f"/?token={watching.token}", Cookie="") == 303
    for path, method in (("/", "GET"), ("/static/console.js", "GET"), ("/stop", "POST"), ("/_nicegui_ws/socket.io/", "GET")):
        assert watching.ask(path, method, Origin="http://evil.example") == 403
        assert watching.ask(path, method, Origin="null") == 403
        assert watching.ask(path, method, Host="evil.example", Origin=watching.origin) == 421
        assert watching.ask(path, method, Cookie="", Origin=watching.origin) == 401
        assert watching.ask(path, method, Cookie=cookie + "x", Origin=watching.origin) == 401
    assert watching.ask("/?token=wrong", Cookie="") == 401
    assert watching.ask("/stop", "POST") == 403
    assert watching.ask("/stop", "POST", Origin=watching.origin, **{"Content-Length": "100000"}) == 413
    assert stage.board.state(monotonic_s()).sequence == before
    assert watching.ask("/stop", "POST", Origin=watching.origin) == 200
    assert stage.board.state(monotonic_s()).sequence == before + 1


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "http://evil.example"}, {}, {"Origin": "own", "Cookie": ""}, {"Origin": "own", "Cookie": "wrong"}, {"Origin": "elsewhere"}],
)
def test_no_websocket_opens_for_others(watching: Console, headers: dict[str, str]) -> None:
    port = watching.origin.rsplit(":", 1)[1]
    own = {"Cookie": f"fetlock_console_{port}={watching.token}"}
    # Stands for a name elsewhere that was made to point here: Host and Origin agree, and are not the console's.
    elsewhere = f"http://127.0.0.2:{port}"
    values = {"own": watching.origin, "elsewhere": elsewhere, "wrong": f"fetlock_console_{port}=wrong"}
    said = {**own, **{name: values.get(value, value) for name, value in headers.items()}}
    place = (elsewhere if headers.get("Origin") == "elsewhere" else watching.origin).replace("http", "ws")
    with (
        socket.create_connection(("127.0.0.1", int(port))) as client,
        pytest.raises(InvalidStatus) as refused,
        connect(place + _SOCKET, additional_headers=said, sock=client),
    ):
        pass
    assert refused.value.response.status_code == 403
    with connect(watching.origin.replace("http", "ws") + _SOCKET, additional_headers={**own, "Origin": watching.origin}) as opened:
        assert str(opened.recv(30.0)).startswith("0")
