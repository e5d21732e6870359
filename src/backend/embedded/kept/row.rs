//! A kept room in the store.

use serde::{Deserialize, Serialize};

use super::{Asking, Kept};
use crate::chat::{AccessType, Nickname, PersonKey, RequestId, RoomRecord};

/// JSON, because there are few of them and the next version will have more to say. Guests are not in
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
    applicants: Vec<AnyAsking>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum AnyAsking {
    Now(AskingRow),
    /// Of a version that noted the account alone.
    Before(String),
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
                .filter_map(|(key, asking)| Some(AnyAsking::Now(AskingRow::of(account(key)?, asking))))
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
            applicants: row.applicants.iter().filter_map(AnyAsking::read).collect(),
        })
    }
}

impl AskingRow {
    fn of(account: String, asking: &Asking) -> Self {
        let Asking { request, asked_s, enrols, .. } = *asking;
        Self { account, request: request.0, asked_s, enrols }
    }
}

impl AnyAsking {
    fn read(&self) -> Option<(PersonKey, Asking)> {
        let (account, request, asked_s, enrols) = match self {
            Self::Now(AskingRow { account, request, asked_s, enrols }) => (account, *request, *asked_s, *enrols),
            Self::Before(account) => (account, 0, 0, false),
        };
        let account = Nickname::parse(account).ok()?;
        let asking = Asking { identifier: account.to_string(), request: RequestId(request), asked_s, enrols };
        Some((PersonKey::Account(account), asking))
    }
}

#[cfg(test)]
mod tests {
    use super::super::*;
    use crate::chat::SessionId;

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
        assert_eq!(kept.appoint(&name("adam"), true), Ok(true));
        let guest = Actor { session: SessionId::from_u128(1), nickname: Some(name("gus")) };
        let member = Actor { session: SessionId::from_u128(2), nickname: Some(name("mia")) };
        let ticket = Ticket { account: Some(name("mia")), ..Ticket::default() };
        let asked = kept.admit(&guest, &Ticket::default(), Wish::Visit, 0);
        assert_eq!(asked, Err(Denial::Permission { runners: vec![name("olga"), name("adam")] }));
        assert!(kept.admit(&member, &ticket, Wish::Enrol { is_member: false, has_place: true }, 17).is_err());
        let back = Kept::decode(&kept.encode()).unwrap();
        assert!(kept.forget_guest(guest.session) && !kept.forget_guest(guest.session));
        assert_eq!(back, kept);
    }

    #[test]
    fn a_room_of_a_version_that_noted_applicants_by_name_alone_is_read() {
        let row =
            br#"{"owner":"olga","access":"permission","password_hash":null,"nickname":"","description":"","admins":[],
            "admitted":[],"applicants":["mia"]}"#;
        let view = Kept::decode(row).unwrap().view(0);
        assert_eq!(view.applicants[0].identifier, "mia");
    }
}
