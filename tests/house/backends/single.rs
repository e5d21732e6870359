//! Clauses that hold for one node on any backend.

use std::collections::BTreeSet;

use super::*;

clauses! {
    positions_count_from_one_in_each_room
    what_is_published_is_heard_once_and_in_order
    concurrent_publishers_share_one_order
    a_nickname_has_one_holder
    of_concurrent_claims_one_wins
    only_the_holder_releases_a_nickname
    entering_is_announced_once
    leaving_is_announced_once
    a_restored_member_that_never_left_is_not_announced
    catching_up_gives_exactly_what_was_missed
    catching_up_beyond_the_retention_says_so
    another_epoch_is_told
    history_is_the_newest_events_oldest_first
    a_rooms_history_outlives_its_last_member
    an_unknown_room_has_no_members_and_no_history
    a_barrier_comes_after_what_was_published_before
}

async fn positions_count_from_one_in_each_room(node: Node) {
    let who = actor(1, "alice");
    let (red, blue) = (room("red"), room("blue"));
    let first = node.say(&red, &who, "1").await;
    assert_eq!(first.offset, 1);
    assert_eq!(node.say(&red, &who, "2").await, Position { offset: 2, ..first });
    assert_eq!(node.say(&blue, &who, "1").await.offset, 1);
    assert_eq!(node.say(&red, &who, "3").await, Position { offset: 3, ..first });
}

async fn what_is_published_is_heard_once_and_in_order(mut node: Node) {
    let red = room("red");
    node.subscribe(&red).await;
    let who = actor(7, "Zoë \"quoted\"");
    let texts = ["plain", "", " two  blanks ", "line\nbreak\r\n", "\u{1F600}\u{0}\u{7f}", "1 2 3 4 {\"k\":\"m\"}"];
    for text in texts {
        node.say(&red, &who, text).await;
    }
    let mut last_us = 0;
    for (index, expected) in texts.iter().enumerate() {
        let envelope = node.hears(&red).await;
        assert_eq!((text(&envelope), envelope.position.offset), (*expected, index as u64 + 1));
        assert_eq!(envelope.event.actor, who);
        assert!(envelope.time_us >= last_us && envelope.time_us > 0);
        last_us = envelope.time_us;
    }
}

async fn concurrent_publishers_share_one_order(mut node: Node) {
    let red = room("red");
    node.subscribe(&red).await;
    let mut publishers = tokio::task::JoinSet::new();
    for publisher in 0..4u128 {
        let (broker, red) = (node.backend.broker.clone(), red.clone());
        publishers.spawn(async move {
            let mut positions = Vec::new();
            for number in 0..25 {
                let event = message(&actor(publisher, "p"), &format!("{publisher}.{number}"));
                let publication = Publication { event: &event, publisher: Publisher::Anyone, key: None };
                positions.push(broker.publish(&red, publication).await.unwrap().unwrap().position.offset);
            }
            assert!(positions.is_sorted(), "one publisher's messages keep their order");
            positions
        });
    }
    let mut given: Vec<u64> = publishers.join_all().await.concat();
    given.sort_unstable();
    assert_eq!(given, (1..=100).collect::<Vec<_>>());
    for offset in 1..=100 {
        assert_eq!(node.hears(&red).await.position.offset, offset);
    }
}

async fn a_nickname_has_one_holder(node: Node) {
    let (one, two) = (SessionId::from_u128(1), SessionId::from_u128(2));
    assert_eq!(node.claim("alice", one).await, CLAIMED);
    assert_eq!(node.claim("alice", one).await, CLAIMED, "claiming again is harmless");
    assert_eq!(node.claim("alice", two).await, Claimed::InUse);
    assert_eq!(node.claim("Alice", two).await, CLAIMED, "case counts");
    node.backend.presence.release(&nickname("alice"), one).await.unwrap();
    assert_eq!(node.claim("alice", two).await, CLAIMED);
}

async fn of_concurrent_claims_one_wins(node: Node) {
    let mut claims = tokio::task::JoinSet::new();
    for session in 1..=20 {
        let presence = node.backend.presence.clone();
        let session = SessionId::from_u128(session);
        claims
            .spawn(async move { presence.claim(&nickname("alice"), bearer(session), Claimant::Guest).await.unwrap() });
    }
    assert_eq!(claims.join_all().await.into_iter().filter(|claimed| *claimed == CLAIMED).count(), 1);
}

async fn only_the_holder_releases_a_nickname(node: Node) {
    let (one, two) = (SessionId::from_u128(1), SessionId::from_u128(2));
    assert_eq!(node.claim("alice", one).await, CLAIMED);
    node.backend.presence.release(&nickname("alice"), two).await.unwrap();
    assert_eq!(node.claim("alice", two).await, Claimed::InUse);
    node.backend.presence.release(&nickname("nobody"), two).await.unwrap();
}

async fn entering_is_announced_once(mut node: Node) {
    let red = room("red");
    node.subscribe(&red).await;
    let first = node.enter(&red, &actor(1, "alice")).await;
    assert_eq!((first.position.offset, first.members, first.repeated), (1, 1, false));
    let again = node.enter(&red, &actor(1, "alice")).await;
    assert_eq!((again.position, again.members, again.repeated), (first.position, 1, true));
    let second = node.enter(&red, &actor(2, "bob")).await;
    assert_eq!((second.position.offset, second.members, second.repeated), (2, 2, false));
    assert_eq!(node.backend.presence.members(&red).await, Ok(2));
    for who in [actor(1, "alice"), actor(2, "bob")] {
        let envelope = node.hears(&red).await;
        assert_eq!((envelope.event.actor, envelope.event.kind), (who, EventKind::Joined));
    }
}

async fn leaving_is_announced_once(mut node: Node) {
    let red = room("red");
    node.subscribe(&red).await;
    let alice = actor(1, "alice");
    assert_eq!(node.backend.presence.leave(&red, &alice).await, Ok(None));
    let entered = node.enter(&red, &alice).await.position;
    let left = node.backend.presence.leave(&red, &alice).await.unwrap().unwrap();
    assert_eq!(left, Position { offset: 2, ..entered });
    assert_eq!(node.backend.presence.leave(&red, &alice).await, Ok(None));
    assert_eq!(node.backend.presence.members(&red).await, Ok(0));
    assert_eq!(node.hears(&red).await.event.kind, EventKind::Joined);
    assert_eq!(node.hears(&red).await.event.kind, EventKind::Left);
    assert_eq!(node.enter(&red, &alice).await.position.offset, 3, "the second leave took no place");
}

async fn a_restored_member_that_never_left_is_not_announced(node: Node) {
    let red = room("red");
    let alice = actor(1, "alice");
    let entered = node.enter(&red, &alice).await;
    let restored = node.restore(&red, &alice, Some(entered.position.epoch)).await;
    assert_eq!(restored, Entered { repeated: true, ..entered });
}

async fn catching_up_gives_exactly_what_was_missed(node: Node) {
    let red = room("red");
    let who = actor(1, "alice");
    let first = node.say(&red, &who, "1").await;
    for number in 2..=10 {
        node.say(&red, &who, &number.to_string()).await;
    }
    for offset in 1..=10 {
        let missed = node.backend.broker.catch_up(&red, Position { offset, ..first }).await.unwrap();
        assert_eq!(missed.seam, Seam::Whole(first.epoch));
        assert_eq!(offsets(&missed.missed), (offset + 1..=10).collect::<Vec<_>>());
        assert!(missed.missed.iter().all(|envelope| envelope.position.epoch == first.epoch));
    }
}

async fn catching_up_beyond_the_retention_says_so(node: Node) {
    let red = room("red");
    let who = actor(1, "alice");
    let first = node.say(&red, &who, "1").await;
    // Redis trims in whole nodes of the stream, about a hundred entries each.
    for number in 2..=400 {
        node.say(&red, &who, &number.to_string()).await;
    }
    let missed = node.backend.broker.catch_up(&red, first).await.unwrap();
    let Position { epoch, offset } = missed.seam.gap().expect("the hole is told");
    assert_eq!(epoch, first.epoch);
    assert!(offset > 1 && offset <= 400 - KEPT, "{offset}");
    assert_eq!(offsets(&missed.missed), (offset + 1..=400).collect::<Vec<_>>());
}

async fn another_epoch_is_told(node: Node) {
    let red = room("red");
    let position = node.say(&red, &actor(1, "alice"), "1").await;
    let other = Position { epoch: crosstalk::chat::Epoch::new(position.epoch.value() ^ 1), offset: 7 };
    let missed = node.backend.broker.catch_up(&red, other).await.unwrap();
    assert_eq!(missed.seam, Seam::Torn(Position { offset: 0, ..position }));
    assert_eq!(offsets(&missed.missed), [1]);
}

async fn history_is_the_newest_events_oldest_first(node: Node) {
    let red = room("red");
    let who = actor(1, "alice");
    node.enter(&red, &who).await;
    for number in 2..=50 {
        node.say(&red, &who, &number.to_string()).await;
    }
    let history = node.backend.broker.history(&red).await.unwrap();
    assert_eq!(offsets(&history), (50 - KEPT + 1..=50).collect::<Vec<_>>());
    assert_eq!(text(&history[0]), (50 - KEPT + 1).to_string());
}

async fn a_rooms_history_outlives_its_last_member(node: Node) {
    let red = room("red");
    let alice = actor(1, "alice");
    let entered = node.enter(&red, &alice).await.position;
    node.say(&red, &alice, "still here").await;
    node.backend.presence.leave(&red, &alice).await.unwrap();
    let history = node.backend.broker.history(&red).await.unwrap();
    assert_eq!(offsets(&history), [1, 2, 3]);
    assert_eq!(node.enter(&red, &actor(2, "bob")).await.position, Position { offset: 4, ..entered });
}

async fn an_unknown_room_has_no_members_and_no_history(node: Node) {
    assert_eq!(node.backend.presence.members(&room("nowhere")).await, Ok(0));
    assert_eq!(node.backend.broker.history(&room("nowhere")).await, Ok(Vec::new()));
    let lost = Position { epoch: crosstalk::chat::Epoch::new(1), offset: 5 };
    let missed = node.backend.broker.catch_up(&room("nowhere"), lost).await.unwrap();
    assert_eq!(missed, CatchUp { missed: Vec::new(), seam: Seam::NoStream });
}

async fn a_barrier_comes_after_what_was_published_before(mut node: Node) {
    let red = room("red");
    node.subscribe(&red).await;
    for number in 0..50 {
        node.say(&red, &actor(1, "alice"), &number.to_string()).await;
    }
    let broker = node.backend.broker.clone();
    let waiting = tokio::spawn(async move { broker.barrier().await });
    let mut heard = BTreeSet::new();
    loop {
        match tokio::time::timeout(DEADLINE, node.inbound.next()).await.unwrap().unwrap() {
            Heard::Raw { bytes, .. } => heard.insert(decode_live(&bytes).unwrap().position.offset),
            Heard::Event { envelope, .. } => heard.insert(envelope.position.offset),
            Heard::Barrier(reached) => break reached.send(()).unwrap(),
            Heard::MissedIn(_) | Heard::MissedNotices => continue,
            Heard::Notice { .. } | Heard::Proclamation(_) | Heard::Interrupted => continue,
        };
    }
    assert_eq!(heard.len(), 50);
    assert_eq!(waiting.await.unwrap(), Ok(()));
}

#[tokio::test]
async fn the_embedded_store_forgets_by_age_and_keeps_a_bounded_number_of_rooms() {
    let node = embedded(None);
    let who = actor(1, "alice");
    node.say(&room("old"), &who, "1").await;
    node.clock.advance(3_700_000);
    assert_eq!(node.backend.broker.history(&room("old")).await, Ok(Vec::new()), "older than the retention");
    // Ten rooms are kept: the quietest empty one gives way, an occupied one never.
    node.enter(&room("occupied"), &who).await;
    for number in 0..20 {
        node.clock.advance(1);
        node.say(&room(&format!("r{number}")), &who, "1").await;
    }
    assert_eq!(offsets(&node.backend.broker.history(&room("r0")).await.unwrap()), [] as [u64; 0]);
    assert_eq!(offsets(&node.backend.broker.history(&room("r19")).await.unwrap()), [1]);
    assert_eq!(node.backend.presence.members(&room("occupied")).await, Ok(1));
    assert_eq!(offsets(&node.backend.broker.history(&room("occupied")).await.unwrap()), [1]);
    node.clock.advance(3_700_000);
    node.backend.presence.sweep().await.unwrap();
    assert_eq!(node.say(&room("r19"), &who, "again").await.offset, 1, "a room that outlived its retention begins anew");
}

#[tokio::test]
async fn the_embedded_store_keeps_streams_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let red = room("red");
    let node = embedded(Some(folder.path()));
    let before = node.enter(&red, &actor(1, "alice")).await.position;
    node.backend.presence.retire().await.unwrap();
    drop(node);
    let node = embedded(Some(folder.path()));
    assert_eq!(node.backend.presence.members(&red).await, Ok(0), "guests end with their sessions");
    assert_eq!(node.say(&red, &actor(2, "bob"), "2").await, Position { offset: 2, ..before });
    assert_eq!(offsets(&node.backend.broker.history(&red).await.unwrap()), [1, 2]);
}
