//! Members who are told in different formats, or not at all.

use super::*;

impl Bench {
    /// A member of a dialect that has words for messages only.
    fn enter_terse(&self, session: u128) -> Arc<Mailbox> {
        let format = WireFormat {
            form: EventForm::Action { spelling: RoomSpelling::Text, extended: false },
            framing: FramingKind::Lines,
        };
        let member = LocalMember { format, ..self.guest(session) };
        let mailbox = member.mailbox.clone();
        self.hub.enter(&self.room, member);
        mailbox
    }
}

async fn count(mailbox: &Mailbox) -> usize {
    mailbox.finish([]);
    let mut count = 0;
    while let Outgoing::Batch(batch) = mailbox.outgoing().await {
        count += batch.len();
    }
    count
}

#[tokio::test]
async fn an_event_without_words_still_lets_its_actor_in_and_out() {
    let bench = bench();
    let (terse, other, wordy) = (bench.enter_terse(1), bench.enter_terse(2), bench.enter(3));
    for (session, offset) in [(1, 1), (2, 2), (3, 3)] {
        bench.deliver(&event(session, offset, EventKind::Joined));
    }
    assert_eq!((terse.own_seen(), other.own_seen()), (1, 1), "who waits to see its own join waits no longer");
    assert_eq!(bench.deliver(&said(3, 4)), Delivered::To(3));
    let departure = bench.hub.remove_after(&bench.room, SessionId::from_u128(1), at(6));
    let Departure::Pending(pending) = departure else { panic!("its leaving was still to come") };
    assert_eq!(bench.deliver(&said(3, 5)), Delivered::To(3));
    assert_eq!(bench.deliver(&event(1, 6, EventKind::Left)), Delivered::To(1), "one has a word for that");
    pending.await.unwrap();
    assert_eq!(bench.deliver(&said(3, 7)), Delivered::To(2));
    assert_eq!((count(&terse).await, count(&other).await), (2, 3));
    assert_eq!(bodies(&wordy).await.len(), 5);
}

#[tokio::test]
async fn who_comes_again_in_another_format_is_in_once() {
    let bench = bench();
    bench.enter_terse(1);
    let mailbox = bench.enter(1);
    bench.deliver(&event(1, 1, EventKind::Joined));
    assert_eq!(bench.deliver(&said(1, 2)), Delivered::To(1));
    bench.hub.remove(&bench.room, SessionId::from_u128(1));
    assert_eq!((bench.hub.rooms(), bodies(&mailbox).await.len()), (Vec::new(), 2));
}

#[test]
fn who_left_and_came_again_is_not_taken_out_by_the_old_leave() {
    let bench = bench();
    bench.enter(1);
    bench.deliver(&event(1, 1, EventKind::Joined));
    let departure = bench.hub.remove_after(&bench.room, SessionId::from_u128(1), at(3));
    assert!(matches!(departure, Departure::Pending(_)));
    bench.enter(1);
    bench.hub.entered(&bench.room, SessionId::from_u128(1), at(1), true);
    bench.deliver(&said(1, 2));
    assert_eq!(bench.deliver(&event(1, 3, EventKind::Left)), Delivered::To(1));
    assert_eq!(bench.deliver(&said(1, 4)), Delivered::To(1));
}
