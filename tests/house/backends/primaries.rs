//! One primary of a cluster is away, and nobody takes over: what lies on the others goes on.

use crosstalk::backend::BackendError;

use super::cluster::eventually;
use super::*;
use crate::support::redis::Recipe;
use crate::support::redis::cluster::Cluster;

/// Which of the cluster's servers has a node's lease.
fn home_of_lease(cluster: &Cluster, known: &[String]) -> (usize, String) {
    let nodes = &cluster.nodes[cluster.owner("t:nodes")];
    let mut new = nodes.list(&["SMEMBERS", "t:nodes"]).into_iter().filter(|lease| !known.contains(lease));
    let lease = new.next().expect("the node has a lease");
    (cluster.owner(&format!("t:node:{{{lease}}}")), lease)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_lease_is_away_takes_one_elsewhere() {
    let recipe = Recipe::new(crate::support::redis::Kind::Redis7).line("cluster-require-full-coverage no");
    let mut cluster = tokio::task::block_in_place(|| Cluster::of(&recipe, false));
    let needed = ["t:nodes", "t:format"].map(|key| cluster.owner(key));
    let away = (0..3).find(|server| !needed.contains(server)).expect("two keys leave one of three");
    let url = cluster.url();
    let mut known = Vec::new();
    // Where a lease lies is drawn.
    let node = loop {
        let node = redis_at(|settings| settings.url.clone_from(&url)).await;
        let (home, lease) = home_of_lease(&cluster, &known);
        if home == away {
            break node;
        }
        known.push(lease);
    };
    let room = |number: u32| room(&format!("room {number}"));
    let served = (0..).map(room).find(|room| cluster.owner(&format!("{{{room}}}")) != away).expect("rooms are endless");
    node.enter(&served, &actor(1, "alice")).await;
    cluster.nodes[away].kill9();
    eventually("its lease cannot be kept", async || node.backend.presence.renew().await.is_err()).await;
    node.clock.advance(DEADLINE.as_millis() as u64);
    let event = message(&actor(1, "alice"), "hello");
    let publish = || async {
        let publication = Publication { event: &event, publisher: Publisher::Member { account: None }, key: None };
        node.backend.broker.publish(&served, publication).await
    };
    let refused = publish().await;
    assert!(matches!(refused, Err(BackendError::Unavailable(_))), "others may sweep what it has: {refused:?}");
    eventually("it has another lease", async || node.backend.presence.renew().await == Ok(Lease::Renewed)).await;
    assert!(publish().await.unwrap().is_some(), "what it has is on a server that answers");
}
