"""Dashboards and alert rules come through as they are in `dashboards/`."""

import json
import shutil

import pytest
import yaml
from generate import CHART, ROOT
from helm import Refused, kind, only, template
from test_kubernetes import judge_custom

DASHBOARDS = sorted((ROOT / "dashboards").glob("*.json"))
RULES = ROOT / "dashboards" / "alerts.yaml"
# With everything that a template could trip over.
AWKWARD = """\
# {{ not a template }}
groups:
  - name: chat
    rules:
      - alert: ChatIsLate
        expr: |
          sum(rate(crosstalk_refusals_total{refusal="unavailable"}[5m])) > 0
        annotations:
          summary: '{{ $labels.instance }}: {{ $value | humanize }} "late"'
          runbook_url: docs/OPERATIONS.md#late
"""


def test_every_dashboard_is_a_config_map_for_the_sidecar():
    made = kind(template({"dashboards": {"enabled": True, "namespace": "monitoring"}}), "ConfigMap")
    assert DASHBOARDS and len(made) == len(DASHBOARDS)
    for path in DASHBOARDS:
        (one,) = [each for each in made if path.name in each["data"]]
        assert one["metadata"]["labels"]["grafana_dashboard"] == "1" and one["metadata"]["namespace"] == "monitoring"
        assert json.loads(one["data"][path.name]) == json.loads(path.read_text())
        # What a ConfigMap may hold.
        assert len(one["data"][path.name].encode()) < 1_000_000


def with_rules(folder, text):
    """The chart with other rules, and with no link to follow."""
    chart = folder / "crosstalk"
    shutil.copytree(CHART, chart)
    (chart / "files" / "dashboards" / "alerts.yaml").write_text(text)
    return chart


def test_rules_are_not_taken_for_templates(tmp_path):
    chart = with_rules(tmp_path, AWKWARD)
    for version in ("3", "4"):
        made = template({"prometheusRule": {"enabled": True, "labels": {"release": "p"}}}, version, chart=chart)
        rule = only(made, "PrometheusRule")
        assert rule["spec"] == yaml.safe_load(AWKWARD)
        assert rule["metadata"]["labels"]["release"] == "p"
        assert judge_custom(made) == ""


def test_the_runbook_is_where_the_values_say(tmp_path):
    chart = with_rules(tmp_path, AWKWARD)
    values = {"prometheusRule": {"enabled": True}, "runbookUrl": "https://docs.example.org/x.md"}
    (group,) = only(template(values, chart=chart), "PrometheusRule")["spec"]["groups"]
    assert group["rules"][0]["annotations"]["runbook_url"] == "https://docs.example.org/x.md#late"


def test_the_rules_of_the_repository_are_the_ones_that_are_given():
    values = {"prometheusRule": {"enabled": True}}
    if RULES.exists():
        assert only(template(values), "PrometheusRule")["spec"] == yaml.safe_load(RULES.read_text())
    else:
        with pytest.raises(Refused, match="without dashboards/alerts.yaml"):
            template(values)
