//! A room as it should be: what each step of a scenario shows to whom.

use std::collections::{BTreeMap, BTreeSet};

use super::cast::Role::{Keeper, Receiver, Sender};
use super::cast::{AllShown, Cast, Expected, Role, Step};
use super::scenarios::Start;
use super::words::{Act, At, Happening, News, Person, Reason, Sight, Verdict, Why};

pub struct Model {
    pub cast: Cast,
    pub(super) connected: BTreeSet<Role>,
    /// Who hears the room, or will be told of it at the return.
    pub(super) inside: BTreeSet<Role>,
    /// Whose accounts are members for good, in the order in which they became it.
    pub(super) members: Vec<Role>,
    pub(super) owner: Option<Role>,
    pub(super) history: Vec<Happening>,
    /// Roles that asked to be let in, and were not answered yet.
    pub(super) waiting: BTreeSet<Role>,
    pub(super) friends: bool,
    /// Who asked to be a friend.
    pub(super) suitor: Option<Role>,
    /// What is told to those who are away when they come back.
    pub(super) missed: AllShown,
}

impl Model {
    pub fn new(cast: Cast, start: &Start) -> Self {
        let connected = [Sender, Receiver, Keeper].into_iter().filter(|role| !start.away.contains(role)).collect();
        Self {
            cast,
            connected,
            inside: BTreeSet::new(),
            members: Vec::new(),
            owner: None,
            history: Vec::new(),
            waiting: BTreeSet::new(),
            friends: start.friends,
            suitor: None,
            missed: BTreeMap::new(),
        }
    }

    pub fn connected(&self) -> impl Iterator<Item = Role> {
        self.connected.iter().copied()
    }

    /// # Errors
    /// Why the actor's dialect cannot ask for it.
    pub fn perform(&mut self, step: &Step) -> Result<Expected, Reason> {
        let mut shown = BTreeMap::new();
        let mut request = None;
        if !step.act.is_of_connection() {
            let words = self.cast.actor(step.role).words;
            let text = words.request(&step.act, &self.cast.room)?;
            let answers = words.answer(&step.act, &text, step.verdict, &self.at(step.role));
            shown.insert(step.role, answers.into_iter().map(Ok).collect());
            request = Some(text);
        }
        match step.verdict {
            Verdict::Done => self.done(step.role, &step.act, &mut shown),
            Verdict::Refused(Why::MustWait) if self.waiting.insert(step.role) => {
                let who = self.person(step.role);
                self.show(self.owner.unwrap_or(Keeper), &Sight::Asked(&who), &mut shown);
            }
            Verdict::Refused(_) => {}
        }
        Ok(Expected { request, shown })
    }

    fn done(&mut self, role: Role, act: &Act, shown: &mut AllShown) {
        let who = self.person(role);
        match act {
            Act::Create => self.create(role, shown),
            Act::Destroy => self.destroy(shown),
            Act::Join { .. } => self.join(role, shown),
            Act::Leave => self.leave(role, shown),
            Act::Disconnect => self.disconnect(role, shown),
            Act::Arrive => self.arrive(role, shown),
            Act::Say(text) => self.happen(Happening::Said(who, text.clone()), shown),
            Act::Write { to, text } => {
                if let Some(reader) = self.reached(to) {
                    self.show(reader, &Sight::Wrote { from: &who, to, text }, shown);
                }
            }
            Act::Claim(nickname) => {
                if self.reached(nickname).is_none_or(|holder| holder == role) {
                    self.cast.actor_mut(role).person.nickname = Some(nickname.clone());
                }
            }
            Act::Decide { who, approve } => self.decide(who, *approve, shown),
            Act::Change(change) => self.happen(Happening::Changed(change.clone()), shown),
            Act::Appoint(name) | Act::Dismiss(name) => {
                let Some(who) = self.reached(name).map(|role| self.person(role)) else { return };
                self.happen(Happening::Appointed { who, admin: matches!(act, Act::Appoint(_)) }, shown);
            }
            Act::HandOver(name) => {
                self.owner = self.reached(name);
                let Some(to) = self.owner.map(|role| self.person(role)) else { return };
                self.happen(Happening::Handed { to }, shown);
            }
            Act::Remove(name) => {
                let Some(out) = self.reached(name) else { return };
                self.happen(Happening::Removed { who: self.person(out), by: who }, shown);
                self.put_out(out);
            }
            Act::Delete => self.delete(role, shown),
            Act::Befriend(name) => {
                let Some(other) = self.reached(name) else { return };
                self.suitor = Some(role);
                self.show(other, &Sight::FriendRequest(&who), shown);
            }
            Act::Settle { approve } => {
                let Some(suitor) = self.suitor.take() else { return };
                self.friends = *approve;
                self.show(suitor, &Sight::FriendDecided { by: &who, approved: *approve }, shown);
            }
            Act::Unfriend(name) => {
                self.friends = false;
                let Some(other) = self.reached(name) else { return };
                self.show(other, &Sight::FriendRemoved(&who), shown);
            }
            Act::Present(profile) => self.spread(role, &News::Profile(profile.clone()), shown),
            Act::History => {}
        }
    }

    /// Those who know an account are told of it.
    pub(super) fn spread(&mut self, role: Role, news: &News, shown: &mut AllShown) {
        self.spread_from(role, self.members.contains(&role), news, shown);
    }

    pub(super) fn spread_from(&mut self, role: Role, is_member: bool, news: &News, shown: &mut AllShown) {
        let who = self.person(role);
        let known = |other: &Role| {
            let friend = self.friends && *other != Keeper && role != Keeper;
            friend || (is_member && self.inside.contains(other) && self.cast.actor(*other).account)
        };
        let told: Vec<Role> = self.connected().filter(|other| *other != role).filter(known).collect();
        for other in told {
            self.show(other, &Sight::News(&who, news), shown);
        }
    }

    /// Whoever is in the room is told, now or later.
    pub(super) fn happen(&mut self, happening: Happening, shown: &mut AllShown) {
        for role in self.inside.clone() {
            self.show(role, &Sight::Room(&happening), shown);
        }
        self.history.push(happening);
    }

    pub(super) fn show(&mut self, role: Role, sight: &Sight, shown: &mut AllShown) {
        let frame = self.cast.actor(role).words.sight(sight, &self.at(role));
        let told = if self.connected.contains(&role) { shown } else { &mut self.missed };
        told.entry(role).or_default().push(frame);
    }

    /// Whoever is reached by a name; somebody who is there comes before somebody who is away.
    pub(super) fn reached(&self, address: &str) -> Option<Role> {
        let here = self.connected().chain([Sender, Receiver, Keeper]);
        here.into_iter().find(|role| self.person(*role).address() == Some(address))
    }

    fn at(&self, role: Role) -> At<'_> {
        At { room: &self.cast.room, me: &self.cast.actor(role).person, history: &self.history }
    }

    pub(super) fn person(&self, role: Role) -> Person {
        self.cast.actor(role).person.clone()
    }
}
