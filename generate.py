"""The command line: `python generate.py schema|publish|check|clients|clean`."""

import contextlib
import json
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import fire
from fire.decorators import SetParseFn

from configuration import TEMPLATE, Settings, contracts_of, read_settings
from policy_server.clients.library import ClientLibrary
from policy_server.contract.contract import (
    DEFAULT_TITLE,
    DEFAULT_VERSION,
    Contract,
    ContractFile,
)
from policy_server.contract.history import SchemaHistory
from policy_server.contract.samples import random_observations
from policy_server.contract.specification import write_specification
from policy_server.errors import (
    ClientsFailed,
    ClientsUnavailable,
    ConfigurationError,
    Fault,
    PolicyServerError,
    SchemaError,
    VersionNotFound,
)
from policy_server.serving.bundle import Bundle
from policy_server.serving.policy_folder import open_policy_folder
from policy_server.serving.publication import Publisher
from policy_server.store.store import Store
from policy_server.web.remote import publish_to
from terminal import confirmed, print_checks, print_warning, read_text, show_progress

GENERATED = (
    "contract.json",
    "swagger.yaml",
    "credentials",
    "active",
    "active.new",
    "candidate",
    "candidate.new",
    "versions",
    "staging",
    "workers",
    "lock",
    "clients",
    "schemas",
    "pointers.lock",
    "frontend",
)

CREATED_BY = "the command line"


LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Commands:
    """Prepare what the policy server serves.

    Settings come from the environment and from .env: docs/configuration.md lists them.
    """

    # Fire would read the version 1.10 as the number 1.1.
    @SetParseFn(str, "path", "title", "version")  # type: ignore[untyped-decorator]
    def schema(
        self,
        path: str,
        title: str = DEFAULT_TITLE,
        version: str = DEFAULT_VERSION,
        clients: bool = True,
    ) -> None:
        """Make the API from an observation schema.

        Args:
            path: The schema file, or - for text on standard input.
            title: Name of the API, and of its SDKs.
            version: Version of the API.
            clients: Make the SDKs too; without them the server does when it is asked for them.
        """
        settings = read_settings()
        text, file = read_text(path)
        given = ContractFile(text, title, version).saying(settings.actions)
        contract = given.resolve(file=file)
        for warning in contract.schema.warnings:
            print_warning(warning)
        SchemaHistory(settings.base_path).keep(contract.schema)
        store = Store(settings.base_path)
        with store.writing():
            specification = write_specification(contract, TEMPLATE, settings.base_path)
            replace(given, schema=contract.schema.text).write(settings.base_path)
            stale = _deactivate_stale_version(store, contract)
        print(
            f"{contract.title} {contract.version}: observations of {len(contract.schema.fields)} "
            f"fields, {contract.actions.words}. The contract is {specification}."
        )
        if stale is not None:
            print_warning(
                f"version {stale} was proven against another schema, and no longer decides: "
                "publish its folder again, or upload its parts."
            )
        if clients:
            try:
                _make_clients(settings, contract, ())
            except ClientsUnavailable as error:
                print_warning(str(error))

    def publish(
        self,
        folder: str,
        url: str | None = None,
        user: str | None = None,
        password: str | None = None,
        golden: str | None = None,
    ) -> None:
        """Build what a folder holds, and activate it as one.

        Args:
            folder: Holds saved_model.zip or policy.onnx, and if wanted model.yaml,
                preprocessor.py, output_mapper.yaml, schema.yaml (without it the contract stays),
                and golden.jsonl or golden.npz.
            url: Of a running server that is to do it; by default it is done here, in BASE_PATH.
            user: Who asks that server; by default POLICY_SERVER_USER.
            password: Their password; by default POLICY_SERVER_PASSWORD, or what a server on this
                machine keeps in BASE_PATH.
            golden: A file of golden cases, instead of the folder's own.
        """
        settings = read_settings({"user": user, "password": password})
        with open_policy_folder(Path(folder), Path(golden) if golden else None) as bundle:
            if url is not None:
                report = publish_to(url, bundle, *_credentials(settings, url))
            else:
                _tell_of_schema(bundle, settings)
                report = _publisher(settings).publish(bundle, show_progress(), CREATED_BY)
        print_checks(report.checks)
        print(f"Version {report.version} is active.")

    def check(self, folder: str, golden: str | None = None) -> None:
        """Build like publish, but activate nothing: a report.

        Args:
            folder: As for publish.
            golden: As for publish.
        """
        settings = read_settings()
        with open_policy_folder(Path(folder), Path(golden) if golden else None) as bundle:
            _tell_of_schema(bundle, settings)
            report = _publisher(settings).check(bundle, show_progress())
        print_checks(report.checks)
        report.raise_unless_ready()
        print("It would serve. Nothing was activated.")

    def example(self) -> None:
        """Print a command that asks the server for a decision."""
        settings = read_settings()
        schema = contracts_of(settings).served().schema
        observation = schema.example() or random_observations(schema, 1, seed=0)[0]
        body = shlex.quote(json.dumps(observation))
        credentials = settings.base_path / "credentials"
        user = f'"$(cat {shlex.quote(str(credentials))})"'
        if settings.password:
            user = f'"{settings.user}:$POLICY_SERVER_PASSWORD"'
        print(
            f"curl -u {user} -H 'Content-Type: application/json' -d {body} "
            f"http://{settings.host}:{settings.port}/api/predict"
        )

    @SetParseFn(str)  # type: ignore[untyped-decorator]
    def clients(self, language: str | None = None, engine: str | None = None) -> None:
        """Make the SDKs of the contract that is served.

        Args:
            language: Only these, separated by commas: python, java, scala, r, typescript.
            engine: openapi-generator, or swagger-codegen, which knows no typescript.
        """
        settings = read_settings({"clients_engine": engine})
        languages = tuple(name.strip() for name in (language or "").split(",") if name.strip())
        if not _make_clients(settings, contracts_of(settings).served(), languages):
            raise ClientsFailed("Not every SDK could be made.")

    def clean(self, yes: bool = False) -> None:
        """Remove everything generated and uploaded, below BASE_PATH and nowhere else.

        Args:
            yes: Do not ask.
        """
        base = read_settings().base_path
        found = [path for path in (base / name for name in GENERATED) if path.exists()]
        if not found:
            print(f"Nothing to remove in {base}.")
            return
        print("\n".join(["To be removed:", *(f"  {path}" for path in found)]))
        if not yes and not confirmed("Remove all of this?"):
            print("Nothing was removed.")
            return
        for path in found:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        print("Removed.")


def _publisher(settings: Settings) -> Publisher:
    return Publisher(
        Store(settings.base_path),
        contracts_of(settings),
        settings.build_limits,
        settings.keep_versions,
    )


def _credentials(settings: Settings, url: str) -> tuple[str, str]:
    """User and password for a server; the generated ones never leave this machine."""
    kept = settings.base_path / "credentials"
    if settings.password is None and urlsplit(url).hostname in LOOPBACK and kept.is_file():
        user, _, password = kept.read_text(encoding="utf-8").strip().partition(":")
        return user, password
    if settings.password is None:
        fault = Fault("POLICY_SERVER_PASSWORD", f"{url} wants a password: set it, or --password.")
        raise ConfigurationError("The policy cannot be published.", [fault])
    return settings.user, settings.password


def _make_clients(settings: Settings, contract: Contract, languages: Sequence[str]) -> bool:
    """Make SDKs, and say which; whether all of them could be made."""
    specification = contracts_of(settings).specification(contract)
    library = ClientLibrary(settings.base_path, contract, specification, settings.generator)
    made = library.build(languages, show_progress())
    for name, failure in made.items():
        print(f"  {'FAILED' if failure else 'ok    '}  {name}{f': {failure}' if failure else ''}")
    if all(made.values()):
        return False
    print(f"The SDKs are in {library.folder}; GET /api/clients hands them out.")
    return not any(made.values())


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


def _deactivate_stale_version(store: Store, contract: Contract) -> str | None:
    """Let the active version decide no longer if it was proven against another contract."""
    active = store.active()
    if active is None:
        return None
    try:
        stale = store.manifest(active).contract != contract.digest
    except VersionNotFound:
        stale = True
    if not stale:
        return None
    store.deactivate()
    return active


def main(arguments: Sequence[str]) -> None:
    """Run one command; exit code 2, with every fault, where it cannot be done."""
    try:
        # Fire would take `-` for its separator; here it stands for standard input.
        separator = ["--", "--separator=\0"] if "-" in arguments else []
        fire.Fire(Commands(), [*arguments, *separator], name="generate.py")
    except PolicyServerError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from error


if __name__ == "__main__":
    main(sys.argv[1:])
