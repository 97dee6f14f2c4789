"""What holds for the stream of every kind of IMU: noise, cuts and the sizes of reads change nothing but what they touch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot.imu import DEVICES, ImuSample, Kind
from robot.imu.devices import SampleParser
from tests.robot.imu.motions import random_sample

KINDS = list(DEVICES)


def stream(kind: Kind, count: int, seed: int = 0) -> tuple[list[bytes], list[ImuSample]]:
    """The bytes of some samples, and the samples as the device rounds them."""
    rng = np.random.default_rng(seed)
    pieces = [DEVICES[kind].encode(random_sample(rng)) for _ in range(count)]
    return pieces, [DEVICES[kind].parser().feed(piece)[0] for piece in pieces]


def content(sample: ImuSample) -> tuple[object, ...]:
    """What a sample is used for; a WT901's acceleration may be lost without the rest."""
    return sample.quaternion_wxyz, sample.angular_velocity_sensor_rad_s, sample.device_time_ns


def contents(samples: list[ImuSample]) -> list[tuple[object, ...]]:
    return [content(sample) for sample in samples]


def held_bytes(parser: SampleParser) -> int:
    return len(parser._scanner._buffer)  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_how_the_bytes_are_cut_into_reads_does_not_matter(kind: Kind, data: st.DataObject) -> None:
    pieces, _ = stream(kind, 4)
    noise = data.draw(st.lists(st.binary(max_size=40), min_size=4, max_size=4))
    whole = b"".join(before + piece for before, piece in zip(noise, pieces, strict=True))
    at_once, in_parts = DEVICES[kind].parser(), DEVICES[kind].parser()
    expected = at_once.feed(whole)
    found, rest = [], whole
    while rest:
        size = data.draw(st.integers(1, 50))
        found += in_parts.feed(rest[:size])
        rest = rest[size:]
    assert found == expected
    assert in_parts.statistics == at_once.statistics
    assert in_parts.statistics.samples == len(found)


@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_is_there_with_its_last_byte(kind: Kind) -> None:
    pieces, samples = stream(kind, 3)
    # A cut piece in front looks like the beginning of a frame and must not hold the next one back.
    parser = DEVICES[kind].parser()
    parser.feed(pieces[0][: len(pieces[0]) // 3])
    for piece, sample in zip(pieces[1:], samples[1:], strict=True):
        assert parser.feed(piece[:-1]) == []
        assert parser.feed(piece[-1:]) == [sample]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_lost_and_nothing_invented_between_random_bytes(kind: Kind) -> None:
    rng = np.random.default_rng(11)
    pieces, samples = stream(kind, 500)
    noise = [rng.bytes(200) for _ in pieces]
    parser = DEVICES[kind].parser()
    found = parser.feed(b"".join(before + piece for before, piece in zip(noise, pieces, strict=True)))
    assert found == samples
    seen = parser.statistics
    assert (seen.samples, seen.skipped_bytes, seen.bad_content) == (500, 100_000, 0)
    # The sum of a WT901 lets about 0.07 random frames through in 100,000 bytes; none here.
    assert seen.resyncs == 500


@pytest.mark.parametrize("kind", KINDS)
def test_random_bytes_alone_make_no_sample(kind: Kind) -> None:
    # Dense in the bytes that frames begin with, so that every check is put to work.
    rng = np.random.default_rng(12)
    likely = np.frombuffer(bytes.fromhex("55 52 59 51 FA 01 31 00"), np.uint8)
    noise = np.where(rng.random(300_000) < 0.7, rng.choice(likely, 300_000), rng.integers(256, size=300_000)).astype(np.uint8)
    parser = DEVICES[kind].parser()
    assert parser.feed(noise.tobytes()) == []
    assert parser.statistics.bad_checksums > 10


@pytest.mark.parametrize("kind", KINDS)
def test_a_lost_piece_costs_what_it_touches(kind: Kind) -> None:
    """Every place and every length below that of a sample."""
    pieces, samples = stream(kind, 4)
    whole, size = b"".join(pieces), len(pieces[0])
    truth = contents(samples)
    for start in range(size, 2 * size):
        for lost in range(1, size):
            found = contents(DEVICES[kind].parser().feed(whole[:start] + whole[start + lost :]))
            touched = {start // size, (start + lost - 1) // size}
            whole_ones = [sample for number, sample in enumerate(truth) if number not in touched]
            assert [sample for sample in found if sample in whole_ones] == whole_ones, (start, lost)
            # A WT901's cycle is whole without its acceleration; nothing else may appear.
            assert all(sample in truth for sample in found), (start, lost)


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_bit_costs_what_it_touches(kind: Kind) -> None:
    pieces, samples = stream(kind, 3, seed=3)
    whole, size = b"".join(pieces), len(pieces[0])
    truth = contents(samples)
    for bit in range(8 * size, 16 * size):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        parser = DEVICES[kind].parser()
        found = contents(parser.feed(bytes(flipped)))
        assert found in ([truth[0], truth[2]], truth), bit
        assert parser.statistics.skipped_bytes > 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("filler", [b"\x00", b"\x55", b"\x55\x52", b"\xfa", b"\xfa\x01\x31\x00"])
def test_less_than_a_frame_is_kept(kind: Kind, filler: bytes) -> None:
    pieces, samples = stream(kind, 1)
    parser = DEVICES[kind].parser()
    for _ in range(20):
        parser.feed(filler * 1000)
        assert held_bytes(parser) < len(pieces[0])
    # What is kept may be noise that looks like the beginning of a frame; the frame behind it is found all the same.
    assert parser.feed(pieces[0])[-1:] == samples
