"""Asks a policy server over HTTP; whatever goes wrong becomes a sentence."""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import requests
from requests.auth import HTTPBasicAuth

from policy_server.contract.operations import (
    ANSWER_SECONDS,
    BASE_PATH,
    KEY_HEADER,
    OPERATIONS,
    PREFER_HEADER,
    PREFERRED,
    SCHEMA_HEADER,
    VERSION_HEADER,
)
from policy_server.errors import RequestFailed
from policy_server.frontend.deadline import session
from policy_server.frontend.refusals import Json, json_of, refusal_of

CONNECT_SECONDS = 5
ACCEPTED, ASK_SECONDS = 202, 0.5
"""How a server says that a build goes on, and how soon it is asked again."""
NO_CONTENT = 204
TOKEN_POINTS = 2
BELOW_API = re.compile(rf"(?<!/){BASE_PATH}(/.*)?$")


@dataclass(frozen=True)
class Credentials:
    """Who asks: a user with a password, a key, or a token; empty texts are not sent."""

    user: str = ""
    password: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    token: str = field(default="", repr=False)

    @classmethod
    def of(cls, user: str, password: str, secret: str) -> "Credentials":
        """What somebody has typed.

        Args:
            user: Their name.
            password: Their password.
            secret: Instead, a key, or a token: that has three parts with points between them.
        """
        is_token = secret.count(".") == TOKEN_POINTS
        return cls(user, password, "" if is_token else secret, secret if is_token else "")

    @property
    def header(self) -> tuple[str, str] | None:
        """The header of a key or a token, and what stands in it before that; None for a user."""
        if self.key:
            return KEY_HEADER, ""
        return ("Authorization", "Bearer ") if self.token else None


@dataclass(frozen=True)
class Answered:
    """What was decided, and by what.

    Attributes:
        document: The JSON of the answer.
        version: Of the policy that answered.
    """

    document: Json
    version: str


class Client:
    """One server and the credentials for it.

    Args:
        url: Where the server is, with or without `/api`.
        credentials: Sent with every request.

    Attributes:
        answered_by: The version that took the last decision as the active one; empty before.
    """

    def __init__(self, url: str, credentials: Credentials) -> None:
        self.url = _base(url)
        self.credentials = credentials
        self.answered_by = ""
        self._session = session()
        if credentials.header is not None:
            name, begin = credentials.header
            self._session.headers[name] = f"{begin}{credentials.key or credentials.token}"
        elif credentials.user:
            # As bytes, UTF-8: requests would send Latin-1.
            user, password = credentials.user.encode(), credentials.password.encode()
            self._session.auth = HTTPBasicAuth(user, password)

    def knows(self, schema: str) -> None:
        """Say with every request from now on for which schema it is made, by its hash."""
        self._session.headers[SCHEMA_HEADER] = schema

    @property
    def api(self) -> str:
        """Where the operations begin."""
        return f"{self.url}{BASE_PATH}"

    @property
    def pages(self) -> str:
        """The server's own page, the Swagger UI."""
        return f"{self.api}/ui/"

    def address(self, operation: str, **parameters: str) -> str:
        """Where an operation is, by its id and the parameters of its path."""
        return f"{self.api}{OPERATIONS[operation].path_with(**parameters)}"

    def specification(self) -> Any:
        """The JSON of what the server says of its API; raises ValueError where it is none."""
        return self._ask("GET", f"{self.api}/swagger.json").json()

    def get(
        self,
        operation: str,
        seconds: float = ANSWER_SECONDS,
        query: Mapping[str, object] | None = None,
        **path: str,
    ) -> requests.Response:
        """Get an operation's answer, by the parameters of its path; raises like `post`."""
        return self._ask("GET", self.address(operation, **path), seconds, params=dict(query or {}))

    def stream(self, operation: str, seconds: float, **path: str) -> requests.Response:
        """Begin to get an answer that may be long; the caller reads and closes it.

        Args:
            operation: Its id.
            seconds: That all of it may take, what is read later too.
            path: Parameters of the operation's path.
        """
        return self._ask("GET", self.address(operation, **path), seconds, stream=True)

    def post(self, operation: str, body: object, **query: object) -> Json:
        """Send JSON and return the JSON that comes back.

        Args:
            operation: Its id.
            body: Its JSON.
            query: Of the operation.

        Raises:
            RequestFailed: The server does not answer, or refuses; the message says why, and
                every fault that the server listed is kept.
        """
        content = json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        address = self.address(operation)
        answer = self._ask("POST", address, data=content, headers=headers, params=query)
        return json_of(answer, self.url)

    def decide(
        self,
        operation: str,
        body: object,
        version: str | None = None,
        query: Mapping[str, object] | None = None,
        path: Mapping[str, str] | None = None,
    ) -> Answered:
        """Ask for decisions.

        Args:
            operation: Id of one that decides.
            body: Its JSON.
            version: Must decide; None takes whichever does.
            query: Of the operation.
            path: Parameters of the operation's path.

        Raises:
            RequestFailed: As `post`; with status 409 where another version decides.
            SchemaChanged: It does not fit the schema that the server has now.
        """
        headers = {"Content-Type": "application/json"}
        if version is not None:
            headers[VERSION_HEADER] = version
        content, address = json.dumps(body).encode(), self.address(operation, **(path or {}))
        try:
            answer = self._ask(
                "POST", address, data=content, headers=headers, params=dict(query or {})
            )
        except RequestFailed as error:
            if version is None or not error.summary.startswith(f"Version {version} is asked for"):
                raise
            raise RequestFailed(
                "Another version was activated meanwhile. Ask again, to see what it does.",
                status=error.status,
            ) from error
        decided_by = answer.headers.get(VERSION_HEADER, "")
        if not path:
            self.answered_by = decided_by
        return Answered(json_of(answer, self.url), decided_by)

    def upload(
        self, operation: str, files: Mapping[str, tuple[str, bytes]], *, staged: bool = False
    ) -> Json:
        """Upload files, by the names of their parts, and wait for the build; raises like `post`.

        Args:
            operation: Its id.
            files: Name and content of each.
            staged: What is active stays so.
        """
        query = {"activate": "false"} if staged else {}
        return self._built(operation, self.address(operation), files=files, params=query)

    def activate(self, version: str) -> Json:
        """Let a version decide from now on, and wait until one does; raises like `post`."""
        address = self.address("activate_version", version=version)
        return self._built("activate_version", address)

    def verify(self, version: str) -> Json:
        """Replay the golden cases of a version, and wait for the result; raises like `post`."""
        return self._built("verify_version", self.address("verify_version", version=version))

    def delete(self, version: str) -> None:
        """Remove a version; raises like `post`."""
        self._ask("DELETE", self.address("delete_version", version=version))

    def _built(self, operation: str, address: str, **options: Any) -> Json:
        """What comes of an operation that takes its time."""
        seconds, headers = OPERATIONS[operation].seconds, {PREFER_HEADER: PREFERRED}
        answer = self._ask("POST", address, seconds, headers=headers, **options)
        deadline = time.monotonic() + seconds
        while answer.status_code == ACCEPTED and time.monotonic() < deadline:
            time.sleep(ASK_SECONDS)
            build = answer.headers["Location"].rpartition("/")[2]
            answer = self._ask("GET", self.address("build_answer", build=build))
        return json_of(answer, self.url)

    def _ask(
        self, method: str, address: str, seconds: float = ANSWER_SECONDS, **options: Any
    ) -> requests.Response:
        timeout = (min(seconds, CONNECT_SECONDS), seconds)
        begin = time.monotonic()
        try:
            answer = self._session.request(
                method, address, timeout=timeout, allow_redirects=False, **options
            )
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
            raise RequestFailed(f"{self.url} is not the address of a server.") from error
        except (requests.RequestException, UnicodeError, OSError) as error:
            if isinstance(error, requests.Timeout) or time.monotonic() - begin >= seconds:
                raise RequestFailed(
                    f"{self.url} did not answer within {seconds:g} seconds: ask again, or ask for "
                    "less."
                ) from error
            raise RequestFailed(
                f"No server answers at {self.url}: start it, or check the address."
            ) from error
        if answer.status_code not in ((NO_CONTENT,) if method == "DELETE" else (200, ACCEPTED)):
            raise refusal_of(answer, self.url)
        return answer


def _base(url: str) -> str:
    """The address without what follows the server's name: `/api/ui/` is often pasted along."""
    text = url.strip()
    if "://" not in text:
        text = f"http://{text}"
    return BELOW_API.sub("", text).rstrip("/")
