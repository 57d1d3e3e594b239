"""Archives of torch.export (.pt2): their graph is read, and written as ONNX."""

from pathlib import Path, PurePosixPath

from policy_server.errors import UploadRejected
from policy_server.proving.archive import sound_zip
from policy_server.proving.converted import Converted
from policy_server.proving.foreign.pytorch import exported_program
from policy_server.proving.pickled_tensors import UnreadableWeights
from policy_server.proving.readers.reader import Converter, Marks, ModelUpload
from policy_server.proving.torch_programs.exported_program import GRAPHS, ExportedProgram
from policy_server.proving.torch_programs.program import agreement
from policy_server.proving.torch_programs.stateful import carrying, write_stateful
from policy_server.proving.torch_programs.traced import UnknownProgram

MARKS = ("archive_format", "serialized_exported_program.json")


def recognises(marks: Marks) -> bool:
    """The archive says so, or holds a graph under a name that nothing else has."""
    names = {PurePosixPath(name).name for name in marks.members}
    return bool(names & {*MARKS}) and bool(names & {*GRAPHS})


def _convert(upload: ModelUpload, folder: Path) -> Converted:
    """Follow its graph once for a batch, and write what it computes."""
    upload.progress("reading the exported program")
    with sound_zip(upload.file, upload.limits) as opened:
        members = opened.contents()
    file = folder / "policy.onnx"
    try:
        program = ExportedProgram(members)
        upload.progress("converting the program and proving it")
        difference, buffers = write_stateful(program, program.sources, program.arrays, file)
    except (UnknownProgram, UnreadableWeights) as error:
        raise UploadRejected(
            f"The model is not read: {error}. It is {exported_program()}"
        ) from error
    description = carrying(upload.description, buffers)
    return Converted(file, description, agreement("torch.export", difference))


EXPORTED_PROGRAM = Converter(recognises, _convert)
