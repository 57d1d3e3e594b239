"""Operations are written once: what the specification says of them is what the server does."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest

from policy_server.contract.contract import Contract
from policy_server.contract.operations import (
    ANSWER_SECONDS,
    BUILD_SECONDS,
    HEADERS,
    OPERATIONS,
    Body,
    Operation,
)
from policy_server.contract.reading import read_schema
from policy_server.contract.specification import METHODS, check_specification, render_specification

ROOT = Path(__file__).resolve().parents[2]
CONTRACT = Contract(read_schema("observations: {a: {type: float}}"))
WRITTEN_ONCE = ("policy_server", "api.py", "app.py", "swagger.template.yaml")
HANDLERS = {
    node.name
    for node in ast.parse((ROOT / "policy_server" / "web" / "handlers.py").read_text("utf-8")).body
    if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
}
ELSEWHERE = {"policy_server/contract/operations.py"}
TEXTS = {".py", ".jinja", ".yaml", ".mustache"}


def described() -> dict[str, tuple[str, str, dict[str, Any]]]:
    """Method, path and keywords of every operation of the specification, by its id."""
    text = render_specification(CONTRACT, ROOT / "swagger.template.yaml")
    paths = check_specification(text)["paths"]
    return {
        item[method]["operationId"]: (method, path, item[method])
        for path, item in paths.items()
        for method in METHODS
        if method in item
    }


def found_in_api() -> set[str]:
    """What connexion finds in the checkout's module of operations."""
    body = ast.parse((ROOT / "api.py").read_text("utf-8")).body
    (names,) = (node.value for node in body if isinstance(node, ast.Assign))
    return set(ast.literal_eval(names))


def test_the_specification_and_the_handlers_are_those_of_every_operation_and_no_other() -> None:
    assert described().keys() == OPERATIONS.keys() == HANDLERS == found_in_api()


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=lambda operation: operation.id)
def test_an_operation_is_described_as_it_is_served(operation: Operation) -> None:
    method, path, keywords = described()[operation.id]
    assert (method, path) == (operation.method, operation.path)
    assert keywords.get("x-role", "none") == operation.role.name.lower()
    # What nobody needs a role for is open; all else asks for credentials.
    assert ("security" in keywords) == bool(operation.role)
    assert keywords.get("consumes", []) == [operation.body.media_type] * (
        operation.body is not Body.NONE
    )
    named = {each.get("$ref", "").rpartition("/")[2] for each in keywords.get("parameters", ())}
    assert ("seed" in named) == operation.seeded
    assert ("deterministic" in named) == operation.has_mode
    assert operation.seconds in (ANSWER_SECONDS, BUILD_SECONDS)


def test_a_path_takes_its_parameters_as_one_segment_each() -> None:
    operation = OPERATIONS["predict_batch_with_version"]
    assert operation.path_with(version="3/../x y") == "/versions/3%2F..%2Fx%20y/predict_batch"


@pytest.mark.parametrize("header", HEADERS.values())
def test_headers_are_named_in_one_file(header: str) -> None:
    """Comments and docstrings may say them: what is looked for is a string of code."""
    quoted = re.compile(rf"""["'`]{re.escape(header)}(["':]|` =)""", re.IGNORECASE)
    files = [
        path
        for name in WRITTEN_ONCE
        for path in ([ROOT / name] if (ROOT / name).is_file() else (ROOT / name).rglob("*"))
        if path.suffix in TEXTS
    ]
    assert len(files) > 100
    found = {
        str(path.relative_to(ROOT)) for path in files if quoted.search(path.read_text("utf-8"))
    }
    assert found - ELSEWHERE == set()
    assert quoted.search((ROOT / "policy_server/contract/operations.py").read_text("utf-8"))
