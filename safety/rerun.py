"""Runs the safety chain again over recorded bus ticks: every emission must come out as it was sent, bit for bit.

The modes are taken as recorded: what stopped a robot from outside is in no state. Everything else is found again: filters, derating,
heat, fingers that are kept apart; and nothing may be a cause to stop now that was none then.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot.types import FloatArray
from safety.emission import Emitter
from safety.motion import BusTick
from safety.types import AppliedCommand, Cause, Mode, Note, Reason


@dataclass(frozen=True, slots=True)
class Difference:
    """A tick that came out otherwise.

    Attributes:
        stamp_s: Of its state, s.
        recorded_rad: What was sent, shape (n,).
        found_rad: What the chain sends now, shape (n,).
        recorded: Stages that changed the command then.
        found: And now.
        warmer: The motors' heat came out otherwise.
        unseen: Causes to stop that were not in force then.
    """

    stamp_s: float
    recorded_rad: FloatArray
    found_rad: FloatArray
    recorded: Reason
    found: Reason
    warmer: bool
    unseen: Cause

    @property
    def largest_rad(self) -> float:
        """Largest difference of a joint, rad."""
        return float(np.abs(self.recorded_rad - self.found_rad).max())


class Rerun:
    """The chain of one robot, from tick to tick.

    Args:
        emitter: As the robot's own was when it was made.

    Attributes:
        repeated: Ticks that were decided again.
        skipped: Ticks in which nothing was decided, or of which it is not known where the chain began.
    """

    def __init__(self, emitter: Emitter) -> None:
        self._emitter = emitter
        self._knows_heat = False
        self.repeated = self.skipped = 0

    def tick(self, tick: BusTick) -> Difference | None:
        """Decide the next tick again; return how it differs, None if it does not or could not be decided."""
        applied, emitter = tick.applied, self._emitter
        if not isinstance(applied, AppliedCommand) or Note.SKIPPED in applied.notes:
            self.skipped += 1
            return None
        notes = applied.notes
        if notes & (Note.WATCHED_ANEW | Note.UNSENT):
            emitter.watch_anew()
            self._knows_heat = False
        if notes & (Note.BEGUN | Note.BEGUN_WIDE):
            emitter.begin(tick.state.joints.position_rad, Mode.ACTIVE if Note.BEGUN in notes else Mode.ARMED_HOLD)
        if not emitter.begun:
            self.skipped += 1
            return None
        command = None if Note.IDLE in notes else tick.target
        unseen = emitter.watch(tick.state, applied.mode, command) & ~applied.causes
        heating_a2, found_a2 = applied.heating_a2, emitter.heating_a2
        warmer = self._knows_heat and heating_a2 is not None and found_a2 is not None and heating_a2.tobytes() != found_a2.tobytes()
        if not self._knows_heat and heating_a2 is not None:
            # How warm the motors were before the recording is not in it; from here on it is found again.
            emitter.warm(heating_a2)
            self._knows_heat = True
        emission = emitter.emit(tick.state, applied.mode, command)
        emitter.keep(emission)
        self.repeated += 1
        sent = emission.target_rad.tobytes() == applied.position_rad.tobytes() and emission.reasons == _own(applied)
        same = sent and not warmer and not unseen
        if same:
            return None
        return Difference(
            tick.state.joints.stamp_s, applied.position_rad, emission.target_rad, applied.reasons, emission.reasons, warmer, unseen
        )


def _own(applied: AppliedCommand) -> Reason:
    """Return the chain's own reasons: the motion process adds that it kept back a command that was too old."""
    late = applied.mode.moves and Note.IDLE in applied.notes
    return applied.reasons & ~(Reason.ENVELOPE | Reason.HOLD) if late else applied.reasons
