use super::*;
use crate::chat::{Actor, Event};
use crate::hub::Outgoing;
use crate::wire::{EventForm, FramingKind};

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
    fn enter(&self, session: u128) -> Arc<Mailbox> {
        let mailbox = Arc::new(Mailbox::new(10_000, self.metrics.clone()));
        let format = WireFormat { form: EventForm::Pychat, framing: FramingKind::Lines };
        self.hub.enter(
            &self.room,
            LocalMember {
                session: SessionId::from_u128(session),
                mailbox: mailbox.clone(),
                format,
                sees_own_leaving: true,
            },
        );
        mailbox
    }

    fn deliver(&self, envelope: &Envelope) -> Delivered {
        self.hub.deliver(&self.room, envelope)
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
    event(session, offset, EventKind::Message { text: format!("m{offset}") })
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
    let more = bench.hub.caught_up(&bench.room, &[said(1, 2), said(1, 3)], None);
    assert_eq!(more, Some(at(3)), "4 and 5 were heard meanwhile");
    assert_eq!(bench.hub.caught_up(&bench.room, &[said(1, 4), said(1, 5)], None), None);
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
    assert_eq!(bench.hub.caught_up(&bench.room, std::slice::from_ref(&first), Some((Epoch::new(2), 0))), None);
    assert_eq!(bodies(&one).await[1..], ["m1"]);
    assert_eq!(bodies(&two).await, ["m1"], "its own join may have been in the hole");
}
