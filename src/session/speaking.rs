//! What a session is once its dialect is known: who speaks, and at what pace.

use super::{SessionLimits, Shared};
use crate::chat::{Command, Refusal, Reply, TokenBucket};
use crate::service::{Participant, Return, Settling};
use crate::wire::{Dialect, DialectKind, EventForm, Needs, WireFormat};

/// A session whose dialect is known.
pub(super) struct Speaking {
    pub dialect: &'static dyn Dialect,
    pub kind: DialectKind,
    pub who: Participant,
    messages: TokenBucket,
    joins: TokenBucket,
    pub strikes: u32,
}

impl Speaking {
    pub fn new(kind: DialectKind, extended: bool, who: Participant, limits: &SessionLimits, now_ms: u64) -> Self {
        Self {
            dialect: kind.dialect(extended),
            kind,
            who,
            messages: TokenBucket::new(limits.messages_per_second, limits.message_burst, now_ms),
            joins: TokenBucket::new(limits.joins_per_second, limits.join_burst, now_ms),
            strikes: 0,
        }
    }

    pub async fn carry_out(
        &mut self,
        command: Result<Command, Refusal>,
        needs: Needs,
        format: WireFormat,
        forms: &[EventForm],
        shared: &Shared,
    ) -> (Result<Reply, Refusal>, Option<Settling>) {
        let now_ms = shared.clock.now_ms();
        let bucket = if command.as_ref().is_ok_and(Command::is_heavy) { &mut self.joins } else { &mut self.messages };
        if !bucket.take(now_ms) {
            return (Err(Refusal::TooManyRequests), None);
        }
        match command {
            Ok(Command::Resume { token, rooms }) => {
                let back = |((room, since), form): (_, &EventForm)| Return {
                    room,
                    since,
                    format: WireFormat { form: *form, ..format },
                };
                let rooms = rooms.into_iter().zip(forms).map(back).collect();
                let outcome = shared.chat.resume(&mut self.who, &token, rooms).await;
                (outcome.result, outcome.afterwards)
            }
            Ok(command) => {
                let outcome = shared.chat.carry_out(&mut self.who, command, format).await;
                (outcome.result, outcome.afterwards)
            }
            Err(refusal) => (Err(self.weightier_than(refusal, needs)), None),
        }
    }

    /// What is wrong with the session's state matters more than what is wrong with the request, where a dialect says so.
    fn weightier_than(&self, refusal: Refusal, needs: Needs) -> Refusal {
        let single_room = self.dialect.rules().conduct.single_room;
        let of_room = matches!(refusal, Refusal::DateInvalid(_) | Refusal::ParameterMissing("text"));
        match (self.who.name(), needs) {
            (None, Needs::Login) => Refusal::LoginRequired,
            (Some(name), Needs::NoLogin) => Refusal::AlreadyLoggedIn(name.clone()),
            _ if single_room && of_room && !self.who.is_in_a_room() => Refusal::NoCurrentRoom,
            _ => refusal,
        }
    }
}
