"""`GET /versions/{version}/edge`: who gets a package, and what others are told."""

import base64
import hashlib
import io
import json
import zipfile

from tests.support.server import KEY, Server


def path_of(server: Server) -> str:
    return f"versions/{server.get('versions').json()['active']}/edge"


def test_a_package_says_what_it_is_and_is_one_and_the_same_each_time(lpoc_server: Server) -> None:
    path = path_of(lpoc_server)
    answer = lpoc_server.get(path)
    assert answer.status_code == 200, answer.text
    digest = base64.b64encode(hashlib.sha256(answer.content).digest()).decode()
    assert answer.headers["Content-Type"] == "application/zip"
    assert answer.headers["Content-Digest"] == f"sha-256=:{digest}:"
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    name = path.split("/")[1]
    assert f'filename="version-{name}-edge.zip"' in answer.headers["Content-Disposition"]
    again = lpoc_server.get(path, headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        about = json.loads(archive.read("policy.json"))
        lines = archive.read("golden.jsonl").decode().splitlines()
    assert about["version"] == name
    for line in lines[:5]:
        case = json.loads(line)
        decided = lpoc_server.post("predict_deterministic", case["observation"]).json()
        assert [decided["action"]] == case["actions"]
        assert [decided["meaning"]] == case["meanings"]
        assert about["action"][0]["meanings"][decided["action"]] == decided["meaning"]


def test_only_who_manages_gets_a_package_of_a_version_that_is_there(lpoc_server: Server) -> None:
    missing = lpoc_server.get("versions/99-none/edge")
    assert missing.status_code == 404
    assert missing.json()["type"] == "/problems/no-such-version"
    key = {"X-API-Key": KEY}
    assert lpoc_server.get(path_of(lpoc_server), auth=None, headers=key).status_code == 403
