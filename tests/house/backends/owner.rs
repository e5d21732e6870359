//! A room has exactly one owner at all times, whatever its members do at once on several nodes.

use std::collections::BTreeSet;

use crosstalk::backend::Resigned;
use crosstalk::chat::RoomView;

use super::members::{account, asking, names};
use super::*;

/// Rooms that are looked at one after the other, the people in each, and what these do at once.
const ROUNDS: usize = 12;
const PEOPLE: [&str; 6] = ["olga", "ann", "ben", "cleo", "dan", "eve"];
const HANDS: u64 = 6;
const DEEDS: usize = 25;
/// More events than a round has.
const ALL_EVENTS: u64 = 10_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_the_embedded_backend_a_room_has_one_owner_at_all_times() {
    let node = embedded_keeping(None, 1_000, ALL_EVENTS);
    there_is_one_owner([&node, &node]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_two_nodes_a_room_has_one_owner_at_all_times() {
    let server = Server::start();
    let keeping = |settings: &mut Settings| (settings.history_count, settings.kept_rooms) = (ALL_EVENTS, 1_000);
    let nodes = [redis_with(&server, keeping).await, redis_with(&server, keeping).await];
    there_is_one_owner([&nodes[0], &nodes[1]]).await;
}

/// The seed is printed, and with it the rounds can be had again, but for what the nodes do at once.
async fn there_is_one_owner(nodes: [&Node; 2]) {
    let seed = Entropy::system().bits() as u64;
    println!("seed: {seed}");
    for round in 0..ROUNDS {
        let id = room(&format!("r{round}"));
        nodes[0].room_of(&id, &PEOPLE[1..4]).await;
        let mut hands = tokio::task::JoinSet::new();
        for hand in 0..HANDS {
            let (backend, id) = (nodes[hand as usize % 2].backend.clone(), id.clone());
            let chance = Entropy::seeded(seed.wrapping_add(round as u64 * HANDS + hand));
            hands.spawn(async move {
                for _ in 0..DEEDS {
                    let (doing, bits) = (tokio::spawn(deed(backend.clone(), id.clone(), chance.bits())), chance.bits());
                    if bits & 7 == 0 {
                        break_off(doing, bits >> 8 & 31).await;
                    } else {
                        doing.await.unwrap();
                    }
                    let view = backend.rooms.view(&id).await.unwrap();
                    assert!(view.is_none_or(|view| is_owned(&view)), "somebody owns it while it is there");
                }
            });
        }
        while let Some(hand) = hands.join_next().await {
            hand.unwrap();
        }
        for node in nodes {
            Told::of(node, &id).await.is_true();
        }
        make_place(nodes[1], &id).await;
    }
}

/// Breaks off what is being done, somewhere in its midst: what a crash of its node does.
async fn break_off(doing: tokio::task::JoinHandle<()>, turns: u128) {
    for _ in 0..turns {
        tokio::task::yield_now().await;
    }
    doing.abort();
    match doing.await {
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        _ => {}
    }
}

/// Destroys the room, so that there is place for the next. What was broken off may make another its owner meanwhile.
async fn make_place(node: &Node, id: &RoomId) {
    while let Some(view) = node.backend.rooms.view(id).await.unwrap() {
        let owner = view.record.owner.expect("somebody owns it");
        let destroyed = node.backend.rooms.destroy(id, &account(owner.as_str()), Some(&owner)).await;
        assert!(destroyed.is_ok());
    }
}

fn is_owned(view: &RoomView) -> bool {
    let RoomView { record, admins, .. } = view;
    record.owner.as_ref().is_some_and(|owner| !admins.contains(owner))
}

/// Somebody does something at random. Where that is the owner as it was a moment ago, most of it is allowed, if nobody is
/// quicker; otherwise most is refused.
async fn deed(backend: Backend, id: RoomId, bits: u128) {
    let id = &id;
    let pick = |shift: u32| nickname(PEOPLE[(bits >> shift) as usize % PEOPLE.len()]);
    let owner = backend.rooms.view(id).await.unwrap().and_then(|view| view.record.owner);
    let name = owner.filter(|_| bits >> 32 & 3 != 0).unwrap_or_else(|| pick(8));
    let (one, other) = (Actor::account(name.clone()), pick(16));
    let members = &backend.members;
    match bits % 16 {
        0 => {
            let resigned = members.resign(id, &one, true).await.unwrap();
            assert!(!matches!(resigned, Ok(Resigned::Handed { to }) if to == name), "to itself");
        }
        1 => assert!(members.resign(id, &one, false).await.is_ok()),
        2..=4 => assert!(members.hand_over(id, &one, &other).await.is_ok()),
        5..=7 => assert!(members.remove(id, &one, &Actor::account(other)).await.is_ok()),
        8..=11 => assert!(backend.rooms.appoint(id, &one, &other, bits >> 24 & 1 == 0, true).await.is_ok()),
        _ => {
            let ticket = Ticket { must_exist: true, ..asking(other.as_str(), 1) };
            assert!(members.enrol(id, &Actor::account(other), &ticket).await.is_ok());
        }
    }
}

/// What the events tell of a room.
struct Story {
    /// Nobody's when it is destroyed.
    owner: Option<Nickname>,
    admins: BTreeSet<Nickname>,
    /// In the order in which they came.
    members: Vec<Nickname>,
}

impl Story {
    fn begun() -> Self {
        let olga = nickname("olga");
        Self { owner: Some(olga.clone()), admins: BTreeSet::new(), members: vec![olga] }
    }

    fn after(mut self, event: &Event) -> Self {
        let by = event.actor.nickname.clone().expect("accounts have names");
        let owns = self.owner.as_ref() == Some(&by);
        assert!(self.owner.is_some(), "nothing is told after the end: {event:?}");
        match &event.kind {
            EventKind::Joined => {
                assert!(!self.members.contains(&by), "{event:?}");
                self.members.push(by);
            }
            EventKind::Left => {
                assert!(!owns, "an owner leaves nothing behind: {event:?}");
                self.lose(&by);
            }
            EventKind::Removed { who } => {
                let who = who.nickname.clone().expect("accounts have names");
                let runs = owns || (self.admins.contains(&by) && !self.admins.contains(&who));
                assert!(runs && self.owner.as_ref() != Some(&who), "{event:?}");
                self.lose(&who);
            }
            EventKind::Appointed { account, admin } => {
                assert!(owns && self.owner.as_ref() != Some(account), "{event:?}");
                let is_new = if *admin { self.admins.insert(account.clone()) } else { self.admins.remove(account) };
                assert!(is_new, "what is so already is not told: {event:?}");
            }
            EventKind::Handed { to } => {
                assert!(owns && *to != by && self.members.contains(to), "{event:?}");
                self.admins.remove(to);
                self.admins.insert(by);
                self.owner = Some(to.clone());
            }
            EventKind::Destroyed { .. } => {
                assert!(owns && self.members.len() == 1, "{event:?}");
                (self.owner, self.members) = (None, Vec::new());
            }
            other => panic!("nobody did {other:?}"),
        }
        assert!(self.owner.iter().all(|owner| self.members.contains(owner) && !self.admins.contains(owner)));
        self
    }

    fn lose(&mut self, name: &Nickname) {
        assert!(self.members.contains(name), "{name} was in");
        self.members.retain(|member| member != name);
        self.admins.remove(name);
    }
}

/// A room's events, and what it was right after them.
struct Told {
    events: Vec<Envelope>,
    view: Option<RoomView>,
    roll: Option<Vec<String>>,
}

impl Told {
    /// What was broken off may still be done, so it is looked at until nothing happens in between.
    async fn of(node: &Node, id: &RoomId) -> Self {
        loop {
            let events = node.backend.broker.history(id).await.unwrap();
            let view = node.backend.rooms.view(id).await.unwrap();
            let roll = node.roll_page(id, 0, 100).await.map(names);
            if node.backend.broker.history(id).await.unwrap().len() == events.len() {
                return Self { events, view, roll };
            }
        }
    }

    /// The room is what its events tell.
    fn is_true(&self) {
        let offsets = self.events.iter().map(|envelope| envelope.position.offset);
        assert!(offsets.eq(1..=self.events.len() as u64), "nothing is lost");
        let Story { owner, admins, members } =
            self.events.iter().fold(Story::begun(), |story, envelope| story.after(&envelope.event));
        let Some(view) = &self.view else {
            assert_eq!((owner, &self.roll), (None, &None));
            return;
        };
        assert_eq!(view.record.owner, owner);
        assert_eq!(view.admins, admins.iter().cloned().collect::<Vec<_>>());
        assert_eq!(view.members, members.len() as u64);
        let role = |name: &Nickname| match owner.as_ref() == Some(name) {
            true => "Owner",
            false if admins.contains(name) => "Admin",
            false => "Member",
        };
        let roll = members.iter().map(|name| format!("{name} {}", role(name))).collect();
        assert_eq!(self.roll, Some(roll));
    }
}
