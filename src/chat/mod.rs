//! The domain: names, commands, events, positions, refusals and the pure rules about them.
//!
//! Owns the words every other layer speaks. Refuses to know sockets, runtimes, brokers and encodings: no tokio, no
//! redis, no JSON here, so that every rule can be tested as a plain function.

mod account;
mod bucket;
mod catch_up;
mod close;
mod command;
mod conduct;
mod event;
mod names;
mod notice;
mod person;
mod position;
mod push;
mod refusal;
mod room;
mod server;
mod user;

pub use account::{Identity, Login, LoginId, Revocation};
pub use bucket::TokenBucket;
pub use catch_up::{CatchUp, Seam};
pub use close::CloseReason;
pub use command::{
    Command, Credential, From, Page, Place, Reply, ResumedRoom, Returned, RoomRef, Source, Span, TimeRange,
};
pub use conduct::{Caused, Conduct};
pub use event::{Envelope, Event, EventKind, MessageId, RoomNews};
pub use names::{NameFault, Nickname, RoomId};
pub use notice::Notice;
pub use person::{Actor, Addressee, NodeId, PrivateMessage, SessionId};
pub use position::{Epoch, Position};
pub use push::{Mail, Push};
pub use refusal::{Fault, Refusal};
pub use room::{AccessType, Applicant, PersonKey, RoomRecord, RoomSummary, RoomView, RoomWishes};
pub use server::ServerInfo;
pub use user::{Member, News, PendingRequest, RequestId, RequestKind, Role, Told, User, UserChange, UserView, Verdict};
