//! A room as it should be: what each step of a scenario shows to whom.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::words::{Act, At, Happening, Person, Reason, Sight, Verdict, Why, Words};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Sender,
    Receiver,
    /// Makes and runs the room where the others cannot: an account that speaks the extended mode of `simple`.
    Keeper,
}

use Role::{Keeper, Receiver, Sender};

#[derive(Clone)]
pub struct Actor {
    pub words: &'static dyn Words,
    pub person: Person,
}

/// Who takes part, and where.
#[derive(Clone)]
pub struct Cast {
    pub room: String,
    pub sender: Actor,
    pub receiver: Actor,
    pub keeper: Actor,
    /// A nickname that nobody has.
    pub free_name: String,
}

impl Cast {
    pub fn actor(&self, role: Role) -> &Actor {
        match role {
            Sender => &self.sender,
            Receiver => &self.receiver,
            Keeper => &self.keeper,
        }
    }

    fn actor_mut(&mut self, role: Role) -> &mut Actor {
        match role {
            Sender => &mut self.sender,
            Receiver => &mut self.receiver,
            Keeper => &mut self.keeper,
        }
    }
}

/// Somebody asks for something, and that is what should come of it.
#[derive(Debug, Clone)]
pub struct Step {
    pub role: Role,
    pub act: Act,
    pub verdict: Verdict,
    /// It is what the scenario is about, rather than its preparation.
    pub shown: bool,
}

/// What somebody is shown, one by one; or why not, where the dialect has no words for it.
pub type Shown = Vec<Result<Value, Reason>>;

/// What a step shows to everybody who is there.
pub struct Expected {
    /// Nothing for a disconnection.
    pub request: Option<String>,
    pub shown: BTreeMap<Role, Shown>,
}

impl Expected {
    pub fn frames(&self, role: Role) -> Vec<&Value> {
        self.shown.get(&role).into_iter().flatten().filter_map(|shown| shown.as_ref().ok()).collect()
    }
}

pub struct Model {
    pub cast: Cast,
    connected: BTreeSet<Role>,
    inside: BTreeSet<Role>,
    history: Vec<Happening>,
    /// Roles that asked to be let in, and were not answered yet.
    waiting: BTreeSet<Role>,
}

impl Model {
    pub fn new(cast: Cast) -> Self {
        let connected = BTreeSet::from([Sender, Receiver, Keeper]);
        Self { cast, connected, inside: BTreeSet::new(), history: Vec::new(), waiting: BTreeSet::new() }
    }

    pub fn connected(&self) -> impl Iterator<Item = Role> {
        self.connected.iter().copied()
    }

    /// # Errors
    /// Why the actor's dialect cannot ask for it.
    pub fn perform(&mut self, step: &Step) -> Result<Expected, Reason> {
        let mut shown = BTreeMap::new();
        let mut request = None;
        if step.act != Act::Disconnect {
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
                self.show(Keeper, &Sight::Asked(&who), &mut shown);
            }
            Verdict::Refused(_) => {}
        }
        Ok(Expected { request, shown })
    }

    fn done(&mut self, role: Role, act: &Act, shown: &mut BTreeMap<Role, Shown>) {
        let who = self.person(role);
        match act {
            Act::Create => self.show_all(&Sight::Created, shown),
            Act::Destroy => {
                let inside = std::mem::take(&mut self.inside);
                for role in self.connected.clone() {
                    self.show(role, &Sight::Destroyed { inside: inside.contains(&role) }, shown);
                }
            }
            Act::Join { .. } => {
                self.inside.insert(role);
                self.happen(Happening::Joined(who), role, shown);
            }
            Act::Leave => self.leave(who, role, shown),
            Act::Disconnect => {
                self.connected.remove(&role);
                self.leave(who, role, shown);
            }
            Act::Say(text) => self.happen(Happening::Said(who, text.clone()), role, shown),
            Act::Write { to, text } => {
                let reached = |role: &Role| self.person(*role).address() == Some(to);
                if let Some(reader) = self.connected.clone().into_iter().find(reached) {
                    self.show(reader, &Sight::Wrote { from: &who, to, text }, shown);
                }
            }
            Act::Claim(nickname) => {
                let held =
                    self.connected().any(|other| other != role && self.person(other).address() == Some(nickname));
                if !held {
                    self.cast.actor_mut(role).person.nickname = Some(nickname.clone());
                }
            }
            Act::Decide { who, approve } => {
                let asked = |role: &Role| self.person(*role).address() == Some(who);
                if let Some(applicant) = self.waiting.clone().into_iter().find(asked) {
                    self.waiting.remove(&applicant);
                    self.show(applicant, &Sight::Decided { approved: *approve }, shown);
                }
            }
            Act::History | Act::SetPassword(_) | Act::AskMe | Act::Appoint(_) => {}
        }
    }

    fn leave(&mut self, who: Person, role: Role, shown: &mut BTreeMap<Role, Shown>) {
        self.happen(Happening::Left(who), role, shown);
        self.inside.remove(&role);
    }

    /// Whoever is in the room is told, `actor` included.
    fn happen(&mut self, happening: Happening, actor: Role, shown: &mut BTreeMap<Role, Shown>) {
        if !self.inside.contains(&actor) {
            return;
        }
        for role in self.inside.intersection(&self.connected).copied().collect::<Vec<_>>() {
            self.show(role, &Sight::Room(&happening), shown);
        }
        self.history.push(happening);
    }

    fn show_all(&self, sight: &Sight, shown: &mut BTreeMap<Role, Shown>) {
        for role in self.connected() {
            self.show(role, sight, shown);
        }
    }

    fn show(&self, role: Role, sight: &Sight, shown: &mut BTreeMap<Role, Shown>) {
        let words = self.cast.actor(role).words;
        shown.entry(role).or_default().push(words.sight(sight, &self.at(role)));
    }

    fn at(&self, role: Role) -> At<'_> {
        At { room: &self.cast.room, me: &self.cast.actor(role).person, history: &self.history }
    }

    fn person(&self, role: Role) -> Person {
        self.cast.actor(role).person.clone()
    }
}
