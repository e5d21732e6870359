//! The node's sessions by their ids: for what is meant for one of them, or for all sessions of a login.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Mailbox, WireFormat};
use crate::chat::{CloseReason, Login, Nickname, Notice, Revocation, SessionId};

const SHARDS: usize = 64;

/// Where a session is reached.
pub struct Seat {
    pub mailbox: Arc<Mailbox>,
    pub format: WireFormat,
    /// Boxed, because most sessions are guests.
    pub login: Option<Box<Login>>,
}

/// Every session of this node whose dialect is known; as many as there are connections.
pub struct Sessions {
    shards: Vec<Mutex<HashMap<SessionId, Seat>>>,
}

impl Default for Sessions {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }
}

impl Sessions {
    fn shard(&self, session: SessionId) -> &Mutex<HashMap<SessionId, Seat>> {
        // The low bits of the id are random.
        &self.shards[session.as_u128() as usize % SHARDS]
    }

    pub fn seat(&self, session: SessionId, seat: Seat) {
        self.shard(session).lock().insert(session, seat);
    }

    pub fn unseat(&self, session: SessionId) {
        self.shard(session).lock().remove(&session);
    }

    /// The format in which the session is told things.
    pub fn format(&self, session: SessionId) -> Option<WireFormat> {
        self.shard(session).lock().get(&session).map(|seat| seat.format)
    }

    /// From now on the session is told things in this format.
    pub fn set_format(&self, session: SessionId, format: WireFormat) {
        if let Some(seat) = self.shard(session).lock().get_mut(&session) {
            seat.format = format;
        }
    }

    /// The session is one of this login, or of none.
    pub fn set_login(&self, session: SessionId, login: Option<Login>) {
        if let Some(seat) = self.shard(session).lock().get_mut(&session) {
            seat.login = login.map(Box::new);
        }
    }

    /// Queues a notice for a session; `false` when it is not here, or is ending. What its dialect has no words for counts as
    /// told.
    pub fn tell(&self, session: SessionId, notice: &Notice) -> bool {
        let shard = self.shard(session).lock();
        let Some(seat) = shard.get(&session) else { return false };
        match notice {
            Notice::Closing(reason) => {
                seat.mailbox.close(*reason);
                return true;
            }
            Notice::MailWaiting => return seat.mailbox.ring(),
            _ => {}
        }
        seat.format.tell(notice).is_none_or(|bytes| seat.mailbox.notice(bytes))
    }

    /// Ends the sessions of an account whose login is revoked.
    pub fn revoke(&self, account: &Nickname, which: &Revocation) {
        for shard in &self.shards {
            let shard = shard.lock();
            let logins = shard.values().filter_map(|seat| Some((seat, seat.login.as_ref()?)));
            for (seat, _) in logins.filter(|(_, login)| login.account == *account && which.covers(login)) {
                seat.mailbox.close(CloseReason::LoggedOut);
            }
        }
    }

    /// Has every session of an account look into its inbox.
    pub fn ring_all(&self) {
        for shard in &self.shards {
            for seat in shard.lock().values().filter(|seat| seat.login.is_some()) {
                seat.mailbox.ring();
            }
        }
    }

    /// The sessions here of these accounts, which are in the order of their names.
    pub fn of_accounts(&self, accounts: &[Nickname]) -> Vec<SessionId> {
        if accounts.is_empty() {
            return Vec::new();
        }
        let is_meant =
            |seat: &Seat| seat.login.as_ref().is_some_and(|login| accounts.binary_search(&login.account).is_ok());
        let meant = |shard: &Mutex<HashMap<SessionId, Seat>>| {
            let shard = shard.lock();
            shard.iter().filter(|(_, seat)| is_meant(seat)).map(|(session, _)| *session).collect::<Vec<_>>()
        };
        self.shards.iter().flat_map(meant).collect()
    }

    /// All that are here with a connection.
    pub fn connected(&self) -> Vec<SessionId> {
        let connected = |shard: &Mutex<HashMap<SessionId, Seat>>| {
            let shard = shard.lock();
            let connected = shard.iter().filter(|(_, seat)| !seat.mailbox.is_finished());
            connected.map(|(session, _)| *session).collect::<Vec<_>>()
        };
        self.shards.iter().flat_map(connected).collect()
    }

    /// Ends a session's connection; one that has lost it already, and is held for its client, is left so.
    pub fn disconnect(&self, session: SessionId, reason: CloseReason) {
        let shard = self.shard(session).lock();
        if let Some(seat) = shard.get(&session).filter(|seat| !seat.mailbox.is_finished()) {
            seat.mailbox.close(reason);
        }
    }

    /// How many sessions of accounts are here.
    pub fn accounts(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().values().filter(|seat| seat.login.is_some()).count()).sum()
    }

    /// Every login under which a session is here.
    pub fn logins(&self) -> Vec<Login> {
        let logins = |shard: &Mutex<HashMap<SessionId, Seat>>| {
            shard.lock().values().filter_map(|seat| seat.login.as_deref().cloned()).collect::<Vec<_>>()
        };
        self.shards.iter().flat_map(logins).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::LoginId;
    use crate::telemetry::Metrics;
    use crate::wire::{EventForm, FramingKind};

    fn seated(sessions: &Sessions, id: u128, account: &str, begun_s: i64) -> Arc<Mailbox> {
        let mailbox = Arc::new(Mailbox::new(1_000, Arc::new(Metrics::new())));
        let format = WireFormat { form: EventForm::Simple { extended: false }, framing: FramingKind::Lines };
        let session = SessionId::from_u128(id);
        sessions.seat(session, Seat { mailbox: mailbox.clone(), format, login: None });
        let account = Nickname::parse(account).unwrap();
        sessions.set_login(session, Some(Login { account, id: LoginId(id), began_s: begun_s, ends_s: 1_000 }));
        mailbox
    }

    #[test]
    fn a_revocation_ends_what_it_covers_and_nothing_else() {
        let sessions = Sessions::default();
        let (old, new, other) =
            (seated(&sessions, 1, "bob", 10), seated(&sessions, 2, "bob", 20), seated(&sessions, 3, "eve", 5));
        let bob = Nickname::parse("bob").unwrap();
        sessions.revoke(&bob, &Revocation::BegunUntil(10));
        assert_eq!((old.closed(), new.closed()), (Some(CloseReason::LoggedOut), None));
        sessions.revoke(&bob, &Revocation::One { id: LoginId(2), ends_s: 1_000 });
        assert_eq!((new.closed(), other.closed()), (Some(CloseReason::LoggedOut), None));
    }

    #[test]
    fn who_is_gone_is_not_told() {
        let sessions = Sessions::default();
        seated(&sessions, 1, "bob", 10);
        let notice = Notice::Decided { room: crate::chat::RoomId::parse("red").unwrap(), approved: true };
        assert!(sessions.tell(SessionId::from_u128(1), &notice));
        sessions.unseat(SessionId::from_u128(1));
        assert!(!sessions.tell(SessionId::from_u128(1), &notice));
    }
}
