"""`fetlock replay --on viewer`: the real viewer serves a real page."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from fetlock.__main__ import main
from tests.fetlock.recorded import record_run

ROOT = Path(__file__).resolve().parents[2]
_SOON_S = 60.0


def test_the_viewer_serves_a_page_and_ends_when_it_is_interrupted(tmp_path: Path) -> None:
    record_run(tmp_path / "mine", episodes=1)
    words = [sys.executable, "-m", "fetlock", "replay", str(tmp_path / "mine"), "--on", "viewer"]
    bare = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    with subprocess.Popen(words, cwd=ROOT, env=bare, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as viewer:
        assert viewer.stdout is not None
        found = next(found for line in viewer.stdout if (found := re.search(r"web-viewer at (http://[0-9.]+:[0-9]+)", line)))
        try:
            with urllib.request.urlopen(found[1], timeout=_SOON_S) as page:
                assert b"rerun" in page.read().lower()
        finally:
            viewer.send_signal(signal.SIGINT)
            viewer.stdout.read()
        assert viewer.wait(_SOON_S) == 0
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(found[1], timeout=_SOON_S)


def test_a_viewer_takes_no_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record_run(tmp_path / "mine", episodes=1)
    assert main(["replay", str(tmp_path / "mine"), "--on", "viewer", "--seed", "1"]) == 2
    assert "--seed: the viewer shows what was recorded" in capsys.readouterr().err
