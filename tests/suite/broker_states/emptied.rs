//! A Redis that loses all its data while everybody is connected to it.

use super::*;
use crate::support::dialect::PASSWORD;
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

/// An account is data, and gone with it: its session is told so, instead of being refused from then on in rooms that it believes
/// to be in. Who signs up again finds everything as on the first day.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stands_for_an_account_that_is_gone_is_told_so_and_signs_up_again() {
    let redis = Redis::start();
    let mut company = Company::gather(&Plan::on(&redis), &[Scrp, Pychat, Action]).await;
    company.talk().await;
    redis.query(&["FLUSHALL"]);
    company.speaking(Scrp).sees(json!({"method": "FORCED_TO_LOGGED_OFF", "reason": "account_lost"})).await;
    until("its name is free", async || !holder(&redis, "scrp")).await;
    for dialect in [Pychat, Action] {
        until("the others are held again", async || holder(&redis, dialect.label())).await;
    }
    assert_eq!(Client::scrp(&company.nodes[0]).await.log_in("scrp", PASSWORD).await, 403, "the account is still known");
    // It signs up, and creates the room that is now nobody's.
    company.members[0] = Client::member(&company.nodes[1], Scrp, "scrp", "red").await;
    company.talk().await;
    company.assert_no_panic();
}
