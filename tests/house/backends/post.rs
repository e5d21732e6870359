//! Clauses about notices: to single sessions, and to all nodes.

use crosstalk::backend::{BackendError, Bulletin, Delivery, Proclamation};
use crosstalk::chat::{CloseReason, LoginId, News, Notice, PrivateMessage, Revocation};
use tokio::sync::oneshot;

use super::*;

clauses! {
    a_notice_arrives_as_it_was_sent
    a_notice_is_delivered_when_its_session_has_it
    answers_find_who_waits_for_them
    a_proclamation_is_heard_by_the_one_who_makes_it
}

fn private(text: &str) -> Notice {
    Notice::Private(PrivateMessage { from: actor(1, "alice"), target: "@bob".into(), text: text.into() })
}

fn revoked(account: &str) -> Proclamation {
    Proclamation::Revoked { account: nickname(account), which: Revocation::BegunUntil(12) }
}

impl Node {
    /// A session of this node.
    fn session(&self, bits: u128) -> SessionId {
        SessionId::on(self.id, bits)
    }

    /// The next notice for one of this node's sessions, to be answered for.
    async fn notice(&mut self) -> (SessionId, Notice, oneshot::Sender<bool>) {
        loop {
            match self.next_heard().await {
                Heard::Notice { session, notice, delivered } => return (session, notice, delivered),
                other => assert!(matches!(other, Heard::Interrupted), "{other:?} was heard"),
            }
        }
    }

    async fn proclamation(&mut self) -> Proclamation {
        match self.next_heard().await {
            Heard::Proclamation(proclamation) => proclamation,
            other => panic!("{other:?} was heard"),
        }
    }

    async fn next_heard(&mut self) -> Heard {
        let heard = tokio::time::timeout(DEADLINE, self.inbound.next()).await;
        heard.expect("something is heard in time").expect("the backend is there")
    }
}

/// Has `from` deliver a notice to a session of `to`, and answers for it there.
async fn delivered(from: &Node, to: &mut Node, notice: &Notice, answer: bool) -> Delivery {
    let session = to.session(7);
    let (post, sent) = (from.backend.post.clone(), notice.clone());
    let delivery = tokio::spawn(async move { post.deliver(session, &sent).await });
    let (heard_for, heard, receipt) = to.notice().await;
    assert_eq!((heard_for, &heard), (session, notice));
    assert!(!delivery.is_finished(), "nothing counts before it is answered for");
    receipt.send(answer).unwrap();
    delivery.await.unwrap().unwrap()
}

async fn delivered_here(node: &mut Node, notice: &Notice, answer: bool) -> Delivery {
    let (post, session, sent) = (node.backend.post.clone(), node.session(7), notice.clone());
    let delivery = tokio::spawn(async move { post.deliver(session, &sent).await });
    let (heard_for, heard, receipt) = node.notice().await;
    assert_eq!((heard_for, &heard), (session, notice));
    receipt.send(answer).unwrap();
    delivery.await.unwrap().unwrap()
}

async fn a_notice_arrives_as_it_was_sent(mut node: Node) {
    let nameless = Actor { session: SessionId::from_u128(u128::MAX), nickname: None };
    let from_nobody = PrivateMessage { from: nameless, target: "@Bob {x}".into(), text: "\n\"\u{1F600}".into() };
    let notices = [
        private("psst"),
        Notice::Private(from_nobody),
        Notice::Asked { room: room("red room"), identifier: "gus".into() },
        Notice::Decided { room: room("red"), approved: true },
        Notice::Decided { room: room("red"), approved: false },
        Notice::Closing(CloseReason::Superseded),
        Notice::MailWaiting,
    ];
    for notice in notices {
        assert_eq!(delivered_here(&mut node, &notice, true).await, Delivery::Done);
    }
}

async fn a_notice_is_delivered_when_its_session_has_it(mut node: Node) {
    assert_eq!(delivered_here(&mut node, &private("1"), true).await, Delivery::Done);
    assert_eq!(delivered_here(&mut node, &private("2"), false).await, Delivery::NoSession);
}

async fn answers_find_who_waits_for_them(mut node: Node) {
    let mut deliveries = tokio::task::JoinSet::new();
    for number in 0..20u128 {
        let (post, session) = (node.backend.post.clone(), node.session(number));
        deliveries.spawn(async move { (number, post.deliver(session, &private(&number.to_string())).await.unwrap()) });
    }
    let mut receipts = Vec::new();
    for _ in 0..20 {
        let (_, notice, receipt) = node.notice().await;
        let Notice::Private(message) = notice else { panic!("{notice:?}") };
        receipts.push((message.text.parse::<u128>().unwrap(), receipt));
    }
    // Not in the order in which they came.
    receipts.sort_by_key(|(number, _)| (number % 3, *number));
    for (number, receipt) in receipts {
        receipt.send(number % 2 == 0).unwrap();
    }
    for (number, delivery) in deliveries.join_all().await {
        assert_eq!(delivery, if number % 2 == 0 { Delivery::Done } else { Delivery::NoSession }, "{number}");
    }
}

async fn a_proclamation_is_heard_by_the_one_who_makes_it(mut node: Node) {
    let one = Revocation::One { id: LoginId(u128::MAX), ends_s: 13 };
    let ended = Proclamation::Revoked { account: nickname("Zoë {x}"), which: one };
    let renamed = Proclamation::News(Bulletin {
        account: nickname("Zoë {x}"),
        news: News::Nickname("the \"Z\"".into()),
        time_us: 1_700_000_000_000_001,
        friends: vec![nickname("alice"), nickname("bob")],
        rooms: vec![room("red room")],
    });
    for proclamation in [revoked("alice"), ended, renamed] {
        node.backend.post.proclaim(&proclamation).await.unwrap();
        assert_eq!(node.proclamation().await, proclamation);
    }
}

#[tokio::test]
async fn a_notice_that_the_embedded_backend_has_no_place_for_is_not_delivered() {
    let mut node = embedded(None);
    let too_long = private(&"x".repeat(2 << 20));
    let dropped = node.backend.post.deliver(node.session(1), &too_long).await;
    assert!(matches!(dropped, Err(BackendError::Unavailable(_))), "{dropped:?}");
    let (post, session) = (node.backend.post.clone(), node.session(1));
    let unanswered = tokio::spawn(async move { post.deliver(session, &private("1")).await });
    drop(node.notice().await);
    assert!(matches!(unanswered.await.unwrap(), Err(BackendError::Unavailable(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notice_finds_a_session_of_another_node() {
    let server = Server::start();
    let (one, mut two) = (redis(&server).await, redis(&server).await);
    assert_ne!(one.id, two.id);
    assert_eq!(delivered(&one, &mut two, &private("1"), true).await, Delivery::Done);
    assert_eq!(delivered(&one, &mut two, &private("2"), false).await, Delivery::NoSession);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notice_to_a_node_that_is_not_there_says_so() {
    let server = Server::start();
    let node = redis(&server).await;
    let nowhere = SessionId::on(NodeId::from_random(Entropy::system().bits()), 7);
    assert_eq!(node.backend.post.deliver(nowhere, &private("1")).await, Ok(Delivery::NoNode));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notice_that_nobody_answers_for_was_perhaps_not_delivered() {
    let server = Server::start();
    let hasty = redis_with(&server, |settings| settings.command_timeout = Duration::from_secs(1)).await;
    let mut silent = redis(&server).await;
    let (post, session) = (hasty.backend.post.clone(), silent.session(7));
    let delivery = tokio::spawn(async move { post.deliver(session, &private("1")).await });
    let (_, _, receipt) = silent.notice().await;
    assert!(matches!(delivery.await.unwrap(), Err(BackendError::Unavailable(_))));
    // The answer comes too late, and is nobody's.
    receipt.send(true).unwrap();
    assert_eq!(delivered(&silent, &mut redis(&server).await, &private("2"), true).await, Delivery::Done);
    assert_eq!(hasty.metrics.undecodable_total.get(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proclamation_reaches_every_node() {
    let server = Server::start();
    let mut nodes = [redis(&server).await, redis(&server).await, redis(&server).await];
    nodes[1].backend.post.proclaim(&revoked("alice")).await.unwrap();
    for node in &mut nodes {
        assert_eq!(node.proclamation().await, revoked("alice"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_letter_is_counted_and_passed_over() {
    let server = Server::start();
    let mut node = redis(&server).await;
    let own = format!("t:to:{{{}}}", node.id);
    let rubbish =
        [(own.as_str(), "rubbish"), (own.as_str(), r#"{"k":"later"}"#), ("t:to:{all}", ""), ("t:to:{all}", "[]")];
    for (channel, payload) in rubbish {
        assert_eq!(server.number(&["PUBLISH", channel, payload]), 1);
    }
    // A receipt that nobody waits for is in order, and nobody's.
    assert_eq!(server.number(&["PUBLISH", &own, r#"{"k":"a","i":99,"d":true}"#]), 1);
    node.backend.post.proclaim(&revoked("alice")).await.unwrap();
    assert_eq!(node.proclamation().await, revoked("alice"));
    assert_eq!(node.metrics.undecodable_total.get(), rubbish.len() as u64);
}
