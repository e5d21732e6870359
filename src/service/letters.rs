//! Private messages. To a guest they go from hand to hand; to an account they are kept until it was told, and a talk between
//! two accounts can be read again.

use super::{Chat, Outcome, Participant, Settling, unavailable};
use crate::backend::{Delivery, Holder, INBOX_MAX, Publication, Published, Publisher, Put};
use crate::chat::{
    Addressee, Event, EventKind, MessageId, Nickname, Notice, PrivateMessage, Push, Refusal, Reply, RoomId, SessionId,
};

/// What somebody writes to somebody.
pub(super) struct Letter {
    pub target: String,
    pub text: String,
    pub key: Option<String>,
}

/// A letter with the number and time under which it is known.
struct Posted {
    id: MessageId,
    time_us: i64,
    message: PrivateMessage,
    /// It was accepted before under the same key.
    repeated: bool,
}

impl Chat {
    /// Answered with success once it is in the mailbox of a live session, or kept for an account; what one writes to oneself
    /// comes after the answer.
    pub(super) async fn send_private(&self, who: &Participant, to: Addressee, letter: Letter) -> Outcome {
        match self.try_send_private(who, to, letter).await {
            Err(refusal) => Outcome::refused(refusal),
            Ok((Posted { id, time_us, message, .. }, to_self)) => {
                self.metrics.private_messages_total.inc();
                let notice = || Notice::Private { message: message.clone(), id, time_us };
                let afterwards = to_self.then(|| Settling::OwnNotice(notice()));
                Outcome { result: Ok(Reply::SentPrivately { message, to_self, id, time_us }), afterwards }
            }
        }
    }

    async fn try_send_private(
        &self,
        who: &Participant,
        to: Addressee,
        letter: Letter,
    ) -> Result<(Posted, bool), Refusal> {
        match to {
            Addressee::Session(session) => self.hand_over_letter(who, session, letter, Refusal::UserNotFound).await,
            Addressee::Nickname(name) => {
                match self.bearer(&name).await? {
                    (Some(_), holder) => self.write_to_account(who, &name, holder, letter).await,
                    // Somebody holds the name on a node that does not hear: it will come back, or be swept.
                    (None, Some(holder)) => {
                        self.hand_over_letter(who, holder.session, letter, Refusal::Unavailable).await
                    }
                    (None, None) => Err(Refusal::UserNotFound),
                }
            }
        }
    }

    /// Gives a letter to a session; `unheard` is the refusal where nobody hears for its node.
    async fn hand_over_letter(
        &self,
        who: &Participant,
        session: SessionId,
        letter: Letter,
        unheard: Refusal,
    ) -> Result<(Posted, bool), Refusal> {
        self.check_length(&letter.text)?;
        let posted = self.posted(who, letter).await?;
        if session == who.id {
            return Ok((posted, true));
        }
        match self.deliver_letter(session, &posted).await? {
            Delivery::Done => Ok((posted, false)),
            Delivery::NoNode => Err(unheard),
            Delivery::NoSession => Err(Refusal::UserNotFound),
        }
    }

    async fn deliver_letter(&self, session: SessionId, posted: &Posted) -> Result<Delivery, Refusal> {
        let Posted { id, time_us, message, .. } = posted;
        let notice = Notice::Private { message: message.clone(), id: *id, time_us: *time_us };
        let delivered = self.backend.post.deliver(session, &notice).await;
        delivered.map_err(|error| unavailable("private message", &error))
    }

    async fn posted(&self, who: &Participant, letter: Letter) -> Result<Posted, Refusal> {
        let (id, time_us) = (self.numbers.message().await?, self.clock.unix_us());
        let message = PrivateMessage { from: who.actor(), target: letter.target, text: letter.text };
        Ok(Posted { id, time_us, message, repeated: false })
    }

    /// Writes to an account: friends may at any time, others where their dialect lets them and it is there.
    async fn write_to_account(
        &self,
        who: &Participant,
        to: &Nickname,
        holder: Option<Holder>,
        letter: Letter,
    ) -> Result<(Posted, bool), Refusal> {
        if who.account() == Some(to) && !who.conduct.friends_only {
            return self.hand_over_letter(who, who.id, letter, Refusal::UserNotFound).await;
        }
        let are_friends = self.are_friends(who, to).await?;
        if !are_friends {
            if who.conduct.friends_only {
                return Err(Refusal::NotFriends);
            }
            if holder.is_none() {
                return Err(Refusal::UserNotFound);
            }
        }
        self.check_length(&letter.text)?;
        let posted = match who.account() {
            Some(account) => self.note_in_talk(who, account, to, letter).await?,
            None => self.posted(who, letter).await?,
        };
        if let Some(holder) = holder.filter(|holder| !holder.reads_inbox) {
            match self.deliver_letter(holder.session, &posted).await? {
                Delivery::Done => return Ok((posted, false)),
                Delivery::NoNode if !are_friends => return Err(Refusal::Unavailable),
                Delivery::NoSession if !are_friends => return Err(Refusal::UserNotFound),
                // It went meanwhile, or cannot be reached: what a friend writes is kept.
                Delivery::NoNode | Delivery::NoSession => {}
            }
        }
        if posted.repeated && self.waits_for(to, &posted).await? {
            return Ok((posted, false));
        }
        let push = Push::Private { id: posted.id, time_us: posted.time_us, message: posted.message.clone() };
        let friend = who.account().filter(|_| are_friends);
        match self.push(to, &push, friend).await? {
            Put::Kept { .. } => Ok((posted, false)),
            Put::Unknown => Err(Refusal::UserNotFound),
            Put::NotFriends => Err(Refusal::NotFriends),
            Put::Full => Err(Refusal::TooMany),
        }
    }

    /// Whether a letter is in somebody's inbox already. What is not there was told, or never came there; the latter counts.
    async fn waits_for(&self, to: &Nickname, posted: &Posted) -> Result<bool, Refusal> {
        let since = u64::try_from(posted.time_us).unwrap_or_default().saturating_sub(1);
        let mail = self.backend.inbox.mail(to, since, INBOX_MAX).await;
        let mail = mail.map_err(|error| unavailable("inbox", &error))?;
        Ok(mail.iter().any(|mail| matches!(&mail.push, Push::Private { id, .. } if *id == posted.id)))
    }

    async fn are_friends(&self, who: &Participant, other: &Nickname) -> Result<bool, Refusal> {
        let Some(account) = who.account() else { return Ok(false) };
        let friends = self.backend.friends.friends(account).await;
        friends.map(|friends| friends.contains(other)).map_err(|error| unavailable("friends", &error))
    }

    /// Keeps a letter where the two can read it again. It comes before the inbox: what was accepted once under a key has its
    /// number from here, and is put into the inbox again in case that had failed.
    async fn note_in_talk(
        &self,
        who: &Participant,
        account: &Nickname,
        to: &Nickname,
        letter: Letter,
    ) -> Result<Posted, Refusal> {
        let Letter { target, text, key } = letter;
        let from = who.actor();
        let id = self.numbers.message().await?;
        let event = Event::new(from.clone(), EventKind::Message { id, text: text.clone() });
        let publication =
            Publication { event: &event, publisher: Publisher::Anyone, key: key.as_deref().map(|key| who.key(key)) };
        let noted = self.backend.broker.publish(&RoomId::talk(account, to), publication).await;
        let noted = noted.map_err(|error| unavailable("talk", &error))?;
        let Published { time_us, id, repeated, .. } = noted.ok_or(Refusal::Unavailable)?;
        Ok(Posted { id, time_us, message: PrivateMessage { from, target, text }, repeated })
    }
}
