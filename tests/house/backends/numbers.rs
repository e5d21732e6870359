//! Clauses about what identifies messages: the numbers they are given, and the keys under which they are accepted once.

use crosstalk::backend::{KEY_LIFE, Key};

use super::*;

clauses! {
    a_message_keeps_the_number_it_came_with
    the_same_again_under_a_key_is_answered_as_the_first_time
    another_key_and_no_key_are_something_else
    a_key_is_its_authors_own
    an_accounts_key_is_the_same_on_all_of_its_sessions
    an_authors_key_is_the_same_on_all_of_its_sessions_in_a_talk
    a_refused_message_uses_up_no_key
    who_has_left_is_answered_as_the_first_time
    numbers_wrap_around
}

clauses_of_two! {
    of_concurrent_messages_under_one_key_one_is_accepted
    numbers_are_given_once
}

lasting_clauses! {
    numbers_are_not_given_again_to_who_comes_later
    an_accounts_key_is_known_to_who_comes_later
}

fn numbered(who: &Actor, id: u32, text: &str) -> Event {
    Event::new(who.clone(), EventKind::Message { id: MessageId(id), text: text.into() })
}

/// A session that is a member by itself.
const GUEST: Publisher<'_> = Publisher::Member { account: None };

fn key_of<'a>(who: &Actor, text: &'a str) -> Key<'a> {
    Key { text, of: who.session }
}

impl Node {
    async fn keyed(&self, room: &RoomId, event: &Event, publisher: Publisher<'_>, key: &str) -> Option<Published> {
        let publication = Publication { event, publisher, key: Some(key_of(&event.actor, key)) };
        self.backend.broker.publish(room, publication).await.unwrap()
    }

    async fn lease(&self, count: u32) -> u32 {
        self.backend.broker.lease_numbers(count).await.unwrap()
    }

    async fn texts(&self, room: &RoomId) -> Vec<String> {
        let history = self.backend.broker.history(room).await.unwrap();
        let is_message = |envelope: &&Envelope| matches!(envelope.event.kind, EventKind::Message { .. });
        history.iter().filter(is_message).map(|envelope| text(envelope).to_owned()).collect()
    }
}

async fn a_message_keeps_the_number_it_came_with(mut node: Node) {
    let red = room("red");
    node.subscribe(&red).await;
    let alice = actor(1, "alice");
    for id in [1, 77, u32::MAX] {
        let published = node.publish(&red, &numbered(&alice, id, "hi"), Publisher::Anyone).await.unwrap();
        assert_eq!((published.id, published.repeated), (MessageId(id), false));
        let heard = node.hears(&red).await;
        assert_eq!((heard.position, heard.time_us), (published.position, published.time_us));
        assert_eq!(heard.event, numbered(&alice, id, "hi"));
        assert_eq!(node.backend.broker.history(&red).await.unwrap().last(), Some(&heard));
    }
}

async fn the_same_again_under_a_key_is_answered_as_the_first_time(mut node: Node) {
    let red = room("red");
    let alice = actor(1, "alice");
    node.subscribe(&red).await;
    node.enter(&red, &alice).await;
    let first = node.keyed(&red, &numbered(&alice, 5, "once"), GUEST, "k {1} é").await.unwrap();
    assert!(!first.repeated);
    node.say(&red, &alice, "between").await;
    // The service gives every attempt a number of its own.
    let again = node.keyed(&red, &numbered(&alice, 6, "once"), GUEST, "k {1} é").await.unwrap();
    assert_eq!(again, Published { repeated: true, ..first });
    node.say(&red, &alice, "after").await;
    assert_eq!(node.texts(&red).await, ["once", "between", "after"]);
    let heard = [node.hears(&red).await, node.hears(&red).await, node.hears(&red).await, node.hears(&red).await];
    assert_eq!(offsets(&heard), [1, 2, 3, 4], "the second took no place, and nobody heard it");
}

async fn another_key_and_no_key_are_something_else(node: Node) {
    let red = room("red");
    let alice = actor(1, "alice");
    node.enter(&red, &alice).await;
    for key in ["1", "2", "11"] {
        assert!(!node.keyed(&red, &numbered(&alice, 1, key), GUEST, key).await.unwrap().repeated);
    }
    for _ in 0..2 {
        assert!(!node.publish(&red, &numbered(&alice, 1, "no key"), GUEST).await.unwrap().repeated);
    }
    assert_eq!(node.texts(&red).await, ["1", "2", "11", "no key", "no key"]);
}

async fn a_key_is_its_authors_own(node: Node) {
    let red = room("red");
    // Guests are told apart by their sessions, whatever they call themselves.
    for who in [actor(1, "alice"), actor(2, "bob"), actor(3, "alice")] {
        node.enter(&red, &who).await;
        assert!(!node.keyed(&red, &numbered(&who, 1, "mine"), GUEST, "k").await.unwrap().repeated);
    }
    assert_eq!(node.texts(&red).await.len(), 3);
}

async fn an_accounts_key_is_the_same_on_all_of_its_sessions(node: Node) {
    let red = room("red");
    let (older, newer, mia) = (actor(1, "mia"), actor(2, "mia"), nickname("mia"));
    let publisher = Publisher::Member { account: Some(&mia) };
    node.enter(&red, &older).await;
    node.enter(&red, &newer).await;
    let first = node.keyed(&red, &numbered(&older, 1, "once"), publisher, "k").await.unwrap();
    let again = node.keyed(&red, &numbered(&newer, 2, "once"), publisher, "k").await.unwrap();
    assert_eq!(again, Published { repeated: true, ..first }, "it lost its connection before the answer");
    assert_eq!(node.texts(&red).await, ["once"]);
}

/// Where nobody need be a member: in a talk, which has no members.
async fn an_authors_key_is_the_same_on_all_of_its_sessions_in_a_talk(node: Node) {
    let talk = RoomId::talk(&nickname("mia"), &nickname("bob"));
    let (older, newer, other) = (actor(1, "mia"), actor(2, "mia"), actor(3, "bob"));
    let first = node.keyed(&talk, &numbered(&older, 1, "once"), Publisher::Anyone, "k").await.unwrap();
    let again = node.keyed(&talk, &numbered(&newer, 2, "once"), Publisher::Anyone, "k").await.unwrap();
    assert_eq!(again, Published { repeated: true, ..first }, "it lost its connection before the answer");
    assert!(!node.keyed(&talk, &numbered(&other, 3, "mine"), Publisher::Anyone, "k").await.unwrap().repeated);
    assert_eq!(node.texts(&talk).await, ["once", "mine"]);
}

async fn a_refused_message_uses_up_no_key(node: Node) {
    let red = room("red");
    let alice = actor(1, "alice");
    assert_eq!(node.keyed(&red, &numbered(&alice, 1, "hi"), GUEST, "k").await, None);
    node.enter(&red, &alice).await;
    assert!(!node.keyed(&red, &numbered(&alice, 2, "hi"), GUEST, "k").await.unwrap().repeated);
}

async fn who_has_left_is_answered_as_the_first_time(node: Node) {
    let red = room("red");
    let alice = actor(1, "alice");
    node.enter(&red, &alice).await;
    node.enter(&red, &actor(2, "bob")).await;
    let first = node.keyed(&red, &numbered(&alice, 1, "bye"), GUEST, "k").await.unwrap();
    node.backend.presence.leave(&red, &alice).await.unwrap();
    let again = node.keyed(&red, &numbered(&alice, 2, "bye"), GUEST, "k").await;
    assert_eq!(again, Some(Published { repeated: true, ..first }));
    assert_eq!(node.keyed(&red, &numbered(&alice, 3, "bye"), GUEST, "another").await, None);
}

async fn of_concurrent_messages_under_one_key_one_is_accepted(nodes: [&Node; 2]) {
    let red = room("red");
    let alice = actor(1, "alice");
    nodes[0].enter(&red, &alice).await;
    let mut attempts = tokio::task::JoinSet::new();
    for number in 0..20u32 {
        let (broker, red, alice) = (nodes[number as usize % 2].backend.broker.clone(), red.clone(), alice.clone());
        attempts.spawn(async move {
            let event = numbered(&alice, number + 1, "once");
            let publication = Publication { event: &event, publisher: GUEST, key: Some(key_of(&alice, "k")) };
            broker.publish(&red, publication).await.unwrap().unwrap()
        });
    }
    let answers = attempts.join_all().await;
    let accepted: Vec<_> = answers.iter().filter(|published| !published.repeated).collect();
    assert_eq!(accepted.len(), 1, "{answers:?}");
    for answer in &answers {
        assert_eq!(Published { repeated: false, ..*answer }, *accepted[0]);
    }
    assert_eq!(nodes[1].texts(&red).await, ["once"]);
}

async fn numbers_are_given_once(nodes: [&Node; 2]) {
    let mut leases = tokio::task::JoinSet::new();
    for turn in 0..40u32 {
        let (broker, count) = (nodes[turn as usize % 2].backend.broker.clone(), 1 + turn % 7 * 100);
        leases.spawn(async move { (broker.lease_numbers(count).await.unwrap(), count) });
    }
    let mut given = leases.join_all().await;
    given.sort_unstable();
    for pair in given.windows(2) {
        let ((first, count), (next, _)) = (pair[0], pair[1]);
        assert!(first.checked_add(count).is_some_and(|end| end <= next), "{given:?}");
    }
}

async fn numbers_wrap_around(node: Node) {
    let first = node.lease(u32::MAX).await;
    let second = node.lease(u32::MAX).await;
    assert_ne!(first, second);
    // Behind these is the number before them.
    assert_eq!(second, first.wrapping_sub(1));
    node.lease(10).await;
}

async fn numbers_are_not_given_again_to_who_comes_later(mut node: Node, again: impl AsyncFn(Node) -> Node) {
    let mut next = 0;
    for _ in 0..3 {
        for count in [1, 1_000] {
            let first = node.lease(count).await;
            assert!(first >= next, "{first} was given before");
            next = first + count;
        }
        node = again(node).await;
    }
}

/// Whoever got no answer because the node ended sends it again to the next one.
async fn an_accounts_key_is_known_to_who_comes_later(node: Node, again: impl AsyncFn(Node) -> Node) {
    let (red, mia) = (room("red"), nickname("mia"));
    let talk = RoomId::talk(&mia, &nickname("bob"));
    node.enter(&red, &actor(9, "gus")).await;
    node.enrol(&red, "mia").await.unwrap();
    let places = [(&red, Publisher::Member { account: Some(&mia) }), (&talk, Publisher::Anyone)];
    let mut first = Vec::new();
    for (place, publisher) in places {
        first.push(node.keyed(place, &numbered(&actor(1, "mia"), 1, "once"), publisher, "k").await.unwrap());
    }
    let node = again(node).await;
    for ((place, publisher), first) in places.into_iter().zip(first) {
        let again = node.keyed(place, &numbered(&actor(2, "mia"), 2, "once"), publisher, "k").await.unwrap();
        assert_eq!(again, Published { repeated: true, ..first });
        assert_eq!(node.texts(place).await, ["once"]);
    }
}

#[tokio::test]
async fn the_embedded_store_forgets_keys() {
    let node = embedded(None);
    let red = room("red");
    let alice = actor(1, "alice");
    node.enter(&red, &alice).await;
    let life_ms = KEY_LIFE.as_millis() as u64;
    let first = node.keyed(&red, &numbered(&alice, 1, "hi"), GUEST, "k").await.unwrap();
    node.clock.advance(life_ms - 1);
    let again = node.keyed(&red, &numbered(&alice, 2, "hi"), GUEST, "k").await;
    assert_eq!(again, Some(Published { repeated: true, ..first }));
    node.clock.advance(life_ms + 1);
    let much_later = node.keyed(&red, &numbered(&alice, 3, "hi"), GUEST, "k").await.unwrap();
    assert_eq!((much_later.repeated, much_later.id), (false, MessageId(3)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_on_redis_have_an_end() {
    let server = Server::start();
    let node = redis(&server).await;
    let (red, alice) = (room("red"), actor(1, "alice"));
    node.enter(&red, &alice).await;
    node.keyed(&red, &numbered(&alice, 1, "hi"), GUEST, "k").await.unwrap();
    let keys = server.list(&["KEYS", "t:room:{red}:key:*"]);
    assert_eq!(keys.len(), 1, "{keys:?}");
    let left_ms = server.number(&["PTTL", &keys[0]]);
    assert!(left_ms > 0 && left_ms <= KEY_LIFE.as_millis() as i64, "{left_ms}");
}
