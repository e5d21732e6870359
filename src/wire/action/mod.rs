//! The `action` dialect: one JSON object per message, both ways.
//!
//! Source: `docs/protocols/action.md` and the protocol's own text. Every request is answered by RESPONSE or ERROR, which
//! echo the request whole, as it was written. The extended mode, which a client must ask for, has more requests, more in
//! the answers and words for what happens in rooms beside messages; without it nothing of that is ever sent.

mod answers;
mod errors;
mod events;
mod fields;
mod requests;

use super::json::{echoed, raw_with_echo};
use super::{Dialect, EventForm, Messages, Needs, Request, RoomSpelling, Rules, Tag};
use crate::chat::{Conduct, Envelope, Nickname, Notice, Refusal, Reply};

pub struct Action {
    pub extended: bool,
}

const PLAIN: Rules = Rules {
    conduct: Conduct { join_creates: true, resumes: true, ..Conduct::PLAIN },
    message_bytes_max: None,
    long_message_closes: false,
    line_end: b"\n",
};

const EXTENDED: Rules = Rules { conduct: Conduct { in_lobby: true, ..PLAIN.conduct }, ..PLAIN };

impl Dialect for Action {
    fn rules(&self) -> &'static Rules {
        if self.extended { &EXTENDED } else { &PLAIN }
    }

    fn form(&self) -> EventForm {
        EventForm::Action { spelling: RoomSpelling::Text, extended: self.extended }
    }

    fn greets(&self) -> bool {
        self.extended
    }

    fn decode(&self, message: &[u8]) -> Request {
        let (raw, tag) = raw_with_echo(message);
        let Some(fields) = raw.and_then(|raw| fields::read(raw).ok()) else {
            return Request { tag, command: Err(Refusal::NotAnObject), form: self.form(), needs: Needs::Nothing };
        };
        if self.extended && requests::is_resume(&fields) {
            let (tag, command) = match (requests::resume(&fields), tag) {
                (Ok((command, forms)), Tag::Echo(echo)) => (Tag::Rooms { echo, forms }, Ok(command)),
                (read, tag) => (tag, read.map(|(command, _)| command)),
            };
            return Request { tag, command, form: self.form(), needs: Needs::Nothing };
        }
        let (command, form) = match requests::command(&fields, self.extended) {
            Ok((command, form)) => (Ok(command), form),
            Err(refusal) => (Err(refusal), self.form()),
        };
        Request { tag, command, form, needs: Needs::Nothing }
    }

    fn answer<'a>(&self, tag: &'a Tag, outcome: &'a Result<Reply, Refusal>, _: Option<&'a Nickname>) -> Messages<'a> {
        let request = echoed(tag);
        let answer = match outcome {
            Ok(reply) if self.extended => answers::extended(request, tag.forms(), reply),
            Ok(_) => answers::done(request),
            Err(refusal) => answers::error(request, &errors::error_text(refusal)),
        };
        Box::new(std::iter::once(answer))
    }

    fn event(&self, form: EventForm, room: &str, envelope: &Envelope) -> Vec<Vec<u8>> {
        events::event(events::RoomIdForm(spelling(form), room), self.extended, envelope)
    }

    fn tell(&self, form: EventForm, notice: &Notice) -> Option<Vec<u8>> {
        events::notice(spelling(form), self.extended, notice)
    }
}

/// How a subscriber of this dialect writes a room's id.
fn spelling(form: EventForm) -> RoomSpelling {
    match form {
        EventForm::Action { spelling, .. } => spelling,
        _ => RoomSpelling::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::events::RoomIdForm;
    use super::*;
    use crate::chat::{Command, Credential, RoomId};
    use crate::wire::json::json;

    const PLAIN: Action = Action { extended: false };
    const EXTENDED: Action = Action { extended: true };

    fn decode(text: &str) -> Request {
        PLAIN.decode(text.as_bytes())
    }

    #[test]
    fn a_room_id_keeps_the_json_form_of_its_join() {
        use RoomSpelling::{Hash, Integer, Text};
        for (raw, spelling, room) in [
            (r#""main""#, Text, "main"),
            (r##""#main""##, Hash, "main"),
            ("5", Integer, "5"),
            ("-7", Integer, "-7"),
            ("-0", Integer, "0"),
            ("123456789012345678901234567890", Integer, "123456789012345678901234567890"),
        ] {
            let request = decode(&format!(r#"{{"action":"JOIN ROOM","room_id":{raw}}}"#));
            let room_id = RoomId::parse(room).unwrap();
            assert_eq!(request.command, Ok(Command::Join { room: room_id, password: None, since: None }));
            assert_eq!(request.form, EventForm::Action { spelling, extended: false });
            let shown = json(&RoomIdForm(spelling, room));
            assert_eq!(String::from_utf8(shown).unwrap(), raw.replace("-0", "0"));
        }
        for raw in ["5.0", "1e3", "[]", "{}", "true", r#""""#, r#""@bob""#, r#""\ud800""#] {
            let request = decode(&format!(r#"{{"action":"JOIN ROOM","room_id":{raw}}}"#));
            assert_eq!(request.command, Err(Refusal::ParameterInvalid("room_id")), "{raw}");
        }
    }

    #[test]
    fn the_last_of_two_equal_keys_counts_and_the_echo_is_verbatim() {
        let text = r#"{"action":"X", "action" : "LOGIN NICK","nickname":"Bob","n":1.50}"#;
        let request = decode(text);
        assert_eq!(
            request.command,
            Ok(Command::Login { nickname: Nickname::parse("Bob").ok(), credential: Credential::None })
        );
        assert_eq!(request.tag, Tag::Echo(text.to_owned()));
    }

    proptest::proptest! {
        #[test]
        fn no_list_of_rooms_makes_it_panic(rooms in r#"[\[\]{}:,"0-9a-z#-]{0,60}"#, token in "[0-9a-f.-]{0,70}") {
            let text = format!(r#"{{"action":"RESUME","token":"{token}","rooms":{rooms}}}"#);
            let request = EXTENDED.decode(text.as_bytes());
            if let Ok(Command::Resume { rooms, .. }) = request.command {
                proptest::prop_assert_eq!(rooms.len(), request.tag.forms().len());
            }
        }

        #[test]
        fn no_bytes_make_it_panic_and_every_answer_is_json(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let request = PLAIN.decode(&bytes);
            let refusal = Err(request.command.err().unwrap_or(Refusal::Unavailable));
            for message in PLAIN.answer(&request.tag, &refusal, None) {
                proptest::prop_assert!(serde_json::from_slice::<serde_json::Value>(&message).is_ok());
            }
        }
    }
}
