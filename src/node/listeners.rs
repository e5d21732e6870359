//! The node's listeners: which there are, what each serves, whether through TLS.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::{ADMIN_CONNECTIONS, Node, millis};
use crate::config::{Address, Config};
use crate::http::{admin_router, main_router, original_router};
use crate::telemetry::Metrics;
use crate::transport::{Admission, Certificate, Door, Listener, Places, serve_http, serve_raw};
use crate::wire::{DialectKind, FramingKind};

/// What a listener serves.
#[derive(Clone, Copy)]
enum Serves {
    /// The main HTTP port.
    Page,
    /// The port of a dialect whose original is a WebSocket.
    Original(DialectKind),
    /// Raw TCP of a dialect, or of the one that each client's first message tells.
    Raw(Option<DialectKind>, FramingKind),
    Admin,
}

/// A bound listener and what to do with it.
pub struct Bound {
    listener: Listener,
    serves: Serves,
    through_tls: bool,
}

/// Binds every listener that is on.
///
/// # Errors
/// The first address that cannot be used.
pub fn bind(config: &Config) -> anyhow::Result<Vec<Bound>> {
    use DialectKind::{Action, Pychat, Scrp, Simple};
    use FramingKind::{Lengths, Lines};
    let listen = &config.listen;
    let wanted: [(&'static str, Address, Serves, bool); 13] = [
        ("http", listen.http, Serves::Page, false),
        ("https", listen.https, Serves::Page, true),
        ("action", listen.action, Serves::Original(Action), false),
        ("simple", listen.simple, Serves::Original(Simple), false),
        ("pychat", listen.pychat, Serves::Raw(Some(Pychat), Lines), false),
        ("pychat_tls", listen.pychat_tls, Serves::Raw(Some(Pychat), Lines), true),
        ("scrp", listen.scrp, Serves::Raw(Some(Scrp), Lengths), false),
        ("scrp_tls", listen.scrp_tls, Serves::Raw(Some(Scrp), Lengths), true),
        ("action_tcp", listen.action_tcp, Serves::Raw(Some(Action), Lines), false),
        ("simple_tcp", listen.simple_tcp, Serves::Raw(Some(Simple), Lines), false),
        ("detect_tcp", listen.detect_tcp, Serves::Raw(None, Lines), false),
        ("detect_tls", listen.detect_tls, Serves::Raw(None, Lines), true),
        ("admin", listen.admin, Serves::Admin, false),
    ];
    let bound = wanted.into_iter().filter_map(|(name, address, serves, through_tls)| {
        let listener = Listener::bind(name, address.0?);
        Some(listener.map(|listener| Bound { listener, serves, through_tls }))
    });
    bound.collect()
}

impl Node {
    /// Begins to serve on every listener.
    pub(super) async fn listen(
        &mut self,
        listeners: Vec<Bound>,
        config: &Config,
        metrics: &Arc<Metrics>,
    ) -> anyhow::Result<()> {
        let limits = &config.limits;
        let places = Places {
            connections: limits.connections,
            per_address: limits.connections_per_address,
            per_second: limits.connections_per_second,
            burst: limits.connection_burst,
        };
        let for_admins =
            Places { connections: ADMIN_CONNECTIONS, per_address: ADMIN_CONNECTIONS, per_second: 0, burst: 0 };
        let clock = &self.shared.clock;
        let admission = Admission::new(places, clock.clone(), metrics.clone());
        let admin_admission = Admission::new(for_admins, clock.clone(), metrics.clone());
        let tls = listeners.iter().any(|bound| bound.through_tls);
        let certificate = if tls { Some(self.certificate(config, metrics).await?) } else { None };
        let handshake = millis(config.session.handshake_ms);
        for Bound { listener, serves, through_tls } in listeners {
            self.addresses.push((listener.name, listener.address()?));
            let door = Door { certificate: certificate.clone().filter(|_| through_tls), handshake };
            let (shared, admission, stop) = (self.shared.clone(), admission.clone(), self.accepting.clone());
            let router = match serves {
                Serves::Raw(dialect, framing) => {
                    self.tasks.spawn(serve_raw(listener, door, dialect, framing, admission, shared, stop));
                    continue;
                }
                Serves::Admin => {
                    let router = admin_router(self.health.clone(), metrics.clone());
                    let (admission, stop) = (admin_admission.clone(), self.serving_admin.clone());
                    self.tasks.spawn(serve_http(listener, door, router, admission, shared, stop));
                    continue;
                }
                Serves::Page => main_router(shared.clone(), self.login.clone()),
                Serves::Original(kind) => original_router(kind, self.login.gate.clone(), shared.clone()),
            };
            self.tasks.spawn(serve_http(listener, door, router, admission, shared, stop));
        }
        Ok(())
    }

    async fn certificate(&self, config: &Config, metrics: &Arc<Metrics>) -> anyhow::Result<Arc<Certificate>> {
        let (chain, key) = (Path::new(&config.tls.certificate), Path::new(&config.tls.key));
        let certificate = Arc::new(Certificate::read(chain, key, metrics.clone()).await?);
        let every = Duration::from_millis(config.tls.follow_ms);
        self.tasks.spawn(certificate.clone().follow(every, self.running.clone()));
        Ok(certificate)
    }
}
