//! Rooms that were created on purpose, in the embedded backend: who runs them and whom they let in.

mod row;

use std::collections::{BTreeMap, BTreeSet};

use super::super::{ADMINS_MAX, APPLICANTS_MAX, Asker, Decided, Denial, RoomChange, RoomFault, Ticket};
use super::presence::Wish;
use crate::chat::{
    AccessType, Actor, Addressee, Applicant, Nickname, PersonKey, RequestId, Role, RoomId, RoomRecord, RoomSummary,
    RoomView, SessionId,
};

/// A kept room beside its stream and its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    record: RoomRecord,
    admins: BTreeSet<Nickname>,
    /// Whom the room lets in without asking again.
    admitted: BTreeSet<PersonKey>,
    /// Who waits for the permission, with what they are called.
    applicants: BTreeMap<PersonKey, Asking>,
}

/// How somebody waits for the room's permission.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Asking {
    identifier: String,
    request: RequestId,
    asked_s: i64,
    enrols: bool,
}

impl Asking {
    fn of(&self, key: &PersonKey) -> Applicant {
        let Self { identifier, request, asked_s, enrols } = self.clone();
        Applicant { key: key.clone(), identifier, request, asked_s, enrols }
    }
}

impl Kept {
    pub fn new(record: RoomRecord) -> Self {
        Self { record, admins: BTreeSet::new(), admitted: BTreeSet::new(), applicants: BTreeMap::new() }
    }

    /// Whether everybody may enter.
    pub fn is_open(&self) -> bool {
        self.record.access == AccessType::Public
    }

    /// Whether one may enter. Who may not and can be permitted, waits from now on. A member already is asked for the
    /// password, and for nothing else.
    pub fn admit(&mut self, who: &Actor, ticket: &Ticket, wish: Wish, now_s: i64) -> Result<(), Denial> {
        if ticket.account.as_ref().is_some_and(|account| self.is_run_by(account)) {
            return Ok(());
        }
        match self.record.access {
            AccessType::Public => Ok(()),
            AccessType::Password => match &self.record.password_hash {
                hash if *hash == ticket.proof => Ok(()),
                Some(hash) => Err(Denial::Password { hash: hash.clone() }),
                None => Ok(()),
            },
            AccessType::Permission if matches!(wish, Wish::Enrol { is_member: true, .. }) => Ok(()),
            AccessType::Permission => self.admit_permitted(who, ticket, wish, now_s),
        }
    }

    fn admit_permitted(&mut self, who: &Actor, ticket: &Ticket, wish: Wish, now_s: i64) -> Result<(), Denial> {
        let key = ticket.account.clone().map_or(PersonKey::Guest(who.session), PersonKey::Account);
        if self.admitted.contains(&key) {
            return Ok(());
        }
        if matches!(wish, Wish::Enrol { has_place: false, .. })
            || self.applicants.len() >= APPLICANTS_MAX && !self.applicants.contains_key(&key)
        {
            return Err(Denial::TooMany);
        }
        let enrols = wish != Wish::Visit;
        if let Some(before) = self.applicants.get_mut(&key) {
            before.enrols |= enrols;
            return Err(Denial::Permission { runners: Vec::new() });
        }
        self.ask(key, Asking { identifier: who.identifier(), request: ticket.request, asked_s: now_s, enrols });
        Err(Denial::Permission { runners: self.record.owner.iter().chain(&self.admins).cloned().collect() })
    }

    /// A name has one holder: whoever asked under it before has another by now, and must not be approved in its place.
    fn ask(&mut self, key: PersonKey, asking: Asking) {
        for (other, before) in self.applicants.iter_mut().filter(|(_, before)| before.identifier == asking.identifier) {
            if let PersonKey::Guest(session) = other {
                before.identifier = session.to_string();
            }
        }
        self.applicants.insert(key, asking);
    }

    /// A guest is gone, and with it what it was permitted or asked for; `true` if there was anything.
    pub fn forget_guest(&mut self, session: SessionId) -> bool {
        let key = PersonKey::Guest(session);
        self.admitted.remove(&key) | self.applicants.remove(&key).is_some()
    }

    /// What a guest was permitted is another session's from now on.
    pub fn pass_on(&mut self, from: SessionId, to: SessionId) {
        if self.admitted.remove(&PersonKey::Guest(from)) {
            self.admitted.insert(PersonKey::Guest(to));
        }
    }

    pub fn knows_guest(&self, session: SessionId) -> bool {
        let key = PersonKey::Guest(session);
        self.admitted.contains(&key) || self.applicants.contains_key(&key)
    }

    /// An account is gone: whoever bears its name next has nothing of it.
    pub fn forget_account(&mut self, account: &Nickname) {
        let key = PersonKey::Account(account.clone());
        self.admins.remove(account);
        self.admitted.remove(&key);
        self.applicants.remove(&key);
    }

    pub fn knows_account(&self, account: &Nickname) -> bool {
        let key = PersonKey::Account(account.clone());
        self.admins.contains(account) || self.admitted.contains(&key) || self.applicants.contains_key(&key)
    }

    /// Somebody is put out, with all that was permitted to them.
    pub fn put_out(&mut self, who: &Actor) {
        if let Some(name) = &who.nickname {
            self.forget_account(name);
        }
        self.forget_guest(who.session);
    }

    pub fn owner(&self) -> Option<&Nickname> {
        self.record.owner.as_ref()
    }

    /// What the search goes by beside the room's id.
    pub fn nickname(&self) -> &str {
        &self.record.nickname
    }

    pub fn role(&self, account: &Nickname) -> Role {
        if self.owner() == Some(account) {
            Role::Owner
        } else if self.admins.contains(account) {
            Role::Admin
        } else {
            Role::Member
        }
    }

    /// Whether one may put the other out. An owner goes by handing the room over.
    pub fn may_remove(&self, by: &Nickname, who: &Actor) -> bool {
        let theirs = who.nickname.as_ref().map_or(Role::Member, |name| self.role(name));
        self.role(by) < theirs && self.role(by) != Role::Member
    }

    /// A member has gone: an admin that is none is no admin.
    pub fn resign(&mut self, account: &Nickname, deleted: bool) {
        self.admins.remove(account);
        if deleted {
            self.forget_account(account);
        }
    }

    /// The former owner stays as an admin.
    pub fn hand_over(&mut self, to: &Nickname) -> Result<(), RoomFault> {
        let admins_left = self.admins.len() - usize::from(self.admins.contains(to));
        if self.record.owner.is_some() && admins_left >= ADMINS_MAX {
            return Err(RoomFault::TooMany);
        }
        self.admins.remove(to);
        self.admins.extend(self.record.owner.replace(to.clone()));
        Ok(())
    }

    /// The owner's account is gone.
    pub fn inherit(&mut self, to: &Nickname) {
        self.admins.remove(to);
        self.record.owner = Some(to.clone());
    }

    pub fn is_run_by(&self, account: &Nickname) -> bool {
        self.record.owner.as_ref() == Some(account) || self.admins.contains(account)
    }

    /// Whether an account, or a guest for `None`, may destroy it.
    pub fn may_destroy(&self, account: Option<&Nickname>) -> bool {
        self.record.owner.is_none() || self.record.owner.as_ref() == account
    }

    pub fn change(&mut self, change: RoomChange) {
        let record = &mut self.record;
        if let Some((access, password_hash)) = change.access {
            (record.access, record.password_hash) = (access, password_hash);
        }
        record.nickname = change.nickname.unwrap_or_else(|| std::mem::take(&mut record.nickname));
        record.description = change.description.unwrap_or_else(|| std::mem::take(&mut record.description));
    }

    pub fn decide(&mut self, who: &Asker, approve: bool) -> Decided {
        let found = self.key_of(who).and_then(|key| self.applicants.remove_entry(&key));
        let (key, asking) = found.ok_or(RoomFault::NoApplicant)?;
        if approve {
            self.admitted.insert(key.clone());
        }
        Ok(asking.of(&key))
    }

    /// Who is meant, if they wait.
    pub fn asking(&self, who: &Asker) -> Option<Applicant> {
        let key = self.key_of(who)?;
        Some(self.applicants.get(&key)?.of(&key))
    }

    fn key_of(&self, who: &Asker) -> Option<PersonKey> {
        match who {
            Asker::Named(Addressee::Session(session)) => Some(PersonKey::Guest(*session)),
            Asker::Named(Addressee::Nickname(name)) => self.applicant(|asking| asking.identifier == name.as_str()),
            Asker::Request(request) => self.applicant(|asking| asking.request == *request),
        }
    }

    fn applicant(&self, is_meant: impl Fn(&Asking) -> bool) -> Option<PersonKey> {
        self.applicants.iter().find(|(_, asking)| is_meant(asking)).map(|(key, _)| key.clone())
    }

    /// An account no longer wants to be let in, or need not ask.
    pub fn withdraw(&mut self, account: &Nickname) {
        self.applicants.remove(&PersonKey::Account(account.clone()));
    }

    /// Whether that changed anything. An owner is more than an admin already.
    pub fn appoint(&mut self, account: &Nickname, admin: bool) -> Result<bool, RoomFault> {
        if admin == self.admins.contains(account) || admin && self.owner() == Some(account) {
            return Ok(false);
        }
        if !admin {
            return Ok(self.admins.remove(account));
        }
        if self.admins.len() >= ADMINS_MAX {
            return Err(RoomFault::TooMany);
        }
        Ok(self.admins.insert(account.clone()))
    }

    pub fn view(&self, members: u64) -> RoomView {
        RoomView {
            record: self.record.clone(),
            admins: self.admins.iter().cloned().collect(),
            applicants: self.applicants.iter().map(|(key, asking)| asking.of(key)).collect(),
            members,
        }
    }

    pub fn summary(&self, room: RoomId, members: u64) -> RoomSummary {
        self.record.summary(room, members)
    }
}
