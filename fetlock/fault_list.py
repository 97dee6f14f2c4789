"""The twenty-five faults that the safety of a robot is judged by: what each must come to, and how it can be injected."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from typing import Literal

from pydantic import JsonValue


@dataclass(frozen=True, slots=True)
class OnBus:
    """By the control socket of an emulated machine.

    Attributes:
        kind: Of `robot.emulator.Fault`.
        more: Its other values where none is given.
    """

    kind: str
    more: dict[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BySignal:
    """By a signal to a process.

    Attributes:
        role: Of a run, or "loop" for a motion process; "all" for every process of a run at once.
        number: The signal.
        for_s: After which SIGCONT follows, s; None: it does not.
    """

    role: Literal["loop", "learner", "logger", "collector", "all"]
    number: signal.Signals = signal.SIGKILL
    for_s: float | None = None


@dataclass(frozen=True, slots=True)
class ByFileSize:
    """By a bound on the size of files that the logger of a run may write, which is a disk that takes no more."""


@dataclass(frozen=True, slots=True)
class NotFromOutside:
    """By nothing that a command can reach; `why` says where it is tried."""

    why: str


Way = OnBus | BySignal | ByFileSize | NotFromOutside


@dataclass(frozen=True, slots=True)
class ListedFault:
    """A fault of the list: `outcome` is what must come of it."""

    outcome: str
    way: Way


_BENCH = "tried by ./run bench faults"
# Names are those of `./run bench faults`.
FAULTS: dict[str, ListedFault] = {
    "nan_action": ListedFault("rejected whole; 3 in a row: HOLD", NotFromOutside(f"the policy's; {_BENCH}")),
    "packet_lost": ListedFault("stale, asked again, goes on", OnBus("drop", {"times": 1})),
    "packets_lost": ListedFault("ten: HOLD, nothing trained on", OnBus("drop", {"duration_s": 0.3})),
    "corrupt_crc": ListedFault("dropped, counted, goes on", OnBus("corrupt", {"probability": 0.005, "duration_s": 0.2})),
    "wrong_id_or_length": ListedFault("dropped; three ticks in a row: HOLD", OnBus("truncate", {"duration_s": 0.3})),
    "motor_reboot": ListedFault("HOLD; set up again, an operator arms", OnBus("reboot")),
    "overload": ListedFault("the others settle, torque off, latched", OnBus("overload")),
    "over_temperature": ListedFault("slower from 55 deg C, settled at 70, not armed before 50", OnBus("overheat", {"magnitude": 72.0})),
    "encoder_stuck": ListedFault("HOLD within 200 ms of motion", OnBus("stuck_encoder")),
    "encoder_jump": ListedFault("rejected, HOLD", OnBus("encoder_wrap")),
    "stalled_joint": ListedFault("HOLD before the motor shuts down", OnBus("jam")),
    "unplugged": ListedFault("motors' watchdog within 100 ms; reconnects to DISARMED", OnBus("unplug")),
    "bus_late": ListedFault("late answers are none: HOLD", OnBus("delay", {"magnitude": 0.05, "duration_s": 0.3})),
    "loop_killed": ListedFault("motors' watchdog; starts again DISARMED", BySignal("loop")),
    "loop_stopped": ListedFault("the same after 2 s; what queued up meanwhile is dropped", BySignal("loop", signal.SIGSTOP, for_s=2.0)),
    "learner_killed": ListedFault("collectors go on with the last good weights; resumes, nothing acknowledged lost", BySignal("learner")),
    "collector_killed": ListedFault("the partial episode is kept, marked as cut off", BySignal("collector")),
    "logger_killed": ListedFault("recovered, nothing acknowledged lost", BySignal("logger")),
    "disk_full": ListedFault("acknowledges nothing more, HOLD; goes on by itself when there is room", ByFileSize()),
    "power_cut": ListedFault("a valid prefix of the log", BySignal("all")),
    "checkpoint_killed": ListedFault("the old checkpoint or the new one", NotFromOutside(f"a moment of the learner's; {_BENCH}")),
    "wall_clock": ListedFault("no change", NotFromOutside(f"the system's; {_BENCH}, in one process")),
    "camera_frozen": ListedFault("HOLD; the episode is cut off", NotFromOutside(f"the camera's; {_BENCH}")),
    "network": ListedFault("30% lost, out of order, doubled: each exactly once", NotFromOutside("no part of ours uses a network yet")),
    "weights_bad": ListedFault("rejected, the last good ones stay", NotFromOutside(f"the learner's; {_BENCH}")),
}
