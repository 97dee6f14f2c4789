"""Which machine it ran on: written into every summary and benchmark."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import JsonValue


def machine() -> dict[str, JsonValue]:
    """Return what a figure depends on: CPU, usable cores, memory in GiB, Python and torch. The host's name stays out."""
    memory_b = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "ram_gib": round(memory_b / 2**30, 1),
        "python": platform.python_version(),
        "torch": _torch_version(),
    }


def stolen_s() -> float:
    """Return the time that the hypervisor of a virtual machine took from all cores since boot, s; 0 where nobody says.

    It is the eighth number of the first line of /proc/stat (proc(5)).
    """
    try:
        return int(Path("/proc/stat").read_text().split("\n", 1)[0].split()[8]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return 0.0


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def _torch_version() -> str | None:
    try:
        return version("torch")
    except PackageNotFoundError:
        return None
