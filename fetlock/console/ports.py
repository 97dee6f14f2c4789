"""The port of the page, taken before anything else happens, so that a busy one is one line."""

from __future__ import annotations

import errno
import ipaddress
import socket

from robot.errors import UsageError

LOOPBACK = ("127.0.0.1", "::1")
# Not assigned by IANA, and not what other tools of the field take (8080 web servers, 6006 TensorBoard, 8765 Foxglove).
DEFAULT_PORT = 8321


def bind(host: str, port: int) -> socket.socket:
    """Take a port.

    Args:
        host: Address of this machine.
        port: 0 lets the system choose.

    Raises:
        UsageError: If it is busy, not permitted, out of range, or the address is not of this machine.
    """
    if not 0 <= port <= 65535:
        raise UsageError(f"--port {port}: a port lies within 1024 and 65535; 0 takes a free one")
    try:
        address = ipaddress.ip_address(host)
    except ValueError as error:
        raise UsageError(f"--host {host} is no address: give one of this machine, such as 127.0.0.1") from error
    if address.is_unspecified or address.is_multicast:
        raise UsageError(f"--host {host} names no address that a browser could open: give the one of this machine that it will use")
    listening = socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET)
    # A console that has just ended leaves connections behind that would keep the port for a minute.
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen()
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise UsageError(
                f"port {port} of {host} is busy: end what uses it (ss -ltnp names it), or give another; 0 takes a free one"
            ) from error
        raise UsageError(f"port {port} of {host} cannot be used ({error.strerror}): give another port or address") from error
    return listening
