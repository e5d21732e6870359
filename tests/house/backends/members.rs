//! Clauses about accounts as members of rooms for good, and about their sessions there.

use crosstalk::backend::{Creation, Denial, RoomChange};
use crosstalk::chat::{AccessType, Member, RequestId, RoomRecord};

use super::*;

clauses! {
    an_account_is_enrolled_and_that_is_announced
    to_enrol_again_is_repeated
    the_owner_is_a_member_from_the_beginning
    a_room_that_is_not_there_enrols_nobody
    a_room_is_there_while_an_account_is_a_member
    a_password_is_asked_of_who_enrols
    a_member_is_asked_for_the_password_before_it_is_repeated
    an_enrolled_accounts_session_comes_and_goes_uncounted
    an_enrolled_accounts_session_passes_every_door
    an_enrolled_accounts_session_publishes_without_having_joined
    an_enrolled_accounts_session_is_restored_silently
    the_roll_tells_members_in_the_order_in_which_they_came
    the_roll_is_read_in_pages
    destruction_ends_every_membership
}

/// A ticket of an account that asks under a number to be let in.
pub(super) fn asking(account: &str, request: u32) -> Ticket {
    Ticket { account: Some(nickname(account)), request: RequestId(request), ..Ticket::default() }
}

pub(super) fn account(name: &str) -> Actor {
    Actor::account(nickname(name))
}

/// A room of olga's.
pub(super) fn olgas(access: AccessType) -> RoomRecord {
    let password_hash = (access == AccessType::Password).then(|| "$hash".to_owned());
    RoomRecord { owner: Some(nickname("olga")), access, password_hash, ..RoomRecord::default() }
}

impl Node {
    pub(super) async fn enrol_with(&self, room: &RoomId, name: &str, ticket: &Ticket) -> Result<Entered, Denial> {
        self.backend.members.enrol(room, &account(name), ticket).await.unwrap()
    }

    /// Enrols an account that brings nothing but itself.
    pub(super) async fn enrol(&self, room: &RoomId, name: &str) -> Result<Entered, Denial> {
        self.enrol_with(room, name, &asking(name, 1)).await
    }

    /// Makes a public room of olga's with these members.
    pub(super) async fn room_of(&self, id: &RoomId, members: &[&str]) {
        assert_eq!(self.create(id, &olgas(AccessType::Public)).await, Creation::Done);
        for name in members {
            assert!(!self.enrol(id, name).await.unwrap().repeated, "{name} is new");
        }
    }

    pub(super) async fn enter_as(&self, room: &RoomId, session: u128, name: &str) -> Result<Entered, Denial> {
        self.knock(room, &actor(session, name), &asking(name, 1)).await
    }

    /// What an account says, on a session that has not joined.
    pub(super) async fn say_as(&self, room: &RoomId, name: &str, text: &str) -> Option<Position> {
        let (who, name) = (actor(900, name), nickname(name));
        let publisher = Publisher::Member { account: Some(&name) };
        self.publish(room, &message(&who, text), publisher).await.map(|published| published.position)
    }

    /// What a room was told, with the names of those who did it.
    pub(super) async fn told_in(&self, room: &RoomId) -> Vec<(String, EventKind)> {
        let history = self.backend.broker.history(room).await.unwrap();
        let told = |envelope: Envelope| (envelope.event.actor.shown_name().to_owned(), envelope.event.kind);
        history.into_iter().map(told).collect()
    }

    pub(super) async fn count(&self, room: &RoomId) -> u64 {
        self.backend.presence.members(room).await.unwrap()
    }

    pub(super) async fn roll_page(&self, room: &RoomId, skip: usize, limit: usize) -> Option<Vec<Member>> {
        self.backend.members.roll(room, skip, limit).await.unwrap()
    }

    /// All members of a room, each as `name` or `name role`.
    pub(super) async fn roll(&self, room: &RoomId) -> Vec<String> {
        names(self.roll_page(room, 0, 1_000).await.expect("the room exists"))
    }

    pub(super) async fn open_to(&self, room: &RoomId, access: AccessType) {
        let password_hash = (access == AccessType::Password).then(|| "$hash".to_owned());
        let change = RoomChange { access: Some((access, password_hash)), ..RoomChange::default() };
        self.backend.rooms.change(room, &account("olga"), &change).await.unwrap().unwrap();
    }
}

pub(super) fn names(roll: Vec<Member>) -> Vec<String> {
    let line = |member: Member| match member.role {
        Some(role) => format!("{} {role:?}", member.identifier),
        None => member.identifier,
    };
    roll.into_iter().map(line).collect()
}

/// What somebody did.
pub(super) fn did(name: &str, kind: EventKind) -> (String, EventKind) {
    (name.to_owned(), kind)
}

async fn an_account_is_enrolled_and_that_is_announced(mut node: Node) {
    let red = room("red");
    node.subscribe(&red).await;
    node.create(&red, &RoomRecord::default()).await;
    let mia = actor(7, "mia");
    let entered = node.backend.members.enrol(&red, &mia, &asking("mia", 1)).await.unwrap().unwrap();
    assert_eq!((entered.position.offset, entered.members, entered.repeated), (1, 1, false));
    let heard = node.hears(&red).await;
    assert_eq!((heard.position, heard.event), (entered.position, Event::new(mia.clone(), EventKind::Joined)));
    assert_eq!(node.roll(&red).await, ["mia Member"]);
    // The session's going is nothing to the membership.
    assert_eq!(node.backend.presence.leave(&red, &mia).await, Ok(None));
    assert_eq!(node.count(&red).await, 1);
}

async fn to_enrol_again_is_repeated(node: Node) {
    let red = room("red");
    node.create(&red, &RoomRecord::default()).await;
    let first = node.enrol(&red, "mia").await.unwrap();
    let second = node.enrol(&red, "noa").await.unwrap();
    assert_eq!((second.members, second.repeated), (2, false));
    let again = node.enrol(&red, "mia").await;
    assert_eq!(again, Ok(Entered { repeated: true, ..second }), "at the room's present position");
    assert_eq!(first.position, Position { offset: 1, ..second.position });
    assert_eq!(node.told_in(&red).await, [did("mia", EventKind::Joined), did("noa", EventKind::Joined)]);
}

async fn the_owner_is_a_member_from_the_beginning(node: Node) {
    let red = room("red");
    node.create(&red, &olgas(AccessType::Public)).await;
    assert_eq!((node.count(&red).await, node.roll(&red).await), (1, vec!["olga Owner".into()]));
    assert_eq!(node.told_in(&red).await, [], "there is nobody to be told");
    let again = node.enrol(&red, "olga").await.unwrap();
    assert_eq!((again.members, again.repeated), (1, true));
    assert!(node.say_as(&red, "olga", "welcome").await.is_some());
    node.create(&room("blue"), &RoomRecord::default()).await;
    assert_eq!(node.roll(&room("blue")).await, [] as [&str; 0]);
}

async fn a_room_that_is_not_there_enrols_nobody(node: Node) {
    let red = room("red");
    let must_exist = Ticket { must_exist: true, ..asking("mia", 1) };
    assert_eq!(node.enrol_with(&red, "mia", &must_exist).await, Err(Denial::Unknown));
    assert_eq!((node.count(&red).await, node.roll_page(&red, 0, 10).await), (0, None));
    assert_eq!(node.told_in(&red).await, []);
    let alice = actor(1, "alice");
    node.enter(&red, &alice).await;
    assert_eq!(node.enrol_with(&red, "mia", &must_exist).await.unwrap().members, 2, "one that members made will do");
    assert_eq!(node.roll(&red).await, ["mia Member", "alice"]);
}

async fn a_room_is_there_while_an_account_is_a_member(node: Node) {
    let red = room("red");
    let (alice, must_exist) = (actor(1, "alice"), Ticket { must_exist: true, ..Ticket::default() });
    node.enter(&red, &alice).await;
    node.enrol(&red, "mia").await.unwrap();
    assert!(node.backend.presence.leave(&red, &alice).await.unwrap().is_some());
    assert_eq!(node.count(&red).await, 1);
    assert_eq!(node.create(&red, &RoomRecord::default()).await, Creation::Exists, "somebody is in it");
    assert_eq!(node.knock(&red, &alice, &must_exist).await.unwrap().members, 2);
    node.backend.presence.leave(&red, &alice).await.unwrap();
    node.resign(&red, "mia", false).await.unwrap();
    assert_eq!(node.knock(&red, &alice, &must_exist).await, Err(Denial::Unknown), "it went with its last member");
}

async fn a_password_is_asked_of_who_enrols(node: Node) {
    let red = room("red");
    node.create(&red, &olgas(AccessType::Password)).await;
    let denied = Err(Denial::Password { hash: "$hash".into() });
    assert_eq!(node.enrol(&red, "mia").await, denied);
    let proving = |hash: &str| Ticket { proof: Some(hash.into()), ..asking("mia", 1) };
    assert_eq!(node.enrol_with(&red, "mia", &proving("$other")).await, denied);
    assert_eq!(node.roll(&red).await, ["olga Owner"]);
    let entered = node.enrol_with(&red, "mia", &proving("$hash")).await.unwrap();
    assert_eq!((entered.members, entered.repeated), (2, false));
}

async fn a_member_is_asked_for_the_password_before_it_is_repeated(node: Node) {
    let red = room("red");
    node.room_of(&red, &["mia", "adam"]).await;
    node.appoint_member(&red, "olga", "adam", true).await.unwrap();
    node.open_to(&red, AccessType::Password).await;
    let denied = Err(Denial::Password { hash: "$hash".into() });
    assert_eq!(node.enrol(&red, "mia").await, denied);
    let right = Ticket { proof: Some("$hash".into()), ..asking("mia", 1) };
    assert!(node.enrol_with(&red, "mia", &right).await.unwrap().repeated);
    for runner in ["olga", "adam"] {
        assert!(node.enrol(&red, runner).await.unwrap().repeated, "{runner} needs none");
    }
    assert_eq!(node.count(&red).await, 3);
}

async fn an_enrolled_accounts_session_comes_and_goes_uncounted(node: Node) {
    let red = room("red");
    node.room_of(&red, &["mia"]).await;
    let before = node.told_in(&red).await;
    let entered = node.enter_as(&red, 3, "mia").await.unwrap();
    assert_eq!((entered.position.offset, entered.members, entered.repeated), (2, 2, false), "it is counted already");
    assert_eq!(node.enter_as(&red, 3, "mia").await, Ok(Entered { repeated: true, ..entered }));
    assert_eq!(node.enter_as(&red, 4, "mia").await.unwrap().position.offset, 3);
    let with_alice = node.enter_as(&red, 5, "alice").await.unwrap();
    assert_eq!((with_alice.members, with_alice.repeated), (3, false), "one that is not enrolled is counted");
    assert_eq!(node.roll(&red).await, ["olga Owner", "mia Member", "alice"]);
    for (session, offset) in [(3, 5), (4, 6)] {
        let left = node.backend.presence.leave(&red, &actor(session, "mia")).await.unwrap();
        assert_eq!(left.map(|position| position.offset), Some(offset));
        assert_eq!(node.backend.presence.leave(&red, &actor(session, "mia")).await, Ok(None), "once");
    }
    assert_eq!(node.count(&red).await, 3);
    let told = [
        did("mia", EventKind::Came),
        did("mia", EventKind::Came),
        did("alice", EventKind::Joined),
        did("mia", EventKind::Went),
        did("mia", EventKind::Went),
    ];
    assert_eq!(node.told_in(&red).await, [before, told.to_vec()].concat());
}

async fn an_enrolled_accounts_session_passes_every_door(node: Node) {
    let red = room("red");
    node.room_of(&red, &["mia"]).await;
    for access in [AccessType::Password, AccessType::Permission] {
        node.open_to(&red, access).await;
        assert_eq!(node.enter_as(&red, 3, "mia").await.unwrap().members, 2, "{access:?}");
        assert!(node.enter_as(&red, 4, "eve").await.is_err());
        assert!(node.knock(&red, &actor(5, "mia"), &Ticket::default()).await.is_err(), "the name alone is not enough");
        node.backend.presence.leave(&red, &actor(3, "mia")).await.unwrap();
    }
}

async fn an_enrolled_accounts_session_publishes_without_having_joined(node: Node) {
    let red = room("red");
    node.room_of(&red, &["mia"]).await;
    let mia = message(&actor(3, "mia"), "hi");
    assert_eq!(node.publish(&red, &mia, Publisher::Member { account: None }).await, None);
    assert!(node.say_as(&red, "mia", "hi").await.is_some());
    assert_eq!(node.say_as(&red, "eve", "hi").await, None);
    assert_eq!(node.say_as(&room("nowhere"), "mia", "hi").await, None);
    node.enter_as(&red, 3, "mia").await.unwrap();
    assert!(node.say_as(&red, "mia", "hi").await.is_some());
    node.backend.presence.leave(&red, &actor(3, "mia")).await.unwrap();
    assert!(node.say_as(&red, "mia", "hi").await.is_some(), "the account is a member still");
    node.resign(&red, "mia", false).await.unwrap();
    assert_eq!(node.say_as(&red, "mia", "hi").await, None);
}

async fn an_enrolled_accounts_session_is_restored_silently(node: Node) {
    let red = room("red");
    node.room_of(&red, &["mia"]).await;
    let mia = actor(3, "mia");
    let entered = node.enter_as(&red, 3, "mia").await.unwrap();
    for known in [None, Some(entered.position.epoch)] {
        let entry = Entry::Restore { known, account: Some(nickname("mia")) };
        let restored = node.backend.presence.enter(&red, &mia, &entry).await.unwrap();
        assert_eq!(restored, Ok(Entered { repeated: true, ..entered }), "{known:?}");
    }
    assert_eq!(node.told_in(&red).await.len(), 2, "nothing is said twice");
}

async fn the_roll_tells_members_in_the_order_in_which_they_came(node: Node) {
    let red = room("red");
    assert_eq!(node.roll_page(&red, 0, 10).await, None);
    node.create(&red, &olgas(AccessType::Public)).await;
    let nameless = Actor { session: SessionId::from_u128(7), nickname: None };
    node.enter(&red, &nameless).await;
    for name in ["zoe", "adam", "mia", "Bob"] {
        node.enrol(&red, name).await.unwrap();
    }
    node.appoint_member(&red, "olga", "mia", true).await.unwrap();
    node.appoint(&red, "olga", "eve", true).await.unwrap();
    let accounts = ["olga Owner", "zoe Member", "adam Member", "mia Admin", "Bob Member"];
    let expected: Vec<String> =
        accounts.iter().map(ToString::to_string).chain([nameless.session.to_string()]).collect();
    assert_eq!(node.roll(&red).await, expected, "eve runs it and is not in it");
    node.resign(&red, "zoe", false).await.unwrap();
    node.enrol(&red, "zoe").await.unwrap();
    let roll = node.roll(&red).await;
    assert_eq!(roll[1..5], ["adam Member", "mia Admin", "Bob Member", "zoe Member"], "who comes again comes last");
    assert_eq!(node.count(&red).await, 6);
}

async fn the_roll_is_read_in_pages(node: Node) {
    let red = room("red");
    node.room_of(&red, &["a", "b", "c"]).await;
    for session in 1..=3 {
        node.enter(&red, &actor(session, &format!("guest {session}"))).await;
    }
    let all = node.roll(&red).await;
    assert_eq!((all.len(), &all[..4]), (7, &["olga Owner", "a Member", "b Member", "c Member"].map(String::from)[..]));
    let mut read = Vec::new();
    for skip in (0..).step_by(2) {
        let page = names(node.roll_page(&red, skip, 2).await.unwrap());
        if page.is_empty() {
            break;
        }
        read.extend(page);
    }
    assert_eq!(read, all);
    assert_eq!(names(node.roll_page(&red, 3, 3).await.unwrap()), all[3..6], "over the border between the two");
    assert_eq!(node.roll_page(&red, 0, 0).await, Some(vec![]));
    assert_eq!(node.roll_page(&red, 100, 5).await, Some(vec![]));
}

async fn destruction_ends_every_membership(node: Node) {
    let red = room("red");
    node.room_of(&red, &["mia"]).await;
    node.enter_as(&red, 3, "mia").await.unwrap();
    node.backend.rooms.destroy(&red, &account("olga"), Some(&nickname("olga"))).await.unwrap().unwrap();
    assert_eq!((node.count(&red).await, node.roll_page(&red, 0, 10).await), (0, None));
    for name in ["olga", "mia"] {
        assert_eq!(node.say_as(&red, name, "still here?").await, None);
        let rooms = node.backend.members.enrolments(&nickname(name)).await.unwrap();
        assert!(rooms.iter().all(|enrolment| !enrolment.is_member), "{rooms:?}");
    }
    node.create(&red, &olgas(AccessType::Public)).await;
    assert_eq!(node.roll(&red).await, ["olga Owner"], "of the former life nobody is in");
}
