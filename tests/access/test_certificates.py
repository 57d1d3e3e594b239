"""Which subjects of certificates have which role."""

import asyncio

import pytest

from policy_server.access.certificates import Certificates
from policy_server.access.source import Credentials
from policy_server.app.setting_texts import subjects
from policy_server.contract.operations import Role


def test_each_subject_has_its_role() -> None:
    text = " CN=robot: 7,O=plant : predict;CN=ops:manage; "
    assert subjects(text) == (("CN=robot: 7,O=plant", "predict"), ("CN=ops", "manage"))


@pytest.mark.parametrize(
    "text",
    ["", ";", "CN=a", "CN=a: root", ": manage", "CN=a: predict; CN=a: manage", "CN=a\n:manage"],
)
def test_what_says_no_role_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="SUBJECT: ROLE"):
        subjects(text)


@pytest.mark.parametrize("scheme", ["basic", "key", "bearer"])
def test_a_subject_is_no_other_secret(scheme: str) -> None:
    source = Certificates({"CN=ops": Role.MANAGE})
    found = source.recall(Credentials("certificate", b"", b"CN=ops"), "")
    assert found is not None
    assert (str(found), found.role) == ("certificate CN=ops", Role.MANAGE)
    other = Credentials(scheme, b"", b"CN=ops")  # type: ignore[arg-type]
    assert asyncio.run(source.identify(other, "")) is None
