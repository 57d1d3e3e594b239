"""Versions are listed as they are, gone back to, lent, and made once for one content."""

import asyncio
import io
from pathlib import Path

import numpy as np
import pytest
from scipy import special

from policy_server.errors import VersionConflict, VersionNotFound
from policy_server.proving.limits import BuildLimits
from policy_server.serving.bundle import Bundle
from policy_server.serving.limits import ServingLimits
from policy_server.serving.live import LivePolicy
from policy_server.serving.publication import Publisher
from policy_server.serving.versions import Versions
from policy_server.store.store import Store
from policy_server.version.parts import Part
from tests.serving.conftest import CONTRACT, make_version
from tests.support.contracts import contract_of, kept_contracts
from tests.support.networks import linear_kernel, linear_onnx
from tests.support.policies import LoopedLive

FEATURES = [0.5, -1.0, 2.0]
MAPPER = b"{0: up, 1: down, 2: left, 3: right}"
PREPROCESSOR = b"def preprocess(observation):\n    return observation['x']\n"


@pytest.fixture
def versions(store: Store, tmp_path: Path) -> Versions:
    return Versions(store, kept_contracts(CONTRACT, tmp_path / "base"), BuildLimits())


@pytest.fixture
def publisher(store: Store, tmp_path: Path) -> Publisher:
    return Publisher(store, kept_contracts(CONTRACT, tmp_path / "base"), BuildLimits())


def upload(publisher: Publisher, part: Part, content: bytes, user: str = "ann") -> str:
    return publisher.upload({part: io.BytesIO(content)}, user).version


def test_an_empty_store_has_no_versions(versions: Versions) -> None:
    listed = versions.list()
    assert (listed.active, listed.versions, listed.workers) == (None, [], [])


def test_versions_are_listed_with_all_that_is_known(
    store: Store, versions: Versions, publisher: Publisher
) -> None:
    model = linear_onnx(3, 4)
    first = upload(publisher, Part.MODEL, model)
    second = upload(publisher, Part.OUTPUT_MAPPER, MAPPER, "bob")
    waiting = upload(publisher, Part.MODEL, linear_onnx(5, 4), "eve")
    live = LoopedLive(store, CONTRACT)
    try:
        live.start()
        listed = versions.list()
    finally:
        live.close()
    assert listed.active == second
    assert [version.version for version in listed.versions] == [first, second, waiting]
    assert [version.state for version in listed.versions] == ["complete", "active", "incomplete"]
    assert [version.created_by for version in listed.versions] == ["ann", "bob", "eve"]
    assert [version.engine for version in listed.versions] == ["onnx", "onnx", None]
    assert [version.parts for version in listed.versions][:2] == [
        ("model",),
        ("model", "output_mapper"),
    ]
    assert [version.workers for version in listed.versions] == [0, 1, 0]
    assert [worker.version for worker in listed.workers] == [second]
    assert len({version.hash for version in listed.versions}) == 3
    for version in listed.versions:
        files = [path for path in store.folder(version.version).rglob("*") if path.is_file()]
        manifest = store.folder(version.version) / "manifest.json"
        assert version.bytes == sum(path.stat().st_size for path in files if path != manifest)
        assert version.version.split("-")[1] == version.hash[:8]
        assert any(check.name == "model" for check in version.checks)


def test_to_go_back_is_to_activate(store: Store, versions: Versions) -> None:
    first = make_version(store)
    second = make_version(store, model=linear_onnx(3, 4, 1))
    live = LoopedLive(store, CONTRACT)
    try:
        live.start()
        for name in (first, second, first):
            report = versions.activate(name)
            assert (report.version, report.state) == (name, "active")
            live.refresh()
            assert live.current().name == name
    finally:
        live.close()


def test_what_cannot_decide_is_not_activated(
    store: Store, versions: Versions, publisher: Publisher
) -> None:
    active = make_version(store)
    other = make_version(store, contract_of(4), model=linear_onnx(4, 4), activate=False)
    damaged = make_version(store, model=linear_onnx(3, 4, 1), activate=False)
    network = store.folder(damaged) / "model" / "network.onnx"
    network.write_bytes(network.read_bytes()[:-1] + b"x")
    incomplete = upload(publisher, Part.MODEL, linear_onnx(5, 4))
    for name, reason in (
        (other, "a schema that is not at hand"),
        (damaged, r"damaged: model/network\.onnx"),
        (incomplete, "lacks parts"),
    ):
        with pytest.raises(VersionConflict, match=reason):
            versions.activate(name)
    with pytest.raises(VersionNotFound):
        versions.activate("99-absent")
    assert store.active() == active


def test_any_complete_version_can_be_asked(store: Store) -> None:
    seeds = {make_version(store, model=linear_onnx(3, 4, seed)): seed for seed in range(3)}
    first, *_, active = seeds

    async def probabilities(live: LivePolicy, name: str) -> list[float]:
        async with live.lent(name) as version:
            record = version.policy.decoder.convert({"x": [*FEATURES]})
            (answer,) = await version.decider.decide([record], "describe")
            with pytest.raises(VersionConflict):
                store.delete(name)
            return list(answer["heads"][0]["probabilities"])

    async def scenario() -> None:
        live = LivePolicy(store, CONTRACT, ServingLimits())
        await live.start()
        for name, seed in seeds.items():
            expected = special.softmax(np.array(FEATURES) @ linear_kernel(3, 4, seed))
            np.testing.assert_allclose(await probabilities(live, name), expected, atol=1e-6)
        assert live.current().name == active
        store.delete(first)
        with pytest.raises(VersionNotFound):
            await probabilities(live, first)
        other = make_version(store, contract_of(4), model=linear_onnx(4, 4), activate=False)
        with pytest.raises(VersionConflict, match="another schema"):
            await probabilities(live, other)
        await live.stop()

    asyncio.run(scenario())


def test_the_same_content_makes_no_second_version(store: Store, publisher: Publisher) -> None:
    model = linear_onnx(3, 4)
    first = upload(publisher, Part.MODEL, model)
    second = upload(publisher, Part.OUTPUT_MAPPER, MAPPER)
    assert upload(publisher, Part.OUTPUT_MAPPER, MAPPER) == second
    assert upload(publisher, Part.MODEL, model) == second
    other = upload(publisher, Part.MODEL, linear_onnx(3, 4, 1))
    assert upload(publisher, Part.MODEL, model, "bob") == second == store.active()
    assert store.names() == [first, second, other]
    bundle = Bundle({Part.MODEL: io.BytesIO(model)})
    assert publisher.publish(bundle).version == first == store.active()
    assert store.names() == [first, second, other]
    assert store.manifest(second).created_by == "ann"


def test_an_incomplete_version_is_made_once_too(store: Store, publisher: Publisher) -> None:
    waiting = upload(publisher, Part.PREPROCESSOR, PREPROCESSOR)
    assert upload(publisher, Part.PREPROCESSOR, PREPROCESSOR) == waiting == store.candidate()
    whole = upload(publisher, Part.MODEL, linear_onnx(3, 4))
    assert upload(publisher, Part.PREPROCESSOR, PREPROCESSOR) == whole == store.active()
    assert store.names() == [waiting, whole]


def test_a_damaged_version_of_the_same_content_is_made_anew(
    store: Store, publisher: Publisher
) -> None:
    damaged = upload(publisher, Part.MODEL, linear_onnx(3, 4))
    (store.folder(damaged) / "model" / "network.onnx").write_bytes(b"damaged")
    again = upload(publisher, Part.MODEL, linear_onnx(3, 4))
    assert store.names() == [damaged, again]
    assert store.active() == again
    assert store.damage(again) is None


def test_old_versions_go_but_those_in_use_stay(store: Store, tmp_path: Path) -> None:
    contracts = kept_contracts(CONTRACT, tmp_path / "base")
    publisher = Publisher(store, contracts, BuildLimits(), retain=2)
    made = [upload(publisher, Part.MODEL, linear_onnx(3, 4, seed)) for seed in range(2)]
    use = store.use(made[1])
    made += [upload(publisher, Part.MODEL, linear_onnx(3, 4, seed)) for seed in range(2, 5)]
    first = made[0]  # stays, too
    assert store.names() == [first, made[1], *made[3:]]
    use.close()
    made.append(upload(publisher, Part.MODEL, linear_onnx(3, 4, 5)))
    assert store.names() == [first, *made[4:]]


def damage(store: Store, name: str) -> Path:
    network = store.folder(name) / "model" / "network.onnx"
    content = bytearray(network.read_bytes())
    content[-1] ^= 1
    network.write_bytes(content)
    return network


def test_a_damaged_active_version_is_stood_in_for_by_the_newest_sound_one(
    store: Store, versions: Versions
) -> None:
    make_version(store)
    good = make_version(store, model=linear_onnx(3, 4, 1))
    make_version(store, contract_of(4), model=linear_onnx(4, 4), activate=False)
    damage(store, make_version(store, model=linear_onnx(3, 4, 2)))
    active = make_version(store, model=linear_onnx(3, 4, 3))
    damage(store, active)
    live = LoopedLive(store, CONTRACT)
    try:
        live.start()
        assert live.current().name == good
        assert live.deviation is not None
        assert f"Version {active} is damaged: model/network.onnx" in live.deviation
        assert f"Version {good} decides in its place." in live.deviation
        versions.activate(good)
        live.refresh()
        assert live.deviation is None
    finally:
        live.close()
