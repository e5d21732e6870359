//! Who takes part in a cell, what they do one after the other, and what everybody should get.

use std::collections::BTreeMap;

use serde_json::Value;

use super::words::{Act, Person, Reason, Verdict, Words};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Sender,
    Receiver,
    /// Makes and runs the room where the others cannot: an account that speaks the extended mode of `simple`.
    Keeper,
}

#[derive(Clone)]
pub struct Actor {
    pub words: &'static dyn Words,
    pub person: Person,
    /// Its name is an account's.
    pub account: bool,
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
            Role::Sender => &self.sender,
            Role::Receiver => &self.receiver,
            Role::Keeper => &self.keeper,
        }
    }

    pub fn actor_mut(&mut self, role: Role) -> &mut Actor {
        match role {
            Role::Sender => &mut self.sender,
            Role::Receiver => &mut self.receiver,
            Role::Keeper => &mut self.keeper,
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
    /// Nothing for what a connection does.
    pub request: Option<String>,
    pub shown: BTreeMap<Role, Shown>,
}

impl Expected {
    pub fn frames(&self, role: Role) -> Vec<&Value> {
        self.shown.get(&role).into_iter().flatten().filter_map(|shown| shown.as_ref().ok()).collect()
    }
}

/// What everybody is shown.
pub type AllShown = BTreeMap<Role, Shown>;
