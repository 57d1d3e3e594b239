"""Every reader of what is uploaded, as fuzzing knows them."""

from tests.fuzz import files, texts

TARGETS = {**texts.TARGETS, **files.TARGETS}
