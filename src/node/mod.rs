//! A node: puts everything together, keeps it alive, takes it down in order. The only place that knows all layers.

mod housekeeping;
mod listeners;
mod login;
mod storage;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::ambient::{Clock, Entropy};
use crate::auth::Outcome;
use crate::backend::inbound;
use crate::chat::{CloseReason, NodeId, Refusal};
use crate::config::{Config, Shutdown};
use crate::http::{Health, LoginPages};
use crate::service::{
    Accounts, Chat, ChatLimits, PasswordSettings, Passwords, ResumeLimits, Resumed, ServerNames, dispatch,
};
use crate::session::{Lifecycle, SessionLimits, Shared};
use crate::telemetry::{Metrics, Otlp, Tracer};
use crate::wire::DialectKind;

/// The admin port serves probes and scrapes; a few at once are plenty, and none of the clients' places is theirs.
const ADMIN_CONNECTIONS: usize = 256;

/// A running node.
pub struct Node {
    chat: Arc<Chat>,
    shared: Arc<Shared>,
    login: Arc<LoginPages>,
    health: Arc<Health>,
    /// Where it listens, by the setting's name.
    pub addresses: Vec<(&'static str, SocketAddr)>,
    accepting: CancellationToken,
    serving_admin: CancellationToken,
    running: CancellationToken,
    tasks: TaskTracker,
    shutdown: Shutdown,
}

impl Node {
    /// Starts a node: connects its backend, for which it waits up to `redis.start_timeout_ms`, binds its listeners, begins to serve.
    ///
    /// # Errors
    /// A backend that cannot be reached or opened, an address that cannot be bound; the text names the setting.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let metrics = Arc::new(Metrics::new());
        metrics.build_info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        begin_counters(&metrics);
        let (clock, entropy) = (Clock::system(), Entropy::system());
        // Before anything that leaves traces elsewhere: an address that is taken fails the start at once.
        let listeners = listeners::bind(&config)?;
        let running = CancellationToken::new();
        let (sender, receiver) = inbound(config.redis.bus_queue_bytes as usize, metrics.clone());
        let id = NodeId::from_random(entropy.bits());
        let node_name = format!("{}-{id}", hostname());
        let ambience = storage::Ambience { clock: clock.clone(), entropy: entropy.clone(), metrics: metrics.clone() };
        let backend = storage::open(&config, id, &node_name, sender, ambience, &running).await?;
        let accounts = Arc::new(Accounts::new(backend.directory.clone(), backend.post.clone()));
        let login = login::login_pages(&config.auth, accounts, &clock, &entropy, metrics.clone())?;
        let tracer = tracer(&config, &node_name, &entropy)?;

        let limits = ChatLimits {
            text_bytes: config.limits.text_bytes,
            rooms_per_session: config.limits.rooms_per_session,
            users: config.limits.users,
            require_login: config.auth.require_login,
            resume: ResumeLimits { window: Duration::from_secs(config.session.resume_s), held: config.session.held },
        };
        let passwords = passwords(&config, &entropy, &metrics)?;
        let health = Arc::new(Health::new(backend.broker.clone()));
        let chat = Arc::new(Chat::new(
            backend,
            limits,
            passwords,
            login.tokens.clone(),
            server_names(&config),
            clock.clone(),
            entropy.clone(),
            tracer,
            metrics.clone(),
        ));
        let shared = Arc::new(Shared {
            chat: chat.clone(),
            limits: session_limits(&config),
            lifecycle: Lifecycle::default(),
            node: id,
            clock,
            entropy,
            metrics: metrics.clone(),
        });
        let mut node = Self {
            chat: chat.clone(),
            shared,
            login: Arc::new(login),
            health,
            addresses: Vec::new(),
            accepting: running.child_token(),
            serving_admin: running.child_token(),
            running: running.clone(),
            tasks: TaskTracker::new(),
            shutdown: config.shutdown.clone(),
        };
        node.tasks.spawn(dispatch(chat.clone(), receiver, running.clone()));
        let (heartbeat, lost) = (millis(config.cluster.heartbeat_ms), Arc::new(Notify::new()));
        node.tasks.spawn(housekeeping::keep_lease(
            chat.clone(),
            metrics.clone(),
            heartbeat,
            lost.clone(),
            running.clone(),
        ));
        node.tasks.spawn(housekeeping::restore(chat.clone(), heartbeat, lost, running.clone()));
        node.tasks.spawn(housekeeping::sweep(chat, metrics.clone(), millis(config.cluster.sweep_ms), running));
        node.listen(listeners, &config, &metrics).await?;
        node.health.set_started();
        Ok(node)
    }

    /// Takes the node down: no new connections, each session sent away in its slot, everything accepted delivered, everything held released.
    /// What is not done by the deadline is left to the other nodes' sweep.
    pub async fn stop(self) {
        self.health.set_leaving();
        tokio::time::sleep(millis(self.shutdown.readiness_delay_ms)).await;
        self.accepting.cancel();
        let deadline = millis(self.shutdown.deadline_ms);
        let orderly = async {
            self.chat.send_away(self.shutdown.reconnects_per_second, deadline * 3 / 4).await;
            self.shared.lifecycle.quiesce().await;
            // Everything acknowledged is handed to its members here before they are closed.
            if let Err(error) = self.chat.broker().barrier().await {
                tracing::warn!(%error, "the last events may not have been delivered");
            }
            self.serving_admin.cancel();
            self.shared.lifecycle.close().await;
            self.chat.pay_debts().await;
            if let Err(error) = self.chat.retire().await {
                tracing::warn!(%error, "the lease is left to run out");
            }
        };
        if tokio::time::timeout(deadline, orderly).await.is_err() {
            tracing::warn!("the deadline has passed, what is left is closed");
        }
        self.running.cancel();
        self.tasks.close();
        let _ = tokio::time::timeout(Duration::from_secs(1), self.tasks.wait()).await;
        // Blocking, and bounded by the exporter's own limit.
        let chat = self.chat.clone();
        let _ = tokio::task::spawn_blocking(move || chat.shut_down_traces()).await;
    }
}

/// Lets the counters with labels begin at 0: a rate over a series that is not there yet misses its first increase.
fn begin_counters(metrics: &Metrics) {
    for reason in CloseReason::ALL {
        metrics.closes_total.with_label_values(&[reason.label()]);
    }
    for refusal in Refusal::labels() {
        metrics.refusals_total.with_label_values(&[refusal]);
    }
    for kind in DialectKind::ALL {
        metrics.requests_total.with_label_values(&[kind.label()]);
    }
    let outcomes: [(_, &[&str]); 6] = [
        (&metrics.tls_renewals_total, &["renewed", "failed"]),
        (&metrics.lease_renewals_total, &["held", "fenced", "failed"]),
        (&metrics.bus_rebuilds_total, &["lost", "deaf", "refused", "moved"]),
        (&metrics.backfills_total, &["complete", "incomplete", "failed"]),
        (&metrics.recoveries_total, &["complete", "incomplete"]),
        (&metrics.typing_total, &["said", "coalesced", "dropped"]),
    ];
    for (counter, outcomes) in outcomes {
        for outcome in outcomes {
            counter.with_label_values(&[outcome]);
        }
    }
    for outcome in Resumed::ALL {
        metrics.resumes_total.with_label_values(&[outcome.label()]);
    }
    for outcome in Outcome::ALL {
        metrics.auth_total.with_label_values(&[outcome.label()]);
    }
}

fn passwords(config: &Config, entropy: &Entropy, metrics: &Arc<Metrics>) -> anyhow::Result<Passwords> {
    let tuning = &config.passwords;
    let settings = PasswordSettings {
        memory_kib: tuning.memory_kib,
        iterations: tuning.iterations,
        lanes: tuning.lanes,
        at_once: tuning.at_once,
        queue: tuning.queue,
    };
    Passwords::new(settings, entropy.clone(), metrics.clone()).context("passwords")
}

fn tracer(config: &Config, node_name: &str, entropy: &Entropy) -> anyhow::Result<Tracer> {
    let telemetry = &config.telemetry;
    if telemetry.otlp_endpoint.is_empty() {
        return Ok(Tracer::off());
    }
    let otlp = Otlp {
        endpoint: &telemetry.otlp_endpoint,
        protocol: telemetry.otlp_protocol,
        sample_ratio: telemetry.sample_ratio,
    };
    Tracer::otlp(otlp, node_name, entropy.clone())
}

fn server_names(config: &Config) -> ServerNames {
    let server = &config.server;
    ServerNames { nickname: server.nickname.clone(), description: server.description.clone() }
}

fn session_limits(config: &Config) -> SessionLimits {
    let limits = &config.limits;
    SessionLimits {
        frame_bytes: limits.frame_bytes,
        messages_per_second: limits.messages_per_second,
        message_burst: limits.message_burst,
        joins_per_second: limits.joins_per_second,
        join_burst: limits.join_burst,
        strikes: limits.strikes,
        mailbox_bytes: limits.mailbox_bytes,
        keepalive: Duration::from_secs(config.session.keepalive_s),
        write_deadline: millis(config.session.write_deadline_ms),
        compression: config.session.compression,
    }
}

fn millis(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
