//! Clauses about accounts and what ends of them with a node, with a lease, with a room: Redis only.

use crosstalk::backend::NodeCount;
use crosstalk::chat::Push;

use super::cluster::{expire, only_lease, outlast_a_lease};
use super::members::did;
use super::*;

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
async fn the_sweep_of_an_enrolled_accounts_session_ends_no_membership() {
    let server = Server::start();
    let red = room("red");
    let dead = redis(&server).await;
    dead.room_of(&red, &["mia"]).await;
    dead.enter_as(&red, 3, "mia").await.unwrap();
    dead.enter_as(&red, 4, "eve").await.unwrap();
    let before = dead.told_in(&red).await;
    let survivor = bereaved(&server, dead).await;
    assert_eq!(survivor.backend.presence.sweep().await.unwrap().nodes, 1);
    let mut told = survivor.told_in(&red).await.split_off(before.len());
    told.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(told, [did("eve", EventKind::Left), did("mia", EventKind::Went)], "mia is a member still");
    assert_eq!(
        (survivor.count(&red).await, survivor.roll(&red).await),
        (2, vec!["olga Owner".into(), "mia Member".into()])
    );
    assert!(survivor.say_as(&red, "mia", "back again").await.is_some());
    let entered = survivor.enter_as(&red, 5, "mia").await.unwrap();
    assert_eq!((entered.members, entered.repeated), (2, false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_tells_which_accounts_are_gone() {
    let server = Server::start();
    let dead = redis(&server).await;
    dead.sign_up("mia").await;
    for (session, name) in [(1, "mia"), (2, "olga")] {
        assert_eq!(dead.log_in(name, session).await, CLAIMED);
    }
    assert_eq!(dead.claim("gus", SessionId::from_u128(3)).await, CLAIMED);
    let survivor = bereaved(&server, dead).await;
    let swept = survivor.backend.presence.sweep().await.unwrap();
    let mut accounts: Vec<&str> = swept.accounts.iter().map(Nickname::as_str).collect();
    accounts.sort_unstable();
    assert_eq!((swept.names, accounts), (3, vec!["mia", "olga"]));
    assert!(!survivor.user("mia").await.unwrap().online);
    assert_eq!(survivor.claim("mia", SessionId::from_u128(4)).await, Claimed::Reserved);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_has_moved_on_is_not_swept() {
    let server = Server::start();
    let dead = redis(&server).await;
    dead.sign_up("mia").await;
    dead.log_in("mia", 1).await;
    let survivor = bereaved(&server, dead).await;
    let session = SessionId::from_u128(2);
    assert_eq!(survivor.log_in("mia", 2).await, Claimed::Done { from: Some(SessionId::from_u128(1)) });
    let swept = survivor.backend.presence.sweep().await.unwrap();
    assert_eq!((swept.names, swept.accounts), (0, vec![]), "it is there");
    let holder = Holder { session, reads_inbox: true };
    assert_eq!(survivor.backend.presence.holder(&nickname("mia")).await, Ok(Some(holder)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_inbox_survives_the_node_that_wrote_it() {
    let server = Server::start();
    let dead = redis(&server).await;
    dead.sign_up("olga").await;
    let push = Push::FriendRemoved { account: nickname("bob") };
    dead.backend.inbox.put(&nickname("olga"), &push, None).await.unwrap();
    let survivor = bereaved(&server, dead).await;
    survivor.backend.presence.sweep().await.unwrap();
    let mail = survivor.backend.inbox.mail(&nickname("olga"), 0, 10).await.unwrap();
    assert_eq!(mail.into_iter().map(|mail| mail.push).collect::<Vec<_>>(), [push]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_node_counted_is_forgotten() {
    let server = Server::start();
    let dead = redis(&server).await;
    let counted = NodeCount { online: 5, ..NodeCount::default() };
    dead.backend.census.report(&counted).await.unwrap();
    let lease = only_lease(&server);
    let counts = format!("t:node:{{{lease}}}:count");
    let lives_ms = server.number(&["PTTL", &counts]);
    assert!(lives_ms > 0 && lives_ms <= DEADLINE.as_millis() as i64, "{lives_ms}");
    let survivor = bereaved(&server, dead).await;
    survivor.backend.presence.sweep().await.unwrap();
    // It runs out beside the lease, or goes with it.
    server.query(&["DEL", &counts]);
    let census = survivor.backend.census.census().await.unwrap();
    assert_eq!((census.nodes.online, census.online_max), (0, 5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_members_made_ends_with_its_last_member_whatever_that_is() {
    let server = Server::start();
    let node = redis(&server).await;
    let red = room("red");
    let gus = actor(1, "gus");
    let lives_ms = || server.number(&["PTTL", "t:room:{red}"]);
    for deleted in [false, true] {
        node.enter(&red, &gus).await;
        node.enrol(&red, "mia").await.unwrap();
        node.backend.presence.leave(&red, &gus).await.unwrap();
        assert_eq!(lives_ms(), -1, "mia is in");
        node.resign(&red, "mia", deleted).await.unwrap();
        assert!(lives_ms() > 0, "nobody is");
    }
    for part in ["members", "who", "roll"] {
        assert_eq!(server.number(&["EXISTS", &format!("t:room:{{red}}:{part}")]), 0, "{part}");
    }
}

/// Of what a deleted account was, nothing is left but the time at which it was deleted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_account_leaves_no_key_behind() {
    let server = Server::start();
    let node = redis(&server).await;
    for name in ["mia", "bob"] {
        node.sign_up(name).await;
    }
    node.befriend("mia", "bob").await;
    let push = Push::FriendRemoved { account: nickname("bob") };
    node.backend.inbox.put(&nickname("mia"), &push, None).await.unwrap();
    node.enter(&room("red"), &actor(1, "gus")).await;
    node.enrol(&room("red"), "mia").await.unwrap();
    node.resign(&room("red"), "mia", true).await.unwrap();
    node.delete("mia").await;
    assert_eq!(server.list(&["KEYS", "t:*mia*"]), ["t:deleted:{mia}"]);
    let lives_ms = server.number(&["PTTL", "t:deleted:{mia}"]);
    assert!(lives_ms > 0 && lives_ms <= 3_600_000, "for as long as messages are kept: {lives_ms}");
    for index in server.list(&["ZRANGE", "t:search:users", "0", "-1"]) {
        assert!(!index.contains("mia"), "{index}");
    }
}
