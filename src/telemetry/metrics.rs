//! Every metric, one line each; from the same lines come the registry, `docs/METRICS.md` and the dashboard check.
//!
//! To add one: add its line here, use it, run the tests with `BLESS=1` to renew the page, and give it a panel or an
//! alert. Labels come from closed enums only, never from a room, a name or an address.

use prometheus::{
    Encoder, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

/// Buckets for waits inside the data centre: 0.1 ms to 5 s.
const LATENCY_SECONDS: &[f64] =
    &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];
/// Buckets for the number of local receivers of one event.
const RECEIVERS: &[f64] = &[0.0, 1.0, 2.0, 5.0, 10.0, 50.0, 100.0, 500.0, 1_000.0, 5_000.0, 20_000.0];

/// One line of the catalogue: what `docs/METRICS.md` says of a metric.
pub struct CatalogueLine {
    pub name: &'static str,
    pub kind: &'static str,
    pub labels: &'static [&'static str],
    pub help: &'static str,
}

macro_rules! make {
    (IntCounter, $r:expr, $n:expr, $h:expr, [], []) => {{
        let m = IntCounter::new($n, $h).expect("a valid metric");
        $r.register(Box::new(m.clone())).expect("a metric is registered once");
        m
    }};
    (IntGauge, $r:expr, $n:expr, $h:expr, [], []) => {{
        let m = IntGauge::new($n, $h).expect("a valid metric");
        $r.register(Box::new(m.clone())).expect("a metric is registered once");
        m
    }};
    (IntCounterVec, $r:expr, $n:expr, $h:expr, [$($l:literal),+], []) => {{
        let m = IntCounterVec::new(Opts::new($n, $h), &[$($l),+]).expect("a valid metric");
        $r.register(Box::new(m.clone())).expect("a metric is registered once");
        m
    }};
    (IntGaugeVec, $r:expr, $n:expr, $h:expr, [$($l:literal),+], []) => {{
        let m = IntGaugeVec::new(Opts::new($n, $h), &[$($l),+]).expect("a valid metric");
        $r.register(Box::new(m.clone())).expect("a metric is registered once");
        m
    }};
    (Histogram, $r:expr, $n:expr, $h:expr, [], [$b:expr]) => {{
        let m = Histogram::with_opts(HistogramOpts::new($n, $h).buckets($b.to_vec())).expect("a valid metric");
        $r.register(Box::new(m.clone())).expect("a metric is registered once");
        m
    }};
}

macro_rules! metrics {
    ($($field:ident: $kind:ident $name:literal [$($label:literal),*] [$($buckets:expr)?] $help:literal;)+) => {
        /// The metrics of one node.
        pub struct Metrics {
            registry: Registry,
            $(#[doc = $help] pub $field: $kind,)+
        }

        impl Metrics {
            /// A fresh registry with every metric of the catalogue and the process's own.
            pub fn new() -> Self {
                let registry = Registry::new();
                registry
                    .register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))
                    .expect("the process collector is registered once");
                Self {
                    $($field: make!($kind, registry, $name, $help, [$($label),*], [$($buckets)?]),)+
                    registry,
                }
            }

            pub const CATALOGUE: &'static [CatalogueLine] = &[
                $(CatalogueLine { name: $name, kind: stringify!($kind), labels: &[$($label),*], help: $help },)+
            ];
        }
    };
}

metrics! {
    connections: IntGaugeVec "crosstalk_connections" ["dialect", "transport"] [] "Open client connections.";
    connections_total: IntCounterVec "crosstalk_connections_total" ["dialect", "transport"] [] "Client connections accepted since the start.";
    connections_paced_total: IntCounter "crosstalk_connections_paced_total" [] [] "Connections turned away because too many came at once, and told when to come back.";
    connections_refused_total: IntCounter "crosstalk_connections_refused_total" [] [] "Connections turned away because a connection limit was reached.";
    tls_failures_total: IntCounter "crosstalk_tls_failures_total" [] [] "TLS handshakes that failed or were not finished in time.";
    tls_renewals_total: IntCounterVec "crosstalk_tls_renewals_total" ["outcome"] [] "Changed certificate files read again, by outcome.";
    closes_total: IntCounterVec "crosstalk_closes_total" ["reason"] [] "Sessions ended, by reason.";
    requests_total: IntCounterVec "crosstalk_requests_total" ["dialect"] [] "Requests read from clients, refused ones included.";
    bytes_in_total: IntCounter "crosstalk_bytes_in_total" [] [] "Bytes read from client connections, after TLS.";
    bytes_out_total: IntCounter "crosstalk_bytes_out_total" [] [] "Bytes written to client connections, before TLS.";
    refusals_total: IntCounterVec "crosstalk_refusals_total" ["refusal"] [] "Requests refused, by refusal.";
    logins_total: IntCounter "crosstalk_logins_total" [] [] "Nicknames claimed.";
    auth_total: IntCounterVec "crosstalk_auth_total" ["outcome"] [] "Steps of logging in with a provider or a token, by how they ended.";
    joins_total: IntCounter "crosstalk_joins_total" [] [] "Rooms joined.";
    publishes_total: IntCounter "crosstalk_publishes_total" [] [] "Messages accepted by the broker and acknowledged.";
    private_messages_total: IntCounter "crosstalk_private_messages_total" [] [] "Private messages put into their receiver's mailbox and acknowledged.";
    pushes_total: IntCounter "crosstalk_pushes_total" [] [] "Pushes put into the inboxes of accounts.";
    mail_total: IntCounter "crosstalk_mail_total" [] [] "Pushes told from the inboxes of accounts; one may be told twice.";
    news_total: IntCounter "crosstalk_news_total" [] [] "News of accounts told to sessions of those who know them.";
    password_queue: IntGauge "crosstalk_password_queue" [] [] "Passwords being hashed or waiting for their turn.";
    publish_seconds: Histogram "crosstalk_publish_seconds" [] [LATENCY_SECONDS] "Time from a message's request to the broker's acceptance, in seconds.";
    events_total: IntCounter "crosstalk_events_total" [] [] "Room events heard from the broker.";
    event_delay_seconds: Histogram "crosstalk_event_delay_seconds" [] [LATENCY_SECONDS] "Time from the broker's acceptance of an event to its place in the members' mailboxes, in seconds; includes the difference of the two clocks.";
    fanout_receivers: Histogram "crosstalk_fanout_receivers" [] [RECEIVERS] "Local receivers of one room event.";
    deliveries_total: IntCounter "crosstalk_deliveries_total" [] [] "Events put into mailboxes.";
    mailbox_bytes: IntGauge "crosstalk_mailbox_bytes" [] [] "Bytes waiting in all mailboxes.";
    write_calls_total: IntCounter "crosstalk_write_calls_total" [] [] "Write calls on client connections; deliveries over this is the batch size.";
    rooms: IntGauge "crosstalk_rooms" [] [] "Rooms with a member on this node.";
    sessions: IntGauge "crosstalk_sessions" [] [] "Sessions on this node that hold a nickname or a room.";
    held_sessions: IntGauge "crosstalk_held_sessions" [] [] "Sessions whose connection is lost and what they had is kept for the resume window.";
    resumes_total: IntCounterVec "crosstalk_resumes_total" ["outcome"] [] "Sessions gone on with in another connection: whole, nameless (the nickname is somebody else's by now), refused (no such token, or used) or failed.";
    debts: IntGauge "crosstalk_debts" [] [] "Names and memberships of ended sessions that the broker still has to be told of.";
    broker_up: IntGauge "crosstalk_broker_up" [] [] "1 while the broker answers this node, else 0.";
    broker_errors_total: IntCounter "crosstalk_broker_errors_total" [] [] "Broker calls that failed or took too long.";
    bus_up: IntGauge "crosstalk_bus_up" [] [] "1 while every subscription connection is proven to hear, else 0.";
    bus_rebuilds_total: IntCounterVec "crosstalk_bus_rebuilds_total" ["cause"] [] "Subscription connections built again, by cause: lost, deaf, refused, moved.";
    bus_heartbeats_lost_total: IntCounter "crosstalk_bus_heartbeats_lost_total" [] [] "Heartbeats that Redis took and that were never heard.";
    bus_channels_waiting: IntGauge "crosstalk_bus_channels_waiting" [] [] "Channels that are wanted and not subscribed yet, after a reconnect or a moved slot.";
    drain_waiting: IntGauge "crosstalk_drain_waiting" [] [] "Sessions that this node, which goes away, has still to send away.";
    backfills_waiting: IntGauge "crosstalk_backfills_waiting" [] [] "Rooms whose stream is being read, or waits for it, after something was missed.";
    bus_heartbeat_seconds: Histogram "crosstalk_bus_heartbeat_seconds" [] [LATENCY_SECONDS] "Time from publishing a heartbeat to hearing it on the subscription connection, in seconds.";
    bus_queue_bytes: IntGauge "crosstalk_bus_queue_bytes" [] [] "Bytes heard from the broker and not yet dispatched.";
    bus_dropped_total: IntCounter "crosstalk_bus_dropped_total" [] [] "Events dropped because the dispatch queue was full; each is followed by a backfill.";
    undecodable_total: IntCounter "crosstalk_undecodable_total" [] [] "Envelopes that this version cannot read.";
    duplicates_total: IntCounter "crosstalk_duplicates_total" [] [] "Events heard twice and delivered once.";
    backfills_total: IntCounterVec "crosstalk_backfills_total" ["outcome"] [] "Rooms read again from the stream after a gap: complete, incomplete (retention no longer covers it) or failed.";
    gaps_total: IntCounter "crosstalk_gaps_total" [] [] "Holes that could not be filled, or new epochs; the members are told in dialects that have words for it.";
    recoveries_total: IntCounterVec "crosstalk_recoveries_total" ["outcome"] [] "Rooms that clients came back to with a position: complete (all that was missed was told) or incomplete (they were told that it is not).";
    typing_total: IntCounterVec "crosstalk_typing_total" ["outcome"] [] "Times that somebody was writing: said (to all nodes), coalesced (said moments ago) or dropped (heard here, too many in the room).";
    lease_renewals_total: IntCounterVec "crosstalk_lease_renewals_total" ["outcome"] [] "Lease heartbeats: held, fenced (the lease was lost and a new one taken) or failed.";
    sweeps_total: IntCounter "crosstalk_sweeps_total" [] [] "Dead nodes this node cleaned up after.";
    swept_names_total: IntCounter "crosstalk_swept_names_total" [] [] "Nicknames freed from dead nodes.";
    swept_memberships_total: IntCounter "crosstalk_swept_memberships_total" [] [] "Room memberships ended for dead nodes.";
    build_info: IntGaugeVec "crosstalk_build_info" ["version"] [] "Always 1; the version is the label.";
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// The text exposition format of everything registered.
    pub fn render(&self) -> String {
        let mut text = Vec::new();
        let families = self.registry.gather();
        if let Err(error) = TextEncoder::new().encode(&families, &mut text) {
            tracing::error!(%error, "metrics cannot be encoded");
        }
        String::from_utf8(text).unwrap_or_default()
    }
}

/// `docs/METRICS.md`, from the catalogue.
pub fn catalogue_page() -> String {
    let mut page = String::from(
        "# Metrics\n\nServed on the admin port at `/metrics`. Generated from `src/telemetry/metrics.rs`; a test holds this page true.\n\n\
         | name | kind | labels | meaning |\n|---|---|---|---|\n",
    );
    for line in Metrics::CATALOGUE {
        let kind = line.kind.trim_start_matches("Int").trim_end_matches("Vec").to_lowercase();
        let labels: Vec<_> = line.labels.iter().map(|label| format!("`{label}`")).collect();
        page.push_str(&format!("| `{}` | {kind} | {} | {} |\n", line.name, labels.join(", "), line.help));
    }
    page.push_str("\nThe process's own metrics (`process_cpu_seconds_total`, `process_resident_memory_bytes`, `process_open_fds`, …) are served beside them.\n");
    page
}
