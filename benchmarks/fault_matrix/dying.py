"""A process that is killed as it enters the system call of somebody's choice: SIGKILL, from outside, by ptrace(2).

Between two system calls a process changes nothing but its memory, so that a death at each of them in turn is a death at every moment that
a file can tell apart; a write that is cut short in its middle is another matter, and is tested by cutting files. Any Linux user may trace
children of his own, unless a container or `kernel.yama.ptrace_scope` 3 forbids it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import traceback
from collections.abc import Callable

from robot.errors import RobotError

# Requests and options of <sys/ptrace.h>: SYSGOOD marks stops at system calls by bit 7, EXITKILL ends the child with its tracer.
_TRACEME, _SYSCALL, _SETOPTIONS = 0, 24, 0x4200
_OPTIONS = 0x1 | 0x0010_0000
_AT_CALL = signal.SIGTRAP | 0x80
# Exit codes of the child: it may not be traced; the call raised.
_REFUSED, _RAISED = 77, 1

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def killed_at(at: int, call: Callable[[], object], prepare: Callable[[], None] = lambda: None) -> bool:
    """Run a call in a fork of this process and kill it there; return whether it died (False: it returned with fewer system calls).

    Args:
        at: Which system call of `call` it dies at, unexecuted, counted from 1.
        call: What is killed. It should have one thread: system calls of others do not count.
        prepare: Called before in the same process; its system calls do not count.

    Raises:
        RobotError: If the kernel does not let a process trace its child, or the call raised.
    """
    child = os.fork()
    if child == 0:
        _be_traced(call, prepare)
    try:
        return _follow(child, at)
    except BaseException:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        raise


def _be_traced(call: Callable[[], object], prepare: Callable[[], None]) -> None:
    """Be the child: never returns."""
    code = _RAISED
    try:
        prepare()
        if _libc.ptrace(_TRACEME, 0, None, None) != 0:
            os._exit(_REFUSED)
        os.kill(os.getpid(), signal.SIGSTOP)
        call()
        code = 0
    except BaseException:  # noqa: BLE001 (the last thing that the process does)
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _follow(child: int, at: int) -> bool:
    _, status = os.waitpid(child, 0)
    if not os.WIFSTOPPED(status):
        if os.waitstatus_to_exitcode(status) == _REFUSED:
            raise RobotError(
                "the kernel lets no process trace its child: allow ptrace(2) in the container, or set kernel.yama.ptrace_scope"
            )
        raise RobotError("what comes before the call that is to be killed failed: see its traceback above")
    _libc.ptrace(_SETOPTIONS, child, None, _OPTIONS)
    calls, entering, deliver = 0, True, 0
    while True:
        _libc.ptrace(_SYSCALL, child, None, deliver)
        _, status = os.waitpid(child, 0)
        if not os.WIFSTOPPED(status):
            if os.waitstatus_to_exitcode(status) != 0:
                raise RobotError("the call that was to be killed failed: see its traceback above")
            return False
        deliver = 0
        if os.WSTOPSIG(status) != _AT_CALL:
            deliver = os.WSTOPSIG(status)
            continue
        calls += entering
        if entering and calls == at:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return True
        entering = not entering
