//! Clauses about nicknames that belong to accounts.

use crosstalk::backend::Registered;
use crosstalk::chat::Identity;

use super::*;

clauses! {
    a_reserved_name_is_not_for_guests
    an_account_takes_its_name_over_and_is_told_from_whom
    an_account_without_a_record_gets_one
    a_claim_again_takes_nothing_from_a_newer_session
    a_claim_again_takes_a_name_that_is_free
    a_guest_that_bears_the_name_gives_way_to_the_account
    an_accounts_name_stays_reserved_when_it_is_released
    the_holder_of_a_name_is_known
    of_concurrent_logins_each_takes_over_from_the_one_before
}

impl Node {
    async fn claim_as(&self, claimant: Claimant, name: &str, session: u128) -> Claimed {
        self.backend.presence.claim(&nickname(name), bearer(SessionId::from_u128(session)), claimant).await.unwrap()
    }

    async fn holder(&self, name: &str) -> Option<u128> {
        self.backend.presence.holder(&nickname(name)).await.unwrap().map(|holder| holder.session.as_u128())
    }

    async fn release_of(&self, name: &str, session: u128) {
        self.backend.presence.release(&nickname(name), SessionId::from_u128(session)).await.unwrap();
    }

    async fn reserve(&self, name: &str) -> Registered {
        let identity = Identity { provider: "somewhere".into(), subject: name.into() };
        self.backend.directory.register(&identity, &nickname(name)).await.unwrap()
    }
}

fn taken_from(session: u128) -> Claimed {
    Claimed::Done { from: Some(SessionId::from_u128(session)) }
}

async fn a_reserved_name_is_not_for_guests(node: Node) {
    node.reserve("olga").await;
    assert_eq!(node.claim_as(Claimant::Guest, "olga", 1).await, Claimed::Reserved);
    assert_eq!(node.holder("olga").await, None);
    assert_eq!(node.claim_as(Claimant::Account, "olga", 2).await, CLAIMED);
    assert_eq!(node.claim_as(Claimant::Guest, "olga", 1).await, Claimed::Reserved, "borne or not");
    assert_eq!(node.claim_as(Claimant::Guest, "Olga", 1).await, CLAIMED, "case counts");
}

async fn an_account_takes_its_name_over_and_is_told_from_whom(node: Node) {
    node.reserve("olga").await;
    assert_eq!(node.claim_as(Claimant::Account, "olga", 1).await, CLAIMED);
    assert_eq!(node.claim_as(Claimant::Account, "olga", 1).await, CLAIMED, "from itself it takes nothing");
    assert_eq!(node.claim_as(Claimant::Account, "olga", 2).await, taken_from(1));
    assert_eq!(node.holder("olga").await, Some(2));
    node.release_of("olga", 1).await;
    assert_eq!(node.holder("olga").await, Some(2), "the older session releases nothing any more");
}

async fn an_account_without_a_record_gets_one(node: Node) {
    assert_eq!(node.claim_as(Claimant::Account, "olga", 1).await, CLAIMED);
    node.release_of("olga", 1).await;
    assert_eq!(node.claim_as(Claimant::Guest, "olga", 2).await, Claimed::Reserved);
    assert_eq!(node.reserve("olga").await, Registered::Taken, "nobody else gets the name");
    assert_eq!(node.claim_as(Claimant::Account, "olga", 3).await, CLAIMED);
}

async fn a_claim_again_takes_nothing_from_a_newer_session(node: Node) {
    node.reserve("olga").await;
    node.claim_as(Claimant::Account, "olga", 1).await;
    node.claim_as(Claimant::Account, "olga", 2).await;
    assert_eq!(node.claim_as(Claimant::AccountAgain, "olga", 1).await, Claimed::InUse);
    assert_eq!(node.claim_as(Claimant::AccountAgain, "olga", 2).await, CLAIMED);
    assert_eq!(node.holder("olga").await, Some(2));
}

async fn a_claim_again_takes_a_name_that_is_free(node: Node) {
    node.reserve("olga").await;
    assert_eq!(node.claim_as(Claimant::AccountAgain, "olga", 1).await, CLAIMED);
    assert_eq!(node.holder("olga").await, Some(1));
}

async fn a_guest_that_bears_the_name_gives_way_to_the_account(node: Node) {
    assert_eq!(node.claim_as(Claimant::Guest, "olga", 1).await, CLAIMED);
    assert_eq!(node.claim_as(Claimant::Account, "olga", 2).await, taken_from(1));
    assert_eq!(node.claim_as(Claimant::Guest, "olga", 1).await, Claimed::Reserved);
    assert_eq!(node.holder("olga").await, Some(2));
}

async fn an_accounts_name_stays_reserved_when_it_is_released(node: Node) {
    node.reserve("olga").await;
    node.claim_as(Claimant::Account, "olga", 1).await;
    node.release_of("olga", 1).await;
    assert_eq!(node.holder("olga").await, None);
    assert_eq!(node.claim_as(Claimant::Guest, "olga", 2).await, Claimed::Reserved);
}

async fn the_holder_of_a_name_is_known(node: Node) {
    let session = SessionId::on(node.id, u128::MAX);
    assert_eq!(node.holder("alice").await, None);
    assert_eq!(node.claim("alice", session).await, CLAIMED);
    assert_eq!(node.holder("alice").await, Some(session.as_u128()));
    assert_eq!(node.holder("Alice").await, None);
    node.backend.presence.release(&nickname("alice"), session).await.unwrap();
    assert_eq!(node.holder("alice").await, None);
}

/// However many log in at once, every session but the last is taken over from exactly once, so each is told.
async fn of_concurrent_logins_each_takes_over_from_the_one_before(node: Node) {
    let mut logins = tokio::task::JoinSet::new();
    for session in 1..=20 {
        let (presence, session) = (node.backend.presence.clone(), SessionId::from_u128(session));
        logins
            .spawn(async move { presence.claim(&nickname("olga"), bearer(session), Claimant::Account).await.unwrap() });
    }
    let mut ended: Vec<u128> = Vec::new();
    for claimed in logins.join_all().await {
        let Claimed::Done { from } = claimed else { panic!("{claimed:?}") };
        ended.extend(from.map(SessionId::as_u128));
    }
    ended.extend(node.holder("olga").await);
    ended.sort_unstable();
    assert_eq!(ended, (1..=20).collect::<Vec<_>>());
}
