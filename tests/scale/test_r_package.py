"""What R itself says of the SDK for R: R CMD check takes half a minute of a processor.

LaTeX, pandoc and the registries of CRAN are not needed: what they are for is left out.
"""

import re
from pathlib import Path

from policy_server.fake import fake_server
from tests.clients.faked import SCHEMA, faked_sdk
from tests.clients.toolchains import run

OFFLINE = {
    "_R_CHECK_CRAN_INCOMING_": "false",
    "_R_CHECK_SYSTEM_CLOCK_": "false",
    "R_LIBS": "",
}


def test_the_package_of_r_passes_its_check_without_a_warning(tmp_path: Path) -> None:
    with fake_server(SCHEMA, seed=1) as url:
        sdk = faked_sdk(url, "r", tmp_path / "sdk")
    run(["R", "CMD", "build", sdk.folder], tmp_path)
    (package,) = tmp_path.glob("*.tar.gz")
    check: list[str | Path] = ["R", "CMD", "check", "--as-cran", "--no-manual", package]
    printed = run(check, tmp_path, OFFLINE)
    print(*re.findall(r"^(?:\* checking .* NOTE|Status: .*)$", printed, re.MULTILINE), sep="\n")
    assert "WARNING" not in printed
    assert "ERROR" not in printed
