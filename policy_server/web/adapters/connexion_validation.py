"""Bodies: parsed strictly, and every fault listed at its JSON pointer."""

import asyncio
import codecs
import functools
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from typing import Any

from connexion.datastructures import MediaTypeDict
from connexion.exceptions import BadRequestProblem
from connexion.lifecycle import ConnexionRequest
from connexion.validators import (
    JSONRequestBodyValidator,
    MultiPartFormDataValidator,
    ParameterValidator,
)
from jsonschema import Draft4Validator
from python_multipart.exceptions import FormParserError
from starlette.datastructures import Headers, QueryParams, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.types import Receive, Scope

from policy_server.contract.decoding import LONG_BYTES, REFUSED
from policy_server.contract.operations import Body
from policy_server.errors import ObservationError
from policy_server.serving.decisions import Decode
from policy_server.web.adapters.connexion_request import DECODED, operation_of
from policy_server.web.explaining import SUMMARY, Explainer, validator_of
from policy_server.web.faults import fault_of, faults_of
from policy_server.web.json_text import parse_json
from policy_server.web.limits import unsupported_type
from policy_server.web.outdated import outdated
from policy_server.web.receiving import READING, REFUSAL, replayed, whole_body
from policy_server.web.state import state_of


class PlainParameterValidator(ParameterValidator):  # type: ignore[misc]  # connexion is untyped
    """Parameters: what is wrong with one is said in a sentence, and none may come twice."""

    def validate_query_parameter(
        self, param: dict[str, Any], request: ConnexionRequest
    ) -> str | None:
        """What is wrong with a parameter of the query, None where nothing is."""
        values = QueryParams(request.scope["query_string"]).getlist(param["name"])
        if len(values) > 1:  # to take the first, or the last, would be to guess
            return (
                f"The query parameter `{param['name']}` may come once; it came {len(values)} times."
            )
        wrong: str | None = super().validate_query_parameter(param, request)
        return wrong

    @staticmethod
    def validate_parameter(
        parameter_type: str, value: object, param: dict[str, Any], param_name: str | None = None
    ) -> str | None:
        """What is wrong with a parameter, None where nothing is."""
        name = param_name or param["name"]
        if value is None:
            missing = f"The {parameter_type} parameter `{name}` is missing."
            return missing if param.get("required") else None
        faults = faults_of(Draft4Validator(param).iter_errors(value))
        return f"The {parameter_type} parameter `{name}` {faults[0].detail}" if faults else None

    @staticmethod
    def validate_parameter_list(request_params: Iterable[str], spec_params: Iterable[str]) -> Any:
        """Parameters that the contract does not know; sorted, as sets differ between workers."""
        return sorted(set(request_params) - set(spec_params))


class StrictJsonValidator(JSONRequestBodyValidator):  # type: ignore[misc]
    """JSON bodies: decoded by the contract's decoder, and explained where it refuses them.

    Both happen beside the event loop. What was decoded is left in the scope, and the body goes no
    further.
    """

    async def wrap_receive(self, receive: Receive, *, scope: Scope) -> tuple[Receive, Scope]:
        """Validate a body; a client of another schema is told what changed since."""
        if not int(Headers(scope=scope).get("content-length", 0)):
            raise BadRequestProblem("A body is required.")
        if not _is_utf8(self._encoding):
            operation = operation_of(scope)
            assert operation is not None
            raise unsupported_type(
                f"JSON is sent as UTF-8, not as {self._encoding[:40]!r}.", operation
            )
        body = await whole_body(receive)
        read = functools.partial(_read, body or b"", scope, self._schema)
        try:
            decoded = await asyncio.get_running_loop().run_in_executor(READING, read)
        except ObservationError as error:
            told = outdated(scope, error) if error.summary == SUMMARY else None
            if told is not None:
                raise told from error
            raise
        scope["extensions"][DECODED] = decoded
        return replayed(b"", receive), scope


class StrictMultipartValidator(MultiPartFormDataValidator):  # type: ignore[misc]
    """Multipart bodies: whole, and files where files are asked for."""

    async def _parse(self, stream: AsyncGenerator[bytes, None], scope: Scope) -> dict[str, Any]:
        chunks = [chunk async for chunk in stream]

        async def replay() -> AsyncGenerator[bytes, None]:
            for chunk in chunks:
                yield chunk

        try:
            form = await MultiPartParser(Headers(scope=scope), replay()).parse()
            parsed: dict[str, Any] = await super()._parse(replay(), scope)
        except (MultiPartException, FormParserError, KeyError, ValueError) as error:
            # KeyError: no boundary. ValueError: headers of a part that are no text.
            reason = (
                "no boundary is given" if isinstance(error, KeyError) else str(error).strip(".")
            )
            raise BadRequestProblem(f"The body is not multipart/form-data: {reason}.") from error
        required = self._schema.get("required", ())
        for name in self._schema.get("properties", {}):
            if name in required or name in form:
                _check_file(name, form.getlist(name))
        return parsed


VALIDATORS = {
    "parameter": PlainParameterValidator,
    "body": MediaTypeDict(
        {
            "*/*json": StrictJsonValidator,
            "multipart/form-data": StrictMultipartValidator,
        }
    ),
}


def _read(body: bytes, scope: Scope, schema: Mapping[str, Any]) -> Sequence[Any]:
    """What a body decodes to; raises ObservationError, with every fault where it is short."""
    operation = operation_of(scope)
    assert operation is not None
    service = state_of(scope).service
    decode: Decode = service.plane.decoders[operation.body]
    refusal: Exception | None = scope["extensions"].get(REFUSAL)
    if refusal is None:
        try:
            return decode(body)
        except REFUSED as error:
            refusal = error
    explainer = Explainer(service.contract.decoder)
    body = explainer.shortened(body, operation.body)
    if len(body) <= LONG_BYTES:
        faults = faults_of(validator_of(schema).iter_errors(parse_json(body)))
    elif operation.body is Body.BATCH:
        rows = schema["properties"]["observations"]["items"]
        faults = explainer.long_batch(body, refusal, rows)
    else:
        faults = explainer.long_one(body, refusal)
    # Integers beyond 64 bits are wrong for the decoder alone.
    raise ObservationError(SUMMARY, faults or [fault_of(refusal)])


def _check_file(name: str, parts: list[UploadFile | str]) -> None:
    if len(parts) != 1:
        raise BadRequestProblem(f"One part called `{name}` is wanted, {len(parts)} came.")
    (part,) = parts
    if not isinstance(part, UploadFile):
        raise BadRequestProblem(f"`{name}` must be a file: give the part a filename.")
    if not part.size:
        raise BadRequestProblem(f"The file `{name}` is empty.")


def _is_utf8(charset: str) -> bool:
    try:
        return codecs.lookup(charset).name in ("utf-8", "ascii")
    except (LookupError, ValueError):
        return False
