"""Clients on a real pseudo-terminal: the vendor's unmodified library, our two back ends, noise, rates, pacing, faults, repeated runs."""

from __future__ import annotations

import os
import statistics
import threading
from collections.abc import Iterator
from pathlib import Path

import dynamixel_sdk as sdk
import numpy as np
import pytest
import serial

from robot.clock import monotonic_s, sleep_s
from robot.description import load_description
from robot.dynamixel import codec
from robot.dynamixel.backends import BusConfig, open_bus
from robot.dynamixel.native import NativeBus
from robot.dynamixel.port import Port
from robot.dynamixel.scan import change_baud, renumber, scan
from robot.dynamixel.timing import CycleTiming
from robot.emulator import EmulatorProcess
from robot.errors import BusError, MotorError, PortError, PortLostError, RobotError, UsageError
from tests.robot.machines import PATIENT_S, describe, emulator

pytestmark = pytest.mark.realtime

IDS = (10, 11, 12, 20, 21, 22, 30, 31, 32, 40, 41, 42)


@pytest.fixture(scope="module")
def machine() -> Iterator[EmulatorProcess]:
    with emulator("--robot", "kitty") as process:
        yield process


@pytest.fixture
def native(machine: EmulatorProcess) -> Iterator[NativeBus]:
    bus = open_bus(machine.port, 1_000_000, silence_s=PATIENT_S)
    assert isinstance(bus, NativeBus)
    yield bus
    bus.close()


def vendor(port: str, baud: int = 1_000_000) -> tuple[object, object]:
    handler = sdk.PortHandler(port)
    assert handler.openPort()
    assert handler.setBaudRate(baud)
    return handler, sdk.Protocol2PacketHandler()


def test_the_vendors_library_finds_nothing_wrong(machine: EmulatorProcess) -> None:
    port, packets = vendor(machine.port)
    try:
        assert packets.ping(port, 10) == (1030, sdk.COMM_SUCCESS, 0)
        assert packets.ping(port, 9)[1] == sdk.COMM_RX_TIMEOUT
        found, result = packets.broadcastPing(port)
        assert result == sdk.COMM_SUCCESS
        assert found == {motor: [1030, 53] for motor in IDS}
        for write, read, address, value in (
            (packets.write1ByteTxRx, packets.read1ByteTxRx, 65, 1),
            (packets.write2ByteTxRx, packets.read2ByteTxRx, 84, 900),
            (packets.write4ByteTxRx, packets.read4ByteTxRx, 116, 2049),
        ):
            assert write(port, 10, address, value) == (sdk.COMM_SUCCESS, 0)
            assert read(port, 10, address) == (value, sdk.COMM_SUCCESS, 0)
        assert packets.write1ByteTxRx(port, 10, 70, 1) == (sdk.COMM_SUCCESS, 7)
        assert packets.write4ByteTxRx(port, 10, 116, 4096) == (sdk.COMM_SUCCESS, 6)
        assert packets.regWriteTxRx(port, 10, 116, 4, [1, 8, 0, 0]) == (sdk.COMM_SUCCESS, 0)
        assert packets.action(port, sdk.BROADCAST_ID) == sdk.COMM_SUCCESS
        assert packets.read4ByteTxRx(port, 10, 116)[0] == 2049
        assert packets.clearMultiTurn(port, 10) == (sdk.COMM_SUCCESS, 0)
        assert packets.reboot(port, 10) == (sdk.COMM_SUCCESS, 0)
        sleep_s(0.4)
        assert packets.factoryReset(port, 10, 2) == (sdk.COMM_SUCCESS, 0)
        sleep_s(0.4)
        assert packets.ping(port, 10) == (1030, sdk.COMM_SUCCESS, 0)
    finally:
        port.closePort()


@pytest.mark.parametrize("fast", [False, True])
def test_the_vendors_groups_read_and_write(machine: EmulatorProcess, fast: bool) -> None:
    port, packets = vendor(machine.port)
    try:
        write = sdk.GroupSyncWrite(port, packets, 116, 4)
        for motor in IDS:
            assert write.addParam(motor, list((2000 + motor).to_bytes(4, "little")))
        assert write.txPacket() == sdk.COMM_SUCCESS
        read = sdk.GroupSyncRead(port, packets, 116, 4)
        for motor in IDS:
            assert read.addParam(motor)
        assert (read.fastSyncRead() if fast else read.txRxPacket()) == sdk.COMM_SUCCESS
        assert [read.getData(motor, 116, 4) for motor in IDS] == [2000 + motor for motor in IDS]
        bulk_write = sdk.GroupBulkWrite(port, packets)
        assert bulk_write.addParam(10, 65, 1, [1])
        assert bulk_write.addParam(11, 116, 4, list((77).to_bytes(4, "little")))
        assert bulk_write.txPacket() == sdk.COMM_SUCCESS
        bulk = sdk.GroupBulkRead(port, packets)
        assert bulk.addParam(10, 65, 1)
        assert bulk.addParam(11, 116, 4)
        assert (bulk.fastBulkRead() if fast else bulk.txRxPacket()) == sdk.COMM_SUCCESS
        assert (bulk.getData(10, 65, 1), bulk.getData(11, 116, 4)) == (1, 77)
    finally:
        port.closePort()


def test_values_that_need_stuffing_arrive(native: NativeBus) -> None:
    # Goal current -1 beside goal velocity -3; a goal position of -131073 alone is refused by its limits, not by the wire.
    data = b"\xff\xff\xfd\xff\xff\xff"
    native.write(10, 102, data)
    assert native.read(10, 102, 6).data == data
    with pytest.raises(BusError, match="beyond its limits"):
        native.write(10, 116, (-131_073).to_bytes(4, "little", signed=True))


@pytest.mark.parametrize("backend", ["native", "sdk"])
def test_both_back_ends_do_the_same(machine: EmulatorProcess, backend: str) -> None:
    bus = open_bus(machine.port, 1_000_000, BusConfig.model_validate({"backend": backend}), PATIENT_S)
    try:
        assert bus.ping(20) == (1030, 53)
        assert bus.ping(19) is None
        assert bus.write(20, 65, b"\x01").error == 0
        assert bus.read(20, 65, 1).data == b"\x01"
        with pytest.raises(BusError, match="motor 20 does not allow"):
            bus.write(20, 70, b"\x01")
        with pytest.raises(BusError, match="beyond its limits"):
            bus.write(20, 116, (4096).to_bytes(4, "little"))
        with pytest.raises(BusError, match=r"motor 19 on .* does not answer"):
            bus.read(19, 65, 1)
        bus.sync_write(116, {motor: (1500 + motor).to_bytes(4, "little") for motor in IDS})
        readings = bus.sync_read(IDS, 116, 4)
        assert readings.fresh.all()
        assert readings.column(0, "<i4").tolist() == [1500 + motor for motor in IDS]
        bus.reboot(20)
        assert bus.ping(20) == (1030, 53)
    finally:
        bus.close()


def test_fast_reads_give_the_same_and_fall_back_where_a_motor_is_missing(machine: EmulatorProcess) -> None:
    bus = open_bus(machine.port, 1_000_000, BusConfig(fast_read=True), PATIENT_S)
    assert isinstance(bus, NativeBus)
    try:
        for _ in range(5):
            assert bus.sync_read(IDS, 126, 10).fresh.all()
        assert bus.fast
        for _ in range(4):
            readings = bus.sync_read((10, 11, 13, 20, 21), 126, 10)
            assert readings.fresh.tolist() == [True, True, False, True, True]
        assert not bus.fast
    finally:
        bus.close()


def test_a_second_opener_is_told_who_has_the_port(machine: EmulatorProcess, native: NativeBus) -> None:
    with pytest.raises(PortError, match=rf"in use by .*process {os.getpid()}"):
        Port(machine.port, 1_000_000)
    native.close()
    Port(machine.port, 1_000_000).close()


@pytest.mark.parametrize(
    ("path", "message"),
    [("/dev/ttyNONE", "there is no port /dev/ttyNONE"), ("/etc/hostname", "no serial port"), ("/dev/null", "no serial port")],
)
def test_what_is_no_port_is_refused_in_one_line(path: str, message: str) -> None:
    with pytest.raises(PortError, match=message) as caught:
        Port(path, 1_000_000)
    assert "\n" not in str(caught.value)


def test_threads_share_a_bus_without_mixing_their_answers(native: NativeBus) -> None:
    wrong: list[str] = []

    def work(index: int) -> None:
        motor = IDS[index]
        for round_ in range(60):
            value = 1000 + 100 * index + round_
            native.write(motor, 116, value.to_bytes(4, "little"))
            if int.from_bytes(native.read(motor, 116, 4).data, "little") != value:
                wrong.append(f"{motor} {round_}")
            readings = native.sync_read(IDS[:3], 7, 1)
            if not readings.fresh.all() or readings.data[:, 0].tolist() != list(IDS[:3]):
                wrong.append(f"burst {motor} {round_}")

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_flipped_bits_never_make_a_wrong_value(machine: EmulatorProcess, native: NativeBus) -> None:
    goals = {motor: (1000 + 7 * motor).to_bytes(4, "little") for motor in IDS}
    native.sync_write(116, goals)
    sleep_s(0.05)
    assert native.sync_read(IDS, 116, 4).fresh.all()
    machine.client.ask("fault", fault={"kind": "corrupt", "probability": 0.01, "duration_s": 4.0})
    fresh = 0
    for _ in range(300):
        readings = native.sync_read(IDS, 116, 4)
        fresh += int(readings.fresh.sum())
        for row, motor in enumerate(IDS):
            if readings.fresh[row]:
                assert readings.data[row].tobytes() == goals[motor]
    assert fresh > 300
    assert native.count.noise_bytes > 0
    sleep_s(4.0)


def test_noise_costs_nothing_but_itself(machine: EmulatorProcess) -> None:
    rng = np.random.default_rng(3)
    with serial.Serial(machine.port, 1_000_000, timeout=0.2) as port:
        for _ in range(50):
            port.write(rng.integers(0, 256, int(rng.integers(1, 200)), np.uint8).tobytes())
            # A frame that claims to be long keeps the motors waiting for its end, as on a real line, until it is full.
            port.write(b"\x00" * (codec.MAX_LENGTH + 20))
            port.reset_input_buffer()
            port.write(codec.ping(10))
            frames, _ = codec.decode(port.read(14))
            assert [frame.id for frame in frames] == [10]


def test_a_motor_answers_at_its_own_rate_only_and_scans_find_it(tmp_path: Path) -> None:
    path = describe(tmp_path, ["XM430-W210", "XM430-W210", "XL330-M288"])
    with emulator("--robot", str(path)) as machine:
        port = Port(machine.port, 1_000_000)
        bus = NativeBus(port, silence_s=PATIENT_S)
        change_baud(bus, port, 2, 57_600)
        port.set_baud(1_000_000)
        renumber(bus, 1, 9)
        with pytest.raises(MotorError, match="with id 9 already"):
            renumber(bus, 3, 9)
        with pytest.raises(UsageError, match="0 to 252"):
            renumber(bus, 9, 253)
        with pytest.raises(UsageError, match="XL330-M288 has no rate of 4500000"):
            change_baud(bus, port, 3, 4_500_000)
        found = scan(port, (57_600, 1_000_000, 2_000_000))
        assert [(motor.id, motor.model, motor.baud) for motor in found] == [
            (2, "XM430-W210", 57_600), (3, "XL330-M288", 1_000_000), (9, "XM430-W210", 1_000_000),
        ]  # fmt: skip
        port.close()


def test_two_motors_with_one_id_are_noticed(tmp_path: Path) -> None:
    path = describe(tmp_path, ["XM430-W210", "XM430-W210"])
    with emulator("--robot", str(path)) as machine:
        bus = open_bus(machine.port, 1_000_000, silence_s=PATIENT_S)
        bus.write(2, 7, b"\x01")
        with pytest.raises(BusError, match="more than one motor answers as 1"):
            bus.scan()
        bus.close()


@pytest.mark.parametrize(
    ("baud", "delay_raw", "latency_ms"), [(57_600, 0, 0.0), (1_000_000, 0, 0.0), (1_000_000, 250, 0.0), (1_000_000, 0, 16.0)]
)
def test_a_paced_cycle_takes_what_the_formula_says(tmp_path: Path, baud: int, delay_raw: int, latency_ms: float) -> None:
    path = describe(tmp_path, ["XM430-W210"] * 8, baud=baud)
    ids = list(range(1, 9))
    with emulator("--robot", str(path), "--paced", "--latency-ms", str(latency_ms)) as machine:
        bus = open_bus(machine.port, baud, silence_s=0.2)
        for motor in ids:
            bus.write(motor, 9, bytes((delay_raw,)))
        goals = {motor: (2048).to_bytes(4, "little") for motor in ids}
        times = []
        for _ in range(12 if baud < 100_000 or latency_ms else 60):
            start_s = monotonic_s()
            bus.sync_write(116, goals)
            assert bus.sync_read(ids, 126, 10).fresh.all()
            times.append(monotonic_s() - start_s)
        bus.close()
    expected_s = CycleTiming(8, baud, return_delay_raw=delay_raw, latency_s=latency_ms * 1e-3).cycle_s
    # Never faster than the wire; how much slower the machine makes it is measured by `./run bench bus`.
    assert 0.97 * expected_s < min(times)
    assert statistics.median(times) < 1.5 * expected_s + 0.002


def test_lockstep_repeats_itself_byte_for_byte_in_another_process() -> None:
    hashes = []
    for _ in range(2):
        with emulator("--robot", "claw", "--lockstep", "--transcript") as machine:
            bus = open_bus(machine.port, 1_000_000, silence_s=5.0)
            ids = load_description("claw").ids
            machine.client.reset(np.random.default_rng(5))
            bus.sync_write(64, dict.fromkeys(ids, b"\x01"))
            rng = np.random.default_rng(6)
            for _ in range(40):
                bus.sync_write(116, {motor: int(rng.integers(1500, 2500)).to_bytes(4, "little") for motor in ids})
                assert bus.sync_read(ids, 120, 16).fresh.all()
            status = machine.client.ask("status")
            hashes.append((status["transcript"], status["step"]))
            bus.close()
    assert hashes[0] == hashes[1]


FAULTS = [
    ("drop", {"motors": [11]}),
    ("delay", {"motors": [11], "magnitude": 0.2}),
    ("duplicate", {"motors": [11]}),
    ("corrupt", {"motors": [11], "probability": 1.0}),
    ("misaddress", {"motors": [11], "magnitude": 99}),
    ("truncate", {"motors": [11]}),
    ("reboot", {"motors": [11]}),
    ("overheat", {"motors": [11]}),
    ("overload", {"motors": [11]}),
    ("brown_out", {"motors": [11], "magnitude": 9.0}),
    ("encoder_wrap", {"motors": [11]}),
    ("stuck_encoder", {"motors": [11]}),
    ("jam", {"motors": [11]}),
]


@pytest.mark.parametrize(("kind", "more"), FAULTS)
def test_every_fault_hits_its_motor_and_no_other(kind: str, more: dict[str, object]) -> None:
    with emulator("--robot", "kitty", "--lockstep") as machine:
        bus = open_bus(machine.port, 1_000_000, silence_s=0.05)
        before = bus.sync_read(IDS, 132, 4)
        assert before.fresh.all()
        machine.client.ask("fault", fault={"kind": kind, **more})
        after = bus.sync_read(IDS, 132, 4)
        again = bus.sync_read(IDS, 132, 4)
        others = np.delete(np.arange(12), 1)
        assert (after.fresh | again.fresh)[others].all()
        assert not (after.alert | again.alert)[others].any()
        if kind in ("drop", "delay", "corrupt", "misaddress", "truncate", "reboot"):
            assert not after.fresh[1]
        if kind in ("overheat", "overload", "brown_out"):
            assert (after.alert | again.alert)[1]
        if kind == "encoder_wrap":
            assert again.column(0, "<i4")[1] - before.column(0, "<i4")[1] == 4096
        bus.close()


def test_an_unplugged_port_is_gone_and_comes_back(tmp_path: Path) -> None:
    link = tmp_path / "port"
    with emulator("--robot", "kitty", "--link", str(link)) as machine:
        bus = open_bus(str(link), 1_000_000)
        machine.client.ask("fault", fault={"kind": "unplug", "duration_s": 0.3})
        sleep_s(0.05)
        with pytest.raises(PortLostError):
            bus.sync_read(IDS, 132, 4)
        with pytest.raises(PortLostError):
            bus.sync_write(116, {10: bytes(4)})
        bus.close()
        sleep_s(0.5)
        again = open_bus(str(link), 1_000_000, silence_s=PATIENT_S)
        assert again.ping(10) == (1030, 53)
        again.close()


def test_a_scripted_fault_happens_at_its_time_each_time(tmp_path: Path) -> None:
    script = tmp_path / "faults.yaml"
    script.write_text("seed: 3\nfaults:\n  - {kind: drop, motors: [20], at_s: 0.3, probability: 0.5}\n")
    seen = []
    for _ in range(2):
        with emulator("--robot", "kitty", "--lockstep", "--faults", str(script)) as machine:
            machine.client.reset(np.random.default_rng(0))
            # Whether it asks again depends on time, and each question draws: it never does.
            bus = NativeBus(Port(machine.port, 1_000_000), silence_s=0.2, retry_budget_s=0.0)
            seen.append([bool(bus.sync_read((10, 20), 132, 4).fresh[1]) for _ in range(30)])
            assert bus.count.retries == 0
            bus.close()
    assert seen[0] == seen[1]
    assert {True, False} == set(seen[0])
    script.write_text("faults:\n  - {kind: dropp}\n")
    with pytest.raises(RobotError, match=r"dropp|kind"):
        emulator("--robot", "kitty", "--faults", str(script))
