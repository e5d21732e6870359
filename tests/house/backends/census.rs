//! Clauses about the cluster's numbers.

use crosstalk::backend::{ClusterCount, NodeCount};
use crosstalk::chat::RoomRecord;

use super::*;

clauses! {
    an_empty_cluster_counts_nothing
    accounts_are_counted
    kept_rooms_are_counted
    the_last_report_counts
}

lasting_clauses! {
    the_largest_numbers_stay
}

impl Node {
    async fn census(&self) -> ClusterCount {
        self.backend.census.census().await.unwrap()
    }

    async fn report(&self, count: NodeCount) {
        self.backend.census.report(&count).await.unwrap();
    }
}

/// A node that counts everything the same, so many times.
fn count(times: u64) -> NodeCount {
    NodeCount {
        started_s: 1_700_000_000 + times as i64,
        online: times,
        messages_in: 10 * times,
        messages_out: 100 * times,
        bytes_in: 1_000 * times,
        bytes_out: 1 << (40 + times),
    }
}

async fn an_empty_cluster_counts_nothing(node: Node) {
    let ClusterCount { users, users_max, rooms, rooms_max, online_max, nodes } = node.census().await;
    assert_eq!((users, users_max, rooms, rooms_max, online_max, nodes.online), (0, 0, 0, 0, 0, 0));
}

async fn accounts_are_counted(node: Node) {
    for name in ["alice", "bob", "carol"] {
        assert!(node.sign_up(name).await);
    }
    assert!(!node.sign_up("bob").await);
    node.delete("bob").await;
    node.delete("bob").await;
    let census = node.census().await;
    assert_eq!((census.users, census.users_max), (2, 3));
    assert!(node.sign_up("bob").await && node.sign_up("dave").await);
    let census = node.census().await;
    assert_eq!((census.users, census.users_max), (4, 4));
}

async fn kept_rooms_are_counted(node: Node) {
    for name in ["a", "b", "c"] {
        node.create(&room(name), &RoomRecord::default()).await;
    }
    node.create(&room("b"), &RoomRecord::default()).await;
    let alice = actor(1, "alice");
    node.enter(&room("made by members"), &alice).await;
    node.backend.rooms.destroy(&room("b"), &alice, None).await.unwrap().unwrap();
    let census = node.census().await;
    assert_eq!((census.rooms, census.rooms_max), (2, 3));
}

async fn the_last_report_counts(node: Node) {
    node.report(count(3)).await;
    assert_eq!(node.census().await.nodes, count(3));
    node.report(count(2)).await;
    let census = node.census().await;
    assert_eq!((census.nodes, census.online_max), (count(2), 3));
}

async fn the_largest_numbers_stay(node: Node, again: impl AsyncFn(Node) -> Node) {
    assert!(node.sign_up("alice").await && node.sign_up("bob").await);
    node.delete("bob").await;
    node.create(&room("a"), &RoomRecord::default()).await;
    node.create(&room("b"), &RoomRecord::default()).await;
    node.backend.rooms.destroy(&room("b"), &actor(1, "alice"), None).await.unwrap().unwrap();
    node.report(count(7)).await;
    let node = again(node).await;
    node.report(count(1)).await;
    let expected = ClusterCount { nodes: count(1), users: 1, users_max: 2, online_max: 7, rooms: 1, rooms_max: 2 };
    assert_eq!(node.census().await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_nodes_counts_are_added_while_they_live() {
    let server = Server::start();
    let (one, two) = (redis(&server).await, redis(&server).await);
    one.report(count(5)).await;
    two.report(count(7)).await;
    // Whoever is asked has the same numbers.
    for node in [&one, &two] {
        let NodeCount { started_s, online, messages_in, messages_out, bytes_in, bytes_out } = node.census().await.nodes;
        assert_eq!((started_s, online), (count(5).started_s, 12), "the start of the one that runs for longest");
        assert_eq!((messages_in, messages_out, bytes_in), (120, 1_200, 12_000));
        assert_eq!(bytes_out, count(5).bytes_out + count(7).bytes_out);
    }
    one.report(count(5)).await;
    assert_eq!(one.census().await.online_max, 12);
    one.go().await;
    let census = two.census().await;
    assert_eq!((census.nodes, census.online_max), (count(7), 12), "who has gone is not counted");
}
