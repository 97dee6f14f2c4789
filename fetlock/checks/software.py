"""Checks of the software: versions, torch's build and precision, compiler, native libraries, video."""

from __future__ import annotations

import importlib
import importlib.metadata
import platform
import shutil
import sys

from fetlock.checks.finding import Finding, Level

_INSTALL = "install the requirements again: pip install -c constraints.txt -e ."
# Import name, distribution, and what a failed import most often lacks.
_LIBRARIES = (
    ("numpy", "numpy", _INSTALL),
    ("sim", "pybullet", f"{_INSTALL} (Python 3.11: there is no wheel for another)"),
    ("gymnasium", "gymnasium", _INSTALL),
    ("pydantic", "pydantic", _INSTALL),
    ("foxglove", "foxglove-sdk", _INSTALL),
    ("mcap", "mcap", _INSTALL),
    ("safetensors", "safetensors", _INSTALL),
    ("matplotlib", "matplotlib", _INSTALL),
    ("cv2", "opencv-python", "install libGL and glib: apt install libgl1 libglib2.0-0"),
)


def python() -> Finding:
    """Compare the interpreter with what pybullet has a wheel for."""
    found = f"{platform.python_version()} on {platform.machine()}"
    if sys.version_info[:2] == (3, 11):
        return Finding("python", Level.OK, found)
    return Finding("python", Level.FAIL, found, "use Python 3.11: pybullet has no wheel for another")


def libraries() -> list[Finding]:
    """Import everything that Fetlock stands on, torch apart."""
    return [_library(*library) for library in _LIBRARIES]


def _library(module: str, distribution: str, fix: str) -> Finding:
    try:
        importlib.import_module(module)
        return Finding(distribution, Level.OK, importlib.metadata.version(distribution))
    except (ImportError, OSError) as error:
        return Finding(distribution, Level.FAIL, " ".join(str(error).split()), fix)


def torch_build() -> Finding:
    """Name torch's version and what it computes on."""
    try:
        import torch
    except (ImportError, OSError) as error:
        return Finding("torch", Level.FAIL, " ".join(str(error).split()), _INSTALL)
    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else torch.backends.cpu.get_cpu_capability()
    return Finding("torch", Level.OK, f"{torch.__version__} on {device}, {torch.get_num_threads()} threads")


def matmul() -> Finding:
    """Say whether the fast way to multiply, which the learner takes where it is exact enough, is float32 here."""
    try:
        import torch  # noqa: F401
    except (ImportError, OSError):
        return Finding("float32 product", Level.FAIL, "torch cannot be imported", _INSTALL)
    from training.precision import is_float32, medium_error

    error = medium_error()
    found = f"relative error {error:.1e} at precision medium"
    if is_float32(error):
        return Finding("float32 product", Level.OK, found)
    fix = "this processor multiplies in bfloat16 there, so that float32 takes the slower way: sac.precision bfloat16 learns faster on it"
    return Finding("float32 product", Level.WARN, found, fix)


def compiler() -> Finding:
    """Look for the C++ compiler that torch.compile calls."""
    path = shutil.which("g++") or shutil.which("c++")
    if path is None:
        return Finding("C++ compiler", Level.WARN, "none", "apt install g++: without it the learner runs eagerly, about half as fast")
    return Finding("C++ compiler", Level.OK, path)


def video_codec() -> Finding:
    """Look for the encoder of the videos."""
    try:
        import av

        av.codec.Codec("libx264", "w")
    except (ImportError, OSError, ValueError) as error:
        return Finding("video", Level.WARN, f"no H.264 encoder ({error})", f"videos cannot be written; {_INSTALL}")
    return Finding("video", Level.OK, f"av {importlib.metadata.version('av')} with libx264")
