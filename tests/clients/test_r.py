"""What only the SDK for R does: data frames, checks of observations, and its manual."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from policy_server.fake import fake_server
from tests.clients.faked import CREDENTIALS, SCHEMA, faked_sdk
from tests.clients.toolchains import DRIVERS, R, Sdk, run

ROWS, SEED = 60, 100_000
MOST_TIMES_CURL = 3.0
"""What 10,000 rows may take, as often as curl takes for them."""
DOCUMENTED = """\
package <- "PACKAGE"
faults <- list(tools::undoc(package), tools::codoc(package), tools::checkDocFiles(package))
cat(unlist(lapply(faults, format)))
"""
Printed = list[Any]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with fake_server(SCHEMA, seed=1) as url:
        yield url


@pytest.fixture(scope="module")
def installed(url: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[R, Sdk]:
    toolchain = R(tmp_path_factory.mktemp("r"))
    sdk = faked_sdk(url, "r", tmp_path_factory.mktemp("sdk"))
    toolchain.build([sdk], drivers=False)
    return toolchain, sdk


@pytest.fixture(scope="module")
def printed(
    url: str, installed: tuple[R, Sdk], tmp_path_factory: pytest.TempPathFactory
) -> Printed:
    toolchain, sdk = installed
    folder = tmp_path_factory.mktemp("frame")
    text = (DRIVERS / "frame.R").read_text(encoding="utf-8")
    (folder / "frame.R").write_text(text.replace("PACKAGE", sdk.package.joined), encoding="utf-8")
    given: list[str | Path] = [url, *CREDENTIALS, sdk.folder / "example.json"]
    lines = run(["Rscript", "frame.R", *given], folder, toolchain.variables()).splitlines()
    return [json.loads(line) for line in lines]


def test_rows_of_a_frame_are_decided_as_a_batch_is(url: str, printed: Printed) -> None:
    places = [[(row) % 6, (row + ROWS) % 6] for row in range(ROWS)]
    free: list[dict[str, bool]] = [{"is_left_free": True}, {}, {"is_left_free": False}]
    observations = [
        {
            **{"id": row % 10, "has_left_neighbour": True, "has_up_neighbour": False},
            **{"has_right_neighbour": True, "has_down_neighbour": row % 2 == 0},
            **{"has_core": True, "coordinates": places[row], "target": places[row]},
            **free[row % 3],
        }
        for row in range(ROWS)
    ]
    answer = requests.post(
        f"{url}/predict_batch",
        json={"observations": observations},
        params={"seed": SEED},
        auth=CREDENTIALS,
        timeout=60,
    )
    version = answer.headers["X-Policy-Version"]
    expected = [{**each, "policy_version": version} for each in answer.json()["predictions"]]
    assert printed[:3] == [expected] * 3


def test_what_would_not_be_missed_or_cannot_be_sent_is_refused(printed: Printed) -> None:
    unknown, missing, infinite, partly, misspelt = printed[3]
    assert unknown.startswith("unknown_field Observation has no field `has_cor`; it has: id,")
    assert missing == "missing_field There is no column `id`."
    assert infinite == "invalid_value Row 3 of the column `id` is no number."
    assert partly == "invalid_value Row 5 of the column `target` lacks an item."
    assert misspelt.startswith("unknown_argument There is no argument `sede`;")


def test_frames_may_be_empty_or_longer_than_a_request(printed: Printed) -> None:
    assert printed[4:6] == [0, 200 * ROWS]


def test_observations_are_checked_with_all_items_of_their_lists(printed: Printed) -> None:
    assert printed[6] == [True, True, False, False, False, False]


def test_no_password_is_printed_with_a_client(printed: Printed) -> None:
    assert printed[7] is False


def test_ten_thousand_rows_take_not_much_longer_than_with_curl(printed: Printed) -> None:
    client, curl = printed[8]
    print(f"10,000 rows: {client:.3f} s, with curl {curl:.3f} s: {client / curl:.2f} times")
    assert client <= MOST_TIMES_CURL * curl


def test_whatever_is_exported_has_a_page_of_the_manual(
    installed: tuple[R, Sdk], tmp_path: Path
) -> None:
    _, sdk = installed
    library = tmp_path / "library"
    library.mkdir()
    run(["R", "CMD", "INSTALL", "--no-byte-compile", f"--library={library}", sdk.folder], tmp_path)
    script = tmp_path / "documented.R"
    script.write_text(DOCUMENTED.replace("PACKAGE", sdk.package.joined), encoding="utf-8")
    assert run(["Rscript", script], tmp_path, {"R_LIBS": str(library)}).strip() == ""


def test_the_example_with_all_options_runs_as_it_is_shipped(
    url: str, installed: tuple[R, Sdk]
) -> None:
    toolchain, sdk = installed
    user, password = CREDENTIALS
    asks = {"POLICY_URL": url, "POLICY_USER": user, "POLICY_PASSWORD": password}
    printed = run(toolchain.example(sdk, "options"), sdk.folder, {**toolchain.variables(), **asks})
    assert "policy_version" in printed
    shipped = (sdk.folder / "example_options.R").read_text(encoding="utf-8")
    assert shipped in (sdk.folder / "README.md").read_text(encoding="utf-8")
