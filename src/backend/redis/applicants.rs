//! How persons stand in the sets and hashes of a room, and who waits for its permission.

use redis::aio::MultiplexedConnection;

use super::super::{Asker, BackendError};
use super::Redis;
use crate::chat::{Actor, Addressee, Applicant, Event, EventKind, Nickname, PersonKey, RequestId, RoomId, SessionId};

/// How a guest session stands in a room's sets.
pub(super) fn member_key(session: SessionId) -> String {
    format!("s:{session}")
}

/// How an account stands there.
pub(super) fn account_key(account: &Nickname) -> String {
    format!("u:{account}")
}

pub(super) fn person_key(key: &PersonKey) -> String {
    match key {
        PersonKey::Account(name) => account_key(name),
        PersonKey::Guest(session) => member_key(*session),
    }
}

pub(super) fn read_person_key(text: &str) -> Option<PersonKey> {
    match text.split_once(':')? {
        ("u", name) => Nickname::parse(name).ok().map(PersonKey::Account),
        ("s", session) => SessionId::parse(session).map(PersonKey::Guest),
        _ => None,
    }
}

/// Reads `<request> <asked_s> <e|-> <identifier>`.
pub(super) fn read_applicant(key: &str, value: &str) -> Option<Applicant> {
    let mut parts = value.splitn(4, ' ');
    let request = RequestId(parts.next()?.parse().ok()?);
    let asked_s = parts.next()?.parse().ok()?;
    let enrols = parts.next()? == "e";
    Some(Applicant { key: read_person_key(key)?, identifier: parts.next()?.to_owned(), request, asked_s, enrols })
}

/// What the script of deciding needs to know: how the applicant is named, and whose list the room stands in.
pub(super) struct Decision<'a> {
    pub by: &'a Nickname,
    pub who: &'a Asker,
    pub approve: bool,
    pub listed: Option<&'a Nickname>,
}

impl Redis {
    pub(super) async fn call_decide(
        &self,
        room: &RoomId,
        decision: &Decision<'_>,
        connection: &mut MultiplexedConnection,
    ) -> Result<Vec<String>, BackendError> {
        let joining = decision.listed.unwrap_or(decision.by);
        let event = Event::new(Actor::account(joining.clone()), EventKind::Joined);
        let mut call = self.membership_call(&self.scripts.decide, room, &event);
        call.arg(decision.by.as_str());
        match decision.who {
            Asker::Named(Addressee::Session(session)) => call.arg("key").arg(member_key(*session)),
            Asker::Named(Addressee::Nickname(name)) => call.arg("name").arg(name.as_str()),
            Asker::Request(request) => call.arg("request").arg(request.0),
        };
        call.arg(decision.listed.map(account_key).unwrap_or_default()).arg(u8::from(decision.approve));
        self.timed(call.invoke_async(connection)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_applicant_is_read_whatever_it_is_called() {
        let account = Nickname::parse("a b").unwrap();
        let read = read_applicant("u:a b", "7 1700000000 e a b").unwrap();
        let expected = Applicant {
            key: PersonKey::Account(account),
            identifier: "a b".into(),
            request: RequestId(7),
            asked_s: 1_700_000_000,
            enrols: true,
        };
        assert_eq!(read, expected);
        assert_eq!(read_applicant("u:a b", "a b"), None);
    }
}
