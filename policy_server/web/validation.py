"""Bodies: parsed strictly, and every fault listed at its JSON pointer."""

import codecs
import json
import math
from collections.abc import AsyncGenerator, Iterable
from typing import Any, NoReturn

from connexion.datastructures import MediaTypeDict
from connexion.exceptions import BadRequestProblem, UnsupportedMediaTypeProblem
from connexion.validators import JSONRequestBodyValidator, MultiPartFormDataValidator
from jsonschema.exceptions import ValidationError
from python_multipart.exceptions import FormParserError
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.types import Scope

from policy_server.errors import Fault, ObservationError

SUMMARY = "The body is not what the contract asks for."
MAX_FAULTS = 100
MAX_DETAIL_CHARACTERS = 300


class StrictJsonValidator(JSONRequestBodyValidator):  # type: ignore[misc]  # connexion is untyped
    """JSON bodies: UTF-8, no NaN, no infinities, no numbers beyond float64."""

    async def _parse(self, stream: AsyncGenerator[bytes, None], scope: Scope) -> Any:
        body = b"".join([chunk async for chunk in stream])
        return parse_json(body, self._encoding)

    def _validate(self, body: Any) -> None:
        faults = [
            Fault(_pointer(error.absolute_path), _detail(error))
            for _, error in zip(range(MAX_FAULTS), self._validator.iter_errors(body), strict=False)
        ]
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
            reason = "no boundary is given" if isinstance(error, KeyError) else str(error)
            raise BadRequestProblem(f"The body is not multipart/form-data: {reason}.") from error
        for name in self._schema.get("properties", {}):
            if any(not isinstance(part, UploadFile) for part in form.getlist(name)):
                raise BadRequestProblem(f"`{name}` must be a file: give the part a filename.")
        return parsed


VALIDATORS = {
    "body": MediaTypeDict(
        {
            "*/*json": StrictJsonValidator,
            "multipart/form-data": StrictMultipartValidator,
        }
    )
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


def _pointer(path: Iterable[str | int]) -> str:
    """RFC 6901."""
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in path)


def _detail(error: ValidationError) -> str:
    message = error.message
    if len(message) > MAX_DETAIL_CHARACTERS:
        message = f"{message[:MAX_DETAIL_CHARACTERS]}..."
    return f"{message}."
