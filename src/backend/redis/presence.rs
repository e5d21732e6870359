//! Who is there, on Redis: nicknames, memberships, the lease they belong to.
//!
//! Each claim is noted under the node's lease and made in one step; in a cluster, where they are in different slots, it is noted first.
//! Each release goes the other way round: a crash in between leaves at worst a note without a claim, which the sweep takes for
//! released.

use std::sync::atomic::Ordering;

use async_trait::async_trait;
use redis::ScriptInvocation;

use super::super::{
    APPLICANTS_MAX, BackendError, Claimant, Claimed, Denial, Entered, Entry, Holder, Lease, Presence, Swept, Tenure,
    Ticket, encode_event, encode_heir,
};
use super::Redis;
use super::applicants::{member_key, person_key};
use super::connection::Connection;
use super::inbox::read_holder;
use super::lease::{Claim, Freed, HeldLease};
use crate::chat::{Actor, Epoch, Event, EventKind, Identity, Nickname, PersonKey, Position, RoomId, SessionId};

#[async_trait]
impl Presence for Redis {
    async fn claim(&self, nickname: &Nickname, holder: Holder, claimant: Claimant) -> Result<Claimed, BackendError> {
        let session = holder.session;
        let note = Claim::Nickname { session, nickname: nickname.clone() };
        let mut connection = self.link.for_comings().await?;
        let mut taken_from = None;
        loop {
            let lease = self.sure_lease()?;
            let claimed = self.call_claim(nickname, holder, claimant, &lease, &note, &mut connection).await?;
            let Claimed::Done { from } = claimed else {
                self.forget_refused(&lease, &note, &mut connection).await?;
                return Ok(claimed);
            };
            taken_from = taken_from.or(from);
            if self.link.cluster().is_some() {
                let mut list = redis::cmd("SADD");
                list.arg(self.keys.nickname_set(nickname)).arg(nickname.as_str());
                self.timed(list.exec_async(&mut *connection)).await?;
            }
            if claimant == Claimant::Account {
                // It may be one that a token made just now.
                self.count_user(nickname, &mut connection).await?;
            }
            if self.is_current(&lease) {
                return Ok(Claimed::Done { from: taken_from });
            }
        }
    }

    async fn release(&self, nickname: &Nickname, session: SessionId) -> Result<bool, BackendError> {
        let mut connection = self.link.for_comings().await?;
        let freed = self.free_nickname(nickname, session, "", &mut connection).await?;
        let lease = self.lease.read().clone();
        self.forget_note(&lease, &Claim::Nickname { session, nickname: nickname.clone() }, &mut connection).await?;
        Ok(freed != Freed::No)
    }

    async fn holder(&self, nickname: &Nickname) -> Result<Option<Holder>, BackendError> {
        let mut connection = self.pooled().await?;
        let mut ask = redis::cmd("HMGET");
        ask.arg(self.keys.nickname(nickname)).arg(&["session", "inbox"]);
        let (session, reads_inbox): (Option<String>, Option<String>) =
            self.timed(ask.query_async(&mut *connection)).await?;
        Ok(read_holder(session.as_deref().unwrap_or_default(), reads_inbox.as_deref().unwrap_or_default()))
    }

    async fn enter(&self, room: &RoomId, who: &Actor, entry: &Entry) -> Result<Result<Entered, Denial>, BackendError> {
        let note = Claim::Membership { session: who.session, room: room.clone() };
        // Before any waiting: whoever asked was looked at under this lease.
        let mut lease = self.sure_lease()?;
        let mut connection = self.link.for_comings().await?;
        let mut announced_before = None;
        loop {
            let entered = match self.make_member(room, who, entry, &lease, &note, &mut connection).await? {
                Ok(entered) => entered,
                // It waits for permission until it leaves, or is swept; so that stays noted.
                Err(denial @ Denial::Permission { .. }) => {
                    if let Entry::Join(Ticket { account: Some(account), .. })
                    | Entry::Heir { ticket: Ticket { account: Some(account), .. }, .. } = entry
                    {
                        self.tie(account, room, &mut connection).await?;
                    }
                    return Ok(Err(denial));
                }
                Err(denial) => {
                    self.forget_refused(&lease, &note, &mut connection).await?;
                    return Ok(Err(denial));
                }
            };
            // A later turn, under a new lease, finds the membership made, unless it went with the backend's data.
            let entered = announced_before.filter(|_| entered.repeated).unwrap_or(entered);
            if self.is_current(&lease) {
                return Ok(Ok(entered));
            }
            announced_before = Some(entered);
            lease = self.sure_lease()?;
        }
    }

    async fn leave(&self, room: &RoomId, who: &Actor) -> Result<Option<Position>, BackendError> {
        let mut connection = self.link.for_comings().await?;
        let left = self.end_membership(room, who, "", &mut connection).await?;
        let lease = self.lease.read().clone();
        let note = Claim::Membership { session: who.session, room: room.clone() };
        self.forget_note(&lease, &note, &mut connection).await?;
        Ok(left)
    }

    async fn members(&self, room: &RoomId) -> Result<u64, BackendError> {
        let mut connection = self.pooled().await?;
        self.timed(redis::cmd("SCARD").arg(self.keys.room_members(room)).query_async(&mut *connection)).await
    }

    fn tenure(&self) -> Tenure {
        Tenure { number: self.lease_number.load(Ordering::Acquire), is_sure: self.is_lease_sure() }
    }

    async fn renew(&self) -> Result<Lease, BackendError> {
        self.renew_lease().await
    }

    async fn sweep(&self) -> Result<Swept, BackendError> {
        self.sweep_dead().await
    }

    async fn retire(&self) -> Result<(), BackendError> {
        self.give_lease_up(None).await
    }
}

impl Redis {
    pub(super) fn is_current(&self, lease: &HeldLease) -> bool {
        **self.lease.read() == **lease
    }

    /// Has the script that makes a claim note it under a lease that lives. In a cluster, whose scripts reach one slot, it is noted before.
    /// After all other keys and arguments of the call.
    pub(super) async fn note_by(
        &self,
        call: &mut ScriptInvocation<'_>,
        lease: &HeldLease,
        claim: &Claim,
        connection: &mut Connection,
    ) -> Result<(), BackendError> {
        let (lease, claims) = (self.keys.lease(lease), self.keys.lease_claims(lease));
        if self.link.cluster().is_none() {
            call.key(lease).key(claims).arg(claim.encode());
            return Ok(());
        }
        call.arg("");
        let mut note = self.scripts.note.prepare_invoke();
        note.key(lease).key(claims).arg(claim.encode());
        let noted: bool = self.timed(note.invoke_async(connection)).await?;
        if noted { Ok(()) } else { Err(fenced()) }
    }

    /// Forgets what was noted of a claim that was refused; on one server the script did so itself.
    async fn forget_refused(
        &self,
        lease: &HeldLease,
        claim: &Claim,
        connection: &mut Connection,
    ) -> Result<(), BackendError> {
        match self.link.cluster() {
            Some(_) => self.forget_note(lease, claim, connection).await,
            None => Ok(()),
        }
    }

    pub(super) async fn forget_note(
        &self,
        lease: &HeldLease,
        claim: &Claim,
        connection: &mut Connection,
    ) -> Result<(), BackendError> {
        let mut forget = redis::cmd("SREM");
        forget.arg(self.keys.lease_claims(lease)).arg(claim.encode());
        self.timed(forget.exec_async(connection)).await
    }

    async fn call_claim(
        &self,
        nickname: &Nickname,
        holder: Holder,
        claimant: Claimant,
        lease: &HeldLease,
        note: &Claim,
        connection: &mut Connection,
    ) -> Result<Claimed, BackendError> {
        let (claimant, heir_of) = match claimant {
            Claimant::Guest => ("guest", None),
            Claimant::Account => ("account", None),
            Claimant::AccountAgain => ("again", None),
            Claimant::Heir { of, account } => (if account { "again" } else { "guest" }, Some(of)),
        };
        let mut call = self.scripts.claim.prepare_invoke();
        call.key(self.keys.nickname(nickname)).key(self.keys.user(nickname));
        call.arg(holder.session.to_string()).arg(&**lease).arg(claimant).arg(Identity::of_token(nickname).to_string());
        call.arg(u8::from(holder.reads_inbox)).arg(lease.ends_ms);
        call.arg(heir_of.map_or_else(String::new, |of| of.to_string()));
        if self.link.cluster().is_none() {
            call.key(self.keys.nickname_set(nickname));
        }
        call.arg(nickname.as_str());
        self.note_by(&mut call, lease, note, connection).await?;
        let (claimed, from): (i64, Option<String>) = self.timed(call.invoke_async(connection)).await?;
        Ok(match claimed {
            1 => Claimed::Done { from: from.as_deref().and_then(SessionId::parse) },
            0 => Claimed::InUse,
            -2 => return Err(fenced()),
            _ => Claimed::Reserved,
        })
    }

    async fn make_member(
        &self,
        room: &RoomId,
        who: &Actor,
        entry: &Entry,
        lease: &HeldLease,
        note: &Claim,
        connection: &mut Connection,
    ) -> Result<Result<Entered, Denial>, BackendError> {
        let event = Event::new(who.clone(), EventKind::Joined);
        let nickname = who.nickname.as_ref().map_or("", Nickname::as_str);
        let mut call = self.membership_call(&self.scripts.enter, room, &event, connection.run());
        call.arg(member_key(who.session)).arg(format!("{} {nickname}", &**lease));
        let came = encode_event(&Event::new(who.clone(), EventKind::Came));
        match entry {
            Entry::Join(ticket) | Entry::Heir { ticket, .. } => {
                let key = ticket.account.clone().map_or(PersonKey::Guest(who.session), PersonKey::Account);
                let how = if matches!(entry, Entry::Join(_)) { "join" } else { "heir" };
                call.arg(how).arg("").arg(ticket.account.as_ref().map_or("", Nickname::as_str)).arg(came);
                call.arg(lease.ends_ms);
                call.arg(u8::from(ticket.must_exist)).arg(ticket.proof.as_deref().unwrap_or_default());
                call.arg(person_key(&key)).arg(who.identifier()).arg(APPLICANTS_MAX).arg(ticket.request.0);
                if let Entry::Heir { of, .. } = entry {
                    call.arg(member_key(*of)).arg(encode_heir(who, *of));
                }
            }
            Entry::Restore { known, account } => {
                call.arg("restore").arg(known.map_or_else(String::new, |epoch| epoch.value().to_string()));
                call.arg(account.as_ref().map_or("", Nickname::as_str)).arg(came).arg(lease.ends_ms);
            }
        }
        self.note_by(&mut call, lease, note, connection).await?;
        let answer: Vec<String> = self.timed(call.invoke_async(connection)).await?;
        if answer == ["fenced"] {
            return Err(fenced());
        }
        read_entered(&answer).ok_or_else(|| BackendError::Failed(format!("entering was answered {answer:?}")))
    }
}

/// The lease ended before the claim was made: this node was held up in between, and others may have what its sessions had.
pub(super) fn fenced() -> BackendError {
    BackendError::Unavailable("this node's lease has ended".into())
}

/// Reads what the script of entering answers.
pub(super) fn read_entered(answer: &[String]) -> Option<Result<Entered, Denial>> {
    let (word, rest) = answer.split_first()?;
    match (word.as_str(), rest) {
        ("in", [epoch, offset, _, members, announced]) => {
            let position = Position { epoch: Epoch::new(epoch.parse().ok()?), offset: offset.parse().ok()? };
            Some(Ok(Entered { position, members: members.parse().ok()?, repeated: announced != "1" }))
        }
        ("unknown", _) => Some(Err(Denial::Unknown)),
        ("password", [hash]) => Some(Err(Denial::Password { hash: hash.clone() })),
        ("permission", runners) => {
            let runners = runners.iter().filter_map(|name| Nickname::parse(name).ok()).collect();
            Some(Err(Denial::Permission { runners }))
        }
        ("full", _) => Some(Err(Denial::TooMany)),
        _ => None,
    }
}
