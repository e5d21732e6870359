mod formats;

use super::member::WAITING_BYTES_MAX;
use super::*;
use crate::chat::{Actor, CatchUp, Envelope, Event, EventKind, MessageId, Seam};
use crate::hub::{Flush, Mailbox, Outgoing, PutOut};
use crate::wire::{EventForm, FramingKind, RoomSpelling, WireFormat};

/// Records the calls instead of talking to a broker.
#[derive(Default)]
struct Calls(Mutex<Vec<String>>);

impl Interest for Calls {
    fn begin(&self, room: &RoomId) -> oneshot::Receiver<bool> {
        self.0.lock().push(format!("+{room}"));
        let (sender, receiver) = oneshot::channel();
        let _ = sender.send(true);
        receiver
    }

    fn end(&self, room: &RoomId) {
        self.0.lock().push(format!("-{room}"));
    }
}

struct Bench {
    hub: Hub,
    calls: Arc<Calls>,
    metrics: Arc<Metrics>,
    room: RoomId,
}

fn bench() -> Bench {
    let calls = Arc::new(Calls::default());
    let metrics = Arc::new(Metrics::new());
    let hub = Hub::new(calls.clone(), metrics.clone());
    Bench { hub, calls, metrics, room: RoomId::parse("red").unwrap() }
}

impl Bench {
    /// A member that is nobody's account and sees everything.
    fn guest(&self, session: u128) -> LocalMember {
        LocalMember {
            session: SessionId::from_u128(session),
            mailbox: Arc::new(Mailbox::new(10_000_000, self.metrics.clone())),
            format: WireFormat { form: EventForm::Pychat, framing: FramingKind::Lines },
            account: None,
            sees_own_leaving: true,
            sees_own_messages: true,
        }
    }

    fn enter(&self, session: u128) -> Arc<Mailbox> {
        let member =
            LocalMember { mailbox: Arc::new(Mailbox::new(10_000, self.metrics.clone())), ..self.guest(session) };
        let mailbox = member.mailbox.clone();
        self.hub.enter(&self.room, member);
        mailbox
    }

    /// The answer to a first join arrives.
    fn entered(&self, session: u128, offset: u64) -> bool {
        self.hub.entered(&self.room, SessionId::from_u128(session), at(offset), false)
    }

    fn deliver(&self, envelope: &Envelope) -> Delivered {
        self.hub.deliver(&self.room, envelope, &mut Flush::new(self.metrics.clone()))
    }

    fn caught_up(&self, read: &CatchUp) -> Option<Position> {
        self.hub.caught_up(&self.room, read, &mut Flush::new(self.metrics.clone()))
    }
}

fn at(offset: u64) -> Position {
    Position { epoch: Epoch::new(1), offset }
}

fn event(session: u128, offset: u64, kind: EventKind) -> Envelope {
    let actor = Actor { session: SessionId::from_u128(session), nickname: None };
    Envelope { position: at(offset), time_us: 0, event: Event::new(actor, kind) }
}

fn said(session: u128, offset: u64) -> Envelope {
    event(session, offset, EventKind::Message { id: MessageId(offset as u32), text: format!("m{offset}") })
}

/// What a stream holds, without a hole.
fn whole<const N: usize>(epoch: u64, missed: [Envelope; N]) -> CatchUp {
    CatchUp { missed: missed.into(), seam: Seam::Whole(Epoch::new(epoch)) }
}

async fn bodies(mailbox: &Mailbox) -> Vec<String> {
    mailbox.finish([]);
    let mut bodies = Vec::new();
    while let Outgoing::Batch(batch) = mailbox.outgoing().await {
        for bytes in batch {
            let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            bodies.push(value["body"].as_str().unwrap().to_owned());
        }
    }
    bodies
}

#[tokio::test]
async fn a_member_gets_everything_from_its_join_to_its_leaving() {
    let bench = bench();
    let (one, two) = (bench.enter(1), bench.enter(2));
    bench.deliver(&event(1, 1, EventKind::Joined));
    bench.deliver(&said(1, 2));
    bench.deliver(&event(2, 3, EventKind::Joined));
    bench.deliver(&said(1, 4));
    let departure = bench.hub.remove_after(&bench.room, SessionId::from_u128(2), at(6));
    bench.deliver(&said(1, 5));
    bench.deliver(&event(2, 6, EventKind::Left));
    let Departure::Pending(pending) = departure else { panic!("its leaving was still to come") };
    pending.await.unwrap();
    bench.deliver(&said(1, 7));
    let joined = "User Anonymous has joined the room";
    let left = "User Anonymous has left the room";
    assert_eq!(bodies(&one).await, [joined, "m2", joined, "m4", "m5", left, "m7"]);
    assert_eq!(bodies(&two).await, [joined, "m4", "m5", left]);
}

/// Answers come by another connection than events, so that of the one who came last may be the first thing to be known of a room.
#[tokio::test]
async fn an_answer_that_overtakes_the_events_hides_none_of_them() {
    let bench = bench();
    let [one, two, three] = [1, 2, 3].map(|session| bench.enter(session));
    assert!(bench.entered(2, 8));
    bench.deliver(&event(1, 2, EventKind::Joined));
    bench.deliver(&event(3, 3, EventKind::Joined));
    bench.deliver(&said(1, 4));
    assert!(bench.entered(1, 2) && bench.entered(3, 3));
    for offset in 5..8 {
        bench.deliver(&said(1, offset));
    }
    bench.deliver(&event(2, 8, EventKind::Joined));
    bench.deliver(&said(1, 9));
    let joined = "User Anonymous has joined the room";
    assert_eq!(bodies(&one).await, [joined, joined, "m4", "m5", "m6", "m7", joined, "m9"]);
    assert_eq!(bodies(&three).await, [joined, "m4", "m5", "m6", "m7", joined, "m9"]);
    assert_eq!(bodies(&two).await, [joined, "m9"]);
}

#[tokio::test]
async fn what_is_heard_first_is_missed_from_where_the_first_one_entered() {
    let bench = bench();
    let (one, _two) = (bench.enter(1), bench.enter(2));
    bench.entered(2, 8);
    bench.entered(1, 2);
    assert_eq!(bench.deliver(&said(3, 9)), Delivered::CatchUpFrom(at(1)));
    let missed = [event(1, 2, EventKind::Joined), said(1, 3)];
    let later = (4..8).map(|offset| said(3, offset)).chain([event(2, 8, EventKind::Joined), said(3, 9)]);
    let read = CatchUp { missed: missed.into_iter().chain(later).collect(), seam: Seam::Whole(Epoch::new(1)) };
    assert_eq!(bench.caught_up(&read), None);
    let joined = "User Anonymous has joined the room";
    assert_eq!(bodies(&one).await, [joined, "m3", "m4", "m5", "m6", "m7", joined, "m9"]);
}

#[tokio::test]
async fn who_leaves_before_anything_was_heard_hears_all_up_to_its_leaving() {
    let bench = bench();
    let (one, _two) = (bench.enter(1), bench.enter(2));
    bench.entered(2, 8);
    bench.entered(1, 2);
    let departure = bench.hub.remove_after(&bench.room, SessionId::from_u128(1), at(4));
    let Departure::Pending(pending) = departure else { panic!("its leaving was still to come") };
    bench.deliver(&event(1, 2, EventKind::Joined));
    bench.deliver(&said(3, 3));
    bench.deliver(&event(1, 4, EventKind::Left));
    pending.await.unwrap();
    let (joined, left) = ("User Anonymous has joined the room", "User Anonymous has left the room");
    assert_eq!(bodies(&one).await, [joined, "m3", left]);
}

/// The line broke, and the room was read from where another one entered before it was known where this one did.
#[tokio::test]
async fn who_is_known_to_have_entered_after_its_join_was_passed_over_goes_on_from_there() {
    let bench = bench();
    let (one, two) = (bench.enter(1), bench.enter(2));
    bench.entered(2, 8);
    assert_eq!(bench.hub.begin_catch_up(&bench.room), Some(at(7)));
    bench.caught_up(&whole(1, [event(2, 8, EventKind::Joined)]));
    bench.entered(1, 2);
    bench.deliver(&said(2, 9));
    assert_eq!(bodies(&one).await, ["m9"]);
    assert_eq!(bodies(&two).await, ["User Anonymous has joined the room", "m9"]);
}

/// On a node that hears nothing for a while, a member comes, is told what it missed, and goes, before any of it is heard.
#[tokio::test]
async fn who_goes_before_its_coming_was_heard_is_told_nothing_from_before_it() {
    let bench = bench();
    let other = bench.enter(1);
    bench.deliver(&event(1, 1, EventKind::Joined));
    let (ahead, new) = (bench.guest(2), bench.enter(3));
    let told = ahead.mailbox.clone();
    bench.hub.wait(&bench.room, ahead);
    assert!(bench.hub.activate(&bench.room, SessionId::from_u128(2), at(3)));
    let pending = [(2, 6), (3, 7)].map(|(session, last)| {
        match bench.hub.remove_after(&bench.room, SessionId::from_u128(session), at(last)) {
            Departure::Pending(pending) => pending,
            Departure::Done => panic!("its leaving was still to come"),
        }
    });
    let from = bench.hub.begin_catch_up(&bench.room).unwrap();
    assert_eq!(from, at(1));
    let missed = [
        said(1, 2),
        event(2, 3, EventKind::Joined),
        event(3, 4, EventKind::Joined),
        said(1, 5),
        event(2, 6, EventKind::Left),
        event(3, 7, EventKind::Left),
    ];
    bench.caught_up(&whole(1, missed));
    for pending in pending {
        pending.await.unwrap();
    }
    let (joined, left) = ("User Anonymous has joined the room", "User Anonymous has left the room");
    assert_eq!(bodies(&told).await, [joined, "m5", left], "it was told the rest before");
    assert_eq!(bodies(&new).await, [joined, "m5", left, left]);
    assert_eq!(bodies(&other).await, [joined, "m2", joined, joined, "m5", left, left]);
}

#[test]
fn traffic_is_wanted_from_the_first_member_to_the_last() {
    let bench = bench();
    bench.enter(1);
    bench.hub.confirm(&bench.room);
    bench.enter(2);
    bench.hub.remove(&bench.room, SessionId::from_u128(1));
    assert_eq!(*bench.calls.0.lock(), ["+red"]);
    bench.hub.remove(&bench.room, SessionId::from_u128(2));
    bench.hub.remove(&bench.room, SessionId::from_u128(2));
    bench.enter(3);
    assert_eq!(*bench.calls.0.lock(), ["+red", "-red", "+red"]);
    assert_eq!(bench.metrics.rooms.get(), 1);
}

/// Threads that enter and leave one room at random: whoever looks at the order of the calls sees begin and end alternate,
/// and the last call says whether somebody is in.
#[test]
fn entering_and_leaving_at_once_never_mixes_the_calls_up() {
    let bench = Arc::new(bench());
    std::thread::scope(|scope| {
        for thread in 0..4u128 {
            let bench = bench.clone();
            scope.spawn(move || {
                for turn in 0..500u128 {
                    let session = thread * 1_000 + turn;
                    bench.enter(session);
                    bench.hub.confirm(&bench.room);
                    bench.hub.remove(&bench.room, SessionId::from_u128(session));
                }
            });
        }
    });
    let calls = bench.calls.0.lock();
    assert!(calls.len() >= 2);
    let mut wanted = false;
    for call in calls.iter() {
        match call.as_str() {
            "+red" => wanted = true,
            _ => assert!(std::mem::replace(&mut wanted, false), "an end without a begin"),
        }
    }
    assert!(!wanted, "everybody left, the last call must be an end");
    assert!(bench.hub.rooms().is_empty());
}

#[tokio::test]
async fn a_hole_is_filled_from_the_stream_before_anything_newer() {
    let bench = bench();
    let one = bench.enter(1);
    bench.deliver(&event(1, 1, EventKind::Joined));
    assert_eq!(bench.deliver(&said(1, 4)), Delivered::CatchUpFrom(at(1)));
    assert_eq!(bench.deliver(&said(1, 5)), Delivered::Ignored, "one catch-up at a time");
    let more = bench.caught_up(&whole(1, [said(1, 2), said(1, 3)]));
    assert_eq!(more, Some(at(3)), "4 and 5 were heard meanwhile");
    assert_eq!(bench.caught_up(&whole(1, [said(1, 4), said(1, 5)])), None);
    assert_eq!(bench.deliver(&said(1, 6)), Delivered::To(1));
    assert_eq!(bodies(&one).await[1..], ["m2", "m3", "m4", "m5", "m6"]);
}

#[tokio::test]
async fn a_new_epoch_goes_on_and_lets_nobody_wait() {
    let bench = bench();
    let (one, two) = (bench.enter(1), bench.enter(2));
    bench.deliver(&event(1, 1, EventKind::Joined));
    let renewed = Position { epoch: Epoch::new(2), offset: 1 };
    let first = Envelope { position: renewed, ..said(1, 1) };
    assert_eq!(bench.deliver(&first), Delivered::CatchUpFrom(at(1)));
    let torn = Seam::Torn(Position { offset: 0, ..renewed });
    assert_eq!(bench.caught_up(&CatchUp { missed: vec![first], seam: torn }), None);
    assert_eq!(bodies(&one).await[1..], ["m1"]);
    assert_eq!(bodies(&two).await, ["m1"], "its own join may have been in the hole");
}

#[tokio::test]
async fn a_new_epoch_of_the_same_stream_is_no_hole() {
    let bench = bench();
    let (one, two) = (bench.enter(1), bench.enter(2));
    bench.deliver(&event(1, 1, EventKind::Joined));
    let under = |epoch, envelope: Envelope| {
        let position = Position { epoch: Epoch::new(epoch), ..envelope.position };
        Envelope { position, ..envelope }
    };
    let third = under(2, said(1, 3));
    assert_eq!(bench.deliver(&third), Delivered::CatchUpFrom(at(1)));
    let missed = [under(2, event(2, 2, EventKind::Joined)), third];
    assert_eq!(bench.caught_up(&whole(2, missed)), None);
    assert_eq!(bodies(&one).await[2..], ["m3"]);
    assert_eq!(bodies(&two).await[1..], ["m3"], "it waits for its own join, which is still to come");
    let last = Position { epoch: Epoch::new(2), offset: 4 };
    assert!(matches!(bench.hub.remove_after(&bench.room, SessionId::from_u128(2), last), Departure::Pending(_)));
    assert_eq!(bench.caught_up(&whole(3, [])), None);
    assert_eq!(
        bench.deliver(&under(3, event(2, 4, EventKind::Left))),
        Delivered::To(2),
        "its own leaving is shown to it"
    );
    assert_eq!(bench.deliver(&under(3, said(1, 5))), Delivered::To(1), "who left under the former epoch has left");
}

/// The broker began another epoch, of which nothing was heard here yet, and somebody leaves.
#[tokio::test]
async fn who_leaves_under_an_epoch_not_heard_of_gets_what_came_before() {
    let under = |epoch, envelope: Envelope| {
        let position = Position { epoch: Epoch::new(epoch), ..envelope.position };
        Envelope { position, ..envelope }
    };
    let leave = |bench: &Bench| {
        let last = Position { epoch: Epoch::new(2), offset: 5 };
        match bench.hub.remove_after(&bench.room, SessionId::from_u128(2), last) {
            Departure::Pending(pending) => pending,
            Departure::Done => panic!("its leaving is still to come"),
        }
    };
    let missed = || [under(2, said(1, 4)), under(2, event(2, 5, EventKind::Left)), under(2, said(1, 6))];

    let bench = bench();
    let (_one, two) = (bench.member(1, 1), bench.member(2, 2));
    let left = leave(&bench);
    assert_eq!(bench.deliver(&said(1, 3)), Delivered::To(2), "of the epoch that is known");
    bench.hub.begin_catch_up(&bench.room);
    assert_eq!(bench.caught_up(&whole(2, missed())), None);
    left.await.unwrap();
    assert_eq!(bodies(&two).await[1..], ["m3", "m4", "User Anonymous has left the room"]);

    let bench = self::bench();
    let (_one, two) = (bench.member(1, 1), bench.member(2, 2));
    let left = leave(&bench);
    bench.deliver(&said(1, 3));
    bench.hub.begin_catch_up(&bench.room);
    let torn = Seam::Torn(Position { epoch: Epoch::new(2), offset: 3 });
    bench.caught_up(&CatchUp { missed: missed().to_vec(), seam: torn });
    left.await.unwrap();
    assert_eq!(bodies(&two).await[1..], ["m3", "m4", "User Anonymous has left the room"]);
}

/// The stream goes on under another epoch while somebody is told what it missed, and the room here has not heard of that yet.
#[tokio::test]
async fn who_is_told_under_an_epoch_not_heard_of_is_told_nothing_twice() {
    let under_two = |envelope: Envelope| {
        let position = Position { epoch: Epoch::new(2), ..envelope.position };
        Envelope { position, ..envelope }
    };
    let bench = bench();
    let one = bench.member(1, 1);
    let two = bench.guest(2);
    let (mailbox, session) = (two.mailbox.clone(), two.session);
    bench.hub.wait(&bench.room, two);
    bench.deliver(&said(1, 2));
    // What it is told is read from the stream, up to offset 3; the room stands at 2 of the former epoch.
    let told = Position { epoch: Epoch::new(2), offset: 3 };
    assert!(!bench.hub.activate(&bench.room, session, told), "both are to be read once more");
    bench.deliver(&said(1, 3));
    bench.hub.begin_catch_up(&bench.room);
    assert_eq!(bench.caught_up(&whole(2, [under_two(said(1, 4))])), None);
    assert!(bench.hub.activate(&bench.room, session, told));
    bench.deliver(&under_two(said(1, 5)));
    assert_eq!(bodies(&mailbox).await, ["m4", "m5"], "m2 and m3 it was told");
    assert_eq!(bodies(&one).await[1..], ["m2", "m3", "m4", "m5"]);
}

/// A room whose stream is gone, and nothing said since.
#[test]
fn who_knows_another_epoch_than_its_room_waits_only_so_often() {
    let bench = bench();
    let _one = bench.member(1, 1);
    let two = bench.guest(2);
    let session = two.session;
    bench.hub.wait(&bench.room, two);
    let told = Position { epoch: Epoch::new(2), offset: 3 };
    let tries = (1..10).find(|_| bench.hub.activate(&bench.room, session, told));
    assert_eq!(tries, Some(4));
}

fn destroyed(session: u128, offset: u64) -> Envelope {
    event(session, offset, EventKind::Destroyed { room: RoomId::parse("red").unwrap() })
}

impl Bench {
    /// A member that is in, at the position of its join.
    fn member(&self, session: u128, offset: u64) -> Arc<Mailbox> {
        let mailbox = self.enter(session);
        self.deliver(&event(session, offset, EventKind::Joined));
        mailbox
    }

    fn calls(&self) -> Vec<String> {
        std::mem::take(&mut *self.calls.0.lock())
    }
}

#[tokio::test]
async fn a_destroyed_room_puts_out_who_is_in_and_lets_go_who_is_leaving() {
    let bench = bench();
    let (one, two) = (bench.member(1, 1), bench.member(2, 2));
    let Departure::Pending(leaving) = bench.hub.remove_after(&bench.room, SessionId::from_u128(2), at(9)) else {
        panic!("its leaving was still to come")
    };
    let joining = bench.enter(3);
    bench.deliver(&destroyed(1, 3));
    assert_eq!(one.take_put_out(), [PutOut { room: RoomId::parse("red").unwrap(), at: at(3), shown: false }]);
    assert_eq!((two.take_put_out(), joining.take_put_out()), (vec![], vec![]), "who was not in is not put out");
    assert!(leaving.await.is_err(), "nothing is left to wait for");
    // Who was joining joins the next life, and is alone there.
    bench.deliver(&event(3, 4, EventKind::Joined));
    assert_eq!(bench.deliver(&said(3, 5)), Delivered::To(1));
    assert_eq!(bodies(&joining).await, ["User Anonymous has joined the room", "m5"]);
    assert_eq!(
        bodies(&one).await.last().unwrap(),
        "User Anonymous has joined the room",
        "of two; and nothing after it"
    );
}

#[test]
fn a_destroyed_room_that_nobody_joins_is_no_longer_wanted() {
    let bench = bench();
    let one = bench.member(1, 1);
    bench.hub.confirm(&bench.room);
    assert!(!one.is_put_out_of(&bench.room));
    bench.deliver(&destroyed(2, 2));
    assert!(one.is_put_out_of(&bench.room));
    assert_eq!(bench.calls(), ["+red", "-red"]);
    assert_eq!((bench.hub.rooms(), bench.metrics.rooms.get()), (vec![], 0));
    assert_eq!(bench.deliver(&said(2, 3)), Delivered::Ignored);
}

#[test]
fn news_of_another_rooms_end_puts_nobody_out() {
    let bench = bench();
    let one = bench.member(1, 1);
    let elsewhere = EventKind::Destroyed { room: RoomId::parse("blue").unwrap() };
    bench.deliver(&event(1, 2, elsewhere));
    assert_eq!(one.take_put_out(), []);
    assert_eq!(bench.deliver(&said(1, 3)), Delivered::To(1));
}

#[tokio::test]
async fn a_room_whose_end_was_missed_puts_out_when_it_is_caught_up() {
    let bench = bench();
    let (one, two) = (bench.member(1, 1), bench.member(2, 2));
    assert_eq!(bench.deliver(&said(3, 6)), Delivered::CatchUpFrom(at(2)));
    let missed = [said(1, 3), destroyed(2, 4), event(3, 5, EventKind::Joined), said(3, 6)];
    assert_eq!(bench.caught_up(&whole(1, missed)), None);
    for mailbox in [&one, &two] {
        assert_eq!(mailbox.take_put_out(), [PutOut { room: RoomId::parse("red").unwrap(), at: at(4), shown: false }]);
        assert_eq!(bodies(mailbox).await.last().unwrap(), "m3", "what the next life says is not theirs");
    }
    assert_eq!(bench.calls(), ["+red", "+red", "-red"], "it was asked for until it was confirmed");
    assert!(bench.hub.rooms().is_empty());
}

#[tokio::test]
async fn a_listener_hears_everything_without_having_joined() {
    let bench = bench();
    let member = LocalMember { sees_own_leaving: false, ..bench.guest(9) };
    let mailbox = member.mailbox.clone();
    let arrival = bench.hub.listen(&bench.room, member);
    assert!(arrival.ready.is_some(), "the first one has the traffic sent");
    bench.hub.confirm(&bench.room);
    assert_eq!(bench.deliver(&said(1, 7)), Delivered::To(1), "the first event heard is the beginning");
    assert_eq!(bench.deliver(&said(9, 8)), Delivered::To(1));
    assert_eq!(mailbox.own_seen(), 1, "its own message passed");
    bench.hub.remove(&bench.room, SessionId::from_u128(9));
    assert_eq!(bodies(&mailbox).await, ["m7", "m8"]);
    assert_eq!(bench.calls(), ["+red", "-red"]);
}

/// What is told in the lobby about rooms answers no request there, so nobody waits for it.
#[test]
fn the_coming_and_going_of_rooms_is_nobodys_own_event() {
    let bench = bench();
    let one = bench.member(1, 1);
    let seen = one.own_seen();
    bench.deliver(&event(1, 2, EventKind::Created { room: RoomId::parse("blue").unwrap() }));
    bench.deliver(&destroyed(1, 3));
    assert_eq!(one.own_seen(), seen);
}

#[test]
fn nothing_after_the_position_where_listening_began_is_missed() {
    let bench = bench();
    bench.hub.begin_after(&bench.room, at(4));
    assert_eq!(bench.hub.epoch(&bench.room), None, "there is no such room here");
    bench.enter(1);
    bench.hub.begin_after(&bench.room, at(4));
    assert_eq!(bench.hub.epoch(&bench.room), Some(Epoch::new(1)));
    assert_eq!(bench.deliver(&said(2, 6)), Delivered::CatchUpFrom(at(4)), "5 was not heard");
    bench.caught_up(&whole(1, [said(2, 5), said(2, 6)]));
    bench.hub.begin_after(&bench.room, at(9));
    assert_eq!(bench.deliver(&said(2, 7)), Delivered::To(0), "once something was delivered it moves nothing");
}

#[tokio::test]
async fn who_is_told_what_it_missed_gets_what_is_heard_meanwhile_after_it_and_once() {
    let bench = bench();
    bench.enter(1);
    bench.deliver(&event(1, 1, EventKind::Joined));
    let member = bench.guest(9);
    let mailbox = member.mailbox.clone();
    bench.hub.wait(&bench.room, member);
    bench.deliver(&said(1, 2));
    bench.deliver(&said(1, 3));
    let told = LocalMember { mailbox: mailbox.clone(), ..bench.guest(9) };
    told.tell(&bench.room, &said(1, 1));
    told.tell(&bench.room, &said(1, 2));
    assert!(bench.hub.activate(&bench.room, SessionId::from_u128(9), at(2)));
    bench.deliver(&said(1, 4));
    assert_eq!(bodies(&mailbox).await, ["m1", "m2", "m3", "m4"]);
}

/// The broker went away in the midst of that: what the member was told lies before it, what it was not told comes.
#[tokio::test]
async fn who_was_told_more_than_the_room_has_heard_misses_nothing_when_the_rest_cannot_be_read() {
    let bench = bench();
    bench.member(1, 1);
    let (ahead, behind) = (bench.guest(2), bench.guest(3));
    let mailboxes = [ahead.mailbox.clone(), behind.mailbox.clone()];
    for member in [ahead, behind] {
        bench.hub.wait(&bench.room, member);
    }
    bench.deliver(&said(1, 2));
    bench.hub.activate_past_gap(&bench.room, SessionId::from_u128(2), at(3));
    bench.hub.activate_past_gap(&bench.room, SessionId::from_u128(3), at(1));
    for offset in [3, 4] {
        bench.deliver(&said(1, offset));
    }
    let [ahead, behind] = mailboxes;
    assert_eq!(bodies(&ahead).await, ["m4"], "it was told the others");
    assert_eq!(bodies(&behind).await, ["m3", "m4"], "after a gap");
}

#[tokio::test]
async fn a_join_that_another_read_from_the_stream_still_lets_in() {
    let bench = bench();
    bench.hub.wait(&bench.room, bench.guest(1));
    let joiner = bench.enter(2);
    // The stream that the first is told has the join in it already.
    assert!(bench.hub.activate(&bench.room, SessionId::from_u128(1), at(5)));
    bench.hub.entered(&bench.room, SessionId::from_u128(2), at(5), false);
    assert_eq!(bench.deliver(&event(2, 5, EventKind::Joined)), Delivered::To(1), "the first one was told of it");
    assert_eq!(bench.deliver(&said(1, 6)), Delivered::To(2));
    assert_eq!(bodies(&joiner).await.len(), 2, "its own join, and what was said");
    assert_eq!(joiner.own_seen(), 1);
}

#[tokio::test]
async fn a_repeated_join_whose_event_was_still_on_its_way_is_shown_it_or_not_as_its_session_is_told() {
    let bench = bench();
    bench.member(1, 1);
    let two = bench.enter(2);
    let entered = |session, offset| bench.hub.entered(&bench.room, SessionId::from_u128(session), at(offset), true);
    assert!(!entered(2, 3), "its own join, at 2, will not be shown");
    bench.deliver(&event(2, 2, EventKind::Joined));
    bench.deliver(&said(1, 3));
    bench.deliver(&said(1, 4));
    assert_eq!(bodies(&two).await, ["m4"], "what came before it was in");
    let three = bench.enter(3);
    bench.deliver(&event(3, 5, EventKind::Joined));
    assert!(entered(3, 5), "its own join was heard before the answer came");
    bench.deliver(&said(1, 6));
    assert_eq!(bodies(&three).await[1..], ["m6"]);
}

#[tokio::test]
async fn who_was_told_more_than_the_others_have_heard_is_not_told_again() {
    let bench = bench();
    let one = bench.enter(1);
    bench.deliver(&event(1, 1, EventKind::Joined));
    let member = bench.guest(9);
    let mailbox = member.mailbox.clone();
    bench.hub.wait(&bench.room, member);
    LocalMember { mailbox: mailbox.clone(), ..bench.guest(9) }.tell(&bench.room, &said(1, 2));
    assert!(bench.hub.activate(&bench.room, SessionId::from_u128(9), at(2)));
    bench.deliver(&said(1, 2));
    bench.deliver(&said(1, 3));
    assert_eq!(bodies(&mailbox).await, ["m2", "m3"]);
    assert_eq!(bodies(&one).await, ["User Anonymous has joined the room", "m2", "m3"]);
}

#[tokio::test]
async fn who_missed_too_much_while_being_told_is_told_once_more() {
    let bench = bench();
    bench.enter(1);
    bench.deliver(&event(1, 1, EventKind::Joined));
    let member = bench.guest(9);
    let (mailbox, session) = (member.mailbox.clone(), member.session);
    bench.hub.wait(&bench.room, member);
    let text = "x".repeat(WAITING_BYTES_MAX);
    bench.deliver(&event(1, 2, EventKind::Message { id: MessageId(2), text }));
    bench.deliver(&said(1, 3));
    assert!(!bench.hub.activate(&bench.room, session, at(1)), "it was not put by");
    bench.deliver(&said(1, 4));
    assert!(bench.hub.activate(&bench.room, session, at(3)));
    assert_eq!(bodies(&mailbox).await, ["m4"]);
}

#[tokio::test]
async fn an_account_is_put_out_in_whatever_session_and_is_not_shown_what_it_said() {
    let bench = bench();
    let bob = Nickname::parse("bob").unwrap();
    let member = LocalMember { account: Some(bob.clone()), sees_own_messages: false, ..bench.guest(9) };
    let mailbox = member.mailbox.clone();
    bench.hub.listen(&bench.room, member);
    let actor = Actor { session: SessionId::from_u128(7), nickname: Some(bob.clone()) };
    let said_by_bob = EventKind::Message { id: MessageId(1), text: "mine".into() };
    bench.deliver(&Envelope { position: at(1), time_us: 0, event: Event::new(actor, said_by_bob) });
    bench.deliver(&event(1, 2, EventKind::Removed { who: Actor::account(bob) }));
    bench.deliver(&said(1, 3));
    assert_eq!(mailbox.take_put_out(), [PutOut { room: bench.room.clone(), at: at(2), shown: true }]);
    assert_eq!(bodies(&mailbox).await, ["User bob has left the room"]);
}
