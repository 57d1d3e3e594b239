# /// script
# requires-python = ">=3.11"
# dependencies = ["cyclonedx-bom==7.5.0"]
# [tool.uv]
# exclude-newer = "2026-11-26T00:00:00Z"
# ///
"""Writes what is inside, as CycloneDX: all pinned packages, and the Swagger UI that is carried.

`uv run --script deploy/sbom.py dist/sbom.json [requirements.txt]`; of an image without TensorFlow
`requirements-slim.txt` is the list. The tool that reads the pins comes by itself, as above: nothing
that serves or tests needs it.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

ROOT = Path(__file__).resolve().parents[1]
CARRIED = ROOT / "assets/swagger-ui"


def carried() -> dict[str, Any]:
    """The component that lies in the repository itself."""
    package = json.loads((CARRIED / "package.json").read_text(encoding="utf-8"))
    name, version = package["name"], package["version"]
    url = f"pkg:npm/{name}@{version}"
    return {
        "bom-ref": url,
        "type": "library",
        "name": name,
        "version": version,
        "purl": url,
        "licenses": [{"license": {"id": package["license"]}}],
    }


def write(target: Path, requirements: Path) -> None:
    """Write the list of what these requirements install, and of what is carried."""
    command = [sys.executable, "-W", "ignore", "-m", "cyclonedx_py", "requirements"]
    command += [str(requirements), "--pyproject", str(ROOT / "pyproject.toml")]
    command.append("--output-reproducible")
    made = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    document = json.loads(made)
    component = carried()
    document["components"].append(component)
    document["dependencies"].append({"ref": component["bom-ref"]})
    root = document["metadata"]["component"]["bom-ref"]
    for each in document["dependencies"]:
        if each["ref"] == root:
            each["dependsOn"] = sorted([*each.get("dependsOn", ()), component["bom-ref"]])
    text = json.dumps(document, indent=2) + "\n"
    fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if fault is not None:
        raise SystemExit(f"This is no CycloneDX: {fault}")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    given = [Path(argument) for argument in sys.argv[1:]]
    write(given[0], given[1] if len(given) > 1 else ROOT / "requirements.txt")
