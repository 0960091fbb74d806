"""How losses are counted: what is lost, what is doubled, what is neither, and when nothing is said at all."""

import random
from collections import Counter
from pathlib import Path

import pytest

from bench import loss
from bench.loss import Campaign, Figures, campaigns, likely_less_than_one_in, measure, run
from tests.crash.audit import duplicated, lost
from tests.crash.harness import Report
from tests.crash.parties import Hook, Merchants, Provider, Request


def history(acked: list[str], came: dict[str, list[tuple[str, str, int]]]) -> tuple[Provider, Merchants]:
    """`came`: for each merchant (id, body, what it answered)."""
    provider, merchants = Provider(random.Random(1)), Merchants(tuple(came), random.Random(1), 0)
    for name in acked:
        provider.hooks[name] = Hook(f"body of {name}", [("accepted", f"id of {name}")])
    for name, requests in came.items():
        merchants.requests[name] = [
            Request(each, f"{each}/{name}", 1, body, True, said) for each, body, said in requests
        ]
    return provider, merchants


TAKEN = ("id of a", "body of a", 200)


def test_what_every_merchant_took_is_neither_lost_nor_duplicated():
    parties = history(["a"], {"one": [TAKEN], "two": [("id of a", "body of a", 500), TAKEN]})
    assert (lost(*parties), duplicated(*parties)) == ([], [])


def test_an_acked_event_that_one_merchant_never_took_is_lost():
    assert lost(*history(["a"], {"one": [TAKEN], "two": [("id of a", "body of a", 500)]})) == ["a"]


def test_an_acked_event_that_came_with_another_body_is_lost():
    assert lost(*history(["a"], {"one": [("id of a", "another body", 200)]})) == ["a"]


def test_what_was_never_acked_cannot_be_lost():
    provider, merchants = history(["a"], {"one": []})
    provider.hooks["a"].acks.clear()
    assert lost(provider, merchants) == []


def test_an_event_that_came_under_two_ids_is_duplicated():
    assert duplicated(*history(["a"], {"one": [TAKEN, ("another id", "body of a", 200)]})) == ["a"]


def test_an_event_that_came_twice_under_one_id_is_only_repeated():
    assert duplicated(*history(["a"], {"one": [TAKEN, TAKEN], "two": [TAKEN]})) == []


def test_campaigns_make_up_all_kills_and_no_two_share_a_seed():
    assert campaigns(450, 200, 7) == [Campaign(200, 7), Campaign(200, 8), Campaign(50, 9)]


def test_figures_are_the_sum_of_their_campaigns():
    figures = Figures(seed=7)
    figures.add(report(seed=7, lost=1, broken=["lost: evt_1"]))
    figures.add(report(seed=8, duplicated=2))
    assert (figures.campaigns, figures.killed, figures.acked) == (2, 4, 200)
    assert figures.kills == {"any-moment": 2, "mid-request": 2}
    assert (figures.lost, figures.duplicated, figures.broken) == (1, 2, 1)
    assert figures.broken_lines == ["seed 7: lost: evt_1"]


@pytest.mark.parametrize("found", [{"lost": 1}, {"duplicated": 1}, {"broken": ["twice in the log: evt_1"]}])
def test_whatever_is_found_is_a_promise_not_kept(found):
    figures = Figures(seed=7)
    figures.add(report(seed=7))
    assert figures.kept
    figures.add(report(seed=8, **found))
    assert not figures.kept


def test_of_what_is_broken_all_is_counted_and_not_all_is_kept():
    figures = Figures(seed=7)
    for number in range(3):
        figures.add(report(seed=number, broken=["lost"] * 15))
    assert (figures.broken, len(figures.broken_lines)) == (45, 20)


def test_a_campaign_in_which_too_little_succeeded_is_no_measurement(places, monkeypatch):
    monkeypatch.setattr(loss, "crash", crash_with(report(seed=7, acked=5)))
    with pytest.raises(SystemExit, match="refused to report: 5 hooks were acked"):
        run(Campaign(2, 7), print)


def test_a_campaign_that_breaks_off_is_no_measurement_and_its_directory_is_kept(places, monkeypatch):
    monkeypatch.setattr(loss, "crash", crash_with(TimeoutError()))
    with pytest.raises(SystemExit, match="refused to report: the campaign with seed 7 broke off"):
        run(Campaign(2, 7), print)
    assert len(list(places.iterdir())) == 1


@pytest.mark.parametrize(("broken", "kept"), [([], 0), (["lost: evt_1"], 1)])
def test_a_directory_is_kept_if_something_was_broken_in_it(places, monkeypatch, broken, kept):
    monkeypatch.setattr(loss, "crash", crash_with(report(seed=7, broken=broken)))
    run(Campaign(2, 7), print)
    assert len(list(places.iterdir())) == kept


def test_a_run_that_is_ended_early_reports_what_was_audited(places, monkeypatch):
    outcomes = iter([report(seed=7), KeyboardInterrupt()])
    monkeypatch.setattr(loss, "crash", lambda *_, **__: crash_with(next(outcomes))())
    assert measure(4, 2, 7).killed == 2
    assert list(places.iterdir()) == []


def test_a_run_that_is_ended_before_an_audit_is_no_measurement(places, monkeypatch):
    monkeypatch.setattr(loss, "crash", crash_with(KeyboardInterrupt()))
    with pytest.raises(SystemExit, match="refused to report"):
        measure(4, 2, 7)


def test_what_a_clean_run_says_follows_from_how_many_kills_it_had():
    # 0.97 ** 99 > 0.05 >= 0.97 ** 100, roughly: the rule of three.
    assert [likely_less_than_one_in(kills) for kills in (1, 100, 5_000)] == [1, 33, 1669]


@pytest.mark.crash
def test_a_real_kill_is_survived(places):
    figures = measure(1, 1, 20261121)
    assert figures.kept
    assert figures.killed == 1


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the directories of campaigns are made."""
    monkeypatch.setattr(loss.tempfile, "tempdir", str(tmp_path))
    return tmp_path


def crash_with(outcome):
    async def crash(*_, **__):
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    return crash


def report(
    *, seed: int, acked: int = 100, lost: int = 0, duplicated: int = 0, broken: list[str] | None = None
) -> Report:
    return Report(
        seed=seed,
        kills=Counter({"any-moment": 1, "mid-request": 1}),
        sent=100,
        acked=acked,
        duplicate_acks=0,
        requests=300,
        repeated_requests=0,
        lost=lost,
        duplicated=duplicated,
        broken=broken or [],
    )
