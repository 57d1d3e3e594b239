"""What an ONNX network takes is told before it runs; what nobody can tell is refused by name."""

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper, shape_inference

from policy_server.errors import UploadRejected
from policy_server.policy.onnx_session import open_session
from policy_server.proving.onnx_allowed import check_amount, check_operations
from policy_server.proving.onnx_bounds import MOST_BYTES, needs
from policy_server.proving.onnx_file import inlined
from policy_server.proving.onnx_served import write_served
from tests.support.hostile_onnx import (
    FEATURES,
    KERNEL,
    SIZE_AT,
    beside,
    bomb,
    chained,
    loop,
    network,
    node,
    number,
    sized_by,
    turned_by,
)


def branches(one: list[Any], other: list[Any]) -> dict[str, Any]:
    value = helper.make_tensor_value_info("made", TensorProto.FLOAT, None)
    then, or_else = (helper.make_graph(nodes, "branch", [], [value]) for nodes in (one, other))
    return {"then_branch": then, "else_branch": or_else}


def sparse() -> Any:
    model = network([node("MatMul", "obs dense", "logits")])
    values = numpy_helper.from_array(np.ones(2, np.float32), "dense")
    indices = numpy_helper.from_array(np.array([0, 1]), "places")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [39, 5]))
    return model


def nested(depth: int) -> Any:
    nodes = [node("Identity", "zero", "made")]
    for _ in range(depth):
        nodes = [node("If", "true", "made", **branches(nodes, [node("Neg", "one", "made")]))]
    return beside(nodes, "made")


ENDED_BY_IT = loop("million", ends=[node("Identity", "positive", "goes_on")])
DIVIDED = [node("Div", "five n", "whole"), node("Cast", "whole", "made", to=TensorProto.FLOAT)]
POSITIVE = [
    node("ReduceSum", "obs", "total", keepdims=0),
    node("Less", "zero total", "positive"),
]
LARGE = [node("ConstantOfShape", "wide", "square"), node("MatMul", "square square", "made")]
SMALL = [node("Neg", "one", "made")]
DOUBLE = [node("Concat", "state state", "after", axis=1)]
COUNTED = [
    node("NonZero", "obs", "places"),
    node("Shape", "places", "found"),
    node("ReduceProd", "found", "n", keepdims=1),
    node("ConstantOfShape", "n", "made"),
]
REFUSED: dict[str, tuple[Any, str]] = {
    "a size of the observation": (sized_by(), "`ConstantOfShape` .*depends on the numbers"),
    "turns of the observation": (turned_by(), "`Loop` .*how often the loop turns depends"),
    "a size by what is counted": (beside(COUNTED, "made"), "`ConstantOfShape` .*depends"),
    "a giant constant": (
        beside([node("ConstantOfShape", "giant", "made")], "made"),
        "holds 4294 MB",
    ),
    "a chain of tiles": (chained("Tile", "{} twice", 30), "`Tile` .*holds .* MB"),
    "a chain of doublings": (chained("Concat", "{0} {0}", 30, axis=1), "`Concat` .*holds .* MB"),
    "wide borders": (beside([node("Pad", "obs pads", "made")], "made"), "`Pad` .*holds"),
    "giant draws": (
        beside([node("RandomNormal", "", "made", shape=[1 << 30])], "made"),
        "`RandomNormal` .*holds",
    ),
    "a giant product": (
        beside([*LARGE[:1], node("MatMul", "square square", "made")], "made"),
        "`MatMul` .*multiplications",
    ),
    "an endless loop": (beside(loop("for_ever"), "turned"), "turns more than 256 times"),
    "a loop without a number": (beside(loop("-"), "turned"), "turns more than 256 times"),
    "a loop that grows": (beside(loop("million", "obs", DOUBLE), "turned"), "holds .* MB"),
    "a loop that the observation ends": (beside([*POSITIVE, *ENDED_BY_IT], "turned"),
        "when the loop ends depends on the numbers",
    ),
    "a branch that takes long": (
        beside([*POSITIVE, node("If", "positive", "made", **branches(LARGE, SMALL))], "made"),
        "multiplications|how long it takes depends",
    ),
    "whole numbers divided": (
        beside([*number("size_at"), *DIVIDED], "made"),
        "`Div` .*divided by what may be 0",
    ),
    "a bomb of functions": (bomb(18), "operations, its functions written out"),
    "another domain": (
        network([helper.make_node("Evil", ["obs"], ["logits"], domain="own")]),
        r"not served as ONNX: `own\.Evil`",
    ),
    "texts": (
        beside([node("StringNormalizer", "obs", "text"), node("Neg", "one", "made")], "made"),
        "`StringNormalizer`",
    ),
    "a loop without a body": (
        network([node("Loop", "five true obs", "logits")]),
        "`Loop` .*not those of such an operation",
    ),
    "sparse weights": (sparse(), "sparse weights"),
    "deep nests": (nested(25), "more than 20 deep"),
}  # fmt: skip


def check(model: Any) -> None:
    check_amount(model)
    check_operations(model)
    needs(inlined(model), 1, FEATURES)


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_client_could_blow_up_is_refused_by_name(case: str) -> None:
    model, words = REFUSED[case]
    with pytest.raises(UploadRejected, match=f"(?s){words}"):
        check(model)


def test_unrefused_it_would_make_as_many_numbers_as_a_client_says() -> None:
    model = sized_by()
    model.graph.output.append(helper.make_tensor_value_info("made", TensorProto.FLOAT, None))
    session = open_session(model.SerializeToString())
    for wanted in (0, 1000, 100_000):
        features = np.zeros((1, FEATURES), np.float32)
        features[0, SIZE_AT] = wanted
        logits, made = session.run(None, {"obs": features})
        assert made.size == wanted
        np.testing.assert_allclose(logits, features @ KERNEL, rtol=1e-5)  # nothing tells


MASKED = [
    node("Less", "obs zero", "below"),
    node("NonZero", "below", "places"),
    node("Transpose", "places", "each"),
    node("GatherND", "obs each", "picked"),
    node("Neg", "picked", "turned"),
    node("ScatterND", "obs each turned", "above"),
    node("MatMul", "above kernel", "logits"),
]
OF_THE_BATCH = [
    node("Shape", "obs", "shape"),
    node("Gather", "shape first", "rows"),
    node("Concat", "rows fives", "sizes", axis=0),
    node("Expand", "one sizes", "ones"),
    node("MatMul", "obs kernel", "linear"),
    node("Mul", "linear ones", "logits"),
]
SERVED: dict[str, Any] = {
    "a mask": network(MASKED),
    "sizes of the batch": network(OF_THE_BATCH),
    "a loop of five turns": beside(loop("five", "obs"), "turned"),
    "a loop of five turns that grows": beside(loop("five", "obs", DOUBLE), "turned"),
    "a loop that its counter ends": beside(
        loop("-", "obs", ends=[node("Less", "turn five", "goes_on")]), "turned"
    ),
    "a branch by the observation": beside(
        [
            *POSITIVE,
            node(
                "If",
                "positive",
                "made",
                **branches([node("Neg", "obs", "made")], [node("Abs", "obs", "made")]),
            ),
        ],
        "made",
    ),
    "functions": bomb(5),
    "whole numbers divided by five": beside(
        [
            *number("size_at"),
            node("Div", "n five", "whole"),
            node("Cast", "whole", "made", to=TensorProto.FLOAT),
        ],
        "made",
    ),
}


@pytest.mark.parametrize("case", SERVED)
@pytest.mark.parametrize("rows", [1, 7])
def test_what_is_served_holds_no_more_than_was_told(case: str, rows: int) -> None:
    model = SERVED[case]
    check(model)
    flat = inlined(model)
    told = needs(flat, rows, FEATURES)
    shown = shape_inference.infer_shapes(flat)
    there = {value.name for value in shown.graph.output}
    for each in shown.graph.node:
        for name in each.output:
            if name not in there:
                shown.graph.output.append(onnx.ValueInfoProto(name=name))
    features = np.random.default_rng(rows).standard_normal((rows, FEATURES)).astype(np.float32)
    found = open_session(shown.SerializeToString()).run(None, {"obs": features})
    assert max(each.nbytes for each in found) <= told.bytes <= MOST_BYTES
    assert sum(each.size for each in found) <= told.steps


def test_what_rows_of_a_wide_network_hold_together_is_bounded(tmp_path: Any) -> None:
    nodes = [node("Unsqueeze", "obs columns", "deep"), node("Tile", "deep many", "made")]
    wide = beside(nodes, "made")
    wide.graph.initializer.append(numpy_helper.from_array(np.array([1, 20_000, 1]), "many"))
    write_served(wide, tmp_path / "network.onnx", FEATURES)
    session = open_session(tmp_path / "network.onnx")
    rows = int(session.get_modelmeta().custom_metadata_map["policy_server.rows_at_once"])
    one = 20_000 * FEATURES * 4
    assert one * rows <= MOST_BYTES + 4 * wide.ByteSize()
    assert one * rows * 16 > MOST_BYTES
