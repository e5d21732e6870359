//! Messages from one to one: in every dialect, between all nodes.

use crate::support::client::Client;
use crate::support::dialect::Dialect;
use crate::support::node::Plan;
use crate::support::redis::Redis;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_writes_to_everybody_on_every_node() {
    let redis = Redis::start();
    let nodes = [Plan::on(&redis).start(), Plan::on(&redis).start()];
    let mut people = Vec::new();
    for node in &nodes {
        for dialect in Dialect::ALL {
            let name = format!("{}{}", dialect.label(), people.len());
            let client = Client::named(node, dialect, &name).await;
            people.push((name, client));
        }
    }
    for writer in 0..people.len() {
        for reader in 0..people.len() {
            let (author, to) = (people[writer].0.clone(), people[reader].0.clone());
            let text = format!("from {author} to {to}");
            people[writer].1.write(&to, &text).await;
            // Whoever writes to oneself in `simple` has the message with its confirmation.
            if writer != reader || people[reader].1.dialect() != Dialect::Simple {
                people[reader].1.expect_private(&author, &text).await;
            }
        }
    }
    for (_, client) in &mut people {
        client.expect_quiet().await;
    }
}
