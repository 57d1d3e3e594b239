"""model.yaml is read, or every fault of it is told with its line."""

from pathlib import Path

import pytest

from policy_server.errors import UploadRejected
from policy_server.policy.families.registry import reading_words
from policy_server.proving.description import Description, read_description
from policy_server.proving.joined import Joined, Piece
from policy_server.proving.memory_description import Pair, Stack


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
        ("epsilon: 0.05\nreads: values", Description(None, "values", parameters={"epsilon": 0.05})),
        ("output: [a, b]", Description(Joined((Piece("a"), Piece("b"))))),
        (
            "output: {std: [0.5, 1e-3], mean: mu}",
            Description(Joined((Piece("mu", "mean"), Piece((0.5, 0.001), "std")))),
        ),
        (
            "memory:\n- {input: h_in, output: h_out}\n- {input: c, output: 31, initial: [1, -0.2]}",
            Description(memory=(Pair("h_in", "h_out"), Pair("c", "31", (1.0, -0.2)))),
        ),
        (
            "memory: [{input: h, output: o, initial: 2}]",
            Description(memory=(Pair("h", "o", (2.0,)),)),
        ),
        ("memory: {frames: 4}", Description(memory=Stack(4, "zeros"))),
        ("memory: {padding: first, frames: 2}", Description(memory=Stack(2, "first"))),
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
        ("memory: []", "`memory` takes a list of states, such as `memory: [{input: h_in"),
        ("memory: lstm", "`memory` takes a list of states"),
        ("memory: {input: h, output: o}", "`memory` takes a list of states, one or more"),
        ("memory: [h]", "`memory` takes a mapping for each state"),
        ("memory:\n- {input: h}", "model.yaml:2: a state needs `output`, the name of an output"),
        ("memory: [{input: [h], output: o}]", "a state needs `input`, the name of an input"),
        ("memory: [{input: h, outputs: o}]", "`outputs` is not known here: do you mean `output`?"),
        (
            "memory:\n- {input: h, output: o}\n- {input: c, output: o}",
            "model.yaml:3: `memory` names the output `o` twice",
        ),
        (
            "memory: [{input: h, output: o}, {input: h, output: p}]",
            "names the input `h` twice",
        ),
        ("memory: [{input: h, output: o, initial: [1, a]}]", "`initial` takes a number, or a list"),
        ("memory: [{input: h, output: o, initial: []}]", "`initial` takes a number, or a list"),
        ("memory: [{input: h, output: o, initial: 1e39}]", "`initial` takes a number, or a list"),
        ("memory: {frames: 1}", "`frames` takes a whole number from 2 to 1000"),
        ("memory: {frames: 2.5}", "`frames` takes a whole number"),
        ("memory: {padding: zeros}", "`frames` takes a whole number"),
        ("memory: {frames: 4, padding: last}", "`padding` takes zeros or first"),
        ("memory: {frame: 4}", "`frame` is not known here: do you mean `frames`?"),
        ("output: [a, a]", "`output` as a list takes names of outputs, two at least, each once."),
        ("output: [a, {b: c}]", "`output` as a list takes names"),
        ("output: ''", "`output` takes the name of an output, a list or a mapping of names."),
        ("output: {mean: a, alpha: b}", "`mean` and `log_std`, or `alpha` and `beta`"),
        ("output: {mean: a, log_std: ''}", "`log_std` takes the name of an output, or a list"),
        ("epsilon: [0.1]", "`epsilon` takes a number from 0 to 1"),
        ("output: a\noutput: b", "model.yaml:2: `output` stands here a second time"),
        ("- logits", "a mapping is wanted"),
        ("", "a mapping is wanted, nothing was found"),
        ("reads: &x logits\noutput: *x", "aliases"),
        ("inputs: obs", "`inputs` must be a mapping, `obs` was found"),
        ("inputs: [a, a]", "`inputs` names an input twice"),
        ("inputs: [a, [b]]", "`inputs` lists names of inputs"),
        ("inputs: {a: [b: c]}", "an input takes names of fields or numbers of features"),
        ("inputs: {a: []}", "an input takes names of fields or numbers of features"),
        ("normalise: 3", "`normalise` must be a mapping"),
        ("normalise: {mean: 0}", "needs `mean`, and one of `variance` and `std`"),
        ("normalise: {mean: 0, std: 1, variance: 1}", "one of `variance` and `std`"),
        ("normalise: {mean: 0, deviation: 1}", "`deviation` is not known here: mean, variance"),
        ("normalise: {mean: [0, .nan], std: 1}", "`mean` is a finite number, or a list"),
        ("normalise: {mean: [0, yes], std: 1}", "`mean` is a finite number, or a list"),
        ("normalise: {mean: 0, std: -1}", "`std` is nowhere negative"),
        ("normalise: {mean: 0, std: 1, clip: [1, 2]}", "`clip` is one number"),
        ("normalise: {mean: 0, std: 1, clip: 0}", "would leave nothing"),
        ("normalise: {mean: 0, variance: [1, 0]}", "a deviation is 0 (feature 1): give `epsilon`"),
        ("normalise: {mean: [1, 2], std: [1, 2, 3]}", "2 means are given and 3 deviations"),
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
