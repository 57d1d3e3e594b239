"""The request of the form in the words of other languages; each really runs."""

import json
import shlex

from policy_server.contract.schema import Observation
from policy_server.frontend.client import Client, Credentials

PASSWORD = "POLICY_SERVER_PASSWORD"
KEY = "POLICY_SERVER_KEY"
TOKEN = "POLICY_SERVER_TOKEN"
MAX_LINES = 40
"""Larger observations are shown without line breaks."""


def snippets(
    client: Client, operation: str, observation: Observation, seed: int | None
) -> dict[str, str]:
    """Code by the name of its tab.

    Secrets are never part of it: it takes them from the environment.
    """
    url = f"{client.address(operation)}{f'?seed={seed}' if seed is not None else ''}"
    compact = json.dumps(observation)
    who = client.credentials
    spread = json.dumps(observation, indent=2)
    return {
        "JSON": spread if spread.count("\n") < MAX_LINES else compact,
        "curl": _curl(url, compact, who),
        "Python": _python(url, observation, who),
        "Java": _java(url, compact, who),
        "R": _r(url, compact, who),
    }


def secret(client: Client) -> str:
    """The variable from which snippets take the secret."""
    return _variable(client.credentials)


def _variable(who: Credentials) -> str:
    if who.token:
        return TOKEN
    return KEY if who.key else PASSWORD


def _curl(url: str, body: str, who: Credentials) -> str:
    variable = _variable(who)
    if who.header is None:
        option = f'-u {shlex.quote(who.user)}:"${variable}"'
    else:
        name, begin = who.header
        option = f'-H "{name}: {begin}${variable}"'
    return f"""curl {option} \\
  -H 'Content-Type: application/json' \\
  -d {shlex.quote(body)} \\
  {shlex.quote(url)}"""


def _python(url: str, observation: Observation, who: Credentials) -> str:
    secret = f'os.environ["{_variable(who)}"]'
    if who.header is None:
        option = f"auth=({who.user!r}, {secret}),"
    else:
        name, begin = who.header
        option = f'headers={{"{name}": {_added(begin, " + ")}{secret}}},'
    return f"""import os

import requests

answer = requests.post(
    {url!r},
    json={observation!r},
    {option}
    timeout=10,
)
print(answer.json())"""


def _java(url: str, body: str, who: Credentials) -> str:
    secret, imported = f'System.getenv("{_variable(who)}")', ""
    if who.header is None:
        imported = "import java.util.Base64;\n"
        pair = f"{_java_text(who.user + ':')} + {secret}"
        encoded = f"Base64.getEncoder().encodeToString(({pair}).getBytes())"
        header = f'.header("Authorization", "Basic " + {encoded})'
    else:
        name, begin = who.header
        header = f'.header("{name}", {_added(begin, " + ")}{secret})'
    return f"""import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
{imported}
public class Decide {{
  public static void main(String[] arguments) throws Exception {{
    var request = HttpRequest.newBuilder(URI.create({_java_text(url)}))
        .header("Content-Type", "application/json")
        {header}
        .POST(HttpRequest.BodyPublishers.ofString({_java_text(body)}))
        .build();
    var client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
    var answer = client.send(request, HttpResponse.BodyHandlers.ofString());
    System.out.println(answer.body());
  }}
}}"""


def _r(url: str, body: str, who: Credentials) -> str:
    secret = f'Sys.getenv("{_variable(who)}")'
    if who.header is None:
        call = f"req_auth_basic({_r_text(who.user)}, {secret})"
    else:
        name, begin = who.header
        call = f"req_headers(`{name}` = paste0({_added(begin, ', ')}{secret}))"
    return f"""library(httr2)

request({_r_text(url)}) |>
  {call} |>
  req_body_raw({_r_text(body)}, "application/json") |>
  req_perform() |>
  resp_body_string() |>
  cat()"""


def _added(begin: str, between: str) -> str:
    """A text in front of a secret, as code; empty where there is none."""
    return f'"{begin}"{between}' if begin else ""


def _java_text(text: str) -> str:
    # JSON escapes what Java does, in the same way, as long as it is ASCII.
    return json.dumps(text)


def _r_text(text: str) -> str:
    return json.dumps(text).replace("\\/", "/")
