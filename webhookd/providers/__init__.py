"""Who signs webhooks, each in a room of its own. Pure: bytes and headers in, a verdict and a reading out.

In one of the rooms is nobody who signs: an application's row is read there as if it were a hook.
"""

from collections.abc import Iterator, Mapping

from webhookd.core.event import IMPORTED, OUTBOX, Event, Hook, Reading
from webhookd.providers.provider import STALE, VERIFIED, CannotSignError, Needs, NotUnderstoodError, Provider


class _Providers(Mapping[str, type[Provider]]):
    """A room is read when it is first asked for: who only wants to know where the daemon is waits for none of them."""

    def __init__(self, *names: str) -> None:
        self._names = names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __getitem__(self, name: str) -> type[Provider]:
        match name if name in self._names else None:
            case "stripe":
                from webhookd.providers.stripe import Stripe as Found
            case "standard":
                from webhookd.providers.standard import Standard as Found  # type: ignore[assignment]
            case "paypal":
                from webhookd.providers.paypal import PayPal as Found  # type: ignore[assignment]
            case "flutterwave":
                from webhookd.providers.flutterwave import Flutterwave as Found  # type: ignore[assignment]
            case "paystack":
                from webhookd.providers.paystack import Paystack as Found  # type: ignore[assignment]
            case "razorpay":
                from webhookd.providers.razorpay import Razorpay as Found  # type: ignore[assignment]
            case "outbox":
                from webhookd.providers.outbox import Outbox as Found  # type: ignore[assignment]
            case _:
                raise KeyError(name)
        return Found


_SENDERS = ("stripe", "standard", "paypal", "flutterwave", "paystack", "razorpay")
PROVIDERS: Mapping[str, type[Provider]] = _Providers(*_SENDERS)
"""Every provider that sends hooks, by name."""
ORIGINS: Mapping[str, type[Provider]] = _Providers(*_SENDERS, OUTBOX)
"""All that a source can be of."""


def reread(provider: str, hook: Hook) -> Reading | None:
    """A stored hook read again; None when its envelope cannot be understood."""
    try:
        return ORIGINS[provider].read(hook)
    except NotUnderstoodError:
        return None


def misread(provider: str, hook: Hook) -> str | None:
    """Why a stored hook's envelope cannot be understood, in words of ours that quote none of it; None when it can."""
    try:
        ORIGINS[provider].read(hook)
    except NotUnderstoodError as error:
        return str(error)
    return None


def sign_again(sources: Mapping[str, Provider], event: Event, now_s: int) -> dict[str, str] | None:
    """The headers with which its provider's own check of this event passes now.

    None when these cannot be had: its source is none of these any more, or is another provider's now, or has none of
    the secrets that the event came with, so that a test's event is not signed as a real one. For what was imported
    an operator answers: it came without a signature.
    """
    provider = sources.get(event.source)
    if provider is None or provider.name != event.provider:
        return None
    hook = Hook(dict(event.headers), event.body, event.received_at)
    try:
        signed = provider.sign_again(hook, now_s)
    except CannotSignError:
        return None
    # A secret that is sent as it is (verif-hash) is not kept with the event: there is nothing to be looked at again.
    was_kept = all(name.lower() in provider.kept_headers for name in signed)
    if was_kept and IMPORTED not in hook.headers and not _is_from(provider, hook, now_s):
        return None
    return signed


def _is_from(provider: Provider, hook: Hook, now_s: int) -> bool:
    """Whether the stored hook passes its check still, whenever it came. What only others can judge is as it came."""
    verdict = provider.verify(hook, now_s, {})
    return verdict in (VERIFIED, STALE) or isinstance(verdict, Needs)


def why_it_cannot_sign_again(provider: Provider) -> str | None:
    """What is wrong with its credentials for that, of whatever it is to sign; None when nothing is."""
    whole = Hook(dict.fromkeys(provider.kept_headers, "1"), b"{}", 0)
    try:
        provider.sign_again(whole, 0)
    except CannotSignError as error:
        return str(error)
    return None
