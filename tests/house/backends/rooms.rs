//! Clauses about rooms that were created on purpose: who runs them, whom they let in, the list of them.

use crosstalk::backend::{Asker, Creation, Decided, Denial, RoomChange, RoomFault};
use crosstalk::chat::{AccessType, Addressee, Applicant, PersonKey, RoomRecord, RoomView};
use futures_util::future::join_all;

use super::*;

clauses! {
    a_created_room_is_as_it_was_asked_for
    a_room_exists_once_it_was_created_or_somebody_is_in_it
    there_are_only_so_many_kept_rooms
    the_history_of_a_former_life_stays
    the_owner_and_the_admins_change_a_room
    a_room_with_an_owner_is_destroyed_by_the_owner_only
    a_room_without_an_owner_is_destroyed_by_anybody
    being_destroyed_is_the_last_that_a_room_says
    a_destroyed_room_leaves_nothing_but_its_history
    a_kept_room_stays_when_everybody_is_gone
    a_password_room_lets_in_who_proves_its_present_password
    a_permission_room_has_its_owner_and_admins_told_once
    who_is_approved_is_let_in
    who_is_rejected_may_ask_again
    a_decision_is_for_the_owner_and_the_admins_about_somebody_who_asked
    a_guests_permission_ends_with_its_leaving_and_an_accounts_stays
    only_so_many_wait_for_permission
    the_owner_and_the_admins_pass_every_door
    a_join_that_must_find_a_room_makes_none
    who_is_in_passes_every_door
    who_is_restored_passes_every_door
    admins_are_appointed_and_dismissed_by_the_owner
    a_room_has_only_so_many_admins
    kept_rooms_are_listed_in_the_order_of_their_ids
    a_list_is_read_in_pages
    a_member_publishes_only_where_it_is_in
}

/// Rooms with no owner and nothing else to say.
fn plain() -> RoomRecord {
    RoomRecord::default()
}

/// A room of olga's.
fn owned(access: AccessType) -> RoomRecord {
    let password_hash = (access == AccessType::Password).then(|| "$hash".to_owned());
    RoomRecord { owner: Some(nickname("olga")), access, password_hash, ..RoomRecord::default() }
}

/// A ticket of a session that is logged in.
fn member_of(account: &str) -> Ticket {
    Ticket { account: Some(nickname(account)), ..Ticket::default() }
}

fn proving(hash: &str) -> Ticket {
    Ticket { proof: Some(hash.into()), ..Ticket::default() }
}

/// Who it is that waits, whenever it was that they asked.
fn who(applicant: Applicant) -> (PersonKey, String) {
    (applicant.key, applicant.identifier)
}

/// Where a room's stream stands.
async fn top(node: &Node, room: &RoomId) -> Position {
    node.backend.broker.history(room).await.unwrap().last().expect("something has happened").position
}

/// What a first ask for permission is answered; the owner is told first.
fn asked(runners: &[&str]) -> Denial {
    Denial::Permission { runners: runners.iter().map(|name| nickname(name)).collect() }
}

fn password_asked() -> Denial {
    Denial::Password { hash: "$hash".into() }
}

impl Node {
    pub(super) async fn create(&self, room: &RoomId, record: &RoomRecord) -> Creation {
        self.backend.rooms.create(room, record).await.unwrap()
    }

    async fn destroy(&self, room: &RoomId, by: &Actor, account: Option<&str>) -> Result<(), RoomFault> {
        self.backend.rooms.destroy(room, by, account.map(nickname).as_ref()).await.unwrap()
    }

    async fn change(&self, room: &RoomId, by: &str, change: RoomChange) -> Result<(), RoomFault> {
        self.backend.rooms.change(room, &Actor::account(nickname(by)), &change).await.unwrap()
    }

    async fn decide(&self, room: &RoomId, by: &str, who: &Addressee, approve: bool) -> Decided {
        self.backend.rooms.decide(room, &nickname(by), &Asker::Named(who.clone()), approve).await.unwrap()
    }

    pub(super) async fn appoint(&self, room: &RoomId, by: &str, account: &str, admin: bool) -> Result<(), RoomFault> {
        let by = Actor::account(nickname(by));
        self.backend.rooms.appoint(room, &by, &nickname(account), admin, false).await.unwrap()
    }

    async fn view(&self, room: &RoomId) -> Option<RoomView> {
        self.backend.rooms.view(room).await.unwrap()
    }

    async fn listed(&self, after: Option<&str>, limit: usize) -> Vec<String> {
        let rooms = self.backend.rooms.list(after.map(room).as_ref(), limit).await.unwrap();
        rooms.into_iter().map(|summary| summary.room.to_string()).collect()
    }

    /// Asks to be let in.
    pub(super) async fn knock(&self, room: &RoomId, who: &Actor, ticket: &Ticket) -> Result<Entered, Denial> {
        self.backend.presence.enter(room, who, &Entry::Join(ticket.clone())).await.unwrap()
    }

    async fn leave(&self, room: &RoomId, who: &Actor) -> Option<Position> {
        self.backend.presence.leave(room, who).await.unwrap()
    }

    /// What a member says, where it is one.
    async fn say_as_member(&self, room: &RoomId, who: &Actor, text: &str) -> Option<Position> {
        let published = self.publish(room, &message(who, text), Publisher::Member { account: None }).await;
        published.map(|published| published.position)
    }

    async fn applicants(&self, room: &RoomId) -> Vec<Applicant> {
        self.view(room).await.expect("the room is kept").applicants
    }
}

async fn a_created_room_is_as_it_was_asked_for(node: Node) {
    let red = room("red");
    let record =
        RoomRecord { nickname: "Réd".into(), description: "a \"red\" room".into(), ..owned(AccessType::Password) };
    assert_eq!(node.view(&red).await, None);
    assert_eq!(node.create(&red, &record).await, Creation::Done);
    let view = RoomView { record, admins: Vec::new(), applicants: Vec::new(), members: 1 };
    assert_eq!(node.view(&red).await, Some(view.clone()), "its owner is in it from the beginning");
    node.knock(&red, &actor(2, "bob"), &proving("$hash")).await.unwrap();
    assert_eq!(node.view(&red).await, Some(RoomView { members: 2, ..view }));
    let blue = room("blue");
    assert_eq!(node.create(&blue, &plain()).await, Creation::Done);
    assert_eq!(node.view(&blue).await.map(|view| view.record), Some(plain()));
    node.enter(&room("green"), &actor(1, "alice")).await;
    assert_eq!(node.view(&room("green")).await, None, "what members make is not kept");
}

async fn a_room_exists_once_it_was_created_or_somebody_is_in_it(node: Node) {
    let (red, blue) = (room("red"), room("blue"));
    let alice = actor(1, "alice");
    assert_eq!(node.create(&red, &owned(AccessType::Public)).await, Creation::Done);
    assert_eq!(node.create(&red, &plain()).await, Creation::Exists);
    assert_eq!(node.view(&red).await.map(|view| view.record), Some(owned(AccessType::Public)), "nothing changed");
    node.enter(&blue, &alice).await;
    assert_eq!(node.create(&blue, &plain()).await, Creation::Exists);
    assert_eq!(node.view(&blue).await, None);
    node.leave(&blue, &alice).await;
    assert_eq!(node.create(&blue, &plain()).await, Creation::Done, "it went with its last member");
    let mut creations = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let rooms = node.backend.rooms.clone();
        creations.spawn(async move { rooms.create(&room("green"), &plain()).await.unwrap() });
    }
    let created = creations.join_all().await;
    assert_eq!(created.iter().filter(|creation| **creation == Creation::Done).count(), 1, "{created:?}");
}

async fn there_are_only_so_many_kept_rooms(node: Node) {
    for number in 0..KEPT_ROOMS {
        assert_eq!(node.create(&room(&format!("r{number}")), &plain()).await, Creation::Done);
    }
    assert_eq!(node.create(&room("one more"), &plain()).await, Creation::TooMany);
    assert_eq!(node.view(&room("one more")).await, None);
    assert_eq!(node.create(&room("r0"), &plain()).await, Creation::Exists, "one that exists says so nevertheless");
    node.enter(&room("made by members"), &actor(1, "alice")).await;
    assert_eq!(node.create(&room("made by members"), &plain()).await, Creation::Exists);
    assert_eq!(node.destroy(&room("r0"), &actor(1, "alice"), None).await, Ok(()));
    assert_eq!(node.create(&room("one more"), &plain()).await, Creation::Done);
}

async fn the_history_of_a_former_life_stays(node: Node) {
    let red = room("red");
    let alice = actor(1, "alice");
    let first = node.enter(&red, &alice).await.position;
    node.say(&red, &alice, "first life").await;
    node.leave(&red, &alice).await;
    assert_eq!(node.create(&red, &plain()).await, Creation::Done);
    assert_eq!(offsets(&node.backend.broker.history(&red).await.unwrap()), [1, 2, 3]);
    assert_eq!(node.enter(&red, &alice).await.position, Position { offset: 4, ..first });
    assert_eq!(node.destroy(&red, &alice, None).await, Ok(()));
    assert_eq!(node.create(&red, &plain()).await, Creation::Done);
    assert_eq!(node.enter(&red, &alice).await.position, Position { offset: 6, ..first }, "the destruction was 5");
    assert_eq!(offsets(&node.backend.broker.history(&red).await.unwrap()), [1, 2, 3, 4, 5, 6]);
}

async fn the_owner_and_the_admins_change_a_room(node: Node) {
    let red = room("red");
    let named = |name: &str| RoomChange { nickname: Some(name.into()), ..RoomChange::default() };
    assert_eq!(node.change(&red, "olga", named("new")).await, Err(RoomFault::Unknown));
    node.create(&red, &owned(AccessType::Public)).await;
    node.appoint(&red, "olga", "adam", true).await.unwrap();
    assert_eq!(node.change(&red, "eve", named("new")).await, Err(RoomFault::Forbidden));
    assert_eq!(node.change(&red, "olga", named("by olga")).await, Ok(()));
    let described = RoomChange { description: Some("by adam".into()), ..RoomChange::default() };
    assert_eq!(node.change(&red, "adam", described).await, Ok(()));
    let locked = RoomChange { access: Some((AccessType::Password, Some("$new".into()))), ..RoomChange::default() };
    assert_eq!(node.change(&red, "adam", locked).await, Ok(()));
    let mut expected = RoomRecord {
        owner: Some(nickname("olga")),
        access: AccessType::Password,
        password_hash: Some("$new".into()),
        nickname: "by olga".into(),
        description: "by adam".into(),
    };
    assert_eq!(node.view(&red).await.unwrap().record, expected);
    let emptied = RoomChange {
        access: Some((AccessType::Public, None)),
        nickname: Some(String::new()),
        description: Some(String::new()),
    };
    assert_eq!(node.change(&red, "olga", emptied).await, Ok(()));
    expected = owned(AccessType::Public);
    assert_eq!(node.view(&red).await.unwrap().record, expected);
    assert_eq!(node.change(&red, "olga", RoomChange::default()).await, Ok(()), "to change nothing is no fault");
    node.create(&room("blue"), &plain()).await;
    assert_eq!(node.change(&room("blue"), "olga", named("new")).await, Err(RoomFault::Forbidden), "it has no owner");
    node.enter(&room("green"), &actor(1, "olga")).await;
    assert_eq!(node.change(&room("green"), "olga", named("new")).await, Err(RoomFault::Unknown), "it is not kept");
}

async fn a_room_with_an_owner_is_destroyed_by_the_owner_only(node: Node) {
    let red = room("red");
    let olga = actor(1, "olga");
    assert_eq!(node.destroy(&red, &olga, Some("olga")).await, Err(RoomFault::Unknown));
    node.create(&red, &owned(AccessType::Public)).await;
    node.appoint(&red, "olga", "adam", true).await.unwrap();
    node.enter(&red, &olga).await;
    for other in [None, Some("eve"), Some("adam")] {
        assert_eq!(node.destroy(&red, &olga, other).await, Err(RoomFault::Forbidden), "{other:?}");
    }
    assert_eq!(node.backend.presence.members(&red).await, Ok(2), "the account and the session, which has none");
    assert_eq!(node.destroy(&red, &olga, Some("olga")).await, Ok(()));
    assert_eq!(node.destroy(&red, &olga, Some("olga")).await, Err(RoomFault::Unknown), "once is enough");
    assert_eq!(node.backend.presence.members(&red).await, Ok(0));
}

async fn a_room_without_an_owner_is_destroyed_by_anybody(node: Node) {
    let (red, blue, green) = (room("red"), room("blue"), room("green"));
    let alice = actor(1, "alice");
    node.create(&red, &plain()).await;
    node.create(&blue, &plain()).await;
    node.enter(&green, &alice).await;
    let eve = actor(2, "eve");
    assert_eq!(node.destroy(&red, &eve, None).await, Ok(()));
    assert_eq!(node.destroy(&blue, &eve, Some("eve")).await, Ok(()));
    assert_eq!(node.destroy(&green, &eve, None).await, Ok(()), "one that its members made, too");
    assert_eq!(node.backend.presence.members(&green).await, Ok(0));
    node.enter(&green, &alice).await;
    node.leave(&green, &alice).await;
    assert_eq!(node.destroy(&green, &eve, None).await, Err(RoomFault::Unknown), "it is gone with its last member");
}

async fn being_destroyed_is_the_last_that_a_room_says(mut node: Node) {
    let red = room("red");
    node.subscribe(&red).await;
    node.create(&red, &owned(AccessType::Public)).await;
    let (olga, bob) = (actor(1, "olga"), actor(2, "bob"));
    node.enter(&red, &olga).await;
    node.enter(&red, &bob).await;
    assert_eq!(node.destroy(&red, &olga, Some("olga")).await, Ok(()));
    for member in [&olga, &bob] {
        assert_eq!(node.say_as_member(&red, member, "still here?").await, None);
        assert_eq!(node.leave(&red, member).await, None, "there is nothing to leave");
    }
    let kinds = async |node: &mut Node| {
        let heard = node.hears(&red).await;
        (heard.event.actor, heard.event.kind)
    };
    assert_eq!(kinds(&mut node).await, (olga.clone(), EventKind::Joined));
    assert_eq!(kinds(&mut node).await, (bob, EventKind::Joined));
    let destroyed = (olga.clone(), EventKind::Destroyed { room: red.clone() });
    assert_eq!(kinds(&mut node).await, destroyed);
    let history = node.backend.broker.history(&red).await.unwrap();
    let last = history.last().unwrap();
    assert_eq!((last.position.offset, &last.event.actor, &last.event.kind), (3, &destroyed.0, &destroyed.1));
}

async fn a_destroyed_room_leaves_nothing_but_its_history(node: Node) {
    let red = room("red");
    let (olga, gus) = (actor(1, "olga"), actor(2, "gus"));
    node.create(&red, &owned(AccessType::Permission)).await;
    node.appoint(&red, "olga", "adam", true).await.unwrap();
    node.knock(&red, &actor(3, "mia"), &member_of("mia")).await.unwrap_err();
    node.decide(&red, "olga", &Addressee::Nickname(nickname("mia")), true).await.unwrap();
    node.knock(&red, &gus, &Ticket::default()).await.unwrap_err();
    assert_eq!(node.destroy(&red, &olga, Some("olga")).await, Ok(()));
    assert_eq!(node.view(&red).await, None);
    assert_eq!(node.listed(None, 10).await, [] as [&str; 0]);
    assert_eq!(node.create(&red, &owned(AccessType::Permission)).await, Creation::Done);
    let view = node.view(&red).await.unwrap();
    assert_eq!((view.admins.len(), view.applicants.len(), view.members), (0, 0, 1));
    let again = node.knock(&red, &actor(3, "mia"), &member_of("mia")).await;
    assert_eq!(again, Err(asked(&["olga"])), "the former life's permission is worth nothing");
    assert_eq!(node.destroy(&red, &olga, Some("olga")).await, Ok(()));
    node.enter(&red, &gus).await;
    assert_eq!(node.view(&red).await, None, "whoever comes next makes a room of the plain kind");
}

async fn a_kept_room_stays_when_everybody_is_gone(node: Node) {
    let red = room("red");
    let alice = actor(1, "alice");
    node.create(&red, &plain()).await;
    node.enter(&red, &alice).await;
    node.leave(&red, &alice).await;
    // Of these the store remembers only ten, the quietest give way.
    for number in 0..20 {
        node.clock.advance(1);
        node.say(&room(&format!("r{number}")), &alice, "1").await;
    }
    node.clock.advance(3_000_000);
    node.backend.presence.sweep().await.unwrap();
    node.clock.advance(3_000_000);
    node.backend.presence.renew().await.unwrap();
    node.backend.presence.sweep().await.unwrap();
    assert_eq!(node.view(&red).await.map(|view| view.members), Some(0));
    assert_eq!(node.enter(&red, &alice).await.position.offset, 3, "its stream goes on");
}

async fn a_password_room_lets_in_who_proves_its_present_password(node: Node) {
    let red = room("red");
    let bob = actor(2, "bob");
    node.create(&red, &owned(AccessType::Password)).await;
    assert_eq!(node.knock(&red, &bob, &Ticket::default()).await, Err(password_asked()));
    assert_eq!(node.knock(&red, &bob, &proving("$other")).await, Err(password_asked()));
    assert_eq!(node.knock(&red, &bob, &member_of("bob")).await, Err(password_asked()), "an account is not enough");
    assert_eq!(node.backend.presence.members(&red).await, Ok(1), "its owner");
    let changed = RoomChange { access: Some((AccessType::Password, Some("$new".into()))), ..RoomChange::default() };
    node.change(&red, "olga", changed).await.unwrap();
    let outdated = node.knock(&red, &bob, &proving("$hash")).await;
    assert_eq!(outdated, Err(Denial::Password { hash: "$new".into() }), "the password was changed meanwhile");
    assert_eq!(node.knock(&red, &bob, &proving("$new")).await.unwrap().members, 2);
    let opened = RoomChange { access: Some((AccessType::Public, None)), ..RoomChange::default() };
    node.change(&red, "olga", opened).await.unwrap();
    assert_eq!(node.knock(&red, &actor(3, "carol"), &Ticket::default()).await.unwrap().members, 3);
}

async fn a_permission_room_has_its_owner_and_admins_told_once(node: Node) {
    let red = room("red");
    node.create(&red, &owned(AccessType::Permission)).await;
    node.appoint(&red, "olga", "adam", true).await.unwrap();
    let nameless = Actor { session: SessionId::from_u128(7), nickname: None };
    for (who, ticket) in [
        (actor(2, "gus"), Ticket::default()),
        (actor(3, "mia"), member_of("mia")),
        (nameless.clone(), Ticket::default()),
    ] {
        assert_eq!(node.knock(&red, &who, &ticket).await, Err(asked(&["olga", "adam"])));
        assert_eq!(node.knock(&red, &who, &ticket).await, Err(asked(&[])), "they were told");
    }
    let guest = |session| PersonKey::Guest(SessionId::from_u128(session));
    let expected = [
        (PersonKey::Account(nickname("mia")), "mia".to_owned()),
        (guest(2), "gus".to_owned()),
        (guest(7), nameless.session.to_string()),
    ];
    let waiting: Vec<_> = node.applicants(&red).await.into_iter().map(who).collect();
    assert_eq!(waiting, expected);
    assert_eq!(node.backend.presence.members(&red).await, Ok(1), "its owner");
    assert_eq!(offsets(&node.backend.broker.history(&red).await.unwrap()), [1], "adam's appointment and nothing else");
}

async fn who_is_approved_is_let_in(node: Node) {
    let red = room("red");
    let (gus, mia) = (actor(2, "gus"), actor(3, "mia"));
    node.create(&red, &owned(AccessType::Permission)).await;
    node.appoint(&red, "olga", "adam", true).await.unwrap();
    node.knock(&red, &gus, &Ticket::default()).await.unwrap_err();
    node.knock(&red, &mia, &member_of("mia")).await.unwrap_err();
    let by_session = node.decide(&red, "olga", &Addressee::Session(gus.session), true).await.unwrap();
    assert_eq!(who(by_session), (PersonKey::Guest(gus.session), "gus".to_owned()));
    let by_name = node.decide(&red, "adam", &Addressee::Nickname(nickname("mia")), true).await.unwrap();
    assert_eq!(who(by_name), (PersonKey::Account(nickname("mia")), "mia".to_owned()));
    assert_eq!(node.applicants(&red).await, []);
    assert_eq!(node.knock(&red, &gus, &Ticket::default()).await.unwrap().members, 2);
    let on_another_session = actor(4, "mia");
    assert_eq!(node.knock(&red, &on_another_session, &member_of("mia")).await.unwrap().members, 3);
    let namesake = node.knock(&red, &actor(5, "gus"), &Ticket::default()).await;
    assert_eq!(namesake, Err(asked(&["olga", "adam"])), "a guest is the session, not the name");
}

async fn who_is_rejected_may_ask_again(node: Node) {
    let red = room("red");
    let gus = actor(2, "gus");
    node.create(&red, &owned(AccessType::Permission)).await;
    node.knock(&red, &gus, &Ticket::default()).await.unwrap_err();
    let rejected = node.decide(&red, "olga", &Addressee::Nickname(nickname("gus")), false).await.unwrap();
    assert_eq!(rejected.key, PersonKey::Guest(gus.session));
    assert_eq!(node.applicants(&red).await, []);
    assert_eq!(node.knock(&red, &gus, &Ticket::default()).await, Err(asked(&["olga"])));
}

async fn a_decision_is_for_the_owner_and_the_admins_about_somebody_who_asked(node: Node) {
    let red = room("red");
    let gus = actor(2, "gus");
    let named = Addressee::Nickname(nickname("gus"));
    assert_eq!(node.decide(&red, "olga", &named, true).await, Err(RoomFault::Unknown));
    node.create(&red, &owned(AccessType::Permission)).await;
    assert_eq!(node.decide(&red, "olga", &named, true).await, Err(RoomFault::NoApplicant));
    assert_eq!(node.decide(&red, "olga", &Addressee::Session(gus.session), true).await, Err(RoomFault::NoApplicant));
    node.knock(&red, &gus, &Ticket::default()).await.unwrap_err();
    assert_eq!(node.decide(&red, "gus", &named, true).await, Err(RoomFault::Forbidden));
    assert_eq!(node.applicants(&red).await.len(), 1, "gus waits as before");
    node.decide(&red, "olga", &named, true).await.unwrap();
    assert_eq!(node.decide(&red, "olga", &named, false).await, Err(RoomFault::NoApplicant), "that is decided");
}

async fn a_guests_permission_ends_with_its_leaving_and_an_accounts_stays(node: Node) {
    let red = room("red");
    let (gus, mia) = (actor(2, "gus"), actor(3, "mia"));
    node.create(&red, &owned(AccessType::Permission)).await;
    for (who, ticket) in [(&gus, Ticket::default()), (&mia, member_of("mia"))] {
        node.knock(&red, who, &ticket).await.unwrap_err();
        node.decide(&red, "olga", &Addressee::Nickname(who.nickname.clone().unwrap()), true).await.unwrap();
        node.knock(&red, who, &ticket).await.unwrap();
        assert!(node.leave(&red, who).await.is_some());
    }
    assert_eq!(node.knock(&red, &gus, &Ticket::default()).await, Err(asked(&["olga"])));
    assert!(node.knock(&red, &mia, &member_of("mia")).await.is_ok());
    // One that waits leaves, too, and waits no more.
    assert_eq!(node.applicants(&red).await.len(), 1);
    assert_eq!(node.leave(&red, &gus).await, None);
    assert_eq!(node.applicants(&red).await, []);
    assert_eq!(node.knock(&red, &gus, &Ticket::default()).await, Err(asked(&["olga"])), "it asks anew");
    node.decide(&red, "olga", &Addressee::Session(gus.session), true).await.unwrap();
    node.leave(&red, &gus).await;
    assert!(node.knock(&red, &gus, &Ticket::default()).await.is_err(), "a permission not made use of ends as well");
}

async fn only_so_many_wait_for_permission(node: Node) {
    let red = room("red");
    node.create(&red, &owned(AccessType::Permission)).await;
    let guests: Vec<Actor> = (1..=1_000).map(|session| actor(session, "gus")).collect();
    let nothing = Ticket::default();
    let answers = join_all(guests.iter().map(|guest| node.knock(&red, guest, &nothing))).await;
    assert!(answers.iter().all(|answer| *answer == Err(asked(&["olga"]))));
    assert_eq!(node.knock(&red, &actor(1_001, "gus"), &Ticket::default()).await, Err(Denial::TooMany));
    assert_eq!(node.knock(&red, &guests[0], &Ticket::default()).await, Err(asked(&[])), "who waits goes on waiting");
    node.decide(&red, "olga", &Addressee::Session(guests[0].session), false).await.unwrap();
    assert_eq!(node.knock(&red, &actor(1_001, "gus"), &Ticket::default()).await, Err(asked(&["olga"])));
}

async fn the_owner_and_the_admins_pass_every_door(node: Node) {
    for (name, access) in [("red", AccessType::Password), ("blue", AccessType::Permission)] {
        let id = room(name);
        node.create(&id, &owned(access)).await;
        node.appoint(&id, "olga", "adam", true).await.unwrap();
        for (session, account) in [(1, "olga"), (2, "adam")] {
            let who = actor(session, account);
            assert!(node.knock(&id, &who, &Ticket::default()).await.is_err(), "the name alone is not enough");
            assert!(node.knock(&id, &who, &member_of(account)).await.is_ok(), "{account} into {name}");
        }
        assert!(node.knock(&id, &actor(3, "eve"), &member_of("eve")).await.is_err());
    }
}

async fn a_join_that_must_find_a_room_makes_none(node: Node) {
    let (red, blue) = (room("red"), room("blue"));
    let must_exist = Ticket { must_exist: true, ..Ticket::default() };
    let (alice, bob) = (actor(1, "alice"), actor(2, "bob"));
    assert_eq!(node.knock(&red, &alice, &must_exist).await, Err(Denial::Unknown));
    assert_eq!(node.backend.broker.history(&red).await, Ok(Vec::new()));
    node.create(&red, &plain()).await;
    assert_eq!(node.knock(&red, &alice, &must_exist).await.unwrap().members, 1);
    node.enter(&blue, &alice).await;
    assert_eq!(node.knock(&blue, &bob, &must_exist).await.unwrap().members, 2, "one that members made will do");
    node.leave(&blue, &alice).await;
    node.leave(&blue, &bob).await;
    assert_eq!(node.knock(&blue, &bob, &must_exist).await, Err(Denial::Unknown), "its history is no room");
}

async fn who_is_in_passes_every_door(node: Node) {
    let red = room("red");
    let bob = actor(2, "bob");
    node.create(&red, &owned(AccessType::Public)).await;
    let entered = node.knock(&red, &bob, &Ticket::default()).await.unwrap();
    for access in [(AccessType::Password, Some("$hash".to_owned())), (AccessType::Permission, None)] {
        let change = RoomChange { access: Some(access), ..RoomChange::default() };
        node.change(&red, "olga", change).await.unwrap();
        let again = node.knock(&red, &bob, &Ticket::default()).await.unwrap();
        assert_eq!((again.members, again.repeated), (entered.members, true));
        assert_eq!(again.position, top(&node, &red).await, "the room's present one");
    }
    assert_eq!(node.applicants(&red).await, []);
    node.leave(&red, &bob).await;
    assert_eq!(node.knock(&red, &bob, &Ticket::default()).await, Err(asked(&["olga"])), "once out it asks like all");
}

async fn who_is_restored_passes_every_door(node: Node) {
    for (name, access) in [("red", AccessType::Password), ("blue", AccessType::Permission)] {
        let id = room(name);
        node.create(&id, &owned(access)).await;
        let restored = node.restore(&id, &actor(2, "bob"), None).await;
        assert_eq!((restored.members, restored.repeated), (2, true));
        assert!(node.say_as_member(&id, &actor(2, "bob"), "back again").await.is_some());
    }
}

async fn admins_are_appointed_and_dismissed_by_the_owner(node: Node) {
    let red = room("red");
    assert_eq!(node.appoint(&red, "olga", "adam", true).await, Err(RoomFault::Unknown));
    node.create(&red, &owned(AccessType::Public)).await;
    assert_eq!(node.appoint(&red, "eve", "eve", true).await, Err(RoomFault::Forbidden));
    for account in ["zoe", "adam", "adam"] {
        assert_eq!(node.appoint(&red, "olga", account, true).await, Ok(()), "repeating it is harmless");
    }
    assert_eq!(node.appoint(&red, "adam", "eve", true).await, Err(RoomFault::Forbidden), "an admin is no owner");
    let view = node.view(&red).await.unwrap();
    assert_eq!(view.admins, [nickname("adam"), nickname("zoe")]);
    assert!(
        view.is_run_by(&nickname("adam")) && view.is_run_by(&nickname("olga")) && !view.is_run_by(&nickname("eve"))
    );
    for account in ["adam", "nobody"] {
        assert_eq!(node.appoint(&red, "olga", account, false).await, Ok(()));
    }
    assert_eq!(node.view(&red).await.unwrap().admins, [nickname("zoe")]);
    let change = RoomChange { nickname: Some("mine".into()), ..RoomChange::default() };
    assert_eq!(node.change(&red, "adam", change).await, Err(RoomFault::Forbidden));
}

async fn a_room_has_only_so_many_admins(node: Node) {
    let red = room("red");
    node.create(&red, &owned(AccessType::Public)).await;
    let names: Vec<String> = (0..100).map(|number| format!("admin {number}")).collect();
    let appointed = join_all(names.iter().map(|name| node.appoint(&red, "olga", name, true))).await;
    assert!(appointed.iter().all(Result::is_ok));
    assert_eq!(node.appoint(&red, "olga", "one more", true).await, Err(RoomFault::TooMany));
    assert_eq!(node.appoint(&red, "olga", "admin 0", true).await, Ok(()), "it is one already");
    node.appoint(&red, "olga", "admin 0", false).await.unwrap();
    assert_eq!(node.appoint(&red, "olga", "one more", true).await, Ok(()));
}

async fn kept_rooms_are_listed_in_the_order_of_their_ids(node: Node) {
    assert_eq!(node.listed(None, 10).await, [] as [&str; 0]);
    for name in ["b", "B", "é", "a b", "a"] {
        node.create(&room(name), &RoomRecord { nickname: format!("the {name}"), ..plain() }).await;
    }
    node.enter(&room("made by members"), &actor(1, "alice")).await;
    node.enter(&room("a b"), &actor(1, "alice")).await;
    let expected = ["B", "a", "a b", "b", "é"];
    assert_eq!(node.listed(None, 10).await, expected, "those alone that are kept, by their bytes");
    let rooms = node.backend.rooms.list(None, 10).await.unwrap();
    assert_eq!(rooms.iter().map(|summary| summary.members).collect::<Vec<_>>(), [0, 0, 1, 0, 0]);
    assert_eq!((rooms[4].nickname.as_str(), rooms[4].access), ("the é", AccessType::Public));
    let change = RoomChange { description: Some("new".into()), ..RoomChange::default() };
    node.create(&room("c"), &plain()).await;
    assert_eq!(node.change(&room("b"), "olga", change).await, Err(RoomFault::Forbidden));
    node.destroy(&room("a"), &actor(1, "alice"), None).await.unwrap();
    assert_eq!(node.listed(None, 10).await, ["B", "a b", "b", "é"]);
}

async fn a_list_is_read_in_pages(node: Node) {
    for name in ["a", "b", "c", "d"] {
        node.create(&room(name), &plain()).await;
    }
    assert_eq!(node.listed(None, 2).await, ["a", "b"]);
    assert_eq!(node.listed(Some("b"), 2).await, ["c", "d"]);
    assert_eq!(node.listed(Some("d"), 2).await, [] as [&str; 0]);
    assert_eq!(node.listed(Some("bb"), 1).await, ["c"], "after a room that is not there, too");
    assert_eq!(node.listed(None, 0).await, [] as [&str; 0]);
}

async fn a_member_publishes_only_where_it_is_in(mut node: Node) {
    let red = room("red");
    node.subscribe(&red).await;
    let (alice, eve) = (actor(1, "alice"), actor(2, "eve"));
    assert_eq!(node.say_as_member(&red, &alice, "too early").await, None);
    let entered = node.enter(&red, &alice).await.position;
    assert_eq!(node.say_as_member(&red, &eve, "not in").await, None);
    let said = node.say_as_member(&red, &alice, "in").await;
    assert_eq!(said, Some(Position { offset: 2, ..entered }));
    assert_eq!(node.say(&red, &eve, "from outside").await.offset, 3, "the service may publish anywhere");
    node.leave(&red, &alice).await;
    assert_eq!(node.say_as_member(&red, &alice, "too late").await, None);
    let heard = [node.hears(&red).await, node.hears(&red).await, node.hears(&red).await, node.hears(&red).await];
    assert_eq!((text(&heard[1]), text(&heard[2])), ("in", "from outside"));
    assert_eq!((&heard[0].event.kind, &heard[3].event.kind), (&EventKind::Joined, &EventKind::Left));
    assert_eq!(offsets(&node.backend.broker.history(&red).await.unwrap()), [1, 2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_store_keeps_rooms_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (red, blue) = (room("red"), room("blue"));
    let (gus, mia) = (actor(2, "gus"), actor(3, "mia"));
    let node = embedded(Some(folder.path()));
    let record = RoomRecord { nickname: "Red".into(), description: "kept".into(), ..owned(AccessType::Permission) };
    node.create(&red, &record).await;
    node.create(&blue, &owned(AccessType::Password)).await;
    node.create(&room("gone"), &plain()).await;
    node.destroy(&room("gone"), &gus, None).await.unwrap();
    node.appoint(&red, "olga", "adam", true).await.unwrap();
    for (who, ticket) in [(&gus, Ticket::default()), (&mia, member_of("mia"))] {
        node.knock(&red, who, &ticket).await.unwrap_err();
        node.decide(&red, "adam", &Addressee::Nickname(who.nickname.clone().unwrap()), true).await.unwrap();
    }
    let position = node.knock(&red, &mia, &member_of("mia")).await.unwrap().position;
    node.knock(&red, &actor(4, "gerd"), &Ticket::default()).await.unwrap_err();
    node.knock(&red, &actor(5, "moe"), &member_of("moe")).await.unwrap_err();
    let waiting = node.applicants(&red).await;
    let moe = waiting.into_iter().find(|applicant| applicant.identifier == "moe").expect("moe waits");
    node.backend.presence.retire().await.unwrap();
    drop(node);

    let node = embedded(Some(folder.path()));
    assert_eq!(node.listed(None, 10).await, ["blue", "red"]);
    assert_eq!(node.view(&blue).await.map(|view| view.record), Some(owned(AccessType::Password)));
    let view = RoomView { record, admins: vec![nickname("adam")], applicants: vec![moe], members: 1 };
    assert_eq!(node.view(&red).await, Some(view), "guests are gone, and so is what they asked for");
    let entered = node.knock(&red, &mia, &member_of("mia")).await.unwrap();
    assert_eq!(entered.position, Position { offset: position.offset + 1, ..position });
    assert_eq!(node.knock(&red, &gus, &Ticket::default()).await, Err(asked(&["olga", "adam"])));
    assert_eq!(node.knock(&red, &actor(5, "moe"), &member_of("moe")).await, Err(asked(&[])), "moe waits since then");
    // Kept rooms are not among those that age.
    node.clock.advance(3_700_000);
    node.backend.presence.sweep().await.unwrap();
    assert_eq!(node.listed(None, 10).await, ["blue", "red"]);
}

/// Every room of a list that is longer than any page, read in pages.
async fn a_long_list_is_complete(node: &Node) {
    let names: Vec<String> = (0..1_100).map(|number| format!("room {number:04}")).collect();
    let rooms: Vec<RoomId> = names.iter().map(|name| room(name)).collect();
    for some in rooms.chunks(100) {
        let record = plain();
        let created = join_all(some.iter().map(|id| node.create(id, &record))).await;
        assert!(created.iter().all(|creation| *creation == Creation::Done));
    }
    let mut listed: Vec<String> = Vec::new();
    loop {
        let page = node.listed(listed.last().map(String::as_str), 100).await;
        if page.is_empty() {
            break;
        }
        assert_eq!(page.len(), 100);
        listed.extend(page);
    }
    assert_eq!(listed, names);
    assert_eq!(node.listed(None, 2_000).await, names);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_rooms_are_listed_from_the_embedded_store() {
    a_long_list_is_complete(&embedded_with(None, 2_000)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_rooms_are_listed_from_redis_without_a_scan() {
    let server = Server::start();
    let node = redis_with(&server, |settings| settings.kept_rooms = 2_000).await;
    a_long_list_is_complete(&node).await;
    let Reply::Text(stats) = server.query(&["INFO", "commandstats"]) else { panic!("the statistics are a text") };
    assert!(stats.contains("cmdstat_zrangebylex:"), "{stats}");
    for slow in ["keys", "scan", "sscan", "hscan", "zscan"] {
        assert!(!stats.contains(&format!("cmdstat_{slow}:")), "{slow} was called: {stats}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_room_on_redis_has_no_end_of_its_own() {
    let server = Server::start();
    let node = redis(&server).await;
    let red = room("red");
    let alice = actor(1, "alice");
    let lives_ms = |key: &str| server.number(&["PTTL", key]);
    let (meta, log) = ("t:room:{red}", "t:room:{red}:log");
    node.enter(&red, &alice).await;
    node.leave(&red, &alice).await;
    assert!(lives_ms(meta) > 0 && lives_ms(log) > 0, "an ordinary room goes with its last member");
    node.create(&red, &owned(AccessType::Public)).await;
    assert_eq!((lives_ms(meta), lives_ms(log)), (-1, -1));
    node.enter(&red, &alice).await;
    node.leave(&red, &alice).await;
    assert_eq!((lives_ms(meta), lives_ms(log)), (-1, -1), "a kept one does not");
    node.appoint(&red, "olga", "adam", true).await.unwrap();
    node.enter(&red, &alice).await;
    node.destroy(&red, &alice, Some("olga")).await.unwrap();
    assert!(lives_ms(meta) > 0 && lives_ms(log) > 0, "until it is destroyed");
    let mut fields = server.list(&["HKEYS", meta]);
    fields.sort();
    assert_eq!(fields.len(), 4, "{fields:?}");
    assert!(fields[1].starts_with("on:"), "{fields:?}");
    assert_eq!([&fields[0], &fields[2], &fields[3]], ["epoch", "run", "top"], "of the record nothing is left");
    for part in ["members", "who", "roll", "admins", "admitted", "applicants"] {
        assert_eq!(server.number(&["EXISTS", &format!("{meta}:{part}")]), 0, "{part}");
    }
    assert_eq!(server.number(&["EXISTS", "t:rooms"]), 0);
}

/// What a node noted under its lease is what a sweep would look at: no more than what may have to be released.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_denied_is_not_noted_under_the_lease() {
    let server = Server::start();
    let node = redis(&server).await;
    let notes = || {
        let lease = server.list(&["SMEMBERS", "t:nodes"]).concat();
        server.number(&["SCARD", &format!("t:node:{{{lease}}}:claims")])
    };
    let gus = actor(2, "gus");
    node.create(&room("red"), &owned(AccessType::Password)).await;
    node.create(&room("blue"), &owned(AccessType::Permission)).await;
    node.knock(&room("red"), &gus, &Ticket::default()).await.unwrap_err();
    node.knock(&room("nowhere"), &gus, &Ticket { must_exist: true, ..Ticket::default() }).await.unwrap_err();
    assert_eq!(notes(), 0);
    node.knock(&room("blue"), &gus, &Ticket::default()).await.unwrap_err();
    assert_eq!(notes(), 1, "who waits is withdrawn by the sweep, if the node dies");
    node.leave(&room("blue"), &gus).await;
    assert_eq!(notes(), 0);
    node.knock(&room("red"), &gus, &proving("$hash")).await.unwrap();
    node.destroy(&room("red"), &gus, Some("olga")).await.unwrap();
    node.leave(&room("red"), &gus).await;
    assert_eq!(notes(), 0, "a former member's leaving ends its note");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_crashes_leave_in_the_list_on_redis_is_passed_over_and_mended() {
    let server = Server::start();
    let node = redis(&server).await;
    node.create(&room("red"), &plain()).await;
    // Destroyed and not taken off the list yet.
    for ghost in ["a", "b", "c"] {
        server.query(&["ZADD", "t:rooms", "0", ghost]);
    }
    assert_eq!(node.listed(None, 1).await, ["red"]);
    assert_eq!(node.listed(Some("a"), 10).await, ["red"]);
    assert_eq!(node.destroy(&room("a"), &actor(1, "alice"), None).await, Err(RoomFault::Unknown));
    assert_eq!(server.list(&["ZRANGE", "t:rooms", "0", "-1"]), ["b", "c", "red"], "whoever tries again settles it");
    // Created and not put onto it yet.
    server.query(&["ZREM", "t:rooms", "red"]);
    assert_eq!(node.listed(None, 10).await, [] as [&str; 0]);
    assert_eq!(node.create(&room("red"), &plain()).await, Creation::Exists);
    assert_eq!(node.listed(None, 10).await, ["red"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_on_redis_agrees_with_the_rooms_whoever_was_quicker() {
    /// Two creations and two destructions of each room.
    const TURNS: u128 = 2_000;
    let server = Server::start();
    let nodes = [
        redis_with(&server, |settings| settings.kept_rooms = 1_000).await,
        redis_with(&server, |settings| settings.kept_rooms = 1_000).await,
    ];
    let mut turns = tokio::task::JoinSet::new();
    for turn in 0..TURNS {
        let rooms = nodes[(turn % 2) as usize].backend.rooms.clone();
        turns.spawn(async move {
            let id = room(&format!("r{:03}", turn / 4));
            if turn / 2 % 2 == 0 {
                rooms.create(&id, &RoomRecord::default()).await.unwrap();
            } else {
                // It may not be there yet, or no more.
                let _ = rooms.destroy(&id, &actor(turn, "eve"), None).await.unwrap();
            }
        });
    }
    turns.join_all().await;
    let mut kept = Vec::new();
    for number in 0..TURNS / 4 {
        let name = format!("r{number:03}");
        if nodes[0].view(&room(&name)).await.is_some() {
            kept.push(name);
        }
    }
    assert_eq!(nodes[1].listed(None, 1_000).await, kept);
    assert_eq!(server.list(&["ZRANGE", "t:rooms", "0", "-1"]), kept, "with nothing in it to be passed over");
}
