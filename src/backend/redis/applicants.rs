//! How persons stand in the sets and hashes of a room, and who waits for its permission.

use super::super::{Asker, BackendError};
use super::Redis;
use super::catalogue::odd_answer;
use super::connection::Connection;
use super::enrolments::Attempt;
use crate::chat::{
    Actor, Addressee, Applicant, Epoch, Event, EventKind, Nickname, PersonKey, Position, RequestId, RoomId, SessionId,
};

/// How often a decision is tried whose applicant changes meanwhile what it wants.
const TRIES: usize = 10;
/// Rooms that are made to forget an account with one round trip.
const TIES_AT_ONCE: usize = 100;

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
    pub listed: Option<Nickname>,
}

impl Redis {
    /// Decides; an account that becomes a member by it has the room in its list first. What the script answered at last.
    pub(super) async fn decide_listed(
        &self,
        room: &RoomId,
        mut decision: Decision<'_>,
        connection: &mut Connection,
    ) -> Result<Vec<String>, BackendError> {
        let mut attempts: Vec<(Nickname, Attempt)> = Vec::new();
        for _ in 0..TRIES {
            let answer = self.call_decide(room, &decision, connection).await?;
            let ["list", key, value] = answer.iter().map(String::as_str).collect::<Vec<_>>()[..] else {
                for (account, attempt) in &attempts {
                    match joined_at(&answer, account) {
                        Some(position) => self.note_enrolled(account, room, position, connection).await?,
                        None => self.give_up_attempt(account, room, attempt, connection).await?,
                    }
                }
                return Ok(answer);
            };
            let applicant = read_applicant(key, value).ok_or_else(odd_answer)?;
            let PersonKey::Account(account) = applicant.key else { return Err(odd_answer()) };
            let deleted_us = self.deleted_us(&[&account], connection).await?.into_iter().flatten().next();
            if deleted_us.is_some_and(|deleted_us| deleted_us / 1_000_000 > applicant.asked_s) {
                // Who asked is gone; whoever bears the name now did not.
                self.forget_applicant(room, &account, connection).await?;
                continue;
            }
            let attempt = self.enlist(&account, room, connection).await?;
            if attempt.is_full {
                return Ok(vec!["full".to_owned()]);
            }
            attempts.push((account.clone(), attempt));
            decision.listed = Some(account);
        }
        Err(BackendError::Failed("an applicant changes too often".into()))
    }

    async fn call_decide(
        &self,
        room: &RoomId,
        decision: &Decision<'_>,
        connection: &mut Connection,
    ) -> Result<Vec<String>, BackendError> {
        // Nobody joins as long as nobody is listed.
        let joining = decision.listed.as_ref().unwrap_or(decision.by);
        let event = Event::new(Actor::account(joining.clone()), EventKind::Joined);
        let mut call = self.membership_call(&self.scripts.decide, room, &event, connection.run());
        call.arg(decision.by.as_str());
        match decision.who {
            Asker::Named(Addressee::Session(session)) => call.arg("key").arg(member_key(*session)),
            Asker::Named(Addressee::Nickname(name)) => call.arg("name").arg(name.as_str()),
            Asker::Request(request) => call.arg("request").arg(request.0),
        };
        let listed = decision.listed.as_ref().map(account_key).unwrap_or_default();
        call.arg(listed).arg(u8::from(decision.approve));
        self.timed(call.invoke_async(connection)).await
    }

    /// Remembers that a room knows an account, so that it can be made to forget it.
    pub(super) async fn tie(
        &self,
        account: &Nickname,
        room: &RoomId,
        connection: &mut Connection,
    ) -> Result<(), BackendError> {
        let mut tie = redis::cmd("SADD");
        tie.arg(self.keys.user_ties(account)).arg(room.as_str());
        self.timed(tie.exec_async(connection)).await
    }

    /// Has every room forget an account that is not its member: that it waits, was permitted to come, or runs it. Whoever
    /// bears the name next did not ask for that.
    pub(super) async fn sever_ties(&self, account: &Nickname, connection: &mut Connection) -> Result<(), BackendError> {
        let mut ask = redis::cmd("SMEMBERS");
        ask.arg(self.keys.user_ties(account));
        let rooms: Vec<String> = self.timed(ask.query_async(connection)).await?;
        let rooms: Vec<RoomId> = rooms.iter().filter_map(|room| RoomId::parse(room).ok()).collect();
        for some in rooms.chunks(TIES_AT_ONCE) {
            let mut forget = redis::pipe();
            for room in some {
                forget.hdel(self.keys.room_applicants(room), account_key(account));
                forget.srem(self.keys.room_admitted(room), account_key(account));
                forget.srem(self.keys.room_admins(room), account.as_str());
                forget.srem(self.keys.user_ties(account), room.as_str());
            }
            self.timed(forget.exec_async(connection)).await?;
        }
        Ok(())
    }

    pub(super) async fn forget_applicant(
        &self,
        room: &RoomId,
        account: &Nickname,
        connection: &mut Connection,
    ) -> Result<(), BackendError> {
        let mut forget = redis::cmd("HDEL");
        forget.arg(self.keys.room_applicants(room)).arg(account_key(account));
        self.timed(forget.exec_async(connection)).await
    }
}

/// Where this account joined that was approved; `None` if it did not.
fn joined_at(answer: &[String], account: &Nickname) -> Option<Position> {
    let [_, key, _, epoch, offset] = answer else { return None };
    let position = Position { epoch: Epoch::new(epoch.parse().ok()?), offset: offset.parse().ok()? };
    (*key == account_key(account)).then_some(position)
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
