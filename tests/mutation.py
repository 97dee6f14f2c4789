"""Mutation testing of safety/: every small change of the code must fail a test.

    python -m tests.mutation                        every module of `TABLE`; exit code 1 if one survives that `EQUIVALENT` does not name
    python -m tests.mutation safety/modes.py        one module
    python -m tests.mutation --sample 40 --seed 1   so many mutants, drawn from all

A mutant is compiled in memory and takes the module's place in a forked process, before any test imports it; no file is written. It is
killed if a test of its module fails or takes too long. What survives a few examples of Hypothesis is tried again with many.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import itertools
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import NamedTuple

from robot.clock import monotonic_s, sleep_s
from tests.mutants import Mutant, mutants

ROOT = Path(__file__).resolve().parent.parent
# The tests that must kill the mutants of each module, fastest first.
TABLE: dict[str, tuple[str, ...]] = {
    "safety/arena.py": ("test_arena", "test_data"),
    "safety/arming.py": ("test_arming", "test_data"),
    "safety/capability.py": ("test_arming", "test_data"),
    "safety/collisions.py": ("test_collisions", "test_data"),
    "safety/drive.py": ("test_guard",),
    "safety/emission.py": ("test_emission", "test_rerun", "test_guard", "test_collisions"),
    "safety/endpoint.py": ("test_endpoint",),
    "safety/estop.py": ("test_estop", "test_station", "test_endpoint"),
    "safety/faults.py": ("test_faults", "test_data", "test_guard"),
    "safety/filters.py": ("test_stages", "test_filters", "test_data", "test_guard"),
    "safety/fingers.py": ("test_fingers", "test_data"),
    "safety/guard.py": ("test_guard", "test_rerun", "test_station", "test_collisions"),
    "safety/limits.py": ("test_data", "test_limits", "test_guard", "test_filters"),
    "safety/machine.py": ("test_machine", "test_data"),
    "safety/modes.py": ("test_data", "test_modes"),
    "safety/monitor.py": ("test_monitor", "test_data"),
    "safety/motion.py": ("test_machine", "test_data", "test_guard"),
    "safety/motion_records.py": ("test_data",),
    "safety/rerun.py": ("test_rerun", "test_data"),
    "safety/rejections.py": ("test_rejections", "test_data"),
    "safety/served_routine.py": ("test_served_routine", "test_data"),
    "safety/station.py": ("test_station",),
    "safety/stop_records.py": ("test_stop_records", "test_data", "test_estop", "test_endpoint"),
    "safety/tick_records.py": ("test_tick_records", "test_data", "test_rerun"),
    "safety/types.py": ("test_data", "test_guard"),
}
# Not in the table: the motion process and its client. Most of what they do is to wait for each other.
LEFT_OUT = ("client", "command_side", "motion_link", "remote", "service")
# What a fork should find imported; nothing of safety may be among it.
WARM = (
    "_pytest.faulthandler",
    "_pytest.junitxml",
    "hypothesis.stateful",
    "multiprocessing.connection",
    "numpy.testing",
    "pydantic",
    "pytest",
    "pytest_timeout",
    "robot.clock",
    "robot.transport",
    "tests.fakes",
)
# Examples of Hypothesis: most mutants die of the first few; chosen.
EXAMPLES = (10, 100)
# A mutant that takes so many times as long as the module itself, and a start, loops; chosen.
PATIENCE, START_S = 4.0, 10.0


class Equivalent(NamedTuple):
    """A mutant that behaves as the module does."""

    file: str
    function: str
    change: str
    reason: str


# At most three, ever.
EQUIVALENT: tuple[Equivalent, ...] = ()


@dataclass(frozen=True)
class Job:
    """One mutant, and the tests that are to kill it."""

    file: str
    module: str
    mutant: Mutant
    tests: tuple[str, ...]

    @property
    def name(self) -> tuple[str, str, str]:
        return self.file, self.mutant.function, self.mutant.change


class Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from code instead of its file."""

    def __init__(self, module: str, code: CodeType, file: str) -> None:
        self.module, self.code, self.file = module, code, file

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> importlib.machinery.ModuleSpec | None:
        if fullname != self.module:
            return None
        return importlib.util.spec_from_loader(fullname, self, origin=self.file)

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = self.file
        exec(self.code, module.__dict__)


def jobs(table: Mapping[str, Sequence[str]]) -> Iterator[Job]:
    for file, tests in table.items():
        path = ROOT / file
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts) if path.is_relative_to(ROOT) else path.stem
        paths = tuple(str(ROOT / "tests" / "safety" / f"{name}.py") if "/" not in name else name for name in tests)
        for mutant in mutants(path):
            yield Job(file, module, mutant, paths)


def start(job: Job, examples: int, *, changed: bool = True) -> int:
    """Fork a process that runs the tests; its exit code is pytest's. Return its number."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        os.setsid()
        for descriptor, flags in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
            os.dup2(os.open(os.devnull, flags), descriptor)
        if changed:
            sys.meta_path.insert(0, Changed(job.module, job.mutant.code, str(ROOT / job.file)))
        os.environ |= {"FETLOCK_EXAMPLES": str(examples), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        import pytest

        options = ["-x", "-q", "--tb=no", "-p", "no:cacheprovider", "-p", "pytest_timeout", "-c", str(ROOT / "pyproject.toml")]
        code = int(pytest.main([*options, "--rootdir", str(ROOT), *job.tests]))
    finally:
        os._exit(code)


def outcome(pid: int, limit_s: float) -> int:
    """Wait for a process, and kill it and its children at the limit, which is an exit code of 1 as well."""
    end_s = monotonic_s() + limit_s
    while not (ended := os.waitpid(pid, os.WNOHANG))[0]:
        if monotonic_s() > end_s:
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return 1
        sleep_s(0.002)
    return os.waitstatus_to_exitcode(ended[1])


def baseline_s(job: Job, examples: int) -> float:
    """Return how long the tests take of the module as it is, s; they must pass."""
    began_s = monotonic_s()
    code = outcome(start(job, examples, changed=False), 600.0)
    if code:
        raise SystemExit(f"{' '.join(job.tests)} must pass before anything is changed: pytest ended with {code}")
    return monotonic_s() - began_s


def survivors(todo: Iterable[Job]) -> Iterator[tuple[Job, bool]]:
    """Yield each mutant and whether it lives."""
    limits_s: dict[tuple[str, int], float] = {}
    for job in todo:
        lives = True
        for examples in EXAMPLES:
            key = (job.file, examples)
            if key not in limits_s:
                limits_s[key] = PATIENCE * baseline_s(job, examples) + START_S
            lives = outcome(start(job, examples), limits_s[key]) == 0
            if not lives:
                break
        yield job, lives


def main(
    arguments: Sequence[str] | None = None, table: Mapping[str, Sequence[str]] = TABLE, equivalent: Sequence[Equivalent] = EQUIVALENT
) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", metavar="FILE", help="modules of the table; all by default")
    parser.add_argument("--sample", type=int, metavar="N", help="draw so many mutants")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    options = parser.parse_args(arguments)
    # The tests are compiled once, not in every fork.
    sys.dont_write_bytecode = False
    for name in WARM:
        importlib.import_module(name)
    if early := [name for name in sys.modules if name.startswith("safety")]:
        raise SystemExit(f"no mutant can take the place of what is imported already: {', '.join(early)}")
    files = options.files or list(table)
    if unknown := [file for file in files if file not in table]:
        parser.error(f"{', '.join(unknown)}: no module of the table; choose {', '.join(table)}")
    todo = list(jobs({file: table[file] for file in files}))
    gone = {entry[:3] for entry in equivalent if entry.file in files} - {job.name for job in todo}
    if options.sample is not None:
        drawn = random.Random(options.seed).sample(range(len(todo)), min(options.sample, len(todo)))
        todo = [todo[index] for index in sorted(drawn)]
    return report(todo, {entry[:3] for entry in equivalent}, gone)


def report(todo: Sequence[Job], named: Set[tuple[str, str, str]], gone: Set[tuple[str, str, str]]) -> int:
    """Print a row for each module as it is done, and on standard error what survives as it is found; return the exit code."""
    total: Counter[str] = Counter()
    print("| module | mutants | killed | equivalent | survived |\n|---|---|---|---|---|", flush=True)
    for file, results in itertools.groupby(survivors(todo), lambda result: result[0].file):
        count: Counter[str] = Counter()
        for job, lives in results:
            kind = ("equivalent" if job.name in named else "survived") if lives else "killed"
            count[kind] += 1
            if kind == "survived":
                print(f"SURVIVED {file}:{job.mutant.line} in {job.mutant.function}: {job.mutant.change}", file=sys.stderr, flush=True)
            elif kind == "killed" and job.name in named:
                gone |= {job.name}
        print(_row(file, count), flush=True)
        total += count
    print(_row("all", total))
    for file, function, change in sorted(gone):
        print(f"NOT EQUIVALENT {file} in {function}: {change}: killed, or there is no such mutant: take it off the list", file=sys.stderr)
    return 1 if gone or total["survived"] else 0


def _row(name: str, count: Counter[str]) -> str:
    return f"| {name} | {count.total()} | {count['killed']} | {count['equivalent']} | {count['survived']} |"


if __name__ == "__main__":
    sys.exit(main())
