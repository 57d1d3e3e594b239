"""The request of the form in the words of other languages; each really runs."""

import json
import shlex

from policy_server.contract.operations import KEY_HEADER
from policy_server.contract.schema import Observation
from policy_server.frontend.client import Client

PASSWORD = "POLICY_SERVER_PASSWORD"
KEY = "POLICY_SERVER_KEY"
MAX_LINES = 40
"""Larger observations are shown without line breaks."""


def snippets(
    client: Client, operation: str, observation: Observation, seed: int | None
) -> dict[str, tuple[str, str]]:
    """Code by the name of its tab, each with its language.

    Secrets are never part of it: it takes them from the environment.
    """
    url = f"{client.address(operation)}{f'?seed={seed}' if seed is not None else ''}"
    compact = json.dumps(observation)
    key = bool(client.credentials.key)
    user = client.credentials.user
    spread = json.dumps(observation, indent=2)
    return {
        "JSON": (spread if spread.count("\n") < MAX_LINES else compact, "json"),
        "curl": (_curl(url, compact, user, key), "bash"),
        "Python": (_python(url, observation, user, key), "python"),
        "Java": (_java(url, compact, user, key), "java"),
        "R": (_r(url, compact, user, key), "r"),
    }


def secret(client: Client) -> str:
    """The variable from which snippets take the secret."""
    return KEY if client.credentials.key else PASSWORD


def _curl(url: str, body: str, user: str, key: bool) -> str:
    who = f'-H "{KEY_HEADER}: ${KEY}"' if key else f'-u {shlex.quote(user)}:"${PASSWORD}"'
    return f"""curl {who} \\
  -H 'Content-Type: application/json' \\
  -d {shlex.quote(body)} \\
  {shlex.quote(url)}"""


def _python(url: str, observation: Observation, user: str, key: bool) -> str:
    who = f'auth=({user!r}, os.environ["{PASSWORD}"]),'
    if key:
        who = f'headers={{"{KEY_HEADER}": os.environ["{KEY}"]}},'
    return f"""import os

import requests

answer = requests.post(
    {url!r},
    json={observation!r},
    {who}
    timeout=10,
)
print(answer.json())"""


def _java(url: str, body: str, user: str, key: bool) -> str:
    if key:
        who, imported = f'.header("{KEY_HEADER}", System.getenv("{KEY}"))', ""
    else:
        imported = "import java.util.Base64;\n"
        secret = f'{_java_text(user + ":")} + System.getenv("{PASSWORD}")'
        encoded = f"Base64.getEncoder().encodeToString(({secret}).getBytes())"
        who = f'.header("Authorization", "Basic " + {encoded})'
    return f"""import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
{imported}
public class Decide {{
  public static void main(String[] arguments) throws Exception {{
    var request = HttpRequest.newBuilder(URI.create({_java_text(url)}))
        .header("Content-Type", "application/json")
        {who}
        .POST(HttpRequest.BodyPublishers.ofString({_java_text(body)}))
        .build();
    var client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
    var answer = client.send(request, HttpResponse.BodyHandlers.ofString());
    System.out.println(answer.body());
  }}
}}"""


def _r(url: str, body: str, user: str, key: bool) -> str:
    who = f'req_auth_basic({_r_text(user)}, Sys.getenv("{PASSWORD}"))'
    if key:
        who = f'req_headers(`{KEY_HEADER}` = Sys.getenv("{KEY}"))'
    return f"""library(httr2)

request({_r_text(url)}) |>
  {who} |>
  req_body_raw({_r_text(body)}, "application/json") |>
  req_perform() |>
  resp_body_string() |>
  cat()"""


def _java_text(text: str) -> str:
    # JSON escapes what Java does, in the same way, as long as it is ASCII.
    return json.dumps(text)


def _r_text(text: str) -> str:
    return json.dumps(text).replace("\\/", "/")
