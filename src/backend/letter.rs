//! How notices travel between nodes: compact JSON with one-letter keys.
//!
//! As with events, unknown keys are ignored and unknown kinds are an error, so that neighbouring versions can share a broker.

use serde::{Deserialize, Serialize};

use super::{Bulletin, Proclamation};
use crate::chat::{
    Actor, CloseReason, LoginId, MessageId, News, Nickname, NodeId, Notice, PrivateMessage, Revocation, RoomId,
    SessionId,
};

/// What one node sends to another, or to all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Letter {
    /// For one session; the receiver answers `to` with a receipt under `number`.
    Notice {
        number: u64,
        reply_to: NodeId,
        session: SessionId,
        notice: Notice,
    },
    /// Answers a notice: whether it was delivered.
    Receipt {
        number: u64,
        delivered: bool,
    },
    Proclamation(Proclamation),
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "k")]
enum Wire {
    #[serde(rename = "n")]
    Notice { i: u64, r: String, s: String, n: WireNotice },
    #[serde(rename = "a")]
    Receipt { i: u64, d: bool },
    #[serde(rename = "v")]
    Revoked {
        a: String,
        #[serde(default)]
        l: Option<String>,
        #[serde(default)]
        u: i64,
    },
    /// `a` the account, `w` what of it, `t` the text of it, `u` when in microseconds, `f` friends, `m` rooms.
    #[serde(rename = "b")]
    News {
        a: String,
        w: WireNews,
        #[serde(default)]
        t: String,
        u: i64,
        f: Vec<String>,
        m: Vec<String>,
    },
    /// `m` the room, `s` the session that writes, `n` its nickname.
    #[serde(rename = "t")]
    Typing { m: String, s: String, n: Option<String> },
}

#[derive(Serialize, Deserialize, Clone, Copy)]
enum WireNews {
    #[serde(rename = "+")]
    Online,
    #[serde(rename = "-")]
    Offline,
    #[serde(rename = "n")]
    Nickname,
    #[serde(rename = "d")]
    Description,
    #[serde(rename = "x")]
    Deleted,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "k")]
enum WireNotice {
    /// `f` the sending session, `n` its nickname, `g` the target as sent, `i` the message's number, `u` when in microseconds.
    #[serde(rename = "p")]
    Private {
        f: String,
        n: Option<String>,
        g: String,
        t: String,
        #[serde(default)]
        i: u32,
        #[serde(default)]
        u: i64,
    },
    #[serde(rename = "q")]
    Asked { m: String, w: String },
    #[serde(rename = "d")]
    Decided { m: String, y: bool },
    /// Another session took the account's name over.
    #[serde(rename = "x")]
    Superseded {},
    /// Another session goes on in its place.
    #[serde(rename = "h")]
    Resumed {},
    #[serde(rename = "m")]
    MailWaiting {},
}

/// What is wrong with a letter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a letter: {0}")]
pub struct LetterError(String);

fn hex(value: u128) -> String {
    format!("{value:032x}")
}

impl Letter {
    /// The letter as it is sent; `None` for what never travels.
    pub fn encode(&self) -> Option<Vec<u8>> {
        let wire = match self {
            Self::Notice { number, reply_to, session, notice } => Wire::Notice {
                i: *number,
                r: reply_to.to_string(),
                s: hex(session.as_u128()),
                n: WireNotice::of(notice)?,
            },
            Self::Receipt { number, delivered } => Wire::Receipt { i: *number, d: *delivered },
            Self::Proclamation(Proclamation::Revoked { account, which }) => {
                let (login, until_s) = match which {
                    Revocation::One { id, ends_s } => (Some(hex(id.0)), *ends_s),
                    Revocation::BegunUntil(time_s) => (None, *time_s),
                };
                Wire::Revoked { a: account.to_string(), l: login, u: until_s }
            }
            Self::Proclamation(Proclamation::News(bulletin)) => news(bulletin),
            Self::Proclamation(Proclamation::Typing { room, who }) => Wire::Typing {
                m: room.to_string(),
                s: hex(who.session.as_u128()),
                n: who.nickname.as_ref().map(ToString::to_string),
            },
        };
        Some(serde_json::to_vec(&wire).unwrap_or_default())
    }

    /// Reads what [`Letter::encode`] wrote.
    ///
    /// # Errors
    /// When it is no letter, or one that this version has no word for.
    pub fn decode(bytes: &[u8]) -> Result<Self, LetterError> {
        let wire: Wire = serde_json::from_slice(bytes).map_err(|error| LetterError(error.to_string()))?;
        match wire {
            Wire::Notice { i, r, s, n } => Ok(Self::Notice {
                number: i,
                reply_to: NodeId::parse(&r).ok_or_else(|| LetterError(format!("the node {r:?}")))?,
                session: session(&s)?,
                notice: n.notice()?,
            }),
            Wire::Receipt { i, d } => Ok(Self::Receipt { number: i, delivered: d }),
            Wire::Revoked { a, l, u } => {
                let which = match l {
                    Some(login) => Revocation::One { id: LoginId(number(&login)?), ends_s: u },
                    None => Revocation::BegunUntil(u),
                };
                Ok(Self::Proclamation(Proclamation::Revoked { account: nickname(&a)?, which }))
            }
            Wire::Typing { m, s, n } => {
                let nickname = n.as_deref().map(nickname).transpose()?;
                let who = Actor { session: session(&s)?, nickname };
                Ok(Self::Proclamation(Proclamation::Typing { room: room(&m)?, who }))
            }
            Wire::News { a, w, t, u, f, m } => {
                let news = match w {
                    WireNews::Online => News::Online,
                    WireNews::Offline => News::Offline,
                    WireNews::Nickname => News::Nickname(t),
                    WireNews::Description => News::Description(t),
                    WireNews::Deleted => News::Deleted,
                };
                let friends = f.iter().map(|name| nickname(name)).collect::<Result<_, _>>()?;
                let rooms = m.iter().map(|name| room(name)).collect::<Result<_, _>>()?;
                let bulletin = Bulletin { account: nickname(&a)?, news, time_us: u, friends, rooms };
                Ok(Self::Proclamation(Proclamation::News(bulletin)))
            }
        }
    }
}

fn news(bulletin: &Bulletin) -> Wire {
    let (what, text) = match &bulletin.news {
        News::Online => (WireNews::Online, ""),
        News::Offline => (WireNews::Offline, ""),
        News::Nickname(text) => (WireNews::Nickname, text.as_str()),
        News::Description(text) => (WireNews::Description, text.as_str()),
        News::Deleted => (WireNews::Deleted, ""),
    };
    Wire::News {
        a: bulletin.account.to_string(),
        w: what,
        t: text.to_owned(),
        u: bulletin.time_us,
        f: bulletin.friends.iter().map(ToString::to_string).collect(),
        m: bulletin.rooms.iter().map(ToString::to_string).collect(),
    }
}

impl WireNotice {
    fn of(notice: &Notice) -> Option<Self> {
        match notice {
            Notice::Private { message, id, time_us } => Some(Self::Private {
                f: hex(message.from.session.as_u128()),
                n: message.from.nickname.as_ref().map(ToString::to_string),
                g: message.target.clone(),
                t: message.text.clone(),
                i: id.0,
                u: *time_us,
            }),
            Notice::Asked { room, identifier } => Some(Self::Asked { m: room.to_string(), w: identifier.clone() }),
            Notice::Decided { room, approved } => Some(Self::Decided { m: room.to_string(), y: *approved }),
            Notice::Closing(CloseReason::Superseded) => Some(Self::Superseded {}),
            Notice::Closing(CloseReason::Resumed) => Some(Self::Resumed {}),
            Notice::MailWaiting => Some(Self::MailWaiting {}),
            // These are told by the node itself.
            Notice::Closing(_)
            | Notice::Farewell { .. }
            | Notice::PutOut { .. }
            | Notice::Reconnect { .. }
            | Notice::Mail(_)
            | Notice::Gap { .. }
            | Notice::Typing { .. }
            | Notice::News { .. } => None,
        }
    }

    fn notice(self) -> Result<Notice, LetterError> {
        Ok(match self {
            Self::Private { f, n, g, t, i, u } => {
                let name = n.as_deref().map(nickname).transpose()?;
                let from = Actor { session: session(&f)?, nickname: name };
                let message = PrivateMessage { from, target: g, text: t };
                Notice::Private { message, id: MessageId(i), time_us: u }
            }
            Self::Asked { m, w } => Notice::Asked { room: room(&m)?, identifier: w },
            Self::Decided { m, y } => Notice::Decided { room: room(&m)?, approved: y },
            Self::Superseded {} => Notice::Closing(CloseReason::Superseded),
            Self::Resumed {} => Notice::Closing(CloseReason::Resumed),
            Self::MailWaiting {} => Notice::MailWaiting,
        })
    }
}

fn number(text: &str) -> Result<u128, LetterError> {
    u128::from_str_radix(text, 16).map_err(|_| LetterError(format!("the number {text:?}")))
}

fn session(text: &str) -> Result<SessionId, LetterError> {
    number(text).map(SessionId::from_u128)
}

fn nickname(text: &str) -> Result<Nickname, LetterError> {
    Nickname::parse(text).map_err(|fault| LetterError(format!("the nickname {text:?} {fault}")))
}

fn room(text: &str) -> Result<RoomId, LetterError> {
    RoomId::parse(text).map_err(|fault| LetterError(format!("the room {text:?} {fault}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_letter_comes_back() {
        let session = SessionId::from_u128(7);
        let room = RoomId::parse("red room").unwrap();
        let bob = Nickname::parse("bob").unwrap();
        let from = Actor { session, nickname: Some(bob.clone()) };
        let private = PrivateMessage { from, target: "@eve".into(), text: "psst \u{1F92B}".into() };
        let notices = [
            Notice::Private { message: private.clone(), id: MessageId(7), time_us: 1_700_000_000_000_001 },
            Notice::Private {
                message: PrivateMessage { from: Actor { session, nickname: None }, ..private },
                id: MessageId(u32::MAX),
                time_us: 0,
            },
            Notice::Asked { room: room.clone(), identifier: "eve".into() },
            Notice::Decided { room, approved: true },
            Notice::Closing(CloseReason::Superseded),
            Notice::Closing(CloseReason::Resumed),
            Notice::MailWaiting,
        ];
        let reply_to = NodeId::from_random(u128::MAX);
        let noticed = notices.map(|notice| Letter::Notice { number: 5, reply_to, session, notice });
        let revoked = |which| Letter::Proclamation(Proclamation::Revoked { account: bob.clone(), which });
        let news = |news| {
            let (friends, rooms) = (vec![bob.clone()], vec![RoomId::parse("red").unwrap()]);
            let bulletin = Bulletin { account: bob.clone(), news, time_us: 17, friends, rooms };
            Letter::Proclamation(Proclamation::News(bulletin))
        };
        let others = [
            news(News::Online),
            news(News::Offline),
            news(News::Nickname("Bob \"B\"".into())),
            news(News::Description(String::new())),
            news(News::Deleted),
            Letter::Receipt { number: 5, delivered: false },
            revoked(Revocation::BegunUntil(12)),
            revoked(Revocation::One { id: LoginId(u128::MAX), ends_s: 13 }),
        ];
        for letter in noticed.into_iter().chain(others) {
            assert_eq!(Letter::decode(&letter.encode().unwrap()), Ok(letter));
        }
        assert!(Letter::decode(br#"{"k":"later"}"#).is_err());
        assert!(Letter::decode(b"").is_err());
    }
}
