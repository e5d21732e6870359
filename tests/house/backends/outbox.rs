//! What backends can follow: every change of who is in a room and of what it is, in the step in which it is made. Redis only.

use crosstalk::backend::{RoomChange, decode_event};
use crosstalk::chat::RoomRecord;

use super::*;

/// An entry without the time: room, offset, and what happened.
type Entry = (String, u64, EventKind);

fn entries(server: &Server) -> Vec<Entry> {
    let Reply::List(read) = server.query(&["XRANGE", "t:outbox", "-", "+"]) else { panic!("there is no stream") };
    read.into_iter().map(entry).collect()
}

fn entry(entry: Reply) -> Entry {
    let Reply::List(mut parts) = entry else { panic!("{entry:?}") };
    let Some(Reply::List(fields)) = parts.pop() else { panic!("no fields") };
    let fields: Vec<String> = fields.into_iter().map(Reply::into_text).collect();
    let [room_key, room, epoch_key, epoch, offset_key, offset, time_key, time_us, event_key, event] = &fields[..]
    else {
        panic!("{fields:?}")
    };
    assert_eq!([room_key, epoch_key, offset_key, time_key, event_key], ["room", "epoch", "offset", "time_us", "event"]);
    assert!(epoch.parse::<u64>().is_ok() && time_us.parse::<u64>().is_ok(), "{fields:?}");
    (room.clone(), offset.parse().unwrap(), decode_event(event.as_bytes()).unwrap().kind)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_change_of_a_room_is_in_the_outbox_and_no_message_is() {
    let server = Server::start();
    let node = redis(&server).await;
    let red = room("red room");
    let record = RoomRecord { owner: Some(nickname("olga")), ..RoomRecord::default() };
    node.create(&red, &record).await;
    let (olga, gus) = (actor(9, "olga"), actor(1, "gus"));
    node.enter(&red, &gus).await;
    node.say(&red, &gus, "this is not for backends").await;
    node.enrol(&red, "mia").await.unwrap();
    node.enter_as(&red, 3, "mia").await.unwrap();
    node.backend.rooms.appoint(&red, &olga, &nickname("mia"), true, true).await.unwrap().unwrap();
    let change = RoomChange { description: Some("new".into()), ..RoomChange::default() };
    node.backend.rooms.change(&red, &olga, &change).await.unwrap().unwrap();
    node.backend.members.hand_over(&red, &olga, &nickname("mia")).await.unwrap().unwrap();
    node.backend.members.remove(&red, &actor(3, "mia"), &gus).await.unwrap().unwrap();
    node.backend.presence.leave(&red, &actor(3, "mia")).await.unwrap();
    node.resign(&red, "olga", false).await.unwrap();
    node.backend.rooms.destroy(&red, &actor(3, "mia"), Some(&nickname("mia"))).await.unwrap().unwrap();
    let found = entries(&server);
    assert!(found.iter().all(|(room, ..)| room == "red room"), "{found:?}");
    let (created, followed) = found.split_first().unwrap();
    assert_eq!((created.1, &created.2), (0, &EventKind::Created { room: red.clone() }));
    // The room's own stream is the measure: the same, in the same order, but for the message.
    let mut happened: Vec<(u64, EventKind)> = Vec::new();
    for envelope in node.backend.broker.history(&red).await.unwrap() {
        if !matches!(envelope.event.kind, EventKind::Message { .. }) {
            happened.push((envelope.position.offset, envelope.event.kind));
        }
    }
    let followed: Vec<(u64, EventKind)> = followed.iter().map(|(_, offset, kind)| (*offset, kind.clone())).collect();
    assert_eq!(followed, happened);
    assert_eq!(followed.len(), 10, "{followed:?}");
}

/// Its members are told nothing, and a backend would never hear again of the session that it knows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_goes_on_in_anothers_place_is_in_the_outbox_once() {
    let server = Server::start();
    let node = redis(&server).await;
    let (red, former, heir) = (room("red"), actor(1, "gus"), actor(2, "gus"));
    node.enter(&red, &former).await;
    let entry = crosstalk::backend::Entry::Heir { of: former.session, ticket: Ticket::default() };
    for _ in 0..2 {
        let entered = node.backend.presence.enter(&red, &heir, &entry).await.unwrap().unwrap();
        assert!(entered.repeated, "nobody else is told");
    }
    node.backend.presence.leave(&red, &heir).await.unwrap();
    let Reply::List(read) = server.query(&["XRANGE", "t:outbox", "-", "+"]) else { panic!("there is no stream") };
    let told = read.into_iter().map(|entry| {
        let Reply::List(parts) = entry else { panic!("{entry:?}") };
        let [_, Reply::List(fields)] = parts.as_slice() else { panic!("{parts:?}") };
        let [_, _, _, _, _, Reply::Text(offset), .., Reply::Text(event)] = fields.as_slice() else {
            panic!("{fields:?}")
        };
        let event: serde_json::Value = serde_json::from_str(event).unwrap();
        let text = |key: &str| event[key].as_str().map(|text| text.trim_start_matches('0').to_owned());
        (offset.clone(), text("k").unwrap(), text("s").unwrap(), text("ws"))
    });
    let line = |offset: &str, kind: &str, session: &str, former: Option<&str>| {
        (offset.to_owned(), kind.to_owned(), session.to_owned(), former.map(str::to_owned))
    };
    let expected = [line("1", "j", "1", None), line("1", "i", "2", Some("1")), line("2", "l", "2", None)];
    assert_eq!(told.collect::<Vec<_>>(), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_outbox_keeps_its_newest_entries_about() {
    let server = Server::start();
    let node = redis(&server).await;
    for number in 0..150 {
        let who = actor(number, "gus");
        node.enter(&room("red"), &who).await;
        node.backend.presence.leave(&room("red"), &who).await.unwrap();
    }
    // Redis trims whole nodes of a stream, of 100 entries each.
    let length = server.number(&["XLEN", "t:outbox"]);
    assert!((100..=200).contains(&length), "{length}");
    assert_eq!(entries(&server).last(), Some(&("red".to_owned(), 300, EventKind::Left)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_outbox_nothing_is_written_for_it() {
    let server = Server::start();
    let node = redis_with(&server, |settings| settings.outbox_count = 0).await;
    node.enter(&room("red"), &actor(1, "gus")).await;
    node.backend.presence.leave(&room("red"), &actor(1, "gus")).await.unwrap();
    node.create(&room("blue"), &RoomRecord::default()).await;
    assert_eq!(server.number(&["EXISTS", "t:outbox"]), 0);
    assert_eq!(offsets(&node.backend.broker.history(&room("red")).await.unwrap()), [1, 2]);
}
