//! Clauses about sessions that go on in others.

use crosstalk::chat::{AccessType, Login, LoginId};

use super::cluster::{expire, only_lease, outlast_a_lease};
use super::members::olgas;
use super::*;

clauses! {
    a_token_is_good_for_one_heir
    what_a_session_is_comes_back
    a_session_that_has_ended_has_no_heir
    an_heir_takes_the_name_from_the_session_that_it_follows_and_from_nobody_else
    an_heir_takes_a_place_in_a_room_without_a_word
    an_heir_joins_where_there_is_no_place_to_take
    an_heir_passes_a_door_that_the_other_had_passed
}

fn session(number: u128) -> SessionId {
    SessionId::from_u128(number)
}

fn memo(secret: &str, name: Option<&str>) -> Memo {
    Memo { secret_hash: secret.into(), first: session(7), nickname: name.map(nickname), login: None }
}

impl Node {
    async fn remember(&self, of: u128, memo: &Memo) -> bool {
        self.backend.resumption.remember(session(of), memo).await.unwrap()
    }

    async fn take_over(&self, of: u128, secret: &str, heir: u128) -> Option<Memo> {
        self.backend.resumption.take_over(session(of), secret, session(heir)).await.unwrap()
    }

    async fn claim_as_heir(&self, name: &str, of: u128, heir: u128) -> Claimed {
        let claimant = Claimant::Heir { of: session(of), account: false };
        self.backend.presence.claim(&nickname(name), bearer(session(heir)), claimant).await.unwrap()
    }

    async fn enter_as_heir(&self, room: &RoomId, of: u128, who: &Actor, ticket: Ticket) -> Option<Entered> {
        let entry = Entry::Heir { of: session(of), ticket };
        self.backend.presence.enter(room, who, &entry).await.unwrap().ok()
    }
}

async fn a_token_is_good_for_one_heir(node: Node) {
    assert!(node.remember(1, &memo("secret", Some("alice"))).await);
    assert_eq!(node.take_over(1, "guess", 2).await, None);
    assert_eq!(node.take_over(9, "secret", 2).await, None);
    assert_eq!(node.take_over(1, "secret", 2).await, Some(memo("secret", Some("alice"))));
    assert_eq!(node.take_over(1, "secret", 3).await, None, "it was used");
    assert!(node.take_over(1, "secret", 2).await.is_some(), "the heir may not have been answered");
    assert!(!node.remember(1, &memo("secret", Some("alice"))).await, "it is not to come back to life");
    assert!(node.remember(2, &memo("other", Some("alice"))).await);
    assert_eq!(node.take_over(2, "other", 3).await, Some(memo("other", Some("alice"))), "the heir has its own");
}

async fn what_a_session_is_comes_back(node: Node) {
    assert!(node.remember(1, &memo("first", None)).await);
    let login = Login { account: nickname("mia"), id: LoginId(u128::MAX), began_s: 5, ends_s: 1 << 40 };
    let account = Memo { login: Some(login), ..memo("second", Some("mia")) };
    assert!(node.remember(1, &account).await);
    assert_eq!(node.take_over(1, "first", 2).await, None, "the former token is worthless");
    assert_eq!(node.take_over(1, "second", 2).await, Some(account));
}

async fn a_session_that_has_ended_has_no_heir(node: Node) {
    assert!(node.remember(1, &memo("secret", None)).await);
    node.backend.resumption.forget(session(1)).await.unwrap();
    assert_eq!(node.take_over(1, "secret", 2).await, None);
    node.backend.resumption.forget(session(1)).await.unwrap();
}

async fn an_heir_takes_the_name_from_the_session_that_it_follows_and_from_nobody_else(node: Node) {
    assert_eq!(node.claim("alice", session(1)).await, CLAIMED);
    assert_eq!(node.claim_as_heir("alice", 7, 2).await, Claimed::InUse);
    assert_eq!(node.claim_as_heir("alice", 1, 2).await, Claimed::Done { from: Some(session(1)) });
    assert_eq!(node.claim_as_heir("alice", 1, 2).await, CLAIMED, "asked again");
    assert_eq!(node.backend.presence.release(&nickname("alice"), session(1)).await, Ok(false), "it is the heir's");
    assert_eq!(node.claim_as_heir("alice", 1, 3).await, Claimed::InUse, "another heir comes too late");
    assert_eq!(node.claim_as_heir("bob", 1, 3).await, CLAIMED, "nobody has it");
}

async fn an_heir_takes_a_place_in_a_room_without_a_word(mut node: Node) {
    let red = room("red");
    node.subscribe(&red).await;
    let (old, new) = (actor(1, "alice"), actor(2, "alice"));
    let joined = node.enter(&red, &old).await;
    let inherited = node.enter_as_heir(&red, 1, &new, Ticket::default()).await.unwrap();
    assert_eq!((inherited.position, inherited.members, inherited.repeated), (joined.position, 1, true));
    let again = node.enter_as_heir(&red, 1, &new, Ticket::default()).await.unwrap();
    assert_eq!((again.members, again.repeated), (1, true), "asked again");
    assert_eq!(node.backend.presence.leave(&red, &old).await, Ok(None), "it has no place any more");
    let refused = node.publish(&red, &message(&old, "still here"), Publisher::Member { account: None }).await;
    assert_eq!(refused, None);
    assert!(node.publish(&red, &message(&new, "here"), Publisher::Member { account: None }).await.is_some());
    assert_eq!(node.hears(&red).await.event.kind, EventKind::Joined);
    assert_eq!(text(&node.hears(&red).await), "here", "nothing was said of the change");
}

async fn an_heir_joins_where_there_is_no_place_to_take(mut node: Node) {
    let red = room("red");
    node.subscribe(&red).await;
    let entered = node.enter_as_heir(&red, 1, &actor(2, "alice"), Ticket::default()).await.unwrap();
    assert_eq!((entered.members, entered.repeated), (1, false));
    assert_eq!(node.hears(&red).await.event.kind, EventKind::Joined);
    let must_exist = Ticket { must_exist: true, ..Ticket::default() };
    assert_eq!(node.enter_as_heir(&room("blue"), 1, &actor(2, "alice"), must_exist).await, None);
}

async fn an_heir_passes_a_door_that_the_other_had_passed(node: Node) {
    let red = room("red");
    node.create(&red, &olgas(AccessType::Permission)).await;
    let old = actor(1, "gus");
    let asked = node.backend.presence.enter(&red, &old, &Entry::Join(Ticket::default())).await.unwrap();
    assert!(asked.is_err(), "he has to wait");
    node.decide_named(&red, "gus", true).await;
    node.enter(&red, &old).await;
    assert_eq!(
        node.enter_as_heir(&red, 9, &actor(2, "gus"), Ticket::default()).await,
        None,
        "nobody's heir waits, too"
    );
    assert!(node.enter_as_heir(&red, 1, &actor(3, "gus"), Ticket::default()).await.is_some());
    assert_eq!(node.backend.presence.members(&red).await, Ok(2), "olga is one");
}

/// A node that has died, as far as its lease is concerned, and one that outlived it.
async fn bereaved(server: &Server, dead: Node) -> Node {
    let lease = only_lease(server);
    let survivor = redis(server).await;
    drop(dead);
    expire(server, &lease);
    outlast_a_lease(&survivor).await;
    survivor
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_kept_of_a_dead_nodes_sessions_outlives_the_sweep_for_a_while() {
    let server = Server::start();
    let dead = redis(&server).await;
    for number in [1, 2] {
        assert!(dead.remember(number, &memo("secret", Some("alice"))).await);
    }
    let survivor = bereaved(&server, dead).await;
    assert!(survivor.take_over(1, "secret", 3).await.is_some(), "before the sweep");
    assert_eq!(survivor.backend.presence.sweep().await.unwrap().nodes, 1);
    let lives_ms = |number| server.number(&["PTTL", &format!("t:session:{{{}}}", session(number))]);
    let window_ms = DEADLINE.as_millis() as i64;
    assert!((1..=window_ms).contains(&lives_ms(2)), "{}", lives_ms(2));
    assert!(survivor.take_over(2, "secret", 4).await.is_some(), "after the sweep");
    assert!(lives_ms(1) > window_ms, "it is remembered for longer that there is an heir");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_cut_off_learns_that_a_session_has_an_heir() {
    let server = Server::start();
    let cut_off = redis(&server).await;
    assert!(cut_off.remember(1, &memo("secret", None)).await);
    let lease = only_lease(&server);
    let survivor = redis(&server).await;
    assert!(survivor.take_over(1, "secret", 2).await.is_some());
    expire(&server, &lease);
    assert_eq!(cut_off.backend.presence.renew().await, Ok(Lease::Renewed));
    assert!(!cut_off.remember(1, &memo("secret", None)).await, "it is not to come back to life");
    assert!(survivor.take_over(1, "secret", 3).await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_goes_leaves_what_is_claimed_to_heirs_for_a_while() {
    let server = Server::start();
    let red = room("red");
    let (going, staying) = (redis(&server).await, redis(&server).await);
    let old = actor(1, "alice");
    assert_eq!(going.claim("alice", old.session).await, CLAIMED);
    going.enter(&red, &old).await;
    assert_eq!(going.backend.resumption.bequeath().await, Ok(true));
    outlast_a_lease(&staying).await;
    assert_eq!(staying.backend.presence.sweep().await.unwrap().nodes, 0, "it is not dead yet");
    assert_eq!(staying.claim("alice", session(9)).await, Claimed::InUse);
    assert_eq!(staying.claim_as_heir("alice", 1, 2).await, Claimed::Done { from: Some(old.session) });
    assert!(staying.enter_as_heir(&red, 1, &actor(2, "alice"), Ticket::default()).await.unwrap().repeated);
    let leases = server.list(&["SMEMBERS", "t:nodes"]);
    let ttl_ms = |lease: &String| server.number(&["PTTL", &format!("t:node:{{{lease}}}")]);
    assert!(leases.len() == 2 && leases.iter().all(|lease| (1..=DEADLINE.as_millis() as i64).contains(&ttl_ms(lease))));
}
