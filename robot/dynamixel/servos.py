"""The firmware and motor of one servo: registers in, torque out, once each physics step.

    position loop   pwm     = P/128 e + I/65536 sum(e ms) - D/16 dp/dms          e: goal minus present, in pulses
    velocity loop   pwm     = P/128 e + I/65536 sum(e ms)                        e: in units of 0.229 rev/min
    motor           current = (pwm/885 supply - Ke w) / R                        R, Kt, Ke from stall torque, stall current, no-load speed
                    torque  = Kt current

Source of loops and divisors: ROBOTIS e-manual, X series, Position PID Gain and Velocity PI Gain. The manual does not say how often the
loops run: 1 ms is assumed, and shows only in the I and D terms. Unproven on a motor. Gear friction is the physics' business.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from robot.dynamixel.tables import ControlTable, OperatingMode
from robot.dynamixel.units import POSITION_RAD, PULSES_PER_TURN, PWM_FULL_RAW, VELOCITY_RAD_S

_PULSES_PER_RAD = 1.0 / POSITION_RAD
_POSITION_MODES = (OperatingMode.POSITION, OperatingMode.EXTENDED_POSITION, OperatingMode.CURRENT_BASED_POSITION)
# Acceleration of 1 raw is 214.577 rev/min^2; in velocity units of 0.229 rev/min per ms.
_ACCELERATION_PER_MS = 214.577 / 0.229 / 60_000.0
# Pulses per ms at a velocity of 1 raw.
_PULSES_PER_MS = VELOCITY_RAD_S * _PULSES_PER_RAD * 1e-3


@dataclass(slots=True)
class ServoRegisters:
    """What the firmware acts on; raw values of the registers of the same names. Mutable: a bus or a simulation writes them."""

    torque_enable: int = 0
    operating_mode: int = OperatingMode.POSITION
    goal_position: int = 0
    goal_velocity: int = 0
    goal_current: int = 0
    goal_pwm: int = PWM_FULL_RAW
    position_p_gain: int = 800
    position_i_gain: int = 0
    position_d_gain: int = 0
    velocity_p_gain: int = 100
    velocity_i_gain: int = 1920
    pwm_limit: int = PWM_FULL_RAW
    profile_acceleration: int = 0
    profile_velocity: int = 0
    # Bit 0 reverses the direction; bit 2 makes profiles last a time.
    drive_mode: int = 0
    homing_offset: int = 0


def factory_registers(table: ControlTable) -> ServoRegisters:
    """Return the registers of a new motor."""
    values = {name: table.registers[name].initial for name in ServoRegisters.__dataclass_fields__}
    return ServoRegisters(**{name: value for name, value in values.items() if value is not None})


class Servo:
    """One servo on the shaft of a joint.

    Args:
        table: Of its model.
        sign: 1, or -1 where the register counts against the joint's direction.
        zero_raw: Natural position, in pulses, at a joint angle of 0.
        step_s: Physics step, s.
        supply_v: Of the bus.
        registers: Shared with whoever writes them; by default those of a new motor.
    """

    def __init__(
        self, table: ControlTable, sign: int, zero_raw: int, step_s: float, supply_v: float, registers: ServoRegisters | None = None
    ) -> None:
        motor = table.motor
        self.table = table
        self.registers = factory_registers(table) if registers is None else registers
        self.supply_v = supply_v
        # Factor on the torque, for motors that are weaker than their data sheet, and on what the P gain makes of an error.
        self.strength = self.gain_scale = 1.0
        self.duty = 0.0
        self.current_a = 0.0
        # Where an unseen hand holds the shaft while the motor does not, raw; None: nowhere. Ends when torque comes on.
        self.hand: int | None = None
        self._resistance_ohm = motor.volts / motor.stall_current_a
        self._torque_constant = motor.stall_torque_nm / motor.stall_current_a
        self._back_emf = motor.volts / (motor.no_load_rpm * 2.0 * math.pi / 60.0)
        self._sign = sign
        self._zero = zero_raw
        self._step_ms = step_s * 1e3
        self._current_scale = table["goal_current"].unit.scale
        self._integral = 0.0
        self._profile: tuple[float, float] | None = None

    def present_position(self, angle_rad: float) -> int:
        """Return what register 132 shows at a joint angle, rad."""
        natural = self._zero + round(self._sign * angle_rad * _PULSES_PER_RAD)
        return (-natural if self.registers.drive_mode & 1 else natural) + self.registers.homing_offset

    def angle_rad(self, position_raw: int) -> float:
        """The inverse of `present_position`: the joint angle at the middle of a pulse."""
        natural = position_raw - self.registers.homing_offset
        return self._sign * ((-natural if self.registers.drive_mode & 1 else natural) - self._zero) * POSITION_RAD

    def forget_turns(self, turns: int) -> None:
        """Count this many turns less from now on: a motor without power forgets them."""
        natural = turns * PULSES_PER_TURN
        self._zero -= -natural if self.registers.drive_mode & 1 else natural

    def present_velocity(self, rate_rad_s: float) -> int:
        """Return what register 128 shows at a joint velocity, rad/s."""
        return round(self._direction * rate_rad_s / VELOCITY_RAD_S)

    @property
    def present_current(self) -> int:
        """What register 126 shows of the newest step; the XC330 measures its supply."""
        amperes = self.current_a * abs(self.duty) if self.table.measures_supply_current else self.current_a
        return round(amperes / self._current_scale)

    @property
    def present_pwm(self) -> int:
        """What register 124 shows of the newest step."""
        return round(self.duty * PWM_FULL_RAW)

    @property
    def trajectory(self) -> tuple[int, int]:
        """What registers 140 and 136 show: position and velocity of the profile, raw."""
        if self._profile is None:
            return self.registers.goal_position, 0
        return round(self._profile[0]), round(self._profile[1])

    def meet(self, supply_v: float, strength: float, gain_scale: float) -> None:
        """Be the motor of an episode: with this supply, V, and these factors on torque and P gain."""
        self.supply_v, self.strength, self.gain_scale = supply_v, strength, gain_scale

    def restart(self) -> None:
        """Forget integrals and profile, as a reboot or a change of torque does."""
        self._integral = 0.0
        self._profile = None
        self.duty = self.current_a = 0.0

    @property
    def _direction(self) -> int:
        return -self._sign if self.registers.drive_mode & 1 else self._sign

    def torque_nm(self, angle_rad: float, rate_rad_s: float) -> float:
        """Run one step of the firmware; return the torque on the joint, N m, in the joint's direction."""
        registers = self.registers
        if not registers.torque_enable:
            return self._let_go(angle_rad, rate_rad_s)
        self.hand = None
        direction = self._direction
        rate = direction * rate_rad_s
        mode = registers.operating_mode
        if mode in _POSITION_MODES:
            pwm = self._position_pwm(angle_rad, rate)
            limit = min(registers.pwm_limit, abs(registers.goal_pwm))
        else:
            pwm = self._other_pwm(mode, rate)
            limit = registers.pwm_limit
        duty = (limit if pwm > limit else -limit if pwm < -limit else pwm) / PWM_FULL_RAW
        current = (duty * self.supply_v - self._back_emf * rate) / self._resistance_ohm
        if mode in (OperatingMode.CURRENT, OperatingMode.CURRENT_BASED_POSITION):
            # The manual's current controller works behind the position controller: what it reaches is bounded by the goal.
            bound = abs(registers.goal_current) * self._current_scale
            current = min(max(current, -bound), bound)
            duty = min(max((current * self._resistance_ohm + self._back_emf * rate) / self.supply_v, -1.0), 1.0)
        self.duty, self.current_a = duty, current
        return direction * self._torque_constant * current * self.strength

    def _let_go(self, angle_rad: float, rate_rad_s: float) -> float:
        """Return the torque on the joint while the motor's terminals are open, which drive nothing: that of a hand, if one holds it."""
        self._integral = self.duty = self.current_a = 0.0
        self._profile = None
        if self.hand is None:
            return 0.0
        rate = self._direction * rate_rad_s
        duty = self.registers.position_p_gain * (self.hand - self.present_position(angle_rad)) / 128.0 / PWM_FULL_RAW
        current = (min(max(duty, -1.0), 1.0) * self.supply_v - self._back_emf * rate) / self._resistance_ohm
        return self._direction * self._torque_constant * current

    def _position_pwm(self, angle_rad: float, rate: float) -> float:
        registers = self.registers
        present = self.present_position(angle_rad)
        if registers.profile_velocity or registers.profile_acceleration:
            error = self._profile_position(present) - present
        else:
            self._profile = None
            error = registers.goal_position - present
        pwm = registers.position_p_gain * error / 128.0 * self.gain_scale
        if registers.position_i_gain:
            # Never more than what drives fully: anti-windup, whose gain the manual does not tell.
            bound = PWM_FULL_RAW * 65536.0 / registers.position_i_gain
            self._integral = min(max(self._integral + error * self._step_ms, -bound), bound)
            pwm += registers.position_i_gain * self._integral / 65536.0
        if registers.position_d_gain:
            pwm -= registers.position_d_gain * rate * _PULSES_PER_RAD * 1e-3 / 16.0
        return pwm

    def _other_pwm(self, mode: int, rate: float) -> float:
        registers = self.registers
        if mode == OperatingMode.PWM:
            return registers.goal_pwm
        if mode == OperatingMode.CURRENT:
            # Full drive towards the goal; the current's bound does the rest.
            return math.copysign(PWM_FULL_RAW, registers.goal_current)
        error = registers.goal_velocity - rate / VELOCITY_RAD_S
        bound = PWM_FULL_RAW * 65536.0 / max(registers.velocity_i_gain, 1)
        self._integral = min(max(self._integral + error * self._step_ms, -bound), bound)
        return registers.velocity_p_gain * error / 128.0 + registers.velocity_i_gain * self._integral / 65536.0

    def _profile_position(self, present: int) -> float:
        """Move the trapezoidal profile on by one step; return its position, pulses (e-manual, "What is the Profile")."""
        registers = self.registers
        position, velocity = (float(present), 0.0) if self._profile is None else self._profile
        left = registers.goal_position - position
        top = registers.profile_velocity or math.inf
        if not registers.profile_acceleration:
            velocity = math.copysign(top, left)
        else:
            step = registers.profile_acceleration * _ACCELERATION_PER_MS * self._step_ms
            # Fast enough to brake within what is left: v^2 = 2 a s, in raw velocity and pulses.
            braking = math.sqrt(2.0 * registers.profile_acceleration * _ACCELERATION_PER_MS * abs(left) / _PULSES_PER_MS)
            wanted = math.copysign(min(top, braking), left)
            velocity += min(max(wanted - velocity, -step), step)
        travel = velocity * _PULSES_PER_MS * self._step_ms
        if abs(travel) >= abs(left) and travel * left >= 0.0:
            position, velocity = float(registers.goal_position), 0.0
        else:
            position += travel
        self._profile = (position, velocity)
        return position
