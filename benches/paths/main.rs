//! What a message, a membership and a session cost inside the process, step by step, in time and in allocations.
//!
//! `cargo bench --bench paths` runs all of it, `cargo bench --bench paths -- fan_out` what has that in its name. Times of two runs
//! differ on a busy machine, allocations do not.

// The business of a benchmark is to measure; what goes wrong in it may be loud.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

mod envelope;
mod hub;
mod roster;
mod wire;

use crosstalk::chat::{Actor, Envelope, Epoch, Event, EventKind, MessageId, Nickname, Position, RoomId, SessionId};

#[global_allocator]
static ALLOCATIONS: divan::AllocProfiler = divan::AllocProfiler::system();

/// A message that is often said, and one that is as long as they come.
const TEXT_BYTES: [usize; 2] = [100, 4_000];

fn main() {
    divan::main();
}

/// A text as people write it: words, a quotation mark now and then, some letters beyond ASCII.
fn text(bytes: usize) -> String {
    let mut text = "see you at \"Zoë's\" around eight, bring the map and the other thing ".repeat(bytes / 60 + 1);
    text.truncate(text.floor_char_boundary(bytes));
    text
}

fn room(number: usize) -> RoomId {
    RoomId::parse(&format!("room {number}")).unwrap()
}

fn session(number: usize) -> SessionId {
    SessionId::from_u128(0x1234_5678_9abc_4def_8000_0000_0000_0000 + number as u128)
}

fn event(kind: EventKind) -> Event {
    let nickname = Some(Nickname::parse("alice").unwrap());
    Event::new(Actor { session: session(0), nickname }, kind)
}

fn message(bytes: usize) -> EventKind {
    EventKind::Message { id: MessageId(123_456), text: text(bytes) }
}

fn envelope(kind: EventKind, offset: u64) -> Envelope {
    let position = Position { epoch: Epoch::new(1_234_567_890_123), offset };
    Envelope { position, time_us: 1_790_000_000_123_456, event: event(kind) }
}
