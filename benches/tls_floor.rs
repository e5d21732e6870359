//! What a TLS connection takes of memory in the library alone, without a socket, a task or a WebSocket: server sides of finished
//! handshakes, under the gateway's settings and allocator. Prints one number, KiB for each, which `measure.py tls` puts beside the gateway's.

// A benchmark's verdict is a panic.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{
    ClientConfig, ClientConnection, ConnectionCommon, RootCertStore, ServerConfig, ServerConnection, SideData,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const WARM_UP: usize = 100;
const CONNECTIONS: usize = 2_000;

fn main() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let server = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let (server, client) = (Arc::new(server), Arc::new(client));

    let mut held: Vec<ServerConnection> = Vec::with_capacity(WARM_UP + CONNECTIONS);
    held.extend((0..WARM_UP).map(|_| connected(&server, &client)));
    let before = resident_kib();
    held.extend((0..CONNECTIONS).map(|_| connected(&server, &client)));
    let grown = resident_kib() - before;
    assert!(held.iter().all(|connection| !connection.is_handshaking()));
    println!("{:.2}", grown as f64 / CONNECTIONS as f64);
}

/// The server's side of a handshake that is over.
fn connected(server: &Arc<ServerConfig>, client: &Arc<ClientConfig>) -> ServerConnection {
    let mut client = ClientConnection::new(client.clone(), "localhost".try_into().unwrap()).unwrap();
    let mut server = ServerConnection::new(server.clone()).unwrap();
    while client.wants_write() || server.wants_write() {
        hand_over(&mut client, &mut server);
        hand_over(&mut server, &mut client);
    }
    server
}

fn hand_over<A: SideData, B: SideData>(from: &mut ConnectionCommon<A>, to: &mut ConnectionCommon<B>) {
    let mut wire = Vec::new();
    from.write_tls(&mut wire).unwrap();
    let mut read = &wire[..];
    while !read.is_empty() {
        to.read_tls(&mut read).unwrap();
        to.process_new_packets().unwrap();
    }
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}
