"""What draws the pictures of a simulated camera: PyBullet's software renderer, or OpenGL by EGL, which needs no display either.

Pictures of the two differ, and OpenGL's with its driver: what one has drawn, another machine draws again bit for bit in software alone.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import subprocess
import sys
from collections.abc import Iterator

import pybullet

from robot.errors import UsageError
from sim.config import RendererKind
from sim.quiet import silent

# Of the plugin's entry point in PyBullet's own module.
_MODULE, _PLUGIN = "eglRenderer", "_eglRendererPlugin"
# Without a driver the plugin ends its process: another one tries first. Importing PyBullet took up to 8 s on busy cores.
_PROBE = f"""
import pybullet, sys
client = pybullet.connect(pybullet.DIRECT)
plugin = pybullet.loadPlugin(sys.argv[1], "{_PLUGIN}", physicsClientId=client)
pybullet.getCameraImage(16, 16, renderer=pybullet.ER_BULLET_HARDWARE_OPENGL, physicsClientId=client)
sys.stderr.write("drawn" if plugin >= 0 else "refused")
"""
_PROBE_S = 60.0

# Clients that have the plugin.
_by_egl: set[int] = set()


def draw_by(kind: RendererKind, client: int) -> None:
    """Set what draws a world that was just opened.

    Raises:
        UsageError: If OpenGL is asked for and EGL gives none.
    """
    _by_egl.discard(client)
    if kind == "egl":
        path = _plugin()
        _load_before_mesa()
        with silent(1, 2):
            pybullet.loadPlugin(path, _PLUGIN, physicsClientId=client)
        _by_egl.add(client)


@contextlib.contextmanager
def drawing(client: int) -> Iterator[int]:
    """Yield PyBullet's number of what draws a world."""
    if client not in _by_egl:
        yield pybullet.ER_TINY_RENDERER
        return
    # OpenGL names its vendor when it first draws something.
    with silent(1):
        yield pybullet.ER_BULLET_HARDWARE_OPENGL


def close_world(client: int) -> None:
    """Disconnect."""
    # OpenGL says goodbye.
    with silent(1) if client in _by_egl else contextlib.nullcontext():
        pybullet.disconnect(physicsClientId=client)
    _by_egl.discard(client)


def _load_before_mesa() -> None:
    """Import triton, where it is installed: torch does when it compiles, and crashes if Mesa's software driver has brought its LLVM before.

    Seen with triton 3.9.0 and Mesa 22.3; the other way round both work.
    """
    with contextlib.suppress(ImportError):
        importlib.import_module("triton")


@functools.cache
def _plugin() -> str:
    """Return the path of the plugin, which has drawn something in another process."""
    spec = importlib.util.find_spec(_MODULE)
    said = "this PyBullet has no module eglRenderer"
    if spec is not None and spec.origin is not None:
        try:
            words = [sys.executable, "-c", _PROBE, spec.origin]
            probe = subprocess.run(words, capture_output=True, text=True, timeout=_PROBE_S, check=False)
        except subprocess.TimeoutExpired:
            said = f"a trial picture was not drawn within {_PROBE_S:.0f} s"
        else:
            if probe.stderr.endswith("drawn"):
                return spec.origin
            lines = [line for line in (probe.stdout + probe.stderr).splitlines() if line.strip()]
            said = f"a trial picture was not drawn ({lines[-1].strip() if lines else f'exit status {probe.returncode}'})"
    raise UsageError(
        f"renderer egl: {said}: install the graphics driver's EGL (Debian: libegl1 and the driver's package, or libgl1-mesa-dri without a "
        "graphics card), or set renderer to software"
    )
