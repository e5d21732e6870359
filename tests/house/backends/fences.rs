//! Clauses about nodes that were held up, servers that take no writes, and data of another version: Redis only.

use crosstalk::backend::{BackendError, Lease, Swept};

use super::cluster::{eventually, expire, only_lease, outlast_a_lease};
use super::*;

/// What Redis says when it does not take a write for a time.
fn is_unavailable<T: std::fmt::Debug>(outcome: Result<T, BackendError>) -> bool {
    matches!(outcome, Err(BackendError::Unavailable(_)))
}

async fn claim(node: &Node, name: &str, session: u128) -> Result<Claimed, BackendError> {
    node.backend.presence.claim(&nickname(name), bearer(SessionId::from_u128(session)), Claimant::Guest).await
}

async fn enter(node: &Node, room: &RoomId, who: &Actor) -> Result<(), BackendError> {
    node.backend
        .presence
        .enter(room, who, &Entry::Join(Ticket::default()))
        .await
        .map(|entered| assert!(entered.is_ok()))
}

/// A node that believes in its lease, because its clock stands still, while the lease has run out.
async fn held_up(server: &Server) -> (Node, String) {
    let node = redis_with(server, |settings| settings.lease = Duration::from_millis(200)).await;
    let lease = format!("t:node:{{{}}}", only_lease(server));
    eventually("the lease runs out", async || server.number(&["EXISTS", &lease]) == 0).await;
    (node, lease)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_held_up_claims_nothing_under_a_lease_that_ran_out() {
    let server = Server::start();
    let (node, lease) = held_up(&server).await;
    let (red, alice) = (room("red"), actor(1, "alice"));
    assert!(is_unavailable(claim(&node, "alice", 1).await));
    assert!(is_unavailable(enter(&node, &red, &alice).await));
    // Nobody would ever look at a note or a claim that was made now.
    for key in [&format!("{lease}:claims"), "t:nick:{alice}", "t:room:{red}:members", "t:room:{red}:who"] {
        assert_eq!(server.number(&["EXISTS", key]), 0, "{key}");
    }
    assert_eq!(node.backend.presence.renew().await, Ok(Lease::Renewed));
    assert_eq!(claim(&node, "alice", 1).await, Ok(CLAIMED));
}

/// As the lease's key has it, it lives; as its time has it, it may have been swept: between a note and its claim in a cluster lies a way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_was_on_its_way_when_its_lease_ran_out_is_not_made() {
    let server = Server::start();
    let (node, lease) = held_up(&server).await;
    server.query(&["SET", &lease, "as if it had not run out yet"]);
    let (red, alice) = (room("red"), actor(1, "alice"));
    assert!(is_unavailable(claim(&node, "alice", 1).await));
    assert!(is_unavailable(enter(&node, &red, &alice).await));
    let restore = Entry::Restore { known: None, account: None };
    assert!(is_unavailable(node.backend.presence.enter(&red, &alice, &restore).await));
    for key in ["t:nick:{alice}", "t:room:{red}", "t:room:{red}:members", "t:room:{red}:who"] {
        assert_eq!(server.number(&["EXISTS", key]), 0, "{key}");
    }
}

/// A node that loses sight of the server while it makes a member goes no further with it: it is not made, and not announced, whatever
/// the server still does of what it was told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_member_is_half_made_while_the_server_is_out_of_sight() {
    let server = Server::start();
    let node = redis(&server).await;
    let (red, alice, bob) = (room("red"), actor(1, "alice"), actor(2, "bob"));
    node.enter(&red, &alice).await;
    server.query(&["CLIENT", "PAUSE", "600000", "WRITE"]);
    // Without this right nobody finds out what server it is, so a connection that is lost stays lost.
    server.query(&["ACL", "SETUSER", "default", "-info"]);
    let entering = tokio::spawn({
        let (presence, red, bob) = (node.backend.presence.clone(), red.clone(), bob.clone());
        async move { presence.enter(&red, &bob, &Entry::Join(Ticket::default())).await }
    });
    let held_up = |client: &str| client.contains("cmd=evalsha") && client.contains("flags=b");
    eventually("the call is on its way", async || clients(&server).iter().any(|client| held_up(client))).await;
    for client in clients(&server) {
        let id = client.strip_prefix("id=").and_then(|rest| rest.split(' ').next()).unwrap();
        server.query(&["CLIENT", "KILL", "ID", id, "SKIPME", "yes"]);
    }
    eventually("the server is out of sight", async || node.metrics.broker_up.get() == 0).await;
    server.query(&["CLIENT", "UNPAUSE"]);
    assert!(is_unavailable(entering.await.unwrap()));
    server.query(&["ACL", "SETUSER", "default", "+info"]);
    eventually("the server is seen again", async || node.metrics.broker_up.get() == 1).await;
    assert_eq!(server.number(&["SCARD", "t:room:{red}:members"]), 1);
    assert_eq!(server.number(&["XLEN", "t:room:{red}:log"]), 1);
    assert_eq!(server.number(&["SCARD", &format!("t:node:{{{}}}:claims", only_lease(&server))]), 1);
    let entered = node.enter(&red, &bob).await;
    assert_eq!((entered.repeated, entered.members, entered.position.offset), (false, 2, 2));
}

fn clients(server: &Server) -> Vec<String> {
    let Reply::Text(list) = server.query(&["CLIENT", "LIST"]) else { panic!("no list of clients") };
    list.lines().map(str::to_owned).collect()
}

/// What an ended lease held is another's by now; the late release and leave of its session change nothing of that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_release_and_a_late_leave_end_nothing_of_what_others_took() {
    let server = Server::start();
    let (red, alice) = (room("red"), actor(1, "alice"));
    let late = redis(&server).await;
    assert_eq!(claim(&late, "alice", 1).await, Ok(CLAIMED));
    late.enter(&red, &alice).await;
    let lease = only_lease(&server);
    let survivor = redis(&server).await;
    expire(&server, &lease);
    outlast_a_lease(&survivor).await;
    survivor.backend.presence.sweep().await.unwrap();
    let heir = actor(2, "alice");
    assert_eq!(claim(&survivor, "alice", 2).await, Ok(CLAIMED));
    survivor.enter(&red, &heir).await;
    assert_eq!(late.backend.presence.release(&nickname("alice"), alice.session).await, Ok(false));
    assert_eq!(late.backend.presence.leave(&red, &alice).await, Ok(None));
    assert_eq!(late.publish(&red, &message(&alice, "late"), Publisher::Member { account: None }).await, None);
    let holder = survivor.backend.presence.holder(&nickname("alice")).await.unwrap();
    assert_eq!(holder, Some(bearer(heir.session)));
    let names = server.list(&["KEYS", "t:nicks:*"]);
    assert_eq!(server.list(&["SMEMBERS", &names.concat()]), ["alice"], "it stays in the set of names");
    assert_eq!(survivor.backend.presence.members(&red).await, Ok(1));
}

/// A node that could not renew its own lease knows that the others could not either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_time_without_writes_nobody_is_taken_for_dead() {
    let server = Server::start();
    let alive = redis(&server).await;
    let lease = only_lease(&server);
    assert_eq!(claim(&alive, "alice", 1).await, Ok(CLAIMED));
    let judge = redis(&server).await;
    outlast_a_lease(&judge).await;
    server.query(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    assert!(is_unavailable(judge.backend.presence.renew().await));
    server.query(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    // Its lease ran out meanwhile; it is about to take another.
    expire(&server, &lease);
    assert_eq!(judge.backend.presence.renew().await, Ok(Lease::Held));
    assert_eq!(judge.backend.presence.sweep().await, Ok(Swept::default()));
    assert_eq!(claim(&judge, "alice", 2).await, Ok(Claimed::InUse));
    outlast_a_lease(&judge).await;
    assert_eq!(judge.backend.presence.sweep().await.unwrap().names, 1, "after a whole lease it may be taken for dead");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn out_of_memory_leases_are_kept_what_frees_is_done_and_nothing_is_half_done() {
    let server = Server::start();
    let (red, alice) = (room("red"), actor(1, "alice"));
    let node = redis(&server).await;
    assert_eq!(claim(&node, "alice", 1).await, Ok(CLAIMED));
    let entered = node.enter(&red, &alice).await;
    let mut before = server.list(&["KEYS", "*"]);
    server.query(&["CONFIG", "SET", "maxmemory", "1"]);
    assert_eq!(node.backend.presence.renew().await, Ok(Lease::Held), "else the living are swept");
    assert!(is_unavailable(claim(&node, "bob", 2).await));
    assert!(is_unavailable(enter(&node, &room("blue"), &alice).await));
    assert!(is_unavailable(enter(&node, &red, &actor(2, "bob")).await));
    let publication = Publication { event: &message(&alice, "hi"), publisher: Publisher::Anyone, key: None };
    assert!(is_unavailable(node.backend.broker.publish(&red, publication).await));
    let mut after = server.list(&["KEYS", "*"]);
    before.sort();
    after.sort();
    assert_eq!(before, after);
    let missed = node.backend.broker.catch_up(&red, Position { offset: 0, ..entered.position }).await.unwrap();
    assert_eq!(offsets(&missed.missed), [1], "nothing was announced");
    let left = node.backend.presence.leave(&red, &alice).await.unwrap().expect("a leave frees");
    assert_eq!(left.offset, 2);
    assert_eq!(node.backend.presence.release(&nickname("alice"), alice.session).await, Ok(true));
    server.query(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(claim(&node, "bob", 2).await, Ok(CLAIMED));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn out_of_memory_the_dead_are_swept() {
    let server = Server::start();
    let dead = redis(&server).await;
    assert_eq!(claim(&dead, "alice", 1).await, Ok(CLAIMED));
    dead.enter(&room("red"), &actor(1, "alice")).await;
    let lease = only_lease(&server);
    let survivor = redis(&server).await;
    drop(dead);
    expire(&server, &lease);
    outlast_a_lease(&survivor).await;
    server.query(&["CONFIG", "SET", "maxmemory", "1"]);
    let swept = survivor.backend.presence.sweep().await.unwrap();
    assert_eq!((swept.nodes, swept.names, swept.memberships), (1, 1, 1));
    assert_eq!(server.number(&["EXISTS", "t:nick:{alice}"]), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lies_where_something_else_should_is_an_error_that_does_not_pass() {
    let server = Server::start();
    let (red, alice) = (room("red"), actor(1, "alice"));
    let node = redis(&server).await;
    for (key, part) in [("t:nick:{alice}", ""), ("t:room:{red}", ":members")] {
        server.query(&["SET", &format!("{key}{part}"), "of another version"]);
    }
    let failed = |error: BackendError| matches!(&error, BackendError::Failed(text) if text.contains("WRONGTYPE"));
    assert!(failed(claim(&node, "alice", 1).await.unwrap_err()));
    assert!(failed(enter(&node, &red, &alice).await.unwrap_err()));
    assert!(failed(node.backend.presence.holder(&nickname("alice")).await.unwrap_err()));
    assert!(failed(node.backend.rooms.view(&red).await.unwrap_err()), "in a transaction, too");
    assert_eq!(claim(&node, "bob", 2).await, Ok(CLAIMED), "the others do not suffer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_cannot_be_read_does_not_hold_up_the_sweep_of_the_others() {
    let server = Server::start();
    let red = room("red");
    let dead = redis(&server).await;
    for session in 1..=3 {
        let name = format!("user {session}");
        assert_eq!(claim(&dead, &name, session).await, Ok(CLAIMED));
        dead.enter(&red, &actor(session, &name)).await;
    }
    let lease = only_lease(&server);
    let survivor = redis(&server).await;
    drop(dead);
    expire(&server, &lease);
    server.query(&["DEL", "t:nick:{user 2}"]);
    server.query(&["SADD", "t:nick:{user 2}", "of another version"]);
    outlast_a_lease(&survivor).await;
    let swept = survivor.backend.presence.sweep().await.unwrap();
    assert_eq!((swept.nodes, swept.names, swept.memberships), (0, 2, 3));
    // Somebody mends it, and the next one to look ends it.
    server.query(&["DEL", "t:nick:{user 2}"]);
    server.query(&["DEL", &format!("t:node:{{{lease}}}:sweep")]);
    let swept = survivor.backend.presence.sweep().await.unwrap();
    assert_eq!(swept, Swept { nodes: 1, ..Swept::default() }, "nobody has that name any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_data_of_a_later_version_is_left_alone() {
    let server = Server::start();
    let node = redis(&server).await;
    assert_eq!(server.query(&["GET", "t:format"]), Reply::Text("1".into()));
    server.query(&["FLUSHALL"]);
    assert_eq!(node.backend.presence.renew().await, Ok(Lease::Renewed));
    assert_eq!(server.query(&["GET", "t:format"]), Reply::Text("1".into()), "it is there again");
    drop(redis(&server).await);
    server.query(&["SET", "t:format", "2"]);
    let error = refused(&server).await;
    assert!(error.contains(r#"redis.key_prefix "t:""#) && error.contains("format 2"), "{error}");
    server.query(&["DEL", "t:format"]);
    server.query(&["SADD", "t:format", "something else"]);
    let error = refused(&server).await;
    assert!(error.contains(r#"redis.key_prefix "t:""#) && error.contains("WRONGTYPE"), "{error}");
}

/// Why no node starts on this server.
async fn refused(server: &Server) -> String {
    let (sender, _inbound) = inbound(1 << 20, Arc::new(Metrics::new()));
    let (clock, metrics) = (Clock::manual(), Arc::new(Metrics::new()));
    let stop = CancellationToken::new();
    let connecting = Redis::connect(settings(server), sender, clock, Entropy::system(), metrics, stop);
    connecting.await.err().expect("it cannot be used").to_string()
}
