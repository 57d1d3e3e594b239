"""model.yaml is read, or every fault of it is told with its line."""

from pathlib import Path

import pytest

from policy_server.errors import UploadRejected
from policy_server.policy.families.registry import reading_words
from policy_server.proving.description import Description, read_description


def described(tmp_path: Path, content: str | bytes) -> Description:
    path = tmp_path / "model.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_description(path)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("output: policy\nreads: logits\n", Description("policy", "logits")),
        ("reads: means", Description(None, "means")),
        ("output: 31", Description("31", None)),
        ("output: no", Description("no", None)),
        ("output: '0'\r\nreads: costs\r\n", Description("0", "costs")),
        ("output: policy".encode("utf-8-sig"), Description("policy", None)),
        ("{output: a/b:0, reads: actions}", Description("a/b:0", "actions")),
    ],
)
def test_it_is_read_as_people_write_it(
    tmp_path: Path, content: str | bytes, expected: Description
) -> None:
    assert described(tmp_path, content) == expected


@pytest.mark.parametrize("reading", reading_words())
def test_every_reading_is_known(tmp_path: Path, reading: str) -> None:
    assert described(tmp_path, f"reads: {reading}").reads == reading


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("reads: logit", "model.yaml:1: `logit` is no reading: "),
        ("reads: logit", "do you mean `logits`?"),
        ("\nread: logits", "model.yaml:2: `read` is not known here: do you mean `reads`?"),
        ("reads: beta", "Beta distributions are not drawn from yet: export the mean"),
        ("reads: squashed_mean_log_std", "export the deterministic action, tanh of the mean"),
        ("memory: []", "`memory` is not read yet; output, reads, action_range are."),
        ("output: [a, b]", "`output` takes one word."),
        ("output: ''", "`output` takes one word."),
        ("output: a\noutput: b", "model.yaml:2: `output` stands here a second time"),
        ("- logits", "a mapping is wanted"),
        ("", "a mapping is wanted, nothing was found"),
        ("reads: &x logits\noutput: *x", "aliases"),
        (b"\xff\xfer\x00e\x00", "it is text in UTF-16"),
        (b"reads: \x01", "not YAML"),
    ],
)
def test_faults_are_told_with_their_line(tmp_path: Path, content: str | bytes, told: str) -> None:
    with pytest.raises(UploadRejected) as caught:
        described(tmp_path, content)
    assert told in str(caught.value)


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(UploadRejected) as caught:
        described(tmp_path, "read: logits\nreads: nothing\noutputs: x")
    assert [fault.place for fault in caught.value.faults] == [
        "model.yaml:1",
        "model.yaml:2",
        "model.yaml:3",
    ]
