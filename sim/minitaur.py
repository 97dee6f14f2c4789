"""The simulated Minitaur: a Robot whose time is moved on by `SimulatedClock`.

Time law: `write` at t puts a target on the wire; it drives the motors from t + control latency on, and physics moves only inside the
clock's wait. `read` at t returns the sample taken at t - sensing latency.
"""

from __future__ import annotations

import numpy as np
import pybullet

from robot.errors import ClosedError, RobotError, UsageError
from robot.types import Command, RobotState, frozen_array, require_executable
from sim.actuator import MotorBank, MotorParameters
from sim.config import MinitaurConfig
from sim.ground import slope_quaternion
from sim.latency import SampleDelay, TargetDelay
from sim.model import DIRECTIONS, JOINT_NAMES, OVERHEAT_TIME_S
from sim.randomise import EpisodeParameters, draw, nominal
from sim.sensing import Sample, Sensors
from sim.world import World, apply_parameters, build_world, upright

# Time to come to rest on the ground before the snapshot, s; falling 4 cm takes 0.1 s (measured: still after 0.6 s).
_SETTLE_S = 1.0
# A reset drives to the start pose for at least the first time, then until the robot is still, and at most for the second, s.
_DRIVE_MIN_S, _DRIVE_MAX_S = 0.06, 1.0
# Still: no faster than this, in m/s and rad/s.
_STILL_BASE_M_S, _STILL_JOINT_RAD_S = 0.02, 0.2
# A start pose counts as upright within 0.3 rad of the ground's normal: the fall angle of bullet3's reactive environment.
_UPRIGHT_COSINE = 0.955


class SimulatedMinitaur:
    """Implements Robot and Resettable. Standing at its start pose when made.

    Joint angles are the motors': m[2i] = extension - s_i swing, m[2i+1] = extension + s_i swing, s = (1, 1, -1, -1) for the legs front
    left, back left, front right, back right; a larger extension makes the leg longer (0.157 m of height at pi/2, 0.207 m at 2.0, measured).
    The base's frame: x forward, y left, z up.

    Args:
        config: Physics, motors, delays, sensors, ground.
        bus_period_s: Time between two reads, a whole number of physics steps.
        seed: Of the first episode.

    Raises:
        UsageError: If the bus period does not fit the physics, or a window is asked for and there is no display.
    """

    joint_names = JOINT_NAMES

    def __init__(self, config: MinitaurConfig, bus_period_s: float, seed: int = 0) -> None:
        self.config = config
        self.step_s = 1.0 / config.physics_hz
        self.bus_steps = _whole_steps(bus_period_s, config.physics_hz)
        self._step = 0
        self._push: tuple[tuple[float, float, float], int] = ((0.0, 0.0, 0.0), 0)
        self._held: Command | None = None
        self._closed = False
        self._state: RobotState | None = None
        self._sampled_step = 0
        self._world: World = build_world(config)
        self._ground = slope_quaternion(config.ground)
        self._settle()
        self._snapshot = pybullet.saveState(physicsClientId=self._world.client)
        self.reset(np.random.default_rng(seed))

    @property
    def world(self) -> World:
        """Handles of the PyBullet world, for cameras.

        Raises:
            ClosedError: After `close`.
        """
        self._require_open()
        return self._world

    @property
    def now_s(self) -> float:
        """Simulated time, s; it goes on through resets."""
        return self._step * self.step_s

    @property
    def parameters(self) -> EpisodeParameters:
        """What the newest reset drew."""
        return self._parameters

    @property
    def motors_enabled(self) -> tuple[bool, ...]:
        """Whether each motor works; one that overheated is off until the next reset."""
        return self._motors.enabled

    def read(self) -> RobotState:
        self._require_open()
        if self._state is None:
            if self._samples.delay_steps == 0 and self._step > self._sampled_step:
                self._put_sample(self._joint_states())
            self._state = self._sensors.state(self._samples.at(self._step), self._step)
        return self._state

    def write(self, command: Command) -> Command:
        self._require_open()
        require_executable(command, len(JOINT_NAMES))
        if self._held is not None:
            return self._held
        self._targets.put(self._step, _to_joints(command.position_rad.tolist()))
        return command

    def stop(self) -> None:
        if self._closed or self._held is not None:
            return
        held = Command(frozen_array(self.read().joints.position_rad))
        self._held = self.write(held)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            pybullet.disconnect(physicsClientId=self._world.client)

    def reset(self, rng: np.random.Generator) -> None:
        """Restore the snapshot, draw a machine and a pose from `rng`, and drive there until the robot stands still.

        Raises:
            ClosedError: After `close`.
            RobotError: If the robot does not stand at the end: the ground or the randomised machine does not let it.
        """
        self._require_open()
        pybullet.restoreState(stateId=self._snapshot, physicsClientId=self._world.client)
        self._begin(draw(self.config, rng))
        self._drive_to_start()
        self._begin_delays()

    def push(self, force_world_n: tuple[float, float, float], duration_s: float) -> None:
        """Pull at the base's centre from now on for `duration_s` seconds; a later call replaces this one, a reset ends it.

        Args:
            force_world_n: Shape (3,), N, world frame.
            duration_s: Rounded to whole physics steps.

        Raises:
            ClosedError: After `close`.
            UsageError: If the duration is not positive and finite.
        """
        self._require_open()
        if not 0.0 < duration_s < float("inf"):
            raise UsageError(f"a push must last for a positive, finite time: got {duration_s} s")
        x, y, z = (float(component) for component in force_world_n)
        self._push = ((x, y, z), self._step + round(duration_s / self.step_s))

    def advance(self) -> None:
        """Move physics on by one bus period. Only a clock calls it.

        Raises:
            ClosedError: After `close`.
        """
        self._require_open()
        # Exactly one step of each period is old enough, at the next read, to be seen by it.
        delay = self._samples.delay_steps
        sample_at = -delay % self.bus_steps if delay else self.bus_steps
        self._physics(self.bus_steps, sample_at)

    def _physics(self, steps: int, sample_at: int) -> None:
        """Run physics steps, taking a sample before step `sample_at` of them (none if it is >= steps)."""
        client, body, motors = self._world.client, self._world.body, self._world.motors
        get_states, set_torques, step_physics = pybullet.getJointStates, pybullet.setJointMotorControlArray, pybullet.stepSimulation
        mode, torques, target_at = pybullet.TORQUE_CONTROL, self._motors.torques, self._targets.at
        for index in range(steps):
            states = get_states(body, motors, physicsClientId=client)
            if index == sample_at and self._step > self._sampled_step:
                self._put_sample(states)
            set_torques(body, motors, mode, forces=torques(states, target_at(self._step)), physicsClientId=client)
            if self._step < self._push[1]:
                self._apply_push()
            step_physics(physicsClientId=client)
            self._step += 1
        self._state = None

    def _apply_push(self) -> None:
        client, body = self._world.client, self._world.body
        position, _ = pybullet.getBasePositionAndOrientation(body, physicsClientId=client)
        pybullet.applyExternalForce(body, -1, self._push[0], position, pybullet.WORLD_FRAME, physicsClientId=client)

    def _settle(self) -> None:
        self._begin(nominal(self.config))
        self._physics(round(_SETTLE_S / self.step_s), sample_at=-1)

    def _begin(self, parameters: EpisodeParameters) -> None:
        """Make the machine of an episode, its motors driving to the start pose without delay."""
        self._parameters = parameters
        self._held = None
        self._push = ((0.0, 0.0, 0.0), 0)
        apply_parameters(self._world, parameters)
        self._motors = self._motor_bank()
        self._targets = TargetDelay(0, _to_joints(list(parameters.start_pose_rad)))
        self._state = None
        self._sampled_step = self._step

    def _motor_bank(self) -> MotorBank:
        parameters = self._parameters
        return MotorBank(
            MotorParameters(
                kp=self.config.kp * parameters.gain_scale,
                kd=self.config.kd * parameters.gain_scale,
                battery_v=parameters.battery_v,
                viscous_damping=parameters.viscous_damping,
                strength=parameters.motor_strength,
                overheat_steps=round(OVERHEAT_TIME_S / self.step_s) if self.config.overheat_shutdown else 0,
            )
        )

    def _drive_to_start(self) -> None:
        least, most = round(_DRIVE_MIN_S / self.step_s), round(_DRIVE_MAX_S / self.step_s)
        driven = 0
        while driven < least or (driven < most and not self._still()):
            self._physics(self.bus_steps, sample_at=-1)
            driven += self.bus_steps
        _, orientation = pybullet.getBasePositionAndOrientation(self._world.body, physicsClientId=self._world.client)
        cosine = upright(orientation, self._ground)
        if cosine < _UPRIGHT_COSINE:
            raise RobotError(
                f"the simulated robot does not stand after its reset (cosine of its tilt {cosine:.3f}, needed {_UPRIGHT_COSINE}): "
                "use a gentler ground, narrower randomisation or a smaller start_pose_noise_rad"
            )

    def _still(self) -> bool:
        linear, angular = pybullet.getBaseVelocity(self._world.body, physicsClientId=self._world.client)
        base = max(abs(speed) for speed in linear) < _STILL_BASE_M_S and max(abs(rate) for rate in angular) < _STILL_JOINT_RAD_S
        return base and all(abs(state[1]) < _STILL_JOINT_RAD_S for state in self._joint_states())

    def _begin_delays(self) -> None:
        """Start the episode's wires and sensors: nothing travels on them yet but the start pose and the present sample."""
        parameters = self._parameters
        self._targets = TargetDelay(round(parameters.control_latency_s / self.step_s), self._targets.at(self._step))
        self._sensors = Sensors(self.config.noise, parameters.noise_seed, self._step, self.step_s, parameters.battery_v)
        self._samples = SampleDelay(round(parameters.sensing_latency_s / self.step_s), self._sample(self._joint_states()))
        self._sampled_step = self._step

    def _joint_states(self) -> tuple[tuple[float, float, tuple[float, ...], float], ...]:
        states: tuple[tuple[float, float, tuple[float, ...], float], ...] = pybullet.getJointStates(
            self._world.body, self._world.motors, physicsClientId=self._world.client
        )
        return states

    def _put_sample(self, states: tuple[tuple[float, float, tuple[float, ...], float], ...]) -> None:
        self._samples.put(self._sample(states))
        self._sampled_step = self._step

    def _sample(self, states: tuple[tuple[float, float, tuple[float, ...], float], ...]) -> Sample:
        client, body = self._world.client, self._world.body
        position, quaternion = pybullet.getBasePositionAndOrientation(body, physicsClientId=client)
        linear, angular = pybullet.getBaseVelocity(body, physicsClientId=client)
        return Sample(self._step, states, self._motors.observed_torques_nm, position, quaternion, linear, angular)

    def _require_open(self) -> None:
        if self._closed:
            raise ClosedError("this simulated robot is closed: make a new one")


def _to_joints(motors_rad: list[float]) -> list[float]:
    return [direction * angle for direction, angle in zip(DIRECTIONS, motors_rad, strict=True)]


def _whole_steps(bus_period_s: float, physics_hz: int) -> int:
    """Return the physics steps in a bus period. Raises UsageError unless they are whole."""
    steps = bus_period_s * physics_hz
    if not (0.5 <= steps < float("inf")) or abs(steps - round(steps)) > 1e-6:
        valid = [physics_hz // divisor for divisor in range(1, physics_hz + 1) if physics_hz % divisor == 0 and physics_hz // divisor >= 10]
        rate = 1.0 / bus_period_s if bus_period_s else float("inf")
        raise UsageError(
            f"a bus period of {bus_period_s} s ({rate:g} Hz) is no whole number of physics steps at {physics_hz} Hz: use a bus_hz of "
            f"{', '.join(map(str, valid))}"
        )
    return round(steps)
