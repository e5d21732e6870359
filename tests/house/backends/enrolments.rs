//! Clauses about the rooms of an account, and how far it was told of each.

use crosstalk::backend::{Denial, Enrolment, ROOMS_MAX};
use crosstalk::chat::{AccessType, RoomRecord};

use super::members::{account, asking, olgas};
use super::*;

clauses! {
    an_accounts_rooms_are_told_in_the_order_of_their_ids
    a_membership_that_ended_stays_in_the_list_until_it_is_forgotten
    what_was_told_is_noted
    what_is_not_in_the_list_is_not_noted
    who_comes_again_is_told_from_there
    an_account_has_only_so_many_rooms
}

lasting_clauses! {
    memberships_stay
}

impl Node {
    async fn enrolments(&self, name: &str) -> Vec<Enrolment> {
        self.backend.members.enrolments(&nickname(name)).await.unwrap()
    }

    /// An account's rooms, and whether it is a member of them.
    async fn rooms_of(&self, name: &str) -> Vec<(String, bool)> {
        let line = |enrolment: Enrolment| (enrolment.room.to_string(), enrolment.is_member);
        self.enrolments(name).await.into_iter().map(line).collect()
    }

    async fn told(&self, name: &str, positions: &[(RoomId, Position)]) -> Vec<RoomId> {
        self.backend.members.told(&nickname(name), positions).await.unwrap()
    }

    async fn forget(&self, name: &str, room: &RoomId) {
        self.backend.members.forget_enrolment(&nickname(name), room).await.unwrap();
    }

    /// Up to where an account was told.
    async fn cursor(&self, name: &str, room: &RoomId) -> Option<Position> {
        let enrolments = self.enrolments(name).await;
        enrolments.into_iter().find(|enrolment| enrolment.room == *room).expect("the room is in the list").told
    }
}

fn is_in(rooms: &[(&str, bool)]) -> Vec<(String, bool)> {
    rooms.iter().map(|(room, is_member)| ((*room).to_owned(), *is_member)).collect()
}

async fn an_accounts_rooms_are_told_in_the_order_of_their_ids(node: Node) {
    assert_eq!(node.enrolments("mia").await, []);
    for name in ["b", "é", "B", "a b"] {
        node.create(&room(name), &RoomRecord::default()).await;
        node.enrol(&room(name), "mia").await.unwrap();
    }
    node.enrol(&room("a b"), "mia").await.unwrap();
    node.enter_as(&room("c"), 3, "mia").await.unwrap();
    assert_eq!(node.rooms_of("mia").await, is_in(&[("B", true), ("a b", true), ("b", true), ("é", true)]));
    assert_eq!(node.rooms_of("Mia").await, is_in(&[]), "another account's");
    node.create(&room("own"), &RoomRecord { owner: Some(nickname("noa")), ..RoomRecord::default() }).await;
    assert_eq!(node.rooms_of("noa").await, is_in(&[("own", true)]), "the owner's from the beginning");
}

async fn a_membership_that_ended_stays_in_the_list_until_it_is_forgotten(node: Node) {
    let (left, removed, gone) = (room("left"), room("removed"), room("gone"));
    for id in [&left, &removed, &gone] {
        node.room_of(id, &["mia"]).await;
    }
    node.resign(&left, "mia", false).await.unwrap();
    node.backend.members.remove(&removed, &account("olga"), &account("mia")).await.unwrap().unwrap();
    node.backend.rooms.destroy(&gone, &account("olga"), Some(&nickname("olga"))).await.unwrap().unwrap();
    assert_eq!(node.rooms_of("mia").await, is_in(&[("gone", false), ("left", false), ("removed", false)]));
    for id in [&left, &gone, &gone] {
        node.forget("mia", id).await;
    }
    assert_eq!(node.rooms_of("mia").await, is_in(&[("removed", false)]));
    assert_eq!(node.rooms_of("olga").await, is_in(&[("gone", false), ("left", true), ("removed", true)]));
    node.enrol(&removed, "mia").await.unwrap();
    assert_eq!(node.rooms_of("mia").await, is_in(&[("removed", true)]));
}

async fn what_was_told_is_noted(node: Node) {
    let (red, blue) = (room("red"), room("blue"));
    for id in [&red, &blue] {
        node.room_of(id, &["mia"]).await;
    }
    let gus = actor(1, "gus");
    let (first, second) = (node.say(&red, &gus, "1").await, node.say(&red, &gus, "2").await);
    let elsewhere = node.say(&blue, &gus, "1").await;
    node.told("mia", &[]).await;
    node.told("mia", &[(red.clone(), first)]).await;
    assert_eq!(node.cursor("mia", &red).await, Some(first));
    node.told("mia", &[(blue.clone(), elsewhere), (red.clone(), second)]).await;
    assert_eq!((node.cursor("mia", &red).await, node.cursor("mia", &blue).await), (Some(second), Some(elsewhere)));
    // From a session that stood still while another one took its place.
    node.told("mia", &[(red.clone(), first)]).await;
    assert_eq!(node.cursor("mia", &red).await, Some(second), "never back");
    node.enrol(&red, "mia").await.unwrap();
    assert_eq!(node.cursor("mia", &red).await, Some(second), "who is a member already was told so far");
    assert_ne!(node.cursor("olga", &red).await, Some(second), "another's");
}

async fn what_is_not_in_the_list_is_not_noted(node: Node) {
    let red = room("red");
    node.room_of(&red, &["mia"]).await;
    let said = node.say(&red, &actor(1, "gus"), "1").await;
    assert_eq!(node.told("eve", &[(red.clone(), said)]).await, std::slice::from_ref(&red));
    assert_eq!(node.enrolments("eve").await, []);
    assert!(node.told("mia", &[(red.clone(), said)]).await.is_empty());
    let both = [red.clone(), room("nowhere")];
    assert_eq!(node.backend.members.are_in(&nickname("mia"), &both).await.unwrap(), [true, false]);
    assert_eq!(node.backend.members.are_in(&nickname("eve"), &both).await.unwrap(), [false, false]);
    assert!(node.backend.members.are_in(&nickname("eve"), &[]).await.unwrap().is_empty());
    node.resign(&red, "mia", false).await.unwrap();
    node.forget("mia", &red).await;
    // From a session that does not know yet.
    let foreign = node.told("mia", &[(red.clone(), said), (room("nowhere"), said)]).await;
    assert_eq!(foreign, [red, room("nowhere")]);
    assert_eq!(node.enrolments("mia").await, []);
}

async fn who_comes_again_is_told_from_there(node: Node) {
    let red = room("red");
    node.room_of(&red, &["mia"]).await;
    let said = node.say(&red, &actor(1, "gus"), "1").await;
    node.told("mia", &[(red.clone(), said)]).await;
    node.resign(&red, "mia", false).await.unwrap();
    assert_eq!(node.cursor("mia", &red).await, Some(said), "what it has not been told of that");
    node.say(&red, &actor(1, "gus"), "not for mia").await;
    let entered = node.enrol(&red, "mia").await.unwrap();
    let cursor = node.cursor("mia", &red).await;
    assert!(cursor.is_none_or(|cursor| cursor == entered.position), "{cursor:?} is before {entered:?}");
    let after = node.say(&red, &actor(1, "gus"), "for mia").await;
    assert_eq!(node.cursor("mia", &red).await, cursor, "nobody told it of {after:?}");
}

async fn an_account_has_only_so_many_rooms(node: Node) {
    let rooms: Vec<RoomId> = (0..=ROOMS_MAX).map(|number| room(&format!("r{number:03}"))).collect();
    for (session, id) in (1..).zip(&rooms) {
        node.enter(id, &actor(session, "gus")).await;
    }
    for id in &rooms[..ROOMS_MAX] {
        assert!(!node.enrol(id, "mia").await.unwrap().repeated);
    }
    let one_more = &rooms[ROOMS_MAX];
    assert_eq!(node.enrol(one_more, "mia").await, Err(Denial::TooMany));
    assert_eq!(node.roll(one_more).await, ["gus"], "mia is not in");
    assert!(node.enrol(&rooms[0], "mia").await.unwrap().repeated, "where it is a member it is");
    assert_eq!(node.enrolments("mia").await.len(), ROOMS_MAX);
    node.resign(&rooms[0], "mia", false).await.unwrap();
    node.forget("mia", &rooms[0]).await;
    assert!(!node.enrol(one_more, "mia").await.unwrap().repeated);
}

async fn memberships_stay(node: Node, again: impl AsyncFn(Node) -> Node) {
    let (red, blue) = (room("red"), room("blue"));
    node.room_of(&red, &["zoe", "mia", "adam"]).await;
    node.create(&blue, &olgas(AccessType::Permission)).await;
    node.enrol_with(&blue, "mia", &asking("mia", 70)).await.unwrap_err();
    node.appoint_member(&red, "olga", "mia", true).await.unwrap();
    node.backend.members.hand_over(&red, &account("olga"), &nickname("zoe")).await.unwrap().unwrap();
    node.resign(&red, "adam", false).await.unwrap();
    let said = node.say(&red, &actor(1, "gus"), "1").await;
    node.told("mia", &[(red.clone(), said)]).await;
    let (roll, view) = (node.roll(&red).await, node.backend.rooms.view(&red).await.unwrap());
    assert_eq!(roll, ["olga Admin", "zoe Owner", "mia Admin"]);
    let node = again(node).await;
    assert_eq!((node.roll(&red).await, node.backend.rooms.view(&red).await.unwrap()), (roll, view));
    assert_eq!((node.count(&red).await, node.cursor("mia", &red).await), (3, Some(said)));
    assert!(node.rooms_of("mia").await.contains(&("red".to_owned(), true)));
    assert_eq!(node.rooms_of("adam").await, is_in(&[("red", false)]));
    assert!(node.say_as(&red, "mia", "back again").await.is_some());
    let waiting = node.backend.rooms.view(&blue).await.unwrap().expect("the room is kept").applicants;
    assert_eq!((waiting.len(), waiting[0].request.0, waiting[0].enrols), (1, 70, true));
    node.decide_named(&blue, "mia", true).await;
    assert_eq!(node.roll(&blue).await, ["olga Owner", "mia Member"]);
}
