"""Moves a world on, physics step by physics step: motors before each, samples for the sensors at the steps that will be read."""

from __future__ import annotations

import pybullet

from robot.latency import SampleDelay, TargetDelay
from sim.actuator import MotorBank, MotorParameters, MotorState
from sim.config import MinitaurConfig
from sim.engine import Quaternion, Vector, body_motion, pull
from sim.fall import intact, let_fall
from sim.model import OVERHEAT_TIME_S, to_joints
from sim.randomise import EpisodeParameters, nominal
from sim.renderer import close_world
from sim.sensing import Sample
from sim.world import World, apply_parameters, build_world

# Time to come to rest on the ground before the snapshot, s; it is still, as below, after 0.4 s (measured).
_SETTLE_S = 1.0
# Still: no faster than this, in m/s and rad/s. A tenth of that would take 0.3 s longer (measured).
_STILL_BASE_M_S, _STILL_RAD_S = 0.02, 0.2
_NO_PUSH = ((0.0, 0.0, 0.0), 0)
_NEVER = -1


class MinitaurPhysics:
    """The world of one robot with what acts in it; `step` counts its physics steps and goes on through restores.

    Args:
        config: Of the robot.
        bus_steps: Physics steps between two reads.

    Raises:
        UsageError: If a window is asked for and there is no display.
    """

    def __init__(self, config: MinitaurConfig, bus_steps: int) -> None:
        self.step = 0
        self.step_s = 1.0 / config.physics_hz
        self.bus_steps = bus_steps
        self._config = config
        self.world: World = build_world(config)
        self._prepare(nominal(config))
        self.run(round(_SETTLE_S / self.step_s))
        self._snapshot: int = pybullet.saveState(physicsClientId=self.world.client)

    @property
    def motors_enabled(self) -> tuple[bool, ...]:
        """Whether each motor works; one that overheated is off until the next restore."""
        return self._motors.enabled

    def restore(self, parameters: EpisodeParameters) -> None:
        """Go back to the snapshot with a new machine, whose motors drive to its start pose without delay."""
        pybullet.restoreState(stateId=self._snapshot, physicsClientId=self.world.client)
        self._prepare(parameters)

    def drop(self, parameters: EpisodeParameters, orientation: Quaternion) -> None:
        """Let a new machine fall from just above the ground; its motors hold `start_pose_rad`. `run` moves it on."""
        self.restore(parameters)
        world = self.world
        let_fall(world.client, world.body, world.motors, to_joints(parameters.start_pose_rad), orientation, self._config.ground)
        self._prepare(parameters)

    def _prepare(self, parameters: EpisodeParameters) -> None:
        # restoreState leaves masses, friction and motor modes as they were: all are set anew.
        apply_parameters(self.world, parameters)
        self._push: tuple[Vector, int] = _NO_PUSH
        self._motors = motor_bank(self._config, parameters)
        self._acting = to_joints(parameters.start_pose_rad)
        self._joints = self._joints_before = self._joint_states()
        self.begin_delays(0.0, 0.0)

    def intact(self) -> bool:
        """Tell whether each leg is within its range and has not turned inside out."""
        return intact(self.world.client, self.world.body, self.world.motors, self.world.knees)

    def cool_motors(self, parameters: EpisodeParameters) -> None:
        """Forget the motors' heat: those that shut off work again."""
        self._motors = motor_bank(self._config, parameters)

    def begin_delays(self, control_latency_s: float, sensing_latency_s: float) -> None:
        """Start the wires: the present targets act, and the robot stands until the first sample has arrived, as old as all later ones."""
        self._targets = TargetDelay(round(control_latency_s / self.step_s), self._acting)
        delay = round(sensing_latency_s / self.step_s)
        self._samples = SampleDelay(delay, self._sample())
        for waited in range(0, delay, self.bus_steps):
            self.run(min(self.bus_steps, delay - waited), sample_step=self.step if waited else _NEVER)

    def put_targets(self, motors_rad: list[float]) -> None:
        """Send motor targets, shape (n,), rad, from now: they act after the control latency."""
        self._targets.put(self.step, to_joints(motors_rad))

    def newest_sample(self) -> Sample:
        """Return the sample that has just arrived: as old as the sensing latency."""
        if self._samples.delay_steps == 0 and self._samples.newest_step < self.step:
            self._samples.put(self._sample())
        return self._samples.at(self.step)

    def push(self, force_world_n: Vector, steps: int) -> None:
        """Pull at the base's centre for a number of physics steps from now."""
        self._push = (force_world_n, self.step + steps)

    def advance(self) -> None:
        """Run one bus period."""
        delay = self._samples.delay_steps
        # Exactly one step of each period will be of the right age at a read.
        self.run(self.bus_steps, sample_step=self.step + -delay % self.bus_steps if delay else _NEVER)

    def run(self, steps: int, sample_step: int = _NEVER) -> None:
        """Run physics steps and take a sample where `sample_step` begins. Most of an environment step's Python runs here."""
        client, body, motors = self.world.client, self.world.body, self.world.motors
        get_states, set_torques, step_physics = pybullet.getJointStates, pybullet.setJointMotorControlArray, pybullet.stepSimulation
        mode, torques = pybullet.TORQUE_CONTROL, self._motors.torques
        before, states, targets = self._joints_before, self._joints, self._acting
        arrival, push_end = self._targets.next_arrival, self._push[1]
        end = self.step + steps
        for step in range(self.step, end):
            if step == sample_step:
                self.step, self._joints_before, self._joints = step, before, states
                self._samples.put(self._sample())
            if step == arrival:
                targets = self._acting = self._targets.at(step)
                arrival = self._targets.next_arrival
            set_torques(body, motors, mode, forces=torques(states, targets), physicsClientId=client)
            if step < push_end:
                pull(client, body, self._push[0])
            step_physics(physicsClientId=client)
            before, states = states, get_states(body, motors, client)
        self.step, self._joints_before, self._joints = end, before, states

    def _joint_states(self) -> tuple[MotorState, ...]:
        states: tuple[MotorState, ...] = pybullet.getJointStates(self.world.body, self.world.motors, physicsClientId=self.world.client)
        return states

    def _sample(self) -> Sample:
        observed = self._motors.observed_torques_nm(self._joints_before, self._acting)
        return Sample(self.step, self._joints, observed, body_motion(self.world.client, self.world.body))

    def base_pose(self) -> tuple[Vector, Quaternion]:
        """Return the base's position, m, and orientation (x, y, z, w) in the world, exact and of now."""
        pose: tuple[Vector, Quaternion] = pybullet.getBasePositionAndOrientation(self.world.body, physicsClientId=self.world.client)
        return pose

    def still(self) -> bool:
        """Tell whether base and motors hardly move."""
        linear, angular = pybullet.getBaseVelocity(self.world.body, physicsClientId=self.world.client)
        rates = [*angular, *(state[1] for state in self._joints)]
        slow: bool = max(map(abs, linear)) < _STILL_BASE_M_S
        return slow and all(abs(rate) < _STILL_RAD_S for rate in rates)

    def close(self) -> None:
        """Disconnect from PyBullet; once."""
        close_world(self.world.client)


def motor_bank(config: MinitaurConfig, parameters: EpisodeParameters) -> MotorBank:
    """Return the motors of an episode, cool."""
    return MotorBank(
        MotorParameters(
            kp=config.kp * parameters.gain_scale,
            kd=config.kd * parameters.gain_scale,
            battery_v=parameters.battery_v,
            viscous_damping=parameters.viscous_damping,
            strength=parameters.motor_strength,
            overheat_steps=round(OVERHEAT_TIME_S * config.physics_hz) if config.overheat_shutdown else 0,
        )
    )
