//! Many messages published at once: they go to the server together, and each is a call of its own.

use crosstalk::backend::BackendError;
use futures_util::future::join_all;

use super::*;

/// More than one pipe holds.
const AT_ONCE: usize = 300;
/// More than can be on their way: four by themselves, three pipes of 128, and three again with those whose time is up at the very
/// moment when the first ones are given up.
const FAR_TOO_MANY: usize = 1_500;
const ON_THEIR_WAY_MAX: u64 = 4 + 2 * 3 * 128;

impl Node {
    async fn say_at_once(&self, count: usize) -> Vec<Result<Option<Published>, BackendError>> {
        let who = actor(1, "alice");
        join_all((0..count).map(|number| {
            let (broker, event) = (self.backend.broker.clone(), message(&who, &number.to_string()));
            async move {
                let publication = Publication { event: &event, publisher: Publisher::Anyone, key: None };
                broker.publish(&room("red"), publication).await
            }
        }))
        .await
    }
}

/// The offsets of what was accepted, in their order.
fn accepted(answers: &[Result<Option<Published>, BackendError>]) -> Vec<u64> {
    let mut offsets: Vec<u64> =
        answers.iter().map(|answer| answer.as_ref().unwrap().as_ref().unwrap().position.offset).collect();
    offsets.sort_unstable();
    offsets
}

fn calls(server: &Server) -> String {
    let stats = server.text(&["INFO", "commandstats"]);
    let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:")).unwrap_or_default();
    line.split(',').next().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_is_one_call_and_has_its_own_answer() {
    let server = Server::start();
    let node = redis(&server).await;
    // Has the script loaded.
    node.say(&room("red"), &actor(1, "alice"), "first").await;
    server.text(&["CONFIG", "RESETSTAT"]);
    let answers = node.say_at_once(AT_ONCE).await;
    assert_eq!(accepted(&answers), (2..=AT_ONCE as u64 + 1).collect::<Vec<_>>());
    assert_eq!(calls(&server), format!("calls={AT_ONCE}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_forgot_the_script_says_each_once() {
    let server = Server::start();
    let mut node = redis(&server).await;
    let red = room("red");
    node.subscribe(&red).await;
    server.text(&["SCRIPT", "FLUSH"]);
    let answers = node.say_at_once(AT_ONCE).await;
    assert_eq!(accepted(&answers), (1..=AT_ONCE as u64).collect::<Vec<_>>());
    for offset in 1..=AT_ONCE as u64 {
        assert_eq!(node.hears(&red).await.position.offset, offset);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_server_is_silent_nobody_waits_for_long_and_what_is_given_up_is_not_said() {
    let server = Server::start();
    let node = redis_with(&server, |settings| settings.command_timeout = Duration::from_millis(300)).await;
    let (red, who) = (room("red"), actor(1, "alice"));
    let before = node.say(&red, &who, "before").await.offset;
    server.pause();
    let answers = tokio::time::timeout(DEADLINE, node.say_at_once(FAR_TOO_MANY)).await.expect("all are answered");
    assert!(answers.iter().all(|answer| matches!(answer, Err(BackendError::Unavailable(_)))), "{:?}", answers[0]);
    server.resume();
    let event = message(&who, "after");
    let said = async {
        // An attempt that fails may be said all the same.
        for attempts in 1.. {
            let publication = Publication { event: &event, publisher: Publisher::Anyone, key: None };
            if let Ok(published) = node.backend.broker.publish(&red, publication).await {
                return (published.unwrap().position.offset, attempts);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        unreachable!("attempts have no end");
    };
    let (after, attempts) = tokio::time::timeout(DEADLINE, said).await.expect("it goes on");
    let given_up = after - before - 1;
    assert!(given_up <= ON_THEIR_WAY_MAX + attempts, "{given_up} were said after their senders were told");
}
