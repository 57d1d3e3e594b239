"""docs/metrics.md is what the code, the rules and the dashboard say; promtool reads the rules."""

import re
from pathlib import Path

import yaml

from policy_server.metrics.catalogue import METRICS, STAGES, Metric
from tests.support.prometheus import promtool

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
DEPLOYED = ROOT / "deploy/prometheus"
RULES = yaml.safe_load((DEPLOYED / "alerts.yml").read_text(encoding="utf-8"))
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"]]


def row_of(metric: Metric) -> str:
    name = f"{metric.name}_total" if metric.type == "counter" else metric.name
    labels = ", ".join(f"`{label}`" for label in metric.labels) or "none"
    return f"| `{name}` | {metric.type} | {labels} | {metric.help} |"


def test_the_table_is_the_catalogue() -> None:
    found = re.findall(r"^\| `policy_server_.*$", PAGE, re.MULTILINE)
    assert found == [row_of(metric) for metric in METRICS]


def test_the_stages_are_all_said() -> None:
    table = PAGE.partition("| stage |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == [*STAGES]


def test_each_alert_has_its_entry_and_each_entry_its_alert() -> None:
    names = [alert["alert"] for alert in ALERTS]
    assert re.findall(r"^### (\w+)$", PAGE.partition("## Alerts")[2], re.MULTILINE) == names
    for alert in ALERTS:
        assert alert["annotations"]["runbook"] == f"docs/metrics.md#{alert['alert'].lower()}"


def test_alerts_ask_for_metrics_that_there_are() -> None:
    known = {metric.name for metric in METRICS}
    for alert in ALERTS:
        for name in re.findall(r"policy_server_\w+", alert["expr"]):
            assert re.sub(r"_(total|bucket|sum|count)$", "", name) in known, alert["alert"]


def test_promtool_takes_the_rules_and_each_does_what_it_says() -> None:
    assert f"SUCCESS: {len(ALERTS)} rules found" in promtool(
        "check", "rules", DEPLOYED / "alerts.yml"
    )
    assert "is valid prometheus config" in promtool("check", "config", DEPLOYED / "prometheus.yml")
    promtool("test", "rules", DEPLOYED / "alerts.test.yml")
    tried = yaml.safe_load((DEPLOYED / "alerts.test.yml").read_text(encoding="utf-8"))
    expected = {
        each["alertname"]
        for test in tried["tests"]
        for each in test["alert_rule_test"]
        if each.get("exp_alerts")
    }
    assert expected == {alert["alert"] for alert in ALERTS}
