//! The `scrp` dialect: a JSON object per message, both ways; requests are numbered, and each is answered under its number.
//!
//! Source: `docs/protocols/scrp.md` and the protocol's own text. What is wrong with a request is found in the order of the
//! error numbers: first what cannot be understood, then each field's format.

mod answers;
mod errors;
mod fields;
mod methods;
mod pushes;
mod requests;

pub use answers::AnswerForm;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::{Dialect, EventForm, Messages, Needs, Request, Rules, Tag};
use crate::chat::{Conduct, Envelope, Nickname, Notice, Refusal, Reply};
use fields::Fields;
use requests::Asked;

pub struct Scrp {
    /// Answers about messages in rooms say where they stand.
    pub extended: bool,
}

/// The version of the protocol that is spoken here.
const PROTOCOL_VERSION: &str = "0.0.3";

const RULES: Rules = Rules {
    conduct: Conduct {
        login_first: true,
        enrols: true,
        reads_inbox: true,
        friends_only: true,
        sees_own_messages: false,
        ..Conduct::PLAIN
    },
    message_bytes_max: None,
    long_message_closes: false,
    line_end: b"\n",
};

impl Dialect for Scrp {
    fn rules(&self) -> &'static Rules {
        &RULES
    }

    fn form(&self) -> EventForm {
        EventForm::Scrp
    }

    fn decode(&self, message: &[u8]) -> Request {
        let read = serde_json::from_slice::<BTreeMap<Cow<'_, str>, &RawValue>>(message);
        let Ok(fields) = &read else { return malformed(0, Refusal::NotAnObject) };
        let fields = Fields(fields);
        let Ok(number) = fields.uint32("req_id") else { return malformed(0, Refusal::ParameterInvalid("req_id")) };
        let method = match fields.text("method") {
            Ok(method) => methods::method(&method),
            Err(refusal) => return malformed(number, refusal),
        };
        let Some(method) = method else { return malformed(number, Refusal::ActionUnknown) };
        let (command, answer) = match (method.read)(&fields) {
            Ok(Asked { command, answer: AnswerForm::Plain }) if self.extended => (Ok(command), AnswerForm::Placed),
            Ok(asked) => (Ok(asked.command), asked.answer),
            Err(refusal) => (Err(refusal), AnswerForm::Plain),
        };
        // Nobody's state matters for what cannot be understood.
        let needs = if command.as_ref().is_err_and(errors::is_bad_request) { Needs::Nothing } else { method.needs };
        Request { tag: Tag::Numbered { number, answer }, command, form: self.form(), needs }
    }

    fn answer<'a>(&self, tag: &'a Tag, outcome: &'a Result<Reply, Refusal>, _: Option<&'a Nickname>) -> Messages<'a> {
        // Only what could not be read at all has no number.
        let (number, form) = match tag {
            Tag::Numbered { number, answer } => (*number, *answer),
            Tag::Nothing | Tag::Echo(_) | Tag::Rooms { .. } => (0, AnswerForm::Plain),
        };
        let answer = match outcome {
            Ok(reply) => answers::success(number, form, reply),
            Err(refusal) => answers::failure(number, refusal),
        };
        Box::new(std::iter::once(answer))
    }

    fn event(&self, _: EventForm, room: &str, envelope: &Envelope) -> Vec<Vec<u8>> {
        pushes::event(room, envelope)
    }

    fn tell(&self, _: EventForm, notice: &Notice) -> Option<Vec<u8>> {
        pushes::notice(notice)
    }
}

fn malformed(number: u32, refusal: Refusal) -> Request {
    let tag = Tag::Numbered { number, answer: AnswerForm::Plain };
    Request { tag, command: Err(refusal), form: EventForm::Scrp, needs: Needs::Nothing }
}

/// A time on the wire: whole seconds since the Unix epoch that fit 32 bits, as they do until 2106.
fn seconds(time_s: i64) -> u32 {
    u32::try_from(time_s.max(0)).unwrap_or(u32::MAX)
}

/// A time in microseconds on the wire.
fn seconds_of_us(time_us: i64) -> u32 {
    seconds(time_us / 1_000_000)
}

#[cfg(test)]
mod tests;
