//! Accounts as far as chat knows them: a reserved name, and the login under which a session uses it.

use super::Nickname;

/// A person as a login provider knows them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The provider's name in the configuration.
    pub provider: String,
    /// The provider's own id of the person: stable, unique at that provider, opaque here.
    pub subject: String,
}

/// Names one login of one account, from choosing "log in" to logging out; renewed tokens keep it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LoginId(pub u128);

/// A login whose token was found genuine. Whether it still stands, the directory knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The account; its name is the only nickname that its sessions bear.
    pub account: Nickname,
    pub id: LoginId,
    /// When the person logged in, seconds since the Unix epoch.
    pub began_s: i64,
    /// When even a renewed token of it ends, seconds since the Unix epoch.
    pub ends_s: i64,
}

/// Which logins of an account are ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// This one; to be remembered until `ends_s`, when its tokens are worthless anyway.
    One { id: LoginId, ends_s: i64 },
    /// All that began at or before this time, seconds since the Unix epoch.
    BegunUntil(i64),
}

impl Revocation {
    pub fn covers(&self, login: &Login) -> bool {
        match self {
            Self::One { id, .. } => *id == login.id,
            Self::BegunUntil(time_s) => login.began_s <= *time_s,
        }
    }
}
