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
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use parking_lot::Mutex;

use super::membership::Joining;
use super::{Chat, Outcome, Participant, Settling, unavailable};
use crate::auth::ResumeToken;
use crate::backend::{Claimant, Claimed, Entered, Memo};
use crate::chat::{CloseReason, Position, Refusal, Reply, ResumedRoom, Returned, RoomId, SessionId};
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
    /// It has used a token up, and its client was not answered yet.
    Begun,
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
    /// Has a new session go on in the place of the one that a token names.
    pub async fn resume(&self, who: &mut Participant, token: &str, rooms: Vec<Return>) -> Outcome {
        let (outcome, resumed) = match self.go_on(who, token, rooms).await {
            Ok((outcome, resumed)) => (outcome, resumed),
            Err(Refusal::Unavailable) => (Outcome::refused(Refusal::Unavailable), Resumed::Failed),
            Err(refusal) => (Outcome::refused(refusal), Resumed::Refused),
        };
        self.metrics.resumes_total.with_label_values(&[resumed.label()]).inc();
        outcome
    }

    /// What fails here can be asked for again in the same session; what fails in single rooms is said with the answer.
    async fn go_on(
        &self,
        who: &mut Participant,
        token: &str,
        rooms: Vec<Return>,
    ) -> Result<(Outcome, Resumed), Refusal> {
        let token = ResumeToken::parse(token).filter(|token| token.session != who.id).ok_or(Refusal::NotResumable)?;
        match (who.heirship, &who.name) {
            (Heirship::Done, _) => return Err(Refusal::NotResumable),
            (Heirship::None, Some(name)) => return Err(Refusal::AlreadyLoggedIn(name.clone())),
            _ => {}
        }
        let former = token.session;
        let taken = self.backend.resumption.take_over(former, &token.secret_hash(), who.id).await;
        let memo = taken.map_err(|error| unavailable("take over", &error))?.ok_or(Refusal::NotResumable)?;
        who.heirship = Heirship::Begun;
        who.first = memo.first;
        if self.limits.require_login && memo.login.is_none() {
            return Err(Refusal::LoginRequired);
        }
        let resumed = self.inherit_name(who, former, memo).await?;
        let resume = self.give_token(who).await.ok_or(Refusal::Unavailable)?;
        who.heirship = Heirship::Done;
        let (rooms, mut afterwards) = self.come_back(who, former, rooms).await;
        // Only now: until it has lost everything, its end would be announced.
        afterwards.push(Settling::Inherited { former });
        if who.login.is_some() {
            afterwards.push(Settling::Arrival { was_there: true });
        }
        let reply = Reply::Resumed { session: who.id, nickname: who.actor().nickname, resume, rooms };
        Ok((Outcome { result: Ok(reply), afterwards: Some(Settling::All(afterwards)) }, resumed))
    }

    /// The former session's name is the new one's, unless it is somebody else's by now. An account must still have its login.
    async fn inherit_name(&self, who: &mut Participant, former: SessionId, memo: Memo) -> Result<Resumed, Refusal> {
        let Memo { nickname: Some(nickname), login, .. } = memo else { return Ok(Resumed::Whole) };
        if let Some(login) = &login {
            // Known as one of the login before it is asked whether that stands: a revocation meanwhile finds it.
            self.sessions.set_login(who.id, Some(login.clone()));
            let stands = self.backend.directory.stands(login).await.map_err(|error| unavailable("login", &error))?;
            if !stands || login.ends_s <= self.clock.unix_us() / 1_000_000 {
                self.sessions.set_login(who.id, None);
                return Err(Refusal::NotResumable);
            }
        }
        let claimant = Claimant::Heir { of: former, account: login.is_some() };
        match self.claim(who, &nickname, claimant).await? {
            Claimed::Done { .. } => {
                if let Some(login) = login {
                    self.bear_login(who, login).await;
                }
                self.take_name(who, nickname, true).await;
                Ok(Resumed::Whole)
            }
            Claimed::InUse | Claimed::Reserved => {
                self.sessions.set_login(who.id, None);
                Ok(Resumed::Nameless)
            }
        }
    }

    /// Comes back into the rooms, one after the other; also, what is to follow the answer.
    async fn come_back(
        &self,
        who: &mut Participant,
        former: SessionId,
        mut rooms: Vec<Return>,
    ) -> (Vec<ResumedRoom>, Vec<Settling>) {
        let (mut resumed, mut afterwards) = (Vec::new(), Vec::new());
        // A request has place for many more rooms than a session may be in; they are not worth asking the backend.
        let beyond = rooms.split_off(rooms.len().min(self.limits.rooms_per_session));
        for Return { room, since, format } in rooms {
            let joining = Joining { room: room.clone(), password: None, since, former: Some(former) };
            let outcome = match self.come_in(who, joining, format).await {
                Ok(Entered { position, members, repeated }) => {
                    let recovered = match since {
                        Some(since) => {
                            let entered = Entered { position, members, repeated };
                            let replay = self.replay(&room, who.member(format), since, &entered).await;
                            let recovered = replay.recovered;
                            afterwards.push(Settling::Replay(replay.put_off()));
                            Some(recovered)
                        }
                        None => None,
                    };
                    Ok(Returned { position, members, recovered })
                }
                Err(Outcome { result, afterwards: further }) => {
                    afterwards.extend(further);
                    Err(result.err().unwrap_or(Refusal::Unavailable))
                }
            };
            resumed.push(ResumedRoom { room, outcome });
        }
        let too_many = |back: Return| ResumedRoom { room: back.room, outcome: Err(Refusal::TooManyRooms) };
        resumed.extend(beyond.into_iter().map(too_many));
        (resumed, afterwards)
    }

    /// Gives the session a token by which another one can go on in its place; the former one is worthless then. `None` where
    /// its dialect has no words for it, or the backend cannot keep it now.
    pub(super) async fn give_token(&self, who: &mut Participant) -> Option<String> {
        if !who.conduct.resumes {
            return None;
        }
        let token = ResumeToken::new(who.id, self.entropy.bits());
        let memo = Memo { secret_hash: token.secret_hash(), first: who.first, nickname: None, login: None };
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
        if who.memo_is_current() {
            return true;
        }
        let (nickname, login) = (who.actor().nickname, who.login.as_deref().cloned());
        let Some(resumable) = &mut who.resumable else { return true };
        (resumable.memo.nickname, resumable.memo.login) = (nickname, login);
        let memo = resumable.memo.clone();
        self.roster.note_memo(who, memo.clone());
        let is_kept = match self.backend.resumption.remember(who.id, &memo).await {
            Ok(true) => true,
            Ok(false) => {
                who.mailbox.close(CloseReason::Resumed);
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
    pub async fn end(&self, mut who: Participant, stopping: impl Future<Output = ()>) {
        let mut stopping = pin!(stopping);
        let stops = (&mut stopping).now_or_never().is_some() || self.hold(&mut who, stopping).await;
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
    /// Whether the backend knows the session as what it is, or need not. Asked after every request: it costs a look.
    pub(super) fn memo_is_current(&self) -> bool {
        self.resumable.as_deref().is_none_or(|Resumable { memo, is_kept }| {
            *is_kept && memo.nickname.as_ref() == self.own_name() && memo.login.as_ref() == self.login.as_deref()
        })
    }

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
