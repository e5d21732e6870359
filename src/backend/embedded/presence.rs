//! Who is there. The only node is alive as long as it asks, so no lease runs out.

use std::sync::Arc;

use async_trait::async_trait;

use super::super::{BackendError, Claimant, Claimed, Denial, Entered, Entry, Holder, Lease, Presence, Swept, Ticket};
use super::Embedded;
use super::room::Room;
use super::state::{State, Work};
use crate::chat::{Actor, Event, EventKind, Identity, Nickname, Position, RoomId, SessionId};

/// How somebody asks to be let in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// For as long as the session stays.
    Visit,
    /// For good; a member asks again to hear that it is one. Who is in as many rooms as allowed need not wait for one more.
    Enrol { is_member: bool, has_place: bool },
}

impl State {
    fn claim(
        &mut self,
        nickname: Nickname,
        claiming: Holder,
        claimant: Claimant,
        work: &mut Work,
    ) -> Result<Claimed, BackendError> {
        match (claimant, self.accounts.owner_of(&nickname)) {
            (Claimant::Guest | Claimant::Heir { account: false, .. }, Some(_)) => return Ok(Claimed::Reserved),
            (Claimant::Account, None) => {
                self.register(Identity::of_token(&nickname), nickname.clone(), false, work)?;
            }
            _ => {}
        }
        let before = self.nicknames.get(&nickname).copied();
        let other = before.map(|holder| holder.session).filter(|holder| *holder != claiming.session);
        let may_take = |other: SessionId| match claimant {
            Claimant::Account => true,
            Claimant::Heir { of, .. } => other == of,
            Claimant::Guest | Claimant::AccountAgain => false,
        };
        if !other.is_none_or(may_take) {
            return Ok(Claimed::InUse);
        }
        self.nicknames.insert(nickname.clone(), claiming);
        work.or_else(move |state| state.bear(nickname, before));
        Ok(Claimed::Done { from: other })
    }

    fn release(&mut self, nickname: Nickname, session: SessionId, work: &mut Work) -> Result<bool, BackendError> {
        let Some(holder) = self.nicknames.get(&nickname).copied().filter(|holder| holder.session == session) else {
            return Ok(false);
        };
        self.nicknames.remove(&nickname);
        if self.accounts.owner_of(&nickname).is_some() {
            let now_s = self.now_s();
            let batch = self.batch(work)?;
            self.accounts.was_active(&nickname, now_s, batch)?;
        }
        work.or_else(move |state| state.bear(nickname, Some(holder)));
        Ok(true)
    }

    fn bear(&mut self, nickname: Nickname, holder: Option<Holder>) {
        match holder {
            Some(holder) => self.nicknames.insert(nickname, holder),
            None => self.nicknames.remove(&nickname),
        };
    }

    fn enter(
        &mut self,
        id: &RoomId,
        who: Actor,
        entry: &Entry,
        work: &mut Work,
    ) -> Result<Result<Entered, Denial>, BackendError> {
        let account = match entry {
            Entry::Join(ticket) | Entry::Heir { ticket, .. } => ticket.account.as_ref(),
            Entry::Restore { account, .. } => account.as_ref(),
        };
        let inherits = match entry {
            Entry::Heir { of, .. } => self.pass_on(id, *of, who.session, work)?,
            _ => false,
        };
        let room = self.rooms.get(id);
        // Its account is in already, so it is one more way to it, and nobody to be counted.
        let visits = room.is_some_and(|room| account.is_some_and(|account| room.roll.contains(account)));
        let is_in =
            |room: &Room| room.members.contains_key(&who.session) || (visits && room.visitors.contains(&who.session));
        let repeated = room.is_some_and(is_in);
        if let Entry::Join(ticket) | Entry::Heir { ticket, .. } = entry
            && !repeated
            && !inherits
            && !visits
            && let Err(denial) = self.admit(id, &who, ticket, Wish::Visit, work)?
        {
            return Ok(Err(denial));
        }
        // Nothing is ever lost in this process, so a restored member is one that was there all the time.
        let silent = repeated || inherits || matches!(entry, Entry::Restore { .. });
        let kind = if visits { EventKind::Came } else { EventKind::Joined };
        let position = match self.rooms.get(id) {
            Some(room) if silent => room.position(),
            _ => self.append(id, Event::new(who.clone(), kind), work)?,
        };
        match (repeated, visits) {
            (true, _) => {}
            (false, true) => self.let_visit(id, who.session, work),
            (false, false) => self.let_in(id, who, work),
        }
        let members = self.rooms.get(id).map_or(0, |room| room.count());
        Ok(Ok(Entered { position, members, repeated: silent }))
    }

    /// Takes a session out whose place in the room another one takes, with what it was permitted there; whether it was in.
    fn pass_on(&mut self, id: &RoomId, from: SessionId, to: SessionId, work: &mut Work) -> Result<bool, BackendError> {
        let (was_in, visited) = (self.let_out(id, from, work), self.end_visit(id, from, work));
        let kept = self.rooms.get(id).and_then(|room| room.kept.clone());
        if let Some(mut kept) = kept.filter(|kept| was_in && kept.knows_guest(from)) {
            Arc::make_mut(&mut kept).pass_on(from, to);
            self.keep_if_changed(id, kept, work)?;
        }
        Ok(was_in || visited)
    }

    fn let_in(&mut self, id: &RoomId, who: Actor, work: &mut Work) {
        let Some(room) = self.rooms.get_mut(id) else { return };
        self.empty.remove(&(room.row.newest_us, id.clone()));
        room.members.insert(who.session, who.nickname);
        work.or_else_in(id, move |room| {
            room.members.remove(&who.session);
        });
    }

    fn let_visit(&mut self, id: &RoomId, session: SessionId, work: &mut Work) {
        let Some(room) = self.rooms.get_mut(id) else { return };
        room.visitors.insert(session);
        work.or_else_in(id, move |room| {
            room.visitors.remove(&session);
        });
    }

    /// Ends a session's visit; whether it was on one.
    pub fn end_visit(&mut self, id: &RoomId, session: SessionId, work: &mut Work) -> bool {
        let visited = self.rooms.get_mut(id).is_some_and(|room| room.visitors.remove(&session));
        if visited {
            work.or_else_in(id, move |room| {
                room.visitors.insert(session);
            });
        }
        visited
    }

    /// Ends a session's membership; whether it had one.
    pub fn let_out(&mut self, id: &RoomId, session: SessionId, work: &mut Work) -> bool {
        let nickname = self.rooms.get_mut(id).and_then(|room| room.members.remove(&session));
        let Some(nickname) = nickname else { return false };
        work.or_else_in(id, move |room| {
            room.members.insert(session, nickname);
        });
        true
    }

    /// Looks whether a room lets somebody in.
    pub fn admit(
        &mut self,
        id: &RoomId,
        who: &Actor,
        ticket: &Ticket,
        wish: Wish,
        work: &mut Work,
    ) -> Result<Result<(), Denial>, BackendError> {
        let room = self.rooms.get(id);
        if ticket.must_exist && !room.is_some_and(|room| room.exists()) {
            return Ok(Err(Denial::Unknown));
        }
        match room.and_then(|room| room.kept.clone()) {
            Some(kept) if kept.is_open() => Ok(Ok(())),
            Some(mut kept) => {
                let admitted = Arc::make_mut(&mut kept).admit(who, ticket, wish, self.now_s());
                self.keep_if_changed(id, kept, work)?;
                Ok(admitted)
            }
            None => Ok(Ok(())),
        }
    }

    fn leave(&mut self, id: &RoomId, who: Actor, work: &mut Work) -> Result<Option<Position>, BackendError> {
        let kept = self.rooms.get(id).and_then(|room| room.kept.clone());
        if let Some(mut kept) = kept.filter(|kept| kept.knows_guest(who.session)) {
            Arc::make_mut(&mut kept).forget_guest(who.session);
            self.keep_if_changed(id, kept, work)?;
        }
        let is_enrolled = |room: &Room| who.nickname.as_ref().is_some_and(|account| room.roll.contains(account));
        let is_enrolled = self.rooms.get(id).is_some_and(is_enrolled);
        let (was_in, visited) = (self.let_out(id, who.session, work), self.end_visit(id, who.session, work));
        let was_there = was_in || (visited && is_enrolled);
        if !was_there {
            return Ok(None);
        }
        let kind = if is_enrolled { EventKind::Went } else { EventKind::Left };
        self.append(id, Event::new(who, kind), work).map(Some)
    }
}

#[async_trait]
impl Presence for Embedded {
    async fn claim(&self, nickname: &Nickname, holder: Holder, claimant: Claimant) -> Result<Claimed, BackendError> {
        let nickname = nickname.clone();
        self.ask(move |state, work| state.claim(nickname, holder, claimant, work)).await
    }

    async fn release(&self, nickname: &Nickname, session: SessionId) -> Result<bool, BackendError> {
        let nickname = nickname.clone();
        self.ask(move |state, work| state.release(nickname, session, work)).await
    }

    async fn holder(&self, nickname: &Nickname) -> Result<Option<Holder>, BackendError> {
        let nickname = nickname.clone();
        self.ask(move |state, _| Ok(state.nicknames.get(&nickname).copied())).await
    }

    async fn enter(&self, room: &RoomId, who: &Actor, entry: &Entry) -> Result<Result<Entered, Denial>, BackendError> {
        let (room, who, entry) = (room.clone(), who.clone(), entry.clone());
        self.ask(move |state, work| state.enter(&room, who, &entry, work)).await
    }

    async fn leave(&self, room: &RoomId, who: &Actor) -> Result<Option<Position>, BackendError> {
        let (room, who) = (room.clone(), who.clone());
        self.ask(move |state, work| state.leave(&room, who, work)).await
    }

    async fn members(&self, room: &RoomId) -> Result<u64, BackendError> {
        let room = room.clone();
        self.ask(move |state, _| Ok(state.rooms.get(&room).map_or(0, |room| room.count()))).await
    }

    /// The only node is alive as long as it asks.
    async fn renew(&self) -> Result<Lease, BackendError> {
        Ok(Lease::Held)
    }

    /// No other node can die; what outlived its retention is forgotten instead.
    async fn sweep(&self) -> Result<Swept, BackendError> {
        self.ask(|state, work| state.tidy(work)).await.map(|()| Swept::default())
    }

    async fn retire(&self) -> Result<(), BackendError> {
        self.stop().await
    }
}
