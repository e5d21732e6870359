//! Sessions that go on in other connections: the tokens for it, and what is kept meanwhile of a session that has lost its
//! connection.
//!
//! A resumed session is a new one that inherits: the name, and the places in the rooms. The order of steps leaves each crash
//! repairable. First the token is used up, so that there is one heir, whoever dies then; the same session may ask again when
//! the backend did not answer. Then the heir claims the name and enters the rooms: each in one step of the backend, so that
//! name and place are the former session's or the heir's, never both's and never nobody's, and each belongs to the lease of
//! the node that has it. The former session is ended last. When a node dies in between, the sweep frees what the heir had
//! already, and what the former session still has is freed as if there were no heir.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::{Chat, Participant};
use crate::auth::ResumeToken;
use crate::backend::Memo;
use crate::chat::{CloseReason, Position, RoomId, SessionId};
use crate::hub::{Mailbox, Seat, WireFormat};

/// What is kept of sessions without a connection, at most.
#[derive(Debug, Clone, Copy)]
pub struct ResumeLimits {
    /// For how long it is kept.
    pub window: Duration,
    /// Of how many sessions.
    pub held: usize,
}

/// A room to which a client comes back.
#[derive(Debug, Clone)]
pub struct Return {
    pub room: RoomId,
    /// Up to here the client knows it.
    pub since: Option<Position>,
    pub format: WireFormat,
}

/// How it went when a session was to go on in another connection, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resumed {
    Whole,
    /// The nickname is somebody else's by now.
    Nameless,
    Refused,
    /// The backend did not answer.
    Failed,
}

impl Resumed {
    pub const ALL: [Self; 4] = [Self::Whole, Self::Nameless, Self::Refused, Self::Failed];

    pub fn label(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Nameless => "nameless",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// How far a session has come in another one's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Heirship {
    #[default]
    None,
    /// It has used this session's token up, and was not answered yet that it has all.
    Begun(SessionId),
    Done,
}

/// What a session with a token is, as the backend is to know it.
pub(super) struct Resumable {
    memo: Memo,
    /// The backend knows it so.
    is_kept: bool,
}

/// The sessions that are held, in the order in which they lost their connections; each is ended by closing its mailbox.
#[derive(Default)]
pub(super) struct Held(Mutex<Line>);

#[derive(Default)]
struct Line {
    next: u64,
    waiting: BTreeMap<u64, Arc<Mailbox>>,
}

impl Held {
    /// Takes one more, and ends the one that has been held for longest where there are too many.
    fn join(&self, mailbox: Arc<Mailbox>, most: usize) -> u64 {
        let mut line = self.0.lock();
        let number = line.next;
        line.next += 1;
        line.waiting.insert(number, mailbox);
        if line.waiting.len() > most
            && let Some((_, oldest)) = line.waiting.pop_first()
        {
            oldest.close(CloseReason::Superseded);
        }
        number
    }

    fn leave(&self, number: u64) {
        self.0.lock().waiting.remove(&number);
    }
}

impl Chat {
    /// Gives the session a token by which another one can go on in its place; the former one is worthless then. `None` where
    /// its dialect has no words for it, or the backend cannot keep it now.
    pub(super) async fn give_token(&self, who: &mut Participant) -> Option<String> {
        if !who.conduct.resumes {
            return None;
        }
        let token = ResumeToken::new(who.id, self.entropy.bits());
        let memo = Memo { secret_hash: token.secret_hash(), nickname: None, login: None };
        who.resumable = Some(Box::new(Resumable { memo, is_kept: false }));
        if self.keep_memo(who).await {
            return Some(token.to_string());
        }
        // It may be kept all the same; that is found in the roster when the session ends.
        who.resumable = None;
        None
    }

    /// Has the backend know what a session with a token is now. `false` while it does not; after the next request it is tried
    /// again. Until then the session can be gone on with as what it was before.
    pub(super) async fn keep_memo(&self, who: &mut Participant) -> bool {
        let (nickname, login) = (who.actor().nickname, who.login.as_deref().cloned());
        let Some(resumable) = &mut who.resumable else { return true };
        if resumable.is_kept && resumable.memo.nickname == nickname && resumable.memo.login == login {
            return true;
        }
        (resumable.memo.nickname, resumable.memo.login) = (nickname, login);
        let memo = resumable.memo.clone();
        self.roster.note_memo(who, memo.clone());
        let is_kept = match self.backend.resumption.remember(who.id, &memo).await {
            Ok(true) => true,
            Ok(false) => {
                who.mailbox.close(CloseReason::Superseded);
                false
            }
            Err(error) => {
                tracing::debug!(%error, session = %who.id, "what a session is cannot be kept");
                false
            }
        };
        if let Some(resumable) = &mut who.resumable {
            resumable.is_kept = is_kept;
        }
        is_kept
    }

    /// Ends a session that may be gone on with, when the time for that is over. `stopping` comes when the node goes away.
    pub async fn end(&self, mut who: Participant, reason: CloseReason, stopping: impl Future<Output = ()>) {
        let stops = reason == CloseReason::Restart || self.hold(&mut who, stopping).await;
        if stops && self.backend.resumption.outlives_nodes() {
            // What it has stays claimed under the lease that this node leaves behind.
            self.sessions.unseat(who.id);
            self.stop_telling(&who);
            return;
        }
        self.depart(who).await;
    }

    /// Keeps what a session has until its time is over, an heir has taken it, too many are held, or its login is revoked.
    /// `true` when the node goes away before.
    async fn hold(&self, who: &mut Participant, stopping: impl Future<Output = ()>) -> bool {
        // It can be ended, and takes nothing: who writes to it is told that it is not there.
        let mailbox = Arc::new(Mailbox::new(0, self.metrics.clone()));
        mailbox.finish([]);
        who.mailbox = mailbox.clone();
        self.roster.move_to(who);
        if let Some(format) = self.sessions.format(who.id) {
            self.sessions.seat(who.id, Seat { mailbox: mailbox.clone(), format, login: who.login.clone() });
        }
        self.stop_telling(who);
        let ResumeLimits { window, held } = self.limits.resume;
        let number = self.held.join(mailbox.clone(), held);
        self.metrics.held_sessions.inc();
        let stops = tokio::select! {
            biased;
            () = stopping => true,
            _ = mailbox.until_closed() => false,
            () = tokio::time::sleep(window) => false,
        };
        self.held.leave(number);
        self.metrics.held_sessions.dec();
        stops
    }

    /// No room's events go to it any more.
    fn stop_telling(&self, who: &Participant) {
        if who.conduct.in_lobby {
            self.hub.remove(&RoomId::lobby(), who.id);
        }
        who.rooms.iter().for_each(|room| self.hub.remove(room, who.id));
    }
}

impl Participant {
    /// Whether another session may go on in its place when its connection ends for this reason.
    pub fn may_go_on_after(&self, reason: CloseReason) -> bool {
        self.resumable.is_some() && reason.is_involuntary()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Metrics;

    #[test]
    fn of_too_many_the_one_held_for_longest_ends() {
        let held = Held::default();
        let mailboxes: Vec<_> = (0..3).map(|_| Arc::new(Mailbox::new(0, Arc::new(Metrics::new())))).collect();
        let join = |index: usize| held.join(Arc::clone(&mailboxes[index]), 2);
        let closed = || mailboxes.iter().map(|mailbox| mailbox.closed().is_some()).collect::<Vec<_>>();
        let first = join(0);
        join(1);
        held.leave(first);
        join(2);
        assert_eq!(closed(), [false, false, false]);
        join(0);
        assert_eq!(closed(), [false, true, false]);
    }
}
