"""Laws of the command line: cheap help, one line for every error, exit codes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fetlock.__main__ import VERBS, main
from robot.clock import sleep_s

pytestmark = pytest.mark.realtime

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "pybullet", "matplotlib", "av", "foxglove", "pydantic")


def fetlock(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "fetlock", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def one_line(result: subprocess.CompletedProcess[str], code: int) -> str:
    assert (result.returncode, result.stderr.count("\n"), result.stdout) == (code, 1, "")
    return result.stderr


def test_help_has_all_verbs_and_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom fetlock.__main__ import main\n"
        f"main(['--help']); sys.stderr.write(' '.join(name for name in {HEAVY} if name in sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert [verb for verb in VERBS if f"\n  {verb} " not in result.stdout] == []
    assert result.stderr == ""


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    assert f"fetlock {verb}" in capsys.readouterr().out


def test_no_verb_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert main(["--version"]) == 0
    assert "fetlock 0." in capsys.readouterr().out


def test_an_unknown_verb_names_the_nearest() -> None:
    assert "nearest is train" in one_line(fetlock("trian"), 2)
    assert "choose train, bus, calibrate" in one_line(fetlock("qqqq"), 2)


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (("config", "--sac.lerning-rate", "1"), 2, "--sac.learning-rate"),
        (("config", "--config", "/nowhere.yaml"), 2, "/nowhere.yaml"),
        (("train", "--robot.batery-v", "1"), 2, "--robot.battery-v"),
        (("eval",), 2, "POLICY_OR_RUN"),
        (("eval", "/nowhere"), 1, "/nowhere holds no policy"),
        (("eval", "/nowhere", "-n", "many"), 2, "'many'"),
        (("eval", "/nowhere", "-n", "0"), 2, "at least 1"),
        (("replay", "/nowhere"), 2, "/nowhere"),
        (("plot", "/nowhere"), 2, "choose curves, gait, tracking, interventions"),
        (("plot", "curves", "/nowhere"), 2, "/nowhere holds no run"),
        (("plot", "curves", "/nowhere", "--outt", "x"), 2, "nearest is --out"),
        (("reset", "--falen"), 2, "nearest is --fallen"),
        (("train", "--nmae", "x"), 2, "nearest is --name"),
        (("doctor", "stray"), 2, "'stray'"),
    ],
)
def test_an_error_is_one_line_and_its_exit_code(arguments: tuple[str, ...], code: int, part: str, tmp_path: Path) -> None:
    line = one_line(fetlock(*arguments, cwd=tmp_path), code)
    assert line.startswith(f"fetlock {arguments[0]}: ")
    assert part in line
    assert list(tmp_path.iterdir()) == []


def test_debug_shows_the_traceback() -> None:
    result = fetlock("plot", "curves", "/nowhere", "--debug")
    assert result.returncode == 1
    assert "Traceback" in result.stderr


def test_an_unexpected_error_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(VERBS, "config", ("fetlock.no_such_module", ""))
    assert main(["config"]) == 1
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert "--debug" in line


def test_the_resolved_configuration_is_printed_alone_and_loads_again(tmp_path: Path) -> None:
    printed = fetlock("config", "--sac.batch-size", "32")
    assert (printed.returncode, printed.stderr) == (0, "")
    path = tmp_path / "mine.yaml"
    path.write_text(printed.stdout)
    assert fetlock("config", "--config", str(path)).stdout == printed.stdout


def test_ctrl_c_is_one_line_and_130(tmp_path: Path) -> None:
    (tmp_path / "fifo").mkdir()
    os.mkfifo(tmp_path / "pipe.yaml")
    process = subprocess.Popen(
        [sys.executable, "-m", "fetlock", "config", "--config", str(tmp_path / "pipe.yaml")], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    # The verb waits in open() until the pipe has a writer, which can open it without waiting only then.
    while True:
        try:
            descriptor = os.open(tmp_path / "pipe.yaml", os.O_WRONLY | os.O_NONBLOCK)
            break
        except OSError:
            sleep_s(0.01)
    # One that comes between the interpreter's last look at its signals and the read is not seen before the next.
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        sleep_s(0.5)
    assert process.communicate()[1] == "fetlock config: interrupted\n"
    assert process.returncode == 130
    os.close(descriptor)


def test_a_reader_that_leaves_is_no_error() -> None:
    command = f"{sys.executable} -m fetlock config --help | head -n 1"
    result = subprocess.run(["/bin/sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stderr == ""
