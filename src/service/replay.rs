//! What a client missed in a room that it comes back to: told after the answer to its join, then what comes, without a hole
//! between and nothing twice.

use super::{Chat, Participant};
use crate::backend::Entered;
use crate::chat::{Envelope, Position, RoomId};
use crate::hub::LocalMember;

/// Events that are kept for one session while it is told what it missed; the rest is read when these are told.
const AT_ONCE: usize = 64;

/// How a room goes on for a member that waits in the hub.
pub struct Replay {
    pub room: RoomId,
    pub member: LocalMember,
    /// Everything since the position that the client named will be told.
    pub recovered: bool,
    /// Up to here it was told.
    told: Position,
    /// The beginning of what comes after that, where it was kept.
    read: Option<Vec<Envelope>>,
}

impl Replay {
    /// Keeps nothing of what was read until it is told: others are told before.
    pub fn put_off(self) -> Self {
        Self { read: None, ..self }
    }
}

impl Chat {
    /// How a room goes on for a client that knows it up to `since`, and has just become a member.
    pub(super) async fn replay(
        &self,
        room: &RoomId,
        member: LocalMember,
        since: Position,
        entered: &Entered,
    ) -> Replay {
        let Entered { position, repeated, .. } = *entered;
        // What a stream has not reached it never told. The broker would take it for a stream that was rolled back, and have it
        // go on under another epoch.
        let may_be_of_stream = since.epoch != position.epoch || since.offset <= position.offset;
        if may_be_of_stream
            && let Ok(mut read) = self.backend.broker.catch_up(room, since).await
            && read.seam.gap().is_none()
        {
            read.missed.truncate(AT_ONCE);
            self.metrics.recoveries_total.with_label_values(&["complete"]).inc();
            let told = read.seam.goes_on_after(since);
            return Replay { room: room.clone(), member, recovered: true, told, read: Some(read.missed) };
        }
        self.metrics.recoveries_total.with_label_values(&["incomplete"]).inc();
        // Its own join is the first that it hears, where there is one.
        let told = Position { offset: position.offset.saturating_sub(u64::from(!repeated)), ..position };
        Replay { room: room.clone(), member, recovered: false, told, read: Some(Vec::new()) }
    }

    /// Tells what was missed, at the pace of the reader; then the room is heard live.
    pub(super) async fn tell_missed(&self, who: &Participant, replay: Replay) {
        let Replay { room, member, mut told, mut read, .. } = replay;
        loop {
            if let Some(read) = read.take() {
                let is_all = read.len() < AT_ONCE;
                for envelope in read {
                    if !member.mailbox.until_roomy().await {
                        // The session is ending.
                        return;
                    }
                    told = envelope.position;
                    member.tell(&room, &envelope);
                }
                if is_all {
                    if self.hub.activate(&room, who.id, told) {
                        return;
                    }
                    self.read_up(&room).await;
                }
            }
            let next = match self.backend.broker.catch_up(&room, told).await {
                Ok(next) => next,
                Err(error) => {
                    tracing::debug!(%error, %room, "what a session missed cannot be read to its end");
                    self.hub.activate_past_gap(&room, who.id, told);
                    return;
                }
            };
            told = next.seam.goes_on_after(told);
            if next.seam.gap().is_some() {
                // It was trimmed while its reader was slow.
                member.tell_gap(&room, told, false);
            }
            let mut missed = next.missed;
            missed.truncate(AT_ONCE);
            read = Some(missed);
        }
    }
}
