"""deploy/compose.yaml is read by Compose; what it names, mounts and rewrites is there and right.

No container is run: there is neither an engine here nor a registry.
"""

import re
import shlex
import shutil
import subprocess
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from policy_server.app.settings import Settings
from tests.deploy.dockerfile import ROOT, Dockerfile

FOLDER = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
MADE = ("secrets/",)
"""By the operator, as the first lines say."""


def test_compose_reads_it(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "deploy")
    command = ["docker-compose", "-f", str(tmp_path / "deploy/compose.yaml"), "config", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def mounts(name: str) -> dict[str, str]:
    """By the path in the container, what is mounted there from this folder."""
    split = [each.split(":") for each in SERVICES[name].get("volumes", ())]
    return {target: source for source, target, *_ in split if source.startswith("./")}


@pytest.mark.parametrize("name", SERVICES)
def test_each_is_confined_limited_and_looked_after(name: str, dockerfile: Dockerfile) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert {"cpus", "memory"} <= service["deploy"]["resources"]["limits"].keys()
    assert service["restart"] == "unless-stopped"
    if name == "server":
        assert dockerfile.health_command(service["build"]["target"])
    else:
        assert re.fullmatch(r"[a-z/]+:v?\d+\.\d+\.\d+(-alpine)?", service["image"])
        assert service["healthcheck"]["test"][0] == "CMD"
    for source in mounts(name).values():
        relative = source.removeprefix("./")
        assert relative.startswith(MADE) or (FOLDER / relative).exists(), source


def test_nobody_asks_the_server_or_its_metrics_from_outside() -> None:
    published = {name: service.get("ports", []) for name, service in SERVICES.items()}
    assert published.pop("nginx") == ["80:80", "443:443"]
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)
    assert SERVICES["server"]["networks"] == SERVICES["prometheus"]["networks"] == ["inside"]
    assert COMPOSE["networks"]["inside"]["internal"] is True


def test_the_server_knows_its_settings_and_trusts_the_proxy(dockerfile: Dockerfile) -> None:
    server = SERVICES["server"]
    assert server["environment"].keys() <= {each.metadata["name"] for each in fields(Settings)}
    (network,) = COMPOSE["networks"]["inside"]["ipam"]["config"]
    assert server["environment"]["POLICY_SERVER_TRUSTED_PROXIES"] == network["subnet"]
    files = {value for name, value in server["environment"].items() if name.endswith("_FILE")}
    assert files == {f"/run/secrets/{name}" for name in server["secrets"]}
    assert set(server["secrets"]) <= COMPOSE["secrets"].keys()
    state = dockerfile.environment("model")["BASE_PATH"]
    assert server["volumes"] == [f"state:{state}"]
    assert int(server["stop_grace_period"].removesuffix("s")) > 30


def rewritten(script: str, given: str) -> str:
    """What the sed of a container's command makes of a file that is mounted."""
    (command,) = re.findall(r"sed .*?(?= /given)", script)
    done = subprocess.run(
        shlex.split(command), input=given, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_nginx_has_the_shipped_site_and_asks_the_server() -> None:
    shipped = (FOLDER / "nginx/policy-server.conf").read_text(encoding="utf-8")
    made = rewritten(SERVICES["nginx"]["command"], shipped)
    changed = [
        (before.strip(), after.strip())
        for before, after in zip(shipped.splitlines(), made.splitlines(), strict=True)
        if before != after
    ]
    assert changed == [("server 127.0.0.1:8080;", "server server:8080;")]
    certificates = re.findall(r"^ +ssl_certificate(?:_key)? (.+);", shipped, re.MULTILINE)
    assert set(certificates) <= mounts("nginx").keys()


def test_prometheus_has_the_shipped_rules_and_asks_the_server_with_the_token() -> None:
    (script,) = SERVICES["prometheus"]["command"]
    shipped = (FOLDER / "prometheus/prometheus.yml").read_text(encoding="utf-8")
    made = yaml.safe_load(rewritten(script, shipped))
    (job,) = made["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["server:8080"]}]
    (secret,) = SERVICES["prometheus"]["secrets"]
    assert job["authorization"] == {"type": "Bearer", "credentials_file": secret["target"]}
    assert all((FOLDER / "prometheus" / name).is_file() for name in made["rule_files"])
    assert all(name in script for name in made["rule_files"])


def test_grafana_finds_prometheus_and_the_dashboards() -> None:
    provisioning = FOLDER / "grafana/provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources/prometheus.yml").read_text())[
        "datasources"
    ]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((provisioning / "dashboards/policy-server.yml").read_text())[
        "providers"
    ]
    folder = mounts("grafana")[provider["options"]["path"]]
    assert list((FOLDER / folder).glob("*.json"))
