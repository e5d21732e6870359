"""A real Prometheus scrapes real gateways, under load and while things go wrong; then every panel and every alert is asked."""

import contextlib
import math
import pathlib
import re
import tempfile

from promises import DASHBOARDS, METRICS, RULES, panels
from stage import Prometheus
from story import EXPECTED, Story

# Queries that may have no value at the end of this test, and why.
EMPTY = {}

# Counters that stay at 0 in this test, and why.
STILL = {
    "crosstalk_tls_failures_total": "no listener of this test speaks TLS; tests/suite/tls.rs has it count",
    "crosstalk_tls_renewals_total": "the same",
}


def all_values(expression):
    """An expression whose comparisons filter nothing: it has a value wherever its parts have one. What lies hours back is
    looked for seconds back."""
    outside = re.split(r'("[^"]*"|\{[^}]*\})', expression)
    outside[::2] = [re.sub(r"(==|!=|<=|>=|<|>)", r"\1 bool", part) for part in outside[::2]]
    return re.sub(r"offset \d+h", "offset 2s", "".join(outside))


def shown(expression):
    """What Grafana asks for with all variables on "All"."""
    interval = f"{4 * Prometheus.SCRAPE_S}s"
    for name in ("namespace", "job", "instance"):
        expression = expression.replace(f"${name}", ".*")
    return expression.replace("$__rate_interval", interval)


def panels_have_values(prometheus):
    for name, panel in panels():
        for target in panel["targets"]:
            query = shown(target["expr"])
            found = [(labels, [value]) for labels, value in prometheus.now(query)] if target["instant"] else \
                prometheus.course(query)
            # What a line is called has to be there as well.
            named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            drawn = [values for labels, values in found if named <= labels.keys()]
            yield f"{name}: {target['expr']}", any(not math.isnan(value) for values in drawn for value in values)
    for name, dashboard in DASHBOARDS.items():
        for annotation in dashboard["annotations"]["list"]:
            yield f"{name}: {annotation['name']}", bool(prometheus.course(shown(annotation["target"]["expr"])))


def variables_have_values(prometheus):
    for name, dashboard in DASHBOARDS.items():
        for variable in dashboard["templating"]["list"]:
            if variable["type"] == "query":
                matching, label = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["definition"]).groups()
                yield f"{name}: ${variable['name']}", bool(prometheus.ask(f"label/{label}/values", **{"match[]": shown(matching)}))


def rules_have_values(prometheus):
    for group in prometheus.ask("rules")["groups"]:
        for rule in group["rules"]:
            assert rule["health"] == "ok", rule
            course = prometheus.course(all_values(rule["query"]))
            yield rule["name"], any(not math.isnan(value) for _, values in course for value in values)


def matched_labels_exist(prometheus):
    """A query that excludes or sums up something by a name that is not there has a value nevertheless."""
    queries = [target["expr"] for _, panel in panels() for target in panel["targets"]] + [RULES]
    for query in queries:
        for label, values in re.findall(r'\b(refusal|reason|outcome|le)[=!]~?"([^"]+)"', query):
            known = set(prometheus.ask(f"label/{label}/values", **{"match[]": '{__name__=~"crosstalk_.+"}'}))
            for value in values.split("|"):
                yield f"{label} {value}", value in known


def counters_move(prometheus):
    for metric, kind in METRICS.items():
        if kind == "gauge":
            continue
        name = f"{metric}_count" if kind == "histogram" else metric
        yield metric, any(value > 0 for _, values in prometheus.course(name) for value in values)


def judge(what, found, excused):
    found = dict(found)
    missing = [name for name, is_there in found.items() if not is_there and name not in excused]
    needless = [name for name, is_there in found.items() if is_there and name in excused]
    assert not missing, f"{what} without a value:\n  " + "\n  ".join(missing)
    assert not needless, f"{what} on the list of exceptions that need none: {needless}"
    print(f"{len(found)} {what}, {len(excused)} of them excused")


def check():
    with contextlib.ExitStack() as ending:
        folder = pathlib.Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="crosstalk-observability-")))
        story = Story(folder, ending)
        story.play()
        ever = {labels["alertname"] for labels, _ in story.prometheus.course('ALERTS{alertstate="firing"}')}
        assert EXPECTED <= ever, f"{EXPECTED - ever} did not fire"
        judge("panel queries and annotations", panels_have_values(story.prometheus), EMPTY)
        judge("variables", variables_have_values(story.prometheus), {})
        judge("rules", rules_have_values(story.prometheus), {})
        judge("labels in queries", matched_labels_exist(story.prometheus), {})
        judge("counters and histograms", counters_move(story.prometheus), STILL)
        print(f"fired: {', '.join(sorted(ever))}")
