//! Whether an event is the next one: pure bookkeeping over positions.

use crate::chat::{Epoch, Position};

/// What to do with an event at a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It is the next one: deliver it.
    Deliver,
    /// It was delivered already.
    Duplicate,
    /// Something before it was not heard: read the stream again from what was delivered last.
    Missed,
}

/// How far a room's stream was delivered on this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RoomStream(Place);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Place {
    #[default]
    Unknown,
    /// Nothing was delivered yet, and nothing after this position may be missed.
    After(Position),
    Delivered(Position),
}

impl RoomStream {
    /// The last position delivered, or the one after which nothing may be missed; `None` before either is known.
    pub fn known(&self) -> Option<Position> {
        match self.0 {
            Place::Unknown => None,
            Place::After(position) | Place::Delivered(position) => Some(position),
        }
    }

    /// The last position delivered.
    pub fn delivered(&self) -> Option<Position> {
        match self.0 {
            Place::Delivered(position) => Some(position),
            Place::Unknown | Place::After(_) => None,
        }
    }

    /// Judges an event and, if it is to be delivered, remembers it.
    pub fn accept(&mut self, position: Position) -> Step {
        match self.0 {
            // There was no stream, so its first event is the next one.
            Place::After(Position::NOWHERE) | Place::Delivered(Position::NOWHERE) if position.offset == 1 => {}
            Place::After(last) | Place::Delivered(last)
                if last.epoch != position.epoch || position.offset > last.offset + 1 =>
            {
                return Step::Missed;
            }
            Place::Delivered(last) if position.offset <= last.offset => return Step::Duplicate,
            // The next one; or the first one heard, from which on all the others come, also those that lie before what was known:
            // of who entered there the answer may be still on its way.
            Place::Unknown | Place::After(_) | Place::Delivered(_) => {}
        }
        self.0 = Place::Delivered(position);
        Step::Deliver
    }

    /// A member of this node entered at this position: from here on nothing may be missed.
    pub fn begin_at(&mut self, entered: Position) {
        self.begin_after(Position { epoch: entered.epoch, offset: entered.offset.saturating_sub(1) });
    }

    /// From after this position on nothing may be missed; moves nothing once something was delivered.
    pub fn begin_after(&mut self, last: Position) {
        match self.0 {
            Place::Unknown => self.0 = Place::After(last),
            Place::After(known) if known.epoch == last.epoch && last.offset < known.offset => {
                self.0 = Place::After(last);
            }
            Place::After(_) | Place::Delivered(_) => {}
        }
    }

    /// The stream has another epoch by now, and is the same up to what is known of it.
    pub fn go_on_under(&mut self, epoch: Epoch) {
        if let Place::After(position) | Place::Delivered(position) = &mut self.0 {
            position.epoch = epoch;
        }
    }

    /// Continues from a position after a gap that cannot be filled.
    pub fn skip_to(&mut self, position: Position) {
        self.0 = Place::Delivered(position);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(epoch: u64, offset: u64) -> Position {
        Position { epoch: Epoch::new(epoch), offset }
    }

    #[test]
    fn in_order_once_and_no_hole_unseen() {
        let mut stream = RoomStream::default();
        assert_eq!(stream.accept(at(1, 7)), Step::Deliver);
        assert_eq!(stream.accept(at(1, 8)), Step::Deliver);
        assert_eq!(stream.accept(at(1, 8)), Step::Duplicate);
        assert_eq!(stream.accept(at(1, 2)), Step::Duplicate);
        assert_eq!(stream.accept(at(1, 10)), Step::Missed);
        assert_eq!(stream.accept(at(2, 9)), Step::Missed, "a new epoch is never taken for the next event");
        assert_eq!(stream.delivered(), Some(at(1, 8)));
        stream.skip_to(at(2, 8));
        assert_eq!(stream.accept(at(2, 9)), Step::Deliver);
    }

    #[test]
    fn a_stream_that_there_was_not_begins_with_its_first_event() {
        let mut stream = RoomStream::default();
        stream.begin_after(Position::NOWHERE);
        assert_eq!(stream.accept(at(1, 2)), Step::Missed);
        assert_eq!(stream.accept(at(1, 1)), Step::Deliver);
        assert_eq!(stream.accept(at(1, 2)), Step::Deliver);
    }

    #[test]
    fn an_event_missed_right_after_entering_is_noticed() {
        let mut stream = RoomStream::default();
        stream.begin_at(at(1, 5));
        assert_eq!(stream.accept(at(1, 6)), Step::Missed, "the join itself, 5, was not heard");
        stream.begin_at(at(1, 9));
        assert_eq!(stream.accept(at(1, 5)), Step::Deliver, "a later join moves nothing");
        stream.begin_at(at(1, 2));
        assert_eq!(stream.accept(at(1, 5)), Step::Duplicate, "nor does an earlier one, once something was delivered");
    }

    #[test]
    fn of_those_who_entered_the_first_one_counts_whoever_is_known_first() {
        let mut stream = RoomStream::default();
        [9, 5, 7].into_iter().for_each(|offset| stream.begin_at(at(1, offset)));
        stream.begin_at(at(2, 1));
        assert_eq!((stream.known(), stream.delivered()), (Some(at(1, 4)), None));
        stream.go_on_under(Epoch::new(3));
        assert_eq!(stream.accept(at(3, 3)), Step::Deliver, "of who entered there nothing is known yet");
        assert_eq!((stream.accept(at(3, 4)), stream.accept(at(3, 6))), (Step::Deliver, Step::Missed));
    }

    proptest::proptest! {
        /// Whatever is lost or repeated on the way, what is delivered has no hole, no repeat and no disorder.
        #[test]
        fn delivered_is_gapless(offsets in proptest::collection::vec(1u64..30, 1..200)) {
            let mut stream = RoomStream::default();
            let mut last = None;
            for offset in offsets {
                match stream.accept(at(1, offset)) {
                    Step::Deliver => {
                        proptest::prop_assert!(last.is_none_or(|last| offset == last + 1));
                        last = Some(offset);
                    }
                    Step::Duplicate => proptest::prop_assert!(last.is_some_and(|last| offset <= last)),
                    Step::Missed => proptest::prop_assert!(last.is_some_and(|last| offset > last + 1)),
                }
            }
        }
    }
}
