//! A Redis that is out of memory and evicts nothing.

use super::*;
use crate::support::until;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn out_of_memory_what_needs_some_is_refused_and_what_frees_some_is_done() {
    let redis = Redis::start();
    let mut company = Company::gather(&Plan::on(&redis), &[Scrp, Pychat, Simple, Action]).await;
    let mut leaver = Client::member(&company.nodes[0], Pychat, "leaver", "red").await;
    let goner = Client::member(&company.nodes[1], Action, "goner", "red").await;
    company.talk().await;
    redis.query(&["CONFIG", "SET", "maxmemory", "1"]);
    let held = company.metric("crosstalk_lease_renewals_total", &[("outcome", "held")]).await;
    company.are_refused().await;
    until("the leases are kept", async || {
        let now = company.metric("crosstalk_lease_renewals_total", &[("outcome", "held")]).await;
        now[0] >= held[0] + 2.0 && now[1] >= held[1] + 2.0
    })
    .await;
    leaver.must(&Pychat.leave("red")).await;
    drop(goner);
    for name in ["leaver", "goner"] {
        let left = |frame: &Value| frame["type"] == "userLeft" && frame["from"] == name;
        company.speaking(Pychat).try_find(&format!("leave of {name}"), left).await.unwrap();
    }
    until("the name of who is gone is free", async || !holder(&redis, "goner")).await;
    company.are_refused().await;
    redis.query(&["CONFIG", "SET", "maxmemory", "0"]);
    company.talk().await;
    assert_eq!(redis.number(&["EXISTS", "ct:room:{blue}:members"]), 0, "a join that was refused was half done");
    assert_eq!(company.metric("crosstalk_lease_renewals_total", &[("outcome", "failed")]).await, [0.0, 0.0]);
    company.speaking(Action).join("blue").await;
    company.assert_no_panic();
}
