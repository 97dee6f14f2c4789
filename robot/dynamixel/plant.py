"""Servos and what they move, stepped together: the same machine stands under a simulated robot and behind an emulated bus.

Time law: what is put at step s acts from s + control delay on; `sample` at step s shows what was measured at s - sensing delay.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from robot.dynamixel.servos import Servo
from robot.errors import RobotError
from robot.latency import SampleDelay
from robot.protocols import MotorPhysics
from robot.types import BodyMotion, MotorConditions

# A reset holds the start pose for at least the first time, then until the joints are still, which it looks at every third, and at most for
# the second, s.
_SETTLE_MIN_S, _SETTLE_MAX_S, _LOOK_S = 0.1, 2.0, 0.02
# Still: no joint faster than this, rad/s; 12 velocity units of the register.
_STILL_RAD_S = 0.3
# A body that fell is still when it is no faster than this, m/s, and turns no faster than the joints.
_STILL_M_S = 0.02
_NEVER = -1


@dataclass(frozen=True, slots=True)
class PlantSample:
    """What the sensors of all servos, and physics, showed at one step.

    Attributes:
        step: Number of the physics step.
        position_raw: Register 132 of each servo.
        velocity_raw: Register 128 of each servo.
        current_raw: Register 126 of each servo.
        pwm_raw: Register 124 of each servo.
        body: Of the base, exact; None if it is bolted down.
    """

    step: int
    position_raw: tuple[int, ...]
    velocity_raw: tuple[int, ...]
    current_raw: tuple[int, ...]
    pwm_raw: tuple[int, ...]
    body: BodyMotion | None


class ServoPlant:
    """Steps servos and physics; counts physics steps for ever, through resets.

    Args:
        servos: One on each joint of `physics`, in its order.
        physics: What they move.
        bus_steps: Physics steps between two samples that will be looked at.
    """

    def __init__(self, servos: Sequence[Servo], physics: MotorPhysics, bus_steps: int) -> None:
        self.servos = tuple(servos)
        self.physics = physics
        self.bus_steps = bus_steps
        self.step = 0
        self.conditions: MotorConditions | None = None
        self._control_delay = 0
        self._travelling: deque[tuple[int, int, str, int]] = deque()
        self._joints = physics.joints()
        self._samples = SampleDelay(0, self._measure())

    @property
    def step_s(self) -> float:
        """Length of a physics step, s."""
        return self.physics.step_s

    @property
    def time_s(self) -> float:
        """Time of physics, s; it goes on through resets."""
        return self.step * self.physics.step_s

    def angle_rad(self, servo: int) -> float:
        """Return the exact angle of a joint now, rad."""
        return self._joints[servo][0]

    def refresh(self) -> None:
        """Look at the joints anew after something beside the servos has moved them."""
        self._joints = self.physics.joints()
        self._samples = SampleDelay(self._samples.delay_steps, self._measure())

    def put(self, servo: int, register: str, value: int) -> None:
        """Write a register of `ServoRegisters` of one servo; it acts after the control delay."""
        if self._control_delay:
            self._travelling.append((self.step + self._control_delay, servo, register, value))
        else:
            setattr(self.servos[servo].registers, register, value)

    def put_goals(self, position_raw: Sequence[int]) -> None:
        """Write the goal position of every servo; they act after the control delay. Shape (n,)."""
        for servo, value in enumerate(position_raw):
            self.put(servo, "goal_position", int(value))

    def advance(self) -> None:
        """Run one bus period."""
        # Exactly one step of each period will be of the right age at its end.
        delay = self._samples.delay_steps
        self.run(self.bus_steps, self.step + -delay % self.bus_steps if delay else _NEVER)

    def run(self, steps: int, sample_step: int = _NEVER) -> None:
        """Run physics steps and take a sample where `sample_step` begins."""
        servos, physics, joints = self.servos, self.physics, self._joints
        end = self.step + steps
        for step in range(self.step, end):
            if step == sample_step:
                self.step, self._joints = step, joints
                self._samples.put(self._measure())
            while self._travelling and self._travelling[0][0] <= step:
                _, servo, register, value = self._travelling.popleft()
                setattr(servos[servo].registers, register, value)
            physics.step([servo.torque_nm(joint[0], joint[1]) for servo, joint in zip(servos, joints, strict=True)])
            joints = physics.joints()
        self.step, self._joints = end, joints

    def record(self) -> None:
        """Take a sample now, for a reader that does not come once in a bus period."""
        if self._samples.newest_step < self.step:
            self._samples.put(self._measure())

    def sample(self) -> PlantSample:
        """Return what the registers show now: measured one sensing delay ago."""
        if self._samples.delay_steps == 0:
            self.record()
        return self._samples.at(self.step)

    def reset(self, rng: np.random.Generator) -> MotorConditions:
        """Let an unseen hand put the robot into a start pose and hold it until it is still.

        Servos whose torque is on keep holding the pose; the others are let go there, or held on by `hold`. The delays begin anew.

        Raises:
            RobotError: If the joints do not come to rest.
        """
        conditions = self.physics.reset(rng)
        self._hold_while(self._settle, conditions)
        return conditions

    def drop(self, conditions: MotorConditions, max_s: float) -> None:
        """Hold the pose of a robot that physics lets fall, until it is at rest or for `max_s` seconds. The delays begin anew."""
        self._hold_while(lambda: self._fall(max_s), conditions)

    def _hold_while(self, wait: Callable[[], None], conditions: MotorConditions) -> None:
        """Hold the start pose with the servos of these conditions while `wait` runs."""
        self.conditions = conditions
        self._joints = self.physics.joints()
        self._travelling.clear()
        torque_on = [servo.registers.torque_enable for servo in self.servos]
        for servo, angle, strength in zip(self.servos, conditions.start_rad, conditions.strength, strict=True):
            servo.restart()
            servo.meet(conditions.supply_v, strength, conditions.gain_scale)
            servo.registers.goal_position = servo.present_position(angle)
            servo.registers.torque_enable = 1
        wait()
        for servo, on in zip(self.servos, torque_on, strict=True):
            servo.registers.torque_enable = on
        self._begin_delays(conditions)

    def hold(self) -> None:
        """Let the unseen hand hold every joint whose torque is off where its goal is, until its torque comes on."""
        for servo in self.servos:
            servo.hand = servo.registers.goal_position

    def _settle(self) -> None:
        self.run(round(_SETTLE_MIN_S / self.step_s))
        look = max(1, round(_LOOK_S / self.step_s))
        for _ in range(round((_SETTLE_MAX_S - _SETTLE_MIN_S) / _LOOK_S)):
            if self._still():
                return
            self.run(look)
        if not self._still():
            fastest = max(abs(joint[1]) for joint in self._joints)
            raise RobotError(
                f"the robot's joints still move at {fastest:.2f} rad/s {_SETTLE_MAX_S} s after a reset (bound {_STILL_RAD_S}): "
                "use a start pose that it can hold"
            )

    def _fall(self, max_s: float) -> None:
        look = max(1, round(_LOOK_S / self.step_s))
        self.run(round(_SETTLE_MIN_S / self.step_s))
        for _ in range(round((max_s - _SETTLE_MIN_S) / _LOOK_S)):
            if self._still() and self._body_still():
                return
            self.run(look)

    def _body_still(self) -> bool:
        body = self.physics.body()
        if body is None:
            return True
        return max(map(abs, body.velocity_world_m_s)) < _STILL_M_S and max(map(abs, body.angular_velocity_world_rad_s)) < _STILL_RAD_S

    def _still(self) -> bool:
        return all(abs(joint[1]) < _STILL_RAD_S for joint in self._joints)

    def _begin_delays(self, conditions: MotorConditions) -> None:
        self._control_delay = round(conditions.control_latency_s / self.step_s)
        delay = round(conditions.sensing_latency_s / self.step_s)
        self._samples = SampleDelay(delay, self._measure())
        # The robot stands until the first sample has arrived, as old as all later ones.
        for waited in range(0, delay, self.bus_steps):
            self.run(min(self.bus_steps, delay - waited), self.step if waited else _NEVER)

    def _measure(self) -> PlantSample:
        pairs = list(zip(self.servos, self._joints, strict=True))
        return PlantSample(
            self.step,
            tuple(servo.present_position(joint[0]) for servo, joint in pairs),
            tuple(servo.present_velocity(joint[1]) for servo, joint in pairs),
            tuple(servo.present_current for servo in self.servos),
            tuple(servo.present_pwm for servo in self.servos),
            self.physics.body(),
        )
