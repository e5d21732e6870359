//! Accounts as members of rooms for good. The room's roll and the account's list change in one step here.

use async_trait::async_trait;

use super::super::{BackendError, Denial, Enrolment, Entered, Members, ROOMS_MAX, Resigned, RoomFault, Ticket};
use super::Embedded;
use super::presence::Wish;
use super::state::{State, Work};
use crate::chat::{Actor, Event, EventKind, Member, Nickname, Position, Role, RoomId};

impl State {
    pub fn is_on_roll(&self, id: &RoomId, account: &Nickname) -> bool {
        self.rooms.get(id).is_some_and(|room| room.roll.contains(account))
    }

    /// Makes an account a member of a room that is there, told of everything so far.
    pub fn put_on_roll(&mut self, id: &RoomId, account: Nickname, work: &mut Work) -> Result<(), BackendError> {
        let now_us = self.clock.unix_us();
        let batch = self.batch(work)?;
        let Some(room) = self.rooms.get_mut(id) else { return Ok(()) };
        let since_us = room.roll.next_us(now_us);
        batch.put_roll(id, &account, Some(since_us))?;
        batch.put_enrolment(&account, id, room.position())?;
        self.empty.remove(&(room.row.newest_us, id.clone()));
        room.roll.insert(account.clone(), since_us);
        work.or_else_in(id, move |room| {
            room.roll.remove(&account);
        });
        Ok(())
    }

    /// Ends a membership, and leaves the account's list as it is: the account looks, and tells what is left to tell.
    pub fn take_off_roll(&mut self, id: &RoomId, account: &Nickname, work: &mut Work) -> Result<(), BackendError> {
        let since_us = self.rooms.get_mut(id).and_then(|room| room.roll.remove(account));
        let Some(since_us) = since_us else { return Ok(()) };
        let name = account.clone();
        work.or_else_in(id, move |room| room.roll.insert(name, since_us));
        self.batch(work)?.put_roll(id, account, None)
    }

    fn enrol(
        &mut self,
        id: &RoomId,
        who: Actor,
        ticket: &Ticket,
        work: &mut Work,
    ) -> Result<Result<Entered, Denial>, BackendError> {
        let Some(account) = who.nickname.clone() else { return Err(nameless()) };
        let is_member = self.is_on_roll(id, &account);
        let has_place = is_member || self.has_place(id, &account, work)?;
        let ticket = Ticket { account: Some(account.clone()), ..ticket.clone() };
        if let Err(denial) = self.admit(id, &who, &ticket, Wish::Enrol { is_member, has_place }, work)? {
            return Ok(Err(denial));
        }
        if !has_place {
            return Ok(Err(Denial::TooMany));
        }
        if !is_member {
            // It may have asked before the room was opened to everybody.
            self.amend_kept(id, work, |kept| kept.withdraw(&account))?;
            self.append(id, Event::new(who, EventKind::Joined), work)?;
            self.put_on_roll(id, account, work)?;
        }
        let room = self.rooms.get(id).ok_or_else(|| BackendError::Failed("a member of no room".into()))?;
        Ok(Ok(Entered { position: room.position(), members: room.count(), repeated: is_member }))
    }

    /// Whether an account's list has the room, or place for it.
    pub fn has_place(&self, id: &RoomId, account: &Nickname, work: &mut Work) -> Result<bool, BackendError> {
        let batch = self.batch(work)?;
        Ok(batch.told(account, id)?.is_some() || batch.enrolments(account)?.len() < ROOMS_MAX)
    }

    pub fn resign(
        &mut self,
        id: &RoomId,
        who: Actor,
        deleted: bool,
        work: &mut Work,
    ) -> Result<Result<Resigned, RoomFault>, BackendError> {
        let Some(account) = who.nickname.clone() else { return Err(nameless()) };
        let Some(room) = self.rooms.get(id).filter(|room| room.exists()) else {
            return Ok(Err(RoomFault::Unknown));
        };
        if !room.roll.contains(&account) {
            if deleted {
                self.amend_kept(id, work, |kept| kept.forget_account(&account))?;
            }
            return Ok(Err(RoomFault::NotMember));
        }
        let owns = room.kept.as_ref().is_some_and(|kept| kept.owner() == Some(&account));
        if owns && !deleted {
            return Ok(Err(RoomFault::Forbidden));
        }
        let resigned = match self.heir(id, &account) {
            None if owns => {
                self.end(id, who, work)?;
                return Ok(Ok(Resigned::Destroyed));
            }
            Some(heir) if owns => {
                self.amend_kept(id, work, |kept| kept.inherit(&heir))?;
                self.append(id, Event::new(who.clone(), EventKind::Handed { to: heir.clone() }), work)?;
                Resigned::Handed { to: heir }
            }
            _ => Resigned::Left,
        };
        self.amend_kept(id, work, |kept| kept.resign(&account, deleted))?;
        self.take_off_roll(id, &account, work)?;
        self.append(id, Event::new(who, EventKind::Left), work)?;
        Ok(Ok(resigned))
    }

    /// Whose the room is after its owner: the admin's, else the member's, who has been in it for longest.
    fn heir(&self, id: &RoomId, owner: &Nickname) -> Option<Nickname> {
        let room = self.rooms.get(id)?;
        let kept = room.kept.as_ref()?;
        let others = || room.roll.iter().filter(|account| *account != owner);
        others().find(|account| kept.role(account) == Role::Admin).or_else(|| others().next()).cloned()
    }

    fn put_out(
        &mut self,
        id: &RoomId,
        by: Actor,
        who: Actor,
        work: &mut Work,
    ) -> Result<Result<(), RoomFault>, BackendError> {
        let Some(room) = self.rooms.get(id).filter(|room| room.kept.is_some()) else {
            return Ok(Err(RoomFault::Unknown));
        };
        let enrolled = who.nickname.as_ref().filter(|account| room.roll.contains(account)).cloned();
        if enrolled.is_none() && !room.members.contains_key(&who.session) {
            return Ok(Err(RoomFault::NotMember));
        }
        let may = |by: &Nickname| room.kept.as_ref().is_some_and(|kept| kept.may_remove(by, &who));
        if !by.nickname.as_ref().is_some_and(may) {
            return Ok(Err(RoomFault::Forbidden));
        }
        self.amend_kept(id, work, |kept| kept.put_out(&who))?;
        if let Some(account) = enrolled {
            self.take_off_roll(id, &account, work)?;
        }
        self.let_out(id, who.session, work);
        self.end_visit(id, who.session, work);
        self.append(id, Event::new(by, EventKind::Removed { who }), work)?;
        Ok(Ok(()))
    }

    fn hand_over(
        &mut self,
        id: &RoomId,
        by: Actor,
        to: Nickname,
        work: &mut Work,
    ) -> Result<Result<(), RoomFault>, BackendError> {
        let is_member = self.is_on_roll(id, &to);
        let handed = self.change_kept(id, work, |kept| match kept.owner() {
            _ if !is_member => Err(RoomFault::NotMember),
            Some(owner) if Some(owner) != by.nickname.as_ref() => Err(RoomFault::Forbidden),
            None => Err(RoomFault::Forbidden),
            Some(owner) if *owner == to => Ok(false),
            Some(_) => kept.hand_over(&to).map(|()| true),
        })?;
        if handed == Ok(true) {
            self.append(id, Event::new(by, EventKind::Handed { to }), work)?;
        }
        Ok(handed.map(drop))
    }

    fn roll(&self, id: &RoomId, skip: usize, limit: usize) -> Option<Vec<Member>> {
        let room = self.rooms.get(id).filter(|room| room.exists())?;
        let role = |account: &Nickname| room.kept.as_ref().map_or(Role::Member, |kept| kept.role(account));
        let enrolled = room.roll.iter();
        let enrolled = enrolled.map(|account| Member { identifier: account.to_string(), role: Some(role(account)) });
        let guests = room.members.iter().map(|(session, nickname)| {
            let guest = Actor { session: *session, nickname: nickname.clone() };
            Member { identifier: guest.identifier(), role: None }
        });
        Some(enrolled.chain(guests).skip(skip).take(limit).collect())
    }

    fn enrolments(&self, account: &Nickname, work: &mut Work) -> Result<Vec<Enrolment>, BackendError> {
        let list = self.batch(work)?.enrolments(account)?;
        let enrolment = |(room, told)| Enrolment { is_member: self.is_on_roll(&room, account), room, told };
        Ok(list.into_iter().map(enrolment).collect())
    }

    fn told(
        &self,
        account: &Nickname,
        positions: &[(RoomId, Position)],
        work: &mut Work,
    ) -> Result<Vec<RoomId>, BackendError> {
        let batch = self.batch(work)?;
        let mut foreign = Vec::new();
        for (room, told) in positions {
            match batch.told(account, room)? {
                Some(noted) if noted.epoch == told.epoch && noted.offset >= told.offset => {}
                None if !self.is_on_roll(room, account) => foreign.push(room.clone()),
                Some(_) | None => batch.put_enrolment(account, room, *told)?,
            }
        }
        Ok(foreign)
    }

    /// Who became a member again meanwhile keeps the room in the list.
    fn forget_enrolment(&self, account: &Nickname, room: &RoomId, work: &mut Work) -> Result<(), BackendError> {
        if self.is_on_roll(room, account) {
            return Ok(());
        }
        self.batch(work)?.forget_enrolment(account, room)
    }
}

fn nameless() -> BackendError {
    BackendError::Failed("a member for good without a name".into())
}

#[async_trait]
impl Members for Embedded {
    async fn enrol(
        &self,
        room: &RoomId,
        who: &Actor,
        ticket: &Ticket,
    ) -> Result<Result<Entered, Denial>, BackendError> {
        let (room, who, ticket) = (room.clone(), who.clone(), ticket.clone());
        self.ask(move |state, work| state.enrol(&room, who, &ticket, work)).await
    }

    async fn resign(
        &self,
        room: &RoomId,
        who: &Actor,
        deleted: bool,
    ) -> Result<Result<Resigned, RoomFault>, BackendError> {
        let (room, who) = (room.clone(), who.clone());
        self.ask(move |state, work| state.resign(&room, who, deleted, work)).await
    }

    async fn remove(&self, room: &RoomId, by: &Actor, who: &Actor) -> Result<Result<(), RoomFault>, BackendError> {
        let (room, by, who) = (room.clone(), by.clone(), who.clone());
        self.ask(move |state, work| state.put_out(&room, by, who, work)).await
    }

    async fn hand_over(&self, room: &RoomId, by: &Actor, to: &Nickname) -> Result<Result<(), RoomFault>, BackendError> {
        let (room, by, to) = (room.clone(), by.clone(), to.clone());
        self.ask(move |state, work| state.hand_over(&room, by, to, work)).await
    }

    async fn roll(&self, room: &RoomId, skip: usize, limit: usize) -> Result<Option<Vec<Member>>, BackendError> {
        let room = room.clone();
        self.ask(move |state, _| Ok(state.roll(&room, skip, limit))).await
    }

    async fn enrolments(&self, account: &Nickname) -> Result<Vec<Enrolment>, BackendError> {
        let account = account.clone();
        self.ask(move |state, work| state.enrolments(&account, work)).await
    }

    async fn are_in(&self, account: &Nickname, rooms: &[RoomId]) -> Result<Vec<bool>, BackendError> {
        let (account, rooms) = (account.clone(), rooms.to_vec());
        self.ask(move |state, _| Ok(rooms.iter().map(|room| state.is_on_roll(room, &account)).collect())).await
    }

    async fn told(&self, account: &Nickname, positions: &[(RoomId, Position)]) -> Result<Vec<RoomId>, BackendError> {
        let (account, positions) = (account.clone(), positions.to_vec());
        self.ask(move |state, work| state.told(&account, &positions, work)).await
    }

    async fn forget_enrolment(&self, account: &Nickname, room: &RoomId) -> Result<(), BackendError> {
        let (account, room) = (account.clone(), room.clone());
        self.ask(move |state, work| state.forget_enrolment(&account, &room, work)).await
    }
}
