"""What runs beside the loop, and what becomes of it where nobody waits any more."""

import asyncio
import threading

import pytest

from webhookd.aside import aside


class UnreadableError(Exception):
    pass


def unreadable() -> None:
    raise UnreadableError


async def test_what_it_gives_is_given_and_what_it_raises_is_raised():
    assert await aside(threading.current_thread) is not threading.current_thread()
    with pytest.raises(UnreadableError):
        await aside(unreadable)


async def test_who_gave_up_waiting_hears_no_more_of_it():
    over = threading.Event()
    waiting = asyncio.ensure_future(aside(over.wait))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(waiting, 0)
    over.set()
    assert waiting.cancelled()


def test_what_ends_after_the_loop_ends_in_silence(monkeypatch: pytest.MonkeyPatch):
    threads, over = list[threading.Thread](), threading.Event()
    failed = list[threading.ExceptHookArgs]()
    monkeypatch.setattr(threading, "excepthook", failed.append)

    def long() -> None:
        threads.append(threading.current_thread())
        over.wait()

    async def give_up() -> None:
        waiting = asyncio.ensure_future(aside(long))
        while not threads:
            await asyncio.sleep(0)
        waiting.cancel()

    asyncio.run(give_up())
    over.set()
    threads[0].join()
    assert not failed
