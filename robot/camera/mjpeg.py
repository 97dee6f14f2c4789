"""Serve drawn frames as MJPEG over HTTP to this machine: the camera of an emulated robot that lives in another process."""

from __future__ import annotations

import contextlib
import http.server
import logging
import threading
from typing import Self

import cv2

from robot.camera.virtual import FrameTimer, Render
from robot.errors import RobotError, UsageError

_BOUNDARY = "fetlock-frame"
# At 1280x720: 3 ms to encode, and errors of 1.8 grey levels, as large as a camera's noise (measured).
_JPEG_QUALITY = 90
# A client that takes nothing for this long is dropped, s.
_CLIENT_TIMEOUT_S = 2.0

_log = logging.getLogger(__name__)


class MjpegServer:
    """One stream of JPEG images for any number of clients on this machine; made by `start`.

    Each client gets the newest frame whenever it has taken the one before; a slow one misses frames. Images are drawn while someone looks.

    Args:
        render: Draws a frame.
        timer: Paces the frames.
        port: To listen at; 0 lets the system choose.

    Raises:
        RobotError: If the port is taken.
    """

    def __init__(self, render: Render, timer: FrameTimer, port: int) -> None:
        self._server = _Server(_Picture(render), timer, port)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="mjpeg", daemon=True)

    @classmethod
    def start(cls, render: Render, fps: float, port: int = 0) -> Self:
        """Listen at 127.0.0.1 and serve in threads until `close`.

        Args:
            render: Draws a frame: shape (height, width, 3), uint8, BGR.
            fps: Frames per second.
            port: To listen at; 0 lets the system choose.

        Raises:
            UsageError: If rate or port is out of range.
            RobotError: If the port is taken.
        """
        if not 0 <= port <= 65535:
            raise UsageError(f"a port lies within 0 to 65535: got {port}")
        server = cls(render, FrameTimer(fps), port)
        server._thread.start()
        return server

    @property
    def url(self) -> str:
        """Where the stream is."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/stream.mjpg"

    @property
    def timer(self) -> FrameTimer:
        """When which frame is exposed."""
        return self._server.timer

    def close(self) -> None:
        """End all streams and the threads. Idempotent."""
        if self._thread.is_alive():
            self._server.stopping.set()
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()


class _Picture:
    """The newest frame as JPEG, drawn once for all clients."""

    def __init__(self, render: Render) -> None:
        self._render = render
        self._lock = threading.Lock()
        self._frame = -1
        self._jpeg = b""

    def jpeg(self, frame: int) -> bytes:
        """Return frame number `frame`, or a newer one that was drawn for someone else."""
        with self._lock:
            if frame > self._frame:
                self._jpeg = cv2.imencode(".jpg", self._render(frame), (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY))[1].tobytes()
                self._frame = frame
            return self._jpeg


class _Server(http.server.ThreadingHTTPServer):
    # `server_close` then waits for the clients' threads.
    daemon_threads = False

    def __init__(self, picture: _Picture, timer: FrameTimer, port: int) -> None:
        self.picture = picture
        self.timer = timer
        self.stopping = threading.Event()
        try:
            super().__init__(("127.0.0.1", port), _Stream)
        except OSError as error:
            raise RobotError(f"port {port} of 127.0.0.1 is not free ({error.strerror}): choose another, or 0 for any") from error


class _Stream(http.server.BaseHTTPRequestHandler):
    server: _Server
    timeout = _CLIENT_TIMEOUT_S
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Send images until the client or the server ends."""
        if self.path != "/stream.mjpg":
            self.send_error(404, "the stream is at /stream.mjpg")
            return
        with contextlib.suppress(ConnectionError, TimeoutError):
            self.send_response(200)
            self.send_header("Cache-Control", "no-store")
            self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
            self.end_headers()
            while not self.server.stopping.is_set():
                jpeg = self.server.picture.jpeg(self.server.timer.wait())
                head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                self.wfile.write(head.encode("ascii") + jpeg + b"\r\n")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
        """Keep the requests out of the console."""
        _log.debug(format, *args)
