"""A sealed text: only its key opens it, and only in its own place; and the key that a data directory keeps."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.making import NOW_MS
from webhookd.core.secret import Secret
from webhookd.core.signature import new_secret
from webhookd.store.seal import Seal, SealError, seal_for, secret_of, settings_of

pytestmark = pytest.mark.fault(53)

KEY, OTHER = (Secret(f"{word} key with enough characters to be one") for word in ("a", "another"))
SEAL = Seal(KEY)
ABOUT = secret_of(1, NOW_MS)
SECRET = new_secret(b"\7" * 32)


# --- A sealed text


@given(st.text(), st.text())
def test_what_was_sealed_opens_with_the_same_words(text: str, about: str) -> None:
    assert SEAL.open(SEAL.seal(text, about), about) == text


@given(st.text(), st.text(), st.text())
def test_and_with_no_others(text: str, about: str, other: str) -> None:
    if about != other:
        with pytest.raises(SealError) as refused:
            SEAL.open(SEAL.seal(text, about), other)
        assert other in str(refused.value)


def test_a_row_of_one_endpoint_is_none_of_another_nor_an_older_secret_or_settings() -> None:
    sealed = SEAL.seal(SECRET, ABOUT)
    for other in (secret_of(2, NOW_MS), secret_of(1, NOW_MS + 1), settings_of(1)):
        with pytest.raises(SealError, match="put in its place from elsewhere"):
            SEAL.open(sealed, other)


@given(st.integers(min_value=0), st.integers(min_value=0), st.integers(min_value=0), st.integers(min_value=0))
def test_no_two_places_are_called_the_same(endpoint: int, made_at: int, other: int, other_made_at: int) -> None:
    assert (secret_of(endpoint, made_at) == secret_of(other, other_made_at)) == (
        (endpoint, made_at) == (other, other_made_at)
    )
    assert settings_of(endpoint) != secret_of(other, other_made_at)


def test_every_shorter_blob_is_refused() -> None:
    sealed = SEAL.seal(SECRET, ABOUT)
    for length in range(len(sealed)):
        with pytest.raises(SealError):
            SEAL.open(sealed[:length], ABOUT)


@given(st.data())
def test_every_changed_bit_is_noticed(data: st.DataObject) -> None:
    sealed = bytearray(SEAL.seal(SECRET, ABOUT))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(SealError) as refused:
        SEAL.open(bytes(sealed), ABOUT)
    assert SECRET not in str(refused.value)


def test_the_same_text_is_never_sealed_the_same() -> None:
    sealed = {SEAL.seal(SECRET, ABOUT) for _ in range(100)}
    assert len(sealed) == 100
    assert len({each[9:21] for each in sealed}) == 100, "a nonce that comes twice gives both texts away"


def test_another_key_does_not_open_it_and_the_setting_is_named() -> None:
    with pytest.raises(SealError, match=r"^store\.key: .*another key.*store\.old_keys") as refused:
        Seal(OTHER).open(SEAL.seal(SECRET, ABOUT), ABOUT)
    assert not any(word in str(refused.value) for word in (SECRET, KEY.reveal(), OTHER.reveal()))


def test_an_old_key_opens_and_no_longer_seals() -> None:
    both = Seal(OTHER, [KEY])
    old, new = SEAL.seal(SECRET, ABOUT), both.seal(SECRET, ABOUT)
    assert (both.open(old, ABOUT), both.open(new, ABOUT)) == (SECRET, SECRET)
    assert (both.is_current(old), both.is_current(new)) == (False, True)
    assert Seal(OTHER).open(new, ABOUT) == SECRET


def test_a_key_may_be_listed_as_old_and_be_the_current_one() -> None:
    assert Seal(KEY, [KEY, OTHER]).is_current(SEAL.seal(SECRET, ABOUT))


def test_a_seal_shows_no_key() -> None:
    shown = f"{SEAL!r} {vars(SEAL)!r}"
    assert KEY.reveal() not in shown


# --- The key of the data directory


def test_a_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    sealed = seal_for(tmp_path, None, ()).seal(SECRET, ABOUT)
    file = tmp_path / "store.key"
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(file.read_text().strip()) >= 43, "256 bits"
    assert seal_for(tmp_path, None, ()).open(sealed, ABOUT) == SECRET
    assert [each.name for each in tmp_path.iterdir()] == ["store.key"]


def test_a_configured_key_makes_no_file_and_the_file_may_be_the_old_one(tmp_path: Path) -> None:
    seal_for(tmp_path, KEY, ())
    assert list(tmp_path.iterdir()) == []
    sealed = seal_for(tmp_path, None, ()).seal(SECRET, ABOUT)
    old = Secret((tmp_path / "store.key").read_text().strip())
    assert seal_for(tmp_path, KEY, [old]).open(sealed, ABOUT) == SECRET


@pytest.mark.parametrize("content", [b"", b"\n", b"short", b"\xff" * 50])
def test_a_file_that_holds_no_key_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "store.key").write_bytes(content)
    with pytest.raises(SealError, match=r"store\.key"):
        seal_for(tmp_path, None, ())
    assert (tmp_path / "store.key").read_bytes() == content
