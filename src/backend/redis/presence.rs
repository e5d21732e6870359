//! Who is there, on Redis: nicknames, memberships, the lease they belong to.
//!
//! Each claim is first noted under the node's lease and then made, each release the other way round: a crash in between
//! leaves at worst a note without a claim, which the sweep takes for released.

use async_trait::async_trait;
use redis::aio::MultiplexedConnection;

use super::super::{BackendError, Entered, Entry, Lease, Presence, Swept};
use super::Redis;
use super::lease::{Claim, member_key};
use crate::chat::{Actor, Epoch, Event, EventKind, Nickname, Position, RoomId, SessionId};

#[async_trait]
impl Presence for Redis {
    async fn claim(&self, nickname: &Nickname, session: SessionId) -> Result<bool, BackendError> {
        let note = Claim::Nickname { session, nickname: nickname.clone() };
        let mut connection = self.pooled().await?;
        loop {
            let lease = self.sure_lease()?;
            self.note(&lease, &note, &mut connection).await?;
            let mut call = self.scripts.claim.prepare_invoke();
            call.key(self.keys.nickname(nickname)).arg(session.to_string()).arg(&lease);
            let claimed: bool = self.timed(call.invoke_async(&mut *connection)).await?;
            if !claimed {
                self.unnote(&lease, &note, &mut connection).await?;
                return Ok(false);
            }
            let mut list = redis::cmd("SADD");
            list.arg(self.keys.nickname_set(nickname)).arg(nickname.as_str());
            self.timed(list.exec_async(&mut *connection)).await?;
            if self.is_current(&lease) {
                return Ok(true);
            }
        }
    }

    async fn release(&self, nickname: &Nickname, session: SessionId) -> Result<(), BackendError> {
        let mut connection = self.pooled().await?;
        self.free_nickname(nickname, session, "", &mut connection).await?;
        let lease = self.lease.read().clone();
        self.unnote(&lease, &Claim::Nickname { session, nickname: nickname.clone() }, &mut connection).await
    }

    async fn enter(&self, room: &RoomId, who: &Actor, entry: Entry) -> Result<Entered, BackendError> {
        let note = Claim::Membership { session: who.session, room: room.clone() };
        let mut connection = self.pooled().await?;
        let mut announced_before = None;
        loop {
            let lease = self.sure_lease()?;
            self.note(&lease, &note, &mut connection).await?;
            let entered = self.make_member(room, who, entry, &lease, &mut connection).await?;
            // Only the first turn can announce; a later one, under a new lease, finds the membership made.
            let entered = announced_before.unwrap_or(entered);
            if self.is_current(&lease) {
                return Ok(entered);
            }
            announced_before = Some(entered);
        }
    }

    async fn leave(&self, room: &RoomId, who: &Actor) -> Result<Option<Position>, BackendError> {
        let mut connection = self.pooled().await?;
        let left = self.end_membership(room, who, "", &mut connection).await?;
        let lease = self.lease.read().clone();
        self.unnote(&lease, &Claim::Membership { session: who.session, room: room.clone() }, &mut connection).await?;
        Ok(left.map(|(epoch, offset)| Position { epoch: Epoch::new(epoch), offset }))
    }

    async fn members(&self, room: &RoomId) -> Result<u64, BackendError> {
        let mut connection = self.pooled().await?;
        self.timed(redis::cmd("SCARD").arg(self.keys.room_members(room)).query_async(&mut *connection)).await
    }

    async fn renew(&self) -> Result<Lease, BackendError> {
        self.renew_lease().await
    }

    async fn sweep(&self) -> Result<Swept, BackendError> {
        self.sweep_dead().await
    }

    async fn retire(&self) -> Result<(), BackendError> {
        self.retire_lease().await
    }
}

impl Redis {
    fn is_current(&self, lease: &str) -> bool {
        *self.lease.read() == lease
    }

    async fn note(
        &self,
        lease: &str,
        claim: &Claim,
        connection: &mut MultiplexedConnection,
    ) -> Result<(), BackendError> {
        self.timed(redis::cmd("SADD").arg(self.keys.lease_claims(lease)).arg(claim.encode()).exec_async(connection))
            .await
    }

    async fn unnote(
        &self,
        lease: &str,
        claim: &Claim,
        connection: &mut MultiplexedConnection,
    ) -> Result<(), BackendError> {
        self.timed(redis::cmd("SREM").arg(self.keys.lease_claims(lease)).arg(claim.encode()).exec_async(connection))
            .await
    }

    async fn make_member(
        &self,
        room: &RoomId,
        who: &Actor,
        entry: Entry,
        lease: &str,
        connection: &mut MultiplexedConnection,
    ) -> Result<Entered, BackendError> {
        let event = Event::new(who.clone(), EventKind::Joined);
        let (mode, known) = match entry {
            Entry::Join => ("join", String::new()),
            Entry::Restore { known } => ("restore", known.map_or_else(String::new, |epoch| epoch.value().to_string())),
        };
        let nickname = who.nickname.as_ref().map_or("", Nickname::as_str);
        let mut call = self.membership_call(&self.scripts.enter, room, &event);
        call.arg(member_key(who.session)).arg(format!("{lease} {nickname}")).arg(mode).arg(known);
        let (epoch, offset, _, members, announced): (u64, u64, i64, u64, bool) =
            self.timed(call.invoke_async(connection)).await?;
        let position = Position { epoch: Epoch::new(epoch), offset };
        Ok(Entered { position, members, repeated: !announced })
    }
}
