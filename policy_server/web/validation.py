"""Bodies: parsed strictly, and every fault listed at its JSON pointer."""

import codecs
import json
import math
from collections.abc import AsyncGenerator, Iterable
from typing import Any, NoReturn

from connexion.datastructures import MediaTypeDict
from connexion.exceptions import BadRequestProblem, UnsupportedMediaTypeProblem
from connexion.validators import (
    JSONRequestBodyValidator,
    MultiPartFormDataValidator,
    ParameterValidator,
)
from jsonschema import Draft4Validator
from python_multipart.exceptions import FormParserError
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.types import Receive, Scope

from policy_server.errors import Fault, ObservationError
from policy_server.web.faults import faults_of
from policy_server.web.outdated import outdated

SUMMARY = "The body is not what the contract asks for."


class PlainParameterValidator(ParameterValidator):  # type: ignore[misc]  # connexion is untyped
    """Parameters: what is wrong with one is said in a sentence."""

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
    """JSON bodies: UTF-8, no NaN, no infinities, no numbers beyond float64."""

    async def _parse(self, stream: AsyncGenerator[bytes, None], scope: Scope) -> Any:
        body = b"".join([chunk async for chunk in stream])
        return parse_json(body, self._encoding)

    async def wrap_receive(self, receive: Receive, *, scope: Scope) -> tuple[Receive, Scope]:
        """Validate a body; a client of another schema is told what changed since."""
        try:
            validated: tuple[Receive, Scope] = await super().wrap_receive(receive, scope=scope)
        except ObservationError as error:
            told = outdated(scope, error) if error.summary == SUMMARY else None
            if told is not None:
                raise told from error
            raise
        return validated

    def _validate(self, body: Any) -> None:
        faults = faults_of(self._validator.iter_errors(body))
        if faults:
            raise ObservationError(SUMMARY, faults)


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


def parse_json(body: bytes, charset: str = "utf-8") -> Any:
    """Parse a JSON body.

    Raises:
        ObservationError: It is empty, not JSON, not UTF-8, nested too deeply, or holds a number
            that JSON does not have.
        UnsupportedMediaTypeProblem: Another charset is declared.
    """
    if not _is_utf8(charset):
        raise UnsupportedMediaTypeProblem(f"JSON is sent as UTF-8, not as {charset[:40]!r}.")
    if not body.strip():
        _refuse("the body is empty.")
    try:
        return json.loads(
            body.decode("utf-8"),
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_integer,
        )
    except UnicodeDecodeError as error:
        _refuse(f"not UTF-8 at byte {error.start}.")
    except json.JSONDecodeError as error:
        _refuse(f"not JSON at line {error.lineno}, column {error.colno}: {error.msg}.")
    except RecursionError:
        _refuse("nested too deeply.")


def _check_file(name: str, parts: list[UploadFile | str]) -> None:
    if len(parts) != 1:
        raise BadRequestProblem(f"One part called `{name}` is wanted, {len(parts)} came.")
    (part,) = parts
    if not isinstance(part, UploadFile):
        raise BadRequestProblem(f"`{name}` must be a file: give the part a filename.")
    if not part.size:
        raise BadRequestProblem(f"The file `{name}` is empty.")


def _refuse(detail: str) -> NoReturn:
    raise ObservationError("The body cannot be read.", [Fault("", detail)])


def _refuse_constant(name: str) -> NoReturn:
    _refuse(f"{name} is not a number of JSON.")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        _refuse(f"the number {text[:40]} is too large.")
    return number


def _integer(text: str) -> int:
    _finite(text)
    return int(text)


def _is_utf8(charset: str) -> bool:
    try:
        return codecs.lookup(charset).name in ("utf-8", "ascii")
    except (LookupError, ValueError):
        return False
