//! Through TLS with certificates on both sides, as a user with exactly the documented rights, under a prefix; all by the settings of
//! the program.

use std::time::Instant;

use tokio::task::block_in_place;

use super::losses::the_nodes_follow;
use super::{ROOMS, Talk, report};
use crate::support::client::Client;
use crate::support::dialect::Dialect::{Action, Pychat};
use crate::support::node::Plan;
use crate::support::redis::cluster::Cluster;
use crate::support::redis::secure::{Credentials, Secure, admit, denied};
use crate::support::redis::sentinels::{SERVICE, Sentinels};
use crate::support::redis::{Kind, Recipe, Redis, Reply};

const PREFIX: &str = "chat:";

fn plan(url: &str, credentials: &Credentials) -> Plan {
    let [certificate, key] = credentials.files();
    let plan = Plan::at(url).set("redis.key_prefix", PREFIX).set("redis.ca_file", &certificate);
    plan.set("redis.certificate", &certificate).set("redis.key", &key)
}

fn nothing_was_denied<'a>(servers: impl IntoIterator<Item = &'a Redis>) {
    assert_eq!(denied(servers), Vec::new(), "the documented rights are not all that is needed");
}

/// The old master refuses to be told by the Sentinels that it is none any more.
fn is_of_default(log: &Reply) -> bool {
    format!("{log:?}").contains("\"default\"")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_talk_through_tls_as_a_user_with_the_documented_rights() {
    let server = Secure::start(false);
    let plan = plan(&server.url_for("gateway", PREFIX), &server.credentials);
    let nodes = [plan.start(), plan.start()];
    let mut alice = Client::member(&nodes[0], Action, "alice", "red").await;
    let mut bob = Client::member(&nodes[1], Pychat, "bob", "red").await;
    alice.say("red", "hello").await;
    bob.expect_message("alice", "hello").await;
    let strange = server.redis.list(&["KEYS", "*"]).into_iter().find(|key| !key.starts_with(PREFIX));
    assert_eq!(strange, None, "a key without the prefix");
    nothing_was_denied([&server.redis]);
}

/// Also the Sentinels are asked through TLS, as a user of their own who may do nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_follow_sentinels_behind_tls() {
    let credentials = Credentials::make();
    let recipe = Recipe::new(Kind::Redis7).through_tls(&credentials);
    let watched = block_in_place(|| Sentinels::of(&recipe, true));
    let login = admit(&watched.servers, "gateway", "ct:");
    let asker = ["ACL", "SETUSER", "asker", "on", ">word", "+sentinel|get-master-addr-by-name"];
    for sentinel in &watched.sentinels {
        assert_eq!(sentinel.query(&asker), Reply::Text("OK".to_owned()));
    }
    let url = format!("rediss+sentinel://{login}@{}/{SERVICE}", watched.hosts());
    let plan = plan(&url, &credentials)
        .set("redis.key_prefix", "ct:")
        .set("redis.sentinel_user", "asker")
        .set("redis.sentinel_password", "word");
    the_nodes_follow(&watched, &plan).await;
    let denied = denied(watched.servers.iter().chain(&watched.sentinels)).into_iter().filter(|log| !is_of_default(log));
    assert_eq!(denied.collect::<Vec<_>>(), Vec::new(), "the documented rights are not all that is needed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_moves_slots_and_fails_over_behind_tls_and_nothing_is_lost() {
    let credentials = Credentials::make();
    let cluster = block_in_place(|| Cluster::of(&Recipe::new(Kind::Redis7).through_tls(&credentials), true));
    let login = admit(&cluster.nodes, "gateway", PREFIX);
    let url = format!("rediss+cluster://{login}@{}", cluster.hosts());
    let talk = Talk::begin(&plan(&url, &credentials)).await;
    talk.goes_on().await;
    for room in ROOMS {
        let key = format!("{{{room}}}");
        block_in_place(|| cluster.move_slot(&key, (cluster.owner(&key) + 1) % 3));
    }
    talk.goes_on().await;
    let began = Instant::now();
    block_in_place(|| cluster.fail_over(cluster.owner(&format!("{{{}}}", ROOMS[0]))));
    talk.goes_on().await;
    report("failover in a cluster, through TLS", began);
    talk.nothing_was_lost().await;
    nothing_was_denied(&cluster.nodes);
}
