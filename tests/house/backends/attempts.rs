//! Clauses about guessing: how often one may before one has to wait.

use crosstalk::backend::{ATTEMPTS_MAX, FIRST_WAIT, LONGEST_WAIT};

use super::*;

clauses! {
    a_few_wrong_attempts_are_free
    what_is_guessed_elsewhere_is_something_else
    a_right_attempt_begins_anew
}

clauses_of_two! {
    concurrent_attempts_are_counted
}

impl Node {
    async fn attempt(&self, key: &str) -> bool {
        self.backend.attempts.attempt(key).await.unwrap()
    }

    async fn succeeded(&self, key: &str) {
        self.backend.attempts.succeeded(key).await.unwrap();
    }

    /// Uses up what is free.
    async fn fail(&self, key: &str) {
        for attempt in 1..=ATTEMPTS_MAX {
            assert!(self.attempt(key).await, "attempt {attempt} is free");
        }
    }
}

async fn a_few_wrong_attempts_are_free(node: Node) {
    node.fail("login alice").await;
    for _ in 0..3 {
        assert!(!node.attempt("login alice").await, "one more has to wait");
    }
}

async fn what_is_guessed_elsewhere_is_something_else(node: Node) {
    node.fail("login alice").await;
    node.fail("login {Zoë} \"x\"").await;
    assert!(!node.attempt("login alice").await && !node.attempt("login {Zoë} \"x\"").await);
    assert!(node.attempt("room alice").await);
}

async fn a_right_attempt_begins_anew(node: Node) {
    node.succeeded("login alice").await;
    for _ in 1..ATTEMPTS_MAX {
        assert!(node.attempt("login alice").await);
    }
    node.succeeded("login alice").await;
    node.fail("login alice").await;
    assert!(!node.attempt("login alice").await);
    // Who is let in otherwise, by a new password for example, need not wait.
    node.succeeded("login alice").await;
    assert!(node.attempt("login alice").await);
}

async fn concurrent_attempts_are_counted(nodes: [&Node; 2]) {
    let mut attempts = tokio::task::JoinSet::new();
    for turn in 0..40 {
        let counter = nodes[turn % 2].backend.attempts.clone();
        attempts.spawn(async move { counter.attempt("login alice").await.unwrap() });
    }
    let let_through = attempts.join_all().await.into_iter().filter(|through| *through).count();
    assert_eq!(let_through, ATTEMPTS_MAX as usize, "however many nodes are asked at once");
}

#[tokio::test]
async fn on_the_embedded_backend_each_wrong_attempt_doubles_the_wait() {
    let node = embedded(None);
    let (first_ms, longest_ms) = (FIRST_WAIT.as_millis() as u64, LONGEST_WAIT.as_millis() as u64);
    node.fail("k").await;
    let mut wait_ms = first_ms;
    while wait_ms < 2 * longest_ms {
        node.clock.advance(wait_ms.min(longest_ms) - 1);
        assert!(!node.attempt("k").await, "{wait_ms} ms are not over");
        node.clock.advance(1);
        assert!(node.attempt("k").await, "{wait_ms} ms are over");
        assert!(!node.attempt("k").await, "and it was wrong again");
        wait_ms *= 2;
    }
}

#[tokio::test]
async fn the_embedded_backend_forgets_attempts() {
    let node = embedded(None);
    node.fail("k").await;
    node.clock.advance(2 * LONGEST_WAIT.as_millis() as u64 + 1);
    node.fail("k").await;
    assert!(!node.attempt("k").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attempts_on_redis_have_an_end() {
    let server = Server::start();
    let node = redis(&server).await;
    node.fail("k").await;
    let keys = server.list(&["KEYS", "t:attempts:*"]);
    assert_eq!(keys.len(), 1, "{keys:?}");
    let left_ms = server.number(&["PTTL", &keys[0]]);
    assert!(left_ms > 0 && left_ms <= 2 * LONGEST_WAIT.as_millis() as i64, "{left_ms}");
}
