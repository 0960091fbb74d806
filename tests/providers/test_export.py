"""What an object of an export stands for: the hook's bytes, and the id that its headers gave it."""

import hashlib
import json

import pytest

from webhookd.providers import PROVIDERS
from webhookd.providers.export import exported
from webhookd.providers.provider import NotUnderstoodError

DODO = b'{"type": "payment.succeeded",  "data": {}}'


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("raw", [b'{"id": "x",  "n": 1.0}', b"{}", b'{"headers": 5, "body": "x"}', b'{"headers": {}}'])
def test_an_object_is_the_body_as_it_stands(provider: str, raw: bytes):
    assert exported(provider, raw, 5).body == raw


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_kept_hook_is_its_own_body_and_headers(provider: str):
    raw = json.dumps({"headers": {"Webhook-ID": "msg_1", "X": "1"}, "body": '{"ä": 1}'}).encode()
    hook = exported(provider, raw, 5)
    assert (hook.body, hook.headers["webhook-id"], hook.received_at) == ('{"ä": 1}'.encode(), "msg_1", 5)


def test_a_message_of_svix_has_its_id_and_its_payload_as_it_stands():
    hook = exported("standard", b'{"id":"msg_1","eventType":"payment.succeeded","payload":' + DODO + b"}", 5)
    assert hook.body == DODO
    assert PROVIDERS["standard"].read(hook).provider_event_id == "msg_1"


def test_a_standard_event_without_its_id_has_that_of_its_bytes():
    reading = PROVIDERS["standard"].read(exported("standard", DODO, 5))
    assert reading.provider_event_id == f"sha256:{hashlib.sha256(DODO).hexdigest()}"


@pytest.mark.parametrize("raw", [b'{"id": 5, "payload": {"type": "a"}}', b'{"id": "msg_1", "payload": 7}'])
def test_what_is_no_message_is_not_taken_for_one(raw: bytes):
    with pytest.raises(NotUnderstoodError):
        PROVIDERS["standard"].read(exported("standard", raw, 5))
