"""The messages of the Open Inference Protocol over gRPC, which clients and servers agree upon.

They are made of this table when they are first wanted, so that no generated code has to fit the
protobuf that is installed. Entries of maps are messages of their own, which are the same bytes.
"""

from functools import cache
from typing import Any

PACKAGE = "inference"
SERVICE = f"{PACKAGE}.GRPCInferenceService"
MESSAGES = {
    "ServerLiveRequest": "",
    "ServerLiveResponse": "bool live 1",
    "ServerReadyRequest": "",
    "ServerReadyResponse": "bool ready 1",
    "ModelReadyRequest": "string name 1, string version 2",
    "ModelReadyResponse": "bool ready 1",
    "ServerMetadataRequest": "",
    "ServerMetadataResponse": "string name 1, string version 2, string* extensions 3",
    "ModelMetadataRequest": "string name 1, string version 2",
    "TensorMetadata": "string name 1, string datatype 2, int64* shape 3",
    "ModelMetadataResponse": "string name 1, string* versions 2, string platform 3, "
    "TensorMetadata* inputs 4, TensorMetadata* outputs 5",
    "InferParameter": "bool? bool_param 1, int64? int64_param 2, string? string_param 3, "
    "double? double_param 4, uint64? uint64_param 5",
    "Entry": "string key 1, InferParameter value 2",
    "InferTensorContents": "bool* bool_contents 1, int32* int_contents 2, int64* int64_contents 3, "
    "uint32* uint_contents 4, uint64* uint64_contents 5, float* fp32_contents 6, "
    "double* fp64_contents 7, bytes* bytes_contents 8",
    "InferInputTensor": "string name 1, string datatype 2, int64* shape 3, Entry* parameters 4, "
    "InferTensorContents contents 5",
    "InferRequestedOutputTensor": "string name 1, Entry* parameters 2",
    "ModelInferRequest": "string model_name 1, string model_version 2, string id 3, "
    "Entry* parameters 4, InferInputTensor* inputs 5, InferRequestedOutputTensor* outputs 6, "
    "bytes* raw_input_contents 7",
    "InferOutputTensor": "string name 1, string datatype 2, int64* shape 3, Entry* parameters 4, "
    "InferTensorContents contents 5",
    "ModelInferResponse": "string model_name 1, string model_version 2, string id 3, "
    "Entry* parameters 4, InferOutputTensor* outputs 5, bytes* raw_output_contents 6",
}
"""Fields of each: type, name, number; `*` for any number of them, `?` for one of those with it."""
CALLS = ("ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer")


@cache
def message_types() -> dict[str, Any]:
    """The class of each message, by its name."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(
        name="open_inference.proto", package=PACKAGE, syntax="proto3"
    )
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for each in filter(None, fields.split(", ")):
            _add_field(message, *each.split(" "))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))
        for name in MESSAGES
    }


def _add_field(message: Any, kind: str, name: str, number: str) -> None:
    bare = kind.rstrip("*?")
    field = message.field.add(name=name, number=int(number))
    field.label = field.LABEL_REPEATED if kind.endswith("*") else field.LABEL_OPTIONAL
    if bare in MESSAGES:
        field.type, field.type_name = field.TYPE_MESSAGE, f".{PACKAGE}.{bare}"
    else:
        field.type = getattr(field, f"TYPE_{bare.upper()}")
    if kind.endswith("?"):
        if not message.oneof_decl:
            message.oneof_decl.add(name="value")
        field.oneof_index = 0
