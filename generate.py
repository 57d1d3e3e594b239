"""The command line: `python generate.py schema|publish|check|clients|clean`."""

import json
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import fire
from fire.decorators import SetParseFn

from configuration import TEMPLATE, Settings, read_contract, read_settings
from policy_server.build.report import Check
from policy_server.contract.contract import (
    DEFAULT_TITLE,
    DEFAULT_VERSION,
    Contract,
    ContractFile,
)
from policy_server.contract.reading import read_schema
from policy_server.contract.samples import random_observations
from policy_server.contract.specification import write_specification
from policy_server.errors import (
    ClientsUnavailable,
    Fault,
    PolicyServerError,
    SchemaError,
    UploadRejected,
    VersionNotFound,
)
from policy_server.serving.policy_folder import SCHEMA_FILE, open_policy_folder
from policy_server.serving.publication import Publisher
from policy_server.store.store import Store

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
    "pointers.lock",
)

CREATED_BY = "the command line"


class Commands:
    """Prepare what the policy server serves.

    Settings come from the environment and from .env: docs/configuration.md lists them.
    """

    # Fire would read the version 1.10 as the number 1.1.
    @SetParseFn(str)  # type: ignore[untyped-decorator]
    def schema(self, path: str, title: str = DEFAULT_TITLE, version: str = DEFAULT_VERSION) -> None:
        """Make the API from an observation schema.

        Args:
            path: The schema file, or - for text on standard input.
            title: Name of the API, and of its SDKs.
            version: Version of the API.
        """
        settings = read_settings()
        text, file = _read_text(path)
        given = ContractFile(
            text, title, version, settings.tuple_actions, settings.discrete_actions
        )
        contract = given.resolve(file=file)
        for warning in contract.schema.warnings:
            _warn(warning)
        specification = write_specification(contract, TEMPLATE, settings.base_path)
        replace(given, schema=contract.schema.text).write(settings.base_path)
        print(
            f"{contract.title} {contract.version}: observations of {len(contract.schema.fields)} "
            f"fields, {_kind(contract)}. The contract is {specification}."
        )
        _warn_of_stale_version(settings, contract)

    def publish(self, folder: str) -> None:
        """Build a folder's model, preprocessor and output mapper, and activate them.

        Args:
            folder: Holds saved_model.zip or policy.onnx, and if wanted preprocessor.py,
                output_mapper.yaml and schema.yaml (used where there is no schema yet).
        """
        settings = read_settings()
        own = Path(folder) / SCHEMA_FILE
        if own.is_file() and not ContractFile.path(settings.base_path).exists():
            self.schema(str(own))
        contract = _contract_for(Path(folder), settings)
        with open_policy_folder(Path(folder)) as parts:
            report = _publisher(settings, contract).publish(parts, _progress(), CREATED_BY)
        _print_checks(report.checks)
        print(f"Version {report.version} is active.")

    def check(self, folder: str) -> None:
        """Build like publish, but activate nothing: a report.

        Args:
            folder: As for publish.
        """
        settings = read_settings()
        contract = _contract_for(Path(folder), settings)
        with open_policy_folder(Path(folder)) as parts:
            report = _publisher(settings, contract).check(parts, _progress())
        _print_checks(report.checks)
        if not report.ready:
            raise UploadRejected(report.rejected or "Incomplete: see the checks that failed.")
        print("It would serve. Nothing was activated.")

    def example(self) -> None:
        """Print a command that asks the server for a decision."""
        settings = read_settings()
        schema = read_contract(settings).schema
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

    def clients(self) -> None:
        """Make the SDKs."""
        raise ClientsUnavailable("This version does not make SDKs yet.")

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
        if not yes and not _confirmed("Remove all of this?"):
            print("Nothing was removed.")
            return
        for path in found:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        print("Removed.")


def _read_text(path: str) -> tuple[str, str]:
    """The text of a schema file, and what to call it."""
    file = "standard input" if path == "-" else path
    try:
        return (sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")), file
    except (OSError, UnicodeDecodeError) as error:
        raise SchemaError("The schema cannot be read.", [Fault(file, str(error))]) from error


def _contract_for(folder: Path, settings: Settings) -> Contract:
    """The contract that is served; where there is none yet, the folder's own schema makes one."""
    own = folder / SCHEMA_FILE
    if not own.is_file():
        return read_contract(settings)
    text, file = _read_text(str(own))
    if not ContractFile.path(settings.base_path).exists():
        given = ContractFile(text, tuple=settings.tuple_actions, discrete=settings.discrete_actions)
        return given.resolve(file=file)
    contract = read_contract(settings)
    if read_schema(text, file).digest != contract.schema.digest:
        _warn(
            f"{own} is not the schema that is served; the parts are checked against the one that "
            f"is. To serve this one: python generate.py schema {own}"
        )
    return contract


def _publisher(settings: Settings, contract: Contract) -> Publisher:
    return Publisher(
        Store(settings.base_path), contract, settings.build_limits, settings.keep_versions
    )


def _warn_of_stale_version(settings: Settings, contract: Contract) -> None:
    store = Store(settings.base_path)
    active = store.active()
    try:
        stale = active is not None and store.manifest(active).contract != contract.digest
    except VersionNotFound:
        stale = True
    if stale:
        _warn(
            f"version {active} was proven against another schema and will not decide: publish "
            "its folder again, or upload its parts."
        )


def _kind(contract: Contract) -> str:
    kind = "discrete" if contract.discrete else "continuous"
    return f"tuples of {kind} actions" if contract.tuple else f"{kind} actions"


def _progress() -> Callable[[str], None]:
    """Prints what is being done, with the seconds since the start."""
    start = time.monotonic()

    def show(step: str) -> None:
        print(f"  {time.monotonic() - start:5.1f} s  {step} ...", file=sys.stderr, flush=True)

    return show


def _print_checks(checks: Iterable[Check]) -> None:
    for check in checks:
        print(f"  {'ok    ' if check.passed else 'FAILED'}  {check.name}: {check.detail}")


def _warn(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr)


def _confirmed(question: str) -> bool:
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


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
