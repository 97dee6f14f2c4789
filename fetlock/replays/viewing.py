"""Shows recorded episodes in Rerun's viewer: a window where there is a display, else a page that a browser opens."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from robot.errors import FetlockError

# What an orderly end may take, s: it takes a tenth.
_END_S = 3.0


def view(path: Path) -> int:
    """Show an episode until the viewer is closed or interrupted; return the viewer's exit code.

    Args:
        path: Of its log.

    Raises:
        FetlockError: If Rerun is not installed.
        LogError: If the log cannot be read.
    """
    found = importlib.util.find_spec("rerun_cli")
    if found is None or found.origin is None:
        raise FetlockError("--on viewer needs Rerun, which is not installed: `./run export --help` installs it; or give --video FILE.mp4")
    # Its module would start this file and stay in between.
    binary = Path(found.origin).with_name("rerun")
    from fetlock.exports.recording import open_recording
    from fetlock.exports.rrd import export_rrd

    with TemporaryDirectory(prefix="fetlock-view-") as folder:
        file = Path(folder) / f"{path.stem}.rrd"
        export_rrd(open_recording(path, 0, None), file)
        command = [str(binary), str(file), "--port", "auto", "--bind", "127.0.0.1"]
        if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            sys.stderr.write("no display here: open the page that is named below; Ctrl-C ends it\n")
            # Port 0: any free one.
            command += ["--serve-web", "--web-viewer-port", "0"]
        with subprocess.Popen(command) as viewer:
            try:
                return viewer.wait()
            except KeyboardInterrupt:
                viewer.terminate()
                try:
                    viewer.wait(_END_S)
                except subprocess.TimeoutExpired:
                    # Nobody is to sit before a terminal that does not come back.
                    viewer.kill()
                return 0
