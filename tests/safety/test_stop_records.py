"""Laws of the stop board's bytes: a layout that is its version's, texts that are cut and never refused, torn ones that show."""

from __future__ import annotations

import math
import multiprocessing
from mmap import mmap
from multiprocessing.sharedctypes import Synchronized

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safety import stop_records as layout
from safety.stop_records import StopLevel

pytestmark = pytest.mark.realtime


def test_the_layout_is_the_one_of_its_version():
    """Whoever changes a number here changes the version in MAGIC: a process of another version must not read this board."""
    assert layout.MAGIC.to_bytes(8, "big") == b"FLSTOP\x00\x01"
    places = {name: getattr(layout, f"{name}_AT") for name in ("MAGIC", "TRIPPED", "CLEARED", "PID", "DEADLINE", "TIMEOUT", "LEVEL")}
    assert places == {"MAGIC": 0, "TRIPPED": 64, "CLEARED": 320, "PID": 576, "DEADLINE": 640, "TIMEOUT": 704, "LEVEL": 768}
    assert (layout.SINCE_AT, layout.CHALLENGE_AT, layout.NAME_AT) == (832, 896, 960)
    assert (layout.LAST_CLEAR_AT, layout.DETAIL_AT, layout.BOARD_BYTES) == (1280, 1360, 4096)
    assert (layout.CELLS, layout.COUNTS.size, layout.WORD.size, layout.TIME.size) == (32, 256, 8, 8)
    assert [layout.detail_at(cell) for cell in (0, 1, 31)] == [1360, 1440, 1360 + 31 * 80]
    assert layout.detail_at(layout.CELLS) <= layout.BOARD_BYTES
    assert (layout.SLOT_LOCK, layout.ENDPOINT_LOCK, layout.REGISTER_LOCK) == (0, 100, 200)


def memory() -> mmap:
    return mmap(-1, layout.BOARD_BYTES)


@given(st.integers(0, 2**64 - 1), st.floats(), st.text(max_size=100), st.integers(0, layout.CELLS - 1))
def test_a_detail_is_read_as_it_was_written(number, stamp_s, text, cell):
    board, at = memory(), layout.detail_at(cell)
    detail = layout.pack_detail(number, stamp_s, text)
    board[at : at + len(detail)] = detail
    found = layout.unpack_detail(board, at)
    assert found is not None
    assert (found[0], math.isnan(found[1]) if math.isnan(stamp_s) else found[1] == stamp_s) == (number, True)
    assert layout.printable(text).startswith(found[2])
    assert len(found[2].encode()) <= layout.SOURCE_BYTES
    # As much as there is room for: less than one letter is missing.
    assert found[2] == layout.printable(text) or len(found[2].encode()) > layout.SOURCE_BYTES - 4


@given(st.integers(0, 75), st.integers(0, 7))
def test_a_single_wrong_bit_shows(byte, bit):
    board = memory()
    detail = bytearray(layout.pack_detail(7, 1.5, "x" * 60))
    detail[byte] ^= 1 << bit
    board[: len(detail)] = bytes(detail)
    assert layout.unpack_detail(board, 0) is None


def test_an_empty_page_holds_no_detail():
    assert layout.unpack_detail(memory(), layout.DETAIL_AT) is None


@pytest.mark.parametrize(("text", "shown"), [(" two\n lines\t", "two lines"), ("bell\a", "bell?"), ("\x00", "?"), ("ä ß", "ä ß")])
def test_a_text_is_shown_on_one_line(text, shown):
    assert layout.printable(text) == shown


def endpoint(board: mmap, index: int, pid: int, deadline_s: float, timeout_s: float) -> None:
    layout.WORD.pack_into(board, layout.PID_AT + 8 * index, pid)
    layout.TIME.pack_into(board, layout.DEADLINE_AT + 8 * index, deadline_s)
    layout.TIME.pack_into(board, layout.TIMEOUT_AT + 8 * index, timeout_s)
    layout.TIME.pack_into(board, layout.SINCE_AT + 8 * index, 3.0 + index)
    layout.WORD.pack_into(board, layout.LEVEL_AT + 8 * index, StopLevel(4 - index % 4))
    at = layout.NAME_AT + layout.NAME_BYTES * index
    board[at : at + 2] = f"e{index}".encode()


@pytest.mark.parametrize("index", [0, 1, layout.ENDPOINTS - 1])
def test_an_endpoint_is_silent_from_behind_its_deadline_and_from_two_timeouts_before_it(index):
    board = memory()
    assert layout.registered_places(board) == []
    endpoint(board, index, 4321, 10.0, 2.0)
    assert layout.registered_places(board) == [index]
    for now_s, silent in ((10.0, False), (math.nextafter(10.0, 11.0), True), (6.0, False), (5.999, True), (math.nan, True)):
        assert layout.silent_places(board, now_s) == (((index, 10.0),) if silent else ())
    endpoint(board, index, 0, 10.0, 2.0)
    assert layout.silent_places(board, 11.0) == ()


def test_the_last_place_is_one_of_an_endpoint():
    board = memory()
    for index in range(layout.ENDPOINTS):
        endpoint(board, index, index + 1, float(index), 1.0 + index)
    assert layout.registered_places(board) == list(range(8))
    assert layout.silent_places(board, 100.0) == tuple((index, float(index)) for index in range(8))
    for index in range(layout.ENDPOINTS):
        found = layout.endpoint_of(board, index)
        assert (found.name, found.pid, found.level) == (f"e{index}", index + 1, 4 - index % 4)
        assert (found.timeout_s, found.since_s, found.deadline_s) == (1.0 + index, 3.0 + index, float(index))


def test_silence_is_a_trip_since_the_deadline_and_since_the_registration_before_the_first_check_in():
    board = memory()
    endpoint(board, 0, 1, 10.0, 2.0)
    assert layout.endpoint_of(board, 0).cause() == layout.Trip(StopLevel.TERMINATE, 10.0, "e0 is silent")
    endpoint(board, 0, 1, -math.inf, 2.0)
    assert layout.endpoint_of(board, 0).cause() == layout.Trip(StopLevel.TERMINATE, 3.0, "e0 has not checked in")


def store_for(board: mmap, values: tuple[int, ...], done: Synchronized[int]) -> None:
    for _ in range(20_000):
        for value in values:
            layout.put_word(board, 64, value)
    done.value = 1


def test_a_word_is_stored_at_once() -> None:
    # Each has bytes that the other has not: nothing else may be seen, 0 least of all.
    values = (0x0102030405060708, 0xF0E0D0C0B0A09080)
    board = mmap(-1, layout.BOARD_BYTES)
    layout.put_word(board, 64, values[0])
    context = multiprocessing.get_context("fork")
    done = context.Value("i", 0)
    writer = context.Process(target=store_for, args=(board, values, done))
    writer.start()
    seen = set()
    while not done.value:
        seen |= {layout.WORD.unpack_from(board, 64)[0] for _ in range(1000)}
    writer.join()
    assert seen <= set(values)


@given(st.floats(allow_nan=False))
def test_a_time_is_stored_as_it_is(seconds: float) -> None:
    board = mmap(-1, layout.BOARD_BYTES)
    layout.put_time(board, 64, seconds)
    assert layout.TIME.unpack_from(board, 64) == (seconds,)
    layout.put_word(board, 72, 2**64 - 1)
    assert layout.WORD.unpack_from(board, 72) == (2**64 - 1,)
