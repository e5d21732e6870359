//! Rooms after a batch that was not kept.

use super::bench::{Bench, Step, account, bench, guest, name, room, step};
use crate::backend::{Asker, Broker, Entry, Members, Presence, Publication, Publisher, RoomChange, Rooms, Ticket};
use crate::chat::{AccessType, Addressee, Event, EventKind, MessageId, Nickname, RequestId, RoomId, RoomRecord};

fn create(id: &RoomId) -> Step {
    let id = id.clone();
    let record = RoomRecord { owner: Some(name("olga")), ..RoomRecord::default() };
    step(move |node| async move { node.create(&id, &record).await })
}

fn enter(id: &RoomId, session: u128) -> Step {
    let id = id.clone();
    step(move |node| async move { node.enter(&id, &guest(session), &Entry::Join(Ticket::default())).await })
}

pub fn enrol(id: &RoomId, who: &'static str) -> Step {
    let id = id.clone();
    step(move |node| async move { node.enrol(&id, &account(who), &Ticket::default()).await })
}

fn say(id: &RoomId) -> Step {
    let id = id.clone();
    let event = Event::new(guest(1), EventKind::Message { id: MessageId(1), text: "said".into() });
    step(move |node| async move {
        let publication = Publication { event: &event, publisher: Publisher::Anyone, key: None };
        node.publish(&id, publication).await
    })
}

fn destroy(id: &RoomId) -> Step {
    let id = id.clone();
    step(move |node| async move { node.destroy(&id, &guest(1), Some(&name("olga"))).await })
}

fn appoint(id: &RoomId, who: &'static str, admin: bool) -> Step {
    let id = id.clone();
    step(move |node| async move { node.appoint(&id, &account("olga"), &name(who), admin, false).await })
}

fn listed(bench: &Bench) -> Vec<String> {
    bench.state.list(None, 10).into_iter().map(|summary| summary.room.to_string()).collect()
}

fn roll(bench: &Bench, id: &RoomId) -> Vec<Nickname> {
    bench.state.rooms[id].roll.iter().cloned().collect()
}

#[test]
fn a_destruction_that_is_not_kept_puts_everybody_back() {
    let red = room("red");
    for said in [false, true] {
        let mut bench = bench();
        bench.done(vec![create(&red), enter(&red, 1), enter(&red, 2), enrol(&red, "mia")]);
        assert_eq!(bench.heard(), 3);
        let (row, view) = (bench.state.rooms[&red].row, bench.state.view(&red));
        let before_it = said.then(|| say(&red));
        bench.lost(before_it.into_iter().chain([destroy(&red), enter(&red, 1), enrol(&red, "zoe")]).collect());
        assert_eq!(bench.heard(), 0, "nothing is told that was not kept");
        assert_eq!(bench.state.view(&red), view);
        assert_eq!(view.unwrap().members, 4);
        assert_eq!(roll(&bench, &red), [name("olga"), name("mia")]);
        assert_eq!(bench.state.rooms[&red].row, row);
        assert_eq!(listed(&bench), ["red"]);
        assert!(bench.state.empty.is_empty());
    }
}

#[test]
fn a_destruction_that_is_not_kept_leaves_a_room_of_its_members_to_them() {
    let red = room("red");
    let mut bench = bench();
    bench.done(vec![enter(&red, 1)]);
    let gone = red.clone();
    bench.lost(vec![step(move |node| async move { node.destroy(&gone, &guest(2), None).await })]);
    assert_eq!(bench.state.rooms[&red].members.len(), 1);
    assert!(bench.state.empty.is_empty(), "somebody is in it");
}

#[test]
fn a_creation_and_a_change_that_are_not_kept_have_not_been() {
    let (red, blue) = (room("red"), room("blue"));
    let mut bench = bench();
    bench.done(vec![create(&red)]);
    let view = bench.state.view(&red);
    let change = RoomChange {
        access: Some((AccessType::Permission, None)),
        nickname: Some("crimson".into()),
        ..RoomChange::default()
    };
    let changed = red.clone();
    bench.lost(vec![
        create(&blue),
        step(move |node| async move { node.change(&changed, &account("olga"), &change).await }),
        appoint(&red, "adam", true),
    ]);
    assert_eq!((bench.state.view(&red), bench.state.view(&blue)), (view, None));
    assert_eq!(listed(&bench), ["red"]);
    assert!(!bench.state.rooms.contains_key(&blue));
    let found = |query: &str| bench.state.search_rooms(query, None, 9).found;
    assert_eq!((found("red"), found("crim"), found("blue")), (vec![red], vec![], vec![]));
}

#[test]
fn comings_and_goings_that_are_not_kept_have_not_been() {
    let (red, blue) = (room("red"), room("blue"));
    let mut bench = bench();
    bench.done(vec![create(&red), enrol(&red, "adam"), enrol(&red, "mia"), enter(&red, 1), enrol(&blue, "mia")]);
    bench.done(vec![appoint(&red, "adam", true)]);
    let view = bench.state.view(&red);
    let (id, blue_too) = (red.clone(), blue.clone());
    bench.lost(vec![
        step(move |node| async move { node.remove(&id, &account("olga"), &account("mia")).await }),
        step({
            let id = red.clone();
            move |node| async move { node.hand_over(&id, &account("olga"), &name("adam")).await }
        }),
        step({
            let id = red.clone();
            move |node| async move { node.leave(&id, &guest(1)).await }
        }),
        step(move |node| async move { node.resign(&blue_too, &account("mia"), false).await }),
        say(&room("green")),
    ]);
    assert_eq!(bench.state.view(&red), view);
    assert_eq!(roll(&bench, &red), [name("olga"), name("adam"), name("mia")]);
    assert_eq!(roll(&bench, &blue), [name("mia")]);
    assert_eq!(bench.state.rooms[&red].members.len(), 1);
    assert!(bench.state.empty.is_empty());
}

#[test]
fn a_decision_that_is_not_kept_leaves_the_one_who_asked_waiting() {
    let red = room("red");
    let mut bench = bench();
    let (id, owner) = (red.clone(), Some(name("olga")));
    let record = RoomRecord { owner, access: AccessType::Permission, ..RoomRecord::default() };
    bench.done(vec![step(move |node| async move { node.create(&id, &record).await })]);
    let id = red.clone();
    let ticket = Ticket { request: RequestId(7), ..Ticket::default() };
    bench.done(vec![step(move |node| async move { node.enrol(&id, &account("mia"), &ticket).await })]);
    let id = red.clone();
    let asker = Asker::Named(Addressee::Nickname(name("mia")));
    bench.lost(vec![step(move |node| async move { node.decide(&id, &name("olga"), &asker, true).await })]);
    let view = bench.state.view(&red).unwrap();
    assert_eq!((view.members, view.applicants[0].request, view.applicants[0].enrols), (1, RequestId(7), true));
}

/// A room that is forgotten in memory alone would begin again at offset 1, under the events that the store still has.
#[test]
fn a_room_that_was_to_be_forgotten_is_remembered_if_that_is_not_kept() {
    let (old, new) = (room("old"), room("new"));
    let mut bench = bench();
    bench.done(vec![say(&old), say(&room("other"))]);
    let row = bench.state.rooms[&old].row;
    bench.lost(vec![say(&new)]);
    assert!(!bench.state.rooms.contains_key(&new));
    assert_eq!(bench.state.rooms.get(&old).map(|room| room.row), Some(row));
    assert_eq!(bench.state.empty.len(), 2);
}

/// It became idle, and was forgotten, in the batch that was not kept.
#[test]
fn a_room_whose_last_member_went_and_that_was_forgotten_has_its_member_back() {
    let red = room("red");
    let mut bench = bench();
    bench.done(vec![enrol(&red, "mia"), say(&room("other"))]);
    let id = red.clone();
    bench.lost(vec![
        step(move |node| async move { node.resign(&id, &account("mia"), false).await }),
        say(&room("new")),
        say(&room("newer")),
    ]);
    assert_eq!(roll(&bench, &red), [name("mia")]);
    assert_eq!(bench.state.empty.len(), 1);
}
