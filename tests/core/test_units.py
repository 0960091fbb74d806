"""Durations and sizes as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhookd.core.units import MILLISECONDS_MAX, duration_exactly, duration_ms, duration_text, size_bytes


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("0s", 0),
        ("500ms", 500),
        ("5s", 5_000),
        ("10m", 600_000),
        ("2h", 7_200_000),
        ("3d", 259_200_000),
        ("366d", 366 * 86_400_000),
        (" 5s ", 5_000),
    ],
)
def test_a_duration_means_what_it_says(text: str, milliseconds: int) -> None:
    assert duration_ms(text) == milliseconds


@pytest.mark.parametrize(
    ("text", "size"),
    [("0B", 0), ("512B", 512), ("64KiB", 65_536), ("1MiB", 1_048_576), ("2GiB", 2**31), ("64KB", 64_000)],
)
def test_a_size_means_what_it_says(text: str, size: int) -> None:
    assert size_bytes(text) == size


def test_decimal_and_binary_sizes_are_not_confused() -> None:
    assert (size_bytes("1MB"), size_bytes("1MiB")) == (1_000_000, 1_048_576)
    assert (size_bytes("2GB"), size_bytes("2GiB")) == (2_000_000_000, 2_147_483_648)


BAD = ["", "5", "s", "-5s", "+5s", "5.5s", "5 s", "5S", "1e3s", "5s5", "1h30m", "٥s", "5\ns", "1" * 13 + "s", "0x5s"]


@pytest.mark.parametrize("text", [*BAD, "5w", "5min", "367d", "999999999999d"])
def test_a_duration_that_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not understood|longer than a year"):
        duration_ms(text)


@pytest.mark.parametrize("text", [*BAD, "5K", "5mib", "5KIB", "5MiB/s"])
def test_a_size_that_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not understood"):
        size_bytes(text)


def test_a_refusal_shows_how_to_write_it() -> None:
    with pytest.raises(ValueError, match=r"500ms.*5s.*10m.*2h.*3d"):
        duration_ms("five seconds")
    with pytest.raises(ValueError, match=r"64KiB.*1MiB"):
        size_bytes("lots")


@given(st.text(max_size=300))
def test_any_text_is_a_duration_or_refused_in_a_short_line(text: str) -> None:
    try:
        milliseconds = duration_ms(text)
    except ValueError as refused:
        milliseconds, reason = 0, str(refused)
    else:
        reason = ""
    assert 0 <= milliseconds <= 366 * 86_400_000
    assert len(reason) < 200


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "0ms"),
        (850, "850ms"),
        (1_000, "1s"),
        (61_000, "1m 1s"),
        (7_500_000, "2h 5m"),
        (7_505_000, "2h 5m"),
        (86_400_000, "1d"),
        (90_000_000, "1d 1h"),
    ],
)
def test_a_duration_is_shown_in_its_two_largest_units(milliseconds: int, text: str) -> None:
    assert duration_text(milliseconds) == text


@given(st.integers(0, MILLISECONDS_MAX))
def test_a_duration_that_is_written_exactly_is_read_as_the_same(ms: int) -> None:
    assert duration_ms(duration_exactly(ms)) == ms


@pytest.mark.parametrize("text", ["0s", "1ms", "500ms", "1500ms", "90s", "5m", "2h", "25h", "1d", "366d"])
def test_a_duration_is_written_exactly_in_its_largest_unit(text: str) -> None:
    assert duration_exactly(duration_ms(text)) == text
