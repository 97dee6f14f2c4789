"""The WT901's frames, exhaustively where they are small, and the pairing of its cycles."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot import UsageError
from robot.imu import ImuSample
from robot.imu.witmotion import (
    FRAME_BYTES,
    FULL_SCALE,
    RATES_HZ,
    FrameType,
    Raws,
    WitMotionParser,
    configuration,
    decode_frame,
    encode,
    encode_frame,
    from_raw,
    to_raw,
)
from tests.robot.imu.motions import random_sample

INT16 = st.integers(-32768, 32767)
SAMPLES = [random_sample(np.random.default_rng(seed)) for seed in range(4)]


def reported(sample: ImuSample) -> ImuSample:
    """What a WT901 makes of a sample."""
    (found,) = WitMotionParser().feed(encode(sample))
    return found


def frames(sample: ImuSample) -> tuple[bytes, bytes, bytes]:
    """Acceleration, gyro and quaternion."""
    data = encode(sample)
    return data[:FRAME_BYTES], data[FRAME_BYTES : 2 * FRAME_BYTES], data[2 * FRAME_BYTES :]


@pytest.mark.parametrize("full_scale", FULL_SCALE.values())
def test_every_number_survives_its_unit(full_scale: float) -> None:
    assert all(to_raw(from_raw(raw, full_scale), full_scale) == raw for raw in range(-32768, 32768))


@pytest.mark.parametrize("full_scale", FULL_SCALE.values())
@given(share=st.floats(-4.0, 4.0))
def test_rounding_is_to_the_nearest_and_the_ends_saturate(full_scale: float, share: float) -> None:
    inside = max(-1.0, min(32767 / 32768, share)) * full_scale
    assert abs(from_raw(to_raw(share * full_scale, full_scale), full_scale) - inside) <= full_scale / 65536 * (1 + 1e-9)


@given(st.sampled_from(list(FrameType)), st.tuples(INT16, INT16, INT16, INT16))
def test_a_frame_survives_the_wire(kind: FrameType, raws: Raws) -> None:
    frame = encode_frame(kind, raws)
    assert len(frame) == FRAME_BYTES
    assert decode_frame(frame) == (kind, raws)


def test_no_frame_survives_a_wrong_byte() -> None:
    for frame in frames(SAMPLES[0]):
        for at in range(FRAME_BYTES):
            for wrong in set(range(256)) - {frame[at]}:
                assert decode_frame(frame[:at] + bytes((wrong,)) + frame[at + 1 :]) is None
        assert decode_frame(frame[:-1]) is None


@pytest.mark.parametrize(("kind", "raws"), [(256, (0, 0, 0, 0)), (0x51, (0, 0, 0)), (0x51, (0, 0, 0, 32768)), (0x51, (-32769, 0, 0, 0))])
def test_what_fits_no_frame_is_refused(kind: int, raws: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="32767"):
        encode_frame(kind, raws)


# By hand, from the formulas and the checksum of the manual.
@pytest.mark.parametrize(
    ("frame", "units"),
    [
        ("55 51 00 00 00 00 00 08 C4 09 7B", (0.0, 0.0, 1.0)),
        ("55 52 00 20 00 C0 00 00 00 00 87", (math.radians(500.0), math.radians(-1000.0), 0.0)),
        ("55 53 00 40 00 E0 00 00 D2 04 9E", (math.pi / 2, -math.pi / 4, 0.0)),
        ("55 59 FF 7F 00 00 00 00 00 00 2C", (32767 / 32768, 0.0, 0.0)),
    ],
)
def test_units_are_those_of_the_manual(frame: str, units: tuple[float, float, float]) -> None:
    decoded = decode_frame(bytes.fromhex(frame))
    assert decoded is not None
    kind, raws = decoded
    assert [from_raw(raw, FULL_SCALE[FrameType(kind)]) for raw in raws[:3]] == pytest.approx(list(units))


def test_commands_are_those_of_the_manual() -> None:
    # Unlock; content: bits 1 (0x51), 2 (0x52) and 9 (0x59); rate code 0x0B; save.
    assert [command.hex(" ") for command in configuration(200)] == ["ff aa 69 88 b5", "ff aa 02 06 02", "ff aa 03 0b 00", "ff aa 00 00 00"]
    assert len({configuration(rate)[2] for rate in RATES_HZ}) == len(RATES_HZ)
    with pytest.raises(UsageError, match="10, 20, 50, 100, 200"):
        configuration(125)


@given(st.integers(0, 2**32))
def test_a_sample_comes_back_rounded_and_rounding_is_done_once(seed: int) -> None:
    sample = random_sample(np.random.default_rng(seed))
    found = reported(sample)
    np.testing.assert_allclose(found.quaternion_wxyz, sample.quaternion_wxyz, atol=1 / 32768)
    np.testing.assert_allclose(found.angular_velocity_sensor_rad_s, sample.angular_velocity_sensor_rad_s, atol=math.radians(2000) / 65536)
    assert found.specific_force_sensor_g == pytest.approx(sample.specific_force_sensor_g, abs=16 / 65536)
    assert found.device_time_ns is None
    assert encode(found) == encode(sample)
    assert reported(found) == found


def test_the_scalar_is_sent_first() -> None:
    decoded = decode_frame(encode(ImuSample((0.1, 0.7, 0.1, 0.7), (0.0, 0.0, 0.0)))[-FRAME_BYTES:])
    assert decoded == (FrameType.QUATERNION, (3277, 22938, 3277, 22938))


@pytest.mark.parametrize("lost", range(3))
def test_a_lost_frame_costs_its_cycle_and_no_more(lost: int) -> None:
    cycles = [frames(sample) for sample in SAMPLES]
    cycles[1] = cycles[1][:lost] + cycles[1][lost + 1 :]  # type: ignore[assignment]
    parser = WitMotionParser()
    found = parser.feed(b"".join(frame for cycle in cycles for frame in cycle))
    expected = [reported(sample) for sample in SAMPLES]
    if lost == 0:
        # The acceleration is not needed.
        expected[1] = dataclasses.replace(expected[1], specific_force_sensor_g=None)
        assert (found, parser.statistics.unpaired) == (expected, 0)
    else:
        assert (found, parser.statistics.unpaired) == (expected[:1] + expected[2:], 1)


def test_a_quaternion_never_meets_an_older_gyro_frame() -> None:
    (old_acceleration, gyro, quaternion), (acceleration, new_gyro, new_quaternion), *_ = (frames(sample) for sample in SAMPLES)
    alone = [
        quaternion,
        gyro + acceleration + new_quaternion,
        gyro + new_gyro[:-1] + new_quaternion,
        gyro + quaternion[:5] + new_quaternion,
        gyro + b"\x00" + quaternion,
        quaternion + gyro,
    ]
    for data in alone:
        assert WitMotionParser().feed(data) == [], data.hex(" ")
    # A newer gyro frame begins a new cycle.
    (found,) = WitMotionParser().feed(old_acceleration + gyro + new_gyro + new_quaternion)
    assert found == dataclasses.replace(reported(SAMPLES[1]), specific_force_sensor_g=None)
    # A gyro frame is used once.
    assert len(WitMotionParser().feed(gyro + quaternion + quaternion)) == 1


def test_other_frames_of_the_cycle_and_answers_in_between_do_no_harm() -> None:
    acceleration, gyro, quaternion = frames(SAMPLES[0])
    others = {kind: encode_frame(kind, (1, 2, 3, 4)) for kind in FrameType}
    cycle = others[FrameType.TIME] + acceleration + gyro + others[FrameType.ANGLE] + others[FrameType.REGISTERS] + quaternion
    cycle += others[FrameType.SATELLITES]
    parser = WitMotionParser()
    assert parser.feed(2 * cycle) == 2 * [reported(SAMPLES[0])]
    assert (parser.statistics.skipped_bytes, parser.statistics.unpaired) == (0, 0)


def test_what_two_wrong_bits_can_do() -> None:
    """The sum misses two flips that cancel; of gyro frames nothing else is known, of quaternions the norm is."""
    data = encode(SAMPLES[2])[FRAME_BYTES:]
    truth = WitMotionParser().feed(data)
    wrong_gyro = wrong_quaternion = pairs = 0
    for one in range(8 * len(data)):
        for other in range(one):
            flipped = bytearray(data)
            flipped[one // 8] ^= 1 << one % 8
            flipped[other // 8] ^= 1 << other % 8
            pairs += 1
            for found in WitMotionParser().feed(bytes(flipped)):
                wrong_gyro += found.angular_velocity_sensor_rad_s != truth[0].angular_velocity_sensor_rad_s
                wrong_quaternion += found.quaternion_wxyz != truth[0].quaternion_wxyz
    assert pairs == 15400
    # 1% of all pairs change a gyro frame unseen; the norm halves that of quaternions.
    assert 0.008 < wrong_gyro / pairs < 0.012
    assert 0.003 < wrong_quaternion / pairs < 0.006
