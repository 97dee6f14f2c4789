"""`./run` over a stand-in for the Python interpreter: what it installs, when, and what it leaves behind a failure."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Logs its arguments; `-m venv` copies it into the new .venv; pip fails while the file `offline` exists.
INTERPRETER = """#!/bin/sh
printf '%s\\n' "$*" >>"$LOG"
case "$*" in
    "-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python && cp "$0" .venv/bin/pip ;;
    *"$FAILING"*) exit 1 ;;
    "-m pip"*) if [ -e offline ]; then echo 'ERROR: no matching distribution' >&2; exit 1; fi ;;
esac
"""


@dataclass(frozen=True)
class Checkout:
    folder: Path
    log: Path
    path: Path

    def run(self, *arguments: str, interpreter: bool = True, failing: str = "none") -> subprocess.CompletedProcess[str]:
        path = f"{self.path}:{os.defpath}" if interpreter else str(self.path / "nothing")
        environment = {"PATH": path, "LOG": str(self.log), "FAILING": failing}
        command = ["/bin/sh", str(self.folder / "run"), *arguments]
        return subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, check=False)

    def calls(self) -> list[str]:
        calls = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.write_text("")
        return calls


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    folder = tmp_path / "a folder with spaces"
    folder.mkdir()
    for name in ("run", "pyproject.toml", "constraints.txt"):
        (folder / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / "bin").mkdir()
    interpreter = tmp_path / "bin" / "python3.11"
    interpreter.write_text(INTERPRETER)
    interpreter.chmod(0o755)
    return Checkout(folder, tmp_path / "calls", tmp_path / "bin")


def installs(calls: list[str]) -> list[str]:
    return [call for call in calls if call.startswith("-m pip")]


def test_the_first_start_installs_under_the_constraints_and_passes_the_verb_on(checkout: Checkout) -> None:
    assert checkout.run("train", "--name", "a b").returncode == 0
    calls = checkout.calls()
    (install,) = installs(calls)
    assert "-c constraints.txt -e . --config-settings editable_mode=compat" in install
    assert calls[-1] == "-m fetlock train --name a b"


def test_no_verb_asks_for_help(checkout: Checkout) -> None:
    assert checkout.run().returncode == 0
    assert checkout.calls()[-1] == "-m fetlock --help"


@pytest.mark.parametrize(("verb", "extra"), [("test", "dev"), ("bench", "bench"), ("export", "export")])
def test_a_verb_installs_its_extra_once(checkout: Checkout, verb: str, extra: str) -> None:
    checkout.run(verb)
    assert f"-e .[{extra}] " in installs(checkout.calls())[0]
    checkout.run(verb)
    checkout.run("train")
    assert installs(checkout.calls()) == []


@pytest.mark.parametrize(("failing", "code", "again"), [("not realtime", 1, 0), ("-m realtime", 1, 2), ("-n 3", 0, 1), ("none", 0, 0)])
def test_all_tests_run_in_two_parts_whichever_fails(checkout: Checkout, failing: str, code: int, again: int) -> None:
    """What fails in real time beside another test runs again alone, and once more, and only that counts."""
    assert checkout.run("test", failing=failing).returncode == code
    calls = [call for call in checkout.calls() if "pytest" in call]
    assert len(calls) == 2 + again
    assert calls[0].startswith("-m pytest -n auto")
    assert calls[0].endswith("-m not realtime")
    assert calls[1].endswith("-m realtime")
    assert all("--last-failed" in call and "-n" not in call.split() for call in calls[2:])
    assert checkout.run("test", "tests/sim", "-q").returncode == 0
    assert checkout.calls() == ["-m pytest tests/sim -q"]


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_a_changed_requirement_installs_again(checkout: Checkout, name: str) -> None:
    checkout.run("train")
    with (checkout.folder / name).open("a") as file:
        file.write("# changed\n")
    checkout.calls()
    checkout.run("train")
    assert len(installs(checkout.calls())) == 1


def test_a_stop_waits_for_no_installation(checkout: Checkout) -> None:
    checkout.run("train")
    with (checkout.folder / "pyproject.toml").open("a") as file:
        file.write("# changed\n")
    (checkout.folder / "offline").touch()
    checkout.calls()
    assert checkout.run("stop", "--cut").returncode == 0
    assert checkout.calls() == ["-m fetlock stop --cut"]


def test_a_failed_install_says_so_in_one_line_and_is_tried_again(checkout: Checkout) -> None:
    checkout.run("train")
    (checkout.folder / "constraints.txt").write_text("torch==2.13.0\n")
    (checkout.folder / "offline").touch()
    failed = checkout.run("train")
    assert failed.returncode == 1
    assert failed.stderr.count("\n") == 1
    assert "ERROR: no matching distribution" in failed.stderr
    assert not list((checkout.folder / ".venv").glob("stamp-*"))
    (checkout.folder / "offline").unlink()
    checkout.calls()
    assert checkout.run("train").returncode == 0
    assert len(installs(checkout.calls())) == 1


def test_no_fitting_interpreter_is_one_line(checkout: Checkout) -> None:
    tools = checkout.path / "nothing"
    tools.mkdir()
    for tool in ("dirname", "cat", "cksum"):
        (tools / tool).symlink_to(f"/usr/bin/{tool}")
    failed = checkout.run("train", interpreter=False)
    assert failed.returncode == 1
    assert failed.stderr.count("\n") == 1
    assert "Python 3.11" in failed.stderr
    assert not (checkout.folder / ".venv").exists()


def test_lint_runs_every_check_even_after_a_failure(checkout: Checkout) -> None:
    checkout.run("lint")
    calls = checkout.calls()
    assert [check for check in ("ruff check", "ruff format --check", "mypy") if not any(f"-m {check}" in call for call in calls)] == []
