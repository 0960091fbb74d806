"""What is wrong with a source whose hooks are refused, and what to do about it in which order. Pure."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal, NamedTuple, cast

from webhookd.admin.door.texts import ProviderName
from webhookd.admin.provider_secrets import PROVIDER_SECRETS, ProviderSecret, sender_of
from webhookd.admin.refusal_words import meaning
from webhookd.admin.refusals import RefusalView
from webhookd.admin.sources import SourceView
from webhookd.core.refusal import STALE_TIMESTAMP, WRONG_SIGNATURE

State = Literal["refusing", "recovered", "quiet"]
"""Hooks are refused, and none was taken since; one was taken since; none was refused, as far as it is remembered."""
UNSIGNED = ("no_signature", "malformed_signature")


class Step(NamedTuple):
    text: str
    command: str | None = None
    does: Literal["try", "reload"] | None = None
    """What a button beside it does."""


class Diagnosis(NamedTuple):
    source: SourceView
    secret: ProviderSecret
    """Where its provider has it."""
    refusals: Sequence[RefusalView]
    """The newest first."""
    since_taken: Sequence[RefusalView]
    """Those of them that came after the last hook that was taken and new."""
    state: State
    reason: str | None
    """What most of them were refused for."""
    what: str
    steps: Sequence[Step]

    @property
    def reasons(self) -> Sequence[tuple[str, int, str]]:
        """Each with how many since the start, and what it means; the most frequent first."""
        found = sorted(self.source.reasons.items(), key=lambda each: (-each[1], each[0]))
        return [(reason, count, meaning(reason).text) for reason, count in found]

    @property
    def is_urgent(self) -> bool:
        """What bears a signature is refused, and nothing was taken since. Who knocks at every door bears none."""
        urgent = (WRONG_SIGNATURE, STALE_TIMESTAMP)
        return self.state == "refusing" and any(each.reason in urgent for each in self.since_taken)

    @property
    def can_try(self) -> bool:
        return any(each.reason == WRONG_SIGNATURE for each in self.refusals)


def diagnosed(source: SourceView, sources: Sequence[SourceView], refusals: Sequence[RefusalView]) -> Diagnosis:
    """`sources` are all of them; of `refusals`, the newest first, the source's own count."""
    refusals = [each for each in refusals if each.source == source.name]
    taken_at = source.last_event_at or ""
    since = [each for each in refusals if each.at > taken_at]  # both are RFC 3339 in UTC, to the millisecond
    state: State = "refusing" if since else "recovered" if refusals else "quiet"
    reasons = Counter(each.reason for each in since or refusals)
    reason = max(reasons, key=lambda each: reasons[each]) if reasons else None
    secret = PROVIDER_SECRETS[cast(ProviderName, source.provider)]
    steps = [] if reason is None else _steps(source, secret, reason, since or refusals, sources)
    what = _what(source, secret, reason)
    return Diagnosis(source, secret, refusals, since, state, reason, what, steps)


def _what(source: SourceView, secret: ProviderSecret, reason: str | None) -> str:
    if reason is None:
        return "Nothing of it was refused since the start."
    if reason != WRONG_SIGNATURE:
        return meaning(reason).text
    count = len(source.secrets)
    if secret.setting == "webhook_id":
        return "They are not signed for the webhook id that is configured here, or their body was changed on its way."
    configured = "the secret that is" if count == 1 else f"any of the {count} secrets that are"
    return f"They are not signed with {configured} configured here, or their body was changed on its way."


def _steps(
    source: SourceView,
    secret: ProviderSecret,
    reason: str,
    refusals: Sequence[RefusalView],
    sources: Sequence[SourceView],
) -> Sequence[Step]:
    if reason == WRONG_SIGNATURE:
        return [
            Step(f"Copy the {secret.what}. {secret.where}."),
            Step("Try it on what was refused:", does="try"),
            *_to_configure(source, secret),
            *(Step(text) for text in secret.trips),
            *(Step(text) for text in meaning(reason).advice[2:]),
        ]
    steps = [Step(text) for text in meaning(reason).advice]
    if reason == STALE_TIMESTAMP:
        return [Step("Set this machine's clock, if it is wrong:", "timedatectl"), *steps[1:]]
    if reason in UNSIGNED:
        return [*_on_wrong_address(source, refusals, sources), *steps]
    return steps


def _to_configure(source: SourceView, secret: ProviderSecret) -> Sequence[Step]:
    """Where it goes, by where the one is that is configured now."""
    where = source.secrets[0] if source.secrets else ""
    kind, colon, name = where.partition(":")
    setting = f"[sources.{source.name}] {secret.setting}"
    if colon and kind == "env":
        return [
            Step(f"Set {name} ({setting}) where the daemon's environment is from; a running one keeps what it has:"),
            Step("Start it again:", "systemctl restart webhookd"),
        ]
    if colon and kind == "credential":
        return [
            Step(
                f"Put it into the credential {name} ({setting}). They are read at start:", "systemctl restart webhookd"
            )
        ]
    if colon and kind == "file":
        return [Step(f"Put it into {name} ({setting}), and have it read:", "webhookd reload", does="reload")]
    both = "" if secret.setting == "webhook_id" else ", first, and the old one behind it while both are in use"
    return [Step(f"Put it into webhookd.toml, {setting}{both}; and have it read:", "webhookd reload", does="reload")]


def _on_wrong_address(
    source: SourceView, refusals: Sequence[RefusalView], sources: Sequence[SourceView]
) -> Sequence[Step]:
    """Where it is another provider's hook, or its own with another scheme."""
    sender = sender_of({name for each in refusals for name in each.signature})
    if sender is None:
        return []
    if sender == source.provider:
        return [Step(text) for text in PROVIDER_SECRETS[sender].trips]
    title = PROVIDER_SECRETS[sender].title
    theirs = [each.path for each in sources if each.path is not None and each.provider == sender]
    there = f"its source here, {' or '.join(theirs)}" if theirs else "a source of its own, once you have configured one"
    return [Step(f"It has the headers of {title}: give {title} the URL of {there}.")]
