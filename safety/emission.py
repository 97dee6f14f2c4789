"""What is emitted in a bus tick, and what is remembered of it: limits, filter chain, monitors, fingers kept apart. It reaches no robot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from robot.types import Command, FloatArray, RobotState, frozen_array
from safety.collisions import Gaps, separation
from safety.filters import FilterMemory, Step, brake, filter_command, require_short_stops, seeded
from safety.fingers import Fingers
from safety.limits import GuardConfig, Limits
from safety.monitor import MonitorMemory, derating, watch
from safety.rejections import Rejections, rejected
from safety.types import STOPPED, Cause, Mode, Reason

# At the rest pose: closer than this, rad, which is 13 pulses.
_SETTLED_RAD = 0.02


class Emission(NamedTuple):
    """What is to be sent.

    Attributes:
        target_rad: Shape (n,).
        memory: Of the chain, if it is sent.
        reasons: Stages that changed the command.
        causes: To stop, found with it; it brakes already.
        gaps: Of a claw's fingers, if it is sent.
    """

    target_rad: FloatArray
    memory: FilterMemory
    reasons: Reason
    causes: Cause = Cause.NONE
    gaps: Gaps | None = None


class Emitter:
    """Decides what is emitted.

    Args:
        joint_names: Of the robot, n.
        config: Limits.
        period_s: Length of a bus tick, s.
        ramp_ticks: Bus ticks in a policy tick: so many does a straight line from one command to the next take.
        pulse_rad: One count of the motors' position registers, rad; None where they have none.
        fingers: Of a claw, to be kept apart by `collision_margin_m`; None where a robot has none.

    Attributes:
        widest: Limits of routines; a policy's are these or narrower.
        begun: Whether it knows where the robot stands.

    Raises:
        UsageError: If the limits do not fit the robot.
    """

    def __init__(
        self,
        joint_names: Sequence[str],
        config: GuardConfig,
        period_s: float,
        *,
        ramp_ticks: int,
        pulse_rad: float | None,
        fingers: Fingers | None,
    ) -> None:
        self._config = config
        self._period_s = period_s
        self._ramp_ticks = ramp_ticks if config.interpolate else 1
        self._normal = config.limits(joint_names, pulse_rad=pulse_rad)
        self.widest = config.limits(joint_names, routine=True, pulse_rad=pulse_rad)
        require_short_stops(self._normal, joint_names, period_s)
        self._separation = separation(config.collision_margin_m, fingers, len(joint_names))
        self._monitor = MonitorMemory()
        self._rejections = Rejections()
        self.begun = False
        # Made by `begin`. The limits are those of what drives, or has driven last: a robot that brakes stays in its box.
        self._limits: Limits
        self._memory: FilterMemory
        self._gaps: Gaps | None = None

    def begin(self, measured_rad: FloatArray, mode: Mode) -> None:
        """Begin at a measured pose, shape (n,), for what drives in a mode; any that moves nothing has the widest limits."""
        widest = self.widest
        self._limits = self._normal if mode in (Mode.ACTIVE, Mode.TELEOP) else widest
        # The play of the gears may show a joint beyond what its register takes; one that is further out is not driven.
        self._memory = seeded(frozen_array(np.clip(measured_rad, widest.position_min_rad, widest.position_max_rad)))
        self.begun = True
        if self._separation is not None:
            self._gaps = self._separation.begun(self._memory.applied_rad, measured_rad)

    @property
    def narrow(self) -> bool:
        """Whether it began in the limits of a policy, not in the wider ones of routines."""
        return self._limits is self._normal

    @property
    def heating_a2(self) -> FloatArray | None:
        """Mean square of each motor's current, shape (n,), A^2; None where nothing was watched yet."""
        return self._monitor.heating_a2 if len(self._monitor.heating_a2) else None

    def warm(self, heating_a2: FloatArray) -> None:
        """Take motors for as warm as this: the mean square of their currents, shape (n,), A^2."""
        self._monitor = self._monitor._replace(heating_a2=heating_a2)

    def watch_anew(self) -> None:
        """Forget what was seen: after a teleport every encoder has jumped. Heat stays."""
        self._monitor = MonitorMemory(heating_a2=self._monitor.heating_a2)
        self._rejections = Rejections()

    def watch(self, state: RobotState, mode: Mode, command: Command | None) -> Cause:
        """Look at a state just measured, and at a command that counts or None; return what stops the robot."""
        causes, self._monitor = watch(state, self._memory.applied_rad, mode, self._monitor, self._config, self._limits, self._period_s)
        if command is not None and mode.moves:
            self._rejections, too_many = rejected(self._rejections, command.position_rad, self._period_s)
            causes |= Cause.REJECTED if too_many else Cause.NONE
        return causes

    def at_rest(self, position_rad: FloatArray) -> bool:
        """Tell whether a robot may be let go of: it is at its rest pose, or has none. Shape (n,)."""
        rest_rad = self.widest.rest_rad
        return rest_rad is None or bool((np.abs(position_rad - rest_rad) < _SETTLED_RAD).all())

    def emit(self, state: RobotState, mode: Mode, command: Command | None) -> Emission:
        """Filter a command, or brake where there is none that counts or the mode moves nothing; `keep` what was sent."""
        step = Emission(*self._filtered(state, mode, command))
        if self._separation is None or self._gaps is None or not (mode.moves or mode is Mode.SETTLE):
            return step
        measured_rad = state.joints.position_rad if mode.moves else None
        verdict = self._separation.judge(step.memory, self._limits.braking_rad_s2, self._period_s, measured_rad, self._gaps)
        if verdict.apart and not verdict.pushed:
            return step._replace(gaps=verdict.gaps)
        sent, memory, reasons = brake(self._memory, self._limits, self._period_s)
        causes = Cause.COLLISION if verdict.pushed else Cause.NONE
        stopped = verdict.pushed or mode in STOPPED
        return Emission(sent, memory, reasons | (Reason.HOLD if stopped else Reason.APART), causes, verdict.gaps)

    def keep(self, emission: Emission) -> None:
        """Remember what was sent: what could not be sent was not emitted."""
        self._memory = emission.memory
        self._gaps = emission.gaps or self._gaps

    def _filtered(self, state: RobotState, mode: Mode, command: Command | None) -> Step:
        memory, h = self._memory, self._period_s
        if mode is Mode.SETTLE and self.widest.rest_rad is not None:
            self._limits = self.widest
            memory = memory._replace(derating=np.ones_like(memory.derating))
            sent, memory, reasons = filter_command(self.widest.rest_rad, memory, self._limits, h)
            return sent, memory, reasons | Reason.HOLD
        if command is None or not mode.moves:
            sent, memory, reasons = brake(memory, self._limits, h)
            return sent, memory, reasons | (Reason.HOLD if mode in STOPPED else Reason.NONE)
        memory = memory._replace(derating=derating(state.joints, self._monitor, self._config, self._limits))
        return filter_command(command.position_rad, memory, self._limits, h, 1 if mode is Mode.RESETTING else self._ramp_ticks)
