//! Pushes in the store: JSON, because the next version will have more to say.

use serde::{Deserialize, Serialize};

use crate::chat::{Actor, MessageId, Nickname, PrivateMessage, Push, RequestId, RequestKind, RoomId, SessionId};

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Row {
    Private { id: u32, session: String, nickname: Option<String>, target: String, text: String },
    FriendRequest { request: u32, from: String, nickname: String, text: String },
    EnterRequest { request: u32, identifier: String, room: String },
    FriendDecided { request: u32, friend: String, approved: bool },
    RoomDecided { request: u32, room: String, approved: bool },
    FriendRemoved { account: String },
    FriendDeleted { account: String },
}

pub fn encode_push(push: &Push) -> Vec<u8> {
    let row = match push {
        Push::Private { id, message: PrivateMessage { from, target, text } } => Row::Private {
            id: id.0,
            session: format!("{:032x}", from.session.as_u128()),
            nickname: from.nickname.as_ref().map(ToString::to_string),
            target: target.clone(),
            text: text.clone(),
        },
        Push::FriendRequest { request, from, nickname, text } => Row::FriendRequest {
            request: request.0,
            from: from.to_string(),
            nickname: nickname.clone(),
            text: text.clone(),
        },
        Push::EnterRequest { request, identifier, room } => {
            Row::EnterRequest { request: request.0, identifier: identifier.clone(), room: room.to_string() }
        }
        Push::Decided { request, kind: RequestKind::Friend(friend), approved } => {
            Row::FriendDecided { request: request.0, friend: friend.to_string(), approved: *approved }
        }
        Push::Decided { request, kind: RequestKind::Room(room), approved } => {
            Row::RoomDecided { request: request.0, room: room.to_string(), approved: *approved }
        }
        Push::FriendRemoved { account } => Row::FriendRemoved { account: account.to_string() },
        Push::FriendDeleted { account } => Row::FriendDeleted { account: account.to_string() },
    };
    serde_json::to_vec(&row).unwrap_or_default()
}

/// Reads what [`encode_push`] wrote; `None` for what it did not write.
pub fn decode_push(bytes: &[u8]) -> Option<Push> {
    let name = |text: String| Nickname::parse(&text).ok();
    let room = |text: String| RoomId::parse_stored(&text).ok();
    Some(match serde_json::from_slice(bytes).ok()? {
        Row::Private { id, session, nickname, target, text } => {
            let session = SessionId::from_u128(u128::from_str_radix(&session, 16).ok()?);
            let from = Actor { session, nickname: nickname.and_then(name) };
            Push::Private { id: MessageId(id), message: PrivateMessage { from, target, text } }
        }
        Row::FriendRequest { request, from, nickname, text } => {
            Push::FriendRequest { request: RequestId(request), from: name(from)?, nickname, text }
        }
        Row::EnterRequest { request, identifier, room: id } => {
            Push::EnterRequest { request: RequestId(request), identifier, room: room(id)? }
        }
        Row::FriendDecided { request, friend, approved } => {
            Push::Decided { request: RequestId(request), kind: RequestKind::Friend(name(friend)?), approved }
        }
        Row::RoomDecided { request, room: id, approved } => {
            Push::Decided { request: RequestId(request), kind: RequestKind::Room(room(id)?), approved }
        }
        Row::FriendRemoved { account } => Push::FriendRemoved { account: name(account)? },
        Row::FriendDeleted { account } => Push::FriendDeleted { account: name(account)? },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_push_comes_back() {
        let name = |text: &str| Nickname::parse(text).unwrap();
        let (room, request) = (RoomId::parse("red").unwrap(), RequestId(7));
        let from = Actor { session: SessionId::from_u128(u128::MAX), nickname: Some(name("zoë")) };
        let message = PrivateMessage { from, target: "@bob".into(), text: "a \"b\"\n".into() };
        let nameless =
            PrivateMessage { from: Actor { session: SessionId::from_u128(1), nickname: None }, ..message.clone() };
        let pushes = [
            Push::Private { id: MessageId(u32::MAX), message },
            Push::Private { id: MessageId(0), message: nameless },
            Push::FriendRequest { request, from: name("bob"), nickname: "Bob B.".into(), text: String::new() },
            Push::EnterRequest { request, identifier: "bob".into(), room: room.clone() },
            Push::Decided { request, kind: RequestKind::Friend(name("bob")), approved: true },
            Push::Decided { request, kind: RequestKind::Room(room), approved: false },
            Push::FriendRemoved { account: name("bob") },
            Push::FriendDeleted { account: name("bob") },
        ];
        for push in pushes {
            assert_eq!(decode_push(&encode_push(&push)), Some(push));
        }
        assert_eq!(decode_push(br#"{"kind":"later"}"#), None);
    }
}
