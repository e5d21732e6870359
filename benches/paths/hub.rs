//! An event from the dispatcher's hands into the mailboxes; rooms and memberships made and ended.

use std::cell::Cell;
use std::sync::Arc;

use crosstalk::chat::{EventKind, RoomId};
use crosstalk::hub::{Delivered, Flush, Hub, Interest, LocalMember, Mailbox, WireFormat};
use crosstalk::telemetry::Metrics;
use crosstalk::wire::{EventForm, FramingKind, RoomSpelling};
use divan::Bencher;
use divan::counter::ItemsCount;
use futures_util::FutureExt;
use tokio::sync::oneshot;

use super::{envelope, message, room, session};

/// Events that wait in a mailbox before it is emptied.
const WAITING: u32 = 16;

/// A broker that grants every wish.
struct Willing;

impl Interest for Willing {
    fn begin(&self, _: &RoomId) -> oneshot::Receiver<bool> {
        oneshot::channel().1
    }

    fn end(&self, _: &RoomId) {}
}

/// A hub with rooms that have members, whose mailboxes nobody but the benchmark reads.
struct Populated {
    hub: Hub,
    mailboxes: Vec<Arc<Mailbox>>,
    metrics: Arc<Metrics>,
    offset: Cell<u64>,
}

impl Populated {
    fn new(rooms: usize, members: usize, forms: &[EventForm]) -> Self {
        let metrics = Arc::new(Metrics::new());
        let hub = Hub::new(Arc::new(Willing), metrics.clone());
        let populated = Self { hub, mailboxes: Vec::new(), metrics, offset: Cell::new(0) };
        let mut mailboxes = Vec::new();
        for number in 0..rooms {
            for member in 0..members {
                let joining = populated.member(1 + member, forms[member % forms.len()]);
                mailboxes.push(joining.mailbox.clone());
                populated.hub.listen(&room(number), joining);
            }
        }
        Self { mailboxes, ..populated }
    }

    fn member(&self, number: usize, form: EventForm) -> LocalMember {
        LocalMember {
            session: session(number),
            mailbox: Arc::new(Mailbox::new(1 << 30, self.metrics.clone())),
            format: WireFormat { form, framing: FramingKind::WebSocket },
            account: None,
            sees_own_leaving: false,
            sees_own_messages: true,
        }
    }

    fn empty_mailboxes(&self) {
        for mailbox in &self.mailboxes {
            while mailbox.outgoing().now_or_never().is_some() {}
        }
    }

    fn next_offset(&self) -> u64 {
        self.offset.set(self.offset.get() + 1);
        self.offset.get()
    }

    fn bench(&self, bencher: Bencher, room: &RoomId, kind: &EventKind) {
        let receivers = self.mailboxes.len();
        let bencher = bencher.counter(ItemsCount::new(receivers)).with_inputs(|| {
            self.empty_mailboxes();
            envelope(kind.clone(), self.next_offset())
        });
        let mut flush = Flush::new(self.metrics.clone());
        bencher.bench_local_refs(|envelope| {
            assert_ne!(self.hub.deliver(room, envelope, &mut flush), Delivered::Ignored);
        });
    }
}

/// A message to members of one dialect.
#[divan::bench(args = [1, 10, 100, 1_000, 10_000], sample_size = WAITING)]
fn fan_out(bencher: Bencher, members: usize) {
    Populated::new(1, members, &[EventForm::Action { spelling: RoomSpelling::Text, extended: false }]).bench(
        bencher,
        &room(0),
        &message(100),
    );
}

/// A message to members of four dialects.
#[divan::bench(args = [10, 1_000], sample_size = WAITING)]
fn fan_out_mixed(bencher: Bencher, members: usize) {
    let forms = [
        EventForm::Action { spelling: RoomSpelling::Text, extended: false },
        EventForm::Simple { extended: false },
        EventForm::Pychat,
        EventForm::Scrp,
    ];
    Populated::new(1, members, &forms).bench(bencher, &room(0), &message(100));
}

/// Somebody joins a room whose members are not told of it.
#[divan::bench(args = [1, 100, 10_000], sample_size = WAITING)]
fn untold_join(bencher: Bencher, members: usize) {
    Populated::new(1, members, &[EventForm::Action { spelling: RoomSpelling::Text, extended: false }]).bench(
        bencher,
        &room(0),
        &EventKind::Joined,
    );
}

/// A message in a room of ten, one room after the other.
#[divan::bench(args = [1, 1_000, 100_000], sample_size = WAITING)]
fn among_rooms(bencher: Bencher, rooms: usize) {
    let populated = Populated::new(rooms, 10, &[EventForm::Action { spelling: RoomSpelling::Text, extended: false }]);
    let ids: Vec<RoomId> = (0..rooms).map(room).collect();
    let turn = Cell::new(0);
    let bencher = bencher.counter(ItemsCount::new(10_usize)).with_inputs(|| {
        let number = turn.replace(turn.get() + 1);
        for mailbox in &populated.mailboxes[number % rooms * 10..][..10] {
            while mailbox.outgoing().now_or_never().is_some() {}
        }
        (&ids[number % rooms], envelope(message(100), 1 + (number / rooms) as u64))
    });
    let mut flush = Flush::new(populated.metrics.clone());
    bencher.bench_local_values(|(room, envelope)| populated.hub.deliver(room, &envelope, &mut flush));
}

/// A session enters a room among others and leaves it.
#[divan::bench(args = [1, 100, 10_000])]
fn come_and_go(bencher: Bencher, members: usize) {
    let populated = Populated::new(1, members, &[EventForm::Action { spelling: RoomSpelling::Text, extended: false }]);
    let bencher = bencher
        .with_inputs(|| populated.member(0, EventForm::Action { spelling: RoomSpelling::Text, extended: false }));
    bencher.bench_local_values(|member| {
        let session = member.session;
        populated.hub.enter(&room(0), member);
        populated.hub.remove(&room(0), session);
    });
}

/// A room is made by its first member and goes with it, among others; what it allocates is what a room costs.
#[divan::bench(args = [1, 100_000])]
fn make_room(bencher: Bencher, rooms: usize) {
    let populated = Populated::new(rooms, 1, &[EventForm::Action { spelling: RoomSpelling::Text, extended: false }]);
    let bencher = bencher.with_inputs(|| {
        (room(rooms), populated.member(0, EventForm::Action { spelling: RoomSpelling::Text, extended: false }))
    });
    bencher.bench_local_values(|(room, member)| {
        let session = member.session;
        populated.hub.enter(&room, member);
        populated.hub.remove(&room, session);
    });
}
