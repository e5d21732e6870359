//! What the node's sessions hold in the backend, noted here before it is claimed there: what to claim again after the lease
//! was lost, and what to release for sessions that ended while the backend was away.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;

use super::Participant;
use super::few::Few;
use crate::backend::{Claimant, Memo};
use crate::chat::{Actor, Event, Nickname, RoomId, SessionId};
use crate::hub::Mailbox;
use crate::telemetry::Metrics;

/// Something to be done as soon as the backend answers again. Only ended sessions owe, so nothing here can be claimed
/// again meanwhile (a live one keeps what it could not release noted); each debt was once a claim, so their number is bounded by what the node's sessions held.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Debt {
    Release {
        nickname: Nickname,
        session: SessionId,
    },
    Leave {
        room: RoomId,
        who: Actor,
    },
    /// What is kept of a session that could have been gone on with.
    Forget {
        session: SessionId,
    },
    /// A room came or went, and the lobby does not know yet. The backend had answered just before, so there are few.
    Announce(Event),
}

/// What one live session holds; the actor's nickname is the one it holds.
pub struct Standing {
    pub actor: Actor,
    /// The nickname is held by an account.
    pub account: bool,
    pub reads_inbox: bool,
    /// It stands for its account, as [`crate::chat::Conduct::enrols`] says.
    pub enrols: bool,
    pub rooms: Vec<RoomId>,
    pub memo: Option<Memo>,
    pub mailbox: Arc<Mailbox>,
}

/// What one session ever noted and did not give back.
#[derive(Default)]
pub struct Noted {
    pub names: Few<Nickname>,
    pub rooms: Few<RoomId>,
    /// Rooms whose permission is waited for.
    pub asked: Few<RoomId>,
    /// What the backend is to know of it, where another session may go on in its place.
    pub memo: Option<Box<Memo>>,
}

struct Line {
    noted: Noted,
    /// The noted rooms of which it is known that the session was let in.
    sure: Few<RoomId>,
    held: Option<Nickname>,
    /// The number of the lease under which it was claimed last.
    held_under: u64,
    account: bool,
    reads_inbox: bool,
    enrols: bool,
    mailbox: Arc<Mailbox>,
}

pub struct Roster {
    /// Boxed, because a map has more places than entries.
    lines: Mutex<HashMap<SessionId, Box<Line>>>,
    debts: Mutex<HashSet<Debt>>,
    metrics: Arc<Metrics>,
}

impl Roster {
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { lines: Mutex::default(), debts: Mutex::default(), metrics }
    }

    fn change(&self, who: &Participant, change: impl FnOnce(&mut Line)) {
        let mut lines = self.lines.lock();
        let line = lines.entry(who.id).or_insert_with(|| {
            self.metrics.sessions.inc();
            Box::new(Line {
                noted: Noted::default(),
                sure: Few::default(),
                held: None,
                held_under: 0,
                account: false,
                reads_inbox: who.conduct.reads_inbox,
                enrols: who.conduct.enrols,
                mailbox: who.mailbox.clone(),
            })
        });
        change(line);
    }

    pub fn note_name(&self, who: &Participant, nickname: &Nickname) {
        self.change(who, |line| {
            line.noted.names.insert(nickname.clone());
        });
    }

    pub fn hold_name(&self, who: &Participant, nickname: &Nickname, claimant: Claimant, lease: u64) {
        self.change(who, |line| {
            line.held = Some(nickname.clone());
            line.held_under = lease;
            line.account = claimant.is_account();
        });
    }

    /// The nickname was claimed again, under this lease.
    pub fn hold_still(&self, session: SessionId, nickname: &Nickname, lease: u64) {
        let mut lines = self.lines.lock();
        if let Some(line) = lines.get_mut(&session).filter(|line| line.held.as_ref() == Some(nickname)) {
            line.held_under = line.held_under.max(lease);
        }
    }

    /// Whether the nickname that the session holds, if it holds one, was claimed under this lease.
    pub fn holds_under(&self, session: SessionId, lease: u64) -> bool {
        let lines = self.lines.lock();
        lines.get(&session).is_none_or(|line| line.held.is_none() || line.held_under == lease)
    }

    pub fn forget_name(&self, who: &Participant, nickname: &Nickname) {
        self.change(who, |line| {
            line.noted.names.remove(nickname);
            line.held.take_if(|held| held == nickname);
        });
    }

    pub fn note_room(&self, who: &Participant, room: &RoomId) {
        self.change(who, |line| {
            line.noted.asked.remove(room);
            line.noted.rooms.insert(room.clone());
        });
    }

    /// The session was let into a room that it had noted.
    pub fn hold_room(&self, who: &Participant, room: &RoomId) {
        self.change(who, |line| {
            line.sure.insert(room.clone());
        });
    }

    /// The session is about to be taken out of a room, and may be out before that is known.
    pub fn doubt_room(&self, who: &Participant, room: &RoomId) {
        self.change(who, |line| {
            line.sure.remove(room);
        });
    }

    /// The session is not in a room that it wanted to enter, and waits for the permission.
    pub fn note_asked(&self, who: &Participant, room: &RoomId) {
        self.change(who, |line| {
            line.noted.rooms.remove(room);
            line.sure.remove(room);
            line.noted.asked.insert(room.clone());
        });
    }

    pub fn forget_room(&self, who: &Participant, room: &RoomId) {
        self.change(who, |line| {
            line.noted.rooms.remove(room);
            line.sure.remove(room);
            line.noted.asked.remove(room);
        });
    }

    pub fn note_memo(&self, who: &Participant, memo: Memo) {
        self.change(who, |line| line.noted.memo = Some(Box::new(memo)));
    }

    /// The session is reached elsewhere from now on.
    pub fn move_to(&self, who: &Participant) {
        self.change(who, |line| line.mailbox = who.mailbox.clone());
    }

    /// What a session noted without knowing that it holds it.
    pub fn doubts(&self, who: &Participant) -> Noted {
        let lines = self.lines.lock();
        let Some(line) = lines.get(&who.id) else { return Noted::default() };
        Noted {
            names: line.noted.names.iter().filter(|name| line.held.as_ref() != Some(name)).cloned().collect(),
            rooms: line.noted.rooms.iter().filter(|room| !who.rooms.contains(room)).cloned().collect(),
            // These are known.
            asked: Few::default(),
            memo: None,
        }
    }

    /// Whether it is known that the session was let into a room, and nothing was begun since to take it out.
    pub fn is_sure_of(&self, session: SessionId, room: &RoomId) -> bool {
        self.lines.lock().get(&session).is_some_and(|line| line.sure.contains(room))
    }

    pub fn holds(&self, session: SessionId, nickname: &Nickname) -> bool {
        self.lines.lock().get(&session).is_some_and(|line| line.noted.names.contains(nickname))
    }

    pub fn has_memo(&self, session: SessionId) -> bool {
        self.lines.lock().get(&session).is_some_and(|line| line.noted.memo.is_some())
    }

    /// What a session noted; from here on a restore finds nothing of it.
    pub fn take(&self, who: &Participant) -> Noted {
        let mut lines = self.lines.lock();
        lines
            .get_mut(&who.id)
            .map(|line| {
                line.held = None;
                line.sure.clear();
                std::mem::take(&mut line.noted)
            })
            .unwrap_or_default()
    }

    /// The session is gone.
    pub fn strike(&self, who: &Participant) {
        if self.lines.lock().remove(&who.id).is_some() {
            self.metrics.sessions.dec();
        }
    }

    /// What every live session holds.
    pub fn standings(&self) -> Vec<Standing> {
        let lines = self.lines.lock();
        let standing = |session: SessionId, line: &Line| Standing {
            actor: Actor { session, nickname: line.held.clone() },
            account: line.account,
            reads_inbox: line.reads_inbox,
            enrols: line.enrols,
            rooms: line.noted.rooms.iter().cloned().collect(),
            memo: line.noted.memo.as_deref().cloned(),
            mailbox: line.mailbox.clone(),
        };
        lines.iter().map(|(session, line)| standing(*session, line)).collect()
    }

    pub fn owe(&self, debt: Debt) {
        if self.debts.lock().insert(debt) {
            self.metrics.debts.inc();
        }
    }

    pub fn debts(&self) -> Vec<Debt> {
        self.debts.lock().iter().cloned().collect()
    }

    pub fn settle(&self, debt: &Debt) {
        if self.debts.lock().remove(debt) {
            self.metrics.debts.dec();
        }
    }
}
