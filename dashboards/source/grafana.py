"""What the dashboards are made of: Grafana's JSON, as far as they need it."""

RUNBOOK = "docs/OPERATIONS.md"
SELECTOR = 'namespace=~"$namespace", job=~"$job", instance=~"$instance"'
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


def expand(expression):
    """`%` in braces stands for the dashboard's variables, `[]` for the range that goes with the scrape interval."""
    return " ".join(expression.split()).replace("%", SELECTOR).replace("[]", "[$__rate_interval]")


def quantiles(metric):
    """The usual three of a histogram."""
    return [
        (f"histogram_quantile({q}, sum by (le) (rate({metric}_bucket{{%}}[])))", name)
        for q, name in ((0.5, "half within"), (0.95, "95 %"), (0.99, "99 %"))
    ]


class Panel:
    """A panel without its place. `runbook` is a heading of the runbook, as its anchor."""

    def __init__(self, title, description, queries, unit="short", width=8, runbook="reading-the-dashboards", **more):
        self.title, self.description, self.unit, self.width, self.runbook = title, description, unit, width, runbook
        self.queries = [(queries, "")] if isinstance(queries, str) else queries
        self.more = more

    kind, height = "timeseries", 8

    def defaults(self):
        """Field options: how a value looks, and how its line is drawn."""
        steps = [{"color": "text" if self.kind == "stat" else "green", "value": None}]
        steps += [{"color": color, "value": value} for value, color in self.more.get("thresholds", [])]
        defaults = {
            "unit": self.unit,
            "mappings": self.more.get("mappings", []),
            "color": {"mode": "thresholds"} if len(steps) > 1 else {"mode": "fixed", "fixedColor": "text"},
            "thresholds": {"mode": "absolute", "steps": steps},
            "custom": self.custom(),
        }
        return defaults | {key: self.more[key] for key in ("min", "max", "decimals", "noValue") if key in self.more}

    def custom(self):
        return {}

    def options(self):
        return {}

    def target(self, number, expression, legend):
        return {
            "refId": "ABCDEFGH"[number],
            "datasource": DATASOURCE,
            "expr": expand(expression),
            "legendFormat": legend,
            "range": True,
            "instant": False,
            "editorMode": "code",
        }

    def json(self, number, x, y):
        made = {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": DATASOURCE,
            "gridPos": {"h": self.height, "w": self.width, "x": x, "y": y},
            "links": [{"title": "Runbook", "url": f"{RUNBOOK}#{self.runbook}", "targetBlank": True}],
            "fieldConfig": {"defaults": self.defaults(), "overrides": self.more.get("overrides", [])},
            "options": self.options(),
            "targets": [self.target(i, *query) for i, query in enumerate(self.queries)],
        }
        if "transformations" in self.more:
            made["transformations"] = self.more["transformations"]
        return made


class Lines(Panel):
    """Values over time. `stack=True` piles them up."""

    def defaults(self):
        # Colours tell lines apart; a threshold is a line of its own.
        return super().defaults() | {"color": {"mode": "palette-classic"}}

    def custom(self):
        return {
            "drawStyle": "line",
            "lineInterpolation": "linear",
            "lineWidth": 1,
            "fillOpacity": 25 if self.more.get("stack") else 8,
            "gradientMode": "none",
            "showPoints": "never",
            "pointSize": 4,
            "spanNulls": False,
            "insertNulls": False,
            "stacking": {"mode": "normal" if self.more.get("stack") else "none", "group": "A"},
            "axisPlacement": "auto",
            "axisSoftMin": 0,
            "scaleDistribution": {"type": "linear"},
            "thresholdsStyle": {"mode": "dashed" if "thresholds" in self.more else "off"},
            "hideFrom": {"legend": False, "tooltip": False, "viz": False},
        }

    def options(self):
        return {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc", "hideZeros": False},
        }


class Number(Panel):
    """One large number, and its course behind it."""

    kind, height = "stat", 4

    def options(self):
        return {
            "colorMode": "background" if "thresholds" in self.more else "value",
            "graphMode": "area",
            "justifyMode": "auto",
            "orientation": "auto",
            "textMode": "auto",
            "wideLayout": True,
            "showPercentChange": False,
            "percentChangeColorMode": "standard",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        }


class States(Panel):
    """What was so from when to when, one bar for each series."""

    kind = "state-timeline"

    def custom(self):
        return {"fillOpacity": 75, "lineWidth": 0, "hideFrom": {"legend": False, "tooltip": False, "viz": False}}

    def options(self):
        return {
            "mergeValues": True,
            "showValue": "auto",
            "alignValue": "left",
            "rowHeight": 0.9,
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False, "calcs": []},
            "tooltip": {"mode": "single", "sort": "none", "hideZeros": False},
        }


class Heat(Panel):
    """How a histogram's values are spread, over time."""

    kind = "heatmap"

    def custom(self):
        return {
            "scaleDistribution": {"type": "linear"},
            "hideFrom": {"legend": False, "tooltip": False, "viz": False},
        }

    def target(self, number, expression, legend):
        return super().target(number, expression, legend) | {"format": "heatmap"}

    def options(self):
        return {
            "calculate": False,
            "cellGap": 1,
            "cellValues": {"unit": "short"},
            "color": {
                "mode": "scheme", "scheme": "Oranges", "scale": "exponential", "exponent": 0.5,
                "fill": "dark-orange", "reverse": False, "steps": 64,
            },
            "exemplars": {"color": "rgba(255,0,255,0.7)"},
            "filterValues": {"le": 1e-9},
            "legend": {"show": True},
            "rowsFrame": {"layout": "auto"},
            "showValue": "never",
            "tooltip": {"mode": "single", "yHistogram": False, "showColorScale": False},
            "yAxis": {"axisPlacement": "left", "reverse": False, "unit": self.unit},
        }


class Table(Panel):
    """One line for each series, one column for each query; `columns` names them, the labels first."""

    kind = "table"

    def custom(self):
        return {"align": "auto", "cellOptions": {"type": "auto"}, "inspect": False}

    def target(self, number, expression, legend):
        at_once = {"format": "table", "range": False, "instant": True}
        return super().target(number, expression, legend) | at_once

    def options(self):
        return {"cellHeight": "sm", "frameIndex": 0, "showHeader": True}


class Row:
    """A heading between panels."""

    def __init__(self, title):
        self.title = title

    def json(self, number, _x, y):
        place = {"h": 1, "w": 24, "x": 0, "y": y}
        return {"id": number, "type": "row", "title": self.title, "collapsed": False, "gridPos": place, "panels": []}


def arranged(panels):
    """Panels from left to right, in lines of their own heights."""
    placed, x, y, tallest = [], 0, 0, 0
    for number, panel in enumerate(panels, 1):
        width, height = (24, 1) if isinstance(panel, Row) else (panel.width, panel.height)
        if x + width > 24:
            x, y, tallest = 0, y + tallest, 0
        placed.append(panel.json(number, x, y))
        x, tallest = x + width, max(tallest, height)
    return placed


def variable(name, label, matching):
    query = f"label_values(crosstalk_build_info{matching}, {name})"
    return {
        "name": name, "label": label, "type": "query", "datasource": DATASOURCE, "definition": query,
        "query": {"qryType": 1, "query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery"},
        "refresh": 2, "sort": 1, "multi": True, "includeAll": True, "allValue": ".*", "hide": 0, "options": [],
        "regex": "", "skipUrlSync": False, "current": {"text": ["All"], "value": ["$__all"]},
    }


def dashboard(uid, title, description, panels):
    datasource = {
        "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "refresh": 1,
        "regex": "", "multi": False, "includeAll": False, "hide": 0, "options": [], "skipUrlSync": False,
    }
    starts = {
        "name": "Starts", "enable": True, "hide": False, "iconColor": "blue", "datasource": DATASOURCE,
        "target": {
            "refId": "Starts", "datasource": DATASOURCE, "legendFormat": "", "range": True, "instant": False,
            "editorMode": "code",
            "expr": expand("process_start_time_seconds{%} * 1000 and on (namespace, job, instance) crosstalk_build_info"),
        },
        "titleFormat": "{{instance}} was started", "useValueForTime": "on",
    }
    others = {
        "type": "dashboards", "title": "Crosstalk", "tags": ["crosstalk"], "asDropdown": False, "icon": "dashboard",
        "includeVars": True, "keepTime": True, "targetBlank": False, "tooltip": "", "url": "",
    }
    runbook = {
        "type": "link", "title": "Runbook", "tags": [], "asDropdown": False, "icon": "doc", "includeVars": False,
        "keepTime": False, "targetBlank": True, "tooltip": "What each alert means, and what to do", "url": RUNBOOK,
    }
    return {
        "uid": uid, "title": title, "description": description, "tags": ["crosstalk"], "schemaVersion": 42,
        "version": 1, "editable": True, "graphTooltip": 1, "fiscalYearStartMonth": 0, "liveNow": False,
        "timezone": "browser", "weekStart": "", "refresh": "30s", "time": {"from": "now-1h", "to": "now"},
        "timepicker": {}, "links": [others, runbook], "annotations": {"list": [starts]},
        "templating": {"list": [
            datasource,
            variable("namespace", "Namespace", ""),
            variable("job", "Job", '{namespace=~"$namespace"}'),
            variable("instance", "Instance", '{namespace=~"$namespace", job=~"$job"}'),
        ]},
        "panels": arranged(panels),
    }
