"""The machine's clock beside the server's: what one node schedules another may deliver, by its own clock."""

from collections.abc import Callable

from webhookd.store.postgres.connection import Session

OFF_S_MAX = 10


async def why_off(session: Session, now_ms: Callable[[], int]) -> str | None:
    """What is wrong with that clock, when it is certain, however long the answer took. Raises StoreUnavailableError."""
    before = now_ms()
    [(theirs,)] = await session.query("SELECT server_ms()")
    ahead_s = (max(0, before - theirs) or min(0, now_ms() - theirs)) / 1_000
    if abs(ahead_s) <= OFF_S_MAX:
        return None
    return (
        f"this machine's clock is {abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'} the server's, and "
        "nodes must agree on what is due: set it, see timedatectl"
    )
