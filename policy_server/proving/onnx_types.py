"""Types of numbers, as ONNX counts them: TensorProto.DataType."""

FLOAT, INT64 = 1, 7
INTEGER_TYPES = (2, 3, 4, 5, 6, 7, 12, 13)
"""From UINT8 to INT64, UINT32 and UINT64."""
REAL_TYPES = (FLOAT, 10, 11)
"""FLOAT, FLOAT16 and DOUBLE."""
