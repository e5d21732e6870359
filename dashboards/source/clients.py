"""Clients and refusals: who comes, who goes and why, what is refused and to whom."""

from grafana import Lines, Number, Row, dashboard

MALFORMED = ("not_an_object|action_missing|action_unknown|parameter_missing|parameter_invalid|room_name_invalid"
             "|nickname_invalid|date_invalid|frame_too_long")
LIMITS = "too_many_requests|too_many_attempts|too_many_rooms|too_many"

DASHBOARD = dashboard(
    "crosstalk-clients", "Crosstalk / Clients and refusals",
    "Who comes, who goes and why; what is refused, and whose fault it is; logins and certificates.",
    [
        Number("Connections", "Open client connections.", "sum(crosstalk_connections{%})", width=6),
        Number("Coming", "Connections accepted per second.", "sum(rate(crosstalk_connections_total{%}[]))", "ops", width=6),
        Number("Requests", "Requests read from clients.", "sum(rate(crosstalk_requests_total{%}[]))", "reqps", width=6),
        Number("Refused", "Share of the requests that are refused, for whatever reason.",
               """sum(rate(crosstalk_refusals_total{%}[])) / (sum(rate(crosstalk_requests_total{%}[])) > 0)
                  or 0 * count(crosstalk_build_info{%})""",
               "percentunit", width=6, thresholds=[(0.1, "orange")], runbook="crosstalkrequestsrefused"),
        Row("Coming and going"),
        Lines("Open", "Connections by dialect and transport.",
              [("sum by (dialect, transport) (crosstalk_connections{%})", "{{dialect}}, {{transport}}")], stack=True),
        Lines("Coming", "Connections accepted, and turned away: because a limit was reached, or because too many came at once.",
              [("sum by (dialect, transport) (rate(crosstalk_connections_total{%}[]))", "{{dialect}}, {{transport}}"),
               ("sum(rate(crosstalk_connections_refused_total{%}[]))", "turned away, limit"),
               ("sum(rate(crosstalk_connections_paced_total{%}[]))", "turned away, too many at once")], "ops",
              runbook="crosstalkconnectionsrefused"),
        Lines("Going", "Sessions that ended, by reason; peer_gone is a client that left.",
              [("sum by (reason) (rate(crosstalk_closes_total{%}[])) > 0", "{{reason}}")], "ops",
              runbook="crosstalkslowreaders"),
        Lines("Going on in another connection",
              "Sessions gone on with: whole, nameless (the nickname is somebody else's by now), refused (no such token) or failed.",
              [("sum by (outcome) (rate(crosstalk_resumes_total{%}[]))", "{{outcome}}")], "ops"),
        Lines("Held", "Sessions without a connection, kept for their client to come back, and those that a node which goes away"
              " has still to send to the others.",
              [("sum(crosstalk_held_sessions{%})", "held"), ("sum(crosstalk_drain_waiting{%})", "to be sent away"),
               ("sum(crosstalk_sessions{%})", "all sessions")]),
        Lines("Traffic", "Bytes read from clients and written to them.",
              [("sum(rate(crosstalk_bytes_in_total{%}[]))", "in"), ("sum(rate(crosstalk_bytes_out_total{%}[]))", "out")],
              "Bps"),
        Row("Requests and refusals"),
        Lines("Requests", "Requests by dialect, refused ones included.",
              [("sum by (dialect) (rate(crosstalk_requests_total{%}[]))", "{{dialect}}")], "reqps", stack=True),
        Lines("Refusals by fault",
              "Malformed: the client breaks its protocol. Limits: it asks too much. Unavailable: the service cannot. The rest does not"
              " fit the state of things, as a nickname that is taken.",
              [(f'sum(rate(crosstalk_refusals_total{{%, refusal=~"{MALFORMED}"}}[]))', "malformed"),
               (f'sum(rate(crosstalk_refusals_total{{%, refusal=~"{LIMITS}"}}[]))', "limits"),
               ('sum(rate(crosstalk_refusals_total{%, refusal="unavailable"}[]))', "unavailable"),
               (f'sum(rate(crosstalk_refusals_total{{%, refusal!~"{MALFORMED}|{LIMITS}|unavailable"}}[]))', "the rest")],
              "reqps", stack=True, runbook="crosstalkclientsmalformed"),
        Lines("Refusals", "Requests refused, by refusal.",
              [("sum by (refusal) (rate(crosstalk_refusals_total{%}[])) > 0", "{{refusal}}")], "reqps",
              noValue="none is refused", runbook="crosstalkclientstoofast"),
        Row("Logins"),
        Lines("Nicknames claimed", "Nicknames claimed, by guests and accounts.",
              [("sum by (instance) (rate(crosstalk_logins_total{%}[]))", "{{instance}}")], "ops", stack=True),
        Lines("Providers and tokens", "Steps of logging in with a provider or a token, by how they ended.",
              [("sum by (outcome) (rate(crosstalk_auth_total{%}[]))", "{{outcome}}")], "ops",
              runbook="crosstalkloginsfail"),
        Lines("Certificates", "TLS handshakes that failed, and certificate files read again.",
              [("sum(increase(crosstalk_tls_failures_total{%}[]))", "failed handshakes"),
               ("sum by (outcome) (increase(crosstalk_tls_renewals_total{%}[]))", "certificate {{outcome}}")],
              runbook="crosstalkcertificatenotrenewed"),
    ],
)
