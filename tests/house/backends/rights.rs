//! What becomes of a change in a cluster that does not tell a node which of its servers it is: Redis only.

use std::fmt::Debug;

use crosstalk::backend::{Asker, BackendError, RoomChange};
use crosstalk::chat::{AccessType, RequestId};

use super::members::{account, asking, olgas};
use super::*;
use crate::support::redis::cluster::Cluster;
use crate::support::redis::{Kind, Recipe};

/// All that is kept of a room.
fn kept_of(server: &Server, room: &RoomId) -> Vec<(String, Reply)> {
    let mut keys = server.list(&["KEYS", &format!("t:room:{{{room}}}*")]);
    keys.sort();
    keys.into_iter().map(|key| (key.clone(), server.query(&["DUMP", &key]))).collect()
}

fn failed<T: Debug>(what: &str, outcome: Result<T, BackendError>) {
    assert!(outcome.is_err(), "{what}: {outcome:?}");
}

/// A script that goes on with a room's stream asks the server who it is, to tell its epoch by. Where that is not among the rights,
/// the script ends there, and nothing of what it is for may have been done before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_half_done_where_a_server_does_not_say_who_it_is() {
    let cluster = Cluster::of(&Recipe::new(Kind::Redis7), false);
    for server in &cluster.nodes {
        server.query(&["ACL", "SETUSER", "gateway", "on", ">word", "~*", "&*", "+@all", "-cluster|myid"]);
    }
    let url = cluster.url();
    let whole = redis_at(|settings| settings.url.clone_from(&url)).await;
    let limited = redis_at(|settings| settings.url = url.replace("://", "://gateway:word@")).await;
    let (red, green, blue) = (room("red"), room("green"), room("blue"));
    let (olga, alice, gus) = (account("olga"), actor(1, "alice"), actor(2, "gus"));
    whole.room_of(&red, &["mia", "ada"]).await;
    whole.enter(&red, &alice).await;
    whole.create(&green, &olgas(AccessType::Permission)).await;
    whole.enrol_with(&green, "nina", &asking("nina", 70)).await.unwrap_err();

    let kept = || {
        [&red, &green, &blue].map(|room| kept_of(&cluster.nodes[cluster.owner(&format!("t:room:{{{room}}}"))], room))
    };
    let before = kept();
    let Backend { presence, members, rooms, broker, .. } = &limited.backend;
    let (mia, nina) = (nickname("mia"), Asker::Request(RequestId(70)));
    let (join, heir) = (Entry::Join(Ticket::default()), Entry::Heir { of: alice.session, ticket: Ticket::default() });
    let restore = Entry::Restore { known: None, account: None };
    let publication = Publication { event: &message(&alice, "hello"), publisher: Publisher::Anyone, key: None };
    failed("enter", presence.enter(&red, &gus, &join).await);
    failed("go on", presence.enter(&red, &actor(3, "alice"), &heir).await);
    failed("restore", presence.enter(&red, &gus, &restore).await);
    failed("leave", presence.leave(&red, &alice).await);
    failed("enrol", members.enrol(&red, &account("nick"), &asking("nick", 71)).await);
    failed("resign", members.resign(&red, &account("mia"), false).await);
    failed("be deleted", members.resign(&red, &account("mia"), true).await);
    failed("hand over by being deleted", members.resign(&red, &olga, true).await);
    failed("remove", members.remove(&red, &olga, &account("mia")).await);
    failed("hand over", members.hand_over(&red, &olga, &mia).await);
    failed(
        "change",
        rooms.change(&red, &olga, &RoomChange { nickname: Some("R".into()), ..RoomChange::default() }).await,
    );
    failed("appoint", rooms.appoint(&red, &olga, &mia, true, false).await);
    failed("decide", rooms.decide(&green, &nickname("olga"), &nina, true).await);
    failed("publish", broker.publish(&red, publication).await);
    failed("destroy", rooms.destroy(&red, &olga, Some(&nickname("olga"))).await);
    failed("enter a new room", presence.enter(&blue, &gus, &join).await);
    failed("create", rooms.create(&blue, &olgas(AccessType::Public)).await);
    assert_eq!(kept(), before);
}
