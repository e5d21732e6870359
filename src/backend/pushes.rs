//! How a push is kept in an inbox: compact JSON with one-letter keys.
//!
//! Unknown keys are ignored and unknown kinds are an error, as with events.

use serde::{Deserialize, Serialize};

use crate::chat::{Actor, MessageId, Nickname, PrivateMessage, Push, RequestId, RequestKind, RoomId, SessionId};

/// `i` the number of the message or request, `n` a nickname or account, `t` a text, `m` a room.
#[derive(Serialize, Deserialize)]
#[serde(tag = "k")]
enum Wire {
    /// `u` when in microseconds, `f` the sending session, `g` the target as sent.
    #[serde(rename = "p")]
    Private { i: u32, u: i64, f: String, n: Option<String>, g: String, t: String },
    /// `d` the display nickname.
    #[serde(rename = "f")]
    FriendRequest { i: u32, n: String, d: String, t: String },
    /// `w` who asks.
    #[serde(rename = "q")]
    EnterRequest { i: u32, w: String, m: String },
    #[serde(rename = "d")]
    Decided { i: u32, n: Option<String>, m: Option<String>, y: bool },
    #[serde(rename = "r")]
    FriendRemoved { n: String },
    #[serde(rename = "x")]
    FriendDeleted { n: String },
}

/// What is wrong with a push.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a push: {0}")]
pub struct PushError(String);

pub fn encode_push(push: &Push) -> Vec<u8> {
    let wire = match push {
        Push::Private { id, time_us, message } => Wire::Private {
            i: id.0,
            u: *time_us,
            f: format!("{:032x}", message.from.session.as_u128()),
            n: message.from.nickname.as_ref().map(ToString::to_string),
            g: message.target.clone(),
            t: message.text.clone(),
        },
        Push::FriendRequest { request, from, nickname, text } => {
            Wire::FriendRequest { i: request.0, n: from.to_string(), d: nickname.clone(), t: text.clone() }
        }
        Push::EnterRequest { request, identifier, room } => {
            Wire::EnterRequest { i: request.0, w: identifier.clone(), m: room.to_string() }
        }
        Push::Decided { request, kind, approved } => {
            let (friend, room) = match kind {
                RequestKind::Friend(name) => (Some(name.to_string()), None),
                RequestKind::Room(room) => (None, Some(room.to_string())),
            };
            Wire::Decided { i: request.0, n: friend, m: room, y: *approved }
        }
        Push::FriendRemoved { account } => Wire::FriendRemoved { n: account.to_string() },
        Push::FriendDeleted { account } => Wire::FriendDeleted { n: account.to_string() },
    };
    serde_json::to_vec(&wire).unwrap_or_default()
}

/// Reads what [`encode_push`] wrote.
///
/// # Errors
/// When it is no push, or one that this version has no word for.
pub fn decode_push(bytes: &[u8]) -> Result<Push, PushError> {
    Ok(match serde_json::from_slice(bytes).map_err(fault)? {
        Wire::Private { i, u, f, n, g, t } => {
            let session = u128::from_str_radix(&f, 16).map(SessionId::from_u128).map_err(fault)?;
            let from = Actor { session, nickname: n.as_deref().map(nickname).transpose()? };
            Push::Private { id: MessageId(i), time_us: u, message: PrivateMessage { from, target: g, text: t } }
        }
        Wire::FriendRequest { i, n, d, t } => {
            Push::FriendRequest { request: RequestId(i), from: nickname(&n)?, nickname: d, text: t }
        }
        Wire::EnterRequest { i, w, m } => {
            Push::EnterRequest { request: RequestId(i), identifier: w, room: RoomId::parse(&m).map_err(fault)? }
        }
        Wire::Decided { i, n, m, y } => {
            let kind = match (n, m) {
                (Some(name), _) => RequestKind::Friend(nickname(&name)?),
                (None, Some(room)) => RequestKind::Room(RoomId::parse(&room).map_err(fault)?),
                (None, None) => return Err(fault("a decision about nothing")),
            };
            Push::Decided { request: RequestId(i), kind, approved: y }
        }
        Wire::FriendRemoved { n } => Push::FriendRemoved { account: nickname(&n)? },
        Wire::FriendDeleted { n } => Push::FriendDeleted { account: nickname(&n)? },
    })
}

fn fault(reason: impl std::fmt::Display) -> PushError {
    PushError(reason.to_string())
}

fn nickname(text: &str) -> Result<Nickname, PushError> {
    Nickname::parse(text).map_err(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_push_comes_back() {
        let name = |text: &str| Nickname::parse(text).unwrap();
        let red = RoomId::parse("red room").unwrap();
        let from = Actor { session: SessionId::from_u128(7), nickname: Some(name("zoë")) };
        let message = PrivateMessage { from, target: "@bob".into(), text: "\"hi\"\n".into() };
        let request = RequestId(u32::MAX);
        let pushes = [
            Push::Private { id: MessageId(3), time_us: 1_700_000_000_000_001, message },
            Push::FriendRequest { request, from: name("bob"), nickname: "Bob B.".into(), text: String::new() },
            Push::EnterRequest { request, identifier: "eve".into(), room: red.clone() },
            Push::Decided { request, kind: RequestKind::Friend(name("bob")), approved: true },
            Push::Decided { request, kind: RequestKind::Room(red), approved: false },
            Push::FriendRemoved { account: name("bob") },
            Push::FriendDeleted { account: name("bob") },
        ];
        for push in pushes {
            assert_eq!(decode_push(&encode_push(&push)), Ok(push));
        }
        assert!(decode_push(b"{\"k\":\"?\"}").is_err());
    }
}
