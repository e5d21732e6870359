//! Reading again what was said: by message numbers, in pages, forwards and backwards.

use std::collections::HashMap;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::{CALLS_AT_ONCE, Chat, Participant, unavailable};
use crate::backend::BackendError;
use crate::chat::{
    Envelope, EventKind, From, MessageId, Nickname, Page, Place, Refusal, Reply, RoomId, Source, Span, Told,
};

impl Chat {
    /// A page of messages from what is kept.
    pub(super) async fn receive(
        &self,
        who: &Participant,
        source: Source,
        from: From,
        limit: usize,
    ) -> Result<Reply, Refusal> {
        let account = who.account().ok_or(Refusal::LoginRequired)?;
        let sources = match source {
            Source::Room(room) if who.rooms.contains(&room) => vec![Source::Room(room)],
            Source::Room(room) => return Err(self.why_not_in(who, &room, Refusal::NotMember).await),
            Source::Talk(other) => {
                self.must_exist(&other).await?;
                vec![Source::Talk(other)]
            }
            Source::Everywhere => self.everywhere(who, account).await?,
        };
        let read = stream::iter(sources).map(|source| self.said_in(account, source)).buffered(CALLS_AT_ONCE);
        let said: Result<Vec<Vec<Told>>, BackendError> = read.try_collect().await;
        let mut messages = said.map_err(|error| unavailable("receive", &error))?.concat();
        messages.sort_by_key(|message| message.time_us);
        let (messages, more) = cut(messages, told_from(from), limit);
        Ok(Reply::Messages { messages, more })
    }

    /// A page of a room's messages with their positions, for its members.
    pub(super) async fn read_page(&self, who: &Participant, room: &RoomId, page: Page) -> Result<Reply, Refusal> {
        if !who.rooms.contains(room) {
            return Err(Refusal::NotJoined);
        }
        let records = self.backend.broker.history(room).await;
        let mut records = records.map_err(|error| unavailable("page", &error))?;
        let is_message = |envelope: &Envelope| matches!(envelope.event.kind, EventKind::Message { .. });
        records.retain(|envelope| is_message(envelope) && page.range.contains(envelope.time_us));
        let (mut records, more) = cut(records, |records| edge_of(page.span, records), page.limit);
        self.rename_gone(&mut records).await.map_err(|error| unavailable("page", &error))?;
        Ok(Reply::Page { records, more })
    }

    /// Authors who have deleted their accounts since are no longer named.
    pub(super) async fn rename_gone(&self, events: &mut [Envelope]) -> Result<(), BackendError> {
        let gone = self.gone_authors(events).await?;
        for envelope in events {
            if gone.is_gone(envelope) {
                envelope.event.actor.nickname = Some(Nickname::deleted());
            }
        }
        Ok(())
    }

    async fn everywhere(&self, who: &Participant, account: &Nickname) -> Result<Vec<Source>, Refusal> {
        let friends = self.backend.friends.friends(account).await.map_err(|error| unavailable("friends", &error))?;
        let rooms = who.rooms.iter().cloned().map(Source::Room);
        Ok(rooms.chain(friends.into_iter().map(Source::Talk)).collect())
    }

    /// Everything kept of one room or talk, oldest first.
    async fn said_in(&self, account: &Nickname, source: Source) -> Result<Vec<Told>, BackendError> {
        let room = match &source {
            Source::Room(room) => room.clone(),
            Source::Talk(other) => RoomId::talk(account, other),
            Source::Everywhere => return Ok(Vec::new()),
        };
        let mut history = self.backend.broker.history(&room).await?;
        if let Source::Talk(_) = source {
            // What was written by and to somebody else who bore this name before is not for this account.
            let deleted = self.backend.users.deletions(std::slice::from_ref(account)).await?;
            history.retain(|envelope| deleted.iter().flatten().all(|deleted_us| envelope.time_us > *deleted_us));
        }
        let gone = self.gone_authors(&history).await?;
        let told = |envelope: Envelope| {
            let sender = (!gone.is_gone(&envelope)).then(|| envelope.event.actor.identifier());
            match envelope.event.kind {
                EventKind::Message { id, text } => {
                    let position = envelope.position;
                    Some(Told { id, position, time_us: envelope.time_us, sender, source: source.clone(), text })
                }
                _ => None,
            }
        };
        Ok(history.into_iter().filter_map(told).collect())
    }

    /// Which authors of these events have deleted their accounts since.
    pub(super) async fn gone_authors(&self, events: &[Envelope]) -> Result<Gone, BackendError> {
        let mut authors: Vec<_> = events.iter().filter_map(|event| event.event.actor.nickname.clone()).collect();
        authors.sort_unstable();
        authors.dedup();
        let deletions = self.backend.users.deletions(&authors).await?;
        let gone = authors.into_iter().zip(deletions).filter_map(|(author, deleted)| Some((author, deleted?)));
        Ok(Gone(gone.collect()))
    }
}

/// Deleted authors, with when they went.
pub(super) struct Gone(HashMap<Nickname, i64>);

impl Gone {
    pub fn is_gone(&self, envelope: &Envelope) -> bool {
        let deleted_us = envelope.event.actor.nickname.as_ref().and_then(|author| self.0.get(author));
        deleted_us.is_some_and(|deleted_us| envelope.time_us <= *deleted_us)
    }
}

/// Where a page begins, and whereto it leads: an index among everything that there is.
enum Edge {
    Forwards(usize),
    Backwards(usize),
}

/// The page that begins at an edge, and whether there are more beyond it.
fn cut<T>(mut entries: Vec<T>, edge: impl FnOnce(&[T]) -> Edge, limit: usize) -> (Vec<T>, bool) {
    let forwards = match edge(&entries) {
        Edge::Forwards(begin) => {
            entries.drain(..begin);
            true
        }
        Edge::Backwards(end) => {
            entries.truncate(end);
            false
        }
    };
    let more = entries.len() > limit;
    if forwards {
        entries.truncate(limit);
    } else {
        entries.drain(..entries.len().saturating_sub(limit));
    }
    (entries, more)
}

/// A message that is kept no longer begins nothing: after it comes everything, before it nothing.
fn told_from(from: From) -> impl FnOnce(&[Told]) -> Edge {
    move |told| {
        let index = |id| told.iter().position(|message| message.id == id);
        match from {
            From::End => Edge::Backwards(told.len()),
            From::After(id) => Edge::Forwards(index(id).map_or(0, |index| index + 1)),
            From::Before(id) => Edge::Backwards(index(id).unwrap_or(0)),
        }
    }
}

/// As with [`told_from`]; a position of another epoch is as good as a message that is kept no longer.
fn edge_of(span: Span, records: &[Envelope]) -> Edge {
    let number = |envelope: &Envelope| match envelope.event.kind {
        EventKind::Message { id, .. } => id,
        _ => MessageId::default(),
    };
    // How many come before a place; the message there itself counts as before what comes after it.
    let before = |place: Place, inclusive: bool| match place {
        Place::Message(id) => {
            records.iter().position(|envelope| number(envelope) == id).map(|index| index + usize::from(inclusive))
        }
        Place::At(at) if records.first().is_some_and(|first| first.position.epoch == at.epoch) => {
            let end = if inclusive { at.offset.saturating_add(1) } else { at.offset };
            Some(records.partition_point(|envelope| envelope.position.offset < end))
        }
        Place::At(_) => None,
    };
    match span {
        Span::Newest => Edge::Backwards(records.len()),
        Span::Oldest => Edge::Forwards(0),
        Span::Before(place) => Edge::Backwards(before(place, false).unwrap_or(0)),
        Span::After(place) => Edge::Forwards(before(place, true).unwrap_or(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{Epoch, Position};

    fn ids(from: From, limit: usize) -> (Vec<u32>, bool) {
        let source = Source::Room(RoomId::parse("red").unwrap());
        // Numbers come in blocks, so they need not grow.
        let told = |(at, id): (usize, &u32)| Told {
            id: MessageId(*id),
            position: Position { epoch: Epoch::new(1), offset: at as u64 },
            time_us: at as i64,
            sender: None,
            source: source.clone(),
            text: String::new(),
        };
        let messages = [7, 8, 3, 4, 9].iter().enumerate().map(told).collect();
        let (page, more) = cut(messages, told_from(from), limit);
        (page.iter().map(|message| message.id.0).collect(), more)
    }

    #[test]
    fn pages_lead_forwards_and_backwards() {
        assert_eq!(ids(From::End, 2), (vec![4, 9], true));
        assert_eq!(ids(From::Before(MessageId(4)), 2), (vec![8, 3], true));
        assert_eq!(ids(From::Before(MessageId(8)), 2), (vec![7], false));
        assert_eq!(ids(From::After(MessageId(8)), 2), (vec![3, 4], true));
        assert_eq!(ids(From::After(MessageId(4)), 2), (vec![9], false));
        assert_eq!(ids(From::After(MessageId(99)), 9), (vec![7, 8, 3, 4, 9], false), "what came after is not known");
        assert_eq!(ids(From::Before(MessageId(99)), 9), (vec![], false));
    }
}
