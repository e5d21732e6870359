//! A Redis that comes back with what it had some time ago, as after a failover to a replica that lagged behind.

use super::*;
use crate::support::redis::{Kind, Recipe};

/// A member of a room, the room knows; that a session stands there for its account does not make it one. It is told that it is
/// out, instead of being refused until it logs in again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_told_of_the_memberships_that_were_lost() {
    let mut redis = Redis::start_with(Recipe::new(Kind::Redis7).line("save \"\"").line("appendonly no"));
    let nodes = [Plan::on(&redis).start(), Plan::on(&redis).start()];
    let mut olga = Client::named(&nodes[0], Scrp, "olga").await;
    let mut mia = Client::named(&nodes[1], Scrp, "mia").await;
    let open_room = |id: &str| json!({"room_id": id, "room_nickname": id, "room_access": 0});
    for id in ["kept", "red"] {
        olga.does("CREATE_ROOM", open_room(id)).await;
    }
    mia.does("ENTER_ROOM", json!({"room_id": "kept"})).await;
    assert_eq!(redis.text(&["SAVE"]), "OK");
    mia.does("ENTER_ROOM", json!({"room_id": "red"})).await;
    mia.does("CREATE_ROOM", open_room("hers")).await;
    redis.kill9();
    redis.start_again();

    for _ in 0..2 {
        let left = mia.sees(json!({"method": "USER_LEAVE_ROOM", "user_id": "mia"})).await;
        assert!(["red", "hers"].contains(&left["room_id"].as_str().unwrap()), "{left}");
    }
    assert_eq!(mia.err("SEND_ROOM_MESSAGE", json!({"room_id": "red", "content": "still here"})).await, 407);
    mia.does("ENTER_ROOM", json!({"room_id": "red"})).await;
    mia.does("CREATE_ROOM", open_room("hers")).await;
    for id in ["kept", "red"] {
        let text = format!("to {id}");
        mia.does("SEND_ROOM_MESSAGE", json!({"room_id": id, "content": text})).await;
        olga.sees(json!({"method": "NEW_ROOM_MESSAGE", "room_id": id, "content": text})).await;
        let text = format!("from {id}");
        olga.does("SEND_ROOM_MESSAGE", json!({"room_id": id, "content": text})).await;
        mia.sees(json!({"method": "NEW_ROOM_MESSAGE", "room_id": id, "content": text})).await;
    }
}
