"""The simulated Minitaur: a Robot whose time is moved on by `SimulatedClock`.

Time law: `write` at t puts a target on the wire; it drives the motors from t + control latency on, and physics moves only inside the
clock's wait. `read` at t returns the sample taken at t - sensing latency.
"""

from __future__ import annotations

import numpy as np

from robot.errors import ClosedError, RobotError, UsageError
from robot.types import Command, RobotState, require_executable
from sim.config import MinitaurConfig
from sim.engine import upright, whole_steps
from sim.ground import slope_quaternion
from sim.model import JOINT_NAMES
from sim.physics import MinitaurPhysics
from sim.randomise import EpisodeParameters, draw
from sim.sensing import Sensors
from sim.world import World

# A reset drives to the start pose for at least the first time, then until the robot is still, which it looks at every third, and at most
# for the second, s. It does not depend on the bus rate.
_DRIVE_MIN_S, _DRIVE_MAX_S, _DRIVE_LOOK_S = 0.06, 1.0, 0.01
# A start pose counts as upright within 0.3 rad of the ground's normal: the fall angle of bullet3's reactive environment.
_UPRIGHT_COSINE = 0.955
_START_ATTEMPTS = 10


class SimulatedMinitaur:
    """Implements Robot and Resettable. Standing at its start pose when made.

    Joint angles are the motors': m[2i] = extension - s_i swing, m[2i+1] = extension + s_i swing, s = (1, 1, -1, -1) for the legs front
    left, back left, front right, back right. A larger extension makes the leg longer (0.157 m of height at pi/2, 0.207 m at 2.0, measured);
    a positive swing moves the foot backwards. The base's frame: x forward, y left, z up.

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
        self._physics = MinitaurPhysics(config, whole_steps(bus_period_s, config.physics_hz))
        self._ground = slope_quaternion(config.ground)
        self._closed = False
        self._held: Command | None = None
        self._state: RobotState | None = None
        self.reset(np.random.default_rng(seed))

    @property
    def bus_period_s(self) -> float:
        """Time that one `advance` takes, s."""
        return self._physics.bus_steps * self._physics.step_s

    @property
    def now_s(self) -> float:
        """Simulated time, s; it goes on through resets."""
        return self._physics.step * self._physics.step_s

    @property
    def world(self) -> World:
        """Handles of the PyBullet world, for cameras.

        Raises:
            ClosedError: After `close`.
        """
        self._require_open()
        return self._physics.world

    @property
    def parameters(self) -> EpisodeParameters:
        """What the newest reset drew."""
        return self._parameters

    @property
    def motors_enabled(self) -> tuple[bool, ...]:
        """Whether each motor works; one that overheated is off until the next reset."""
        return self._physics.motors_enabled

    def read(self) -> RobotState:
        self._require_open()
        if self._state is None:
            self._state = self._sensors.state(self._physics.newest_sample(), self._physics.step)
        return self._state

    def write(self, command: Command) -> Command:
        self._require_open()
        require_executable(command, len(JOINT_NAMES))
        if self._held is not None:
            return self._held
        self._physics.put_targets(command.position_rad.tolist())
        return command

    def stop(self) -> None:
        if not self._closed and self._held is None:
            self._held = self.write(Command(self.read().joints.position_rad))

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._physics.close()

    def reset(self, rng: np.random.Generator) -> None:
        """Restore the snapshot, draw a machine and a pose from `rng`, and drive there until the robot stands still.

        A draw that ends leaning is drawn anew, up to ten times: wide spreads tip about one start in a thousand.

        Raises:
            ClosedError: After `close`.
            RobotError: If the robot stands after none of them: the ground or the randomised machine does not let it.
        """
        self._require_open()
        physics = self._physics
        self._held = None
        self._state = None
        cosine = -1.0
        for _ in range(_START_ATTEMPTS):
            self._parameters = parameters = draw(self.config, rng)
            physics.restore(parameters)
            cosine = self._drive_to_start()
            if cosine >= _UPRIGHT_COSINE:
                break
        else:
            raise RobotError(
                f"the simulated robot does not stand after {_START_ATTEMPTS} resets (cosine of its tilt {cosine:.3f}, "
                f"needed {_UPRIGHT_COSINE}): use a gentler ground, narrower randomisation or a smaller start_pose_noise_rad"
            )
        self._sensors = Sensors(self.config.noise, parameters.noise_seed, physics.step, physics.step_s, parameters.battery_v)
        physics.begin_delays(parameters.control_latency_s, parameters.sensing_latency_s)

    def _drive_to_start(self) -> float:
        """Drive to the drawn pose; return the cosine of the tilt at the end."""
        physics = self._physics
        physics.run(round(_DRIVE_MIN_S / physics.step_s))
        look_steps = round(_DRIVE_LOOK_S / physics.step_s)
        for _ in range(round((_DRIVE_MAX_S - _DRIVE_MIN_S) / _DRIVE_LOOK_S)):
            if physics.still():
                break
            physics.run(look_steps)
        return upright(physics.base_pose()[1], self._ground)

    def push(self, force_world_n: tuple[float, float, float], duration_s: float) -> None:
        """Pull at the base's centre from now on for `duration_s` seconds; a later call replaces this one, a reset ends it.

        Args:
            force_world_n: Shape (3,), N, world frame.
            duration_s: Rounded to whole physics steps.

        Raises:
            ClosedError: After `close`.
            UsageError: If the force or the duration is not finite, or the duration not positive.
        """
        self._require_open()
        if not (np.isfinite(force_world_n).all() and 0.0 < duration_s < float("inf")):
            raise UsageError(f"a push needs a finite force and a positive, finite duration: got {force_world_n} N for {duration_s} s")
        self._physics.push(force_world_n, round(duration_s / self._physics.step_s))

    def skip_to(self, now_s: float) -> None:
        """Let the time be `now_s` or later without moving physics, so that a log goes on behind an earlier process. For use before a reset.

        Raises:
            ClosedError: After `close`.
        """
        self._require_open()
        self._physics.step = max(self._physics.step, round(now_s / self._physics.step_s))

    def advance(self) -> None:
        """Move physics on by one bus period. Only a clock calls it.

        Raises:
            ClosedError: After `close`.
        """
        self._require_open()
        self._state = None
        self._physics.advance()

    def _require_open(self) -> None:
        if self._closed:
            raise ClosedError("this simulated robot is closed: make a new one")
