//! TLS: what is spoken in the clear is spoken through it, and the certificate may change under way.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;

use crate::support::client::{Client, with_length};
use crate::support::dialect::Dialect::Pychat;
use crate::support::node::{Node, Plan};
use crate::support::{DEADLINE, until};

/// A self-signed certificate in two files that a gateway reads.
struct Issued {
    folder: TempDir,
    certificate: CertificateDer<'static>,
}

impl Issued {
    fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let mut issued = Self { folder, certificate: CertificateDer::from(Vec::new()) };
        issued.renew();
        issued
    }

    /// Writes another certificate into the same files.
    fn renew(&mut self) {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate can be made");
        // The key first: a look in between finds two that do not belong together, and keeps what it has.
        std::fs::write(self.key(), signing_key.serialize_pem()).expect("the key is written");
        std::fs::write(self.chain(), cert.pem()).expect("the certificate is written");
        self.certificate = cert.der().clone();
    }

    fn chain(&self) -> PathBuf {
        self.folder.path().join("tls.crt")
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("tls.key")
    }

    fn plan(&self) -> Plan {
        Plan::embedded()
            .set("listen.https", "127.0.0.1:0")
            .set("listen.pychat_tls", "127.0.0.1:0")
            .set("listen.scrp_tls", "127.0.0.1:0")
            .set("listen.detect_tls", "127.0.0.1:0")
            .set("tls.certificate", &self.chain().to_string_lossy())
            .set("tls.key", &self.key().to_string_lossy())
            .set("tls.follow_ms", "50")
    }

    /// Goes through the handshake, trusting this certificate alone.
    async fn dial(&self, node: &Node, listener: &str) -> std::io::Result<TlsStream<TcpStream>> {
        let mut trusted = RootCertStore::empty();
        trusted.add(self.certificate.clone()).expect("the certificate can be trusted");
        let config = ClientConfig::builder().with_root_certificates(trusted).with_no_client_auth();
        let stream = TcpStream::connect(node.address(listener)).await?;
        let name = ServerName::try_from("localhost").expect("localhost is a name");
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }
}

async fn line(stream: &mut TlsStream<TcpStream>) -> String {
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        let byte = tokio::time::timeout(DEADLINE, stream.read_u8()).await.expect("a line in time");
        line.push(byte.expect("the connection stands"));
    }
    String::from_utf8(line).unwrap().trim_end().to_owned()
}

/// A message with its length before it.
async fn message(stream: &mut TlsStream<TcpStream>) -> String {
    let read = async {
        let length = stream.read_u32().await?;
        let mut message = vec![0; length as usize];
        stream.read_exact(&mut message).await?;
        Ok::<_, std::io::Error>(String::from_utf8(message).unwrap())
    };
    tokio::time::timeout(DEADLINE, read).await.expect("a message in time").expect("the connection stands")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_talk_through_tls_and_in_the_clear() {
    let issued = Issued::new();
    let node = issued.plan().start();
    let mut alice = issued.dial(&node, "pychat_tls").await.expect("the handshake succeeds");
    alice.write_all(b"LOGIN alice\r\nJOIN hall\r\n").await.unwrap();
    assert_eq!(line(&mut alice).await, r#"{"type":"commandResult","result":"Username set to alice"}"#);
    assert_eq!(line(&mut alice).await, r#"{"type":"commandResult","result":"Joined room hall"}"#);
    line(&mut alice).await;

    let stream = issued.dial(&node, "https").await.expect("the handshake succeeds");
    let (mut web, _) = client_async("wss://localhost/chat/action", stream).await.expect("the upgrade succeeds");
    web.send(Message::text(r#"{"action":"JOIN ROOM","room_id":"hall"}"#)).await.unwrap();
    web.next().await.unwrap().unwrap();
    let mut any = issued.dial(&node, "detect_tls").await.expect("the handshake succeeds");
    any.write_all(b"{\"action\":\"JOIN ROOM\",\"room_id\":\"hall\"}\n").await.unwrap();
    line(&mut any).await;
    let mut bob = Client::member(&node, Pychat, "bob", "hall").await;

    alice.write_all(b"hello\r\n").await.unwrap();
    bob.expect_message("alice", "hello").await;
    let expected = r#"{"action":"GET MESSAGE","room_id":"hall","author":"alice","text":"hello"}"#;
    assert_eq!(line(&mut any).await, expected);
    assert_eq!(web.next().await.unwrap().unwrap(), Message::text(expected));
    web.close(None).await.unwrap();
}

/// Lengths are found in what the records of TLS hold, however they are cut, and what is no length ends it here, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scrp_is_framed_by_lengths_through_tls() {
    let issued = Issued::new();
    let node = issued.plan().start();
    for listener in ["scrp_tls", "detect_tls"] {
        let mut alice = issued.dial(&node, listener).await.expect("the handshake succeeds");
        let stream =
            [with_length(br#"{"req_id":1,"method":"DANCE"}"#), with_length(b""), with_length(b"\xff")].concat();
        for size in [1, 3, stream.len()] {
            for piece in stream.chunks(size) {
                alice.write_all(piece).await.unwrap();
                alice.flush().await.unwrap();
            }
            for expected in [r#"{"resp_id":1,"err":233}"#, r#"{"resp_id":0,"err":233}"#, r#"{"resp_id":0,"err":233}"#] {
                assert_eq!(message(&mut alice).await, expected);
            }
        }
        alice.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        assert_eq!(message(&mut alice).await, r#"{"resp_id":0,"err":233}"#);
        let closed = tokio::time::timeout(DEADLINE, alice.read(&mut [0; 16])).await.expect("the connection is closed");
        assert!(matches!(closed, Ok(0) | Err(_)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_speak_tls_or_dawdles_is_let_go() {
    let issued = Issued::new();
    let node = issued.plan().set("session.handshake_ms", "200").start();
    let mut plain = TcpStream::connect(node.address("pychat_tls")).await.unwrap();
    plain.write_all(b"LOGIN alice\r\nJOIN hall\r\n").await.unwrap();
    let mut rest = Vec::new();
    // An alert of TLS may come first.
    let _ = tokio::time::timeout(DEADLINE, plain.read_to_end(&mut rest)).await.expect("the connection is closed");
    let mut silent = TcpStream::connect(node.address("https")).await.unwrap();
    let closed = tokio::time::timeout(DEADLINE, silent.read(&mut [0; 16])).await.expect("the connection is closed");
    assert!(matches!(closed, Ok(0) | Err(_)));
    until("both failures are counted", async || node.metric("crosstalk_tls_failures_total", &[]).await == Some(2.0))
        .await;
    issued.dial(&node, "pychat_tls").await.expect("others are served");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewed_certificate_serves_new_connections_and_old_ones_stay() {
    let mut issued = Issued::new();
    let node = issued.plan().start();
    let mut alice = issued.dial(&node, "pychat_tls").await.expect("the handshake succeeds");

    std::fs::write(issued.chain(), "rubbish").unwrap();
    let failed = [("outcome", "failed")];
    until("the rubbish was looked at", async || {
        node.metric("crosstalk_tls_renewals_total", &failed).await.is_some_and(|count| count > 0.0)
    })
    .await;
    issued.dial(&node, "pychat_tls").await.expect("the former certificate stays");

    issued.renew();
    until("the new certificate is shown", async || issued.dial(&node, "pychat_tls").await.is_ok()).await;
    alice.write_all(b"LOGIN alice\r\n").await.unwrap();
    assert_eq!(line(&mut alice).await, r#"{"type":"commandResult","result":"Username set to alice"}"#);
}

#[test]
fn a_certificate_that_cannot_be_used_is_refused_with_its_setting() {
    let issued = Issued::new();
    let other = Issued::new();
    std::fs::write(issued.folder.path().join("empty"), "").unwrap();
    let empty = issued.folder.path().join("empty").to_string_lossy().into_owned();
    for (key, value) in [
        ("tls.certificate", ""),
        ("tls.key", ""),
        ("tls.certificate", "/nowhere/tls.crt"),
        ("tls.certificate", &empty),
        ("tls.key", &empty),
        // The key of another certificate.
        ("tls.certificate", &other.chain().to_string_lossy()),
    ] {
        let output = issued.plan().set(key, value).command().output().expect("the gateway can be run");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && told.contains(key), "{key}={value}: {told}");
    }
}
