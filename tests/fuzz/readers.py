"""Every reader of what is uploaded, and of what clients send back, as fuzzing knows them."""

from tests.fuzz import files, programs, tensors, texts, tokens

TARGETS = {
    **texts.TARGETS,
    **files.TARGETS,
    **programs.TARGETS,
    **tokens.TARGETS,
    **tensors.TARGETS,
}
