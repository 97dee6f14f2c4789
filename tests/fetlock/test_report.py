"""`fetlock report`: its figures are those of the logs, it asks no other machine, and words of a run are no markup."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from fetlock.__main__ import main
from fetlock.plots.episode import read_episode
from fetlock.plots.gait import gait_of, words
from fetlock.reports.drawings import Drawings
from fetlock.reports.facts import read_facts, stops_of
from fetlock.reports.page import page
from safety.types import Cause, Mode, Reason
from tests.fetlock.recorded import record_run
from training.rollout_log import EpisodeWriter, RunMetadata, read_log

Capture = pytest.CaptureFixture[str]
TIGHT = ("--guard.velocity-max-rad-s", "2", "--guard.position-max-rad", "2.2")
TROT = ("--seed", "3", "--task.time-limit-steps", "150", "--sac.network.hidden", "8")
# Everything that a page is made of.
HTML = [
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "h1",
    "h2",
    "p",
    "span",
    "div",
    "b",
    "section",
    "table",
    "tr",
    "th",
    "td",
    "details",
    "summary",
    "pre",
    "figure",
    "figcaption",
    "video",
    "footer",
]
SVG = ["svg", "g", "path", "use", "defs", "clippath", "rect", "text", "style"]


# For tests of words alone.
NOTHING_DRAWN = Drawings([], "", None, "", [], "", [])


class Page(HTMLParser):
    """Cells of tables by their heading, cards by their name, all elements and the addresses that they name."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.rows: dict[str, list[str]] = {}
        self.cards: dict[str, str] = {}
        self.text = ""
        self._open: list[str] = []
        self._cell = ""
        self._heading = ""
        self._card = ["", ""]
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        named = dict(attrs)
        self.ids += [named["id"] or ""] if "id" in named else []
        self.addresses += [named[name] or "" for name in ("src", "href") if name in named]
        if tag != "meta":
            self._open.append("card" if named.get("class") == "card" else tag)
        self._cell = "" if tag in ("th", "td") else self._cell
        self._card = ["", ""] if named.get("class") == "card" else self._card

    def handle_data(self, data: str) -> None:
        self.text += data
        self._cell += data
        if "card" in self._open:
            self._card["b" not in self._open] += data

    def handle_endtag(self, tag: str) -> None:
        closed = self._open.pop()
        if closed == "card":
            self.cards[self._card[1]] = self._card[0]
        if tag == "th":
            self._heading = self._cell
        if tag == "td":
            self.rows.setdefault(self._heading, []).append(self._cell)


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "mine"
    record_run(folder, episodes=4, flags=TIGHT, broken_from=100)
    return folder


@pytest.fixture(scope="module")
def trot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trots") / "trot"
    record_run(folder, episodes=1, base=TROT, trots=True)
    return folder


def report(capsys: Capture, folder: Path, *arguments: object, code: int = 0) -> str:
    assert main(["report", str(folder), *map(str, arguments)]) == code
    captured = capsys.readouterr()
    return captured.out if code == 0 else captured.err


def made(capsys: Capture, folder: Path, out: Path) -> Page:
    assert report(capsys, folder, "--out", out) == f"{out}\n"
    return Page(out.read_text())


def test_its_figures_are_those_of_the_logs(run_folder: Path, tmp_path: Path, capsys: Capture) -> None:
    found = made(capsys, run_folder, tmp_path / "r.html")
    logs = [read_log(path) for path in sorted((run_folder / "rollouts").iterdir())]
    # Plain Python over the records.
    steps = sum(1 for log in logs for _ in log.steps)
    falls = sum(int(row["terminated"]) for log in logs for row in log.steps)
    ticks = [row for log in logs for row in log.bus]
    assert found.cards["environment steps"] == f"{steps:,}"
    assert found.cards["falls in training"] == str(falls)
    assert found.cards["minutes of robot time"] == f"{sum(float(row['period_s']) for row in ticks) / 60.0:.1f}"
    for stage in Reason:
        changed = sum(1 for row in ticks if int(row["filter_mask"]) & int(stage))
        name = str(stage.name).lower().replace("_", " ")
        if stage and changed:
            assert found.rows[name][1:] == [f"{changed:,}", f"{100.0 * changed / len(ticks):.2f} %"]
        elif stage:
            assert name not in found.rows
    # Its policy broke in one episode or more: commands were no numbers, and the guard held.
    held = sum(1 for log in logs if any(int(row["causes"]) & int(Cause.REJECTED) for row in log.bus))
    assert held > 0
    assert found.rows[f"stopped {held} times"] == ["REJECTED: commands were not finite numbers"]
    assert "No operator was needed" in found.text
    assert found.rows["holds"] == [f"{steps:,} policy ticks, {len(ticks):,} bus ticks"]
    size = sum(path.stat().st_size for path in (run_folder / "rollouts").iterdir())
    assert found.rows["files"] == [f"4, {size / 1e6:.2f} MB"]
    assert found.rows["checked"] == ["every checksum and every number is as it was written"]
    assert found.rows["lateness of policy ticks"] == ["time was simulated"]
    assert (found.rows["seed"], found.rows["robot, task"]) == (["5"], ["minitaur, walk"])
    evaluations = [json.loads(line) for line in (run_folder / "evaluations.jsonl").read_text().splitlines()]
    assert found.cards["speed, m/s, best policy"] == f"{max(evaluations, key=lambda line: line['mean_return'])['mean_measure']:.2f}"


def test_its_gait_is_that_of_the_best_episode(trot: Path, tmp_path: Path, capsys: Capture) -> None:
    found = made(capsys, trot, tmp_path / "r.html")
    # The middle of three seconds is all of them.
    gait = gait_of(read_episode(trot / "rollouts" / "c0-e000000.mcap", tmp_path / "x"))
    for said in words(gait):
        assert said in found.text
    assert f"{gait.stepping.stride_hz:.2f} strides/s" in found.text


def test_what_only_the_trainer_knows_is_from_its_summary(run_folder: Path, tmp_path: Path, capsys: Capture) -> None:
    folder = Path(shutil.copytree(run_folder, tmp_path / "run"))

    def told() -> Page:
        return Page(page(read_facts(folder), NOTHING_DRAWN, tmp_path / "r.html"))

    assert told().rows["missed bus ticks"] == ["not known"]
    assert "has not ended" in told().text
    summary = {
        "seconds": 90.0,
        "updates": 1234,
        "updates_per_s": 13.7,
        "update_to_data_ratio": 3.96,
        "missed_ticks": 7,
        "lost_records": 0,
        "restarts": {"learner": 2, "logger": 0},
        "machine": {"cpu": "A & B", "cores": 2},
        "mark": {"steps": 90, "seconds": 80.0, "evaluations_in_a_row": 3},
    }
    (folder / "summary.json").write_text(json.dumps(summary))
    found = told()
    rows = {name: cells[0] for name, cells in found.rows.items()}
    assert (rows["missed bus ticks"], rows["records that found no room"]) == ("7", "0")
    assert (rows["updates"], rows["updates per step"]) == ("1,234, 13.7 a second", "3.96")
    assert (rows["restarted processes"], rows["machine"]) == ("learner 2", "cpu A & B, cores 2")
    assert found.cards["minutes of wall clock"] == "1.5"
    assert "held 3 times in a row at step 90" in found.text
    (folder / "summary.json").write_text(json.dumps({**summary, "mark": None}))
    assert "Not learned" in told().text
    (folder / "summary.json").write_text("[")
    assert "is no summary of a run" in report(capsys, folder, code=2)
    (folder / "summary.json").write_text("[]")
    assert "holds no mapping" in report(capsys, folder, code=2)


def test_it_asks_no_other_machine_for_anything(run_folder: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "r.html"
    found = made(capsys, run_folder, out)
    text = out.read_text()
    for word in ("http", "//", "@import", "<script", "<link", "javascript"):
        assert word not in text.replace("data:video/mp4;base64,", "").lower(), word
    assert all(address.startswith("#") for address in found.addresses)
    assert {address.removeprefix("#") for address in found.addresses} <= set(found.ids)
    assert len(found.ids) == len(set(found.ids))
    assert len(text) < 3_000_000
    # Light and dark: no grey of a picture is left that the page does not choose.
    assert "prefers-color-scheme: dark" in text
    drawn = "".join(re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL))
    assert drawn.count("<text") > 50
    assert not re.search(r"#(000000|ffffff|4d4d4d|a6a6a6|e5e5e5)", drawn)


def test_words_of_a_run_are_no_markup(run_folder: Path, tmp_path: Path, capsys: Capture) -> None:
    evil = '<script>alert("1")</script><img src=x>'.replace("/", "\u2215")
    folder = Path(shutil.copytree(run_folder, tmp_path / evil))
    with (folder / "config.yaml").open("a") as file:
        file.write(f"# </pre>{evil}\n")
    path = folder / "rollouts" / "c0-e000003.mcap"
    log = read_log(path)
    path.unlink()
    names = tuple(f"<i>{joint}" for joint in range(8))
    writer = EpisodeWriter(
        folder / "rollouts", 0, 3, log.steps.dtype, log.bus.dtype, RunMetadata("0", evil, 5, revision=evil, joint_names=names)
    )
    writer.write(log.bus, log.steps)
    writer.finish(complete=True)
    (folder / "summary.json").write_text(
        json.dumps(
            {"machine": {evil: evil}, "restarts": {evil: 1}, "mark": dict.fromkeys(("evaluations_in_a_row", "steps", "seconds"), evil)}
        )
    )
    found = made(capsys, folder, tmp_path / "r.html")
    assert set(found.tags) <= {*HTML, *SVG}
    assert found.text.count(evil) >= 7
    assert all(address.startswith("#") for address in found.addresses)


def test_small_videos_are_in_it_and_large_ones_beside_it(run_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(run_folder, tmp_path / "a run"))
    (folder / "videos").mkdir()
    (folder / "walk.mp4").write_bytes(b"w" * 900_000)
    for steps, size in ((1000, 700_000), (2000, 300_000), (3000, 100_000)):
        (folder / "videos" / f"{steps:09d}.mp4").write_bytes(bytes(size))
    found = Page(text := page(read_facts(folder), NOTHING_DRAWN, tmp_path / "pages" / "r.html"))
    played = [address for address in found.addresses if not address.startswith("#")]
    assert [address[:22] for address in played] == [
        "data:video/mp4;base64,",
        "../a%20run/videos/0000",
        "data:video/mp4;base64,",
        "data:video/mp4;base64,",
    ]
    assert played[1].endswith("/000001000.mp4")
    assert len(text) < 2_700_000
    assert [name for name in ("step 1000", "step 2000", "step 3000") if name in found.text] == ["step 1000", "step 2000", "step 3000"]


@pytest.mark.parametrize(
    ("modes", "causes", "expected"),
    [
        ([Mode.ACTIVE] * 3, [0, 0, 0], {}),
        # What is raised while nothing is stopped is not a stop yet.
        ([Mode.ACTIVE, Mode.HOLD, Mode.HOLD], [Cause.HOT, Cause.HOT, Cause.HOT], {Cause.HOT: 1}),
        ([Mode.HOLD, Mode.ACTIVE, Mode.HOLD], [Cause.BUS, 0, Cause.BUS | Cause.STOP_CUT], {Cause.BUS: 2, Cause.STOP_CUT: 1}),
        ([Mode.SETTLE, Mode.CUT, Mode.TERMINATED], [Cause.BATTERY] * 3, {Cause.BATTERY: 1}),
    ],
)
def test_a_stop_is_counted_when_it_begins(modes: list[Mode], causes: list[int], expected: dict[Cause, int]) -> None:
    assert dict(stops_of(np.array(modes, np.uint8), np.array(causes, np.uint32))) == expected


def test_a_log_that_is_being_written_is_not_wrong(run_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(run_folder, tmp_path / "run"))
    path = folder / "rollouts" / "c0-e000003.mcap"
    path.rename(path.with_name("c0-e000003.mcap.part"))
    found = Page(page(read_facts(folder), NOTHING_DRAWN, tmp_path / "r.html"))
    assert (found.rows["still being written"], found.rows["checked"]) == (["1"], ["every checksum and every number is as it was written"])


def test_what_is_wrong_with_a_log_is_said(run_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(run_folder, tmp_path / "run"))
    log = read_log(folder / "rollouts" / "c0-e000003.mcap")
    steps = log.steps.copy()
    steps["reward"][0] = np.nan
    writer = EpisodeWriter(folder / "rollouts", 0, 3, steps.dtype, log.bus.dtype, RunMetadata("0", "minitaur", 5))
    (folder / "rollouts" / "c0-e000003.mcap").unlink()
    writer.write(log.bus, steps)
    writer.finish(complete=True)
    found = Page(page(read_facts(folder), NOTHING_DRAWN, tmp_path / "r.html"))
    assert found.rows["checked"] == ["1 wrong"]
    assert ".mcap: reward holds what is no number" in found.text


def test_wrong_input_is_one_line(run_folder: Path, tmp_path: Path, capsys: Capture) -> None:
    assert "holds no run" in report(capsys, tmp_path, code=2)
    assert "ends in .html" in report(capsys, run_folder, "--out", tmp_path / "r.pdf", code=2)
    (tmp_path / "empty" / "rollouts").mkdir(parents=True)
    assert "no recorded step yet" in report(capsys, tmp_path / "empty", code=1)
    (tmp_path / "file").touch()
    assert "cannot be written" in report(capsys, run_folder, "--out", tmp_path / "file" / "r.html", code=1)
    damaged = Path(shutil.copytree(run_folder, tmp_path / "damaged"))
    path = damaged / "rollouts" / "c0-e000001.mcap"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(bytes(content))
    assert "is damaged after" in report(capsys, damaged, code=1)
    assert not (damaged / "report.html").exists()
