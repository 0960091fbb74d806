"""A secret never prints itself."""

import copy
import json
import logging
import pickle
import traceback
from itertools import count

import msgspec
import pytest

from webhookd.config.model import EndpointSettings, SourceSettings
from webhookd.config.value import shown
from webhookd.core.endpoint import EndpointSpec
from webhookd.core.secret import Secret
from webhookd.core.signature import HmacKey
from webhookd.providers.provider import Credentials
from webhookd.providers.standard import Standard
from webhookd.providers.stripe import Stripe

CANARY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SECRET = Secret(CANARY)


def test_only_asking_for_it_reveals_a_secret() -> None:
    assert SECRET.reveal() == CANARY


@pytest.mark.parametrize(
    "printed",
    [
        repr(SECRET),
        str(SECRET),
        f"{SECRET}",
        "%s" % SECRET,  # noqa: UP031
        "{}".format(SECRET),  # noqa: UP032
        repr([SECRET]),
        repr({"secret": SECRET}),
        repr((SECRET,)),
        repr(SourceSettings("stripe", (SECRET,))),
        repr(EndpointSettings("https://shop.example/", SECRET)),
        repr(EndpointSpec("shop", "https://shop.example/", SECRET)),
        repr(Stripe(Credentials([SECRET]))),
        repr(vars(Stripe(Credentials([SECRET])))),
        repr(vars(Standard(Credentials([SECRET])))),
        repr(HmacKey(CANARY.encode())),
        json.dumps({"secret": SECRET}, default=str),
        repr(shown(SourceSettings("stripe", (SECRET,)))),
    ],
    ids=count(),
)
def test_a_secret_is_in_nothing_that_is_printed(printed: str) -> None:
    assert CANARY not in printed
    assert CANARY[6:] not in printed


def test_a_secret_is_not_in_the_traceback_of_an_error_that_met_it() -> None:
    def use(secret: Secret) -> None:
        raise RuntimeError(f"cannot use {secret}")

    try:
        use(SECRET)
    except RuntimeError as error:
        lines = traceback.TracebackException.from_exception(error, capture_locals=True).format()
        assert CANARY not in "".join(lines)


def test_a_secret_is_not_in_a_log_line(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("test").warning("using %s and %r", SECRET, SECRET)
    assert CANARY not in caplog.text


@pytest.mark.parametrize("encode", [msgspec.json.encode, msgspec.msgpack.encode, msgspec.to_builtins])
def test_a_secret_cannot_be_serialised_by_mistake(encode: object) -> None:
    with pytest.raises(TypeError) as refused:
        encode({"secret": SECRET})  # type: ignore[operator]
    assert CANARY not in str(refused.value)


def test_a_secret_is_shown_as_stars_or_as_where_it_came_from() -> None:
    assert SECRET.shown == "********"
    assert Secret(CANARY, "env:STRIPE_SECRET").shown == "env:STRIPE_SECRET"


def test_secrets_are_equal_when_their_text_is() -> None:
    assert Secret(CANARY) == Secret(CANARY, "env:X")
    assert hash(Secret(CANARY)) == hash(Secret(CANARY, "env:X"))
    assert Secret(CANARY) != Secret(CANARY + "x")
    assert Secret(CANARY) != CANARY


def test_secrets_beyond_ascii_can_be_compared() -> None:
    assert Secret("gehëim") == Secret("gehëim")
    assert Secret("gehëim") != Secret("geheim")


def test_a_copy_of_a_secret_is_as_silent() -> None:
    assert CANARY not in repr(copy.deepcopy(SECRET))
    assert pickle.loads(pickle.dumps(SECRET)) == SECRET
