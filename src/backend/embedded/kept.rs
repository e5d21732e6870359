//! Rooms that were created on purpose, in the embedded backend: who runs them and whom they let in.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::super::{ADMINS_MAX, APPLICANTS_MAX, Asker, Decided, Denial, RoomChange, RoomFault, Ticket};
use crate::chat::{
    AccessType, Actor, Addressee, Applicant, Nickname, PersonKey, RequestId, RoomId, RoomRecord, RoomSummary, RoomView,
    SessionId,
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

    /// Whether one may enter. Who may not and can be permitted, waits from now on.
    pub fn admit(&mut self, who: &Actor, ticket: &Ticket, now_s: i64, enrols: bool) -> Result<(), Denial> {
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
            AccessType::Permission => self.admit_permitted(who, ticket, now_s, enrols),
        }
    }

    fn admit_permitted(&mut self, who: &Actor, ticket: &Ticket, now_s: i64, enrols: bool) -> Result<(), Denial> {
        let key = ticket.account.clone().map_or(PersonKey::Guest(who.session), PersonKey::Account);
        if self.admitted.contains(&key) {
            return Ok(());
        }
        if self.applicants.len() >= APPLICANTS_MAX && !self.applicants.contains_key(&key) {
            return Err(Denial::TooMany);
        }
        let first = !self.applicants.contains_key(&key);
        if first {
            let asking = Asking { identifier: who.identifier(), request: ticket.request, asked_s: now_s, enrols };
            self.ask(key, asking);
        }
        let runners = self.record.owner.iter().chain(&self.admins).cloned();
        Err(Denial::Permission { runners: if first { runners.collect() } else { Vec::new() } })
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

    pub fn knows_guest(&self, session: SessionId) -> bool {
        let key = PersonKey::Guest(session);
        self.admitted.contains(&key) || self.applicants.contains_key(&key)
    }

    fn is_run_by(&self, account: &Nickname) -> bool {
        self.record.owner.as_ref() == Some(account) || self.admins.contains(account)
    }

    /// Whether an account, or a guest for `None`, may destroy it.
    pub fn may_destroy(&self, account: Option<&Nickname>) -> bool {
        self.record.owner.is_none() || self.record.owner.as_ref() == account
    }

    pub fn change(&mut self, by: &Nickname, change: RoomChange) -> Result<(), RoomFault> {
        if !self.is_run_by(by) {
            return Err(RoomFault::Forbidden);
        }
        let record = &mut self.record;
        if let Some((access, password_hash)) = change.access {
            (record.access, record.password_hash) = (access, password_hash);
        }
        record.nickname = change.nickname.unwrap_or_else(|| std::mem::take(&mut record.nickname));
        record.description = change.description.unwrap_or_else(|| std::mem::take(&mut record.description));
        Ok(())
    }

    pub fn decide(&mut self, by: &Nickname, who: &Asker, approve: bool) -> Decided {
        if !self.is_run_by(by) {
            return Err(RoomFault::Forbidden);
        }
        let key = match who {
            Asker::Named(Addressee::Session(session)) => Some(PersonKey::Guest(*session)),
            Asker::Named(Addressee::Nickname(name)) => self.applicant(|asking| asking.identifier == name.as_str()),
            Asker::Request(request) => self.applicant(|asking| asking.request == *request),
        };
        let found = key.and_then(|key| self.applicants.remove_entry(&key));
        let (key, asking) = found.ok_or(RoomFault::NoApplicant)?;
        if approve {
            self.admitted.insert(key.clone());
        }
        Ok(asking.of(&key))
    }

    fn applicant(&self, is_meant: impl Fn(&Asking) -> bool) -> Option<PersonKey> {
        self.applicants.iter().find(|(_, asking)| is_meant(asking)).map(|(key, _)| key.clone())
    }

    pub fn withdraw(&mut self, account: Nickname) -> Result<(), RoomFault> {
        self.applicants.remove(&PersonKey::Account(account)).map(drop).ok_or(RoomFault::NoApplicant)
    }

    pub fn appoint(&mut self, by: &Nickname, account: Nickname, admin: bool) -> Result<(), RoomFault> {
        if self.record.owner.as_ref() != Some(by) {
            return Err(RoomFault::Forbidden);
        }
        if !admin {
            self.admins.remove(&account);
        } else if self.admins.len() >= ADMINS_MAX && !self.admins.contains(&account) {
            return Err(RoomFault::TooMany);
        } else {
            self.admins.insert(account);
        }
        Ok(())
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
        let RoomRecord { access, nickname, description, .. } = self.record.clone();
        RoomSummary { room, access, nickname, description, members }
    }
}

/// A kept room in the store: JSON, because there are few of them and the next version will have more to say. Guests are not in
/// it: they are gone when the process is.
#[derive(Serialize, Deserialize)]
struct Row {
    owner: Option<String>,
    access: String,
    password_hash: Option<String>,
    nickname: String,
    description: String,
    admins: Vec<String>,
    admitted: Vec<String>,
    applicants: Vec<AskingRow>,
}

#[derive(Serialize, Deserialize)]
struct AskingRow {
    account: String,
    request: u32,
    asked_s: i64,
    enrols: bool,
}

impl Kept {
    pub fn encode(&self) -> Vec<u8> {
        let account = |key: &PersonKey| match key {
            PersonKey::Account(name) => Some(name.to_string()),
            PersonKey::Guest(_) => None,
        };
        let row = Row {
            owner: self.record.owner.as_ref().map(ToString::to_string),
            access: self.record.access.label().to_owned(),
            password_hash: self.record.password_hash.clone(),
            nickname: self.record.nickname.clone(),
            description: self.record.description.clone(),
            admins: self.admins.iter().map(ToString::to_string).collect(),
            admitted: self.admitted.iter().filter_map(account).collect(),
            applicants: self
                .applicants
                .iter()
                .filter_map(|(key, asking)| AskingRow::of(account(key)?, asking))
                .collect(),
        };
        serde_json::to_vec(&row).unwrap_or_default()
    }

    /// Reads what [`Kept::encode`] wrote; `None` for what it did not write.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let row: Row = serde_json::from_slice(bytes).ok()?;
        let name = |text: &String| Nickname::parse(text).ok();
        let names = |texts: &[String]| texts.iter().filter_map(name).collect::<Vec<_>>();
        let record = RoomRecord {
            owner: row.owner.as_ref().and_then(name),
            access: AccessType::from_label(&row.access)?,
            password_hash: row.password_hash,
            nickname: row.nickname,
            description: row.description,
        };
        Some(Self {
            record,
            admins: names(&row.admins).into_iter().collect(),
            admitted: names(&row.admitted).into_iter().map(PersonKey::Account).collect(),
            applicants: row.applicants.iter().filter_map(AskingRow::read).collect(),
        })
    }
}

impl AskingRow {
    fn of(account: String, asking: &Asking) -> Option<Self> {
        let Asking { request, asked_s, enrols, .. } = *asking;
        Some(Self { account, request: request.0, asked_s, enrols })
    }

    fn read(&self) -> Option<(PersonKey, Asking)> {
        let account = Nickname::parse(&self.account).ok()?;
        let Self { request, asked_s, enrols, .. } = *self;
        let asking = Asking { identifier: account.to_string(), request: RequestId(request), asked_s, enrols };
        Some((PersonKey::Account(account), asking))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_room_comes_back_without_its_guests() {
        let name = |text: &str| Nickname::parse(text).unwrap();
        let record = RoomRecord {
            owner: Some(name("olga")),
            access: AccessType::Permission,
            password_hash: None,
            nickname: "Red".into(),
            description: "a \"room\"".into(),
        };
        let mut kept = Kept::new(record);
        kept.appoint(&name("olga"), name("adam"), true).unwrap();
        let guest = Actor { session: SessionId::from_u128(1), nickname: Some(name("gus")) };
        let member = Actor { session: SessionId::from_u128(2), nickname: Some(name("mia")) };
        let ticket = Ticket { account: Some(name("mia")), ..Ticket::default() };
        let asked = kept.admit(&guest, &Ticket::default(), 0, false);
        assert_eq!(asked, Err(Denial::Permission { runners: vec![name("olga"), name("adam")] }));
        assert!(kept.admit(&member, &ticket, 17, true).is_err());
        let back = Kept::decode(&kept.encode()).unwrap();
        assert!(kept.forget_guest(guest.session) && !kept.forget_guest(guest.session));
        assert_eq!(back, kept);
    }
}
