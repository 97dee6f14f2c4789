"""The page of a report: one file of HTML that asks no other machine for anything. Every word that comes from a run is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from pydantic import JsonValue

from fetlock.plots.interventions import name_of
from fetlock.reports.drawings import Drawings
from fetlock.reports.facts import Facts
from fetlock.reports.films import sources
from fetlock.reports.style import CSS
from safety.modes import RULES
from safety.types import INTERVENTIONS

Rows = Iterable[tuple[str, str]]
_UNKNOWN = "not known"


def page(facts: Facts, drawings: Drawings, out: Path) -> str:
    """Return the report, HTML.

    Args:
        facts: Its figures.
        drawings: Its pictures.
        out: Where it will lie, for videos that are not in it.
    """
    name = facts.curves.name
    parts = (
        f"<h1>{escape(name)}</h1>",
        f'<p class="soft">{escape(facts.curves.origin.body)}. {_verdict(facts)}</p>',
        _cards(facts),
        _section("What was trained", _table(_trained(facts)), _details("The whole configuration", facts.config)),
        _section("Learning", _legend(), _grid(drawings.curves)),
        _films(facts.folder, out),
        _gait(drawings),
        _joints(drawings),
        _guard(facts, drawings),
        _section("Timing", _table(_timing(facts))),
        _section("Log", _table(_log(facts)), *(f'<p class="bad">{escape(line)}</p>' for line in facts.wrong)),
        f'<footer class="soft">Written by fetlock report from {escape(str(facts.folder))}.</footer>',
    )
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(name)}</title><style>{CSS}</style>"
    )
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n' + "\n".join(parts) + "\n</body></html>\n"


def _section(title: str, *parts: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{''.join(parts)}</section>"


def _table(rows: Rows) -> str:
    return "<table>" + "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows) + "</table>"


def _details(title: str, text: str) -> str:
    return f"<details><summary>{escape(title)}</summary><pre>{escape(text)}</pre></details>"


def _grid(pictures: Sequence[str]) -> str:
    return '<div class="grid">' + "".join(f"<figure>{picture}</figure>" for picture in pictures) + "</div>"


def _figure(value: JsonValue, form: str, unit: str = "") -> str:
    """Write a number of the summary; what it does not say is said to be unknown."""
    return f"{value:{form}}{unit}" if isinstance(value, int | float) else _UNKNOWN


def _verdict(facts: Facts) -> str:
    mark = facts.summary.get("mark")
    if not facts.summary:
        return "The run has not ended, or it learned nothing: figures are those of its logs so far."
    if isinstance(mark, dict):
        held = escape(f"held {mark['evaluations_in_a_row']} times in a row at step {mark['steps']}, after {mark['seconds']} s")
        return f'<span class="good">Learned</span>: the mark was {held}.'
    return '<span class="bad">Not learned</span>: the mark was not held as often as asked for.'


def _cards(facts: Facts) -> str:
    evaluations = facts.curves.evaluations
    best = max(evaluations, key=lambda evaluation: evaluation.rank, default=None)
    seconds, measure = facts.summary.get("seconds"), facts.curves.origin.measure
    cards = [
        (f"{measure.name}, {measure.unit}, best policy", "-" if best is None else f"{best.mean_measure:.2f}"),
        ("falls in its episodes", "-" if best is None else f"{best.falls} of {best.episodes}"),
        ("return, best policy", "-" if best is None else f"{best.mean_return:.0f}"),
        ("environment steps", f"{facts.steps:,}"),
        ("minutes of wall clock", f"{seconds / 60.0:.1f}" if isinstance(seconds, int | float) else "-"),
        ("minutes of robot time", f"{sum(log.seconds for log in facts.logs) / 60.0:.1f}"),
        ("falls in training", str(int(facts.curves.failed.sum()))),
    ]
    return (
        '<div class="cards">' + "".join(f'<div class="card"><b>{escape(value)}</b>{escape(name)}</div>' for name, value in cards) + "</div>"
    )


def _trained(facts: Facts) -> Rows:
    yield "robot, task", facts.curves.origin.body
    yield "seed", str(facts.curves.origin.seed)
    yield "commit", ", ".join(facts.revisions)
    machine = facts.summary.get("machine")
    yield "machine", ", ".join(f"{name} {value}" for name, value in machine.items()) if isinstance(machine, dict) else _UNKNOWN
    yield "joints", facts.metadata.get("joint_names", "").replace(" ", ", ") or "not named"
    yield "episodes", f"{len(facts.curves.length)} that ended by themselves, {len(facts.logs)} in the log"
    yield "evaluations", str(len(facts.curves.evaluations))


def _legend() -> str:
    return (
        '<p class="soft">Dots: training episodes, with exploration. Line: mean of five. '
        "Squares: evaluations of the mean action, hollow with falls.</p>"
    )


def _films(folder: Path, out: Path) -> str:
    best = [path for path in [folder / "walk.mp4"] if path.is_file()]
    each = sorted((folder / "videos").glob("*.mp4"))
    if not best and not each:
        return ""
    found = sources([*best, *reversed(each)], out)
    parts = [f'<figure class="film"><video controls preload="metadata" src="{escape(found[path])}"></video>' for path in best]
    parts += ["<figcaption>The best policy, one episode of its mean action.</figcaption></figure>"] if best else []
    films = (
        f'<figure><video controls muted loop preload="metadata" src="{escape(found[path])}"></video>'
        f"<figcaption>step {escape(path.stem.lstrip('0') or '0')}</figcaption></figure>"
        for path in each
    )
    parts += ['<p class="soft">The policy at its evaluations:</p><div class="films">', *films, "</div>"] if each else []
    return _section("Film", *parts)


def _gait(drawings: Drawings) -> str:
    if drawings.gait is None:
        return _section("Gait", f'<p class="soft">{escape(drawings.gait_said)}</p>')
    said = f'<p class="soft">{escape(drawings.episode)} Bars: the foot stands. {escape(drawings.gait_said)}.</p>'
    return _section("Gait", said, f'<figure class="wide">{drawings.gait}</figure>')


def _joints(drawings: Drawings) -> str:
    if not drawings.joints:
        return ""
    said = f"{drawings.episode} Grey: sent. Vermilion: measured. {drawings.joints_said[:1].upper()}{drawings.joints_said[1:]}."
    return _section("Joint tracking", f'<p class="soft">{escape(said)}</p>', _grid(drawings.joints))


def _guard(facts: Facts, drawings: Drawings) -> str:
    rows = "".join(
        f"<tr><th>{escape(name_of(stage))}</th><td>{'overrides' if stage & INTERVENTIONS else 'shapes'}</td>"
        f'<td class="right">{count:,}</td><td class="right">{100.0 * count / facts.ticks:.2f} %</td></tr>'
        for stage, count in facts.stages.items()
    )
    stages = f'<table><tr><th>stage</th><th></th><th class="right">bus ticks</th><th class="right">share</th></tr>{rows}</table>'
    stops = ((f"stopped {times} times", f"{cause.name}: {RULES[cause].says}") for cause, times in facts.stops.items())
    calls = "An operator was needed" if facts.persons else "No operator was needed"
    said = f"{len(facts.stops)} causes stopped the robot. {calls}{f' {facts.persons} times' if facts.persons else ''}."
    return _section(
        "Guard",
        _grid(drawings.stages),
        stages,
        f"<p>{escape(said if facts.stops else f'Nothing stopped the robot. {calls}.')}</p>",
        _table(stops),
    )


def _timing(facts: Facts) -> Rows:
    summary = facts.summary
    late = facts.lateness_ms
    yield (
        "lateness of policy ticks",
        "time was simulated" if late is None else f"p50 {late[0]:.3f} ms, p99 {late[1]:.3f} ms, largest {late[2]:.3f} ms",
    )
    yield "missed bus ticks", _figure(summary.get("missed_ticks"), "d")
    yield "records that found no room", _figure(summary.get("lost_records"), "d")
    yield "updates", f"{_figure(summary.get('updates'), ',')}, {_figure(summary.get('updates_per_s'), '.1f', ' a second')}"
    yield "updates per step", _figure(summary.get("update_to_data_ratio"), ".2f")
    restarts = summary.get("restarts")
    yield "restarted processes", _restarts(restarts) if isinstance(restarts, dict) else _UNKNOWN
    yield "reset routines drove", f"{facts.routine_s:.1f} s"
    yield "hottest motor", "no temperature is measured" if facts.temperature_c is None else f"{facts.temperature_c:.0f} C"


def _restarts(restarts: dict[str, JsonValue]) -> str:
    return ", ".join(f"{name} {times}" for name, times in restarts.items() if times) or "none"


def _log(facts: Facts) -> Rows:
    yield "files", f"{len(facts.logs)}, {sum(log.bytes for log in facts.logs) / 1e6:.2f} MB"
    yield "holds", f"{facts.steps:,} policy ticks, {sum(log.bus_ticks for log in facts.logs):,} bus ticks"
    unfinished = sum(log.state == "unfinished" for log in facts.logs)
    yield "still being written", str(unfinished)
    yield "checked", f"{len(facts.wrong)} wrong" if facts.wrong else "every checksum and every number is as it was written"
