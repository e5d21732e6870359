"""What can be said of the files alone: that they fit one another, the metrics there are, and the runbook."""

import json
import re
from stage import ROOT

DASHBOARDS = {path.name: json.loads(path.read_text()) for path in sorted((ROOT / "dashboards").glob("*.json"))}
RULES = (ROOT / "dashboards/alerts.yaml").read_text()
TESTS = "\n".join(path.read_text() for path in sorted((ROOT / "tests/observability/rules").glob("*.yaml")))
RUNBOOK = (ROOT / "docs/OPERATIONS.md").read_text()
FAULTS = dict(re.findall(r'^    \(\d+, "(\w+)", Fault::(\w+)\),$', (ROOT / "src/chat/refusal.rs").read_text(), re.M))
METRICS = dict(re.findall(r"^\| `(crosstalk_\w+)` \| (\w+)", (ROOT / "docs/METRICS.md").read_text(), re.M))
ALERTS = re.findall(r"^      - alert: (\w+)$", RULES, re.M)


def panels():
    """Name, panel of all panels that show something."""
    for name, dashboard in DASHBOARDS.items():
        for panel in dashboard["panels"]:
            if panel["type"] != "row":
                yield f"{name}: {panel['title']}", panel


def anchors():
    """As web views of Markdown make them of headings."""
    headings = re.findall(r"^#+ (.+)$", RUNBOOK, re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def metrics_of(text):
    """Metrics by the names under which they are in the catalogue; what rules record is none."""
    recorded = re.sub(r"job:crosstalk_\w+:\w+", "", text)
    for word in re.findall(r"\bcrosstalk_\w+", recorded):
        base = re.sub(r"_(bucket|sum|count)$", "", word)
        yield base if word not in METRICS else word


def every_panel_is_explained():
    known = anchors()
    for name, panel in panels():
        assert panel["description"].endswith("."), f"{name} has no description"
        assert panel["fieldConfig"]["defaults"]["unit"], f"{name} has no unit"
        for link in panel["links"]:
            path, anchor = link["url"].split("#")
            assert path == "docs/OPERATIONS.md" and anchor in known, f"{name} links to {link['url']}, which is not there"


def every_metric_is_seen():
    used = set()
    for name, text in [*((name, json.dumps(found)) for name, found in DASHBOARDS.items()), ("alerts.yaml", RULES)]:
        words = set(metrics_of(text))
        assert words <= METRICS.keys(), f"{name} asks for {words - METRICS.keys()}, which are no metrics"
        used |= words
    assert used == METRICS.keys(), f"no panel and no alert uses {METRICS.keys() - used}"


def refusals_are_sorted_by_their_fault():
    """What is malformed, and what is over a limit, is a list in several queries: a new refusal has to be added to each."""
    malformed = {refusal for refusal, fault in FAULTS.items() if fault == "Malformed"}
    limits = {refusal for refusal, fault in FAULTS.items() if fault == "Pace"} | {"too_many_attempts"}
    lists = [text.split("|") for text in re.findall(r'refusal[=!]~\\?"([^"\\]+)', RULES + json.dumps(DASHBOARDS))]
    assert lists and malformed and FAULTS["unavailable"] == "Service"
    for found in map(set, lists):
        meant = malformed | limits | {"unavailable"} if len(found) > len(malformed) else \
            malformed if found & malformed else limits
        assert found == meant, f"a query has {sorted(found)}, src/chat/refusal.rs {sorted(meant)}"


def every_alert_is_tested_and_explained():
    assert len(set(ALERTS)) == len(ALERTS), "an alert is there twice"
    for field in ("severity", "summary", "description", "runbook_url"):
        assert len(re.findall(rf"^ +{field}:", RULES, re.M)) == len(ALERTS), f"an alert has no {field}"
    known = anchors()
    for anchor in re.findall(r"runbook_url: docs/OPERATIONS.md#(\S+)$", RULES, re.M):
        assert anchor in known, f"the runbook has no section {anchor}"
    for alert in ALERTS:
        assert re.search(rf"\b{alert}\b", RUNBOOK), f"the runbook does not name {alert}"
        scenarios = [said.split("promql_expr_test:") for said in re.split(r"^  - name: ", TESTS, flags=re.M)[1:]]
        moments = [re.split(r"- \{?eval_time", asked)[1:] for _, asked in scenarios]
        fires = [[f'alertname="{alert}"' in moment for moment in of_one] for of_one in moments]
        assert any(any(of_one) for of_one in fires), f"no unit test has {alert} fire"
        assert any(any(of_one) and not all(of_one) for of_one in fires), f"no unit test has {alert} quiet, and then fire"


def runbook_has_no_section_too_many():
    sections = re.findall(r"^### (Crosstalk\w+)$", RUNBOOK, re.M)
    linked = set(re.findall(r"runbook_url: docs/OPERATIONS.md#(\S+)$", RULES, re.M))
    for section in sections:
        assert section.lower() in linked, f"the runbook explains {section}, which no alert leads to"


def check():
    every_panel_is_explained()
    every_metric_is_seen()
    refusals_are_sorted_by_their_fault()
    every_alert_is_tested_and_explained()
    runbook_has_no_section_too_many()
    print(f"{sum(1 for _ in panels())} panels, {len(ALERTS)} alerts, {len(METRICS)} metrics")
