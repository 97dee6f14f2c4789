"""An emulated bus through its terminal and its control socket: the vendor's library, hostile bytes, hostile requests, faults."""

from __future__ import annotations

import itertools
import json
import os
import select
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dynamixel_sdk
import numpy as np
import pytest
import serial
from pydantic import ValidationError

from robot.clock import monotonic_s, sleep_s
from robot.description import BusSettings, JointDescription, RobotDescription
from robot.dynamixel import codec
from robot.dynamixel.codec import Status
from robot.dynamixel.tables import OperatingMode
from robot.emulator import BusOptions, ControlServer, EmulatedBus, EmulatorClient, Fault, FaultScript, emulate, serve
from robot.emulator.faults import Saboteur

pytestmark = pytest.mark.realtime

BAUD = 1_000_000


class Machine:
    """An emulated bus served by a thread, and a client of each of its doors."""

    def __init__(self, folder: Path, options: BusOptions | None = None, motors: int = 1) -> None:
        ends: dict[str, Any] = {"lower_rad": -3.0, "upper_rad": 3.0, "home_rad": 0.0, "rest_rad": 0.0}
        joints = tuple(JointDescription(name=f"j{i}", id=i, model="XM430-W210", **ends) for i in range(1, motors + 1))
        self.bus: EmulatedBus = emulate(RobotDescription(name="bench", bus=BusSettings(), joints=joints), options or BusOptions())
        self.path = folder / "control"
        self._server = ControlServer(self.bus, self.path)
        self._thread = threading.Thread(target=serve, args=(self.bus, self._server, lambda: True), daemon=True)
        self._thread.start()
        self.client = EmulatorClient(self.path)
        self.port = serial.Serial(self.bus.wire.path, BAUD, timeout=0)

    def ask(self, frame: bytes, answers: int = 1, wait_s: float = 0.5) -> list[Status]:
        """Send bytes; return answers as soon as there are enough."""
        self.port.reset_input_buffer()
        self.port.write(frame)
        buffer, end_s = b"", monotonic_s() + wait_s
        found: list[Status] = []
        while len(found) < answers and select.select([self.port.fileno()], [], [], max(0.0, end_s - monotonic_s()))[0]:
            buffer += os.read(self.port.fileno(), 65_536)
            found = [status for status in map(codec.status, codec.decode(buffer)[0]) if status is not None]
        return found

    def read(self, address: int, size: int, motor: int = 1) -> int:
        (status,) = self.ask(codec.read(motor, address, size))
        return int.from_bytes(status.data, "little", signed=True)

    def write(self, address: int, raw: int, size: int, motor: int = 1) -> None:
        (status,) = self.ask(codec.write(motor, address, raw.to_bytes(size, "little")))
        assert status.error == 0

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def close(self) -> None:
        if self.running:
            self.client.ask("stop")
            self._thread.join(5.0)
        self.client.close()
        self.port.close()
        self._server.close()
        self.bus.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    machines: list[Machine] = []

    def make(options: BusOptions | None = None, motors: int = 1) -> Machine:
        folder = tmp_path / str(len(machines))
        folder.mkdir()
        machines.append(Machine(folder, options, motors))
        return machines[-1]

    yield make
    for machine in machines:
        machine.close()


def test_the_vendors_library_finds_reads_and_writes_motors(start: Any) -> None:
    machine = start(motors=3)
    port, packets = dynamixel_sdk.PortHandler(machine.bus.wire.path), dynamixel_sdk.PacketHandler(2.0)
    assert port.openPort()
    assert port.setBaudRate(BAUD)
    try:
        assert packets.ping(port, 2) == (1030, 0, 0)
        assert packets.broadcastPing(port) == ({i: [1030, 53] for i in (1, 2, 3)}, 0)
        for size, address in ((1, 65), (2, 84), (4, 112)):
            assert getattr(packets, f"write{size}ByteTxRx")(port, 1, address, 1) == (0, 0)
            assert getattr(packets, f"read{size}ByteTxRx")(port, 1, address) == (1, 0, 0)
        assert packets.regWriteTxRx(port, 1, 65, 1, [0]) == (0, 0)
        assert packets.read1ByteTxRx(port, 1, 65)[0] == 1
        packets.action(port, 254)
        assert packets.read1ByteTxRx(port, 1, 65)[0] == 0
        together = dynamixel_sdk.GroupSyncRead(port, packets, 84, 2)
        apart = dynamixel_sdk.GroupBulkRead(port, packets)
        for motor in (1, 2, 3):
            together.addParam(motor)
            apart.addParam(motor, 84, 2)
        for transact, group in (
            (together.txRxPacket, together),
            (together.fastSyncRead, together),
            (apart.txRxPacket, apart),
            (apart.fastBulkRead, apart),
        ):
            assert transact() == 0
            assert [group.getData(motor, 84, 2) for motor in (1, 2, 3)] == [1, 800, 800]
        assert packets.clearMultiTurn(port, 1) == (0, 0)
        assert packets.reboot(port, 1) == (0, 0)
        deadline_s = monotonic_s() + 2.0
        while packets.ping(port, 1)[1] and monotonic_s() < deadline_s:
            pass
        assert packets.read1ByteTxRx(port, 1, 65) == (0, 0, 0)
        assert packets.factoryReset(port, 2, 2) == (0, 0)
    finally:
        port.closePort()


def test_motors_hear_only_their_own_rate(start: Any) -> None:
    machine = start()
    machine.port.baudrate = 57_600
    assert machine.ask(codec.ping(1), wait_s=0.1) == []
    machine.port.baudrate = BAUD
    assert len(machine.ask(codec.ping(1))) == 1


def test_a_length_made_long_by_a_bit_swallows_no_later_request(start: Any) -> None:
    machine = start()
    machine.port.write(b"\xff\xff\xfd\x00\x01\xff\x07")
    sleep_s(0.1)
    assert len(machine.ask(codec.ping(1))) == 1
    # A request in the same breath is answered once it is clear that the frame around it does not go on.
    assert len(machine.ask(b"\xff\xff\xfd\x00\x01\xff\x07" + codec.ping(1))) == 1


def test_a_frame_in_pieces_is_one_frame(start: Any) -> None:
    machine = start()
    for byte in codec.ping(1)[:-1]:
        machine.port.write(bytes((byte,)))
    assert len(machine.ask(codec.ping(1)[-1:])) == 1


def test_a_hundred_thousand_random_bytes_end_nothing(start: Any) -> None:
    machine = start()
    rng = np.random.default_rng(1)
    for turn in range(400):
        machine.port.write((codec.HEADER if turn % 2 else b"") + rng.integers(0, 256, 250, dtype=np.uint8).tobytes())
    sleep_s(0.1)
    assert len(machine.ask(codec.ping())) == 1


@pytest.mark.parametrize(
    "request_line",
    [
        b'{"do":"turn","joint":99,"angle_rad":0}',
        b'{"do":"turn","joint":-1,"angle_rad":0}',
        b'{"do":"turn","joint":0,"angle_rad":NaN}',
        b'{"do":"turn","joint":0,"angle_rad":1e300}',
        b'{"do":"fault","fault":{"kind":"encoder_wrap","magnitude":1e12}}',
        b'{"do":"fault","fault":{"kind":"encoder_wrap","magnitude":NaN}}',
        b'{"do":"reset","state":{}}',
        json.dumps({"do": "reset", "state": np.random.default_rng(0).bit_generator.state, "not_before_step": float("inf")}).encode(),
        b"[" * 60_000,
        b"\xff\xfe",
        b"5",
    ],
    ids=lambda line: line[:48].decode(errors="replace"),
)
def test_wrong_requests_are_refused_and_the_bus_goes_on(start: Any, request_line: bytes) -> None:
    machine = start()
    with socket.socket(socket.AF_UNIX) as door:
        door.connect(str(machine.path))
        door.settimeout(5.0)
        door.sendall(request_line + b"\n")
        assert not json.loads(door.makefile("rb").readline())["ok"]
    sleep_s(0.02)
    assert len(machine.ask(codec.read(1, 132, 4))) == 1


def test_encoders_turn_over_at_32_bits(start: Any) -> None:
    machine = start(BusOptions(lockstep=True))
    for _ in range(2100):
        machine.bus.inject(Fault(kind="encoder_wrap", magnitude=1_048_575.0))
    assert -(1 << 31) <= machine.read(132, 4) < 1 << 31


@pytest.mark.parametrize(
    ("mode", "goal"),
    [
        (OperatingMode.PWM, (100, 300, 2)),
        (OperatingMode.CURRENT, (102, 60, 2)),
        (OperatingMode.VELOCITY, (104, 150, 4)),
        (OperatingMode.POSITION, (116, 3500, 4)),
        (OperatingMode.CURRENT_BASED_POSITION, (116, 3500, 4)),
    ],
)
def test_silence_stops_a_motor_in_every_mode_that_drives(start: Any, mode: int, goal: tuple[int, int, int]) -> None:
    machine = start()
    machine.write(11, mode, 1)
    machine.write(64, 1, 1)
    machine.write(98, 3, 1)
    before = machine.client.ask("truth")["joints_rad"][0]
    machine.write(*goal)
    deadline_s = monotonic_s() + 2.0
    while (truth := machine.client.ask("truth"))["watchdog"] != [-1] and monotonic_s() < deadline_s:
        sleep_s(0.002)
    assert truth["watchdog"] == [-1]
    assert abs(truth["joints_rad"][0] - before) > 0.02
    # The latch holds its time; a shaft that turned fast needs some more to come to rest. Current mode lets it run out.
    deadline_s = monotonic_s() + 3.0
    moved = np.inf
    while moved >= 0.002 and monotonic_s() < deadline_s:
        first = machine.client.ask("truth")["joints_rad"][0]
        sleep_s(0.1)
        moved = abs(machine.client.ask("truth")["joints_rad"][0] - first)
    assert moved < 0.002


def test_a_velocity_loop_drives_on_no_further_than_it_brakes(start: Any) -> None:
    machine = start()
    for write in ((11, OperatingMode.VELOCITY, 1), (64, 1, 1), (98, 5, 1), (104, 200, 4)):
        machine.write(*write)
    end_s = monotonic_s() + 0.3
    while monotonic_s() < end_s:
        machine.ask(codec.ping(1))
    while (truth := machine.client.ask("truth"))["watchdog"] != [-1]:
        sleep_s(0.002)
    sleep_s(0.6)
    assert abs(machine.client.ask("truth")["joints_rad"][0] - truth["joints_rad"][0]) < 0.2


def test_in_lockstep_only_what_shows_a_position_moves_physics(start: Any) -> None:
    machine = start(BusOptions(lockstep=True), motors=3)

    def moved(frame: bytes, answers: int) -> int:
        before: int = machine.bus.plant.step
        assert len(machine.ask(frame, answers, wait_s=0.5 if answers else 0.05)) == answers
        return int(machine.bus.plant.step) - before

    machine.read(132, 4)
    for offset in range(4):
        machine.write(168 + 2 * offset, 132 + offset, 2)
    assert moved(codec.read(1, 132, 4), 1) == 10
    assert moved(codec.sync_read([1, 2, 3], 126, 10), 3) == 10
    assert moved(codec.read(1, 224, 4), 1) == 10
    assert moved(codec.read(2, 224, 4), 1) == 0
    assert moved(codec.read(1, 144, 3), 1) == 0
    assert moved(codec.read(codec.BROADCAST_ID, 132, 4), 0) == 0


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "corrupt", "every": 10},
        {"kind": "reboot", "probability": 0.1},
        {"kind": "overheat", "every": 5},
        {"kind": "overload", "duration_s": 1.0},
        {"kind": "encoder_wrap", "magnitude": float("nan")},
        {"kind": "corrupt", "times": 3},
        {"kind": "jam", "times": 3},
        {"kind": "overheat", "magnitude": 256.0},
        {"kind": "misaddress", "magnitude": 253},
    ],
)
def test_a_fault_takes_nothing_that_it_would_ignore(fault: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Fault(**fault)


def test_an_answer_of_a_wrong_id_or_length_has_a_right_checksum_and_ends_after_so_many(start: Any) -> None:
    machine = start(BusOptions(lockstep=True), motors=3)
    for fault, shown in ((Fault(kind="misaddress", motors=(2,), times=2), (3, 4)), (Fault(kind="truncate", motors=(2,), times=2), (2, 3))):
        machine.bus.inject(fault)
        for _ in range(2):
            answers = machine.ask(codec.sync_read([1, 2, 3], 132, 4), 3)
            assert [(answer.id, len(answer.data)) for answer in answers] == [(1, 4), shown, (3, 4)]
        assert [answer.id for answer in machine.ask(codec.sync_read([1, 2, 3], 132, 4), 3)] == [1, 2, 3]


def test_a_jammed_shaft_stands_whatever_drives_it_until_it_is_free(start: Any) -> None:
    machine = start(motors=2)
    for motor in (1, 2):
        machine.write(64, 1, 1, motor)
    machine.client.ask("fault", fault={"kind": "jam", "motors": [1], "duration_s": 0.3})
    before = machine.client.ask("truth")["joints_rad"]
    for motor in (1, 2):
        machine.write(116, 2300, 4, motor)
    sleep_s(0.2)
    now = machine.client.ask("truth")["joints_rad"]
    assert now[0] == before[0]
    assert now[1] - before[1] > 0.3
    deadline_s = monotonic_s() + 2.0
    while machine.client.ask("truth")["joints_rad"][0] - before[0] < 0.3:
        assert monotonic_s() < deadline_s


def test_heat_shows_and_is_an_error_only_beyond_the_limit(start: Any) -> None:
    machine = start(BusOptions(lockstep=True))
    machine.bus.inject(Fault(kind="overheat", magnitude=72.0))
    machine.read(132, 4)
    assert (machine.read(146, 1), machine.read(70, 1)) == (72, 0)
    machine.bus.inject(Fault(kind="overheat", magnitude=90.0))
    machine.read(132, 4)
    assert machine.read(70, 1) == 4


def test_mending_ends_every_fault_and_plugs_in_again(start: Any) -> None:
    machine = start(motors=2)
    faults: tuple[dict[str, Any], ...] = (
        {"kind": "drop"}, {"kind": "encoder_wrap", "motors": [1]}, {"kind": "stuck_encoder", "motors": [2]}, {"kind": "jam"},
        {"kind": "overheat", "magnitude": 60.0}, {"kind": "reboot", "at_s": 0.2},
    )  # fmt: skip
    before = [machine.read(132, 4, motor) for motor in (1, 2)]
    for fault in faults:
        machine.client.ask("fault", fault=fault)
    assert machine.ask(codec.ping(1), wait_s=0.05) == []
    machine.client.ask("unplug")
    machine.client.ask("mend")
    machine.port.close()
    machine.port = serial.Serial(machine.bus.wire.path, BAUD, timeout=0)
    assert [machine.read(132, 4, motor) for motor in (1, 2)] == before
    assert machine.read(146, 1) == 25
    machine.write(64, 1, 1)
    machine.write(116, before[0] + 100, 4)
    sleep_s(0.4)
    # It turns again, and no reboot has come.
    assert machine.read(132, 4) > before[0] + 50
    assert machine.read(64, 1) == 1


def test_requests_are_damaged_alike_however_they_arrive() -> None:
    data = bytes(range(200))

    def damaged(*cuts: int) -> bytes:
        saboteur = Saboteur(FaultScript(seed=3, faults=(Fault(kind="corrupt", probability=0.2),)))
        ends = (0, *cuts, len(data))
        return b"".join(saboteur.request(data[first:last], 0.0) for first, last in itertools.pairwise(ends))

    assert damaged() == damaged(70) == damaged(1, 2, 150)
    assert damaged() != data


def test_the_supply_comes_back_when_the_last_brown_out_is_over(start: Any) -> None:
    machine = start(BusOptions(lockstep=True))
    for at_s, volts, duration_s in ((0.0, 11.0, 0.06), (0.03, 10.0, 0.06)):
        machine.bus.inject(Fault(kind="brown_out", at_s=at_s, magnitude=volts, duration_s=duration_s))
    shown = []
    for _ in range(14):
        machine.read(132, 4)
        shown.append(machine.read(144, 2))
    assert {100, 110, 120} == set(shown)
    assert shown[-1] == 120


def test_a_motor_that_is_unplugged_leaves_the_others_to_answer(start: Any) -> None:
    machine = start(BusOptions(lockstep=True), motors=3)
    machine.bus.inject(Fault(kind="unplug", motors=(2,), duration_s=0.035))
    heard = []
    for _ in range(7):
        heard.append([status.id for status in machine.ask(codec.sync_read([1, 2, 3], 132, 4), 3, wait_s=0.05)])
    assert heard[0] == [1, 3]
    assert heard[-1] == [1, 2, 3]


def test_an_unplugged_adapter_is_an_error_and_comes_back_behind_its_link(start: Any, tmp_path: Path) -> None:
    machine = start(BusOptions(link=tmp_path / "port"))
    machine.client.ask("unplug")
    with pytest.raises((OSError, serial.SerialException)):
        os.read(machine.port.fileno(), 1) or os.write(machine.port.fileno(), b"x")
    machine.port.close()
    machine.client.ask("plug")
    machine.port = serial.Serial(str(tmp_path / "port"), BAUD, timeout=0)
    assert len(machine.ask(codec.ping(1))) == 1


def test_a_backup_outlives_a_reboot_and_a_start_restores_no_eeprom(start: Any) -> None:
    machine = start()
    machine.write(84, 321, 2)
    machine.ask(codec.encode(1, codec.Instruction.CONTROL_TABLE_BACKUP, b"\x01CTRL"))
    machine.write(60, 2, 1)
    machine.write(7, 9, 1)
    machine.ask(codec.reboot(9))
    sleep_s(0.3)
    assert machine.ask(codec.ping(1), wait_s=0.05) == []
    assert (machine.read(147, 1, motor=9), machine.read(84, 2, motor=9), machine.read(60, 1, motor=9)) == (1, 321, 2)


def test_lockstep_and_seed_make_the_same_bytes(start: Any) -> None:
    def transcript() -> str:
        script = FaultScript(seed=5, faults=(Fault(kind="drop", probability=0.1), Fault(kind="corrupt", probability=0.002)))
        machine = start(BusOptions(lockstep=True, transcript=True, faults=script), motors=3)
        for cycle in range(60):
            goals = {motor: (2048 + 7 * cycle * motor).to_bytes(4, "little") for motor in (1, 2, 3)}
            machine.ask(codec.sync_write(116, goals) + codec.sync_read([1, 2, 3], 126, 10), 3, wait_s=0.02)
        return str(machine.client.ask("status")["transcript"])

    assert transcript() == transcript()
