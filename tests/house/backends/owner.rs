//! A room has exactly one owner at all times, whatever its members do at once on several nodes.

use std::collections::BTreeSet;

use crosstalk::backend::Resigned;
use crosstalk::chat::RoomView;

use super::members::{account, asking};
use super::*;

/// Rooms that are looked at one after the other, the people in each, and what these do at once.
const ROUNDS: usize = 12;
const PEOPLE: [&str; 6] = ["olga", "ann", "ben", "cleo", "dan", "eve"];
const HANDS: u64 = 6;
const DEEDS: usize = 12;
/// More events than a round has.
const ALL_EVENTS: u64 = 10_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_the_embedded_backend_a_room_has_one_owner_at_all_times() {
    let node = embedded_keeping(None, KEPT_ROOMS, ALL_EVENTS);
    there_is_one_owner([&node, &node]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_two_nodes_a_room_has_one_owner_at_all_times() {
    let server = Server::start();
    let keeping = |settings: &mut Settings| settings.history_count = ALL_EVENTS;
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
                    deed(&backend, &id, &chance).await;
                    let view = backend.rooms.view(&id).await.unwrap();
                    assert!(view.is_none_or(|view| is_owned(&view)), "somebody owns it while it is there");
                }
            });
        }
        hands.join_all().await;
        let history = nodes[1].backend.broker.history(&id).await.unwrap();
        assert!(
            history.iter().map(|envelope| envelope.position.offset).eq(1..=history.len() as u64),
            "nothing is lost"
        );
        let story = history.iter().fold(Story::begun(), |story, envelope| story.after(&envelope.event));
        for node in nodes {
            story.ends_as(node, &id).await;
        }
        // Makes place for the next.
        if let Some(owner) = story.owner {
            nodes[0].backend.rooms.destroy(&id, &account(owner.as_str()), Some(&owner)).await.unwrap().unwrap();
        }
    }
}

fn is_owned(view: &RoomView) -> bool {
    let RoomView { record, admins, .. } = view;
    record.owner.as_ref().is_some_and(|owner| !admins.contains(owner))
}

/// Somebody does something at random; most of it is refused.
async fn deed(backend: &Backend, id: &RoomId, chance: &Entropy) {
    let bits = chance.bits();
    let pick = |shift: u32| PEOPLE[(bits >> shift) as usize % PEOPLE.len()];
    let (one, other) = (account(pick(8)), nickname(pick(16)));
    let name = one.nickname.clone().expect("accounts have names");
    let members = &backend.members;
    match bits % 16 {
        0..=2 => {
            let resigned = members.resign(id, &one, true).await.unwrap();
            assert!(!matches!(resigned, Ok(Resigned::Handed { to }) if to == name), "to itself");
        }
        3 => assert!(members.resign(id, &one, false).await.is_ok()),
        4..=7 => assert!(members.hand_over(id, &one, &other).await.is_ok()),
        8..=9 => assert!(members.remove(id, &one, &Actor::account(other)).await.is_ok()),
        10..=11 => assert!(backend.rooms.appoint(id, &one, &other, bits >> 24 & 1 == 0, true).await.is_ok()),
        _ => {
            let ticket = Ticket { must_exist: true, ..asking(name.as_str(), 1) };
            assert!(members.enrol(id, &one, &ticket).await.is_ok());
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

    /// The room is what its events told.
    async fn ends_as(&self, node: &Node, id: &RoomId) {
        let view = node.backend.rooms.view(id).await.unwrap();
        let Some(RoomView { record, admins, members, .. }) = view else {
            assert_eq!((&self.owner, node.roll_page(id, 0, 10).await), (&None, None));
            return;
        };
        assert_eq!(record.owner, self.owner);
        assert_eq!(admins, self.admins.iter().cloned().collect::<Vec<_>>());
        let role = |name: &Nickname| match () {
            () if self.owner.as_ref() == Some(name) => "Owner",
            () if self.admins.contains(name) => "Admin",
            () => "Member",
        };
        let roll: Vec<String> = self.members.iter().map(|name| format!("{name} {}", role(name))).collect();
        assert_eq!((node.roll(id).await, members), (roll, self.members.len() as u64));
    }
}
