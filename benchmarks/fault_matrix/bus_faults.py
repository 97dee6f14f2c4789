"""Faults of bus and motors, each in one repeat: break it, see it stopped or going on, try the wrong way out, take the right one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks.fault_matrix import checks
from benchmarks.fault_matrix.checks import require
from benchmarks.fault_matrix.outcome import Outcome, Promise, WrongOutcome
from benchmarks.fault_matrix.rig import KITTY, PERIOD_S, REST_RAD_S, Rig
from robot.clock import monotonic_s, sleep_s
from robot.errors import RobotError
from robot.types import frozen_array
from safety import Cause, Mode, Reason

# A fault of answers that is to stop the robot lasts so long, s; the robot is to be stopped before it ends.
_LASTING_S = 0.3
# Until a cause is raised and the robot has braked, s: far above every bound, so that the table shows by how much one is missed.
_PATIENCE_S = 3.0
# How often an operator tries to set the motors up.
_ATTEMPTS = 3
# Of a motor whose answers do not count: silence for ten ticks, or before that a value that stands still while its target goes on.
_SILENT = Cause.BUS | Cause.STUCK


def nan_action(rig: Rig) -> Outcome:
    """A policy that has diverged."""

    def begin() -> None:
        target = np.array(rig.ticks[-1].emission_rad)
        target[rig.rng.integers(12)] = rig.rng.choice((np.nan, np.inf, -np.inf))
        rig.command = frozen_array(target)

    safe_s = _held(rig, begin, Cause.REJECTED)
    rig.command = None
    checks.require_still(rig)
    checks.require_drives(rig)
    return Outcome(safe_s, _names(Cause.REJECTED))


def packet_lost(rig: Rig) -> Outcome:
    """One status packet is lost."""
    before = rig.bench.bus.count.retries, sum(count.missed for count in rig.bench.bus.count.motors.values())
    rig.tick(fault=partial(rig.bench.inject, "drop", motors=[_motor(rig)], times=1))
    checks.require_goes_on(rig, 30)
    count = rig.bench.bus.count
    retries, missed = count.retries - before[0], sum(motor.missed for motor in count.motors.values()) - before[1]
    require(retries + missed > 0, "nothing was lost")
    return Outcome(saw="asked again within the tick" if retries and not missed else "one tick without it")


def packets_lost(rig: Rig) -> Outcome:
    """All answers of a motor, or of all of them, are lost for more than ten ticks."""
    motors = [_motor(rig)] if rig.rng.random() < 0.5 else []
    safe_s = _held(rig, partial(rig.bench.inject, "drop", motors=motors, duration_s=_LASTING_S), _SILENT)
    saw = _seen(rig)
    rig.run(round(_LASTING_S / PERIOD_S))
    checks.require_still(rig)
    checks.require_drives(rig)
    return Outcome(safe_s, saw)


def corrupt_crc(rig: Rig) -> Outcome:
    """Bytes are damaged: all of one motor's for a few ticks, or one in two hundred of everybody's."""
    noise = rig.bench.bus.count.noise_bytes
    if rig.rng.random() < 0.5:
        rig.tick(fault=partial(rig.bench.inject, "corrupt", motors=[_motor(rig)], probability=1.0, duration_s=0.05))
    else:
        rig.tick(fault=partial(rig.bench.inject, "corrupt", probability=0.005, duration_s=0.2))
    checks.require_goes_on(rig, 40)
    require(rig.bench.bus.count.noise_bytes > noise, "no damaged byte was counted")
    return Outcome(saw="counted")


def wrong_id_or_length(rig: Rig) -> Outcome:
    """A motor answers with another's id, or too short, with a right checksum."""
    kind = str(rig.rng.choice(("misaddress", "truncate")))
    motor = _motor(rig)
    other = int(rig.rng.choice([number for number in KITTY.ids if number != motor]))
    more = {"magnitude": other} if kind == "misaddress" else {}
    safe_s = _held(rig, partial(rig.bench.inject, kind, motors=[motor], **more), Cause.BUS)
    saw = _seen(rig)
    wrong = max(
        checks.wrong_measurement_rad(tick.truth, tick.position_rad) for tick in rig.ticks if tick.truth and tick.position_rad is not None
    )
    # In a tick no joint goes further than at the limit's velocity, and a value may be ten ticks old.
    require(wrong < 10 * PERIOD_S * 8.0 and wrong < 0.6, f"a measurement was off by {wrong:.2f} rad")
    rig.bench.client.ask("mend")
    rig.run(5)
    checks.require_still(rig)
    checks.require_drives(rig)
    return Outcome(safe_s, f"{kind}: {saw}")


def motor_reboot(rig: Rig) -> Outcome:
    """A motor starts again while it moves: it has no torque, and none of its settings."""
    safe_s = _held(rig, partial(rig.bench.inject, "reboot", motors=[_motor(rig)]), Cause.REBOOTED | _SILENT)
    rig.until(lambda tick: Cause.REBOOTED in tick.causes, _PATIENCE_S, "word of the restart")
    checks.require_still(rig)
    checks.require_refused(rig, rig.guard.engage, "engage")
    rig.guard.clear()
    checks.require_refused(rig, rig.guard.engage, "an operator's word with torque on")
    _recovered(rig)
    checks.require_drives(rig)
    return Outcome(safe_s, "REBOOTED, then set up again")


def overload(rig: Rig) -> Outcome:
    """A motor shuts itself down; the others settle."""
    motor = _motor(rig)
    at_s = rig.tick(fault=partial(rig.bench.inject, "overload", motors=[motor]))
    off = _off(rig)
    rig.guard.clear()
    checks.require_refused(rig, rig.guard.arm, "arming with the error")
    _recovered(rig)
    checks.require_drives(rig)
    return Outcome(off - at_s, "MOTOR: the others settled, torque off, latched")


def over_temperature(rig: Rig) -> Outcome:
    """A motor heats up: slower from 55 deg C, settled at 70, not armed again before 50."""
    motor = _motor(rig)
    rig.bench.inject("overheat", motors=[motor], magnitude=69.0)
    first = len(rig.ticks)
    rig.run(60)
    checks.require_going(rig, "at 69 deg C ")
    require(any(Reason.DERATED in tick.reasons for tick in rig.ticks[first:]), "at 69 deg C it was not slowed")
    at_s = rig.tick(fault=partial(rig.bench.inject, "overheat", motors=[motor], magnitude=74.0))
    off = _off(rig)
    rig.guard.clear()
    checks.require_refused(rig, rig.guard.arm, "arming a motor of 74 deg C")
    rig.bench.inject("overheat", motors=[motor], magnitude=45.0)
    _at_rest(rig)
    rig.run(15)
    rig.guard.clear()
    rig.guard.arm()
    checks.require_drives(rig)
    return Outcome(off - at_s, "slowed, then HOT: settled, torque off")


def encoder_stuck(rig: Rig) -> Outcome:
    """A motor shows one count for ever."""
    safe_s = _held(rig, partial(rig.bench.inject, "stuck_encoder", motors=[_motor(rig)]), Cause.STUCK)
    rig.bench.client.ask("mend")
    rig.run(5)
    checks.require_still(rig)
    checks.require_drives(rig)
    return Outcome(safe_s, _names(Cause.STUCK))


def encoder_jump(rig: Rig) -> Outcome:
    """A motor shows a whole turn more or less from one tick to the next."""
    turn = float(rig.rng.choice((-4096.0, 4096.0)))
    safe_s = _held(rig, partial(rig.bench.inject, "encoder_wrap", motors=[_motor(rig)], magnitude=turn), Cause.JUMPED)
    checks.require_still(rig)
    checks.require_refused(rig, rig.guard.engage, "engage with a joint a turn away")
    checks.require_still(rig)
    rig.bench.client.ask("mend")
    rig.run(3)
    checks.require_still(rig)
    checks.require_drives(rig)
    return Outcome(safe_s, _names(Cause.JUMPED))


def stalled_joint(rig: Rig) -> Outcome:
    """A joint is jammed; the guard has to stop before the motor shuts down."""
    at_s = rig.tick(fault=partial(rig.bench.inject, "jam", motors=[_motor(rig)]))
    held = rig.until(checks.stopped, _PATIENCE_S, "stop")
    require(not any((held.truth or {})["errors"]), "the motor had shut down before")
    rig.run(10, watch=True)
    safe_s = checks.safe_after(rig, at_s, Cause.STUCK | Cause.BLOCKED)
    # A second of full drive is an overload (`robot.emulator.motor`): does holding go on pushing?
    end = len(rig.ticks) + 120
    while len(rig.ticks) < end:
        rig.tick()
    tripped = any(rig.truth()["errors"])
    rig.bench.client.ask("mend")
    if tripped:
        _off(rig)
        _recovered(rig)
    checks.require_drives(rig)
    after = ", and the motor overloads while it holds" if tripped else ""
    return Outcome(safe_s, f"{_names(held.causes)}{after}")


def unplugged(rig: Rig) -> Outcome:
    """The adapter is pulled out while the robot swings."""
    at_s = rig.tick(fault=lambda: rig.bench.client.ask("unplug"))
    rig.until(lambda tick: min((tick.truth or {})["watchdog"]) < 0, _PATIENCE_S, "expired watchdog in all motors")
    safe_s = rig.ticks[-1].stamp_s - at_s
    require(rig.guard.mode is Mode.HOLD and Cause.PORT in rig.guard.causes, f"the guard says {rig.guard.causes!r}")
    rig.until(lambda tick: max(map(abs, (tick.truth or {})["joints_rad_s"])) < REST_RAD_S, _PATIENCE_S, "rest")
    checks.require_still(rig)
    checks.require_refused(rig, rig.guard.engage, "engage without a port")
    rig.bench.client.ask("plug")
    checks.require_still(rig)
    rig.robot.reconnect()
    require(not any(rig.truth()["torque"]), "connected again with torque on")
    rig.run(3)
    require(rig.guard.mode is Mode.DISARMED, f"connected again into {rig.guard.mode.name}")
    checks.require_refused(rig, rig.guard.arm, "arming without an operator's word")
    rig.guard.clear()
    rig.guard.arm()
    checks.require_drives(rig)
    return Outcome(safe_s, "motors' watchdogs; PORT, reconnected to DISARMED")


def bus_late(rig: Rig) -> Outcome:
    """Answers take five periods, or a tick of the loop does."""
    if rig.rng.random() < 0.5:
        safe_s = _held(rig, partial(rig.bench.inject, "delay", magnitude=5 * PERIOD_S, duration_s=_LASTING_S), _SILENT)
        saw = f"late answers: {_seen(rig)}"
        rig.run(round(_LASTING_S / PERIOD_S))
    else:
        safe_s = _held(rig, lambda: sleep_s(5 * PERIOD_S), Cause.LATE)
        saw = "late tick: LATE"
    checks.require_still(rig)
    checks.require_drives(rig)
    return Outcome(safe_s, saw)


def _motor(rig: Rig) -> int:
    return int(rig.rng.choice(KITTY.ids))


def _names(causes: Cause) -> str:
    return causes.name or repr(causes)


def _seen(rig: Rig) -> str:
    """Return the causes of the first tick that was stopped."""
    return _names(next(tick for tick in rig.ticks if checks.stopped(tick)).causes)


def _held(rig: Rig, fault: Callable[[], object], cause: Cause) -> float:
    """Break something, and return how long it took until the guard had stopped the robot for this cause."""
    at_s = rig.tick(fault=fault)
    rig.until(checks.stopped, _PATIENCE_S, "stop")
    rig.run(10)
    return checks.safe_after(rig, at_s, cause)


def _off(rig: Rig) -> float:
    """Run until torque is off, and return when that was, s."""
    off = rig.until(lambda tick: tick.mode is Mode.DISARMED and not any((tick.truth or {})["torque"]), 8.0, "torque off")
    return off.stamp_s


def _recovered(rig: Rig) -> None:
    """Take the way out of a restarted or failed motor: torque off, set up again, an operator's word, armed."""
    try:
        if rig.guard.armed:
            rig.guard.cut()
        _at_rest(rig)
        _set_up(rig)
        require(not any(rig.truth()["torque"]), "set up again with torque on")
        rig.run(2)
        rig.guard.clear()
        rig.guard.arm()
    except RobotError as error:
        raise WrongOutcome(f"it does not come back: {error}") from error


def _at_rest(rig: Rig) -> None:
    """Wait until joints without torque have run out; a hand brings back what has left its range, for the bench has no stops."""
    end_s = monotonic_s() + _PATIENCE_S
    while max(map(abs, rig.truth()["joints_rad_s"])) > REST_RAD_S and monotonic_s() < end_s:
        sleep_s(PERIOD_S)
    for index, (joint, angle) in enumerate(zip(KITTY.joints, rig.truth()["joints_rad"], strict=True)):
        if not joint.lower_rad <= angle <= joint.upper_rad:
            rig.bench.client.ask("turn", joint=index, angle_rad=joint.home_rad)


def _set_up(rig: Rig) -> None:
    """Set the motors up again, as an operator would: a second time where somebody did not answer."""
    for attempt in range(_ATTEMPTS):
        try:
            rig.robot.recover()
        except RobotError:
            if attempt == _ATTEMPTS - 1:
                raise
        else:
            return


# The bounds are those of the fault list in docs/safety.md, and what the parts that they name promise.
BUS_FAULTS: dict[str, tuple[Promise, Callable[[Rig], Outcome]]] = {
    "nan_action": (Promise("nan_action", 5 * PERIOD_S, "3 ticks, and 2 to brake"), nan_action),
    "packet_lost": (Promise("packet_lost"), packet_lost),
    "packets_lost": (Promise("packets_lost", 0.15, "10 ticks of silence, and half as much"), packets_lost),
    "corrupt_crc": (Promise("corrupt_crc"), corrupt_crc),
    "wrong_id_or_length": (
        Promise("wrong_id_or_length", 8 * PERIOD_S, "3 ticks, late by asking again, and 2 to brake"),
        wrong_id_or_length,
    ),
    "motor_reboot": (Promise("motor_reboot", 0.15, "as lost packets"), motor_reboot),
    "overload": (Promise("overload", 5.2, "5 s to settle"), overload),
    "over_temperature": (Promise("over_temperature", 5.4, "5 s to settle, 12 ticks to see it"), over_temperature),
    "encoder_stuck": (Promise("encoder_stuck", 0.2, "HOLD <= 200 ms"), encoder_stuck),
    "encoder_jump": (Promise("encoder_jump", 3 * PERIOD_S, "seen at the next tick"), encoder_jump),
    "stalled_joint": (Promise("stalled_joint", 1.0, "before 1 s of full drive"), stalled_joint),
    "unplugged": (Promise("unplugged", 0.12, "watchdog 100 ms, 20 ms to see it"), unplugged),
    "bus_late": (Promise("bus_late", 0.15, "as lost packets"), bus_late),
}
