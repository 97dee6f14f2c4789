"""Laws of the wire protocol, the manual's own packets, and what the vendor's library makes of both."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from dynamixel_sdk import COMM_SUCCESS, Protocol2PacketHandler
from hypothesis import given
from hypothesis import strategies as st

from robot.dynamixel import codec
from robot.dynamixel.codec import Frame, Instruction, Status
from robot.errors import UsageError

# ROBOTIS e-manual, "DYNAMIXEL Protocol 2.0", the examples of each instruction.
MANUAL = [
    (codec.ping(1), "FF FF FD 00 01 03 00 01 19 4E"),
    (codec.ping(), "FF FF FD 00 FE 03 00 01 31 42"),
    (codec.encode_status(1, 0, b"\x06\x04\x26"), "FF FF FD 00 01 07 00 55 00 06 04 26 65 5D"),
    (codec.read(1, 132, 4), "FF FF FD 00 01 07 00 02 84 00 04 00 1D 15"),
    (codec.encode_status(1, 0, (166).to_bytes(4, "little")), "FF FF FD 00 01 08 00 55 00 A6 00 00 00 8C C0"),
    (codec.write(1, 116, (512).to_bytes(4, "little")), "FF FF FD 00 01 09 00 03 74 00 00 02 00 00 CA 89"),
    (codec.action(1), "FF FF FD 00 01 03 00 05 02 CE"),
    (codec.factory_reset(1, codec.ResetLevel.EXCEPT_ID), "FF FF FD 00 01 04 00 06 01 A1 E6"),
    (codec.reboot(1), "FF FF FD 00 01 03 00 08 2F 4E"),
    (codec.clear_turns(1), "FF FF FD 00 01 08 00 10 01 44 58 4C 22 B1 DC"),
    (codec.sync_read([1, 2], 132, 4), "FF FF FD 00 FE 09 00 82 84 00 04 00 01 02 CE FA"),
    (
        codec.sync_write(116, {1: (150).to_bytes(4, "little"), 2: (170).to_bytes(4, "little")}),
        "FF FF FD 00 FE 11 00 83 74 00 04 00 01 96 00 00 00 02 AA 00 00 00 82 87",
    ),
]


@pytest.mark.parametrize(("made", "printed"), MANUAL, ids=[printed[:32] for _, printed in MANUAL])
def test_the_manuals_packets_come_out_byte_for_byte(made, printed):
    assert made == bytes.fromhex(printed)
    (frame,), used = codec.decode(made)
    assert used == len(made)
    assert codec.encode(frame.id, frame.instruction, frame.parameters) == made


def round_trip(parameters: bytes) -> bool:
    wire = codec.encode(7, Instruction.WRITE, parameters)
    return codec.decode(wire) == ([Frame(7, Instruction.WRITE, parameters)], len(wire)) and b"\xff\xff\xfd\x00" not in wire[4:-2]


def test_the_round_trip_is_the_identity_over_every_short_payload_that_looks_like_a_header():
    payloads = (bytes(p) for size in range(1, 8) for p in itertools.product((0xFF, 0xFD, 0x00, 0x01), repeat=size))
    assert [payload for payload in payloads if not round_trip(payload)] == []


def test_the_round_trip_is_the_identity_over_a_hundred_thousand_random_payloads():
    rng = np.random.default_rng(0)
    alphabet = np.array([0xFF, 0xFF, 0xFD, 0x00, 0x7F], np.uint8)
    for _ in range(1000):
        sizes = rng.integers(0, 16, 100)
        for size in sizes:
            assert round_trip(alphabet[rng.integers(0, len(alphabet), size)].tobytes())


frames = st.builds(Frame, st.integers(0, codec.MAX_ID), st.sampled_from([1, 2, 3, 0x55, 0x83]), st.binary(max_size=20))


@given(st.lists(st.tuples(st.binary(max_size=6), frames), max_size=5), st.lists(st.integers(1, 9), min_size=1))
def test_a_stream_in_any_pieces_with_any_noise_gives_the_frames_in_order(sent, pieces):
    # Noise that is itself a header swallows what follows until its length has come: that is the next test.
    wire = b"".join(noise.replace(b"\xff", b"\xfe") + codec.encode(f.id, f.instruction, f.parameters) for noise, f in sent)
    received, buffer, position = [], b"", 0
    for size in itertools.cycle(pieces):
        buffer += wire[position : position + size]
        position += size
        found, used = codec.decode(buffer)
        received += found
        buffer = buffer[used:]
        if position >= len(wire):
            break
    assert received == [frame for _, frame in sent]
    assert buffer == b""[:0] or len(buffer) <= 3


@given(frames, st.data())
def test_a_frame_with_up_to_three_flipped_bits_is_never_taken_for_another(frame, data):
    wire = bytearray(codec.encode(frame.id, frame.instruction, frame.parameters))
    for bit in data.draw(st.sets(st.integers(0, 8 * len(wire) - 1), min_size=1, max_size=3)):
        wire[bit // 8] ^= 1 << bit % 8
    found, _ = codec.decode(bytes(wire))
    assert found == []


def test_a_frame_behind_a_broken_one_is_found():
    good = codec.encode_status(2, 0, b"\x01\x02\x03\x04")
    broken = bytearray(codec.encode_status(1, 0, b"\x01\x02\x03\x04"))
    broken[9] ^= 1
    cut = codec.encode_status(1, 0, b"\x01\x02\x03\x04")[:9]
    for damage in (bytes(broken), codec.HEADER + b"\x01\x02\x00", codec.HEADER + b"\x01\xff\xff", codec.HEADER[:3]):
        assert codec.decode(damage + good)[0] == [Frame(2, Instruction.STATUS, b"\x00\x01\x02\x03\x04")]
    # A cut frame claims the beginning of the next one; its CRC is then wrong, and the next one is found all the same.
    assert codec.decode(cut + good)[0] == [Frame(2, Instruction.STATUS, b"\x00\x01\x02\x03\x04")]


statuses = st.builds(Status, st.integers(0, codec.MAX_ID), st.integers(0, 7), st.booleans(), st.binary(min_size=1, max_size=6))


@given(st.lists(statuses, min_size=1, max_size=5, unique_by=lambda s: s.id), st.data())
def test_a_fast_reply_is_read_by_position_and_as_far_as_it_is_right(sent, data):
    wire = codec.encode_fast_status(sent)
    expected = [(answer.id, len(answer.data)) for answer in sent]
    assert codec.decode_fast(wire, expected) == sent
    (frame,), used = codec.decode(wire)
    assert (frame.id, used) == (codec.BROADCAST_ID, len(wire))
    assert codec.status(frame) is None
    cut = data.draw(st.integers(0, len(wire) - 1))
    assert codec.decode_fast(wire[:cut], expected) == sent[: len(codec.decode_fast(wire[:cut], expected))]
    bit = data.draw(st.integers(0, 8 * len(wire) - 1))
    wrong = bytearray(wire)
    wrong[bit // 8] ^= 1 << bit % 8
    salvaged = codec.decode_fast(bytes(wrong), expected)
    assert salvaged == sent[: len(salvaged)]
    assert len(salvaged) < len(sent)


def test_the_length_of_a_fast_reply_is_the_manuals():
    assert codec.encode_fast_status([Status(i, 0, False, bytes(4)) for i in (3, 7, 4)])[5] == 25


@pytest.mark.parametrize(("error", "code", "alert"), [(0x00, 0, False), (0x80, 0, True), (0x87, 7, True), (0x04, 4, False)])
def test_an_alert_is_data_and_not_an_error(error, code, alert):
    (frame,), _ = codec.decode(codec.encode(3, Instruction.STATUS, bytes((error, 9))))
    assert codec.status(frame) == Status(3, code, alert, b"\x09")


@pytest.mark.parametrize(
    "call",
    [
        lambda: codec.ping(253),
        lambda: codec.ping(-1),
        lambda: codec.sync_read([1, 1], 132, 4),
        lambda: codec.sync_read([], 132, 4),
        lambda: codec.sync_write(116, {1: bytes(4), 2: bytes(3)}),
        lambda: codec.read(1, 70_000, 1),
        lambda: codec.write(1, 0, bytes(3000)),
    ],
)
def test_what_cannot_be_sent_is_refused(call):
    with pytest.raises(UsageError):
        call()


class Wire:
    """The port that the vendor's library wants: keeps what is written, gives what is there."""

    is_using = False

    def __init__(self, reply: bytes = b"") -> None:
        self.sent, self._reply = b"", list(reply)

    def clearPort(self):
        return None

    def writePort(self, packet):
        self.sent += bytes(packet)
        return len(packet)

    def readPort(self, length):
        taken, self._reply = self._reply[:length], self._reply[length:]
        return taken

    def setPacketTimeout(self, length):
        return None

    def isPacketTimeout(self):
        return not self._reply


# Goal current -1 beside goal velocity -3, addresses 102 to 107: FF FF FD FF FF FF.
HOLDING = (-1).to_bytes(2, "little", signed=True) + (-3).to_bytes(4, "little", signed=True)


def test_our_frame_holds_what_the_vendors_library_sends_unstuffed():
    wire = Wire()
    Protocol2PacketHandler().writeTxOnly(wire, 1, 102, len(HOLDING), list(HOLDING))
    assert HOLDING == b"\xff\xff\xfd\xff\xff\xff"
    assert b"\xff\xff\xfd\xfd" not in wire.sent
    ours = codec.write(1, 102, HOLDING)
    assert b"\xff\xff\xfd\xfd" in ours
    assert codec.decode(ours)[0][0].parameters[2:] == HOLDING


@given(st.integers(0, codec.MAX_ID), st.binary(max_size=30))
def test_the_vendors_library_computes_the_same_checksum(motor, content):
    wire = Wire()
    data = content.replace(b"\xff", b"\xfe") or b"\x00"
    Protocol2PacketHandler().writeTxOnly(wire, motor, 64, len(data), list(data))
    assert wire.sent == codec.write(motor, 64, data)


@given(st.binary(min_size=4, max_size=4).filter(lambda data: b"\xff\xff\xfd" not in data))
def test_the_vendors_library_reads_our_replies(data):
    packet, result = Protocol2PacketHandler().rxPacket(Wire(codec.encode_status(5, 0, data)), False)
    assert result == COMM_SUCCESS
    assert bytes(packet[9:13]) == data
