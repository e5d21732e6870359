//! Clauses about who is whose friend.

use crosstalk::backend::{Asked, FRIENDS_MAX, REQUESTS_MAX, Settled};
use crosstalk::chat::{PendingRequest, RequestId, RequestKind};
use futures_util::future::join_all;

use super::*;

clauses! {
    a_request_waits_until_it_is_decided
    who_is_approved_is_a_friend_both_ways
    who_was_rejected_may_ask_to_be_a_friend_again
    a_request_is_decided_by_the_one_whom_it_waits_for
    friends_do_not_ask_again
    accounts_alone_are_asked
    approving_one_of_two_crossing_requests_ends_both
    rejecting_one_of_two_crossing_requests_leaves_the_other
    friends_are_told_in_the_order_of_their_names
    friends_part_both_ways
    only_so_many_requests_wait_and_friends_are_had
}

clauses_of_two! {
    of_concurrent_decisions_one_counts
    crossing_requests_approved_at_once_make_friends
}

lasting_clauses! {
    friends_and_requests_stay
}

/// That one wants to be somebody's friend.
fn request(from: &str, id: u32) -> PendingRequest {
    PendingRequest {
        id: RequestId(id),
        kind: RequestKind::Friend(nickname(from)),
        from: from.into(),
        text: format!("I am {from} \"é\""),
        asked_s: 1_700_000_000 + i64::from(id),
    }
}

impl Node {
    pub(super) async fn ask(&self, from: &str, to: &str, id: u32) -> Asked {
        self.backend.friends.ask_friend(&nickname(to), &request(from, id)).await.unwrap()
    }

    async fn settle(&self, account: &str, id: u32, approve: bool) -> Settled {
        self.backend.friends.settle_friend(&nickname(account), RequestId(id), approve).await.unwrap()
    }

    /// Makes friends of two.
    pub(super) async fn befriend(&self, one: &str, other: &str) {
        assert_eq!(self.ask(one, other, 9).await, Asked::Done);
        assert_eq!(self.settle(other, 9, true).await, Settled::Done(request(one, 9)));
    }

    pub(super) async fn friends(&self, account: &str) -> Vec<String> {
        let friends = self.backend.friends.friends(&nickname(account)).await.unwrap();
        friends.iter().map(ToString::to_string).collect()
    }

    async fn requests(&self, account: &str) -> Vec<PendingRequest> {
        self.backend.friends.friend_requests(&nickname(account)).await.unwrap()
    }

    pub(super) async fn part(&self, one: &str, other: &str) -> bool {
        self.backend.friends.part(&nickname(one), &nickname(other)).await.unwrap()
    }

    async fn sign_up_all(&self, names: &[&str]) {
        for some in names.chunks(100) {
            let signed_up = join_all(some.iter().map(|name| self.sign_up(name))).await;
            assert!(signed_up.into_iter().all(|signed_up| signed_up));
        }
    }
}

async fn a_request_waits_until_it_is_decided(node: Node) {
    node.sign_up_all(&["alice", "bob", "carol", "olga"]).await;
    assert_eq!(node.requests("olga").await, []);
    for (from, id) in [("bob", 30), ("alice", 40), ("carol", 50)] {
        assert_eq!(node.ask(from, "olga", id).await, Asked::Done);
    }
    let expected = [request("bob", 30), request("alice", 40), request("carol", 50)];
    assert_eq!(node.requests("olga").await, expected, "oldest first");
    assert_eq!(node.ask("bob", "olga", 60).await, Asked::Before);
    assert_eq!(node.requests("olga").await, expected, "nothing was done");
    assert_eq!(node.friends("olga").await, [] as [&str; 0]);
    assert_eq!(node.settle("olga", 40, false).await, Settled::Done(expected[1].clone()));
    assert_eq!(node.requests("olga").await, [expected[0].clone(), expected[2].clone()]);
}

async fn who_is_approved_is_a_friend_both_ways(node: Node) {
    node.sign_up_all(&["Zoë {x}", "olga"]).await;
    node.ask("Zoë {x}", "olga", 7).await;
    assert_eq!(node.settle("olga", 7, true).await, Settled::Done(request("Zoë {x}", 7)));
    assert_eq!(
        (node.friends("olga").await, node.friends("Zoë {x}").await),
        (vec!["Zoë {x}".into()], vec!["olga".into()])
    );
    assert_eq!(node.requests("olga").await, []);
    for approve in [true, false] {
        assert_eq!(node.settle("olga", 7, approve).await, Settled::Nothing, "that is decided");
    }
    assert_eq!(node.friends("olga").await, ["Zoë {x}"]);
}

async fn who_was_rejected_may_ask_to_be_a_friend_again(node: Node) {
    node.sign_up_all(&["bob", "olga"]).await;
    node.ask("bob", "olga", 7).await;
    assert_eq!(node.settle("olga", 7, false).await, Settled::Done(request("bob", 7)));
    assert_eq!((node.friends("olga").await.len(), node.friends("bob").await.len()), (0, 0));
    assert_eq!(node.ask("bob", "olga", 8).await, Asked::Done);
    assert_eq!(node.requests("olga").await, [request("bob", 8)]);
}

async fn a_request_is_decided_by_the_one_whom_it_waits_for(node: Node) {
    node.sign_up_all(&["bob", "olga", "eve"]).await;
    node.ask("bob", "olga", 7).await;
    for other in ["eve", "bob", "nobody"] {
        assert_eq!(node.settle(other, 7, true).await, Settled::Nothing);
    }
    assert_eq!(node.settle("olga", 8, true).await, Settled::Nothing);
    assert_eq!(node.requests("olga").await.len(), 1);
}

async fn friends_do_not_ask_again(node: Node) {
    node.sign_up_all(&["bob", "olga"]).await;
    node.befriend("bob", "olga").await;
    assert_eq!(node.ask("bob", "olga", 20).await, Asked::AlreadyFriends);
    assert_eq!(node.ask("olga", "bob", 21).await, Asked::AlreadyFriends);
    assert_eq!((node.requests("olga").await, node.requests("bob").await), (vec![], vec![]));
}

async fn accounts_alone_are_asked(node: Node) {
    node.sign_up_all(&["bob"]).await;
    assert_eq!(node.ask("bob", "nobody", 7).await, Asked::Unknown);
    node.claim("gus", SessionId::from_u128(1)).await;
    assert_eq!(node.ask("bob", "gus", 8).await, Asked::Unknown, "a guest is no account");
    node.log_in("mia", 2).await;
    assert_eq!(node.ask("bob", "mia", 9).await, Asked::Done, "one that was made elsewhere is");
}

async fn approving_one_of_two_crossing_requests_ends_both(node: Node) {
    node.sign_up_all(&["bob", "olga", "eve"]).await;
    node.ask("bob", "olga", 7).await;
    node.ask("olga", "bob", 8).await;
    node.ask("eve", "bob", 9).await;
    node.settle("olga", 7, true).await;
    assert_eq!(node.friends("bob").await, ["olga"]);
    assert_eq!(node.settle("bob", 8, true).await, Settled::Nothing);
    assert_eq!(node.requests("bob").await, [request("eve", 9)], "another's waits on");
}

async fn rejecting_one_of_two_crossing_requests_leaves_the_other(node: Node) {
    node.sign_up_all(&["bob", "olga"]).await;
    node.ask("bob", "olga", 7).await;
    node.ask("olga", "bob", 8).await;
    node.settle("olga", 7, false).await;
    assert_eq!(node.requests("bob").await, [request("olga", 8)]);
    assert_eq!(node.settle("bob", 8, true).await, Settled::Done(request("olga", 8)));
    assert_eq!(node.friends("olga").await, ["bob"]);
}

async fn friends_are_told_in_the_order_of_their_names(node: Node) {
    node.sign_up_all(&["olga", "carol", "Bob", "adam", "dave"]).await;
    for name in ["carol", "Bob", "dave", "adam"] {
        node.befriend(name, "olga").await;
    }
    assert_eq!(node.friends("olga").await, ["Bob", "adam", "carol", "dave"], "by their bytes");
    assert_eq!(node.friends("nobody").await, [] as [&str; 0]);
}

async fn friends_part_both_ways(node: Node) {
    node.sign_up_all(&["bob", "olga", "eve"]).await;
    assert!(!node.part("bob", "olga").await);
    node.befriend("bob", "olga").await;
    node.befriend("eve", "olga").await;
    assert!(node.part("bob", "olga").await);
    assert_eq!((node.friends("bob").await.len(), node.friends("olga").await), (0, vec!["eve".into()]));
    assert!(!node.part("bob", "olga").await && !node.part("olga", "bob").await);
    node.befriend("olga", "bob").await;
    assert!(node.part("bob", "olga").await, "whoever asked");
}

async fn only_so_many_requests_wait_and_friends_are_had(node: Node) {
    let names: Vec<String> = (0..REQUESTS_MAX).map(|number| format!("n{number:04}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    node.sign_up_all(&names).await;
    node.sign_up_all(&["olga", "mia"]).await;
    for (first, some) in (100..).step_by(100).zip(names.chunks(100)) {
        let asked = join_all((first..).zip(some).map(|(id, name)| node.ask(name, "olga", id))).await;
        assert!(asked.into_iter().all(|asked| asked == Asked::Done));
    }
    assert_eq!(node.ask("mia", "olga", 1).await, Asked::TooMany);
    assert_eq!(node.ask("n0000", "olga", 1).await, Asked::Before, "who waits goes on waiting");
    assert_eq!(FRIENDS_MAX, REQUESTS_MAX);
    for first in (100..).step_by(100).take(REQUESTS_MAX / 100) {
        let settled = join_all((first..first + 100).map(|id| node.settle("olga", id, true))).await;
        assert!(settled.iter().all(|settled| matches!(settled, Settled::Done(_))), "{settled:?}");
    }
    assert_eq!(node.friends("olga").await, names);
    assert_eq!(node.ask("mia", "olga", 1).await, Asked::Done);
    assert_eq!(node.settle("olga", 1, true).await, Settled::TooMany);
    assert_eq!(node.requests("olga").await, [request("mia", 1)], "it waits on");
    assert_eq!(node.friends("mia").await, [] as [&str; 0]);
    assert_eq!(node.ask("olga", "mia", 2).await, Asked::Done);
    assert_eq!(node.settle("mia", 2, true).await, Settled::TooMany, "it is enough that one of the two has");
    assert!(node.part("olga", "n0500").await);
    assert_eq!(node.settle("olga", 1, true).await, Settled::Done(request("mia", 1)));
    assert_eq!(node.friends("olga").await.len(), FRIENDS_MAX);
}

async fn of_concurrent_decisions_one_counts(nodes: [&Node; 2]) {
    nodes[0].sign_up_all(&["bob", "olga"]).await;
    for turn in 0..10 {
        nodes[0].ask("bob", "olga", turn).await;
        let (approved, rejected) =
            tokio::join!(nodes[0].settle("olga", turn, true), nodes[1].settle("olga", turn, false));
        let is_done = |settled: &Settled| matches!(settled, Settled::Done(_));
        assert!(is_done(&approved) || is_done(&rejected), "somebody decides");
        let friends = nodes[1].friends("bob").await;
        assert_eq!(friends, nodes[1].friends("olga").await.iter().map(|_| "olga".to_owned()).collect::<Vec<_>>());
        assert_eq!(nodes[1].requests("olga").await, []);
        assert_eq!(nodes[1].part("bob", "olga").await, !friends.is_empty());
    }
}

async fn crossing_requests_approved_at_once_make_friends(nodes: [&Node; 2]) {
    nodes[0].sign_up_all(&["bob", "olga"]).await;
    for turn in 0..10 {
        nodes[0].ask("bob", "olga", 2 * turn).await;
        nodes[1].ask("olga", "bob", 2 * turn + 1).await;
        tokio::join!(nodes[0].settle("olga", 2 * turn, true), nodes[1].settle("bob", 2 * turn + 1, true));
        assert_eq!(
            (nodes[0].friends("bob").await, nodes[1].friends("olga").await),
            (vec!["olga".into()], vec!["bob".into()])
        );
        assert_eq!((nodes[0].requests("bob").await, nodes[1].requests("olga").await), (vec![], vec![]));
        assert!(nodes[0].part("bob", "olga").await);
    }
}

async fn friends_and_requests_stay(node: Node, again: impl AsyncFn(Node) -> Node) {
    node.sign_up_all(&["alice", "bob", "eve", "olga"]).await;
    node.befriend("alice", "olga").await;
    node.befriend("bob", "olga").await;
    node.part("olga", "alice").await;
    node.ask("eve", "olga", 7).await;
    let node = again(node).await;
    assert_eq!((node.friends("olga").await, node.friends("alice").await.len()), (vec!["bob".into()], 0));
    assert_eq!(node.requests("olga").await, [request("eve", 7)]);
    assert_eq!(node.settle("olga", 7, true).await, Settled::Done(request("eve", 7)));
}
