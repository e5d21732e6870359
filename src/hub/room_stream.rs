//! Whether an event is the next one: pure bookkeeping over positions.

use crate::chat::Position;

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
pub struct RoomStream {
    delivered: Option<Position>,
}

impl RoomStream {
    /// The last position delivered; `None` before the first.
    pub fn delivered(&self) -> Option<Position> {
        self.delivered
    }

    /// Judges an event and, if it is to be delivered, remembers it.
    pub fn accept(&mut self, position: Position) -> Step {
        match self.delivered {
            // There was no stream, so its first event is the next one.
            Some(Position::NOWHERE) if position.offset == 1 => {}
            Some(last) if last.epoch != position.epoch || position.offset > last.offset + 1 => return Step::Missed,
            Some(last) if position.offset <= last.offset => return Step::Duplicate,
            // The next one; or nobody here knows an earlier one, and the first one heard is the beginning.
            Some(_) | None => {}
        }
        self.delivered = Some(position);
        Step::Deliver
    }

    /// A member of this node entered at this position: from here on nothing may be missed.
    pub fn begin_at(&mut self, entered: Position) {
        self.begin_after(Position { epoch: entered.epoch, offset: entered.offset.saturating_sub(1) });
    }

    /// From after this position on nothing may be missed; moves nothing once something was delivered.
    pub fn begin_after(&mut self, last: Position) {
        self.delivered.get_or_insert(last);
    }

    /// Continues from a position after a gap that cannot be filled.
    pub fn skip_to(&mut self, position: Position) {
        self.delivered = Some(position);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Epoch;

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
