"""Pseudonyms on the command line."""

from pathlib import Path

from app.core.pseudonyms import pseudonym_of
from tests.cli.command import vitrine

KEY = "a key of pseudonyms"
USERS = '{"user_id": "ana@example.org", "attributes": {"vip": true}}\n{"user_id": "bo"}\n'


def test_the_formula_stays_what_it_is() -> None:
    # Shops compute it on their own: openssl dgst -sha256 -hmac KEY -binary | basenc --base64url
    stored = pseudonym_of(KEY, "ana@example.org")
    assert stored == "p1_YzuFpY1zhVRzlGEzdeXa72H7rjQBmHLLlF9b6QQhGik"
    assert pseudonym_of(KEY, stored) == stored
    assert pseudonym_of("another key, not this", "ana@example.org") != stored


def test_an_import_stores_pseudonyms_and_the_key_is_needed_from_then_on(tmp_path: Path) -> None:
    (tmp_path / "users.ndjson").write_text(USERS)
    shown = vitrine(tmp_path, "pseudonym", "ana@example.org", PSEUDONYM_KEY=KEY)
    ana = shown.out.strip()
    assert ana == pseudonym_of(KEY, "ana@example.org")
    given = ("import", "ndjson", str(tmp_path / "users.ndjson"), "--kind", "users")
    imported = vitrine(tmp_path, *given, PSEUDONYM_KEY=KEY)
    assert imported.status == 0, imported.err
    exported = vitrine(tmp_path, "export", "users", "--out", "-", PSEUDONYM_KEY=KEY)
    assert ana in exported.out
    assert "ana@example.org" not in exported.out
    for key in ({}, {"PSEUDONYM_KEY": "another key, not this"}):
        refused = vitrine(tmp_path, "keys", "list", **key)
        assert (refused.status, len(refused.error_lines)) == (1, 1)
        assert "VITRINE_PSEUDONYM_KEY" in refused.err
    short = vitrine(tmp_path, "pseudonym", "ana", PSEUDONYM_KEY="short")
    assert (short.status, len(short.error_lines)) == (2, 1)
    none = vitrine(tmp_path, "pseudonym", "ana")
    assert (none.status, len(none.error_lines)) == (1, 1)
