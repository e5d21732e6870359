//! What lies under our prefix is another version's: of another type than expected, or of a format that this version does not know.

use std::process::Stdio;

use super::*;
use crate::support::dialect::Transport;
use crate::support::dialect::sign_up;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_another_type_is_a_refusal_a_count_and_a_line_in_the_log_and_nobody_else_suffers() {
    let redis = Redis::start();
    let mut company = Company::gather(&Plan::on(&redis), &[Scrp, Pychat, Simple, Action]).await;
    for key in ["ct:room:{blue}", "ct:nick:{dora}", "ct:user:{dora}"] {
        redis.query(&["SET", key, "of another version"]);
    }
    let before = company.metric("crosstalk_broker_errors_total", &[]).await;
    for member in &mut company.members {
        let request = member.dialect().join("blue");
        assert_eq!(member.ask(&request).await, refusal(member.dialect(), &request), "{request}");
    }
    for dialect in [Action, Simple, Pychat] {
        let mut dora = Client::connect(&company.nodes[0], dialect, Transport::Tcp).await;
        dora.greet().await;
        let request = dialect.claim("dora");
        assert_eq!(dora.ask(&request).await, refusal(dialect, &request), "{request}");
    }
    let mut dora = Client::scrp(&company.nodes[0]).await;
    let request = sign_up("dora");
    assert_eq!(dora.ask(&request).await, refusal(Scrp, &request), "{request}");
    let after = company.metric("crosstalk_broker_errors_total", &[]).await;
    assert!(after[0] > before[0] && after[1] > before[1], "{before:?} {after:?}");
    company.talk().await;
    company.assert_no_panic();
}

/// A room whose data is another version's does not keep the rest from being claimed again after a loss.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_cannot_be_restored_does_not_hold_up_the_others() {
    let redis = Redis::start();
    let mut company = Company::gather(&Plan::on(&redis), &[Pychat, Simple, Action]).await;
    let mut stuck = Client::member(&company.nodes[0], Action, "stuck", "blue").await;
    redis.query(&[
        "EVAL",
        "redis.call('FLUSHALL') return redis.call('SET', 'ct:room:{blue}', 'of another version')",
        "0",
    ]);
    company.talk().await;
    let request = Action.say("blue", "in vain");
    assert_eq!(stuck.ask(&request).await, refusal(Action, &request));
    for name in ["action", "simple", "pychat", "stuck"] {
        eventually(&format!("{name} is held again"), async || {
            if holder(&redis, name) { Ok(()) } else { Err("not so".to_owned()) }
        })
        .await;
    }
    company.assert_no_panic();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_versions_data_is_refused_at_the_start_with_the_prefix() {
    let redis = Redis::start();
    drop(Plan::on(&redis).start());
    assert_eq!(redis.query(&["GET", "ct:format"]).into_text(), "1");
    redis.query(&["SET", "ct:format", "2"]);
    let mut start = Plan::on(&redis).command();
    let output = start.stdout(Stdio::null()).stderr(Stdio::piped()).output().expect("the gateway can be started");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    for part in ["redis.key_prefix", "ct:", "format 2"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
}
