"""Passwords are kept so that nobody can read them again, and weak ones are not taken."""

import base64
import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy_server.access import passwords
from policy_server.access.encodings import text_of

WORD = "correct horse battery"


def test_a_hash_is_of_one_password_and_never_the_same_twice() -> None:
    one, two = passwords.hash_password(WORD), passwords.hash_password(WORD)
    assert one != two
    assert WORD not in one
    assert passwords.is_password(WORD, one)
    assert passwords.is_password(WORD, two)
    assert not passwords.is_password(f"{WORD} ", one)
    assert not passwords.is_outdated(one)


def test_a_hash_of_other_parameters_is_taken_and_known_as_outdated() -> None:
    found = hashlib.scrypt(WORD.encode(), salt=b"salt", n=16, r=8, p=1, dklen=32)
    kept = "$".join(["scrypt", "16", "8", "1", "c2FsdA==", base64.b64encode(found).decode()])
    assert passwords.is_password(WORD, kept)
    assert not passwords.is_password("another", kept)
    assert passwords.is_outdated(kept)


@pytest.mark.parametrize(
    "kept",
    [
        "",
        "scrypt",
        "plain$16$8$1$c2FsdA==$c2FsdA==",
        "scrypt$15$8$1$c2FsdA==$c2FsdA==",
        "scrypt$16$8$1$!$!",
        "scrypt$1073741824$8$1$c2FsdA==$c2FsdA==",
        "scrypt$16$8$1000000$c2FsdA==$c2FsdA==",
    ],
)
def test_what_is_no_hash_lets_nobody_in(kept: str) -> None:
    assert not passwords.is_password(WORD, kept)


def test_nobodys_hash_has_todays_parameters_so_that_it_takes_as_long() -> None:
    assert not passwords.is_outdated(passwords.nobodys_hash())
    assert not passwords.is_password("", passwords.nobodys_hash())


@pytest.mark.parametrize(
    ("password", "wrong"),
    [
        ("x", "has 1 characters"),
        ("elevenchars", "has 11 characters"),
        ("a" * 2000, "has 2000 characters"),
        ("aaaaaaaaaaaaaaaa", "different characters"),
        ("Administrator", "the user's name"),
        ("twelve\ncharacters", "control"),
        (WORD, ""),
        ("passwörter ñ 12", ""),
    ],
)
def test_a_weak_password_is_named(password: str, wrong: str) -> None:
    found = passwords.weakness(password, "administrator")
    assert (found is None) if not wrong else (found is not None and wrong in found)


@given(st.text(st.characters(codec="utf-8")))
@settings(max_examples=200)
def test_text_is_what_was_meant_in_either_encoding_and_however_accents_were_typed(
    text: str,
) -> None:
    meant = text_of(text.encode())
    assert text_of(meant.encode()) == meant
    for form in ("e\u0301", "\u00e9"):
        assert text_of(f"x{form}".encode()) == "x\u00e9"
    assert text_of("pässwörd".encode("latin-1")) == "pässwörd"
