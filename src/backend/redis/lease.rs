//! The node's lease and the sweep of leases that died.
//!
//! A lease never comes back to life: a node that lost its own takes a new one and claims again what its sessions hold, so
//! that a sweep of the old one, however late, does no harm.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use redis::{Script, ScriptInvocation};

use super::super::{BackendError, Broker, Lease, Publication, Publisher, Swept, encode_event};
use super::Redis;
use super::applicants::member_key;
use super::broker::read_position;
use super::connection::Connection;
use crate::chat::{Actor, Event, EventKind, Nickname, Position, RoomId, SessionId};
use crate::planted::{self, Bug};

/// How long one survivor keeps the others from sweeping the same lease; it begins again if it needs longer.
const SWEEP_LOCK: Duration = Duration::from_secs(10);
/// Claims of a dead lease read at once.
const CLAIMS_AT_ONCE: usize = 500;
/// Of these, released at once: a dead node's ten thousand sessions are to be gone well within the ghost ceiling.
const CLAIMS_IN_FLIGHT: usize = 32;

/// A lease under which a node claims.
#[derive(Debug, Clone, Default)]
pub struct HeldLease {
    name: String,
    /// On the clock of Redis: when it ends unless it is renewed. What is claimed under it is claimed before.
    pub ends_ms: u64,
    /// Which servers there were when it was taken (`Link::successions`).
    successions: u64,
}

impl std::ops::Deref for HeldLease {
    type Target = str;

    fn deref(&self) -> &str {
        &self.name
    }
}

/// One thing held under a lease, as the claims set has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    Nickname {
        session: SessionId,
        nickname: Nickname,
    },
    Membership {
        session: SessionId,
        room: RoomId,
    },
    /// What is kept of a session that may be gone on with.
    Memo {
        session: SessionId,
    },
}

impl Claim {
    /// `n <session> <nickname>`, `m <session> <room>` or `s <session> `; the name comes last because it may contain blanks.
    pub fn encode(&self) -> String {
        match self {
            Self::Nickname { session, nickname } => format!("n {:032x} {nickname}", session.as_u128()),
            Self::Membership { session, room } => format!("m {:032x} {room}", session.as_u128()),
            Self::Memo { session } => format!("s {:032x} ", session.as_u128()),
        }
    }

    fn decode(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ' ');
        let (kind, session, name) = (parts.next()?, parts.next()?, parts.next()?);
        let session = SessionId::from_u128(u128::from_str_radix(session, 16).ok()?);
        match kind {
            "n" => Some(Self::Nickname { session, nickname: Nickname::parse(name).ok()? }),
            "m" => Some(Self::Membership { session, room: RoomId::parse(name).ok()? }),
            "s" => Some(Self::Memo { session }),
            _ => None,
        }
    }
}

/// Whose nickname was freed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freed {
    No,
    Guest,
    Account,
}

impl Redis {
    pub(super) async fn renew_lease(&self) -> Result<Lease, BackendError> {
        let renewed = self.keep_or_take_lease().await;
        if renewed != Ok(Lease::Held) {
            self.lease_kept_since_ms.store(self.clock.now_ms(), Ordering::Release);
        }
        renewed
    }

    async fn keep_or_take_lease(&self) -> Result<Lease, BackendError> {
        let began_ms = self.clock.now_ms();
        let lease = self.lease.read().clone();
        let successions = self.link.successions();
        let mut connection = self.link.connection()?;
        // A successor may lack what was claimed last, and have what was released: all is claimed again under another lease, and what the
        // old one has left is swept when it has run out.
        if !lease.is_empty() && lease.successions == successions {
            let how = if planted::has(Bug::SkipFence) { "take" } else { "keep" };
            match self.call_renew(&lease, how, &mut connection).await {
                Ok(0) => {}
                Ok(ends_ms) => {
                    self.lease.write().ends_ms = ends_ms;
                    self.lease_is_sure_from(began_ms);
                    return Ok(Lease::Held);
                }
                // Its server is away, and has taken the lease's time with it: another name may lie on one that answers.
                Err(BackendError::Unavailable(_)) if self.link.cluster().is_some() && !self.is_lease_sure() => {}
                Err(error) => return Err(error),
            }
        }
        let name = format!("{:032x}", self.entropy.bits());
        // The lease before its entry in the list: a listed lease without a key counts as dead.
        let ends_ms = self.call_renew(&name, "take", &mut connection).await?;
        self.timed(redis::cmd("SADD").arg(self.keys.nodes()).arg(&name).exec_async(&mut connection)).await?;
        // It may be the first after a loss of all data.
        self.note_format().await?;
        // The number before the lease: nobody acts under the new one on what was claimed under the old one.
        self.lease_number.fetch_add(1, Ordering::AcqRel);
        *self.lease.write() = HeldLease { name, ends_ms, successions };
        self.lease_is_sure_from(began_ms);
        Ok(Lease::Renewed)
    }

    /// When the lease ends, on the clock of Redis; 0 when there is none to keep.
    async fn call_renew(&self, lease: &str, how: &str, connection: &mut Connection) -> Result<u64, BackendError> {
        let mut call = self.scripts.renew.prepare_invoke();
        call.key(self.keys.lease(lease)).arg(&self.settings.node).arg(self.settings.lease.as_millis() as u64).arg(how);
        self.timed(call.invoke_async(connection)).await
    }

    /// How long every look at Redis and at the own lease has been without a fault. Right after an outage, or a time in which
    /// Redis took no writes, every lease looks dead, because nobody could renew it.
    fn judges_for_ms(&self) -> u64 {
        let kept_for_ms = self.clock.now_ms().saturating_sub(self.lease_kept_since_ms.load(Ordering::Acquire));
        kept_for_ms.min(self.link.up_for_ms())
    }

    /// Gives the lease up. What is left under it is free for a survivor's sweep at once, or, where heirs are to come, when
    /// this much time has passed without one.
    pub(super) async fn give_lease_up(&self, for_heirs: Option<Duration>) -> Result<(), BackendError> {
        let lease = std::mem::take(&mut *self.lease.write());
        self.lease_sure_until_ms.store(0, Ordering::Release);
        let mut connection = self.link.connection()?;
        let left: u64 =
            self.timed(redis::cmd("SCARD").arg(self.keys.lease_claims(&lease)).query_async(&mut connection)).await?;
        let mut give_up = redis::pipe();
        match for_heirs.filter(|_| left > 0) {
            Some(window) => {
                give_up.cmd("PEXPIRE").arg(self.keys.lease(&lease)).arg(window.as_millis() as u64).ignore();
            }
            None => {
                give_up.del(self.keys.lease(&lease)).ignore();
            }
        }
        give_up.del(self.keys.lease_count(&lease)).ignore();
        if left == 0 {
            // Otherwise it stays listed, for the sweep.
            give_up.srem(self.keys.nodes(), &*lease).ignore();
        }
        self.timed(give_up.exec_async(&mut connection)).await
    }

    pub(super) async fn sweep_dead(&self) -> Result<Swept, BackendError> {
        let mut swept = Swept::default();
        if self.judges_for_ms() < self.settings.lease.as_millis() as u64 {
            return Ok(swept);
        }
        let mut connection = self.pooled().await?;
        let listed: Vec<String> =
            self.timed(redis::cmd("SMEMBERS").arg(self.keys.nodes()).query_async(&mut *connection)).await?;
        let own = self.lease.read().clone();
        for lease in listed.into_iter().filter(|lease| lease != &*own) {
            let alive: bool =
                self.timed(redis::cmd("EXISTS").arg(self.keys.lease(&lease)).query_async(&mut *connection)).await?;
            if !alive && self.may_sweep(&lease, &mut connection).await? {
                self.sweep_lease(&lease, &mut connection, &mut swept).await?;
            }
        }
        Ok(swept)
    }

    /// Whether this survivor is the one to sweep. Only to save work: each release is harmless to repeat.
    async fn may_sweep(&self, lease: &str, connection: &mut Connection) -> Result<bool, BackendError> {
        let mut lock = self.scripts.lock.prepare_invoke();
        lock.key(self.keys.lease_sweep(lease)).arg(&self.settings.node).arg(SWEEP_LOCK.as_millis() as u64);
        self.timed(lock.invoke_async(connection)).await
    }

    async fn sweep_lease(
        &self,
        lease: &str,
        connection: &mut Connection,
        swept: &mut Swept,
    ) -> Result<(), BackendError> {
        let claims_key = self.keys.lease_claims(lease);
        loop {
            let mut read = redis::cmd("SRANDMEMBER");
            read.arg(&claims_key).arg(CLAIMS_AT_ONCE);
            let claims: Vec<String> = self.timed(read.query_async(connection)).await?;
            if claims.is_empty() {
                break;
            }
            let (noted, mut failed) = (claims.len(), 0);
            let mut outcomes = stream::iter(claims)
                .map(|note| self.sweep_note(lease, &claims_key, note, connection.clone()))
                .buffer_unordered(CLAIMS_IN_FLIGHT);
            while let Some(outcome) = outcomes.next().await {
                match outcome {
                    Ok(one) => {
                        swept.names += one.names;
                        swept.memberships += one.memberships;
                        swept.accounts.extend(one.accounts);
                    }
                    // Something else lies where the claim should be; the other claims are not to wait for whoever mends it.
                    Err(error @ BackendError::Failed(_)) => {
                        error.log("what a dead node held cannot be released");
                        failed += 1;
                    }
                    Err(error) => return Err(error),
                }
            }
            if failed == noted {
                // It stays listed, and is looked at again when the lock has run out.
                return Ok(());
            }
        }
        let mut forget = redis::pipe();
        forget.srem(self.keys.nodes(), lease).ignore();
        forget.del(self.keys.lease_sweep(lease)).ignore();
        self.timed(forget.exec_async(connection)).await?;
        swept.nodes += 1;
        Ok(())
    }

    async fn sweep_note(
        &self,
        lease: &str,
        claims_key: &str,
        note: String,
        mut connection: Connection,
    ) -> Result<Swept, BackendError> {
        let swept = match Claim::decode(&note) {
            Some(claim) => self.sweep_claim(lease, &claim, &mut connection).await?,
            None => Swept::default(),
        };
        // After the release: a crash in between leaves a note that the next sweep finds already settled.
        self.timed(redis::cmd("SREM").arg(claims_key).arg(note).exec_async(&mut connection)).await?;
        Ok(swept)
    }

    async fn sweep_claim(
        &self,
        lease: &str,
        claim: &Claim,
        connection: &mut Connection,
    ) -> Result<Swept, BackendError> {
        let mut swept = Swept::default();
        match claim {
            Claim::Nickname { session, nickname } => {
                let freed = self.free_nickname(nickname, *session, lease, connection).await?;
                swept.names += u64::from(freed != Freed::No);
                swept.accounts.extend((freed == Freed::Account).then(|| nickname.clone()));
            }
            Claim::Membership { session, room } => {
                let mut ask = redis::cmd("HGET");
                ask.arg(self.keys.room_who(room)).arg(member_key(*session));
                let who: Option<String> = self.timed(ask.query_async(connection)).await?;
                let name =
                    who.as_deref().and_then(|who| who.split_once(' ')).and_then(|(_, name)| Nickname::parse(name).ok());
                let actor = Actor { session: *session, nickname: name };
                let left = self.end_membership(room, &actor, lease, connection).await?;
                swept.memberships += u64::from(left.is_some());
                if planted::has(Bug::DoubleSweep) {
                    let event = Event::new(actor, EventKind::Left);
                    self.publish(room, Publication { event: &event, publisher: Publisher::Anyone, key: None }).await?;
                }
            }
            Claim::Memo { session } => {
                let mut call = self.scripts.abandon.prepare_invoke();
                call.key(self.keys.session(*session)).arg(lease).arg(self.settings.resume.as_millis() as u64);
                self.timed(call.invoke_async::<()>(connection)).await?;
            }
        }
        Ok(swept)
    }

    /// Frees a nickname held by this session under this lease (`""`: any lease), if it was held so.
    pub(super) async fn free_nickname(
        &self,
        nickname: &Nickname,
        session: SessionId,
        lease: &str,
        connection: &mut Connection,
    ) -> Result<Freed, BackendError> {
        let (hash, set) = (self.keys.nickname(nickname), self.keys.nickname_set(nickname));
        let holder: Option<String> =
            self.timed(redis::cmd("HGET").arg(&hash).arg("session").query_async(connection)).await?;
        let session = session.to_string();
        if holder.is_some_and(|holder| holder != session) {
            return Ok(Freed::No);
        }
        // Out of the set while the name is still held: whoever claims it next then puts it there after us.
        self.timed(redis::cmd("SREM").arg(&set).arg(nickname.as_str()).exec_async(connection)).await?;
        let mut call = self.scripts.release.prepare_invoke();
        call.key(&hash).key(self.keys.user(nickname)).arg(&session).arg(lease);
        let freed: i64 = self.timed(call.invoke_async(connection)).await?;
        if freed == 0 {
            // It is held after all: under another lease, or by somebody who was quicker.
            self.timed(redis::cmd("SADD").arg(&set).arg(nickname.as_str()).exec_async(connection)).await?;
        }
        Ok(match freed {
            2 => Freed::Account,
            1 => Freed::Guest,
            _ => Freed::No,
        })
    }

    /// Ends a membership owned by this lease (`""`: any lease) and announces it; the position of the leave.
    pub(super) async fn end_membership(
        &self,
        room: &RoomId,
        who: &Actor,
        lease: &str,
        connection: &mut Connection,
    ) -> Result<Option<Position>, BackendError> {
        let event = Event::new(who.clone(), EventKind::Left);
        let mut call = self.membership_call(&self.scripts.leave, room, &event, connection.run());
        call.arg(member_key(who.session)).arg(self.settings.history_age.as_millis() as u64).arg(lease);
        call.arg(who.nickname.as_ref().map_or("", Nickname::as_str));
        call.arg(encode_event(&Event::new(who.clone(), EventKind::Went)));
        let place: Vec<u64> = self.timed(call.invoke_async(connection)).await?;
        Ok(read_position(&place))
    }
}

impl Redis {
    /// A call of a script that changes a room and tells it: its keys, and the arguments all of them begin with. `run`: of the
    /// connection on which it is made.
    pub(super) fn membership_call<'a>(
        &self,
        script: &'a Script,
        room: &RoomId,
        event: &Event,
        run: &str,
    ) -> ScriptInvocation<'a> {
        let mut call = self.room_call(script, room);
        call.arg(self.keys.room_channel(room)).arg(encode_event(event)).arg(self.keep(room)).arg(run);
        call
    }

    /// A call of a script that changes a room: all that is kept of it, and where backends are told.
    pub(super) fn room_call<'a>(&self, script: &'a Script, room: &RoomId) -> ScriptInvocation<'a> {
        let mut call = script.prepare_invoke();
        call.key(self.keys.room(room))
            .key(self.keys.room_log(room))
            .key(self.keys.room_members(room))
            .key(self.keys.room_who(room))
            .key(self.keys.room_admins(room))
            .key(self.keys.room_admitted(room))
            .key(self.keys.room_applicants(room))
            .key(self.keys.room_roll(room));
        if let Some(outbox) = self.outbox.key(&self.keys, room) {
            call.key(outbox);
        }
        call
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_come_back_whatever_the_name() {
        let session = SessionId::from_u128(7);
        for name in ["red", "a b  c", "ä\u{1F600}", "n 1 2"] {
            let claims = [
                Claim::Nickname { session, nickname: Nickname::parse(name).unwrap() },
                Claim::Membership { session, room: RoomId::parse(name).unwrap() },
                Claim::Memo { session },
            ];
            for claim in claims {
                assert_eq!(Claim::decode(&claim.encode()), Some(claim));
            }
        }
        assert_eq!(Claim::decode("x 1 2"), None);
    }
}
