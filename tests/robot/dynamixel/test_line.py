"""What a burst is taken apart into, whatever happened to it on the way: pure, so that every case can be swept."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot.dynamixel import codec
from robot.dynamixel.fast_frames import BurstParser, crc_table
from robot.dynamixel.line import salvage
from robot.dynamixel.timing import CycleTiming

ORDER = (3, 1, 7, 200)
SIZE = 10


def answer(motor: int, seed: int = 0, error: int = 0, *, alert: bool = False) -> bytes:
    data = np.random.default_rng([seed, motor]).integers(0, 256, SIZE, np.uint8).tobytes()
    return codec.encode_status(motor, error, data if not error else b"", alert=alert)


def burst(seed: int = 0) -> bytes:
    return b"".join(answer(motor, seed) for motor in ORDER)


@given(st.binary(min_size=1, max_size=60))
def test_the_table_of_places_gives_the_crc(message: bytes) -> None:
    table = crc_table(len(message))
    assert int(np.bitwise_xor.reduce(table[np.arange(len(message)), list(message)])) == codec.crc16(message)


@given(seed=st.integers(0, 1000), alerting=st.sets(st.sampled_from(ORDER)))
def test_a_perfect_burst_is_parsed_at_once_and_by_hand_alike(seed: int, alerting: set[int]) -> None:
    buffer = b"".join(answer(motor, seed, alert=motor in alerting) for motor in ORDER)
    found = salvage(buffer, ORDER, SIZE, ended=True)
    assert [status.id for status in found.answers] == list(ORDER)
    assert (found.strays, found.ordered, found.left_bytes) == (0, True, 0)
    parsed = BurstParser(ORDER, SIZE).parse(buffer)
    if len(buffer) == len(ORDER) * (11 + SIZE):
        assert parsed is not None
        assert [bytes(row) for row in parsed.data] == [status.data for status in found.answers]
        assert parsed.alert.tolist() == [motor in alerting for motor in ORDER] == [status.alert for status in found.answers]


def test_every_single_bit_error_costs_at_most_its_own_frame_and_never_a_wrong_value() -> None:
    buffer, size = burst(), 11 + SIZE
    right = {status.id: status.data for status in salvage(buffer, ORDER, SIZE, ended=True).answers}
    parser = BurstParser(ORDER, SIZE)
    for bit in range(len(buffer) * 8):
        damaged = bytearray(buffer)
        damaged[bit // 8] ^= 1 << bit % 8
        assert parser.parse(bytes(damaged)) is None
        found = salvage(bytes(damaged), ORDER, SIZE, ended=True)
        hit = ORDER[bit // 8 // size]
        assert {status.id: status.data for status in found.answers} == {motor: right[motor] for motor in ORDER if motor != hit}


@given(missing=st.sets(st.sampled_from(ORDER)), noise=st.binary(max_size=20))
def test_whoever_answered_is_taken_and_noise_is_not(missing: set[int], noise: bytes) -> None:
    buffer = noise + b"".join(answer(motor) for motor in ORDER if motor not in missing)
    found = salvage(buffer, ORDER, SIZE, ended=True)
    assert [status.id for status in found.answers] == [motor for motor in ORDER if motor not in missing]


@pytest.mark.parametrize("order", [(3, 3, 1), (1, 3), (3, 7, 1), (3, 1, 7, 200, 3)])
def test_answers_that_come_twice_or_out_of_order_make_the_whole_burst_unbelieved(order: tuple[int, ...]) -> None:
    found = salvage(b"".join(answer(motor, seed) for seed, motor in enumerate(order)), ORDER, SIZE, ended=True)
    assert found.answers == ()
    assert not found.ordered


def test_the_same_answer_twice_is_one_and_two_that_differ_are_none() -> None:
    twice = b"".join(answer(motor, 0) for motor in (3, 1, 1, 7, 200))
    found = salvage(twice, ORDER, SIZE, ended=True)
    assert ([status.id for status in found.answers], found.strays, found.ordered) == ([3, 1, 7, 200], 1, True)
    for_another = answer(3) + answer(1, 5) + answer(1) + answer(200)
    assert not salvage(for_another, ORDER, SIZE, ended=True).ordered


def test_frames_of_others_refusals_and_other_sizes_are_strays() -> None:
    buffer = answer(9) + codec.encode_status(3, 0, b"12") + answer(1) + answer(7, error=2) + codec.ping(200)
    found = salvage(buffer, ORDER, SIZE, ended=True)
    assert [status.id for status in found.answers] == [1]
    assert found.strays == 4


def test_wrong_are_answers_under_a_right_checksum_that_nobody_who_was_asked_can_have_given() -> None:
    foreign, short, twice = answer(9), codec.encode_status(7, 0, b"12"), answer(7, 5)
    refused, late = answer(200, error=2), answer(1) + answer(3)
    cases = {burst(): 0, foreign: 1, short: 1, burst() + twice: 1, refused: 0, late: 0, foreign + short + burst() + twice: 3}
    for buffer, wrong in cases.items():
        assert salvage(buffer, ORDER, SIZE, ended=True).wrong == wrong
    # Where the late answer to another request came, all may be late; two answers to two requests are as good as one.
    assert salvage(foreign + short + twice + burst(), ORDER, SIZE, ended=True, sizes={2}).wrong == 0
    assert salvage(burst() + twice, ORDER, SIZE, ended=True, again=True).wrong == 0


@given(seed=st.integers(0, 10_000), share=st.sampled_from((0.005, 0.01, 0.1, 0.5)))
def test_noise_makes_no_wrong_answer(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    buffer = np.frombuffer(burst(seed), np.uint8)
    hit = rng.random(len(buffer)) < share
    damaged = np.where(hit, buffer ^ rng.integers(1, 256, len(buffer), np.uint8), buffer).astype(np.uint8).tobytes()
    assert salvage(damaged, ORDER, SIZE, ended=True).wrong == 0


@given(cut=st.integers(0, 4 * (11 + SIZE)))
def test_a_burst_that_is_cut_off_gives_its_whole_frames(cut: int) -> None:
    buffer = burst()[:cut]
    found = salvage(buffer, ORDER, SIZE, ended=False)
    assert len(found.answers) == cut // (11 + SIZE)
    assert found.left_bytes <= max(3, cut % (11 + SIZE))


@given(st.binary(max_size=300))
def test_nothing_is_taken_out_of_noise(noise: bytes) -> None:
    salvage(noise, ORDER, SIZE, ended=True)
    assert BurstParser(ORDER, SIZE).parse(noise) is None


@pytest.mark.parametrize(
    ("motors", "baud", "sync_ms", "fast_ms"),
    [
        (8, 57_600, 42.4, 34.0),
        (8, 1_000_000, 2.44, 1.96),
        (9, 4_000_000, 0.68, 0.54),
        (12, 1_000_000, 3.52, 2.76),
        (12, 2_000_000, 1.76, 1.38),
    ],
)
def test_the_formula_counts_the_bytes_that_the_codec_makes(motors: int, baud: int, sync_ms: float, fast_ms: float) -> None:
    ids = range(1, motors + 1)
    plain, fast = (CycleTiming(motors, baud, fast=kind) for kind in (False, True))
    assert plain.request_bytes == len(codec.sync_write(116, {motor: bytes(4) for motor in ids})) + len(codec.sync_read(list(ids), 126, 10))
    assert plain.reply_bytes == sum(len(codec.encode_status(motor, 0, bytes(10))) for motor in ids)
    assert fast.reply_bytes == len(codec.encode_fast_status([codec.Status(motor, 0, False, bytes(10)) for motor in ids]))
    assert plain.wire_s * 1e3 == pytest.approx(sync_ms, abs=0.06)
    assert fast.wire_s * 1e3 == pytest.approx(fast_ms, abs=0.06)
    assert CycleTiming(motors, baud, return_delay_raw=250).wire_s - plain.wire_s == pytest.approx(motors * 500e-6)
