"""`pull`, `push` and `fingerprint`: versions from one server to another."""

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast
from urllib.parse import urlsplit

from policy_server.access.audit import Hash, audited
from policy_server.app.copying import copies_of, server_key
from policy_server.app.protection import protect_base_path
from policy_server.app.settings import Settings, read_settings
from policy_server.app.stores import store_of
from policy_server.commands.policy import settings_for
from policy_server.commands.publisher import publisher_of
from policy_server.commands.server_credentials import credentials_for
from policy_server.commands.terminal import print_checks, show_progress
from policy_server.contract.policy_names import DEFAULT, ROOT, path_of
from policy_server.errors import StoreFailed, VersionConflict
from policy_server.files import OWNERS, write_atomically
from policy_server.serving.copying import Copies, Receiver
from policy_server.serving.signed_archive import check_archive
from policy_server.serving.version_report import VersionReport

if TYPE_CHECKING:
    from requests.auth import AuthBase

CREATED_BY = "the command line"


def pull(
    url: str,
    version: str,
    output: str | None = None,
    activate: bool = False,
    user: str | None = None,
    password: str | None = None,
    token: str | None = None,
    policy: str | None = None,
) -> None:
    """Bring a version from another server into BASE_PATH, as it was proven there.

    The other server's key is one of POLICY_SERVER_TRUSTED_KEYS. What was active stays so, unless
    it is to be another.

    Args:
        url: Of the other server.
        version: Its name there.
        output: A file that gets its archive, for `push`; then BASE_PATH stays as it is.
        activate: Let it decide.
        user: Who asks that server; as for publish.
        password: Their password; as for publish.
        token: A bearer token, or a key that may manage, instead; as for publish.
        policy: Which of several, there and here; where URL names one of them, that one there.
    """
    settings = read_settings({"user": user, "password": password, "token": token})
    who = _credentials(settings, url, by_name=token is None and (user, password) != (None, None))
    if output is None:
        settings_for(policy, settings)  # is there one?
    with tempfile.TemporaryFile() as archive:
        try:
            _fetch(_at(url, policy), version, who, archive, settings)
            if output is not None:
                _save(cast(BinaryIO, archive), Path(output))
                return
            report = _receive(cast(BinaryIO, archive), settings, policy, activate)
        except OSError as error:
            where = output or tempfile.gettempdir()
            raise StoreFailed(
                f"The archive cannot be written to {where}: {error.strerror or error}."
            ) from error
    _tell(report, activate)


def push(
    url: str,
    version: str,
    activate: bool = False,
    user: str | None = None,
    password: str | None = None,
    token: str | None = None,
    policy: str | None = None,
) -> None:
    """Bring a version to another server, as it was proven here.

    That server's POLICY_SERVER_TRUSTED_KEYS have what `fingerprint` prints here. What is active
    there stays so, unless it is to be another.

    Args:
        url: Of the other server.
        version: Its name in BASE_PATH, or a file that `pull --output` made.
        activate: Let it decide there.
        user: Who asks that server; as for publish.
        password: Their password; as for publish.
        token: A bearer token, or a key that may manage, instead; as for publish.
        policy: Which of several, as for pull.
    """
    from policy_server.web import copying  # what asks other servers takes long to import

    settings = read_settings({"user": user, "password": password, "token": token})
    who = _credentials(settings, url, by_name=token is None and (user, password) != (None, None))
    with tempfile.TemporaryFile() as archive:
        file = Path(version)
        try:
            if file.is_file():
                with file.open("rb") as source:
                    shutil.copyfileobj(source, archive)
                check_archive(archive)
            else:
                _copies(settings, policy).write(version, archive)
        except OSError as error:
            raise StoreFailed(f"The archive cannot be made: {error}.") from error
        archive.seek(0)
        report = copying.send_archive(_at(url, policy), archive, who, activate, show_progress())
    _tell(report, activate)


def fingerprint() -> None:
    """Print by which name other servers trust what this one hands out."""
    settings = read_settings()
    protect_base_path(settings)
    print(server_key(settings).fingerprint)


def _copies(settings: Settings, policy: str | None) -> Copies:
    protect_base_path(settings)
    return copies_of(settings, store_of(settings_for(policy, settings)))


def _receive(
    archive: BinaryIO, server: Settings, policy: str | None, activate: bool
) -> VersionReport:
    """Take an archive into the store."""
    copies, settings = _copies(server, policy), settings_for(policy, server)
    receiver = publisher_of(Receiver, settings, policy)
    with audited(settings.base_path, "pull", "") as entry:
        arrived = copies.checked(archive)
        entry.hashes = [Hash("archive", arrived.signed.sha256.hex())]
        entry.hashes += [Hash("server", arrived.signed.fingerprint)]
        report = receiver.receive(arrived, activate, CREATED_BY, show_progress())
        entry.subject = report.version
    return report


def _fetch(url: str, version: str, who: "AuthBase", archive: BinaryIO, settings: Settings) -> None:
    from policy_server.web import copying

    show_progress()(f"fetching version {version}")
    copying.fetch_archive(url, version, who, archive, settings.upload_megabytes)


def _credentials(settings: Settings, url: str, *, by_name: bool) -> "AuthBase":
    from policy_server.web import remote

    who = credentials_for(settings, url, by_name)
    return remote.Bearer(who) if isinstance(who, str) else remote.password_of(*who)


def _at(url: str, policy: str | None) -> str:
    """Where a policy is at a server."""
    if policy in (None, DEFAULT) or urlsplit(url).path.startswith(f"{ROOT}/"):
        return url
    return f"{url.rstrip('/').removesuffix('/api')}{path_of(policy or '')}"


def _save(archive: BinaryIO, output: Path) -> None:
    """Keep an archive that is whole as a file: all of it, or nothing."""
    signed = check_archive(archive)
    archive.seek(0)
    write_atomically(output, archive.read(), mode=OWNERS)
    print(f"{output} is signed with the key {signed.fingerprint}.")


def _tell(report: VersionReport, activate: bool) -> None:
    print_checks(report.checks)
    if activate and report.state != "active":
        raise VersionConflict(f"Version {report.version} is not active: see the last check.")
    active = "is active" if report.state == "active" else "is there, and not active"
    print(f"Version {report.version} {active}.")
