//! A Redis that loses all its data while everybody is connected to it.

use super::*;
use crate::support::until;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_and_memberships_are_written_again_and_everybody_goes_on() {
    let redis = Redis::start();
    let mut company = Company::gather(&Plan::on(&redis), &[Pychat, Simple, Action]).await;
    company.talk().await;
    redis.query(&["FLUSHALL"]);
    company.talk().await;
    for name in ["action", "simple", "pychat"] {
        until(&format!("{name} is held again"), async || holder(&redis, name)).await;
    }
    until("all are members again", async || redis.number(&["SCARD", "ct:room:{red}:members"]) == 3).await;
    assert_eq!(who_left(company.speaking(Pychat)).await, Vec::<String>::new(), "nobody has left");
    assert_eq!(redis.query(&["GET", "ct:format"]).into_text(), "1");
    company.assert_no_panic();
}
