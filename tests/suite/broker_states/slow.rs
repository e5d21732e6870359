//! A Redis that answers too late, or only what changes nothing.

use super::*;
use crate::support::DEADLINE;

/// It reads and does not write, so it looks alive: each request waits for its time, and no longer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_that_wait_are_given_up_after_their_time() {
    let redis = Redis::start();
    let plan = Plan::on(&redis).set("redis.command_timeout_ms", "300");
    let mut company = Company::gather(&plan, &[Scrp, Pychat, Simple, Action]).await;
    company.talk().await;
    redis.query(&["CLIENT", "PAUSE", "600000", "WRITE"]);
    company.are_refused().await;
    redis.query(&["CLIENT", "UNPAUSE"]);
    // What was refused may still have been done: a refusal of this kind says so.
    company.talk().await;
    company.assert_no_panic();
}

/// One wait at the most: as soon as it is known that Redis does not answer, nobody waits any more. A hundred waits of five
/// seconds do not fit into the deadline.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn once_it_is_known_that_redis_stands_still_nobody_waits_for_it() {
    let redis = Redis::start();
    let plan = Plan::on(&redis).set("redis.command_timeout_ms", "5000");
    let mut company = Company::gather(&plan, &[Scrp, Pychat, Simple, Action]).await;
    redis.pause();
    let refusals = async {
        for _ in 0..25 {
            company.are_refused().await;
        }
    };
    let in_time = tokio::time::timeout(DEADLINE, refusals).await;
    redis.resume();
    assert!(in_time.is_ok(), "requests wait one by one");
    company.talk().await;
    company.assert_no_panic();
}
