//! A Redis that was made a replica takes no writes, as after a failover to the wrong side.

use super::*;
use crate::support::until;

/// Longer than the nodes' leases, none of which can be renewed: when it is over, all nodes look dead to one another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_thrown_out_of_a_redis_that_takes_no_writes_for_longer_than_a_lease() {
    let redis = Redis::start();
    let plan = Plan::on(&redis).set("cluster.lease_ms", "3000").set("cluster.heartbeat_ms", "500");
    let mut company = Company::gather(&plan, &[Scrp, Pychat, Simple, Action]).await;
    company.talk().await;
    redis.query(&["REPLICAOF", "127.0.0.1", "1"]);
    company.are_refused().await;
    until("every lease has run out", async || {
        redis
            .list(&["SMEMBERS", "ct:nodes"])
            .iter()
            .all(|lease| redis.number(&["EXISTS", &format!("ct:node:{{{lease}}}")]) == 0)
    })
    .await;
    company.are_refused().await;
    for node in &company.nodes {
        assert_eq!(node.admin("/livez").await.status, 200);
    }
    redis.query(&["REPLICAOF", "NO", "ONE"]);
    company.talk().await;
    for name in ["action", "simple", "pychat", "scrp"] {
        assert!(holder(&redis, name), "{name} has lost its name");
    }
    assert_eq!(who_left(company.speaking(Pychat)).await, Vec::<String>::new());
    assert_eq!(company.metric("crosstalk_swept_names_total", &[]).await, [0.0, 0.0], "the living were swept");
    company.assert_no_panic();
}
