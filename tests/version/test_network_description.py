"""`network.json` says all that is known of a model, once."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from policy_server.policy.memory import Memory
from policy_server.policy.timing import Timing
from policy_server.version.network_description import (
    NetworkDescription,
    Undescribed,
    write_undescribed,
)
from policy_server.version.parts import Part, uploaded_file
from policy_server.version.version_parts import read_description, read_network, write_timing
from tests.support.contracts import contract_of

PROVEN = NetworkDescription(
    engine="tensorflow",
    engine_detail="it cannot be converted",
    feature_width=7,
    output="fc_out",
    output_width=5,
    family="categorical",
    sizes=(2, 3),
    heads=None,
    family_detail="two heads",
)
DECLARED = replace(PROVEN, sizes=None, heads=2)
RECURRENT = replace(PROVEN, memory=Memory(2, initial=(0.5, -1.0)))
STACKED = replace(PROVEN, memory=Memory(14, frames=3, padding="first"))
TIMING = Timing((1e-5, 8e-5, 64e-5), 1e-6)
MEMORY_OF_NOTHING = json.dumps({**asdict(PROVEN), "memory": {"width": 0}})
MAPPER = "- {0: a, 1: b, 2: c}\n- {0: d, 1: e}\n"


def version_of(folder: Path, described: NetworkDescription) -> Path:
    """A version's folder with a described model and a timing."""
    (folder / Part.MODEL).mkdir()
    described.write(folder / Part.MODEL)
    write_timing(folder, TIMING)
    return folder


@pytest.mark.parametrize("described", [PROVEN, DECLARED, RECURRENT, STACKED])
def test_what_is_written_is_read(tmp_path: Path, described: NetworkDescription) -> None:
    described.write(tmp_path)
    assert read_description(tmp_path) == described


def test_what_is_asked_of_a_model_that_is_not_understood_is_read(tmp_path: Path) -> None:
    write_undescribed(tmp_path, "what are these numbers?")
    with pytest.raises(Undescribed, match="what are these numbers"):
        read_description(tmp_path)


def test_a_network_is_what_the_model_tells_and_the_build_measured(tmp_path: Path) -> None:
    network = read_network(version_of(tmp_path, PROVEN), contract_of(tuple_=True))
    assert (network.engine, network.feature_width, network.output) == ("tensorflow", 7, "fc_out")
    assert (network.family, network.sizes, network.timing) == ("categorical", (2, 3), TIMING)


def test_a_network_has_the_memory_of_its_model(tmp_path: Path) -> None:
    network = read_network(version_of(tmp_path, RECURRENT), contract_of(tuple_=True))
    assert network.memory == RECURRENT.memory
    assert (network.memory_width, network.input_width) == (2, 7 + 2)


def test_a_network_without_memory_takes_features_alone(tmp_path: Path) -> None:
    network = read_network(version_of(tmp_path, PROVEN), contract_of(tuple_=True))
    assert (network.memory, network.memory_width, network.input_width) == (None, 0, 7)


def test_a_description_from_before_there_was_memory_is_read(tmp_path: Path) -> None:
    PROVEN.write(tmp_path)
    path = tmp_path / "network.json"
    fields = json.loads(path.read_bytes())
    del fields["memory"]
    path.write_text(json.dumps(fields))
    assert read_description(tmp_path) == PROVEN


def test_sizes_that_no_model_tells_are_those_of_the_output_mapper(tmp_path: Path) -> None:
    folder = version_of(tmp_path, DECLARED)
    (folder / Part.OUTPUT_MAPPER).mkdir()
    uploaded_file(folder, Part.OUTPUT_MAPPER).write_text(MAPPER)
    assert read_network(folder, contract_of(tuple_=True)).sizes == (3, 2)


def test_a_single_head_has_all_the_numbers(tmp_path: Path) -> None:
    assert read_network(version_of(tmp_path, DECLARED), contract_of()).sizes == (5,)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"engine": 3}', MEMORY_OF_NOTHING])
def test_a_damaged_description_is_an_error_that_loading_knows(tmp_path: Path, content: str) -> None:
    folder = version_of(tmp_path, PROVEN)
    (folder / Part.MODEL / "network.json").write_text(content)
    with pytest.raises((ValueError, TypeError)):
        read_network(folder, contract_of())
