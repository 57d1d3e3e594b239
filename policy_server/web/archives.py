"""Archives as answers: of SDKs, and of a version, which is sent piece by piece."""

import base64
import os
import tempfile
from collections.abc import Callable
from functools import partial
from typing import BinaryIO

import flask
from werkzeug.wsgi import wrap_file

from policy_server.clients.library import ClientLibrary
from policy_server.contract.operations import ARCHIVE, ZIP
from policy_server.errors import StoreFailed
from policy_server.serving.copying import Copies
from policy_server.serving.edge.package import Packages
from policy_server.web.application import on_loop


def archive_of(copies: Copies, version: str) -> flask.Response:
    """The archive of a version.

    Raises:
        VersionNotFound: There is no such version.
        VersionConflict: It is in no state to be copied.
        StoreFailed: There is no room to make the archive, or no key to sign it with.
    """
    return _written(
        lambda file: copies.write(version, file).sha256, ARCHIVE, f"version-{version}.policy"
    )


def edge_of(packages: Packages, version: str) -> flask.Response:
    """The package of a version.

    Raises:
        VersionNotFound: There is no such version.
        VersionConflict: It has something that cannot travel.
        StoreFailed: There is no room to make the package.
    """
    return _written(partial(on_loop, packages.write, version), ZIP, f"version-{version}-edge.zip")


def sdks_of(clients: ClientLibrary, language: str | None) -> flask.Response:
    """The SDK of a language, or those of all."""
    answer = flask.Response(clients.archive(language), mimetype=ZIP)
    answer.add_etag()
    return _to_be_kept(answer, f"clients-{language}.zip" if language else "clients.zip")


def _written(write: Callable[[BinaryIO], bytes], media_type: str, name: str) -> flask.Response:
    """What is written to a file, sent piece by piece; `write` gives its SHA-256."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - it is closed once it is sent
    try:
        digest = write(file)
        length = file.seek(0, os.SEEK_END)
        file.seek(0)
    except OSError as error:
        file.close()
        raise StoreFailed(
            f"The archive cannot be written to {tempfile.gettempdir()}: {error.strerror or error}."
        ) from error
    except BaseException:
        file.close()
        raise
    answer = flask.Response(
        wrap_file(flask.request.environ, file), mimetype=media_type, direct_passthrough=True
    )
    answer.content_length = length
    answer.headers["Content-Digest"] = f"sha-256=:{base64.b64encode(digest).decode()}:"
    answer.set_etag(digest.hex())
    return _to_be_kept(answer, name)


def _to_be_kept(answer: flask.Response, name: str) -> flask.Response:
    """The answer as a file of this name, which is not sent to who has it."""
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    answer.headers["Cache-Control"] = "private, no-cache"
    answer.make_conditional(flask.request)
    return answer
