"""`publish` and `check`: a folder becomes a version that is proven to serve."""

import contextlib
from pathlib import Path

from policy_server.access.audit import audited
from policy_server.app.settings import Settings, contracts_of, read_settings
from policy_server.commands.policy import made, settings_for
from policy_server.commands.publisher import publisher_of
from policy_server.commands.server_credentials import credentials_for
from policy_server.commands.terminal import print_checks, print_warning, show_progress
from policy_server.contract.policy_names import DEFAULT
from policy_server.errors import SchemaError, VersionConflict
from policy_server.serving.bundle import Bundle
from policy_server.serving.policy_folder import open_policy_folder
from policy_server.serving.publication import Publisher
from policy_server.serving.version_report import VersionReport

CREATED_BY = "the command line"


def publish(
    folder: str,
    url: str | None = None,
    user: str | None = None,
    password: str | None = None,
    token: str | None = None,
    golden: str | None = None,
    policy: str | None = None,
) -> None:
    """Build what a folder holds, and activate it as one.

    Args:
        folder: Holds saved_model.zip or policy.onnx, and if wanted model.yaml,
            preprocessing.yaml or preprocessor.py, output_mapper.yaml, schema.yaml (without
            it the contract stays), and golden.jsonl or golden.npz.
        url: Of a running server that is to do it; by default it is done here, in BASE_PATH.
        user: Who asks that server; by default POLICY_SERVER_USER.
        password: Their password; by default POLICY_SERVER_PASSWORD, or what a server on this
            machine keeps in BASE_PATH.
        token: A bearer token, or a key that may manage, instead of user and password; by default
            POLICY_SERVER_TOKEN.
        golden: A file of golden cases, instead of the folder's own.
        policy: Which of several; it is made where there is none of this name.
    """
    settings = read_settings({"user": user, "password": password, "token": token})
    with open_policy_folder(Path(folder), Path(golden) if golden else None) as bundle:
        if url is not None:
            by_name = token is None and (user, password) != (None, None)
            report = _publish_to(url, bundle, settings, policy, by_name=by_name)
        else:
            settings = made(policy, settings, bundle.schema, bundle.schema_file)
            publisher = publisher_of(Publisher, settings, policy)
            _tell_of_schema(bundle, settings)
            with audited(settings.base_path, "publish", "") as entry:
                report = publisher.publish(bundle, show_progress(), CREATED_BY)
                entry.subject = report.version
    print_checks(report.checks)
    if report.state != "active":
        raise VersionConflict(f"Version {report.version} is not active: see the last check.")
    print(f"Version {report.version} is active.")


def check(folder: str, golden: str | None = None, policy: str | None = None) -> None:
    """Build like publish, but activate nothing: a report.

    Args:
        folder: As for publish.
        golden: As for publish.
        policy: Which of several it is for.
    """
    settings = settings_for(policy, read_settings())
    with open_policy_folder(Path(folder), Path(golden) if golden else None) as bundle:
        _tell_of_schema(bundle, settings)
        report = publisher_of(Publisher, settings, policy).check(bundle, show_progress())
    print_checks(report.checks)
    report.raise_unless_ready()
    print("It would serve. Nothing was activated.")


def _publish_to(
    url: str, bundle: Bundle, settings: Settings, policy: str | None, *, by_name: bool
) -> VersionReport:
    """Have a running server do it."""
    from policy_server.web import remote  # what asks other servers takes long to import

    who = credentials_for(settings, url, by_name)
    credentials = remote.Bearer(who) if isinstance(who, str) else remote.password_of(*who)
    if policy not in (None, DEFAULT):
        url = remote.made(url, policy or "", bundle.schema, credentials)
    return remote.publish_to(url, bundle, credentials, show_progress())


def _tell_of_schema(bundle: Bundle, settings: Settings) -> None:
    """Warn where a folder's own schema is another than the one that is served."""
    contracts = contracts_of(settings)
    if bundle.schema is None:
        return
    with contextlib.suppress(SchemaError, UnicodeDecodeError):  # which the publisher explains
        served = contracts.served()
        changed = contracts.of_schema(bundle.schema.decode(), bundle.schema_file)
        for warning in changed.schema.warnings:
            print_warning(warning)
        if changed.digest != served.digest:
            print_warning(
                f"the API changes: {bundle.schema_file} is not the schema that was served."
            )
