"""Is chat well? What people feel, one look at each node, and which dashboard goes on from there."""

from grafana import Lines, Number, Row, States, dashboard, quantiles

WELL = [{"type": "value", "options": {
    "0": {"text": "Redis is away", "color": "red", "index": 0},
    "1": {"text": "deaf", "color": "orange", "index": 1},
    "2": {"text": "well", "color": "green", "index": 2},
}}]
FIRING = [{"type": "value", "options": {"1": {"text": "firing", "color": "red", "index": 0}}}]

DASHBOARD = dashboard(
    "crosstalk-overview", "Crosstalk / Overview",
    "Is chat well? Messages, what is refused, what comes late, and how each gateway is.",
    [
        Number("Gateways", "Gateways that Prometheus reaches.", "count(crosstalk_build_info{%})",
               width=3, runbook="crosstalknodedown"),
        Number("In trouble", "Gateways that are deaf, or that Redis does not answer.",
               "count(crosstalk_broker_up{%} == 0 or crosstalk_bus_up{%} == 0) or 0 * count(crosstalk_build_info{%})",
               width=3, thresholds=[(1, "red")], runbook="crosstalknodedeaf"),
        Number("Connections", "Open client connections.", "sum(crosstalk_connections{%})", width=3),
        Number("Messages", "Messages to rooms that were accepted and acknowledged, per second.",
               "sum(rate(crosstalk_publishes_total{%}[]))", "msg/s", width=3, noValue="0"),
        Number("Refused as unavailable",
               "Share of the requests that are refused because the service cannot carry them out. At most 0.1 % over 30 days is the"
               " objective.",
               """sum(rate(crosstalk_refusals_total{%, refusal="unavailable"}[]))
                  / (sum(rate(crosstalk_requests_total{%}[])) > 0) or 0 * count(crosstalk_build_info{%})""",
               "percentunit", width=4, thresholds=[(0.001, "orange"), (0.0144, "red")], runbook="crosstalkrequestsrefused"),
        Number("Late deliveries",
               "Share of the room events that take longer than 250 ms from the broker to the members' mailboxes. At most 1 % over 30"
               " days is the objective.",
               """1 - sum(rate(crosstalk_event_delay_seconds_bucket{%, le="0.25"}[]))
                  / (sum(rate(crosstalk_event_delay_seconds_count{%}[])) > 0) or 0 * count(crosstalk_build_info{%})""",
               "percentunit", width=4, thresholds=[(0.01, "orange"), (0.144, "red")], runbook="crosstalkdeliverylate"),
        Number("Slow messages",
               "Share of the messages for which the sender waits longer than 250 ms. At most 1 % over 30 days is the objective.",
               """1 - sum(rate(crosstalk_publish_seconds_bucket{%, le="0.25"}[]))
                  / (sum(rate(crosstalk_publish_seconds_count{%}[])) > 0) or 0 * count(crosstalk_build_info{%})""",
               "percentunit", width=4, thresholds=[(0.01, "orange"), (0.144, "red")], runbook="crosstalkpublishslow"),
        Row("How it is"),
        States("Gateways", "Whether Redis answers each gateway, and whether the gateway hears what is said on the others.",
               [("crosstalk_broker_up{%} * (1 + crosstalk_bus_up{%})", "{{instance}}")],
               width=12, mappings=WELL, runbook="crosstalknodedeaf"),
        States("Alerts", "Alerts of this cluster that are firing. Each has its section in the runbook.",
               [("""max by (alertname, severity)
                    (ALERTS{alertname=~"Crosstalk.*", alertstate="firing", namespace=~"$namespace", job=~"$job"})""",
                 "{{alertname}} ({{severity}})")],
               width=12, mappings=FIRING, noValue="none is firing", runbook="the-alerts"),
        Row("What people do"),
        Lines("Connections", "Open connections by dialect and transport.",
              [("sum by (dialect, transport) (crosstalk_connections{%})", "{{dialect}}, {{transport}}")], stack=True),
        Lines("Messages", "Messages to rooms, and to one person, that were acknowledged.",
              [("sum(rate(crosstalk_publishes_total{%}[]))", "to rooms"),
               ("sum(rate(crosstalk_private_messages_total{%}[]))", "private")], "msg/s"),
        Lines("Deliveries", "Room events put into mailboxes, one for each member that is told.",
              [("sum by (instance) (rate(crosstalk_deliveries_total{%}[]))", "{{instance}}")], "ops", stack=True),
        Row("What they feel"),
        Lines("Time to publish", "From a request to the broker's acceptance: how long senders wait.",
              quantiles("crosstalk_publish_seconds"), "s", thresholds=[(0.25, "red")], runbook="crosstalkpublishslow"),
        Lines("Time to deliver",
              "From the broker's acceptance to the members' mailboxes; includes the difference of the two clocks.",
              quantiles("crosstalk_event_delay_seconds"), "s", thresholds=[(0.25, "red")], runbook="crosstalkdeliverylate"),
        Lines("Refusals", "The eight most frequent reasons for which requests are refused.",
              [("topk(8, sum by (refusal) (rate(crosstalk_refusals_total{%}[])) > 0)", "{{refusal}}")], "reqps",
              noValue="none is refused", runbook="crosstalkrequestsrefused"),
        Lines("Thrown out", "Sessions ended by the server for a reason of its own, or because the client reads too slowly.",
              [("""sum by (reason) (rate(crosstalk_closes_total{%,
                   reason=~"slow_reader|silent|nickname_lost|account_lost|login_unavailable|restart|too_many_connections"}[]))""",
                "{{reason}}")],
              "ops", runbook="crosstalksessionsthrownout"),
        Lines("Turned away", "Connections refused because a limit on connections was reached.",
              [("sum by (instance) (rate(crosstalk_connections_refused_total{%}[]))", "{{instance}}")],
              "ops", runbook="crosstalkconnectionsrefused"),
        Lines("Lost for good", "Holes in rooms that could not be filled, and streams that went on under a new epoch.",
              [("sum by (instance) (increase(crosstalk_gaps_total{%}[]))", "{{instance}}")],
              runbook="crosstalkmessageslost"),
    ],
)
