"""What faults say of a word that is not known: which one may be meant."""

from collections.abc import Sequence
from difflib import get_close_matches

SHOWN_WORDS = 20


def unknown_word(word: str, known: Sequence[str]) -> str:
    """A sentence on a word that a file has, and that is none of those that are known there."""
    return f"`{word}` is not known here: {meant(word, known)}"


def meant(word: str, known: Sequence[str]) -> str:
    """The word that is nearest, as a question; all of them where none is near."""
    near = get_close_matches(word, known, 1)
    if near:
        return f"do you mean `{near[0]}`?"
    more = ", ..." if len(known) > SHOWN_WORDS else ""
    return f"{', '.join(known[:SHOWN_WORDS])}{more} are."
