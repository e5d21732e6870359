//! What a room is beyond its traffic: how it lets people in, who runs it, how it presents itself.

use super::{Nickname, Refusal, RequestId, RoomId};

/// Longest display nickname of a room, in Unicode scalar values (scrp, section 1.5).
const ROOM_NICKNAME_MAX_CHARS: usize = 32;
/// Longest description of a room, in Unicode scalar values (scrp, section 1.5).
const ROOM_DESCRIPTION_MAX_CHARS: usize = 256;
/// Length of a room's password, in printable ASCII characters (scrp, section 1.5): what one dialect cannot say, its clients
/// could not enter with.
const ROOM_PASSWORD_CHARS: std::ops::RangeInclusive<usize> = 6..=64;

/// How a room lets people in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AccessType {
    #[default]
    Public,
    /// Who knows the password.
    Password,
    /// Whom the owner or an admin approved.
    Permission,
}

impl AccessType {
    pub const ALL: [Self; 3] = [Self::Public, Self::Password, Self::Permission];

    pub fn label(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Password => "password",
            Self::Permission => "permission",
        }
    }

    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|access| access.label() == label)
    }
}

/// What somebody wants a room to be; what is `None` stays as it is, or takes its default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RoomWishes {
    pub access: Option<AccessType>,
    pub password: Option<String>,
    pub nickname: Option<String>,
    pub description: Option<String>,
}

impl RoomWishes {
    /// The access type asked for; a password without one asks for a room with a password.
    pub fn access(&self) -> Option<AccessType> {
        self.access.or(self.password.as_ref().map(|_| AccessType::Password))
    }

    /// # Errors
    /// The parameter that breaks a length, holds a control character, or does not fit the others.
    pub fn check(&self) -> Result<(), Refusal> {
        let plain = |text: &str, max: usize| text.chars().count() <= max && !text.chars().any(char::is_control);
        if self.nickname.as_ref().is_some_and(|text| !plain(text, ROOM_NICKNAME_MAX_CHARS)) {
            return Err(Refusal::ParameterInvalid("nickname"));
        }
        if self.description.as_ref().is_some_and(|text| !plain(text, ROOM_DESCRIPTION_MAX_CHARS)) {
            return Err(Refusal::ParameterInvalid("description"));
        }
        let printable = |text: &String| text.bytes().all(|byte| (0x20..=0x7E).contains(&byte));
        let is_password = |text: &String| ROOM_PASSWORD_CHARS.contains(&text.len()) && printable(text);
        match (self.access(), &self.password) {
            (Some(AccessType::Password), None) => Err(Refusal::ParameterMissing("password")),
            (Some(AccessType::Password), Some(password)) if is_password(password) => Ok(()),
            (_, Some(_)) => Err(Refusal::ParameterInvalid("password")),
            (_, None) => Ok(()),
        }
    }
}

/// What is kept of a room that was created on purpose.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RoomRecord {
    /// The account that runs it; a room without an owner is everybody's.
    pub owner: Option<Nickname>,
    pub access: AccessType,
    /// Argon2id in the PHC string format, for [`AccessType::Password`].
    pub password_hash: Option<String>,
    pub nickname: String,
    pub description: String,
}

impl RoomRecord {
    /// What everybody may see of it.
    pub fn summary(&self, room: RoomId, members: u64) -> RoomSummary {
        let Self { access, nickname, description, .. } = self.clone();
        RoomSummary { room, access, nickname, description, members }
    }
}

/// Somebody who asked to be let into a permission room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applicant {
    pub key: PersonKey,
    /// As the one who decides sees them: the nickname, or the session's UUID.
    pub identifier: String,
    pub request: RequestId,
    /// Seconds since the Unix epoch.
    pub asked_s: i64,
    /// It wants to be a member for good: the approval makes it one.
    pub enrols: bool,
}

/// Who is meant beyond one connection where there is an account, else by it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PersonKey {
    Account(Nickname),
    Guest(super::SessionId),
}

/// A room as those who run it see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomView {
    pub record: RoomRecord,
    pub admins: Vec<Nickname>,
    pub applicants: Vec<Applicant>,
    pub members: u64,
}

impl RoomView {
    /// Whether an account runs the room: its owner, or one of its admins.
    pub fn is_run_by(&self, account: &Nickname) -> bool {
        self.record.owner.as_ref() == Some(account) || self.admins.contains(account)
    }
}

/// A line of a room list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomSummary {
    pub room: RoomId,
    pub access: AccessType,
    pub nickname: String,
    pub description: String,
    pub members: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_must_fit_one_another() {
        let wishes = |access: Option<AccessType>, password: Option<&str>| {
            RoomWishes { access, password: password.map(Into::into), ..RoomWishes::default() }.check()
        };
        assert_eq!(wishes(None, None), Ok(()));
        assert_eq!(wishes(None, Some("secret")), Ok(()));
        assert_eq!(wishes(Some(AccessType::Password), None), Err(Refusal::ParameterMissing("password")));
        for password in ["short", "sécret", "sec\tret", &"x".repeat(65)] {
            assert_eq!(wishes(None, Some(password)), Err(Refusal::ParameterInvalid("password")), "{password}");
        }
        assert_eq!(wishes(Some(AccessType::Public), Some("secret")), Err(Refusal::ParameterInvalid("password")));
        let long = RoomWishes { description: Some("x".repeat(257)), ..RoomWishes::default() };
        assert_eq!(long.check(), Err(Refusal::ParameterInvalid("description")));
    }
}
