"""A provider's export in all its forms, read as it comes."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhookd.cli import export_file
from webhookd.cli.export_file import ExportFile, Item, UnreadableError
from webhookd.cli.seen import Seen

ONE, TWO = b'{"id":"evt_1","type":"a"}', b'{"id":"evt_2", "type":"b", "data":[1]}'


def items(content: bytes, id_column: str | None = None) -> list[Item]:
    return list(ExportFile(io.BytesIO(content), id_column).items())


def raws(content: bytes) -> list[bytes | None]:
    found = items(content)
    assert not any(each.malformed for each in found)
    return [each.raw for each in found]


@pytest.mark.parametrize(
    "content",
    [
        ONE + b"\n" + TWO,
        ONE + b"\r\n\r\n  " + TWO + b" \n\n",
        b"\xef\xbb\xbf" + ONE + b"\n" + TWO,
        b"[" + ONE + b"," + TWO + b"]",
        b"[\n" + ONE + b",\n" + TWO + b"\n]\n",
        b'{"object":"list","data":[' + ONE + b",\n" + TWO + b"]}",
        b'{"events":[' + ONE + b"," + TWO + b'],"links":[]}',
        b'{"entity":"collection","items":[' + ONE + b"," + TWO + b"]}",
        b'{"data":[' + ONE + b"]}\n" + b'{"data":[' + TWO + b"]}",
    ],
    ids=["lines", "blank lines", "mark", "list", "long list", "stripe", "paypal", "razorpay", "pages"],
)
def test_the_events_of_a_file_come_byte_for_byte(content: bytes):
    assert raws(content) == [ONE, TWO]


def test_an_event_that_has_a_list_in_it_is_one_event():
    assert raws(TWO) == [TWO]
    flutterwave = b'{"event":"charge.completed","data":{"items":[{}]}}'
    assert raws(flutterwave) == [flutterwave]


def test_a_pretty_event_is_one_event():
    text = json.dumps(json.loads(ONE), indent=2).encode()
    assert raws(text) == [text]


def test_lines_that_are_none_are_named_and_the_rest_comes():
    found = items(ONE + b"\n{cut\n\n[1]\n5\n" + TWO + b"\n\xff\xfe\n")
    assert [(each.line, each.malformed) for each in found] == [
        *(
            (1, None),
            (2, "is no JSON"),
            (4, "is no JSON object"),
            (5, "is no JSON object"),
            (6, None),
            (7, "is no JSON"),
        )
    ]


def test_a_first_line_that_is_cut_does_not_hide_the_rest():
    found = items(b'{"id":"evt_0","ty\n' + ONE + b"\n" + TWO)
    assert [(each.line, each.malformed) for each in found] == [(1, "is no JSON"), (2, None), (3, None)]


def test_objects_over_several_lines_each_are_refused_as_a_whole():
    pretty = b"\n".join(json.dumps(json.loads(each), indent=2).encode() for each in (ONE, TWO))
    with pytest.raises(UnreadableError, match="jq -c"):
        items(pretty)


def test_an_empty_file_has_no_events():
    assert items(b"") == items(b"\n \n") == []


def test_a_line_is_read_when_its_turn_comes():
    class Endless(io.RawIOBase):
        lines = 0

        def readline(self, _size: int | None = -1) -> bytes:
            self.lines += 1
            return ONE + b"\n"

    file = Endless()
    events: Iterator[Item] = ExportFile(file).items()  # type: ignore[arg-type]
    for number in range(1, 1_000):
        assert next(events).line == number
        assert file.lines <= number + 1


@pytest.mark.parametrize("name", ["LINE_BYTES_MAX", "DOCUMENT_BYTES_MAX"])
def test_a_line_or_a_document_beyond_what_is_held_is_refused(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(export_file, name, 50)
    content = ONE.replace(b'"a"', b'"' + b"a" * 60 + b'"') if name == "LINE_BYTES_MAX" else b"[\n" + (ONE + b",\n") * 9
    with pytest.raises(UnreadableError, match="more than"):
        items(content)


# --- Tables


@pytest.mark.parametrize(
    ("head", "row"),
    [
        (b"id,type,created", b"evt_1,a,5"),
        (b"Created,Event ID,Event Type", b"5,evt_1,a"),
        (b'"ID" , "Type"', b"evt_1,a"),
        (b"\xef\xbb\xbfevent_id,event_type", b"evt_1,a"),
        (b"x,id,type", b'"two, ""cells""",evt_1,a'),
    ],
)
def test_the_columns_of_a_table_are_found_by_their_names(head: bytes, row: bytes):
    assert items(head + b"\r\n" + row + b"\r\n") == [Item(2, row={"id": "evt_1", "type": "a"})]


def test_the_column_of_ids_can_be_named():
    assert items(b"id,theirs\n1,evt_1\n", "Theirs") == [Item(2, row={"id": "evt_1"})]


def test_a_table_without_ids_is_refused():
    with pytest.raises(UnreadableError, match="--id-column"):
        items(b"name,amount\nx,1\n")
    with pytest.raises(UnreadableError, match="a column theirs"):
        items(b"id\nx\n", "theirs")


def test_a_row_without_an_id_is_named_and_the_rest_comes():
    found = items(b"id,type\n,a\n\nevt_1\n" + b"x" * 256 + b",b\n")
    assert [(each.line, each.malformed) for each in found] == [(2, "has no id"), (4, None), (5, "has no id")]


@given(st.binary(max_size=60) | st.text('{}[]",:idata0 \n', max_size=60).map(str.encode))
def test_whatever_a_file_holds_it_is_items_or_a_reason(content: bytes):
    try:
        found = items(content)
    except UnreadableError:
        return
    for each in found:
        assert [each.raw, each.row, each.malformed].count(None) == 2
        assert 1 <= each.line <= content.count(b"\n") + content.count(b"\r") + 1


# --- What was seen


@given(st.lists(st.integers(0, 2**63 - 1) | st.integers(0, 20), max_size=60), st.integers(1, 7))
def test_what_was_seen_comes_back_in_order_however_it_was_kept(keys: list[Any], run_keys_max: int):
    with Seen(run_keys_max) as seen:
        for key in keys:
            seen.add(key)
        assert list(seen.descending()) == sorted(keys, reverse=True)
