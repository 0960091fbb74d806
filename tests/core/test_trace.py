"""What is taken for a place in a trace: by W3C Trace Context, and nothing else."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace import TraceState, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.trace.span import Span

from webhookd.core.trace import Trace, kept_trace, parse_trace

GOOD = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
IDS = st.integers(min_value=1, max_value=2**128 - 1), st.integers(min_value=1, max_value=2**64 - 1)


def test_the_example_of_the_standard_is_understood():
    trace = parse_trace(GOOD, "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7")
    state = "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"
    assert trace == Trace(0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x00F067AA0BA902B7, True, state)
    assert trace.headers == {"traceparent": GOOD, "tracestate": state}


@pytest.mark.parametrize(
    "parent",
    [
        "",
        GOOD.upper(),
        GOOD + "-more",
        GOOD + "\n",
        " " + GOOD,
        "ff" + GOOD[2:],
        GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32),
        GOOD.replace("00f067aa0ba902b7", "0" * 16),
        GOOD[:-1],
        GOOD.replace("-", "_"),
        GOOD.replace("4", "٤"),
        "cc" + GOOD[2:] + "more",
    ],
)
def test_what_is_no_traceparent_is_none(parent: str):
    assert parse_trace(parent) is None


def test_of_a_later_version_what_is_known_is_taken():
    assert parse_trace("cc" + GOOD[2:] + "-what-will-be") == parse_trace(GOOD)


@pytest.mark.parametrize(
    "state",
    [
        "no member",
        "a=1,a=2",
        "A=1",
        "a=" + "x" * 600,
        ",".join(f"k{n}=1" for n in range(33)),
        "a=é",
        "a=1\x00",
        "a=b=c",
    ],
)
def test_a_tracestate_that_is_none_is_left_out_and_the_trace_stays(state: str):
    assert parse_trace(GOOD, state) == parse_trace(GOOD)


@given(st.text())
def test_nothing_that_anybody_sends_raises_or_gets_further_than_its_grammar(text: str):
    assert parse_trace(text) is None or re.fullmatch(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?", text)
    trace = parse_trace(GOOD, text)
    assert trace is not None
    assert trace.text.isprintable()
    assert len(trace.text) <= 55 + 1 + 512
    assert trace.text.isascii()


@given(st.from_regex(r"\A[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-[a-z]*)?\Z"))
def test_it_reads_as_opentelemetry_reads(text: str):
    theirs: Span = get_current_span(TraceContextTextMapPropagator().extract({"traceparent": text}))
    context = theirs.get_span_context()
    ours = parse_trace(text)
    assert (ours is not None) == context.is_valid
    if ours is not None:
        assert (ours.trace_id, ours.span_id) == (context.trace_id, context.span_id)
        assert ours.is_sampled == context.trace_flags.sampled


@given(*IDS, st.booleans(), st.sampled_from(["", "a=1", "a=1,b@c=two words"]))
def test_what_the_log_keeps_is_what_was_said(trace_id: int, span_id: int, is_sampled: bool, state: str):
    trace = Trace(trace_id, span_id, is_sampled, state)
    assert kept_trace(trace.text) == trace
    assert TraceState.from_header([state]).to_header() == state
