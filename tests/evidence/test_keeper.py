"""Evidence is fetched once and kept, and nobody can make us ask more of others than is bounded."""

import asyncio
import hashlib
import json
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.fake_clock import FakeClock
from webhookd.evidence import keeper as room
from webhookd.evidence.fetcher import Answer, FetchError
from webhookd.evidence.keeper import Keeper, UnavailableError
from webhookd.evidence.shelf import FILES_MAX, Kept, Shelf
from webhookd.providers.provider import Request

DAY_S = 86_400
HOST = "https://api.paypal.com"
TOKEN = Request(f"{HOST}/v1/oauth2/token", (("Authorization", "Basic c2VjcmV0"),), b"grant", kept="memory")
QUESTION = Request(f"{HOST}/v1/verify", (("Authorization", "Bearer t0ken"),), b"question")


def certificate(number: int = 1) -> Request:
    return Request(f"{HOST}/certs/CERT-{number}", kept="disk")


class Outside:
    """Answers as it is told, and counts who asks; `hold` keeps everybody waiting."""

    def __init__(self) -> None:
        self.answer: Answer | FetchError = Answer(b"answer", None)
        self.asked: list[Request] = []
        self.here = 0
        self.here_most = 0
        self.free = asyncio.Event()
        self.free.set()
        self._news = asyncio.Condition()

    async def fetch(self, request: Request) -> Answer:
        self.asked.append(request)
        self.here += 1
        self.here_most = max(self.here_most, self.here)
        async with self._news:
            self._news.notify_all()
        try:
            await self.free.wait()
        finally:
            self.here -= 1
        if isinstance(self.answer, FetchError):
            raise self.answer
        return self.answer

    async def asked_by(self, count: int) -> None:
        async with asyncio.timeout(10), self._news:
            await self._news.wait_for(lambda: len(self.asked) >= count)


class Desk:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = FakeClock()
        self.outside = Outside()
        self.keeper: Keeper

    async def start(self) -> None:
        """Also in place of an earlier one: what that one had in memory is gone."""
        self.keeper = Keeper(self.outside.fetch, self.clock, Shelf(self.directory))
        await self.keeper.open()

    def pass_time(self, seconds: float) -> None:
        self.clock.call_later(seconds, lambda: None)
        self.clock.advance_to_next_timer()

    async def get(self, request: Request) -> bytes | None:
        """None when it is unavailable."""
        try:
            return await self.keeper.get(request)
        except UnavailableError:
            return None

    @property
    def files(self) -> list[Path]:
        return sorted((self.directory / "evidence").iterdir())


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    made = Desk(tmp_path)
    await made.start()
    yield made
    await made.keeper.close()


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """What the operator is told."""
    lines: list[dict[str, object]] = []

    class Log:
        def warning(self, event: str, **fields: object) -> None:
            lines.append({"event": event, **fields})

    monkeypatch.setattr("webhookd.evidence.keeper._log", Log())
    return lines


@asynccontextmanager
async def held(desk: Desk) -> AsyncIterator[None]:
    desk.outside.free.clear()
    try:
        yield
    finally:
        desk.outside.free.set()


# --- Kept on disk


async def test_a_certificate_is_fetched_once_even_over_a_restart(desk: Desk) -> None:
    assert await desk.get(certificate()) == b"answer"
    assert await desk.get(certificate()) == b"answer"
    await desk.start()
    assert await desk.get(certificate()) == b"answer"
    assert desk.outside.asked == [certificate()]


async def test_what_is_on_disk_is_private_whole_and_named_by_its_url(desk: Desk) -> None:
    desk.outside.answer = Answer(bytes(range(256)), DAY_S)
    await desk.get(certificate())
    [path] = desk.files
    assert path.name.startswith(hashlib.sha256(certificate().url.encode()).hexdigest())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    await desk.start()
    assert await desk.get(certificate()) == bytes(range(256))


@pytest.mark.parametrize(
    ("max_age_s", "kept_s"),
    [(None, 3_600), (0, 3_600), (60, 3_600), (7_200, 7_200), (DAY_S, DAY_S), (365 * DAY_S, 7 * DAY_S)],
)
@pytest.mark.parametrize("restarted", [False, True])
async def test_it_is_kept_as_long_as_its_sender_allows_from_an_hour_to_a_week(
    desk: Desk, max_age_s: int | None, kept_s: int, restarted: bool
) -> None:
    desk.outside.answer = Answer(b"old", max_age_s)
    await desk.get(certificate())
    desk.outside.answer = Answer(b"new", None)
    if restarted:
        await desk.start()
    desk.pass_time(kept_s - 1)
    assert await desk.get(certificate()) == b"old"
    desk.pass_time(1)
    assert await desk.get(certificate()) == b"new"


async def test_what_was_good_once_is_used_on_while_it_cannot_be_fetched_again(desk: Desk) -> None:
    desk.outside.answer = Answer(b"old", None)
    await desk.get(certificate())
    desk.pass_time(DAY_S)
    desk.outside.answer = FetchError("timeout")
    assert [await desk.get(certificate()) for _ in range(3)] == [b"old"] * 3
    assert len(desk.outside.asked) == 2
    desk.outside.answer = Answer(b"new", None)
    desk.pass_time(room.FAILED_FOR_S)
    assert await desk.get(certificate()) == b"new"


@pytest.mark.parametrize("content", [b"", b"{}", b"garbage", b"\xff" * 100, b'{"url":5}', b"[" * 100_000, b"x" * 2**21])
async def test_a_file_that_cannot_be_read_is_as_good_as_none(desk: Desk, content: bytes) -> None:
    await desk.get(certificate(1))
    await desk.get(certificate(2))
    desk.files[0].write_bytes(content)
    await desk.start()
    assert [await desk.get(certificate(number)) for number in (1, 2)] == [b"answer"] * 2
    assert len(desk.outside.asked) == 3


async def test_a_file_under_the_name_of_another_url_is_not_taken_for_its(desk: Desk) -> None:
    await desk.get(certificate(1))
    [path] = desk.files
    shelf = Shelf(desk.directory)
    shelf.put(Kept(certificate(2).url, 2 * desk.clock.now_ms(), b"another"))
    (other,) = [each for each in desk.files if each != path]
    other.rename(path)
    await desk.start()
    assert [await desk.get(certificate(number)) for number in (1, 2)] == [b"answer"] * 2


async def test_a_disk_that_takes_nothing_hinders_nobody(desk: Desk, said: list[dict[str, object]]) -> None:
    (desk.directory / "evidence").write_bytes(b"a file where the directory should be")
    assert await desk.get(certificate()) == b"answer"
    assert await desk.get(certificate()) == b"answer"
    assert len(desk.outside.asked) == 1
    assert [line["event"] for line in said] == ["evidence_not_written"]


async def test_of_many_the_ones_not_used_are_given_up_first(desk: Desk) -> None:
    for number in range(FILES_MAX):
        desk.pass_time(room.UNKNOWN_EVERY_S)
        assert await desk.get(certificate(number)) == b"answer"
    await desk.get(certificate(0))
    desk.pass_time(room.UNKNOWN_EVERY_S)
    await desk.get(certificate(FILES_MAX))
    assert len(desk.files) == FILES_MAX
    desk.outside.asked.clear()
    await desk.get(certificate(0))
    assert desk.outside.asked == []
    desk.pass_time(room.UNKNOWN_EVERY_S)
    await desk.get(certificate(1))
    assert desk.outside.asked == [certificate(1)]


@pytest.mark.parametrize("secret", [{"headers": (("Authorization", "x"),)}, {"body": b"secret"}])
async def test_no_request_that_carries_anything_is_ever_kept_on_disk(desk: Desk, secret: dict[str, Any]) -> None:
    request = Request(f"{HOST}/x", kept="disk", **secret)
    assert await desk.get(request) == b"answer"
    assert await desk.get(request) == b"answer"
    assert len(desk.outside.asked) == 1
    assert not (desk.directory / "evidence").exists()


# --- What failed


async def test_what_failed_is_not_tried_again_at_once(desk: Desk) -> None:
    desk.outside.answer = FetchError("status", 404)
    assert [await desk.get(certificate()) for _ in range(5)] == [None] * 5
    assert len(desk.outside.asked) == 1
    desk.outside.answer = Answer(b"answer", None)
    desk.pass_time(room.FAILED_FOR_S - 1)
    assert await desk.get(certificate()) is None
    desk.pass_time(1)
    assert await desk.get(certificate()) == b"answer"


async def test_the_operator_hears_of_it_and_no_secret_is_told(desk: Desk, said: list[dict[str, object]]) -> None:
    desk.outside.answer = FetchError("status", 401)
    assert await desk.get(TOKEN) is None
    assert await desk.get(certificate()) is None
    assert [(line["event"], line["url"], line["why"]) for line in said] == [
        ("evidence_unavailable", TOKEN.url, "status 401"),
        ("evidence_unavailable", certificate().url, "status 401"),
    ]
    assert "c2VjcmV0" not in str(said)


# --- Tokens: in memory only


def token(expires_in: Any = ...) -> Answer:
    told = {"access_token": "t0ken", **({} if expires_in is ... else {"expires_in": expires_in})}
    return Answer(json.dumps(told).encode(), 7 * DAY_S)


@pytest.mark.parametrize(
    ("answer", "kept_s"),
    [
        (token(32_400), 32_340),
        (token(30 * DAY_S), 7 * DAY_S - 60),
        (token(61), 1),
        (token(), 300),
        (token("32400"), 300),
        (token(True), 300),
        (Answer(b"[]", None), 300),
        (Answer(b"no json", None), 300),
        (Answer(b"[" * 16_000, None), 300),
    ],
)
async def test_a_token_is_kept_until_a_minute_before_its_end(desk: Desk, answer: Answer, kept_s: int) -> None:
    desk.outside.answer = answer
    await desk.get(TOKEN)
    desk.pass_time(kept_s - 0.5)
    assert await desk.get(TOKEN) == answer.body
    assert len(desk.outside.asked) == 1
    desk.pass_time(0.5)
    await desk.get(TOKEN)
    assert len(desk.outside.asked) == 2


@pytest.mark.parametrize("expires_in", [0, 30, 60, -5])
async def test_a_token_that_is_about_to_end_is_not_kept(desk: Desk, expires_in: int) -> None:
    desk.outside.answer = token(expires_in)
    assert await desk.get(TOKEN) is not None
    assert await desk.get(TOKEN) is not None
    assert len(desk.outside.asked) == 2


async def test_a_token_is_never_on_disk_and_never_used_beyond_its_end(desk: Desk) -> None:
    desk.outside.answer = token(3_600)
    await desk.get(TOKEN)
    assert not (desk.directory / "evidence").exists()
    desk.pass_time(3_600)
    desk.outside.answer = FetchError("timeout")
    assert await desk.get(TOKEN) is None


async def test_a_token_that_is_not_taken_is_asked_for_anew(desk: Desk) -> None:
    other_host = Request("https://api-m.sandbox.paypal.com/v1/oauth2/token", TOKEN.headers, TOKEN.body, kept="memory")
    desk.outside.answer = token(32_400)
    for request in (TOKEN, other_host, certificate()):
        await desk.get(request)
    desk.outside.asked.clear()
    desk.outside.answer = FetchError("status", 401)
    assert await desk.get(QUESTION) is None
    desk.outside.answer = token(32_400)
    for request in (TOKEN, other_host, certificate(), QUESTION):
        assert await desk.get(request) is not None
    assert desk.outside.asked == [QUESTION, TOKEN, QUESTION]


@pytest.mark.parametrize("error", [FetchError("status", 403), FetchError("status", 500), FetchError("timeout")])
async def test_a_token_outlives_any_other_failure(desk: Desk, error: FetchError) -> None:
    desk.outside.answer = token(32_400)
    await desk.get(TOKEN)
    desk.outside.answer = error
    assert await desk.get(QUESTION) is None
    assert await desk.get(TOKEN) is not None


async def test_other_credentials_get_a_token_of_their_own(desk: Desk) -> None:
    desk.outside.answer = token(32_400)
    await desk.get(TOKEN)
    other = Request(TOKEN.url, (("Authorization", "Basic b3RoZXI="),), TOKEN.body, kept="memory")
    await desk.get(other)
    assert desk.outside.asked == [TOKEN, other]


# --- Questions: never kept


async def test_a_question_is_asked_each_time_also_after_it_failed(desk: Desk) -> None:
    assert await desk.get(QUESTION) == b"answer"
    desk.outside.answer = FetchError("timeout")
    assert await desk.get(QUESTION) is None
    desk.outside.answer = Answer(b"other", 3_600)
    assert await desk.get(QUESTION) == b"other"
    assert len(desk.outside.asked) == 3


# --- Bounds


async def test_all_who_wait_for_the_same_wait_for_one_request(desk: Desk) -> None:
    async with held(desk):
        waiting = [asyncio.create_task(desk.get(certificate())) for _ in range(100)]
        await desk.outside.asked_by(1)
    assert await asyncio.gather(*waiting) == [b"answer"] * 100
    assert desk.outside.asked == [certificate()]


async def test_who_hangs_up_does_not_end_the_request_of_the_others(desk: Desk) -> None:
    async with held(desk):
        first, second = (asyncio.create_task(desk.get(certificate())) for _ in range(2))
        await desk.outside.asked_by(1)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
    assert await second == b"answer"
    assert len(desk.outside.asked) == 1


async def test_when_all_have_hung_up_what_comes_is_kept_and_a_failure_is_no_fault_of_ours(desk: Desk) -> None:
    faults: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    for number, answer in ((1, Answer(b"answer", None)), (2, FetchError("timeout"))):
        desk.outside.answer = answer
        async with held(desk):
            alone = asyncio.create_task(desk.get(certificate(number)))
            await desk.outside.asked_by(number)
            alone.cancel()
            await asyncio.gather(alone, return_exceptions=True)
        while desk.keeper._under_way:
            await asyncio.sleep(0)
    assert await desk.get(certificate(1)) == b"answer"
    assert await desk.get(certificate(2)) is None
    assert len(desk.outside.asked) == 2
    assert faults == []


async def started(desk: Desk, requests: list[Request]) -> list[asyncio.Task[bytes | None]]:
    """All of them under way, or refused at once."""
    tasks = [asyncio.create_task(desk.get(request)) for request in requests]
    for _ in range(10):
        await asyncio.sleep(0)
    return tasks


async def test_few_are_fetched_at_a_time_few_wait_and_the_rest_is_refused_at_once(desk: Desk) -> None:
    most = room.FETCHES_MAX + room.FETCHES_WAITING_MAX
    async with held(desk):
        tasks = await started(desk, [certificate(number) for number in range(most + 2)])
        assert [task.done() for task in tasks] == [False] * most + [True] * 2
        assert len(desk.outside.asked) == room.FETCHES_MAX
    assert await asyncio.gather(*tasks) == [b"answer"] * most + [None] * 2
    assert desk.outside.here_most == room.FETCHES_MAX
    desk.pass_time(room.UNKNOWN_EVERY_S)
    assert await desk.get(certificate(most)) == b"answer"


async def test_questions_are_bounded_too_and_certificates_do_not_wait_for_them(desk: Desk) -> None:
    most = room.QUESTIONS_MAX + room.QUESTIONS_WAITING_MAX
    questions = [Request(QUESTION.url, body=b"%d" % number) for number in range(most + 1)]
    async with held(desk):
        tasks = await started(desk, questions)
        assert len(desk.outside.asked) == room.QUESTIONS_MAX
        assert [task.done() for task in tasks] == [False] * most + [True]
        tasks += await started(desk, [certificate()])
        assert desk.outside.asked[-1] == certificate()
    assert await asyncio.gather(*tasks) == [b"answer"] * most + [None, b"answer"]


async def test_those_that_gave_up_waiting_leave_their_place_to_others(desk: Desk) -> None:
    async with held(desk):
        tasks = await started(desk, [certificate(number) for number in range(8)])
        await desk.keeper.close()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert await desk.get(certificate(9)) == b"answer"
    desk.pass_time(600)
    assert await asyncio.gather(*await started(desk, [certificate(10 + each) for each in range(8)])) == [b"answer"] * 8


async def test_a_flood_of_unknown_urls_is_not_passed_on(desk: Desk) -> None:
    desk.outside.answer = FetchError("status", 404)
    for number in range(1_000):
        assert await desk.get(certificate(number)) is None
    assert len(desk.outside.asked) == room.UNKNOWN_BURST
    desk.pass_time(10 * room.UNKNOWN_EVERY_S)
    for number in range(1_000, 2_000):
        assert await desk.get(certificate(number)) is None
    assert len(desk.outside.asked) == 2 * room.UNKNOWN_BURST


async def test_a_flood_of_unknown_urls_does_not_hold_up_what_is_known(desk: Desk) -> None:
    desk.outside.answer = Answer(b"old", None)
    await desk.get(certificate(0))
    desk.outside.answer = FetchError("status", 404)
    desk.pass_time(DAY_S)
    for number in range(1, 100):
        await desk.get(certificate(number))
    desk.outside.answer = token(32_400)
    assert await desk.get(certificate(0)) == desk.outside.answer.body
    assert await desk.get(TOKEN) == desk.outside.answer.body
    assert await desk.get(certificate(100)) is None
