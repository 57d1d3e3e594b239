"""Every reader of what is uploaded, as fuzzing knows them."""

from tests.fuzz import files, programs, texts

TARGETS = {**texts.TARGETS, **files.TARGETS, **programs.TARGETS}
