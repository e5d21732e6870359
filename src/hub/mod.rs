//! The node's own rooms: who is in which, and what they get. Knows neither protocols nor brokers.
//!
//! A room's events arrive one at a time from the dispatcher; under the room's lock they pass [`RoomStream`] and go into
//! every member's [`Mailbox`], so that all members see one order. What is for one session alone finds it among [`Sessions`].

mod flush;
mod mailbox;
mod room_stream;
mod rooms;
mod sessions;

pub use flush::Flush;
pub use mailbox::{Call, Flushed, Mailbox, Outgoing, Outlet, Pass, Posted, PutOut, ending};
pub use room_stream::{RoomStream, Step};
pub use rooms::{Arrival, Delivered, Departure, Hub, Interest, LocalMember};
pub use sessions::{Seat, Sessions};

/// The bytes a member wants; the hub passes it through, and so do those above who never look inside.
pub use crate::wire::WireFormat;
