//! Clauses about several nodes, leases and lost data: Redis only.

use crosstalk::backend::{Lease, Swept};
use crosstalk::chat::{AccessType, RoomRecord};

use super::*;

/// What Redis does with the lease of a node that stopped renewing it, without the waiting.
pub(super) fn expire(server: &Server, lease: &str) {
    assert_eq!(server.number(&["DEL", &format!("t:node:{{{lease}}}")]), 1);
}

/// The lease of the only node there is.
pub(super) fn only_lease(server: &Server) -> String {
    let leases = server.list(&["SMEMBERS", "t:nodes"]);
    assert_eq!(leases.len(), 1, "{leases:?}");
    leases.concat()
}

/// Lets a whole lease pass in a node's eyes, after which it dares to call others dead; it keeps its own.
pub(super) async fn outlast_a_lease(node: &Node) {
    node.clock.advance(DEADLINE.as_millis() as u64);
    assert_eq!(node.backend.presence.renew().await, Ok(Lease::Held));
}

/// A sweep of one dead node that held no names.
fn swept(memberships: u64) -> Swept {
    Swept { nodes: 1, memberships, ..Swept::default() }
}

/// What a failover to a replica that lags behind does to the stream of the room `red`: of five events it keeps three.
fn roll_back(server: &Server) {
    server.query(&["HSET", "t:room:{red}", "top", "3"]);
    server.query(&["XDEL", "t:room:{red}:log", "4-0", "5-0"]);
    server.query(&["XSETID", "t:room:{red}:log", "3-0"]);
}

pub(super) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, waiting).await.unwrap_or_else(|_| panic!("waited for: {what}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_nodes_claims_are_freed_and_its_leaves_announced_once() {
    let server = Server::start();
    let red = room("red");
    let dead = redis(&server).await;
    for session in 1..=30 {
        let who = actor(session, &format!("user {session}"));
        assert_eq!(dead.claim(&format!("user {session}"), who.session).await, CLAIMED);
        dead.enter(&red, &who).await;
    }
    let lease = only_lease(&server);
    let mut survivors = [redis(&server).await, redis(&server).await];
    survivors[0].subscribe(&red).await;
    drop(dead);
    expire(&server, &lease);
    assert_eq!(
        survivors[0].backend.presence.sweep().await.unwrap().nodes,
        0,
        "a node that has just come judges nobody"
    );
    let [one, two] = &survivors;
    outlast_a_lease(one).await;
    outlast_a_lease(two).await;
    let (one, two) = tokio::join!(one.backend.presence.sweep(), two.backend.presence.sweep());
    let (one, two) = (one.unwrap(), two.unwrap());
    let together = (one.nodes + two.nodes, one.names + two.names, one.memberships + two.memberships);
    assert_eq!(together, (1, 30, 30), "of two that look at once, one sweeps");
    assert_eq!(survivors[1].backend.presence.members(&red).await, Ok(0));
    for session in 101..=130 {
        let name = format!("user {}", session - 100);
        assert_eq!(survivors[1].claim(&name, SessionId::from_u128(session)).await, CLAIMED, "{name} is free");
    }
    let mut left = Vec::new();
    for _ in 0..30 {
        let envelope = survivors[0].hears(&red).await;
        assert_eq!(envelope.event.kind, EventKind::Left);
        left.push(envelope.event.actor.nickname.expect("the leave carries the name").to_string());
    }
    left.sort();
    left.dedup();
    assert_eq!(left.len(), 30, "each leave once");
    assert_eq!(survivors[0].backend.broker.history(&red).await.unwrap().last().unwrap().position.offset, 60);
    assert_eq!(server.list(&["SMEMBERS", "t:nodes"]).len(), 2, "the dead lease is forgotten");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_lease_ran_out_takes_a_new_one_and_a_late_sweep_does_it_no_harm() {
    let server = Server::start();
    let red = room("red");
    let alice = actor(1, "alice");
    let node = redis(&server).await;
    assert_eq!(node.claim("alice", alice.session).await, CLAIMED);
    let entered = node.enter(&red, &alice).await;
    // Its lease runs out without being swept.
    let lease = only_lease(&server);
    node.clock.advance(DEADLINE.as_millis() as u64);
    let refused = node.backend.presence.claim(&nickname("other"), bearer(alice.session), Claimant::Guest).await;
    assert!(refused.is_err(), "while the lease is not sure nothing is claimed under it: {refused:?}");
    expire(&server, &lease);
    let restore = async |node: &Node| {
        assert_eq!(node.claim("alice", alice.session).await, CLAIMED);
        node.restore(&red, &alice, Some(entered.position.epoch)).await
    };
    assert_eq!(node.backend.presence.renew().await, Ok(Lease::Renewed));
    assert!(restore(&node).await.repeated, "nobody saw it leave");
    // Only now a survivor sweeps the old lease, whose claims set still names alice.
    let survivor = redis(&server).await;
    outlast_a_lease(&survivor).await;
    assert_eq!(survivor.backend.presence.sweep().await, Ok(swept(0)));
    assert_eq!(survivor.backend.presence.members(&red).await, Ok(1));
    assert_eq!(survivor.claim("alice", SessionId::from_u128(2)).await, Claimed::InUse);
    assert_eq!(survivor.backend.broker.history(&red).await.unwrap().len(), 1, "no leave was announced");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_was_swept_is_announced_again_when_it_is_restored() {
    let server = Server::start();
    let red = room("red");
    let alice = actor(1, "alice");
    let cut_off = redis(&server).await;
    let entered = cut_off.enter(&red, &alice).await;
    let lease = only_lease(&server);
    let survivor = redis(&server).await;
    expire(&server, &lease);
    outlast_a_lease(&survivor).await;
    assert_eq!(survivor.backend.presence.sweep().await, Ok(swept(1)));
    assert_eq!(cut_off.backend.presence.renew().await, Ok(Lease::Renewed));
    let restored = cut_off.restore(&red, &alice, Some(entered.position.epoch)).await;
    assert_eq!((restored.repeated, restored.position.offset), (false, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_dataset_is_a_new_epoch_and_restores_silently() {
    let server = Server::start();
    let red = room("red");
    let alice = actor(1, "alice");
    let node = redis(&server).await;
    let entered = node.enter(&red, &alice).await;
    server.query(&["FLUSHALL"]);
    assert_eq!(node.backend.presence.renew().await, Ok(Lease::Renewed));
    let restored = node.restore(&red, &alice, Some(entered.position.epoch)).await;
    assert!(restored.repeated, "nobody saw it leave");
    assert_ne!(restored.position.epoch, entered.position.epoch);
    let said = node.say(&red, &alice, "first of the new epoch").await;
    assert_eq!(said, Position { offset: 1, epoch: restored.position.epoch });
    let missed = node.backend.broker.catch_up(&red, entered.position).await.unwrap();
    assert_eq!((missed.seam, offsets(&missed.missed)), (Seam::Torn(Position { offset: 0, ..said }), vec![1]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_was_rolled_back_goes_on_under_a_new_epoch() {
    let server = Server::start();
    let red = room("red");
    let node = redis(&server).await;
    let first = node.say(&red, &actor(1, "alice"), "1").await;
    for number in 2..=5 {
        node.say(&red, &actor(1, "alice"), &number.to_string()).await;
    }
    roll_back(&server);
    // Retention may take what was left.
    server.query(&["XTRIM", "t:room:{red}:log", "MAXLEN", "0"]);
    let missed = node.backend.broker.catch_up(&red, Position { offset: 5, ..first }).await.unwrap();
    let Position { epoch, offset } = missed.seam.gap().expect("the loss is told");
    assert_eq!(offset, 3);
    assert_ne!(epoch, first.epoch);
    assert_eq!(node.say(&red, &actor(1, "alice"), "4 anew").await, Position { epoch, offset: 4 });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_after_a_failover_is_not_taken_for_what_it_lost() {
    let server = Server::start();
    let red = room("red");
    let node = redis(&server).await;
    let first = node.say(&red, &actor(1, "alice"), "1").await;
    for number in 2..=5 {
        node.say(&red, &actor(1, "alice"), &number.to_string()).await;
    }
    // The replica that took over had three of them, and more is said before anybody looks.
    let run = server.text(&["HGET", "t:room:{red}", "run"]);
    server.query(&["HDEL", "t:room:{red}", &format!("on:{run}")]);
    server.query(&["HSET", "t:room:{red}", "run", "of the server before"]);
    roll_back(&server);
    for number in 4..=6 {
        node.say(&red, &actor(1, "alice"), &format!("{number} anew")).await;
    }
    let missed = node.backend.broker.catch_up(&red, Position { offset: 5, ..first }).await.unwrap();
    let Position { epoch, offset } = missed.seam.gap().expect("the loss is told");
    assert_ne!(epoch, first.epoch);
    assert_eq!((offset, offsets(&missed.missed)), (3, vec![4, 5, 6]));
    let behind = node.backend.broker.catch_up(&red, Position { offset: 2, ..first }).await.unwrap();
    assert_eq!(
        (offsets(&behind.missed), behind.seam),
        (vec![3, 4, 5, 6], Seam::Whole(epoch)),
        "who knew what is kept missed nothing"
    );
    assert_eq!(behind.newest(first), Position { epoch, offset: 6 });
    let nothing_new = node.backend.broker.catch_up(&red, Position { epoch, offset: 6 }).await.unwrap();
    assert_eq!(nothing_new, CatchUp { missed: Vec::new(), seam: Seam::Whole(epoch) });
}

/// Restarted again and again, or failed over, while somebody was away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_knows_a_stream_from_several_servers_ago_missed_nothing_that_it_kept() {
    let server = Server::start();
    let red = room("red");
    let node = redis(&server).await;
    let first = node.say(&red, &actor(1, "alice"), "1").await;
    for number in 2..=5 {
        node.say(&red, &actor(1, "alice"), &number.to_string()).await;
    }
    let goes_on_elsewhere = || {
        let run = server.text(&["HGET", "t:room:{red}", "run"]);
        server.query(&["HDEL", "t:room:{red}", &format!("on:{run}")]);
        server.query(&["HSET", "t:room:{red}", "run", "of the server before"]);
    };
    goes_on_elsewhere();
    assert_eq!(offsets(&node.backend.broker.catch_up(&red, first).await.unwrap().missed), [2, 3, 4, 5]);
    goes_on_elsewhere();
    roll_back(&server);
    let last = node.say(&red, &actor(1, "alice"), "4 anew").await;
    let known = node.backend.broker.catch_up(&red, Position { offset: 2, ..first }).await.unwrap();
    assert_eq!((offsets(&known.missed), known.seam), (vec![3, 4], Seam::Whole(last.epoch)));
    let lost = node.backend.broker.catch_up(&red, Position { offset: 5, ..first }).await.unwrap();
    assert_eq!((offsets(&lost.missed), lost.seam), (vec![4], Seam::Torn(Position { offset: 3, ..last })));
    for _ in 0..40 {
        goes_on_elsewhere();
        node.say(&red, &actor(1, "alice"), "again").await;
    }
    let past = server.text(&["HGET", "t:room:{red}", "past"]);
    assert_eq!(past.split(' ').count(), 32, "of so many is known, and not of more: {past}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_finds_out_later_that_a_stream_was_rolled_back_reads_nothing_again() {
    let server = Server::start();
    let red = room("red");
    let node = redis(&server).await;
    let first = node.say(&red, &actor(1, "alice"), "1").await;
    for number in 2..=5 {
        node.say(&red, &actor(1, "alice"), &number.to_string()).await;
    }
    roll_back(&server);
    let quick = node.backend.broker.catch_up(&red, Position { offset: 5, ..first }).await.unwrap();
    let Position { epoch, .. } = quick.seam.gap().expect("the loss is told");
    node.say(&red, &actor(1, "alice"), "4 anew").await;
    let late = node.backend.broker.catch_up(&red, Position { offset: 5, ..first }).await.unwrap();
    assert_eq!((offsets(&late.missed), late.seam), (vec![4], Seam::Torn(Position { epoch, offset: 3 })));
    let behind = node.backend.broker.catch_up(&red, Position { offset: 2, ..first }).await.unwrap();
    assert_eq!(offsets(&behind.missed), [3, 4], "what was not lost is not skipped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_node_publishes_the_others_hear_while_they_want_to() {
    let server = Server::start();
    let red = room("red");
    let (speaker, mut listener) = (redis(&server).await, redis(&server).await);
    speaker.say(&red, &actor(1, "alice"), "before").await;
    listener.subscribe(&red).await;
    speaker.say(&red, &actor(1, "alice"), "wanted").await;
    assert_eq!(text(&listener.hears(&red).await), "wanted");
    // Wishes count in their order, however fast they come.
    for _ in 0..100 {
        listener.backend.broker.unsubscribe(&red);
        drop(listener.backend.broker.subscribe(&red));
    }
    listener.backend.broker.unsubscribe(&red);
    listener.subscribe(&red).await;
    speaker.say(&red, &actor(1, "alice"), "wanted again").await;
    assert_eq!(text(&listener.hears(&red).await), "wanted again");
    listener.backend.broker.unsubscribe(&red);
    eventually("the channel has no subscriber", async || server.list(&["PUBSUB", "CHANNELS", "t:ch:*"]).is_empty())
        .await;
}

#[tokio::test]
async fn a_server_that_cannot_be_used_is_refused_with_the_setting() {
    let (sender, _inbound) = inbound(1 << 20, Arc::new(Metrics::new()));
    for (url, told) in [("redis://127.0.0.1:1/", "refused"), ("http://localhost", "storage.redis")] {
        let settings = Settings {
            url: url.into(),
            access: Access::default(),
            key_prefix: String::new(),
            pool_size: 1,
            connect_timeout: DEADLINE,
            command_timeout: DEADLINE,
            id: NodeId::from_random(1),
            kept_rooms: KEPT_ROOMS,
            history_count: 1,
            outbox_count: 0,
            history_age: DEADLINE,
            lease: DEADLINE,
            resume: DEADLINE,
            deaf: DEADLINE,
            node: "test".into(),
        };
        let (clock, entropy, metrics) = (Clock::system(), Entropy::system(), Arc::new(Metrics::new()));
        let refused = Redis::connect(settings, sender.clone(), clock, entropy, metrics, CancellationToken::new()).await;
        let error = refused.err().expect("it cannot be used").to_string();
        assert!(error.contains(told), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_nodes_guests_no_longer_wait_for_permission() {
    let server = Server::start();
    let red = room("red");
    let record = RoomRecord { owner: Some(nickname("olga")), access: AccessType::Permission, ..RoomRecord::default() };
    let dead = redis(&server).await;
    dead.create(&red, &record).await;
    let account = Ticket { account: Some(nickname("mia")), ..Ticket::default() };
    dead.knock(&red, &actor(1, "gus"), &Ticket::default()).await.unwrap_err();
    dead.knock(&red, &actor(2, "mia"), &account).await.unwrap_err();
    let lease = only_lease(&server);
    let survivor = redis(&server).await;
    drop(dead);
    expire(&server, &lease);
    outlast_a_lease(&survivor).await;
    assert_eq!(survivor.backend.presence.sweep().await, Ok(swept(0)));
    let view = survivor.backend.rooms.view(&red).await.unwrap().expect("the room is kept");
    let waiting: Vec<&str> = view.applicants.iter().map(|applicant| applicant.identifier.as_str()).collect();
    assert_eq!(waiting, ["mia"], "an account's wish outlives its session");
    assert_eq!(survivor.backend.broker.history(&red).await, Ok(Vec::new()), "nobody was in, so nobody left");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_nodes_members_leave_a_kept_room_in_being() {
    let server = Server::start();
    let red = room("red");
    let dead = redis(&server).await;
    dead.create(&red, &RoomRecord::default()).await;
    dead.enter(&red, &actor(1, "alice")).await;
    let lease = only_lease(&server);
    let survivor = redis(&server).await;
    drop(dead);
    expire(&server, &lease);
    outlast_a_lease(&survivor).await;
    assert_eq!(survivor.backend.presence.sweep().await, Ok(swept(1)));
    let listed = survivor.backend.rooms.list(None, 10).await.unwrap();
    assert_eq!((listed.len(), listed[0].members), (1, 0));
    assert_eq!(server.number(&["TTL", "t:room:{red}"]), -1);
}

/// What a failover to a replica that lags behind does where the account's list lies on another primary than the room.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_accounts_list_that_has_lost_a_room_has_it_again() {
    let server = Server::start();
    let (node, red) = (redis(&server).await, room("red"));
    node.room_of(&red, &["mia"]).await;
    let said = node.say(&red, &actor(1, "gus"), "1").await;
    server.query(&["HDEL", "t:user:{mia}:rooms", "red"]);
    let members = &node.backend.members;
    assert_eq!(members.enrolments(&nickname("mia")).await.unwrap(), []);
    assert!(members.told(&nickname("mia"), &[(red.clone(), said)]).await.unwrap().is_empty());
    let again = crosstalk::backend::Enrolment { room: red, told: Some(said), is_member: true };
    assert_eq!(members.enrolments(&nickname("mia")).await.unwrap(), [again]);
}
