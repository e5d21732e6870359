//! Bytes to commands, events to bytes, for each dialect.

use crosstalk::wire::{DialectKind, EventForm, FramingKind, RoomSpelling, WireFormat};
use divan::{Bencher, black_box};

use super::{envelope, message, text};

/// How a message is sent in each dialect.
fn request(dialect: DialectKind) -> Vec<u8> {
    let text = text(100);
    let quoted = serde_json::to_string(&text).unwrap();
    match dialect {
        DialectKind::Action => format!(r#"{{"action":"SEND MESSAGE","room_id":"main","text":{quoted}}}"#),
        DialectKind::Simple => format!(r##"{{"type":"message","target":"#main","message":{quoted}}}"##),
        DialectKind::Pychat => format!("MSG {text}"),
        DialectKind::Scrp => {
            format!(r#"{{"req_id":7,"method":"SEND_ROOM_MESSAGE","room_id":"main","content":{quoted}}}"#)
        }
    }
    .into_bytes()
}

#[divan::bench(args = DialectKind::ALL)]
fn decode(bencher: Bencher, dialect: DialectKind) {
    let request = request(dialect);
    let speaks = dialect.dialect(false);
    bencher.bench_local(|| speaks.decode(black_box(&request)));
}

const FORMS: [EventForm; 6] = [
    EventForm::Action { spelling: RoomSpelling::Text, extended: false },
    EventForm::Action { spelling: RoomSpelling::Text, extended: true },
    EventForm::Simple { extended: false },
    EventForm::Simple { extended: true },
    EventForm::Pychat,
    EventForm::Scrp,
];

#[divan::bench(args = FORMS)]
fn encode(bencher: Bencher, form: EventForm) {
    let envelope = envelope(message(100), 5);
    let format = WireFormat { form, framing: FramingKind::WebSocket };
    bencher.bench_local(|| format.event("main", black_box(&envelope)));
}
