"""TorchScript (`torch.jit.save`): its code is read, and written as ONNX."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from policy_server.errors import UploadRejected
from policy_server.proving.archive import sound_zip
from policy_server.proving.converted import Converted
from policy_server.proving.foreign.pytorch import torchscript
from policy_server.proving.pickled_tensors import UnreadableWeights
from policy_server.proving.readers.reader import Converter, Marks, ModelUpload
from policy_server.proving.torch_programs.operators import MEMORY, unread
from policy_server.proving.torch_programs.program import (
    Source,
    agreement,
    named_outputs,
    write_program,
)
from policy_server.proving.torch_programs.torchscript_archive import (
    CONSTANTS,
    OBJECTS,
    Script,
    read_script,
)
from policy_server.proving.torch_programs.traced import Mismatch, UnknownProgram

MOST_WIDTHS = 64


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
        difference = _written(script, upload, file)
    except (UnknownProgram, UnreadableWeights) as error:
        raise UploadRejected(f"The model is not read: {error}. It is {torchscript()}") from error
    return Converted(file, upload.description, agreement("TorchScript", difference))


def _written(script: Script, upload: ModelUpload, file: Path) -> float:
    """Write it for the first shape of its input that it takes."""
    names = script.program.inputs
    if len(names) != 1:
        raise UnknownProgram(f"it takes {len(names)} inputs, and one is read")
    faults: list[UnknownProgram] = []
    for shape, batch in _shapes(script, upload):
        source = Source(names[0], np.float32, (-1, *shape), batch)
        try:
            return write_program(
                lambda inputs: named_outputs(script.program.run(inputs)),
                [source],
                script.sizes,
                file,
            )
        except UnknownProgram as error:
            faults.append(error)
    if memory := script.program.attributes.intersection(MEMORY):
        # Such code raises errors for batches that its state is not made for.
        raise UnknownProgram(unread(min(memory)))
    whatever = [each for each in faults if not isinstance(each, Mismatch)]
    raise next(iter(whatever + faults), UnknownProgram("nothing tells how wide its input is"))


def _shapes(script: Script, upload: ModelUpload) -> Iterator[tuple[tuple[int, ...], int | None]]:
    """Shapes of the input without the batch, and the batch where it is fixed; likeliest first."""
    if script.examples:
        shape = script.examples[0]
        if len(shape) > 1:
            yield shape[1:], None
            yield shape[1:], shape[0]
        else:  # of one observation, without an axis for a batch
            yield shape, None
        return
    fields = upload.known.fields.values()
    known = upload.known.width
    shapes = [each.shape for each in fields if len(fields) == 1]
    widths = ([known] if known else []) + script.widths[:MOST_WIDTHS]
    flat = [(width,) for width in widths]
    for shape in dict.fromkeys([*flat[:1], *shapes, *flat]):
        yield shape, None


TORCHSCRIPT = Converter(recognises, _convert)
