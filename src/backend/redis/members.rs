//! Accounts as members of rooms, on Redis.
//!
//! What a room knows of its members is in the room's slot, and each step is one script that says in the room's stream what it
//! did. An account's list of rooms is in another slot; [`super::enrolments`] says how the two are kept together. Where an
//! ownership passes on, the script names the successor first and is called again with the words that tell of it: it acts only
//! if that one is the successor still. A room that ends with its owner is taken out of the list of rooms after that, as by
//! [`super::rooms`].

use async_trait::async_trait;

use super::super::{
    ADMINS_MAX, APPLICANTS_MAX, BackendError, Denial, Enrolment, Entered, Members, Resigned, RoomFault, Ticket,
    encode_event,
};
use super::Redis;
use super::applicants::member_key;
use super::connection::Connection;
use super::presence::read_entered;
use super::rooms::verdict;
use crate::chat::{Actor, Event, EventKind, Member, Nickname, Position, RequestId, Role, RoomId};

/// How often a successor is asked for who is gone by the time that it is to be the owner.
const TRIES: usize = 10;

fn name_of(actor: &Actor) -> Result<&Nickname, BackendError> {
    actor.nickname.as_ref().ok_or_else(|| BackendError::Failed("a member for good without a name".into()))
}

#[async_trait]
impl Members for Redis {
    async fn enrol(
        &self,
        room: &RoomId,
        who: &Actor,
        ticket: &Ticket,
    ) -> Result<Result<Entered, Denial>, BackendError> {
        let account = name_of(who)?;
        let mut connection = self.pooled().await?;
        let attempt = self.enlist(account, room, &mut connection).await?;
        let event = Event::new(who.clone(), EventKind::Joined);
        let mut call = self.membership_call(&self.scripts.enrol, room, &event, connection.run());
        call.arg(account.as_str()).arg(u8::from(ticket.must_exist)).arg(ticket.proof.as_deref().unwrap_or_default());
        match ticket.request {
            RequestId(0) => call.arg(""),
            RequestId(number) => call.arg(number),
        };
        call.arg(APPLICANTS_MAX).arg(u8::from(attempt.is_full));
        let answer: Vec<String> = self.timed(call.invoke_async(&mut *connection)).await?;
        let entered =
            read_entered(&answer).ok_or_else(|| BackendError::Failed(format!("enrolling was answered {answer:?}")))?;
        match &entered {
            Ok(Entered { repeated: true, .. }) => {}
            Ok(entered) => self.note_enrolled(account, room, entered.position, &mut connection).await?,
            Err(denial) => {
                if matches!(denial, Denial::Permission { .. }) {
                    self.tie(account, room, &mut connection).await?;
                }
                self.give_up_attempt(account, room, &attempt, &mut connection).await?;
            }
        }
        Ok(entered)
    }

    async fn resign(
        &self,
        room: &RoomId,
        who: &Actor,
        deleted: bool,
    ) -> Result<Result<Resigned, RoomFault>, BackendError> {
        let account = name_of(who)?;
        let mut connection = self.pooled().await?;
        let former = self.room_words(room, &mut connection).await?;
        let mut successor = None;
        for _ in 0..TRIES {
            let answer = self.call_resign(room, who, account, deleted, successor.as_ref(), &mut connection).await?;
            let [word, rest @ ..] = answer.as_slice() else { break };
            let named = rest.first().and_then(|name| Nickname::parse(name).ok());
            match (word.as_str(), named) {
                ("left", _) => return Ok(Ok(Resigned::Left)),
                ("handed", Some(to)) => return Ok(Ok(Resigned::Handed { to })),
                ("successor", Some(name)) => successor = Some(name),
                ("destroyed", _) => {
                    self.list_truly(room, &former, &mut connection).await?;
                    return Ok(Ok(Resigned::Destroyed));
                }
                (fault, _) => return verdict(fault).map(|fault| fault.map(|()| Resigned::Left)),
            }
        }
        Err(BackendError::Failed("nobody stays to have the room".into()))
    }

    async fn remove(&self, room: &RoomId, by: &Actor, who: &Actor) -> Result<Result<(), RoomFault>, BackendError> {
        let mut connection = self.pooled().await?;
        let event = Event::new(by.clone(), EventKind::Removed { who: who.clone() });
        let mut call = self.membership_call(&self.scripts.remove, room, &event, connection.run());
        call.arg(by.nickname.as_ref().map_or("", Nickname::as_str));
        call.arg(who.nickname.as_ref().map_or("", Nickname::as_str)).arg(member_key(who.session));
        let word: String = self.timed(call.invoke_async(&mut *connection)).await?;
        verdict(&word)
    }

    async fn hand_over(&self, room: &RoomId, by: &Actor, to: &Nickname) -> Result<Result<(), RoomFault>, BackendError> {
        let mut connection = self.pooled().await?;
        let event = Event::new(by.clone(), EventKind::Handed { to: to.clone() });
        let mut call = self.membership_call(&self.scripts.hand_over, room, &event, connection.run());
        call.arg(by.nickname.as_ref().map_or("", Nickname::as_str)).arg(to.as_str()).arg(ADMINS_MAX);
        let word: String = self.timed(call.invoke_async(&mut *connection)).await?;
        verdict(&word)
    }

    async fn roll(&self, room: &RoomId, skip: usize, limit: usize) -> Result<Option<Vec<Member>>, BackendError> {
        let mut connection = self.pooled().await?;
        let mut ask = redis::pipe();
        ask.atomic().hmget(self.keys.room(room), &["kept", "owner"]).exists(self.keys.room_members(room));
        ask.smembers(self.keys.room_admins(room)).zcard(self.keys.room_roll(room));
        ask.zrange(self.keys.room_roll(room), skip as isize, (skip + limit) as isize - 1);
        type Answer = ((Option<String>, Option<String>), bool, Vec<String>, usize, Vec<String>);
        let ((kept, owner), is_there, admins, enrolled, page): Answer =
            self.timed(ask.query_async(&mut *connection)).await?;
        if kept.is_none() && !is_there {
            return Ok(None);
        }
        let role = |name: &String| match () {
            () if owner.as_ref() == Some(name) => Role::Owner,
            () if admins.contains(name) => Role::Admin,
            () => Role::Member,
        };
        // For no entries at all the range above is read to its end.
        let page = page.into_iter().take(limit);
        let mut members: Vec<Member> = page.map(|name| Member { role: Some(role(&name)), identifier: name }).collect();
        if members.len() < limit {
            let skip = skip.saturating_sub(enrolled);
            members.extend(self.guests(room, skip, limit - members.len(), &mut connection).await?);
        }
        Ok(Some(members))
    }

    async fn enrolments(&self, account: &Nickname) -> Result<Vec<Enrolment>, BackendError> {
        self.read_enrolments(account).await
    }

    async fn are_in(&self, account: &Nickname, rooms: &[RoomId]) -> Result<Vec<bool>, BackendError> {
        let mut connection = self.pooled().await?;
        self.read_memberships(account, rooms, &mut connection).await
    }

    async fn told(&self, account: &Nickname, positions: &[(RoomId, Position)]) -> Result<Vec<RoomId>, BackendError> {
        self.note_told(account, positions).await
    }

    async fn forget_enrolment(&self, account: &Nickname, room: &RoomId) -> Result<(), BackendError> {
        self.forget_enrolment_of(account, room).await
    }
}

impl Redis {
    async fn call_resign(
        &self,
        room: &RoomId,
        who: &Actor,
        account: &Nickname,
        deleted: bool,
        successor: Option<&Nickname>,
        connection: &mut Connection,
    ) -> Result<Vec<String>, BackendError> {
        let event = |kind| Event::new(who.clone(), kind);
        let mut call = self.membership_call(&self.scripts.resign, room, &event(EventKind::Left), connection.run());
        call.arg(account.as_str()).arg(self.settings.history_age.as_millis() as u64).arg(u8::from(deleted));
        call.arg(encode_event(&event(EventKind::Destroyed { room: room.clone() })));
        match successor {
            Some(to) => call.arg(to.as_str()).arg(encode_event(&event(EventKind::Handed { to: to.clone() }))),
            None => call.arg("").arg(""),
        };
        self.timed(call.invoke_async(connection)).await
    }

    /// Members for as long as their sessions are there, in the order of these.
    async fn guests(
        &self,
        room: &RoomId,
        skip: usize,
        limit: usize,
        connection: &mut Connection,
    ) -> Result<Vec<Member>, BackendError> {
        let mut ask = redis::cmd("SMEMBERS");
        ask.arg(self.keys.room_members(room));
        let mut keys: Vec<String> = self.timed(ask.query_async(connection)).await?;
        keys.retain(|key| key.starts_with("s:"));
        keys.sort();
        let page: Vec<String> = keys.into_iter().skip(skip).take(limit).collect();
        if page.is_empty() {
            return Ok(Vec::new());
        }
        let mut ask = redis::cmd("HMGET");
        ask.arg(self.keys.room_who(room)).arg(&page);
        let known: Vec<Option<String>> = self.timed(ask.query_async(connection)).await?;
        let member = |(key, who): (&String, &Option<String>)| {
            let name = who.as_deref().and_then(|who| who.split_once(' ')).map(|(_, name)| name);
            let identifier = name.filter(|name| !name.is_empty()).unwrap_or(&key[2..]);
            Member { identifier: identifier.to_owned(), role: None }
        };
        Ok(page.iter().zip(&known).map(member).collect())
    }
}
