"""The VN-100's message and commands, against the examples of its manual."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot import UsageError
from robot.imu import ImuSample
from robot.imu.rotations import roll_pitch_yaw_matrix, rotation_matrix
from robot.imu.sample import up_in_sensor
from robot.imu.vectornav import RATES_HZ, SAMPLE_BYTES, VectorNavParser, checksum, command, configuration, decode, encode
from tests.robot.imu.motions import QUATERNIONS, angle_between, random_sample

# North, west, up from north, east, down: half a turn about north.
NED_TO_NWU = np.diag([1.0, -1.0, -1.0])


def ned(sample: ImuSample) -> np.ndarray:
    """The attitude matrix that the message of a sample holds, body to north-east-down."""
    x, y, z, w = np.frombuffer(encode(sample)[12:28], "<f4").tolist()
    return rotation_matrix((w, x, y, z))


# UM001, 4.3: the first example of a binary message.
def test_the_checksum_is_that_of_the_manual() -> None:
    data = bytes.fromhex("FA 01 08 00 93 50 2E 42 83 3E F1 3F 48 B5 04 BB 92 88")
    assert checksum(data) == 0
    assert checksum(data[:-2]).to_bytes(2, "big") == data[-2:]
    # It holds other fields than ours.
    assert decode(data) is None


# UM001, 5.1.3, 7.1.1, 9.2.1, and the register pages 5 and 6.
@pytest.mark.parametrize(
    ("text", "digits"), [("VNWNV", "57"), ("VNKMD,1", "47"), ("VNRRG,51,1,0.1,0.01", "5A"), ("VNRRG,05,115200", "5D"), ("VNRRG,06,0", "69")]
)
def test_commands_end_like_those_of_the_manual(text: str, digits: str) -> None:
    assert command(text) == f"${text}*{digits}\r\n".encode()


def test_the_configuration_asks_for_what_is_parsed() -> None:
    off, message, save = configuration(50)
    assert (off, save) == (b"$VNWRG,06,0*6C\r\n", b"$VNWNV*57\r\n")
    # Both ports, 800 Hz / 16, group 1, bits 0, 4 and 5: the header of what is sent.
    assert message.startswith(b"$VNWRG,75,3,16,01,0031*")
    assert encode(ImuSample((1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0), None, 0))[:4] == bytes.fromhex("FA 01 31 00")
    assert {800 // rate * rate for rate in RATES_HZ} == {800}
    with pytest.raises(UsageError, match="200, 400, 800"):
        configuration(300)


@given(st.integers(0, 2**64 - 1), QUATERNIONS, st.tuples(*[st.floats(width=32, allow_nan=False, allow_infinity=False)] * 3))
def test_what_float32_holds_comes_back_exactly(time_ns: int, quaternion: tuple[float, ...], rate: tuple[float, float, float]) -> None:
    w, x, y, z = np.array(quaternion, np.float32).tolist()
    sample = ImuSample((w, x, y, z), rate, None, time_ns)
    message = encode(sample)
    assert len(message) == SAMPLE_BYTES
    assert decode(message) == sample
    assert VectorNavParser().feed(message) == [sample]


@given(QUATERNIONS)
def test_the_device_thinks_in_north_east_down(quaternion: tuple[float, float, float, float]) -> None:
    held = ned(ImuSample(quaternion, (0.0, 0.0, 0.0), None, 0))
    assert angle_between(NED_TO_NWU @ held, rotation_matrix(quaternion)) < 1e-6


def test_a_flat_device_has_its_z_axis_down_and_yaws_to_the_right() -> None:
    # UM001, 7.2: examples of registers 8 and 9 in one position. Yaw, pitch, roll in deg; body in north-east-down, scalar last.
    yaw, pitch, roll = 6.271, 0.031, -2.0
    x, y, z, w = -0.017386, -0.000303, 0.055490, 0.998308
    assert math.degrees(angle_between(rotation_matrix((w, x, y, z)), roll_pitch_yaw_matrix(roll, pitch, yaw))) < 0.2
    message = bytearray(encode(ImuSample((1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0), None, 0)))
    message[12:28] = np.array((x, y, z, w), "<f4").tobytes()
    message[-2:] = checksum(bytes(message[:-2])).to_bytes(2, "big")
    sample = decode(bytes(message))
    assert sample is not None
    # Up is where the printed z axis does not point, and the nose is to the right of north: towards -y in north, west, up.
    np.testing.assert_allclose(up_in_sensor(sample.quaternion_wxyz), (0.0, 0.0, -1.0), atol=math.radians(2.5))
    nose = rotation_matrix(sample.quaternion_wxyz) @ (1.0, 0.0, 0.0)
    assert math.degrees(math.atan2(nose[1], nose[0])) == pytest.approx(-yaw, abs=0.2)


@pytest.mark.parametrize("time_ns", [None, -1, 2**64])
def test_a_message_has_a_time(time_ns: int | None) -> None:
    with pytest.raises(UsageError, match="since it started"):
        encode(ImuSample((1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0), None, time_ns))


def test_a_rate_beyond_float32_is_refused() -> None:
    with pytest.raises(UsageError, match="float32"):
        encode(ImuSample((1.0, 0.0, 0.0, 0.0), (1e39, 0.0, 0.0), None, 0))


def test_impossible_content_is_counted_and_not_returned() -> None:
    for at, bad in ((12, np.float32(2.0)), (28, np.float32(np.nan))):
        message = bytearray(encode(random_sample(np.random.default_rng(5))))
        message[at : at + 4] = bad.tobytes()
        message[-2:] = checksum(bytes(message[:-2])).to_bytes(2, "big")
        assert decode(bytes(message)) is None
        parser = VectorNavParser()
        assert parser.feed(bytes(message)) == []
        assert (parser.statistics.bad_content, parser.statistics.samples, parser.statistics.bad_checksums) == (1, 0, 0)


def test_no_two_wrong_bits_make_a_sample() -> None:
    """The polynomial finds all double errors in messages of up to 4 KiB; a flip in the header hides the message."""
    data = encode(random_sample(np.random.default_rng(6)))
    bits = 8 * len(data)
    rng = np.random.default_rng(7)
    for one, other in rng.choice(bits, size=(5000, 2)).tolist():
        flipped = bytearray(data)
        flipped[one // 8] ^= 1 << one % 8
        flipped[other // 8] ^= (1 << other % 8) * (one != other)
        assert VectorNavParser().feed(bytes(flipped)) == []
