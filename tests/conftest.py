"""Settings of all tests. No test may fail because the machine is busy: examples have no deadline, and CI draws the same ones every time."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings

# One thread for the products of each process, before NumPy or torch is there: a second one beside a busy process is a hundredfold
# delay and no help (docs/learning.md), and tests share the cores.
os.environ["OMP_NUM_THREADS"] = "1"

settings.register_profile(
    "fetlock", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=os.environ.get("CI") == "true", print_blob=True
)
settings.load_profile("fetlock")
# Of tests.mutation: the same examples for every mutant, so many, and no search for the smallest that fails.
if examples := os.environ.get("FETLOCK_EXAMPLES"):
    phases = (Phase.explicit, Phase.generate)
    settings.register_profile("mutation", max_examples=int(examples), derandomize=True, database=None, phases=phases, print_blob=False)
    settings.load_profile("mutation")

# A shell starts background jobs with SIGINT ignored, and children inherit that: the tests of Ctrl-C would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Tests and what they start have a stop board of their own: none stops a robot of this machine, nor is stopped with one.
_BOARD = f"fetlock-test-{os.getpid()}"
os.environ["FETLOCK_ESTOP"] = _BOARD


def pytest_sessionfinish() -> None:
    Path("/dev/shm", _BOARD).unlink(missing_ok=True)
