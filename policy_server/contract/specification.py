"""The contract as OpenAPI 2.0: rendered once, checked before anything uses it."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2
import jinja2.sandbox
import yaml

from policy_server.contract.contract import Contract
from policy_server.contract.operations import (
    HEADERS,
    MAX_AUDIT_ENTRIES,
    MAX_BATCH_ITEMS,
    MAX_RAW_ITEMS,
    MAX_SEED,
    OPERATIONS,
    PREFERRED,
    TIMEOUT_PATTERN,
)
from policy_server.contract.pointers import pointer_to, steps_of
from policy_server.contract.sign_in import SignIn
from policy_server.errors import Fault, SchemaError
from policy_server.files import write_atomically

Specification = dict[str, Any]
KEPT_OR_EXPONENT = re.compile(r'("(?:[^"\\]|\\.)*"|[0-9]+\.[0-9]+)|([0-9]+)e')
"""A text or a number with a point; or the digits before an exponent that has no point."""
FACTS: Mapping[str, Any] = {
    "operations": OPERATIONS,
    "headers": HEADERS,
    "limits": {
        "audit": MAX_AUDIT_ENTRIES,
        "batch": MAX_BATCH_ITEMS,
        "raw": MAX_RAW_ITEMS,
        "seed": MAX_SEED,
        "timeout": TIMEOUT_PATTERN,
    },
    "preferred": PREFERRED,
}
"""What the template is given beside the contract: the same for every contract."""
METHODS = ("get", "put", "post", "delete", "options", "head", "patch")


def render_specification(
    contract: Contract, template: Path, sign_in: SignIn | None = None, *, is_server: bool = True
) -> str:
    """Render the template with the contract, sandboxed and strict.

    Args:
        contract: What it says.
        template: Jinja2.
        sign_in: How clients prove who they are beside passwords and keys.
        is_server: It is that of the server, which other policies are made and removed with.

    Returns:
        YAML, not yet checked.

    Raises:
        SchemaError: The template is missing, asks for something it is not given, or is not Jinja2.
    """
    try:
        return _compiled(template.read_text(encoding="utf-8")).render(
            title=contract.title,
            version=contract.version,
            base_path=contract.base_path,
            actions=contract.actions,
            observation=contract.observation,
            observed=contract.schema.is_observed,
            is_server=is_server,
            sign_in=sign_in or SignIn(),
            has_provider=sign_in is not None and sign_in.has_provider,
            **FACTS,
        )
    except Exception as error:  # expressions in the template raise what they like
        line = getattr(error, "lineno", None)
        place = f"{template}:{line}" if line else str(template)
        raise SchemaError("The contract cannot be rendered.", [Fault(place, str(error))]) from error


@lru_cache(maxsize=1)
def _compiled(template: str) -> jinja2.Template:
    """A template, compiled: that takes longer than all else when another contract is served."""
    environment = jinja2.sandbox.SandboxedEnvironment(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    # Keys keep their order: that of the fields is the order of the features.
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False}
    environment.policies["json.dumps_function"] = _json_that_is_yaml
    return environment.from_string(template)


def check_specification(text: str) -> Specification:
    """Parse a rendered contract and make sure that it is one.

    Returns:
        The specification as nested dictionaries.

    Raises:
        SchemaError: With every fault: references that leave the document or lead nowhere; if
            those are sound, invalid OpenAPI 2.0; if that is sound, operationIds that are missing
            or used twice (connexion would let the last one win, without its security).
    """
    if faults := _faults(text):
        raise SchemaError("The rendered contract is not valid OpenAPI 2.0.", faults)
    return parse_specification(text)


def parse_specification(text: str) -> Specification:
    """Parse a rendered contract.

    Raises:
        SchemaError: It is not a YAML mapping.
    """
    try:
        specification = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise SchemaError(
            "The rendered contract is not YAML.", [Fault("swagger.yaml", str(error))]
        ) from error
    if not isinstance(specification, dict):
        raise SchemaError(
            "The rendered contract is not a mapping.", [Fault("swagger.yaml", "see the template.")]
        )
    return specification


def specification_for(
    contract: Contract,
    template: Path,
    folders: Iterable[Path],
    sign_in: SignIn | None = None,
    *,
    is_server: bool = True,
) -> Specification:
    """The checked specification of a contract.

    Args:
        contract: What it says.
        template: What it is rendered from.
        folders: `swagger.yaml` is only written after a check, so a text that one of these folders
            keeps already needs no second one.
        sign_in: How clients prove who they are beside passwords and keys.
        is_server: It is that of the server, which other policies are made and removed with.

    Raises:
        SchemaError: The contract cannot be rendered, or is not valid OpenAPI 2.0.
    """
    text = render_specification(contract, template, sign_in, is_server=is_server)
    if _is_kept(text, folders):
        return parse_specification(text)
    return check_specification(text)


def write_specification(
    contract: Contract,
    template: Path,
    folder: Path,
    others: Iterable[Path] = (),
    sign_in: SignIn | None = None,
    *,
    is_server: bool = True,
) -> Path:
    """Render, check and keep the specification.

    Args:
        contract: What it says.
        template: What it is rendered from.
        folder: Where it is kept.
        others: Folders that may keep the same text, checked.
        sign_in: How clients prove who they are beside passwords and keys.
        is_server: It is that of the server, which other policies are made and removed with.

    Returns:
        Where it was written.

    Raises:
        SchemaError: The contract cannot be rendered, or is not valid OpenAPI 2.0.
    """
    text = render_specification(contract, template, sign_in, is_server=is_server)
    if not _is_kept(text, others):
        check_specification(text)
    write_atomically(specification_path(folder), text)
    return specification_path(folder)


def specification_path(folder: Path) -> Path:
    """Where the rendered specification is kept, in BASE_PATH and in the folder of each version."""
    return folder / "swagger.yaml"


def _is_kept(text: str, folders: Iterable[Path]) -> bool:
    paths = map(specification_path, folders)
    return any(path.is_file() and path.read_bytes() == text.encode() for path in paths)


def operations(specification: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every operation of a specification."""
    for item in specification.get("paths", {}).values():
        for method in METHODS:
            if method in item:
                yield item[method]


def _json_that_is_yaml(value: object, **options: Any) -> str:
    """JSON, spelt so that YAML 1.1 reads the same.

    YAML takes 1e-05 for text, and JSON's pairs of escapes for two characters each.
    """
    text = json.dumps(value, ensure_ascii=False, **options)
    text = "".join(char if char.isprintable() else f"\\U{ord(char):08X}" for char in text)
    return KEPT_OR_EXPONENT.sub(lambda match: match[1] or f"{match[2]}.0e", text)


@lru_cache(maxsize=32)
def _faults(text: str) -> tuple[Fault, ...]:
    """What is wrong with a rendered contract; every version of a policy renders the same one."""
    specification = parse_specification(text)
    # In this order: the validator would follow a reference to a file or another host.
    for check in (_reference_faults, _validator_faults, _operation_faults):
        if faults := check(specification):
            return tuple(faults)
    return ()


def _reference_faults(specification: Specification) -> list[Fault]:
    faults = []
    for reference in _references(specification):
        if not reference.startswith("#/"):
            faults.append(Fault(reference, "only references that begin with #/ are allowed."))
        elif not _leads_somewhere(reference, specification):
            faults.append(Fault(reference, "there is nothing at this place of the document."))
    return faults


def _leads_somewhere(reference: str, node: Any) -> bool:
    for name in steps_of(reference.removeprefix("#")):
        if not isinstance(node, Mapping) or name not in node:
            return False
        node = node[name]
    return True


def _validator_faults(specification: Specification) -> list[Fault]:
    from openapi_spec_validator import OpenAPIV2SpecValidator  # slow to import, needed rarely

    validator = OpenAPIV2SpecValidator(_without_file_type(specification))
    try:
        return [
            Fault(pointer_to(error.absolute_path), error.message.splitlines()[0])
            for error in validator.iter_errors()
        ]
    except Exception as error:  # it counts on sections that it has not checked yet
        return [Fault("", f"it is too unlike OpenAPI 2.0 to be checked: {error!r:.200}.")]


def _operation_faults(specification: Specification) -> list[Fault]:
    counts = Counter(operation.get("operationId") for operation in operations(specification))
    return [
        Fault(str(name), "every operation needs an operationId of its own.")
        for name, count in counts.items()
        if name is None or count > 1
    ]


def _without_file_type(node: Any) -> Any:
    """The validator does not know `type: file`, which Swagger 2.0 has for responses."""
    if isinstance(node, Mapping):
        if node.get("type") == "file" and "in" not in node:
            return {"type": "string", "format": "binary"}
        return {key: _without_file_type(value) for key, value in node.items()}
    return [_without_file_type(value) for value in node] if isinstance(node, list) else node


def _references(node: object) -> Iterator[str]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key == "$ref" and isinstance(value, str):
                yield value
            else:
                yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)
