"""The console's web server: the page behind the gate, on a port that is bound before anything else happens."""

from __future__ import annotations

import contextlib
import secrets
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.staticfiles import StaticFiles
from nicegui import ui

from fetlock.console.admission import Admission, Gate, addresses
from fetlock.console.door import Door, beaten, object_of, stopped
from fetlock.console.page import STATIC, Page, PageConfig
from fetlock.console.picture import Picture
from fetlock.console.presence import Presence
from fetlock.console.subject import Choice
from fetlock.console.watcher import Watcher
from robot.camera import Source
from robot.errors import RobotError
from safety.stop_records import StopLevel

# Pages that are open would keep the server for ever.
_GOODBYE_S = 1
_TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True)
class ConsoleConfig:
    """What a console is told.

    Attributes:
        choice: What it watches.
        host: Address to listen at.
        port: 0 lets the system choose.
        level: What STOP asks of the robots.
        heartbeat_s: Silence of the operator after which the robots hold; None: nobody waits for the operator.
        present_s: How long an operator who touches nothing counts as present.
        camera: What the picture comes from.
    """

    choice: Choice
    host: str
    port: int
    level: StopLevel
    heartbeat_s: float | None
    present_s: float
    camera: Source | None


def serve(config: ConsoleConfig, listening: socket.socket, goes_on: Callable[[], bool]) -> None:
    """Serve the page until Ctrl-C, SIGTERM or `goes_on` says no.

    Args:
        config: See there.
        listening: From `fetlock.console.ports.bind`.
        goes_on: Asked ten times a second.
    """
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    port = int(listening.getsockname()[1])
    hosts, origins = addresses(config.host, port)
    with contextlib.ExitStack() as stack:
        presence = None if config.heartbeat_s is None else stack.enter_context(Presence(config.heartbeat_s))
        door = stack.enter_context(Door(config.host, token, origins, config.level, presence))
        picture = None if config.camera is None else Picture(config.camera)
        if picture is not None:
            stack.callback(picture.close)
        page = PageConfig(door.origin, token, config.level, config.heartbeat_s, config.present_s, picture is not None)
        watcher = Watcher(config.choice, goes_on)
        gate = Gate(_app(watcher, page, presence, picture), Admission(token, hosts, origins), f"fetlock_console_{port}", [door.origin])
        server = uvicorn.Server(uvicorn.Config(gate, log_level="warning", timeout_graceful_shutdown=_GOODBYE_S, server_header=False))
        watcher.start(lambda: setattr(server, "should_exit", True))
        stack.callback(watcher.close)
        address = next(origin for origin in sorted(origins) if "localhost" not in origin)
        sys.stdout.write(f"console: {address}/?token={token}\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[listening])


def _app(watcher: Watcher, config: PageConfig, presence: Presence | None, picture: Picture | None) -> FastAPI:
    app = FastAPI(openapi_url=None)
    app.mount("/static", StaticFiles(directory=STATIC))

    def stop() -> Response:
        """Stop by the page's own address, in a thread; the door is the other way."""
        return JSONResponse(stopped(config.level))

    async def beat(request: Request) -> Response:
        """Take a heartbeat by the page's own address, for who forwards one port."""
        if presence is None:
            return JSONResponse({"line": "this console asks for no heartbeat"}, 404)
        status, words = beaten(presence, object_of(await request.body()))
        return JSONResponse(words, status)

    def camera() -> Response:
        if picture is None:
            return PlainTextResponse("this console has no camera", 404)
        try:
            return Response(picture.jpeg(), media_type="image/jpeg")
        except RobotError as error:
            return PlainTextResponse(str(error), 503)

    app.add_api_route("/stop", stop, methods=["POST"])
    app.add_api_route("/beat", beat, methods=["POST"])
    app.add_api_route("/camera.jpg", camera, methods=["GET"])
    ui.run_with(
        app,
        root=lambda: _page(watcher, config),
        title="Fetlock console",
        tailwind=False,
        dark=None,
        show_welcome_message=False,
        prod_js=True,
    )
    return app


def _page(watcher: Watcher, config: PageConfig) -> None:
    Page(watcher, config)
