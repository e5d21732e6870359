//! Clauses about accounts: reserved names and ended logins, on any backend and over restarts.

use crosstalk::backend::Registered;
use crosstalk::chat::{Identity, Login, LoginId, Revocation};

use super::*;

clauses! {
    a_registered_name_is_the_identitys_for_ever
    a_name_belongs_to_one_identity
    an_identity_has_one_account
    a_name_that_a_guest_bears_is_taken
    of_concurrent_registrations_of_a_name_one_wins
    one_login_is_revoked_and_the_others_stand
    all_logins_begun_until_a_time_are_revoked
    revoking_never_goes_back
    a_login_of_an_unknown_account_stands
    more_revocations_than_are_kept_end_everything
}

const DAY_S: i64 = 86_400;

fn identity(subject: &str) -> Identity {
    Identity { provider: "somewhere".into(), subject: subject.into() }
}

impl Node {
    async fn register(&self, subject: &str, name: &str) -> Registered {
        self.backend.directory.register(&identity(subject), &nickname(name)).await.unwrap()
    }

    async fn account_of(&self, subject: &str) -> Option<String> {
        self.backend.directory.account_of(&identity(subject)).await.unwrap().map(|name| name.to_string())
    }

    fn now_s(&self) -> i64 {
        self.clock.unix_us() / 1_000_000
    }

    /// A login that began now.
    fn login(&self, account: &str, id: u128) -> Login {
        let began_s = self.now_s();
        Login { account: nickname(account), id: LoginId(id), began_s, ends_s: began_s + DAY_S }
    }

    async fn stands(&self, login: &Login) -> bool {
        self.backend.directory.stands(login).await.unwrap()
    }

    async fn revoke_one(&self, login: &Login) {
        let which = Revocation::One { id: login.id, ends_s: login.ends_s };
        self.backend.directory.revoke(&login.account, which).await.unwrap();
    }
}

async fn a_registered_name_is_the_identitys_for_ever(node: Node) {
    assert_eq!(node.account_of("1").await, None);
    assert_eq!(node.register("1", "Zoë {x}").await, Registered::Done);
    assert_eq!(node.register("1", "Zoë {x}").await, Registered::Done, "repeating it is harmless");
    assert_eq!(node.account_of("1").await.as_deref(), Some("Zoë {x}"));
}

async fn a_name_belongs_to_one_identity(node: Node) {
    assert_eq!(node.register("1", "alice").await, Registered::Done);
    assert_eq!(node.register("2", "alice").await, Registered::Taken);
    assert_eq!(node.account_of("2").await, None, "a refused choice is forgotten");
    let elsewhere = Identity { provider: "elsewhere".into(), ..identity("1") };
    assert_eq!(node.backend.directory.register(&elsewhere, &nickname("alice")).await, Ok(Registered::Taken));
    assert_eq!(node.register("2", "Alice").await, Registered::Done, "case counts");
    assert_eq!(node.account_of("1").await.as_deref(), Some("alice"));
}

async fn an_identity_has_one_account(node: Node) {
    assert_eq!(node.register("1", "alice").await, Registered::Done);
    assert_eq!(node.register("1", "bob").await, Registered::Already(nickname("alice")));
    assert_eq!(node.register("2", "bob").await, Registered::Done, "the second name was not reserved");
}

async fn a_name_that_a_guest_bears_is_taken(node: Node) {
    let guest = SessionId::from_u128(1);
    assert_eq!(node.claim("alice", guest).await, CLAIMED);
    assert_eq!(node.register("1", "alice").await, Registered::Taken);
    assert_eq!(node.account_of("1").await, None);
    node.backend.presence.release(&nickname("alice"), guest).await.unwrap();
    assert_eq!(node.register("1", "alice").await, Registered::Done);
    assert_eq!(node.account_of("1").await.as_deref(), Some("alice"));
}

async fn of_concurrent_registrations_of_a_name_one_wins(node: Node) {
    let mut registrations = tokio::task::JoinSet::new();
    for subject in 1..=20 {
        let directory = node.backend.directory.clone();
        registrations.spawn(async move {
            directory.register(&identity(&subject.to_string()), &nickname("alice")).await.unwrap()
        });
    }
    let outcomes = registrations.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Registered::Done).count(), 1, "{outcomes:?}");
    let mut owners = 0;
    for subject in 1..=20 {
        owners += usize::from(node.account_of(&subject.to_string()).await.is_some());
    }
    assert_eq!(owners, 1);
}

async fn one_login_is_revoked_and_the_others_stand(node: Node) {
    node.register("1", "alice").await;
    let (ended, other) = (node.login("alice", 1), node.login("alice", u128::MAX));
    node.revoke_one(&ended).await;
    assert!(!node.stands(&ended).await);
    assert!(node.stands(&other).await);
    assert!(node.stands(&node.login("bob", 1)).await, "another account's");
    node.revoke_one(&other).await;
    assert!(!node.stands(&ended).await && !node.stands(&other).await);
}

async fn all_logins_begun_until_a_time_are_revoked(node: Node) {
    node.register("1", "alice").await;
    let before = node.login("alice", 1);
    let everything = Revocation::BegunUntil(node.now_s());
    node.backend.directory.revoke(&nickname("alice"), everything).await.unwrap();
    assert!(!node.stands(&before).await && !node.stands(&node.login("alice", 2)).await, "that second included");
    node.clock.advance(1_000);
    assert!(node.stands(&node.login("alice", 3)).await);
    assert_eq!(node.account_of("1").await.as_deref(), Some("alice"), "the account stays");
}

async fn revoking_never_goes_back(node: Node) {
    let login = node.login("alice", 1);
    for time_s in [node.now_s(), 5] {
        node.backend.directory.revoke(&nickname("alice"), Revocation::BegunUntil(time_s)).await.unwrap();
    }
    assert!(!node.stands(&login).await);
    assert_eq!(node.register("1", "alice").await, Registered::Done, "a revocation alone reserves no name");
    assert!(!node.stands(&login).await);
}

async fn a_login_of_an_unknown_account_stands(node: Node) {
    assert!(node.stands(&node.login("nobody", 1)).await);
}

async fn more_revocations_than_are_kept_end_everything(node: Node) {
    let login = node.login("alice", 5_000);
    for id in 0..1_000 {
        node.revoke_one(&node.login("alice", id)).await;
    }
    assert!(node.stands(&login).await);
    node.revoke_one(&node.login("alice", 1_000)).await;
    assert!(!node.stands(&login).await && !node.stands(&node.login("alice", 1_000)).await);
    node.clock.advance(1_000);
    assert!(node.stands(&node.login("alice", 5_001)).await);
}

#[tokio::test]
async fn the_embedded_store_keeps_accounts_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let node = embedded(Some(folder.path()));
    node.register("1", "alice").await;
    let (ended, other) = (node.login("alice", 1), node.login("bob", 2));
    node.revoke_one(&ended).await;
    node.backend.directory.revoke(&nickname("bob"), Revocation::BegunUntil(node.now_s())).await.unwrap();
    node.backend.presence.retire().await.unwrap();
    drop(node);
    let node = embedded(Some(folder.path()));
    assert_eq!(node.account_of("1").await.as_deref(), Some("alice"));
    assert_eq!(node.register("2", "alice").await, Registered::Taken);
    assert!(!node.stands(&ended).await && !node.stands(&other).await);
}

/// What is not visible from outside any more is gone from the file as well: the login stands again once it was forgotten.
#[tokio::test]
async fn the_embedded_store_forgets_revocations_that_have_run_out() {
    let node = embedded(None);
    node.register("1", "alice").await;
    let ended = node.login("alice", 1);
    node.revoke_one(&ended).await;
    node.backend.presence.sweep().await.unwrap();
    assert!(!node.stands(&ended).await);
    node.clock.advance((DAY_S as u64 + 1) * 1_000);
    node.backend.presence.sweep().await.unwrap();
    assert!(node.stands(&ended).await, "its tokens are worthless by now");
}

/// The identity's choice was written, the account was not: what a crash between the two leaves.
#[tokio::test]
async fn a_registration_that_redis_has_half_done_is_repaired() {
    let server = Server::start();
    let node = redis(&server).await;
    let half_done = |subject: &str, name: &str| {
        server.query(&["SET", &format!("t:identity:{{somewhere {subject}}}"), name]);
    };
    half_done("1", "alice");
    assert_eq!(node.account_of("1").await.as_deref(), Some("alice"), "completed by the next look");
    assert_eq!(node.register("2", "alice").await, Registered::Taken);

    half_done("3", "carol");
    assert_eq!(node.register("3", "carol").await, Registered::Done, "or by the same wish again");
    half_done("4", "dave");
    assert_eq!(node.register("4", "erin").await, Registered::Already(nickname("dave")), "or by another wish");

    // The name went to somebody else meanwhile: the choice is worth nothing and bars no other.
    half_done("5", "alice");
    assert_eq!(node.account_of("5").await, None);
    half_done("6", "alice");
    assert_eq!(node.register("6", "frank").await, Registered::Done);
    assert_eq!(node.account_of("6").await.as_deref(), Some("frank"));
}

#[tokio::test]
async fn revocations_on_redis_go_with_the_logins() {
    let server = Server::start();
    let node = redis(&server).await;
    let key = "t:user:{alice}:revoked";
    for (id, lasts_s) in [(1, 100), (2, 50)] {
        node.revoke_one(&Login { ends_s: node.now_s() + lasts_s, ..node.login("alice", id) }).await;
    }
    let ttl_s = server.number(&["TTL", key]);
    assert!((50..=101).contains(&ttl_s), "it lasts as long as the longest of them: {ttl_s}");
    // In the node's eyes both have ended by now, so the next one takes their place.
    node.clock.advance(200_000);
    node.revoke_one(&node.login("alice", 3)).await;
    assert_eq!(server.list(&["ZRANGE", key, "0", "-1"]), [format!("{:032x}", 3)]);
}
