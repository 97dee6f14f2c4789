"""The page: what each visitor sees, and its buttons. NiceGUI is imported here and in its neighbours alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nicegui import run, ui

from fetlock.console import orders
from fetlock.console.charts import Chart
from fetlock.console.panels import figures_html, joints_html
from fetlock.console.state import Curve, State
from fetlock.console.watcher import PERIOD_S, Watcher
from fetlock.console.words import LONG, board_of, look_of, reason_of
from safety.stop_records import StopLevel

STATIC = Path(__file__).resolve().parent / "static"
# What a stop asks, in the button's second line.
_STOPS = {
    StopLevel.HOLD: "every robot brakes and holds",
    StopLevel.SETTLE: "every robot rests, torque off",
    StopLevel.CUT: "torque off: every robot drops",
    StopLevel.TERMINATE: "torque off for good",
}


@dataclass(frozen=True, slots=True)
class PageConfig:
    """What the page is told once.

    Attributes:
        door: Where stops and heartbeats go.
        token: Of the session.
        level: What STOP asks of the robots.
        heartbeat_s: Silence after which the robots hold; None: nobody waits for the operator.
        present_s: How long an operator who touches nothing counts as present.
        camera: Whether there is a picture.
    """

    door: str
    token: str
    level: StopLevel
    heartbeat_s: float | None
    present_s: float
    camera: bool


class Page:
    """One visitor's page; draws itself as long as it is open.

    Args:
        watcher: Knows the newest state.
        config: See there.
    """

    def __init__(self, watcher: Watcher, config: PageConfig) -> None:
        self._watcher = watcher
        self._shown = -1
        _add_static(config)
        with ui.element("main").classes("console with-camera" if config.camera else "console"):
            self._banner()
            with ui.element("section").classes("card joints-card"):
                with ui.element("h2"):
                    ui.label("Joints: position within its limits, temperature")
                self._joints = ui.html(sanitize=False).classes("joints-box")
            with ui.element("div").classes("curves"):
                if config.camera:
                    ui.html(
                        '<section class="card camera"><h2>Camera</h2><img id="picture" alt=""><p></p></section>', sanitize=False
                    ).classes("camera-box")
                self._returns = Chart("No episode has ended yet.")
                self._measure = Chart("No episode has ended yet.")
            self._figures = ui.html(sanitize=False).classes("figures-row")
            self._buttons()
        self._show()
        ui.timer(PERIOD_S, self._show)

    def _banner(self) -> None:
        self._head = ui.element("header").classes("banner")
        with self._head:
            self._sign = ui.icon("hourglass_empty").classes("sign")
            with ui.element("div").classes("said"):
                self._name = ui.label().classes("watched")
                self._mode = ui.label().classes("mode")
                self._reason = ui.label().classes("reason")
                self._notes = ui.label().classes("notes")

    def _buttons(self) -> None:
        with ui.element("aside").classes("orders"):
            self._hold = self._button("HOLD", "until the next episode", lambda: self._order(self._ask_hold))
            self._arm = self._button("ARM", "torque on", self._confirm("Switch torque on?", "Nobody touches the robot?", self._ask_arm))
            self._clear = self._button(
                "RELEASE", "", self._confirm("Release the stop?", "The cause is removed, and nobody is in reach?", orders.release)
            )
            self._board = ui.label().classes("line board")
            self._answer = ui.label().classes("line answer")

    def _button(self, title: str, what: str, act: Callable[[], object]) -> tuple[ui.button, ui.label, ui.label]:
        with ui.button(on_click=act, color=None).props("flat no-caps").classes("order") as button:
            name = ui.label(title).classes("order-title")
            why = ui.label(what).classes("order-why")
        return button, name, why

    def _confirm(self, question: str, detail: str, ask: Callable[[], orders.Answer]) -> Callable[[], object]:
        """Return what opens a question in front of an order: two clicks, so that no single slip moves a robot."""
        with ui.dialog() as dialog, ui.card().classes("question"):
            ui.label(question).classes("question-title")
            ui.label(detail)
            with ui.row():
                ui.button("Yes", on_click=lambda: (dialog.close(), self._order(ask))[1]).props("no-caps").classes("confirm")
                ui.button("No", on_click=dialog.close).props("flat no-caps")
        return dialog.open

    async def _order(self, ask: Callable[[], orders.Answer]) -> None:
        self._say("asked …", "")
        answer = await run.io_bound(ask)
        if answer is None:
            # The console is ending.
            return
        self._say(answer.line, "good" if answer.done else "bad")

    def _ask_hold(self) -> orders.Answer:
        return self._of_motion(orders.hold)

    def _ask_arm(self) -> orders.Answer:
        return self._of_motion(orders.arm)

    def _of_motion(self, ask: Callable[[str], orders.Answer]) -> orders.Answer:
        motion = self._watcher.motion
        return orders.Answer(False, "there is no motion process any more") if motion is None else ask(motion)

    def _say(self, line: str, style: str) -> None:
        self._answer.set_text(line)
        self._answer.classes(replace=f"line answer {style}")

    def _show(self) -> None:
        state = self._watcher.state
        if state.number == self._shown:
            return
        self._shown = state.number
        look = look_of(state)
        self._head.classes(replace=f"banner {look.style}")
        self._sign.set_name(look.sign)
        self._name.set_text(state.name or "nothing is watched")
        self._mode.set_text(look.title)
        reason = reason_of(state)
        self._reason.set_text(reason)
        self._reason.classes(replace="reason long" if len(reason) > LONG else "reason")
        self._notes.set_text(" ".join(state.note))
        self._joints.set_content(joints_html(state))
        self._figures.set_content(figures_html(state))
        self._returns.show(Curve() if state.run is None else state.run.returns)
        self._measure.show(Curve() if state.run is None else state.run.measure)
        self._show_buttons(state)

    def _show_buttons(self, state: State) -> None:
        _set(self._hold, "HOLD", state.no_hold or "until the next episode", may=not state.no_hold)
        _set(self._arm, "ARM", state.no_arm or "torque on, then it holds", may=not state.no_arm)
        if state.reset_waits:
            _set(self._clear, "RESET DONE", "the robot is where it may begin", may=True)
        else:
            _set(self._clear, "RELEASE", "the cause is over" if state.clearable else "nothing to release", may=state.clearable)
        self._board.set_text(board_of(state.board, state.board_age_s))
        # The page's own watchdog sees that this changes.
        ui.run_javascript(f"window.fetlockNews && window.fetlockNews({state.number})")


def _set(parts: tuple[ui.button, ui.label, ui.label], title: str, why: str, *, may: bool) -> None:
    button, name, label = parts
    button.set_enabled(may)
    name.set_text(title)
    label.set_text(why)


def _add_static(config: PageConfig) -> None:
    """Put what must work without NiceGUI into the page itself: STOP, its key, the heartbeat, the watchdog of the display."""
    told = json.dumps(
        {"door": config.door, "token": config.token, "heartbeat_s": config.heartbeat_s, "present_s": config.present_s}, allow_nan=False
    )
    ui.add_head_html('<link rel="stylesheet" href="/static/console.css">')
    ui.add_body_html(
        f'<script type="application/json" id="fetlock-told">{told}</script>'
        f'<button id="stop" type="button"><span class="stop-title">STOP</span><span class="stop-what">{_STOPS[config.level]}</span>'
        '<span class="stop-key">or press the space key</span></button>'
        '<div id="stop-said" role="status"></div><div id="operator" role="status"></div><div id="stale" role="alert" hidden></div>'
        '<script src="/static/console.js"></script>'
    )
