"""An uploaded preprocessor is code or a declaration, and its first line says which."""

from pathlib import Path

import pytest

from policy_server.policy.preprocessing.kind import HEAD_BYTES, is_declaration

ROOT = Path(__file__).resolve().parents[3]
DECLARED = {
    "plain": b"features:\n  - field: x\n",
    "Windows": b"\xef\xbb\xbffeatures:\r\n  - field: x\r\n",
    "old Macintosh": b"# mine\rfeatures:\r  - field: x\r",
    "comments before it": b"\n# preprocess(observation)\n\n   # more\nfeatures:\n  - field: x\n",
    "a document's mark": b"---\nfeatures: []\n",
    "a directive": b"%YAML 1.1\n---\nfeatures: []\n",
    "between brackets": b"features: [{field: x}]\n",
    "of all": b"normalise: {mean: 0, std: 1}\n",
    "in quotes": b"'features':\n  - field: x\n",
    "a comment behind it": b"features:  # in order\n  - field: x\n",
    "misspelt": b"feature:\n  - field: x\n",
    "indented": b"  features:\n    - field: x\n",
}
CODE = {
    "empty": b"",
    "blank": b"\xef\xbb\xbf\r\n \r\n",
    "comments alone": b"# features:\n# - field: x\n",
    "a function": b"def preprocess(observation):\n    return [1]\n",
    "a text first": b'"""features:\n  - field: x\n"""\n',
    "a block with a word": b"try:\n    import numpy\nexcept ImportError:\n    numpy = None\n",
    "an annotation": b"SCALE: float = 2\n",
    "a class": b"class features:\n    pass\n",
    "another name": b"features_of: int = 3\n",
    "a slice": b"features[0:1]\n",
}


@pytest.mark.parametrize("name", DECLARED)
def test_declarations_are_known(name: str) -> None:
    assert is_declaration(DECLARED[name])


@pytest.mark.parametrize("name", CODE)
def test_all_else_is_code(name: str) -> None:
    assert not is_declaration(CODE[name])


def test_no_python_of_this_project_is_taken_for_a_declaration() -> None:
    files = [*(ROOT / "policy_server").rglob("*.py"), *(ROOT / "examples").rglob("*.py")]
    assert len(files) > 200
    assert [file for file in files if is_declaration(file.read_bytes()[:HEAD_BYTES])] == []


@pytest.mark.parametrize("word", ["feature", "fields", "match", "case", "type", "_", "normalize"])
def test_a_bare_word_and_a_colon_never_begin_python(word: str) -> None:
    text = f"{word}:\n  - field\n"
    assert is_declaration(text.encode())
    with pytest.raises(SyntaxError):
        compile(text, "preprocessor.py", "exec")


@pytest.mark.parametrize("word", ["try", "else", "finally", "lambda"])
def test_a_word_of_python_is_none_of_ours(word: str) -> None:
    assert not is_declaration(f"{word}:\n    pass\n".encode())
