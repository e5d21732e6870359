//! Accounts as far as chat knows them: a reserved name, and the login under which a session uses it.

use std::fmt;

use super::Nickname;

/// A person as a login provider knows them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The provider's name in the configuration.
    pub provider: String,
    /// The provider's own id of the person: stable, unique at that provider, opaque here.
    pub subject: String,
}

impl Identity {
    /// The identity of an account that exists by a token alone: whoever signs tokens answers for its names.
    pub fn of_token(account: &Nickname) -> Self {
        Self { provider: "token".to_owned(), subject: account.to_string() }
    }

    /// Reads what [`Display`](fmt::Display) wrote.
    pub fn decode(text: &str) -> Option<Self> {
        let (provider, subject) = text.split_once(' ')?;
        Some(Self { provider: provider.to_owned(), subject: subject.to_owned() })
    }
}

/// `<provider> <subject>`: a provider's name has no blank, so it stays readable.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.provider, self.subject)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_comes_back_whatever_its_subject() {
        for subject in ["17", "a b", " leading", "", "{x}"] {
            let identity = Identity { provider: "my-provider".into(), subject: subject.into() };
            assert_eq!(Identity::decode(&identity.to_string()), Some(identity));
        }
        assert_eq!(Identity::decode("nothing"), None);
    }
}
