"""Golden cases out of a version's archive, whatever the server sends instead."""

import io
import zipfile
from collections.abc import Sequence
from dataclasses import replace

import pytest

from policy_server.errors import RequestFailed
from policy_server.frontend import golden_source
from policy_server.frontend.client import Client, Credentials
from policy_server.frontend.service import Service
from policy_server.frontend.version_archive import MAX_CASES_MEGABYTES, MEGABYTE, golden_of
from tests.support.raw_server import Piece, http, raw_server
from tests.support.server import ROOT

VERSION = "1-abc"


def zipped(**members: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("_", "/"), content)
    return target.getvalue()


def test_they_are_those_that_were_uploaded(lpoc_service: Service) -> None:
    version = lpoc_service.client.get("versions").json()["active"]
    uploaded = (ROOT / "examples" / "lpoc" / "golden.jsonl").read_bytes()
    assert golden_of(lpoc_service.client, version) == uploaded


def test_who_may_not_manage_is_offered_none(lpoc_service: Service) -> None:
    assert golden_source.offered(replace(lpoc_service, may_manage=False)) == ()


CASES = zipped(golden_cases=b"{}")
LARGE = bytes(MAX_CASES_MEGABYTES * MEGABYTE + 1)


@pytest.mark.parametrize(
    ("pieces", "fault"),
    [
        ([http(b"no archive at all")], "is cut, or none"),
        ([http(CASES[:-9])], "is cut, or none"),
        ([http(CASES, length=len(CASES) + 9), 0.0], "cannot be read|did not come"),
        ([http(zipped(model_upload=b"x"))], "has no golden cases any more"),
        ([http(zipped(golden_cases=LARGE))], "are larger than 16 MB"),
        ([http(b"", length=10**12)], "is larger than 256 MB: it is not read here"),
        ([http(b"", length=1000), *[b"x", 0.02] * 200], "did not come within|cannot be read"),
    ],
)
def test_what_is_no_archive_is_said_with_what_to_do(pieces: Sequence[Piece], fault: str) -> None:
    with raw_server(lambda head, body: pieces) as server, pytest.raises(RequestFailed, match=fault):
        golden_of(Client(server.url, Credentials()), VERSION, seconds=1.0)
