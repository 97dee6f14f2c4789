"""The door for what must not wait for the page: stops and heartbeats, served by threads of their own on a port of their own."""

from __future__ import annotations

import json
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Self

from fetlock.console import orders
from fetlock.console.admission import Admission, addresses
from fetlock.console.presence import Presence
from robot.errors import FetlockError, UsageError
from safety.stop_records import StopLevel

# A token and an answer.
_BODY_BYTES = 1024
# How soon `close` is heard, s; requests are served at once.
_POLL_S = 0.05
# A client that says nothing for so long is dropped, s.
_CLIENT_TIMEOUT_S = 5.0


class Door:
    """Serves `POST /stop` and `POST /beat` until `close`; each body is JSON and brings the session's token.

    Args:
        host: Address to listen at; the system chooses the port.
        token: Of the session.
        origins: Of the console's pages: nobody else may ask.
        level: What a stop asks of the robots.
        presence: The operator's heartbeat; None: none is asked for.

    Raises:
        UsageError: If the address is not of this machine.
    """

    def __init__(self, host: str, token: str, origins: frozenset[str], level: StopLevel, presence: Presence | None) -> None:
        try:
            self._server = (_Server6 if ":" in host else _Server)((host, 0), _Request)
        except OSError as error:
            raise UsageError(f"--host {host}: nothing can listen there ({error.strerror}): give an address of this machine") from error
        hosts, own = addresses(host, self._server.server_address[1])
        self._server.admission = Admission(token, hosts, origins)
        self._server.level, self._server.presence = level, presence
        self.origin = next(origin for origin in own if "localhost" not in origin)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_POLL_S,), daemon=True, name="fetlock-console-door")
        self._thread.start()

    def close(self) -> None:
        """Serve nobody any more."""
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    admission: Admission
    level: StopLevel
    presence: Presence | None

    def server_bind(self) -> None:
        """Listen, without the question to the network for this machine's name that http.server asks."""
        TCPServer.server_bind(self)

    def handle_error(self, request: object, client_address: object) -> None:
        """Pass over a page that was closed before its answer came."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Request(BaseHTTPRequestHandler):
    server: _Server
    timeout = _CLIENT_TIMEOUT_S

    def do_POST(self) -> None:
        """Answer a stop or a heartbeat."""
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > _BODY_BYTES:
            self._say(413, {"line": f"at most {_BODY_BYTES} bytes are taken"})
            return
        said = object_of(self.rfile.read(int(length)))
        admission, token = self.server.admission, said.get("token")
        refusal = admission.refusal(
            self.headers.get_all("Host", []), self.headers.get_all("Origin", []), token if isinstance(token, str) else "", needs_origin=True
        )
        if refusal is not None:
            self._say(refusal.status, {"line": refusal.reason})
        elif self.path == "/stop":
            self._say(200, stopped(self.server.level))
        elif self.path == "/beat" and self.server.presence is not None:
            self._say(*beaten(self.server.presence, said))
        else:
            self._say(404, {"line": "nothing is asked here"})

    def _say(self, status: int, answer: dict[str, object]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        origin = self.headers.get("Origin", "")
        if origin in self.server.admission.origins:
            # Another port is another origin: its page may read the answer.
            self.send_header("Access-Control-Allow-Origin", origin)
        self.send_header("Content-Type", "application/json")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
        """Keep the requests off the terminal."""


def stopped(level: StopLevel) -> dict[str, object]:
    """Stop the robots; return what the page is told."""
    answer = orders.stop(level)
    return {"done": answer.done, "line": answer.line}


def beaten(presence: Presence, said: dict[str, object]) -> tuple[int, dict[str, object]]:
    """Take an answer to the operator's challenge; return an HTTP status and what the page is told."""
    answer = said.get("answer")
    try:
        right, challenge = presence.check_in(answer if isinstance(answer, int) else -1)
    except FetlockError as error:
        return 503, {"line": str(error)}
    return 200, {"right": right, "challenge": challenge}


def object_of(body: bytes) -> dict[str, object]:
    """Read a JSON object; anything else is an empty one."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}
