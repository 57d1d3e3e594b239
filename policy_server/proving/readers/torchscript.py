"""TorchScript (`torch.jit.save`): its code is read, and written as ONNX."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from policy_server.errors import UploadRejected
from policy_server.proving.archive import sound_zip
from policy_server.proving.converted import Converted
from policy_server.proving.foreign.pytorch import torchscript
from policy_server.proving.pickled_tensors import UnreadableWeights
from policy_server.proving.readers.reader import Converter, Marks, ModelUpload
from policy_server.proving.torch_programs.program import Source, agreement
from policy_server.proving.torch_programs.stateful import Buffer, carrying, write_stateful
from policy_server.proving.torch_programs.torchscript_archive import (
    CONSTANTS,
    OBJECTS,
    Script,
    read_script,
)
from policy_server.proving.torch_programs.torchscript_state import StatefulScript
from policy_server.proving.torch_programs.traced import Mismatch, UnknownProgram

MOST_WIDTHS = 64
MATRIX = 2


def recognises(marks: Marks) -> bool:
    """The archive has two pickles, of modules and of constants."""
    return {OBJECTS, CONSTANTS} <= {PurePosixPath(name).name for name in marks.members}


def _convert(upload: ModelUpload, folder: Path) -> Converted:
    """Follow its code once for a batch, and write what it computes."""
    upload.progress("reading the TorchScript program")
    with sound_zip(upload.file, upload.limits) as opened:
        members = opened.contents()
    file = folder / "policy.onnx"
    try:
        script = read_script(members)
        upload.progress("converting the program and proving it")
        difference, buffers = _written(script, upload, file)
    except (UnknownProgram, UnreadableWeights) as error:
        raise UploadRejected(f"The model is not read: {error}. It is {torchscript()}") from error
    description = carrying(upload.description, buffers)
    return Converted(file, description, agreement("TorchScript", difference))


def _written(script: Script, upload: ModelUpload, file: Path) -> tuple[float, list[Buffer]]:
    """Write it for the first shape of its input that it takes; how exactly, and what it carries."""
    faults: list[UnknownProgram] = []
    for sources in _sources(script, upload):
        try:
            return write_stateful(StatefulScript(script.program), sources, script.arrays, file)
        except UnknownProgram as error:
            faults.append(error)
    whatever = [each for each in faults if not isinstance(each, Mismatch)]
    raise next(iter(whatever + faults), UnknownProgram("nothing tells how wide its input is"))


def _sources(script: Script, upload: ModelUpload) -> Iterator[list[Source]]:
    """What the program may take, the likeliest first; of those with buffers, one row as well."""
    usual = list(_usual_sources(script, upload))
    yield from usual
    if script.program.buffers():
        yield from ([replace(each, batch=1) for each in sources] for sources in usual)


def _usual_sources(script: Script, upload: ModelUpload) -> Iterator[list[Source]]:
    names, fields = script.program.inputs, upload.known.fields
    if script.examples:
        vectors = any(len(shape) < MATRIX for shape in script.examples)
        shapes = script.examples if vectors else [shape[1:] for shape in script.examples]
        yield _of_shapes(script, shapes)
        if not vectors:
            first, *others = _of_shapes(script, shapes, script.examples[0][0])
            yield [first, *others]
            sequences = zip(others, script.examples[1:], strict=True)
            yield [first, *(replace(each, shape=shape, batch=0) for each, shape in sequences)]
    elif len(names) == 1:
        for shape in _shapes(script, upload):
            yield _of_shapes(script, [shape])
    elif fields.keys() >= {*names}:
        yield _of_shapes(script, [fields[name].shape or (1,) for name in names])
    else:
        listed = ", ".join(f"`{name[:100]}`" for name in names)
        raise UnknownProgram(
            f"it takes {len(names)} inputs ({listed}), and nothing tells their widths: trace it, "
            "or call fields of the schema as these"
        )


def _of_shapes(
    script: Script, shapes: Sequence[tuple[int, ...]], batch: int | None = None
) -> list[Source]:
    kinds = {array.dtype for array in script.arrays if array.dtype.kind == "f"}
    kind = np.float64 if kinds == {np.dtype(np.float64)} else np.float32
    names = script.program.inputs
    return [Source(name, kind, shape, batch) for name, shape in zip(names, shapes, strict=True)]


def _shapes(script: Script, upload: ModelUpload) -> list[tuple[int, ...]]:
    """Shapes that the only input may have, the likeliest first."""
    fields, known = upload.known.fields.values(), upload.known.width
    shapes = [each.shape for each in fields if len(fields) == 1]
    flat = [(width,) for width in ([known] if known else []) + script.widths[:MOST_WIDTHS]]
    return [*dict.fromkeys([*flat[:1], *shapes, *flat])]


TORCHSCRIPT = Converter(recognises, _convert)
