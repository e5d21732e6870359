//! Rooms that were created on purpose.

use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;

use super::super::{Asker, BackendError, Creation, Decided, RoomChange, RoomFault, Rooms};
use super::Embedded;
use super::kept::Kept;
use super::search::Kind;
use super::state::{State, Work};
use super::store::Mark;
use crate::chat::{
    Actor, Applicant, Event, EventKind, Nickname, PersonKey, Role, RoomId, RoomNews, RoomRecord, RoomSummary, RoomView,
};

impl State {
    fn create(&mut self, id: &RoomId, record: RoomRecord, work: &mut Work) -> Result<Creation, BackendError> {
        if self.rooms.get(id).is_some_and(|room| room.exists()) {
            return Ok(Creation::Exists);
        }
        let owner_has_place = match &record.owner {
            Some(owner) => self.has_place(id, owner, work)?,
            None => true,
        };
        if self.kept.len() as u64 >= self.retention.kept_rooms || !owner_has_place {
            return Ok(Creation::TooMany);
        }
        self.make_place(id, work)?;
        self.remember(id, work);
        let row = self.rooms.get(id).map_or_else(|| self.fresh_row(), |room| room.row);
        self.batch(work)?.put_room(id, row)?;
        self.note(id, row);
        let owner = record.owner.clone();
        self.keep_if_changed(id, Arc::new(Kept::new(record)), work)?;
        if let Some(owner) = owner {
            self.put_on_roll(id, owner, work)?;
        }
        let rooms = self.kept.len() as u64;
        self.batch(work)?.raise(Mark::Rooms, rooms)?;
        Ok(Creation::Done)
    }

    fn destroy(
        &mut self,
        id: &RoomId,
        by: Actor,
        account: Option<&Nickname>,
        work: &mut Work,
    ) -> Result<Result<(), RoomFault>, BackendError> {
        let room = self.rooms.get(id).filter(|room| room.exists());
        let Some(room) = room else { return Ok(Err(RoomFault::Unknown)) };
        if room.kept.as_ref().is_some_and(|kept| !kept.may_destroy(account)) {
            return Ok(Err(RoomFault::Forbidden));
        }
        self.end(id, by, work).map(Ok)
    }

    /// Ends a room with everything but its stream, which says so last.
    pub fn end(&mut self, id: &RoomId, by: Actor, work: &mut Work) -> Result<(), BackendError> {
        self.remember(id, work);
        let members: Vec<Nickname> =
            self.rooms.get(id).map_or_else(Vec::new, |room| room.roll.iter().cloned().collect());
        for account in &members {
            self.take_off_roll(id, account, work)?;
        }
        self.batch(work)?.put_kept(id, None)?;
        self.kept.remove(id);
        if let Some(room) = self.rooms.get_mut(id) {
            let known_as = room.kept.take().map(|kept| kept.nickname().to_owned());
            let sessions = std::mem::take(&mut room.members);
            let visitors = std::mem::take(&mut room.visitors);
            work.or_else_in(id, |room| (room.members, room.visitors) = (sessions, visitors));
            self.index_again(Kind::Room, id.as_str(), known_as.as_deref(), None, work);
        }
        self.append(id, Event::new(by, EventKind::Destroyed { room: id.clone() }), work)?;
        Ok(())
    }

    fn change(
        &mut self,
        id: &RoomId,
        by: Actor,
        change: RoomChange,
        work: &mut Work,
    ) -> Result<Result<(), RoomFault>, BackendError> {
        let RoomChange { access, nickname, description } = change.clone();
        let news = RoomNews { access: access.map(|(access, _)| access), nickname, description };
        let changed = self.change_kept(id, work, |kept| match &by.nickname {
            Some(account) if kept.is_run_by(account) => {
                kept.change(change);
                Ok(())
            }
            _ => Err(RoomFault::Forbidden),
        })?;
        if changed.is_ok() && news != RoomNews::default() {
            self.append(id, Event::new(by, EventKind::Changed(news)), work)?;
        }
        Ok(changed)
    }

    fn decide(
        &mut self,
        id: &RoomId,
        by: &Nickname,
        who: &Asker,
        approve: bool,
        work: &mut Work,
    ) -> Result<Decided, BackendError> {
        let has_place = !approve || self.asker_has_place(id, who, work)?;
        let decided = self.change_kept(id, work, |kept| {
            if !kept.is_run_by(by) {
                return Err(RoomFault::Forbidden);
            }
            if has_place { kept.decide(who, approve) } else { Err(RoomFault::TooMany) }
        })?;
        if let Ok(applicant) = &decided
            && let PersonKey::Account(account) = &applicant.key
            && approve
            && applicant.enrols
            && !self.is_on_roll(id, account)
        {
            self.append(id, Event::new(Actor::account(account.clone()), EventKind::Joined), work)?;
            self.put_on_roll(id, account.clone(), work)?;
        }
        Ok(decided)
    }

    /// Whether whoever asked has place for one more room, if they need it.
    fn asker_has_place(&self, id: &RoomId, who: &Asker, work: &mut Work) -> Result<bool, BackendError> {
        let kept = self.rooms.get(id).and_then(|room| room.kept.as_ref());
        match kept.and_then(|kept| kept.asking(who)) {
            Some(Applicant { key: PersonKey::Account(account), enrols: true, .. }) => {
                self.has_place(id, &account, work)
            }
            _ => Ok(true),
        }
    }

    fn appoint(
        &mut self,
        id: &RoomId,
        by: Actor,
        account: Nickname,
        appointment: Appointment,
        work: &mut Work,
    ) -> Result<Result<(), RoomFault>, BackendError> {
        let Appointment { admin, of_members } = appointment;
        let is_member = self.is_on_roll(id, &account);
        let changed = self.change_kept(id, work, |kept| {
            let is_meant = if admin { is_member } else { kept.role(&account) == Role::Admin };
            if of_members && !is_meant {
                return Err(RoomFault::NotMember);
            }
            if kept.owner().is_none() || kept.owner() != by.nickname.as_ref() {
                return Err(RoomFault::Forbidden);
            }
            kept.appoint(&account, admin)
        })?;
        if changed == Ok(true) {
            self.append(id, Event::new(by, EventKind::Appointed { account, admin }), work)?;
        }
        Ok(changed.map(drop))
    }

    /// Changes what is known of a room, if it is kept.
    pub fn amend_kept(
        &mut self,
        id: &RoomId,
        work: &mut Work,
        amend: impl FnOnce(&mut Kept),
    ) -> Result<(), BackendError> {
        let Some(mut kept) = self.rooms.get(id).and_then(|room| room.kept.clone()) else { return Ok(()) };
        amend(Arc::make_mut(&mut kept));
        self.keep_if_changed(id, kept, work)
    }

    /// The same where it may be refused.
    pub fn change_kept<T>(
        &mut self,
        id: &RoomId,
        work: &mut Work,
        change: impl FnOnce(&mut Kept) -> Result<T, RoomFault>,
    ) -> Result<Result<T, RoomFault>, BackendError> {
        let Some(mut kept) = self.rooms.get(id).and_then(|room| room.kept.clone()) else {
            return Ok(Err(RoomFault::Unknown));
        };
        let changed = change(Arc::make_mut(&mut kept));
        self.keep_if_changed(id, kept, work)?;
        Ok(changed)
    }

    pub fn keep_if_changed(&mut self, id: &RoomId, kept: Arc<Kept>, work: &mut Work) -> Result<(), BackendError> {
        let before = self.rooms.get(id).and_then(|room| room.kept.clone());
        if before.as_ref() == Some(&kept) {
            return Ok(());
        }
        self.remember(id, work);
        self.batch(work)?.put_kept(id, Some(&kept))?;
        self.kept.insert(id.clone());
        let known_as = before.as_ref().map(|kept| kept.nickname());
        self.index_again(Kind::Room, id.as_str(), known_as, Some(kept.nickname()), work);
        if let Some(room) = self.rooms.get_mut(id) {
            self.empty.remove(&(room.row.newest_us, id.clone()));
            room.kept = Some(kept);
        }
        Ok(())
    }

    pub fn view(&self, id: &RoomId) -> Option<RoomView> {
        let room = self.rooms.get(id)?;
        Some(room.kept.as_ref()?.view(room.count()))
    }

    pub fn list(&self, after: Option<&RoomId>, limit: usize) -> Vec<RoomSummary> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let summary = |id: &RoomId| {
            let room = self.rooms.get(id)?;
            Some(room.kept.as_ref()?.summary(id.clone(), room.count()))
        };
        self.kept.range((from, Bound::Unbounded)).filter_map(summary).take(limit).collect()
    }
}

struct Appointment {
    admin: bool,
    of_members: bool,
}

#[async_trait]
impl Rooms for Embedded {
    async fn create(&self, room: &RoomId, record: &RoomRecord) -> Result<Creation, BackendError> {
        let (room, record) = (room.clone(), record.clone());
        self.ask(move |state, work| state.create(&room, record, work)).await
    }

    async fn destroy(
        &self,
        room: &RoomId,
        by: &Actor,
        account: Option<&Nickname>,
    ) -> Result<Result<(), RoomFault>, BackendError> {
        let (room, by, account) = (room.clone(), by.clone(), account.cloned());
        self.ask(move |state, work| state.destroy(&room, by, account.as_ref(), work)).await
    }

    async fn change(
        &self,
        room: &RoomId,
        by: &Actor,
        change: &RoomChange,
    ) -> Result<Result<(), RoomFault>, BackendError> {
        let (room, by, change) = (room.clone(), by.clone(), change.clone());
        self.ask(move |state, work| state.change(&room, by, change, work)).await
    }

    async fn decide(&self, room: &RoomId, by: &Nickname, who: &Asker, approve: bool) -> Result<Decided, BackendError> {
        let (room, by, who) = (room.clone(), by.clone(), who.clone());
        self.ask(move |state, work| state.decide(&room, &by, &who, approve, work)).await
    }

    async fn withdraw(&self, room: &RoomId, account: &Nickname) -> Result<(), BackendError> {
        let (room, account) = (room.clone(), account.clone());
        self.ask(move |state, work| state.amend_kept(&room, work, |kept| kept.withdraw(&account))).await
    }

    async fn appoint(
        &self,
        room: &RoomId,
        by: &Actor,
        account: &Nickname,
        admin: bool,
        of_members: bool,
    ) -> Result<Result<(), RoomFault>, BackendError> {
        let (room, by, account) = (room.clone(), by.clone(), account.clone());
        let appointment = Appointment { admin, of_members };
        self.ask(move |state, work| state.appoint(&room, by, account, appointment, work)).await
    }

    async fn view(&self, room: &RoomId) -> Result<Option<RoomView>, BackendError> {
        let room = room.clone();
        self.ask(move |state, _| Ok(state.view(&room))).await
    }

    async fn list(&self, after: Option<&RoomId>, limit: usize) -> Result<Vec<RoomSummary>, BackendError> {
        let after = after.cloned();
        self.ask(move |state, _| Ok(state.list(after.as_ref(), limit))).await
    }
}
