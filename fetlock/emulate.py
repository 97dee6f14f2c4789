"""`fetlock emulate`: a robot's motor bus behind a pseudo-terminal that any Protocol 2.0 client can open."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
from pydantic import JsonValue

from fetlock.arguments import VerbParser
from fetlock.config import RunConfig, load_config
from fetlock.machines import EmulatedConfig, fault_path
from robot.description import load_description
from robot.dynamixel.plant import PlantSample, ServoPlant
from robot.dynamixel.readings import joint_readings
from robot.emulator import BusOptions, EmulatedBus, FaultScript, emulate, load_faults, serve_alone
from robot.errors import UsageError
from robot.imu import EmulatedImu, straight_mounted
from robot.types import CameraFrame, MotorConditions
from sim import (
    ClawConfig,
    DynamixelMinitaurConfig,
    KittyConfig,
    Look,
    Scene,
    ServoBody,
    ServoConfig,
    ServoSensors,
    SimulatedCamera,
    describe,
    drop_intact,
    reset_standing,
    servo_physics,
)

# Whole robots by the name of their description.
_MACHINES: dict[str, ServoConfig] = {"kitty": KittyConfig(), "minitaur": DynamixelMinitaurConfig(), "claw": ClawConfig()}


def run(argv: list[str]) -> int:
    """Serve until Ctrl-C; see `fetlock emulate --help`."""
    parser = VerbParser("emulate", "Serve an emulated motor bus until Ctrl-C. Without --config the motors turn freely, each its own rotor.")
    parser.add_argument("--robot", default="kitty", help="a description of configs/robots/, or a .yaml file (kitty)")
    parser.add_argument("--physics", choices=("bench", "pybullet"), default="bench", help="rotors alone, or the whole robot (bench)")
    parser.add_argument("--config", help="a run configuration whose robot.kind is emulated: its machine, in PyBullet")
    parser.add_argument("--lockstep", action="store_true", help="physics move only when the bus asks for positions")
    parser.add_argument("--bus-hz", type=float, default=100.0, help="bus periods per second: what lockstep moves by (100)")
    parser.add_argument("--paced", action="store_true", help="let bytes take their time on the wire")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="latency timer of the USB adapter; with --paced (0)")
    parser.add_argument("--silent-successors", action="store_true", help="a motor asked behind a dead one stays silent")
    parser.add_argument("--faults", type=Path, help="file with a script of faults")
    parser.add_argument("--transcript", action="store_true", help="keep a checksum of all bytes")
    parser.add_argument("--link", type=Path, help="make a symbolic link to the port")
    parser.add_argument("--control", type=Path, help="path of the control socket")
    parser.add_argument("--json", action="store_true", help="announce port and control socket as one line of JSON")
    options, rest = parser.read_before_config(argv) if "--config" in argv else (parser.read(argv), [])
    if not 1.0 <= options.bus_hz <= 1000.0:
        raise UsageError(f"--bus-hz {options.bus_hz}: give 1 to 1000")
    if options.config is not None:
        bus = emulated_bus(
            load_config(["--config", options.config, *rest], prog=parser.prog, others=parser.flags),
            link=options.link,
            transcript=options.transcript,
        )
    else:
        bus = _plain_bus(options)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with tempfile.TemporaryDirectory(prefix="fetlock-emulate-") as folder, contextlib.suppress(KeyboardInterrupt):
        control = options.control or Path(folder) / "control"
        serve_alone(bus, control, _announce if options.json else partial(_say, bus, control))
    return 0


def _announce(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _say(bus: EmulatedBus, control: Path, _: str) -> None:
    ids = ", ".join(str(motor.id) for motor in bus.motors)
    imu = bus.report().get("imu")
    sys.stdout.write(
        f"port     {bus.options.link or bus.wire.path}\nmotors   {ids} at {bus.motors[0].baud} baud\n"
        f"{f'imu      {imu}' + chr(10) if imu else ''}control  {control}\nCtrl-C ends it\n"
    )
    sys.stdout.flush()


def _plain_bus(options: argparse.Namespace) -> EmulatedBus:
    """Build the motors of a description, with rotors alone or with the whole robot."""
    faults = FaultScript() if options.faults is None else load_faults(options.faults)
    bus_options = BusOptions(
        lockstep=options.lockstep,
        paced=options.paced,
        latency_s=options.latency_ms * 1e-3,
        silent_successors=options.silent_successors,
        link=options.link,
        faults=faults,
        transcript=options.transcript,
    )
    if options.physics == "pybullet":
        if options.robot not in _MACHINES:
            raise UsageError(f"--robot {options.robot} has no whole robot in simulation: choose {', '.join(_MACHINES)}, or --physics bench")
        return machine_bus(_MACHINES[options.robot], options.bus_hz, bus_options)
    return emulate(load_description(options.robot), bus_options, bus_steps=round(1000.0 / options.bus_hz))


def emulated_bus(config: RunConfig, link: Path | None = None, *, transcript: bool = False) -> EmulatedBus:
    """Build the machine of a run behind an emulated bus.

    Raises:
        UsageError: If the run's robot is not emulated.
    """
    robot = config.robot
    if not isinstance(robot, EmulatedConfig):
        raise UsageError(f"robot.kind is {robot.kind}: only an emulated robot has an emulated bus; use configs/kitty_emulated.yaml")
    faults = fault_path(robot)
    lockstep = robot.lockstep and not config.train.realtime
    options = BusOptions(
        lockstep=lockstep,
        paced=robot.paced and not lockstep,
        latency_s=robot.latency_ms * 1e-3,
        link=link,
        faults=FaultScript() if faults is None else load_faults(faults),
        transcript=transcript,
    )
    return machine_bus(robot.machine, config.bus_hz, options)


def machine_bus(machine: ServoConfig, bus_hz: float, options: BusOptions) -> EmulatedBus:
    """Build a whole simulated robot behind an emulated bus.

    Args:
        machine: The robot.
        bus_hz: Bus periods per second of its time.
        options: Of the bus.
    """
    description = describe(machine)
    physics = servo_physics(machine, description)
    senses = Senses(machine, physics, every_sample=options.lockstep)
    return emulate(
        description,
        options,
        physics,
        bus_steps=round(machine.physics_hz / bus_hz),
        reset=senses.reset,
        drop=partial(senses.reset, fallen=True),
        observers=(senses.observe,),
        report=senses.report,
        picture=senses.picture,
    )


class Senses:
    """What an emulated robot has beside its motors: an IMU on a wire of its own, and a camera that follows it.

    Args:
        machine: The robot.
        physics: Moves its base.
        every_sample: Send each sample that is taken, not only as often as the device does: in lockstep a reader waits for it.
    """

    def __init__(self, machine: ServoConfig, physics: ServoBody, *, every_sample: bool) -> None:
        self._machine = machine
        self._physics = physics
        self._every_sample = every_sample
        # A claw has no base that an IMU could sit on.
        kind = "exact" if isinstance(machine, ClawConfig) else machine.imu
        self._imu = None if kind == "exact" else EmulatedImu(straight_mounted(kind))
        self._sensors: ServoSensors | None = None
        self._plant: ServoPlant | None = None
        self._step_s = physics.step_s
        self._next_s = 0.0

    def reset(self, plant: ServoPlant, rng: np.random.Generator, *, fallen: bool = False) -> MotorConditions:
        """Let the robot stand up, or fall anyhow; the noise of its sensors begins anew."""
        self._plant = plant
        conditions = (drop_intact if fallen else reset_standing)(plant, self._physics, rng)
        self._next_s = 0.0
        if not isinstance(self._machine, ClawConfig):
            readings = joint_readings(describe(self._machine))
            self._sensors = ServoSensors(readings, self._machine.noise, conditions, plant.sample().step, plant.step_s)
        return conditions

    def observe(self, sample: PlantSample, now_s: float) -> None:
        """Send what the IMU sees of a sample."""
        if self._imu is None or self._sensors is None or sample.body is None:
            return
        if not self._every_sample and now_s + 1e-9 < self._next_s:
            return
        self._next_s = now_s + 1.0 / self._imu.config.rate_hz
        imu, _ = self._sensors.base(sample.body, sample.step, now_s - sample.step * self._step_s)
        self._imu.emit(imu.rotation_base_to_world, imu.angular_velocity_base_rad_s, now_s)

    @property
    def now_s(self) -> float:
        """Time of the machine, s."""
        return 0.0 if self._plant is None else self._plant.time_s

    @property
    def world(self) -> Scene:
        """Handles of the PyBullet world."""
        return self._physics.world

    def look(self) -> Look:
        """Return where its camera stands."""
        return self._physics.look()

    def picture(self, width_px: int, height_px: int) -> CameraFrame:
        """Draw the robot as it is now. The bus waits meanwhile: about 10 ms at 480 x 320 px."""
        return SimulatedCamera(self, width_px, height_px).capture()

    def report(self) -> dict[str, JsonValue]:
        """Say where the IMU is and how many samples it has sent."""
        if self._imu is None:
            return {}
        return {"imu": self._imu.path, "imu_samples": self._imu.statistics.samples}
