"""The house: packages, import rules, constraints and the entry point."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("benchmarks", "fetlock", "policy", "robot", "safety", "sim", "training")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONSTRAINTS = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
LINT_IMPORTS = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", LINT_IMPORTS], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_is_the_one_of_this_checkout(package: str) -> None:
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    assert Path(spec.origin).resolve().is_relative_to(ROOT / package)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_is_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()


def test_importing_fetlock_registers_the_gymnasium_ids_and_loads_no_room() -> None:
    code = (
        "import sys, fetlock, gymnasium; gymnasium.spec('fetlock/MinitaurWalk-v0'); print([m for m in sys.modules if m.startswith(ROOMS)])"
    )
    rooms = tuple(f"{name}" for name in PACKAGES if name != "fetlock")
    result = subprocess.run(
        [sys.executable, "-c", code.replace("ROOMS", repr(rooms))], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_no_top_level_module_hides_the_standard_library() -> None:
    names = {path.stem for path in ROOT.glob("*.py")} | set(PACKAGES)
    assert not names & sys.stdlib_module_names


def test_imports_keep_the_contracts() -> None:
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


# One offence for each contract, by its id.
OFFENCES = {
    "learning": ("robot/up.py", "import training"),
    "simulation": ("sim/up.py", "import fetlock"),
    "siblings": ("policy/across.py", "import safety"),
    "training-sim": ("training/across.py", "import sim"),
    "torch": ("safety/heavy.py", "import torch"),
    "pybullet": ("training/physics.py", "import pybullet"),
    "web": ("robot/page.py", "import nicegui"),
    "serial": ("fetlock/port.py", "import serial"),
    "data-only": ("safety/now.py", "from robot.clock import monotonic_s"),
}


def test_every_contract_can_fail(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    for package in PACKAGES:
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    (tmp_path / "robot" / "clock.py").touch()
    for path, line in OFFENCES.values():
        (tmp_path / path).write_text(f"{line}\n")
    names = {contract["id"]: contract["name"] for contract in PROJECT["tool"]["importlinter"]["contracts"]}
    output = " ".join(lint_imports(tmp_path).stdout.split())
    assert set(names) == set(OFFENCES)
    assert [key for key, name in names.items() if not re.search(rf"{re.escape(name)} ?BROKEN", output)] == []


def test_constraints_are_exact_pins_and_name_no_index() -> None:
    assert [line for line in CONSTRAINTS if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line)] == []
    assert "torch==2.13.0" in CONSTRAINTS


def test_constraints_satisfy_every_requirement() -> None:
    pins = {canonicalize_name(name): version for name, version in (line.split("==") for line in CONSTRAINTS)}
    project = PROJECT["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    requirements = [Requirement(text) for group in groups for text in group]
    unmet = [str(r) for r in requirements if not r.specifier.contains(pins.get(canonicalize_name(r.name), "0"), prereleases=True)]
    assert unmet == []


def test_the_commands_of_the_readme_exist() -> None:
    commands = re.findall(r"\./run ([a-z][a-z-]*)(?: ([a-z][a-z_]*))?", (ROOT / "README.md").read_text())
    benchmarks = {name for verb, name in commands if verb == "bench" and name}
    assert [name for name in benchmarks if not (ROOT / "benchmarks" / f"{name}.py").is_file()] == []
    verbs = {verb for verb, _ in commands} - {"test", "lint", "bench"}
    help_text = subprocess.run([sys.executable, "-m", "fetlock", "--help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert [verb for verb in verbs if not re.search(rf"\b{verb}\b", help_text)] == []
