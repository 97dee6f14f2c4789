"""Laws of mutation testing itself: a weak test leaves survivors, a strong one none, and the list of exceptions is short and true."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutants import mutants
from tests.mutation import EQUIVALENT, LEFT_OUT, ROOT, TABLE

TOY = '''"""Bounds."""

LIMIT = 3


def clamp(value: int, low: int = -1) -> int:
    """Return the value within its bounds."""
    if value < low:
        return low
    return min(value, LIMIT)


def says(ready: bool) -> str:
    if not ready:
        raise ValueError(f"{1 + 1} texts are no behaviour")
    return "yes"
'''
WEAK = """
from toy import clamp, says

def test_it_runs():
    clamp(2)
    says(True)
"""
STRONG = """
import pytest
from toy import clamp, says

def test_the_bounds():
    assert [clamp(value) for value in range(-3, 6)] == [-1, -1, -1, 0, 1, 2, 3, 3, 3]
    assert clamp(-1, 0) == 0
    assert says(True) == "yes"
    with pytest.raises(ValueError):
        says(False)
"""
# `value < low` and `value <= low` return the same at the bound.
SAME = "if value < low:  -->  if value <= low:"


def run(folder: Path, test: str, *arguments: str, equivalent: tuple[tuple[str, ...], ...] = ()) -> tuple[int, str]:
    (folder / "toy.py").write_text(TOY)
    (folder / "test_toy.py").write_text(test)
    table = {str(folder / "toy.py"): (str(folder / "test_toy.py"),)}
    code = f"import sys; from tests.mutation import *; sys.exit(main({arguments!r}, {table!r}, [Equivalent(*e) for e in {equivalent!r}]))"
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    return result.returncode, result.stdout + result.stderr


def test_a_weak_test_leaves_survivors_and_says_where(tmp_path: Path) -> None:
    code, output = run(tmp_path, WEAK)
    assert code == 1
    assert f"SURVIVED {tmp_path}/toy.py:3 in module: LIMIT = 3  -->  LIMIT = 4\n" in output
    assert f"SURVIVED {tmp_path}/toy.py:10 in clamp: return min(value, LIMIT)  -->  return max(value, LIMIT)\n" in output
    # Not all: this changes what the weak test runs into.
    assert "if not ready:  -->  if ready:" not in output


def test_a_strong_test_leaves_what_is_equivalent_and_nothing_else(tmp_path: Path) -> None:
    file = str(tmp_path / "toy.py")
    named = (file, "clamp", SAME, "both return the bound")
    code, output = run(tmp_path, STRONG, equivalent=(named,))
    assert code == 0, output
    assert "| all | 13 | 12 | 1 | 0 |" in output
    # What a test kills, or what there is not, must leave the list.
    changes = ("LIMIT = 3  -->  LIMIT = 4", "no such change")
    code, output = run(tmp_path, STRONG, equivalent=(named, *((file, "module", change, "") for change in changes)))
    assert code == 1
    assert all(f"NOT EQUIVALENT {file} in module: {change}" in output for change in changes)


def test_tests_that_fail_anyway_prove_nothing(tmp_path: Path) -> None:
    code, output = run(tmp_path, STRONG.replace('"yes"', '"no"'))
    assert code == 1
    assert "must pass before anything is changed" in output


def test_a_sample_is_drawn_from_all(tmp_path: Path) -> None:
    first, again, other = (run(tmp_path, WEAK, "--sample", "4", "--seed", seed)[1] for seed in ("1", "1", "2"))
    assert first == again != other
    assert "| all | 4 |" in first


def test_a_module_that_is_not_in_the_table_is_one_line(tmp_path: Path) -> None:
    code, output = run(tmp_path, WEAK, "safety/nowhere.py")
    assert code == 2
    assert output.splitlines()[-1].endswith(f"safety/nowhere.py: no module of the table; choose {tmp_path}/toy.py")


def test_every_kind_of_change_is_made(tmp_path: Path) -> None:
    path = tmp_path / "kinds.py"
    path.write_text(
        "def f(a, b=1, *, c=True):\n"
        "    a = a + 2.0 if c else -a\n"
        "    b += 1\n"
        "    d = [x for x in b if x in a and x is not c]\n"
        "    a.e = min(d)\n"
        "    print('text', zip(a, b, strict=True))\n"
        "    while a != b:\n"
        "        break\n"
        "    return d\n"
    )
    changes = {mutant.change.split("  -->  ")[1] for mutant in mutants(path)}
    assert changes == {
        "def f(a, b=2, *, c=True):",
        "def f(a, b=0, *, c=True):",
        "def f(a, b=1, *, c=False):",
        "(removed)",
        "a = a - 2.0 if c else -a",
        "a = a + 3.0 if c else -a",
        "a = a + 0.0 if c else -a",
        "a = a + 2.0 if not c else -a",
        "a = a + 2.0 if c else a",
        "b -= 1",
        "b += 2",
        "b += 0",
        "d = [x for x in b if x in a or x is not c]",
        "d = [x for x in b if x not in a and x is not c]",
        "d = [x for x in b if x in a and x is c]",
        "a.e = max(d)",
        "while a == b:",
        "return None",
    }
    removed = [mutant.change.split("  -->  ")[0] for mutant in mutants(path) if mutant.change.endswith("(removed)")]
    # Not `d = ...`: without it there is no d, and any test would fail.
    assert removed == ["a = a + 2.0 if c else -a", "b += 1", "a.e = min(d)", "print('text', zip(a, b, strict=True))", "break"]


def test_every_module_of_safety_is_in_the_table_or_left_out_by_name() -> None:
    modules = {f"safety/{path.name}" for path in (ROOT / "safety").glob("[a-z]*.py")}
    assert modules == set(TABLE) | {f"safety/{name}.py" for name in LEFT_OUT}
    assert not set(TABLE) & {f"safety/{name}.py" for name in LEFT_OUT}
    assert [name for names in TABLE.values() for name in names if not (ROOT / "tests" / "safety" / f"{name}.py").is_file()] == []


def test_exceptions_are_few_and_have_a_reason() -> None:
    assert len(EQUIVALENT) <= 3
    assert all(entry.reason for entry in EQUIVALENT)


@pytest.mark.parametrize("file", sorted(TABLE))
def test_there_is_something_to_change_in_every_module(file: str) -> None:
    assert len(list(mutants(ROOT / file))) > 0
