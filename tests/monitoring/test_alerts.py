"""The rules are right by Prometheus's own tool; each is tried, and speaks of metrics, commands and pages there are."""

import json
import re
import runpy
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from tests.monitoring.tools import ROOT, needs_prometheus
from webhookd.cli.app import app
from webhookd.observe.catalogue import CATALOGUE

MONITORING = ROOT / "monitoring"
RULES = [
    rule
    for group in yaml.safe_load((MONITORING / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
TRIED = yaml.safe_load((MONITORING / "alerts_test.yml").read_text(encoding="utf-8"))["tests"]
DASHBOARD = json.loads((MONITORING / "grafana" / "webhookd.json").read_text(encoding="utf-8"))
WANTED = """
    WebhookdDown WebhookdNotReady WebhookdRestarting WebhookdLoopLag WebhookdSignatureFailures WebhookdQuarantined
    WebhookdDiskLow WebhookdCommitSlow WebhookdWalLarge WebhookdPaymentsStuck WebhookdSuccessRateLow
    WebhookdProcessingSlow WebhookdRetryRateHigh WebhookdBacklogOld WebhookdBreakerOpen WebhookdEndpointDisabled
    WebhookdCertificateExpires WebhookdEndpointTls
""".split()
COMMAND = re.compile(r"`(webhookd [^`]+)`")
OTHERS = {"up", "ALERTS", "process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"}
"""What Prometheus and its client have for everybody."""


def promtool(*arguments: str) -> None:
    done = subprocess.run(["promtool", *arguments], cwd=MONITORING, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_prometheus
def test_the_rules_and_the_example_are_what_prometheus_takes(tmp_path: Path):
    promtool("check", "rules", "alerts.yml")
    promtool("check", "config", "prometheus.yml")


@needs_prometheus
def test_each_alert_fires_when_it_should_and_not_before():
    promtool("test", "rules", "alerts_test.yml")


@needs_prometheus
def test_a_rule_that_never_fires_fails_its_test(tmp_path: Path):
    for name in ("alerts.yml", "alerts_test.yml"):
        text = (MONITORING / name).read_text(encoding="utf-8").replace("webhookd_ready == 0", "webhookd_ready == 2")
        (tmp_path / name).write_text(text, encoding="utf-8")
    command = ["promtool", "test", "rules", "alerts_test.yml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "WebhookdNotReady" in done.stdout + done.stderr


def test_the_alerts_that_somebody_counts_on_are_there():
    assert set(WANTED) <= {rule["alert"] for rule in RULES}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_is_tried_both_ways_and_says_what_to_do(rule: dict[str, Any]):
    asked = f'ALERTS{{alertname="{rule["alert"]}", alertstate="firing"}}'
    expected = [
        bool(each["promql_expr_test"][0]["exp_samples"])
        for each in TRIED
        if each["promql_expr_test"][0]["expr"] == asked
    ]
    assert set(expected) == {True, False}
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["annotations"].keys() == {"summary", "description", "runbook"}
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    assert anchor in {heading.lower().replace(" ", "-") for heading in headings}
    assert "`" in rule["annotations"]["description"], "there is no command in it"


def commands() -> set[str]:
    texts = [rule["annotations"]["description"] for rule in RULES]
    found = {command for text in texts for command in COMMAND.findall(text)}
    return {re.sub(r"\{\{ \$labels\.(\w+) \}\}", "shop", command) for command in found}


@pytest.mark.parametrize("command", sorted(commands()))
def test_a_command_that_an_alert_names_can_be_given(command: str):
    words = shlex.split(command)[1:]
    verb: Any = typer.main.get_command(app)
    context = verb.make_context("webhookd", words, resilient_parsing=True)
    while hasattr(verb, "commands"):
        name, verb, words = verb.resolve_command(context, words)
        assert verb is not None, command
        context = verb.make_context(name, list(words), parent=context)  # raises where an option is none
    assert context is not None


def asked_for(expression: str) -> dict[str, set[str]]:
    """The metrics of an expression, each with the labels it is narrowed by."""
    bare = re.sub(r'"[^"]*"', '""', expression)
    found: dict[str, set[str]] = {}
    for name, narrowed in re.findall(r"\b((?:webhookd|process)_\w+|up)\b(?:\{([^}]*)\})?", bare):
        found.setdefault(name, set()).update(re.findall(r"(\w+)\s*(?:=~|!=|=)", narrowed))
    return found


def expressions() -> list[str]:
    panels = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]
    return [*(rule["expr"] for rule in RULES), *panels, *(each["expr"] for each in DASHBOARD["annotations"]["list"])]


@pytest.mark.parametrize("expression", expressions())
def test_what_rules_and_dashboard_ask_for_is_in_the_catalogue_with_its_labels(expression: str):
    asked = asked_for(expression)
    assert asked
    for name, labels in asked.items():
        metric = CATALOGUE.metrics.get(re.sub(r"_(bucket|sum|count)$", "", name)) or CATALOGUE.metrics.get(name)
        if metric is None:
            assert name in OTHERS, name
        else:
            assert (metric.kind == "histogram") == name.endswith("_bucket"), name
            assert labels <= {*metric.labels, "instance", "job", "le"}, name


def test_the_dashboard_shows_every_metric():
    shown = {re.sub(r"_bucket$", "", name) for expression in expressions() for name in asked_for(expression)}
    assert CATALOGUE.metrics.keys() <= shown


def test_the_dashboard_is_made_of_its_list_and_has_its_variables():
    made = runpy.run_path(str(MONITORING / "dashboard.py"))["dashboard"]()
    assert json.loads(made) == DASHBOARD, "run `make docs`"
    assert [each["name"] for each in DASHBOARD["templating"]["list"]] == ["datasource", "instance", "endpoint"]
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
