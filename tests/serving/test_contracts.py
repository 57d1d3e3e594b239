"""Which contract is served: that of the active version, and that of BASE_PATH where it counts."""

from dataclasses import replace
from pathlib import Path

import pytest

from policy_server.contract.actions import ActionSettings
from policy_server.contract.contract import Contract, ContractFile
from policy_server.contract.reading import read_schema
from policy_server.contract.specification import specification_path
from policy_server.errors import SchemaError, VersionConflict, VersionNotFound
from policy_server.resources import TEMPLATE
from policy_server.serving.contracts import Contracts
from policy_server.store.registry import open_store
from tests.serving.conftest import make_version
from tests.support.contracts import actions_of, contract_of

NEW, OLD = contract_of(3), contract_of(4)


def described(contract: Contract) -> Contract:
    """The same fields, with more said about them."""
    text = contract.schema.text.replace("min_items", "description: All of them, min_items")
    return replace(contract, schema=read_schema(text), title="Described")


class Base:
    """A BASE_PATH, with versions in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.store = open_store(path)

    def contracts(self, **settings: bool) -> Contracts:
        return Contracts(self.store, self.path, TEMPLATE, ActionSettings(**settings))

    def served(self, **settings: bool) -> Contract:
        return self.contracts(**settings).served()

    def version(self, contract: Contract, *, carried: bool = True) -> str:
        """An active version of a contract, which carries it, or is of an older server."""
        name = make_version(self.store, contract, preprocessor="def preprocess(o): return [1,2,3]")
        if carried:
            self.contracts().put(contract, self.store.folder(name))
        return name

    def save(self, contract: Contract) -> None:
        ContractFile.of(contract).write(self.path)


@pytest.fixture
def base(tmp_path: Path) -> Base:
    return Base(tmp_path / "base")


def test_without_anything_the_remedy_is_told(base: Base) -> None:
    with pytest.raises(SchemaError, match=r"generate\.py schema"):
        base.served()


def test_the_active_version_comes_first(base: Base) -> None:
    base.save(OLD)
    assert base.served() == OLD
    name = base.version(NEW)
    assert base.served() == NEW
    assert base.contracts().of(name) == NEW
    base.store.deactivate()
    assert base.served() == OLD


def test_it_needs_no_other(base: Base) -> None:
    base.version(NEW)
    assert base.served() == NEW


def test_what_means_the_same_counts_as_it_is_documented_now(base: Base) -> None:
    base.version(NEW)
    base.save(described(NEW))
    assert base.served() == described(NEW)
    assert base.served().title == "Described"


def test_a_version_of_an_older_server_keeps_the_contract_of_the_base_path(base: Base) -> None:
    base.save(OLD)
    name = base.version(NEW, carried=False)
    assert base.served() == OLD  # under which it does not decide, and says so
    with pytest.raises(VersionConflict, match="not at hand"):
        base.contracts().of(name)
    base.save(NEW)
    assert base.contracts().of(name) == base.served() == NEW


def test_a_damaged_contract_of_a_version_is_no_contract(base: Base) -> None:
    base.save(OLD)
    name = base.version(NEW)
    (base.store.folder(name) / "contract.json").write_text("{")
    assert base.served() == OLD
    with pytest.raises(VersionNotFound):
        base.contracts().of("7-none")


def test_settings_come_first(base: Base) -> None:
    name = base.version(NEW)
    assert base.served(tuple=True) == replace(NEW, actions=actions_of(tuple_=True))
    assert base.served(discrete=False) == replace(NEW, actions=actions_of(discrete=False))
    assert base.contracts(tuple=True).of(name) == NEW


SILENT = NEW.schema.text
SAYING = SILENT + "parameters: {discrete: true, tuple: false}\n"


def test_a_schema_that_is_silent_leaves_what_an_action_is(base: Base) -> None:
    reals = actions_of(discrete=False, tuple_=True)
    base.save(replace(NEW, actions=reals, title="Factory", version="3"))
    contracts = base.contracts()
    made = contracts.of_schema(SILENT, "s.yaml")
    assert (made.actions, made.title, made.version) == (reals, "Factory", "3")
    said = contracts.of_schema(SAYING, "s.yaml")
    assert said.actions == actions_of()
    other = contracts.of_schema(OLD.schema.text, "s.yaml")
    assert (other.actions, other.title) == (actions_of(), "Factory")
    set_ = base.contracts(discrete=False).of_schema(SAYING, "s.yaml")
    assert set_.actions == actions_of(discrete=False)
    with pytest.raises(SchemaError, match=r"s\.yaml:1"):
        contracts.of_schema("x: 1", "s.yaml")


def test_an_activated_contract_is_kept_where_none_of_other_meaning_is(base: Base) -> None:
    contracts = base.contracts()
    for kept, activated, then in (
        (None, NEW, NEW),
        (NEW, described(NEW), described(NEW)),
        (OLD, NEW, OLD),
    ):
        if kept is not None:
            base.save(kept)
        contracts.save(activated)
        assert ContractFile.read(base.path).resolve() == then


def test_the_specification_lies_beside_the_contract_and_is_checked_once(base: Base) -> None:
    name = base.version(NEW)
    text = specification_path(base.store.folder(name)).read_text()
    assert "swagger" in text
    assert base.contracts().specification(NEW)["info"]["title"] == NEW.title
