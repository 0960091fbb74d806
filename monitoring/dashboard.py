"""Makes grafana/webhookd.json of the panels that are listed here: `make docs`."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("grafana") / "webhookd.json"
WIDTH, HEIGHT = 24, 8
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
HERE = 'instance=~"$instance"'
AT = 'instance=~"$instance", endpoint=~"$endpoint"'
Query = tuple[str, str]
"""An expression, and what a line of it is called."""


def rate(metric: str, by: str, where: str = HERE) -> str:
    return f"sum by ({by}) (rate({metric}{{{where}}}[$__rate_interval]))"


def quantile(part: float, metric: str) -> str:
    return f"histogram_quantile({part}, sum by (le) (rate({metric}_bucket{{{HERE}}}[$__rate_interval])))"


def quantiles(metric: str) -> list[Query]:
    return [(quantile(part, metric), f"{part:.0%}") for part in (0.5, 0.95, 0.99)]


def of(metric: str, by: str = "endpoint") -> list[Query]:
    where = AT if by == "endpoint" else HERE
    return [(f"sum by ({by}) ({metric}{{{where}}})", f"{{{{{by}}}}}")]


SUCCESS = (
    f"{rate('webhookd_attempts_total', 'instance', HERE + ', result=' + chr(34) + 'succeeded' + chr(34))} / "
    + rate("webhookd_attempts_total", "instance")
)
ROWS: dict[str, list[tuple[str, str, str, Sequence[Query]]]] = {
    "Overview": [
        ("stat", "Ready", "bool_yes_no", [(f"min(webhookd_ready{{{HERE}}})", "ready")]),
        ("stat", "Captured payments that did not arrive", "none", [(f"sum(webhookd_stuck{{{HERE}}})", "stuck")]),
        ("stat", "Attempts that succeed", "percentunit", [(SUCCESS, "{{instance}}")]),
        ("stat", "Backlog", "none", [(f"sum(webhookd_backlog{{{HERE}}})", "pending")]),
        ("stat", "Oldest pending", "s", [(f"max(webhookd_oldest_pending_seconds{{{HERE}}})", "oldest")]),
        ("stat", "Version", "none", [(f"webhookd_build_info{{{HERE}}}", "{{version}} (SQLite {{sqlite}})")]),
    ],
    "Receive": [
        ("timeseries", "Hooks", "reqps", [(rate("webhookd_hooks_total", "source, result"), "{{source}} {{result}}")]),
        ("timeseries", "From a hook to its 200", "s", quantiles("webhookd_ack_seconds")),
        (
            "timeseries",
            "Bad signatures",
            "reqps",
            [(rate("webhookd_signature_failures_total", "source"), "{{source}}")],
        ),
        (
            *("timeseries", "Odd: unknown types, other bodies under a known id", "reqps"),
            [
                (rate("webhookd_unknown_types_total", "source"), "unknown type, {{source}}"),
                (rate("webhookd_conflicts_total", "source"), "conflict, {{source}}"),
            ],
        ),
        ("timeseries", "Rows that wait in an outbox", "none", of("webhookd_outbox_waiting_rows", "source")),
        ("timeseries", "The oldest of them", "s", [(f"webhookd_outbox_oldest_seconds{{{HERE}}}", "{{source}}")]),
        (
            *("timeseries", "Outboxes that are followed", "none"),
            [(f'sum by (source) (webhookd_outbox_state{{{HERE}, state="follows"}})', "{{source}}")],
        ),
        ("timeseries", "Why hooks are refused", "none", [(f"max by (why) (webhookd_unready{{{HERE}}})", "{{why}}")]),
    ],
    "Store": [
        ("timeseries", "A commit", "s", quantiles("webhookd_commit_seconds")),
        ("timeseries", "Writes in a commit", "none", quantiles("webhookd_commit_batch_writes")),
        ("timeseries", "Writes that wait", "none", [(f"webhookd_commit_queue_writes{{{HERE}}}", "{{instance}}")]),
        ("timeseries", "Bytes that wait", "bytes", [(f"webhookd_commit_queue_bytes{{{HERE}}}", "{{instance}}")]),
        (
            *("timeseries", "Files", "bytes"),
            [
                (f"webhookd_database_bytes{{{HERE}}}", "database"),
                (f"webhookd_wal_bytes{{{HERE}}}", "write-ahead log"),
            ],
        ),
        (
            *("timeseries", "Disk", "bytes"),
            [
                (f"webhookd_disk_free_bytes{{{HERE}}}", "free"),
                (f"webhookd_disk_min_free_bytes{{{HERE}}}", "below this hooks are refused"),
            ],
        ),
        ("timeseries", "Events that went nowhere", "none", of("webhookd_odd_events", "state")),
        ("timeseries", "Taken by retention", "ops", [(rate("webhookd_pruned_total", "what"), "{{what}}")]),
        ("timeseries", "Age of the counts", "s", [(f"webhookd_survey_age_seconds{{{HERE}}}", "{{of}}")]),
    ],
    "Delivery": [
        ("timeseries", "Attempts", "reqps", [(rate("webhookd_attempts_total", "result"), "{{result}}")]),
        ("timeseries", "An attempt", "s", quantiles("webhookd_attempt_seconds")),
        ("timeseries", "From hook to delivered", "s", quantiles("webhookd_hook_to_delivered_seconds")),
        ("timeseries", "Deliveries ended", "ops", [(rate("webhookd_deliveries_total", "state"), "{{state}}")]),
        (
            *("timeseries", "Retries", "percentunit"),
            [
                (
                    f"{rate('webhookd_retries_total', 'instance')} / {rate('webhookd_attempts_total', 'instance')}",
                    "share",
                )
            ],
        ),
        (
            *("timeseries", "Under way", "none"),
            [
                (f"webhookd_dispatch_in_flight{{{HERE}}}", "attempts"),
                (f"webhookd_dispatch_in_flight_limit{{{HERE}}}", "limit"),
                (f"webhookd_dispatch_unsettled{{{HERE}}}", "not on disk yet"),
            ],
        ),
        ("timeseries", "Bodies in memory", "bytes", [(f"webhookd_dispatch_window_bytes{{{HERE}}}", "{{instance}}")]),
    ],
    "Endpoints": [
        ("timeseries", "Backlog", "none", of("webhookd_backlog")),
        ("timeseries", "Oldest pending", "s", of("webhookd_oldest_pending_seconds")),
        ("timeseries", "Given up", "none", of("webhookd_dead")),
        (
            "timeseries",
            "Attempts that fail",
            "reqps",
            [
                (
                    rate("webhookd_attempts_total", "endpoint, result", f'{AT}, result!="succeeded"'),
                    "{{endpoint}} {{result}}",
                )
            ],
        ),
        (
            "timeseries",
            "In flight, and the limit",
            "none",
            [*of("webhookd_in_flight"), *of("webhookd_in_flight_limit")],
        ),
        ("timeseries", "In memory, due", "none", of("webhookd_window")),
        ("timeseries", "Held up by pace, rate or Retry-After", "none", of("webhookd_paced_waiting")),
        (
            "timeseries",
            "Breaker not closed",
            "none",
            [(f'sum by (endpoint, state) (webhookd_breaker_state{{{AT}, state!="closed"}})', "{{endpoint}} {{state}}")],
        ),
        (
            "timeseries",
            "Breakers that opened",
            "none",
            [(f"sum by (endpoint) (increase(webhookd_breaker_trips_total{{{AT}}}[$__rate_interval]))", "{{endpoint}}")],
        ),
        (
            "timeseries",
            "Not active",
            "none",
            [
                (
                    f'sum by (endpoint, state) (webhookd_endpoint_state{{{AT}, state!="active"}})',
                    "{{endpoint}} {{state}}",
                )
            ],
        ),
        (
            "timeseries",
            "Stood down by webhookd",
            "none",
            [
                (
                    f"sum by (endpoint, why) (increase(webhookd_endpoints_stood_down_total{{{AT}}}[1h]))",
                    "{{endpoint}} {{why}}",
                )
            ],
        ),
    ],
    "Money": [
        (
            "timeseries",
            "Captured payments that did not arrive",
            "none",
            [(f"sum by (endpoint, state) (webhookd_stuck{{{AT}}})", "{{endpoint}} {{state}}")],
        ),
        (
            "timeseries",
            "What events say of money",
            "ops",
            [(rate("webhookd_facts_total", "provider, kind, status"), "{{provider}} {{kind}} {{status}}")],
        ),
        (
            "timeseries",
            "Certificates end in",
            "s",
            [(f"webhookd_certificate_expiry_seconds{{{HERE}}} - time()", "{{kind}} {{name}}")],
        ),
    ],
    "Process": [
        (
            "timeseries",
            "Processor",
            "percentunit",
            [(f"rate(process_cpu_seconds_total{{{HERE}}}[$__rate_interval])", "{{instance}}")],
        ),
        ("timeseries", "Memory", "bytes", [(f"process_resident_memory_bytes{{{HERE}}}", "{{instance}}")]),
        ("timeseries", "Open files", "none", [(f"process_open_fds{{{HERE}}}", "{{instance}}")]),
        ("timeseries", "Spans", "ops", [(rate("webhookd_spans_total", "result"), "{{result}}")]),
        ("timeseries", "The event loop is late", "s", quantiles("webhookd_loop_lag_seconds")),
        (
            "timeseries",
            "Up since",
            "dateTimeFromNow",
            [(f"webhookd_start_time_seconds{{{HERE}}} * 1000", "{{instance}}")],
        ),
    ],
}


def panels() -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    top = 0
    for row, contents in ROWS.items():
        made.append({"type": "row", "title": row, "collapsed": False, "panels": [], "gridPos": at(0, top, WIDTH, 1)})
        top += 1
        small = contents[0][0] == "stat"
        width, height = (WIDTH // 6, HEIGHT // 2) if small else (WIDTH // 3, HEIGHT)
        for number, content in enumerate(contents):
            left, down = number * width % WIDTH, number * width // WIDTH
            made.append(panel(*content) | {"gridPos": at(left, top + down * height, width, height)})
        top += -(-len(contents) * width // WIDTH) * height
    return [{"id": number} | each for number, each in enumerate(made, 1)]


def at(left: int, top: int, width: int, height: int) -> dict[str, int]:
    return {"h": height, "w": width, "x": left, "y": top}


def panel(kind: str, title: str, unit: str, queries: Sequence[Query]) -> dict[str, Any]:
    targets = [
        {"refId": chr(ord("A") + number), "datasource": SOURCE, "expr": expr, "legendFormat": legend, "range": True}
        for number, (expr, legend) in enumerate(queries)
    ]
    options: dict[str, Any] = {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    if kind == "stat":
        by_name = title == "Version"
        options = {"reduceOptions": {"calcs": ["lastNotNull"]}, "textMode": "name" if by_name else "auto"}
    return {
        "type": kind,
        "title": title,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "options": options,
        "targets": targets,
    }


def variable(name: str, label: str, metric: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": f"label_values({metric}, {name})", "refId": name},
        "definition": f"label_values({metric}, {name})",
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
        "refresh": 2,
        "sort": 1,
    }


def dashboard() -> str:
    made = {
        "title": "webhookd",
        "uid": "webhookd",
        "description": "Payment webhooks: received, stored, delivered. Its alerts are in monitoring/alerts.yml.",
        "tags": ["webhookd", "payments"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "templating": {
            "list": [
                {
                    "name": "datasource",
                    "label": "Data source",
                    "type": "datasource",
                    "query": "prometheus",
                    "refresh": 1,
                },
                variable("instance", "Instance", "webhookd_ready"),
                variable("endpoint", "Endpoint", "webhookd_backlog"),
            ]
        },
        "annotations": {
            "list": [
                {
                    "name": "Restarts",
                    "datasource": SOURCE,
                    "enable": True,
                    "iconColor": "orange",
                    "expr": f"changes(webhookd_start_time_seconds{{{HERE}}}[2m]) > 0",
                }
            ]
        },
        "panels": panels(),
    }
    return json.dumps(made, indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(dashboard(), encoding="utf-8")
