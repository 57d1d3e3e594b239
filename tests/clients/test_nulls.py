"""Null where something must be: nothing is sent, and the error says where."""

import pytest

from tests.clients.asking import step
from tests.clients.conftest import Drive, Service
from tests.clients.toolchains import Toolchain

ONE = pytest.mark.parametrize("service", ["lpoc"], indirect=True)
WHERE = {
    "java": ["", "/id", "/observations/1", "/observations", "/obs/1", "", "/observation"],
    "scala": ["", "observations(1)", "obs", "observation"],
}


@ONE
@pytest.mark.parametrize("toolchain", WHERE, indirect=True)
def test_null_is_refused_before_anything_is_sent(
    drive: Drive, service: Service, toolchain: Toolchain
) -> None:
    # Nobody listens there: what was sent would be an error of its own.
    asked = step("nulls", "nowhere", observation=service.schema.example())
    assert drive(service, [asked]) == [{"ok": WHERE[toolchain.language]}]
