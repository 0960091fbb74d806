"""The token file: made once, and never a door that is open by accident."""

from pathlib import Path

import pytest

from webhookd.admin.token import TokenError, ensure_token, is_bearer


def test_a_token_is_made_once_and_kept(tmp_path: Path):
    token = ensure_token(tmp_path)
    assert ensure_token(tmp_path) == token
    assert is_bearer(f"Bearer {token}", token)
    assert not is_bearer("Bearer ", token)
    assert not is_bearer(None, token)


@pytest.mark.parametrize("content", [b"", b"\n", b"whd_", b"secret", b"\xff\xfe", b"whd_short"])
def test_a_token_file_that_holds_no_token_is_refused_and_opens_nothing(tmp_path: Path, content: bytes):
    (tmp_path / "admin.token").write_bytes(content)
    (tmp_path / "admin.token").chmod(0o600)
    with pytest.raises(TokenError, match="remove it"):
        ensure_token(tmp_path)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620])
def test_a_token_that_others_may_have_read_is_refused(tmp_path: Path, mode: int):
    token = ensure_token(tmp_path)
    (tmp_path / "admin.token").chmod(mode)
    with pytest.raises(TokenError, match=r"admin\.token can be read by others: chmod 600 it, or remove it"):
        ensure_token(tmp_path)
    (tmp_path / "admin.token").chmod(0o600)
    assert ensure_token(tmp_path) == token
