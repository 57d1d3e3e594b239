"""Which contract is served: that of the active version, or that of BASE_PATH if none is active."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

from policy_server.contract.actions import ActionSettings
from policy_server.contract.contract import Contract, ContractFile
from policy_server.contract.encoding import not_utf8
from policy_server.contract.reading import read_schema
from policy_server.contract.sign_in import SignIn
from policy_server.contract.specification import (
    Specification,
    specification_for,
    write_specification,
)
from policy_server.errors import SchemaError, UploadRejected, VersionConflict
from policy_server.store.store import Store

MAX_REMEMBERED = 4
"""Contracts that are not read anew while their files say the same."""


class Contracts:
    """The contract of BASE_PATH, which `generate.py schema` makes, and those of the versions.

    Each version carries the contract that it was proven against in its folder.

    Args:
        store: Knows which version is active.
        base_path: Holds `contract.json`.
        template: What specifications are rendered from.
        settings: TUPLE and DISCRETE_ACTIONS, as far as they are set.
        sign_in: Says how clients prove who they are beside passwords and keys; asked once.
        is_server: Its API is that of the server, which other policies are made and removed with.
    """

    def __init__(
        self,
        store: Store,
        base_path: Path,
        template: Path,
        settings: ActionSettings | None = None,
        sign_in: Callable[[], SignIn | None] = lambda: None,
        is_server: bool = True,
    ) -> None:
        self._is_server = is_server
        self._store = store
        self._base = base_path
        self._template = template
        self._settings = settings
        self._sign_in = cache(sign_in)
        self._resolved: dict[ContractFile, Contract] = {}

    def active(self) -> str | None:
        """Name of the version that decides, if there is one."""
        return self._store.active()

    def are_none(self) -> bool:
        """There is no contract yet: neither in BASE_PATH nor with an active version."""
        return self._store.active() is None and not ContractFile.path(self._base).exists()

    def served(self) -> Contract:
        """The contract that is served now.

        It is that of the active version. Where BASE_PATH holds one that means the same, its title,
        its version and its documentation count; and all of it where no version is active.

        Raises:
            SchemaError: There is none yet, or it cannot be served.
        """
        active = self._store.active()
        own = self._carried_by(active) if active is not None else None
        try:
            kept = self._read(self._base)
        except SchemaError:
            if own is None:
                raise
            return own
        return kept if own is None or own.digest == kept.digest else own

    def of(self, name: str) -> Contract:
        """The contract that a version was proven against.

        Raises:
            VersionNotFound: There is no such version.
            VersionConflict: It does not carry its contract, and was proven against another one
                than that of BASE_PATH.
        """
        digest = self._store.manifest(name).contract
        for folder in (self._base, self._store.folder(name)):
            try:
                contract = ContractFile.read(folder).resolve()
            except SchemaError:
                continue
            if contract.digest == digest:
                return contract
        raise VersionConflict(
            f"Version {name} was proven against a schema that is not at hand: publish it again."
        )

    def of_schema(self, text: str, file: str) -> Contract:
        """The contract that a schema makes, called as the one that is served.

        What an action is, the settings say, then the schema; a schema that is silent about it
        leaves it as it is if its fields are those that are served.

        Raises:
            SchemaError: With every fault of the schema; `file` is what they call it.
        """
        given = ContractFile(text)
        schema = read_schema(text, file)
        try:
            served = self.served()
        except SchemaError:
            return self._resolve(given, file)
        given = replace(given, title=served.title, version=served.version)
        if schema.digest == served.schema.digest:
            silent = schema.parameters if schema.actions else served.actions.implied
            given = given.saying(schema.parameters.before(silent))
        return self._resolve(given, file)

    def of_upload(self, content: bytes, file: str) -> Contract:
        """As `of_schema`, of a file that was uploaded.

        Raises:
            UploadRejected: With every fault of the schema; `file` is what they call it.
        """
        if (encoding := not_utf8(content)) is not None:
            raise UploadRejected(f"{file} cannot be read: {encoding}")
        try:
            return self.of_schema(content.decode(), file)
        except SchemaError as error:
            raise UploadRejected(error.summary, error.faults) from error

    def specification(self, contract: Contract) -> Specification:
        """The checked specification of a contract; raises SchemaError."""
        given = (self._template, self._folders(), self._sign_in())
        return specification_for(contract, *given, is_server=self._is_server)

    def put(self, contract: Contract, folder: Path) -> None:
        """Lay a contract and its specification into the folder of a version in the making.

        Raises:
            SchemaError: Its specification cannot be rendered, or is not valid.
        """
        self._write(contract, folder)
        ContractFile.of(contract).write(folder)

    def save(self, contract: Contract) -> None:
        """Make a contract that was activated that of BASE_PATH, if it had none of other meaning.

        So what only changed in its documentation is served as it is now.
        """
        try:
            kept = self._read(self._base)
        except SchemaError:
            pass
        else:
            if kept.digest != contract.digest or kept == contract:
                return
        self._write(contract, self._base)
        self._store.save_contract(ContractFile.of(contract).content)

    def _write(self, contract: Contract, folder: Path) -> None:
        given = (self._template, folder, self._folders(), self._sign_in())
        write_specification(contract, *given, is_server=self._is_server)

    def _folders(self) -> list[Path]:
        """Folders that may keep the specification of what is served."""
        active = self._store.active()
        return [self._base, *([self._store.folder(active)] if active is not None else [])]

    def _carried_by(self, name: str) -> Contract | None:
        """The contract in the folder of a version; None where it has none that can be read."""
        try:
            return self._read(self._store.folder(name))
        except SchemaError:
            return None

    def _read(self, folder: Path) -> Contract:
        given = ContractFile.read(folder)
        contract = self._resolved.get(given)
        if contract is None:
            contract = self._resolve(given)
            self._resolved = dict([*self._resolved.items(), (given, contract)][-MAX_REMEMBERED:])
        return contract

    def _resolve(self, given: ContractFile, file: str = "schema.yaml") -> Contract:
        return given.resolve(self._settings, file)
