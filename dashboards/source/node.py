"""Node: each gateway as a process, and how the load is spread over them."""

from grafana import Lines, Row, Table, dashboard


def here(metric):
    """A metric that every process has, of gateways only."""
    return f"{metric}{{%}} and on (namespace, job, instance) crosstalk_build_info"


COLUMNS = {
    "instance": "Gateway", "version": "Version", "Value #A": "Up for", "Value #B": "Connections", "Value #C": "Sessions",
    "Value #D": "Rooms", "Value #E": "Memory", "Value #F": "CPU",
}
UNITS = {"Up for": "s", "Memory": "bytes", "CPU": "percentunit"}

DASHBOARD = dashboard(
    "crosstalk-node", "Crosstalk / Node",
    "Each gateway as a process: what it has, what it costs, how the load is spread.",
    [
        Table("Gateways", "One line for each gateway.",
              [("(time() - process_start_time_seconds{%}) "
               " * on (namespace, job, instance) group_left (version) crosstalk_build_info{%}", ""),
               ("sum by (instance) (crosstalk_connections{%})", ""),
               ("sum by (instance) (crosstalk_sessions{%})", ""),
               ("sum by (instance) (crosstalk_rooms{%})", ""),
               ("sum by (instance) (" + here("process_resident_memory_bytes") + ")", ""),
               ("sum by (instance) (rate(process_cpu_seconds_total{%}[])"
                " and on (namespace, job, instance) crosstalk_build_info)", "")],
              width=24,
              transformations=[
                  {"id": "joinByField", "options": {"byField": "instance", "mode": "outer"}},
                  {"id": "filterFieldsByName", "options": {"include": {"names": list(COLUMNS)}}},
                  {"id": "organize", "options": {"renameByName": COLUMNS, "excludeByName": {}, "includeByName": {},
                                                 "indexByName": {name: i for i, name in enumerate(COLUMNS)}}},
              ],
              overrides=[{"matcher": {"id": "byName", "options": name}, "properties": [{"id": "unit", "value": unit}]}
                         for name, unit in UNITS.items()]),
        Row("What it costs"),
        Lines("CPU", "Processor time, in cores.",
              [("rate(process_cpu_seconds_total{%}[]) and on (namespace, job, instance) crosstalk_build_info",
                "{{instance}}")], "percentunit", runbook="crosstalkdeliverylate"),
        Lines("Memory", "Resident memory.", [(here("process_resident_memory_bytes"), "{{instance}}")], "bytes",
              runbook="crosstalkmemorygrows"),
        Lines("CPU of a delivery", "Processor time of the whole gateway, divided by its deliveries.",
              [("""sum by (instance) (rate(process_cpu_seconds_total{%}[]))
                   / (sum by (instance) (rate(crosstalk_deliveries_total{%}[])) > 0)""", "{{instance}}")], "s"),
        Lines("File descriptors", "Share of those that the process may open; each connection takes one.",
              [("process_open_fds{%} / process_max_fds{%} and on (namespace, job, instance) crosstalk_build_info",
                "{{instance}}")], "percentunit", thresholds=[(0.8, "red")], runbook="crosstalkfiledescriptors"),
        Lines("Threads", "Threads of the process; they grow with passwords being hashed.",
              [(here("process_threads"), "{{instance}}")], runbook="crosstalkpasswordqueue"),
        Lines("Client traffic", "Bytes read from clients and written to them, without TLS.",
              [("sum by (instance) (rate(crosstalk_bytes_in_total{%}[]))", "{{instance}} in"),
               ("sum by (instance) (rate(crosstalk_bytes_out_total{%}[]))", "{{instance}} out")], "Bps"),
        Row("What it has"),
        Lines("Connections", "Open connections by gateway: how evenly they are spread.",
              [("sum by (instance) (crosstalk_connections{%})", "{{instance}}")]),
        Lines("Sessions", "Sessions that hold a nickname or a room.", [("crosstalk_sessions{%}", "{{instance}}")]),
        Lines("Held sessions", "Sessions whose connection is lost, kept for their client to come back.",
              [("crosstalk_held_sessions{%}", "{{instance}}")]),
        Lines("Rooms", "Rooms with a member on the gateway.", [("crosstalk_rooms{%}", "{{instance}}")]),
        Lines("Waiting in mailboxes", "Bytes that clients have not read yet.",
              [("crosstalk_mailbox_bytes{%}", "{{instance}}")], "bytes", runbook="crosstalkmailboxes"),
        Lines("Passwords", "Passwords being hashed or waiting for their turn.",
              [("crosstalk_password_queue{%}", "{{instance}}")], thresholds=[(64, "red")],
              runbook="crosstalkpasswordqueue"),
        Row("Which they are"),
        Lines("Up for", "Time since each gateway was started.",
              [("time() - (" + here("process_start_time_seconds") + ")", "{{instance}}")], "s", width=12,
              runbook="crosstalkrestarts"),
        Lines("Versions", "Gateways by version.", [("count by (version) (crosstalk_build_info{%})", "{{version}}")],
              width=12, stack=True, runbook="crosstalkversionsmixed"),
    ],
)
