"""The examples' environments, schemas, preprocessors and output mappers agree."""

import ast
import functools
import itertools
import math
import random
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

import examples
from examples.lpoc.environment import MOVES, NODES, GridFactory
from examples.lpoc.preprocessor import preprocess as preprocess_lpoc
from examples.lpoc.train import TASK as LPOC
from examples.simple_stochastic_tuple.environment import COLOURS, Doors
from examples.simple_stochastic_tuple.train import TASK as DOORS
from examples.task import Observation, Task
from examples.thermostat.environment import MAX_POWER, Room
from examples.thermostat.train import TASK as THERMOSTAT

FOLDER = Path(examples.__file__).parent
TASKS = {"lpoc": LPOC, "simple_stochastic_tuple": DOORS, "thermostat": THERMOSTAT}
FEATURES = {"lpoc": 39, "simple_stochastic_tuple": 7, "thermostat": 6}
TYPES = {"boolean": bool, "bool": bool, "integer": int, "float": float, "string": str}

each_example = pytest.mark.parametrize("name", TASKS)


@functools.cache
def read_schema(name: str) -> tuple[dict[str, Any], list[str]]:
    """Specification of each field, and the names of the required ones."""
    schema = yaml.safe_load((FOLDER / name / "schema.yaml").read_text())
    if "observations" in schema:
        return schema["observations"], list(schema["observations"])
    return schema["Observation"]["properties"], schema["Observation"]["required"]


def faults(observation: Mapping[str, Any], name: str) -> list[str]:
    """Everything that the schema of an example does not allow in an observation."""
    fields, required = read_schema(name)
    found = [f"{field} is missing" for field in required if field not in observation]
    for field, value in observation.items():
        found += value_faults(value, fields[field]) if field in fields else [f"unknown {field}"]
    return found


def value_faults(value: Any, field: dict[str, Any]) -> list[str]:
    if field["type"] == "array":
        if type(value) is not list or not field["minItems"] <= len(value) <= field["maxItems"]:
            return [f"{value!r} is not such an array"]
        return [fault for item in value for fault in value_faults(item, field["items"])]
    if type(value) is not TYPES[field["type"]]:
        return [f"{value!r} is not a {field['type']}"]
    if "enum" in field and value not in field["enum"]:
        return [f"{value!r} is not in {field['enum']}"]
    if "minimum" in field and not field["minimum"] <= value <= field["maximum"]:
        return [f"{value!r} is out of bounds"]
    return []


def episode(task: Task, seed: int) -> Iterator[tuple[Observation, float, bool]]:
    """Everything that random actions meet, from the reset on."""
    generator, environment = random.Random(seed), task.environment()
    yield environment.reset(seed), 0.0, False
    ended = False
    while not ended:
        seen = environment.step(environment.random_action(generator))
        ended = seen[2]
        yield seen


@each_example
def test_episodes_repeat_under_a_seed_and_differ_without(name: str) -> None:
    first, again, other = (list(episode(TASKS[name], seed)) for seed in (3, 3, 4))
    assert first == again
    assert first != other


@each_example
def test_reset_without_a_seed_continues_the_random_numbers(name: str) -> None:
    environment = TASKS[name].environment()
    begun = [environment.reset(1), *(environment.reset() for _ in range(5))]
    assert any(observation != begun[0] for observation in begun[1:])
    assert begun == [environment.reset(1), *(environment.reset() for _ in range(5))]


@each_example
def test_observations_are_valid_and_episodes_end_in_time(name: str) -> None:
    for seed in range(40):
        seen = list(episode(TASKS[name], seed))
        assert [fault for observation, _, _ in seen for fault in faults(observation, name)] == []
        assert 2 <= len(seen) <= 61
        assert [ended for _, _, ended in seen] == [False] * (len(seen) - 1) + [True]


@each_example
def test_observations_name_the_fields_in_the_order_of_the_schema(name: str) -> None:
    assert list(TASKS[name].environment().reset(0)) == list(read_schema(name)[0])


def test_the_check_of_observations_finds_faults() -> None:
    valid = GridFactory().reset(0)
    wrong: list[dict[str, object]] = [
        {"id": True}, {"id": 11}, {"has_core": 1}, {"target": [7, 0]}, {"target": [1]}, {"more": 1}
    ]  # fmt: skip
    assert faults(valid, "lpoc") == []
    assert all(len(faults(valid | change, "lpoc")) == 1 for change in wrong)
    assert faults({"state": 1}, "simple_stochastic_tuple") == ["lamp is missing"]
    assert len(faults({"state": 1, "lamp": "off"}, "simple_stochastic_tuple")) == 1


@each_example
def test_examples_of_the_schema_are_valid_and_have_features(name: str) -> None:
    fields, _ = read_schema(name)
    observation = {field: entry["example"] for field, entry in fields.items()}
    assert all(entry["description"] for entry in fields.values())
    assert faults(observation, name) == []
    assert len(TASKS[name].preprocess(observation)) == FEATURES[name]


@each_example
def test_features_are_floats_near_one(name: str) -> None:
    task = TASKS[name]
    rows = [task.preprocess(observation) for observation, _, _ in episode(task, 0)]
    for row in rows:
        assert [type(feature) for feature in row] == [float] * FEATURES[name]
        assert all(math.isfinite(feature) and abs(feature) <= 2.0 for feature in row)
    assert len({tuple(row) for row in rows}) > 1


@each_example
def test_preprocessors_stand_alone(name: str) -> None:
    tree = ast.parse((FOLDER / name / "preprocessor.py").read_text())
    imported = {
        module
        for node in ast.walk(tree)
        for module in (
            [node.module or "."] if isinstance(node, ast.ImportFrom)
            else [each.name for each in node.names] if isinstance(node, ast.Import) else []
        )
    }  # fmt: skip
    assert {module.split(".")[0] for module in imported} <= sys.stdlib_module_names | {"numpy"}


@pytest.mark.parametrize(("name", "sizes"), [("lpoc", (5,)), ("simple_stochastic_tuple", (2, 3))])
def test_output_mappers_name_every_action_of_every_head(name: str, sizes: tuple[int, ...]) -> None:
    mapper = yaml.safe_load((FOLDER / name / "output_mapper.yaml").read_text())
    heads = mapper if len(sizes) > 1 else [mapper]
    assert [list(head) for head in heads] == [list(range(size)) for size in sizes]
    assert all(type(meaning) is str for head in heads for meaning in head.values())


def test_parameters_of_the_schemas_say_what_the_actions_are() -> None:
    schemas = {name: yaml.safe_load((FOLDER / name / "schema.yaml").read_text()) for name in TASKS}
    assert "parameters" not in schemas["lpoc"]
    assert schemas["simple_stochastic_tuple"]["parameters"] == {"tuple": True}
    assert schemas["thermostat"]["parameters"] == {"discrete": False}


def test_lpoc_has_the_fields_of_the_factory() -> None:
    fields, required = read_schema("lpoc")
    neighbours = [
        field
        for direction in ("left", "up", "right", "down")
        for field in (f"has_{direction}_neighbour", f"is_{direction}_free")
    ]
    assert list(fields) == ["id", *neighbours, "coordinates", "has_core", "target"]
    assert set(required) == {field for field in fields if not field.endswith("_free")}


def test_lpoc_table_moves_exactly_where_a_neighbour_is_free() -> None:
    environment, generator = GridFactory(), random.Random(0)
    moved = blocked = 0
    for seed in range(30):
        before, ended = environment.reset(seed), False
        while not ended:
            action = generator.randrange(5)
            after, reward, ended = environment.step(action)
            x, y = cast(list[int], before["coordinates"])
            if action == 4:
                expected = [x, y]
            else:
                direction = list(MOVES)[action]
                step_x, step_y = MOVES[direction]
                exists, free = before[f"has_{direction}_neighbour"], before[f"is_{direction}_free"]
                assert exists == ((x + step_x, y + step_y) in NODES)
                expected = [x + step_x, y + step_y] if free else [x, y]
                moved, blocked = moved + bool(free), blocked + (not free)
                assert free or reward < -0.1
            assert after["coordinates"] == expected
            before = after
    assert moved > 100 < blocked


def test_lpoc_table_fetches_a_core_and_delivers_it() -> None:
    environment = GridFactory()
    for seed in itertools.count():
        observation, ended, cores, rewards = environment.reset(seed), False, [False], 0.0
        while not ended:
            target = observation["target"]
            observation, reward, ended = environment.step(LPOC.rule(observation))
            rewards += reward > 0.5
            arrived = observation["coordinates"] == target
            assert arrived == (reward > 0.5)
            cores.append(bool(observation["has_core"]))
        if rewards == 2:
            break
    changes = [after for before, after in itertools.pairwise(cores) if before != after]
    assert changes == [True, False]


def test_lpoc_preprocessor_takes_neighbours_for_free_unless_told() -> None:
    observation = GridFactory().reset(0) | {"has_left_neighbour": True, "has_up_neighbour": False}
    unsaid = {field: value for field, value in observation.items() if not field.endswith("_free")}
    said = unsaid | {
        f"is_{direction}_free": observation[f"has_{direction}_neighbour"] for direction in MOVES
    }
    assert preprocess_lpoc(unsaid) == preprocess_lpoc(said)
    assert preprocess_lpoc(unsaid) != preprocess_lpoc(said | {"is_left_free": False})


def test_right_doors_stick_one_time_in_ten_and_wrong_ones_lead_back() -> None:
    environment, wrong, right, stuck = Doors(), 0, 0, 0
    for seed in range(3000):
        lamp = str(environment.reset(seed)["lamp"])
        door = COLOURS.index(lamp) if lamp in COLOURS else 0
        observation, reward, ended = environment.step((1, door))
        assert not ended
        if lamp in COLOURS:
            right, stuck = right + 1, stuck + (observation["state"] == 0)
            assert reward == pytest.approx(-0.05)
        else:
            wrong += 1
            assert observation["state"] == 0
            assert reward == pytest.approx(-0.15)
    assert 0.07 < stuck / right < 0.13
    assert 0.2 < wrong / 3000 < 0.3


def test_the_room_clips_the_power_and_gets_warmer_with_it() -> None:
    def temperature(power: float) -> Any:
        environment = Room()
        environment.reset(0)
        return environment.step(power)[0]["room_temperature"]

    assert temperature(-5.0) == temperature(0.0) < temperature(1.0) < temperature(MAX_POWER)
    assert temperature(MAX_POWER) == temperature(50.0)
    assert temperature(2.0) - temperature(1.0) == pytest.approx(0.5)
