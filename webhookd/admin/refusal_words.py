"""Why a hook was refused, in words, and what to do about it: the likeliest first."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from webhookd.core.refusal import STALE_TIMESTAMP, UNKNOWN_SOURCE, WRONG_SIGNATURE


class Meaning(NamedTuple):
    text: str
    advice: Sequence[str] = ()


_PROXY = "See that a proxy in front passes the body on byte for byte, and every header: no rewriting, no unpacking."
_NOTHING_LOST = "Nothing is lost: who got this answer sends again, for as long as the provider does."
_NO_SENDER_OF_OURS = "No provider sends this. If it goes on, look at the address: a scanner, or a proxy set up wrongly."

MEANINGS: Mapping[str, Meaning] = {
    WRONG_SIGNATURE: Meaning(
        "It is signed with none of the secrets that are configured here, or its body was changed on its way.",
        (
            "Compare the secret: copy it again at the provider, and try it here on what was refused.",
            "See that it is the secret of this URL and of this mode: test and live have different ones.",
            _PROXY,
        ),
    ),
    STALE_TIMESTAMP: Meaning(
        "Its signature is right, and more than 5 minutes too old or too new.",
        (
            "Set this machine's clock: `timedatectl` says whether it is synchronised.",
            "See whether something in front holds hooks back and passes them on later.",
            "If it is one and the same hook again and again, somebody repeats what he has once seen: it does no harm.",
        ),
    ),
    "no_signature": Meaning(
        "It has no signature, or not all headers that belong to it.",
        (
            "See that the provider sends to the URL of its own source: another provider's hook is unsigned here.",
            "See that a signing secret is set at the provider, where setting one is optional.",
            _PROXY,
            "If nobody but strangers sends this, it is a scanner: it does no harm.",
        ),
    ),
    "malformed_signature": Meaning(
        "It has a signature that does not look like one.",
        (
            "See that the provider sends to the URL of its own source, and in the version that is configured.",
            _PROXY,
            "If nobody but strangers sends this, it is a scanner: it does no harm.",
        ),
    ),
    "wrong_algorithm": Meaning(
        "It says that it is signed with an algorithm which PayPal does not use, and which is refused.",
        ("PayPal signs with SHA256withRSA and nothing else: who sends another is not PayPal.",),
    ),
    "wrong_cert_url": Meaning(
        "It says that its certificate is somewhere other than at PayPal, so nothing was fetched.",
        ("PayPal's certificates are at api.paypal.com: this is a forgery, or a test that somebody made by hand.",),
    ),
    "untrusted_certificate": Meaning(
        "Its certificate is not PayPal's, is no longer good, or leads to no root that is trusted here.",
        (
            "See that the machine's own roots are up to date (the package ca-certificates), and its clock is right.",
            "Take `authorities` out of the source, if it is there: it replaces the public roots.",
        ),
    ),
    "trailing_bytes": Meaning(
        "Something follows the JSON of its body: so a body is forged that has the same checksum as PayPal's.",
        ("PayPal sends no such body: look at the address, and at what is between.", _PROXY),
    ),
    "no_json": Meaning(
        "Its body is no JSON, and PayPal cannot be asked about it.",
        ("PayPal sends no such body: look at the address, and at what is between.", _PROXY),
    ),
    "forged": Meaning(
        "It has the genuine signature of an earlier event, and another body.",
        (
            "Somebody who has seen a genuine hook makes another of it. The log (hooks_forged) names the genuine event.",
            "Look at who can see hooks on their way: the proxy, its logs, whoever can read them.",
        ),
    ),
    UNKNOWN_SOURCE: Meaning(
        "There is no source of this name.",
        ("Give the provider one of the URLs below, or configure a source of this name and reload.",),
    ),
    "too_many_bad_signatures": Meaning(
        "More than 30 bad signatures came from one address, and one a second since; a good one always passes.",
        (
            "What the first of them was refused for is told below: mend that.",
            "Behind a proxy all hooks come from one address. If they are strangers', let the proxy stop them.",
        ),
    ),
    "too_large": Meaning(
        "Its body is larger than is taken here.",
        ("Raise server.max_body and restart, if the provider sends so much.",),
    ),
    "content_encoding": Meaning(
        "Its body came compressed, and a signature is over the body as it is.",
        ("No provider compresses hooks: see that the proxy in front does not.",),
    ),
    "transfer_encoding": Meaning("It came in a transfer coding that is not chunked.", (_NO_SENDER_OF_OURS,)),
    "expectation": Meaning("It expects something other than 100-continue.", (_NO_SENDER_OF_OURS,)),
    "method": Meaning(
        "It was not a POST: somebody looked at the URL, or a proxy redirected to it.",
        (
            "Somebody's browser, or a provider's check of the URL: it does no harm.",
            "If hooks come like this, a redirect (http to https) made GETs of them: give the provider the https URL.",
        ),
    ),
    "slow_body": Meaning(
        "Its body took more than 10 s to arrive.",
        ("See the network in front, and whether the proxy waits for the whole body before it passes it on.",),
    ),
    "cut_short": Meaning(
        "Its sender went away before the body was here.",
        ("If it goes on, see the proxy's timeouts and limits.", _NOTHING_LOST),
    ),
    "malformed_body": Meaning("Its body was not framed as HTTP has it.", (_NO_SENDER_OF_OURS,)),
    "too_many_bodies": Meaning(
        "Too many bodies were arriving slowly at the same time.",
        (_NOTHING_LOST, "See whether the proxy waits for the whole body before it passes it on."),
    ),
    "overloaded": Meaning(
        "More came in than this machine takes; of a minute's refusals of this kind one is told here.",
        (
            _NOTHING_LOST,
            "See how many there are (webhookd_hooks_total) and what else uses the processor or the disk.",
            "If it comes again and again, this machine is too small for what comes in.",
        ),
    ),
    "gave_up": Meaning(
        "Its sender went away while it waited for its turn: more came in than this machine takes at once.",
        (_NOTHING_LOST, "See how long the proxy waits for an answer: 30 s is enough."),
    ),
    "cannot_verify": Meaning(
        "What PayPal's signature is checked with could not be fetched.",
        (
            _NOTHING_LOST,
            "See that this machine reaches api.paypal.com, and api-m.paypal.com for postback, over HTTPS.",
            "With postback: see that client_id and client_secret are those of the app, in the same mode.",
        ),
    ),
    "store_unavailable": Meaning(
        "It could not be stored in time: the disk is full, slow or hangs.",
        (_NOTHING_LOST, "See the free space (`df -h`) and how long a commit takes (webhookd_commit_seconds)."),
    ),
    "unready": Meaning(
        "The daemon was not ready: it was starting or stopping, or the disk was too full.",
        (_NOTHING_LOST, "If it lasts: `/readyz` and the overview say why."),
    ),
}
"""By the word of `webhookd_hooks_total`."""

OTHER = Meaning("It was refused for a reason that has no words here.", ("The log says more: `hooks_refused`.",))


def meaning(reason: str) -> Meaning:
    return MEANINGS.get(reason, OTHER)
