//! Behind one address another server may take over: what it lacks is not hidden, whichever connection meets it first.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use crosstalk::backend::BackendError;
use crosstalk::chat::Seam;
use tokio::net::{TcpListener, TcpStream};

use super::cluster::eventually;
use super::*;

/// An address that leads each new connection to the server that is meant just then; old ones stay where they are.
struct Switch {
    address: SocketAddr,
    port: Arc<AtomicU16>,
}

impl Switch {
    async fn to(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let port = Arc::new(AtomicU16::new(server.port()));
        let meant = port.clone();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let port = meant.load(Ordering::Relaxed);
                tokio::spawn(async move {
                    let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
                    // Either side may end it.
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
        Self { address, port }
    }

    fn turn_to(&self, server: &Server) {
        self.port.store(server.port(), Ordering::Relaxed);
    }
}

/// The successor has what the former one has by now, and nothing of what comes.
async fn take_over(former: &Server, successor: &Server) {
    successor.query(&["REPLICAOF", "127.0.0.1", &former.port().to_string()]);
    eventually("the successor has what the former one has", async || {
        successor.text(&["INFO", "replication"]).contains("master_link_status:up")
    })
    .await;
    successor.query(&["REPLICAOF", "NO", "ONE"]);
}

/// Ends the connections of the node but for its oldest, which messages go on, and the one that hears.
fn end_what_is_rare(server: &Server) {
    let clients = server.text(&["CLIENT", "LIST", "TYPE", "normal"]);
    let numbers = clients.lines().filter_map(|line| line.strip_prefix("id=")?.split(' ').next());
    for number in numbers.skip(1) {
        // The one that asks for the list is gone by now.
        server.query(&["CLIENT", "KILL", "ID", number]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_server_lacks_is_told_though_old_connections_still_work() {
    let (former, successor) = (Server::start(), Server::start());
    let switch = Switch::to(&former).await;
    let node = redis_at(|settings| settings.url = format!("redis://{}/", switch.address)).await;
    let (red, alice) = (room("red"), actor(1, "alice"));
    let first = node.say(&red, &alice, "1").await;
    node.say(&red, &alice, "2").await;
    take_over(&former, &successor).await;
    let lost = node.say(&red, &alice, "3").await;
    switch.turn_to(&successor);
    end_what_is_rare(&former);
    let mut entered = None;
    eventually("the node has found its successor", async || {
        // What is rare has a connection of its own, a new one by now.
        if node.backend.presence.members(&red).await.is_err() {
            return false;
        }
        match node.backend.presence.enter(&red, &alice, &Entry::Join(Ticket::default())).await {
            Ok(Ok(done)) => entered = Some(done),
            Err(BackendError::Unavailable(_)) => {}
            other => panic!("{other:?}"),
        }
        entered.is_some()
    })
    .await;
    let position = entered.expect("it is in").position;
    assert_eq!(position.offset, lost.offset, "the successor has not heard of the third");
    assert_ne!(position.epoch, lost.epoch, "one place for two events");
    let missed = node.backend.broker.catch_up(&red, lost).await.unwrap();
    let torn = Seam::Torn(Position { epoch: position.epoch, offset: 2 });
    assert_eq!(missed.seam, torn, "who heard the third is told of a gap");
    assert_ne!(node.say(&red, &alice, "4").await.epoch, first.epoch, "messages go there, too");
}

/// A lease that outlived the server would keep a node from finding out that what it claimed last is gone, and what it gave up is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_claimed_on_another_server_is_claimed_again_though_the_lease_is_kept() {
    let (mut former, successor) = (Server::start(), Server::start());
    let switch = Switch::to(&former).await;
    let node = redis_at(|settings| settings.url = format!("redis://{}/", switch.address)).await;
    let (red, alice, bob) = (room("red"), actor(1, "alice"), actor(2, "bob"));
    let entered = node.enter(&red, &alice).await;
    node.enter(&red, &bob).await;
    let lease = super::cluster::only_lease(&former);
    take_over(&former, &successor).await;
    node.backend.presence.leave(&red, &alice).await.unwrap();
    switch.turn_to(&successor);
    former.stop();
    eventually("another lease is taken", async || node.backend.presence.renew().await == Ok(Lease::Renewed)).await;
    assert_eq!(successor.number(&["EXISTS", &format!("t:node:{{{lease}}}")]), 1, "the old one is still there");
    assert!(node.restore(&red, &bob, Some(entered.position.epoch)).await.repeated, "nobody saw it leave");
    super::cluster::expire(&successor, &lease);
    super::cluster::outlast_a_lease(&node).await;
    assert_eq!(node.backend.presence.sweep().await.unwrap().memberships, 1, "alice has left");
    assert_eq!(node.backend.presence.members(&red).await, Ok(1));
    assert_eq!(node.backend.presence.renew().await, Ok(Lease::Held), "once is enough");
}
