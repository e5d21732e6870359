//! What accounts are told from their inboxes: in order, at least once. And up to where they were told in their rooms.
//!
//! A push is told as soon as the account's session knows of it, and forgotten only when it was written to a connection that
//! lived on for a while after: whoever vanishes in between is told once more.

use std::collections::HashMap;
use std::time::Duration;

use super::attendance::Told;
use super::{Chat, Participant, unavailable};
use crate::backend::{BackendError, Delivery, Holder, Put};
use crate::chat::{Nickname, Notice, Position, Push, Refusal, RequestKind, RoomId};

/// How long a connection must live on after something was written to it, for that to count as told.
const SURE_AFTER: Duration = Duration::from_secs(5);
/// How often it is looked whether something has become sure.
pub const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Pushes read at once.
const PAGE: usize = 100;

/// Of how many rooms that a connection does not hear any more it is known what it was told; of one that was left before these it
/// may be told twice, where the backend did not take note.
const LEFT_MAX: usize = 100;

/// What the account of a session was told in it.
#[derive(Default)]
pub struct Correspondence {
    /// The number of the newest push that was looked at.
    seen: u64,
    /// Pushes that were told and are in no glance yet.
    told: Vec<u64>,
    /// Up to where it is sure, or soon to be, that everything in these rooms was told.
    positions: HashMap<RoomId, Position>,
    glance: Option<Glance>,
    /// When it was looked last whether something is sure.
    looked_at_ms: u64,
    /// Up to where this connection was told in rooms that it does not hear any more, those left last at the end.
    left: Vec<(RoomId, Told)>,
}

/// What was queued for the session at one moment.
struct Glance {
    pushes: Vec<u64>,
    positions: Vec<(RoomId, Position)>,
    /// The mailbox's count at that moment.
    taken: u64,
    written_at_ms: Option<u64>,
}

impl Correspondence {
    pub(super) fn remember_told(&mut self, room: &RoomId, told: Told) {
        self.left.retain(|(other, _)| other != room);
        if self.left.len() >= LEFT_MAX {
            self.left.remove(0);
        }
        self.left.push((room.clone(), told));
    }

    pub(super) fn told_in(&self, room: &RoomId) -> Option<Told> {
        self.left.iter().find(|(other, _)| other == room).map(|(_, told)| *told)
    }

    pub(super) fn forget_room(&mut self, room: &RoomId) {
        self.positions.remove(room);
        if let Some(glance) = &mut self.glance {
            glance.positions.retain(|(other, _)| other != room);
        }
    }
}

impl Chat {
    /// Puts a push into an account's inbox and has its session look there; `friend` must be one of the account's friends.
    pub(super) async fn push(&self, to: &Nickname, push: &Push, friend: Option<&Nickname>) -> Result<Put, Refusal> {
        let put = self.backend.inbox.put(to, push, friend).await.map_err(|error| unavailable("push", &error))?;
        if let Put::Kept { holder } = put {
            self.metrics.pushes_total.inc();
            if let Some(holder) = holder {
                self.ring(holder).await;
            }
        }
        Ok(put)
    }

    /// Like [`Chat::push`], for what must not fail because of it. An account that cannot log in where its inbox is read in
    /// full is not written to: it would only fill up.
    pub(super) async fn notify(&self, to: &Nickname, push: &Push) {
        let pushed = async {
            let user = self.backend.users.user(to).await.map_err(|error| unavailable("user", &error))?;
            match user {
                Some(user) if user.password_hash.is_some() => self.push(to, push, None).await.map(drop),
                _ => Ok(()),
            }
        };
        if let Err(refusal) = pushed.await {
            tracing::debug!(%refusal, "a push was not kept");
        }
    }

    /// A bell that is not heard costs nothing but time: the session looks when its node hears again, or the next one at its
    /// login.
    async fn ring(&self, holder: Holder) {
        match self.backend.post.deliver(holder.session, &Notice::MailWaiting).await {
            Ok(Delivery::Done | Delivery::NoSession | Delivery::NoNode) => {}
            Err(error) => tracing::debug!(%error, "a session was not told of its mail"),
        }
    }

    /// Tells the session what waits for its account.
    pub async fn tell_mail(&self, who: &mut Participant) {
        if let Err(error) = self.try_tell_mail(who).await {
            tracing::debug!(%error, session = %who.id, "the inbox cannot be read");
            // The backend will be heard of again, and then every session looks.
        }
    }

    async fn try_tell_mail(&self, who: &mut Participant) -> Result<(), BackendError> {
        let (Some(account), Some(format)) = (who.account().cloned(), self.sessions.format(who.id)) else {
            return Ok(());
        };
        loop {
            let seen = who.correspondence.as_ref().map_or(0, |correspondence| correspondence.seen);
            let mail = self.backend.inbox.mail(&account, seen, PAGE).await?;
            let all = mail.len() < PAGE;
            for mail in mail {
                let (number, approved) = (mail.number, approved_room(&mail.push));
                // What the dialect has no words for waits for a session that has them.
                if let Some(bytes) = format.tell(&Notice::Mail(mail)) {
                    if !(who.mailbox.until_roomy().await && who.mailbox.notice(bytes)) {
                        return Ok(());
                    }
                    self.metrics.mail_total.inc();
                    who.correspondence.get_or_insert_default().told.push(number);
                }
                who.correspondence.get_or_insert_default().seen = number;
                if let (true, Some(room)) = (who.conduct.enrols, approved) {
                    self.attend_new(who, &room).await;
                }
            }
            if all {
                return Ok(());
            }
        }
    }

    /// Whether something of what the session was told is not sure yet, or may become so.
    pub fn must_look(&self, who: &Participant) -> bool {
        who.account().is_some() && (who.conduct.enrols || who.correspondence.is_some())
    }

    /// Looks whether what was told is sure by now, and has it forgotten then.
    pub async fn look_at_told(&self, who: &mut Participant) {
        let Some(account) = who.account().cloned() else { return };
        if self.may_act(who).is_err() {
            // Another session may have the account's name by now, and know more.
            return;
        }
        let now_ms = self.clock.now_ms();
        let correspondence = who.correspondence.get_or_insert_default();
        let looked_at_ms = std::mem::replace(&mut correspondence.looked_at_ms, now_ms);
        let stood_still = now_ms > looked_at_ms + 2 * LOOK_EVERY.as_millis() as u64;
        if let Some(glance) = &mut correspondence.glance {
            if stood_still {
                // Whether the connection lived on meanwhile is not known.
                glance.written_at_ms = None;
            }
            if glance.written_at_ms.is_none() && who.mailbox.has_written(glance.taken) {
                glance.written_at_ms = Some(now_ms);
            }
            let sure_after_ms = SURE_AFTER.as_millis() as u64;
            if glance.written_at_ms.is_none_or(|written_ms| now_ms < written_ms + sure_after_ms) {
                return;
            }
            match self.forget_told(&account, &glance.pushes, &glance.positions).await {
                Ok(foreign) => who.doubts_rooms |= foreign.iter().any(|room| who.rooms.contains(room)),
                Err(error) => {
                    tracing::debug!(%error, "what was told cannot be forgotten yet");
                    return;
                }
            }
            correspondence.glance = None;
        }
        let mut positions = Vec::new();
        for room in who.rooms.iter().filter(|_| who.conduct.enrols) {
            let Some(position) = self.hub.position(room) else { continue };
            if correspondence.positions.insert(room.clone(), position) != Some(position) {
                positions.push((room.clone(), position));
            }
        }
        let pushes = std::mem::take(&mut correspondence.told);
        if pushes.is_empty() && positions.is_empty() {
            return;
        }
        // After the positions: everything up to them is among what was taken.
        let taken = who.mailbox.taken();
        let written_at_ms = who.mailbox.has_written(taken).then_some(now_ms);
        correspondence.glance = Some(Glance { pushes, positions, taken, written_at_ms });
    }

    /// The rooms among them of which the account is no member any more.
    async fn forget_told(
        &self,
        account: &Nickname,
        pushes: &[u64],
        positions: &[(RoomId, Position)],
    ) -> Result<Vec<RoomId>, BackendError> {
        if !pushes.is_empty() {
            self.backend.inbox.discard(account, pushes).await?;
        }
        if positions.is_empty() { Ok(Vec::new()) } else { self.backend.members.told(account, positions).await }
    }
}

fn approved_room(push: &Push) -> Option<RoomId> {
    match push {
        Push::Decided { kind: RequestKind::Room(room), approved: true, .. } => Some(room.clone()),
        _ => None,
    }
}
