"""What the documentation says is so: links, names, tables, schemas and fault messages."""

import re
from dataclasses import fields, replace
from http import HTTPStatus
from pathlib import Path

import numpy as np
import pytest

from policy_server.app.setting import BARE, OURS
from policy_server.app.settings import Settings
from policy_server.contract.field_reading import KEYWORDS
from policy_server.contract.fields.registry import COMPACT_TYPES, TYPES
from policy_server.contract.operations import MAX_BATCH_ITEMS
from policy_server.contract.reading import read_schema
from policy_server.errors import SchemaError
from policy_server.policy.families.registry import output_names, reading_words
from policy_server.policy.output_mapper import read_output_mapper
from policy_server.policy.preprocessing.normalise import FRAMEWORKS
from policy_server.policy.preprocessing.reading import WORDS, read_declaration
from policy_server.policy.preprocessor import UploadedPreprocessor
from policy_server.policy.saved_model import OBSERVATION_NAMES
from policy_server.proving import limits
from policy_server.proving.description import Description, read_description
from policy_server.proving.memory_description import Pair, Stack
from policy_server.proving.stateless import CONSTANT_INPUTS
from policy_server.serving.policy_folder import MODEL_FILES, MODEL_FOLDER

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*/README.md")])
DOCS = [page for page in PAGES if page.parent.name == "docs"]
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose_of(page: Path) -> str:
    return FENCE.sub("", text_of(page))


def blocks(kind: str) -> list[str]:
    """The code blocks of that kind in docs/."""
    return [body for page in DOCS for info, body in FENCE.findall(text_of(page)) if info == kind]


def anchors(page: Path) -> set[str]:
    """What a link to a heading of a page may be, as GitHub makes it."""
    headings = re.findall(r"^#+ (.+)$", prose_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def documented(name: str) -> str:
    return text_of(ROOT / "docs" / name)


def first_cells(text: str) -> set[str]:
    """Everything in backquotes in the first column of the tables of a text."""
    cells = re.findall(r"^\| ([^|]*`[^|]*) \|", text, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def section(text: str, heading: str) -> str:
    return re.split(r"^#+ ", text.partition(f"# {heading}\n")[2], flags=re.MULTILINE)[0]


def test_the_pages_are_found() -> None:
    names = {"configuration.md", "architecture.md", "operations.md", "schema.md", "policies.md"}
    assert names <= {page.name for page in DOCS}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_relative_links_resolve(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose_of(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_settings_that_are_mentioned_exist(page: Path) -> None:
    known = {setting.metadata["name"] for setting in fields(Settings)}
    known |= {f"{OURS}{name}" for name in BARE}
    assert set(re.findall(r"POLICY_SERVER_[A-Z_]*[A-Z]", text_of(page))) - known == set()


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_files_and_targets_that_are_mentioned_exist(page: Path) -> None:
    suffixes = "py|md|yaml|toml|svg|conf|service"
    names = re.findall(rf"`((?:[\w.-]+/)+[\w.-]+\.(?:{suffixes}))`", prose_of(page))
    here = (ROOT, page.parent, ROOT / "policy_server")
    missing = [name for name in names if not any((folder / name).exists() for folder in here)]
    assert missing == []
    targets = re.findall(r"^([a-z-]+):", text_of(ROOT / "Makefile"), re.MULTILINE)
    assert set(re.findall(r"`make ([a-z-]+)", text_of(page))) <= set(targets)


def test_schemas_are_read_without_a_warning() -> None:
    schemas = [read_schema(block) for block in blocks("yaml")]
    assert {type(schema.parameters.discrete) for schema in schemas} == {bool, type(None)}
    assert [schema.warnings for schema in schemas] == [()] * len(schemas)


def test_a_wrong_schema_is_refused_in_the_words_that_are_shown() -> None:
    (wrong,) = blocks("yaml refused")
    with pytest.raises(SchemaError) as refused:
        read_schema(wrong)
    assert f"{refused.value}\n" in blocks("text")


def test_output_mappers_are_read(tmp_path: Path) -> None:
    heads = []
    for block in blocks("yaml mapper"):
        (tmp_path / "mapper.yaml").write_text(block, encoding="utf-8")
        heads.append(len(read_output_mapper(tmp_path / "mapper.yaml").meanings))
    assert heads == [1, 2]


def test_descriptions_of_models_are_read(tmp_path: Path) -> None:
    (block,) = blocks("yaml model")
    (tmp_path / "model.yaml").write_text(block, encoding="utf-8")
    read = read_description(tmp_path / "model.yaml")
    inputs = {"prop": ["position", "speed"], "hist": ["ray", "12-15"]}
    memory = (Pair("h_in", "h_out"), Pair("c_in", "c_out"))
    expected = Description(
        "policy", "means", action_range=(-1.0, 1.0), inputs=inputs, memory=memory
    )
    assert replace(read, normalise=None) == expected
    assert read.normalise is not None
    assert read.normalise.of(np.array([[2.5, 99]], np.float32)).tolist() == [[1, 10]]


def test_descriptions_of_memory_are_read(tmp_path: Path) -> None:
    found = []
    for block in blocks("yaml memory"):
        (tmp_path / "model.yaml").write_text(block, encoding="utf-8")
        found.append(read_description(tmp_path / "model.yaml").memory)
    states = (Pair("h", "output_1"), Pair("c", "output_2", (0.5,)))
    assert found == [states, Stack(4, "first")]


def test_descriptions_of_several_outputs_are_read(tmp_path: Path) -> None:
    found = []
    for block in blocks("yaml several"):
        (tmp_path / "model.yaml").write_text(block, encoding="utf-8")
        found.append(read_description(tmp_path / "model.yaml").reading)
    assert found == ["mean_log_std", "mean_log_std", "beta", "logits", "values"]


def test_declared_preprocessing_is_read_and_shown_as_the_page_says(tmp_path: Path) -> None:
    fields = (
        "speed: {type: float}, gear: {type: int, minimum: 0, maximum: 2}, "
        "rays: {type: 'List[float]', min_items: 3, max_items: 3}"
    )
    schema = read_schema(f"observations: {{{fields}, colour: {{type: int}}}}")
    first, second = blocks("yaml preprocessing")
    (tmp_path / "first.yaml").write_text(first, encoding="utf-8")
    declaration = read_declaration(tmp_path / "first.yaml", schema)
    lines = "\n".join(f"{' ' * 12}{line}" for line in declaration.in_lines())
    shown = f"  ok      features: {declaration.width} in all\n{lines}\n"
    assert shown in blocks("text")
    plain = read_schema(f"observations: {{{fields}}}")
    (tmp_path / "second.yaml").write_text(second, encoding="utf-8")
    assert read_declaration(tmp_path / "second.yaml", plain).width == 5


def test_every_word_of_preprocessing_is_documented_and_no_other() -> None:
    text = documented("preprocessing.md")
    assert first_cells(section(text, "Words")) == set(WORDS)
    assert set(FRAMEWORKS) <= first_cells(section(text, "normalise"))


def test_the_preprocessor_works_on_the_schema(tmp_path: Path) -> None:
    (code,) = blocks("python")
    (tmp_path / "preprocessor.py").write_text(code, encoding="utf-8")
    tried = UploadedPreprocessor(tmp_path / "preprocessor.py", dict).features(
        [{"id": 1, "coordinates": [3, 6]}, {"id": 1, "coordinates": [0, 0], "has_core": True}]
    )
    assert not tried.failures
    assert tried.features.tolist() == [[0.5, 1, 0], [0, 0, 1]]


def test_every_keyword_and_type_of_a_schema_is_documented_and_no_other() -> None:
    text = documented("schema.md")
    keywords = first_cells(section(text, "Keywords of a field"))
    assert keywords == {*KEYWORDS, "title", "x-..."}
    assert first_cells(section(text, "Types")) == {*TYPES}
    assert {f"`{name}`" for name in COMPACT_TYPES if name != "list"} <= set(
        re.findall(r"`\w+`", section(text, "Compact"))
    )


def test_every_name_that_a_model_may_use_is_documented() -> None:
    text = documented("policies.md")
    assert first_cells(section(text, "Outputs")) == {*output_names()}
    assert first_cells(section(text, "model.yaml")) == {*reading_words()}
    inputs = set(re.findall(r"`([^`]+)`", section(text, "Inputs")))
    assert {name for name in OBSERVATION_NAMES if "/" not in name} | {*CONSTANT_INPUTS} <= inputs
    files = set(re.findall(r"`([^`]+)`", text.partition("## The model")[0]))
    assert {*MODEL_FILES, MODEL_FOLDER} <= files


def test_every_error_that_can_be_answered_is_documented() -> None:
    text = section(documented("operations.md"), "What each error means")
    rows = {(int(code), title) for code, title in re.findall(r"\| (\d{3}) \| ([^|]+) \|", text)}
    table = re.findall(
        r"errors\.(\w+): \((\d+), \"([^\"]+)\"\)", text_of(ROOT / "policy_server/web/problems.py")
    )
    statuses = {error: (int(code), title) for error, code, title in table}
    sources = [*(ROOT / "policy_server").rglob("*.py"), *ROOT.glob("*.py")]
    code = "".join(map(text_of, sources))
    raised = {error for error in statuses if re.search(rf"raise {error}\(", code)}
    assert "UploadRejected" in raised
    phrases = {(status.value, status.phrase) for status in HTTPStatus}
    assert {statuses[error] for error in raised} <= rows
    assert rows <= {*statuses.values()} | phrases


def test_limits_that_are_mentioned_are_the_code_s() -> None:
    row = f"| observations in a batch | {MAX_BATCH_ITEMS:,}, in the contract |"
    assert row in documented("operations.md")
    assert Settings().build_limits == limits.BuildLimits()
