//! Clauses about accounts with a password of their own.

use crosstalk::backend::{Enrolment, Put, Registered};
use crosstalk::chat::{Identity, Login, LoginId, Push, User, UserChange};

use super::*;

clauses! {
    who_signs_up_is_known
    a_name_is_signed_up_once
    a_reserved_name_is_not_signed_up
    a_name_that_a_guest_bears_is_not_signed_up
    a_signed_up_name_is_not_for_guests_and_not_for_other_identities
    an_account_made_elsewhere_is_known_without_a_password
    an_account_changes_how_it_presents_itself
    an_account_is_online_while_its_name_is_borne
    a_name_is_released_by_its_holder_alone
    a_deleted_accounts_name_is_free_again
    a_deleted_account_leaves_nothing
    a_deleted_accounts_logins_are_nobodys
    deletions_are_remembered
    deleting_again_is_harmless
    a_deleted_accounts_identity_may_register_again
}

clauses_of_two! {
    of_concurrent_sign_ups_under_a_name_one_wins
    of_a_guest_and_a_sign_up_one_gets_the_name
}

lasting_clauses! {
    accounts_stay
}

impl Node {
    /// Under a password hash that is made up of the name.
    pub(super) async fn sign_up(&self, name: &str) -> bool {
        self.backend.users.sign_up(&nickname(name), &hash_of(name), &format!("The {name}")).await.unwrap()
    }

    pub(super) async fn user(&self, name: &str) -> Option<User> {
        self.backend.users.user(&nickname(name)).await.unwrap()
    }

    pub(super) async fn present(&self, name: &str, shown: &str) -> bool {
        let change = UserChange { nickname: Some(shown.into()), ..UserChange::default() };
        self.change_user(name, change).await
    }

    async fn change_user(&self, name: &str, change: UserChange) -> bool {
        self.backend.users.change_user(&nickname(name), &change).await.unwrap()
    }

    pub(super) async fn delete(&self, name: &str) {
        self.backend.users.delete_user(&nickname(name)).await.unwrap();
    }

    async fn deletions(&self, names: &[&str]) -> Vec<Option<i64>> {
        let names: Vec<Nickname> = names.iter().map(|name| nickname(name)).collect();
        self.backend.users.deletions(&names).await.unwrap()
    }

    async fn register_for(&self, subject: &str, name: &str) -> Registered {
        self.backend.directory.register(&elsewhere(subject), &nickname(name)).await.unwrap()
    }

    pub(super) async fn release(&self, name: &str, session: u128) -> bool {
        self.backend.presence.release(&nickname(name), SessionId::from_u128(session)).await.unwrap()
    }

    /// Claims the name of an account.
    pub(super) async fn log_in(&self, name: &str, session: u128) -> Claimed {
        let holder = Holder { session: SessionId::from_u128(session), reads_inbox: true };
        self.backend.presence.claim(&nickname(name), holder, Claimant::Account).await.unwrap()
    }
}

fn hash_of(name: &str) -> String {
    format!("$hash${name}")
}

fn elsewhere(subject: &str) -> Identity {
    Identity { provider: "elsewhere".into(), subject: subject.into() }
}

async fn who_signs_up_is_known(node: Node) {
    assert_eq!(node.user("Zoë {x}").await, None);
    assert!(node.sign_up("Zoë {x}").await);
    let user = node.user("Zoë {x}").await.expect("it was signed up");
    assert!(user.signed_up_s > 0);
    let expected = User {
        account: nickname("Zoë {x}"),
        nickname: "The Zoë {x}".into(),
        description: String::new(),
        signed_up_s: user.signed_up_s,
        last_active_s: user.signed_up_s,
        password_hash: Some(hash_of("Zoë {x}")),
        online: false,
    };
    assert_eq!(user, expected);
    assert_eq!(node.user("zoë {x}").await, None, "case counts");
}

async fn a_name_is_signed_up_once(node: Node) {
    assert!(node.sign_up("alice").await);
    let before = node.user("alice").await;
    assert!(!node.backend.users.sign_up(&nickname("alice"), "$other", "Other").await.unwrap());
    assert_eq!(node.user("alice").await, before, "nothing changed");
    assert!(node.sign_up("Alice").await, "case counts");
}

async fn a_reserved_name_is_not_signed_up(node: Node) {
    assert_eq!(node.register_for("1", "olga").await, Registered::Done);
    assert!(!node.sign_up("olga").await);
    assert_eq!(node.user("olga").await.expect("it is an account").password_hash, None);
    assert_eq!(node.log_in("mia", 1).await, CLAIMED, "by a token alone");
    assert!(!node.sign_up("mia").await);
}

async fn a_name_that_a_guest_bears_is_not_signed_up(node: Node) {
    let guest = SessionId::from_u128(1);
    assert_eq!(node.claim("alice", guest).await, CLAIMED);
    assert!(!node.sign_up("alice").await);
    assert_eq!(node.user("alice").await, None);
    assert!(node.release("alice", 1).await);
    assert!(node.sign_up("alice").await);
}

async fn a_signed_up_name_is_not_for_guests_and_not_for_other_identities(node: Node) {
    assert!(node.sign_up("alice").await);
    assert_eq!(node.claim("alice", SessionId::from_u128(1)).await, Claimed::Reserved);
    assert_eq!(node.register_for("1", "alice").await, Registered::Taken);
    assert_eq!(node.log_in("alice", 2).await, CLAIMED);
    assert_eq!(node.user("alice").await.and_then(|user| user.password_hash), Some(hash_of("alice")));
}

async fn an_account_made_elsewhere_is_known_without_a_password(node: Node) {
    assert_eq!(node.register_for("1", "olga").await, Registered::Done);
    assert_eq!(node.log_in("mia", 1).await, CLAIMED);
    for (name, online) in [("olga", false), ("mia", true)] {
        let user = node.user(name).await.expect("it is an account");
        assert_eq!((user.account.as_str(), user.nickname.as_str(), user.description.as_str()), (name, name, ""));
        assert_eq!((user.password_hash, user.online), (None, online));
    }
    assert!(node.present("olga", "Olga O.").await);
    assert_eq!(node.user("olga").await.unwrap().nickname, "Olga O.");
    assert_eq!(node.claim("gus", SessionId::from_u128(2)).await, CLAIMED);
    assert_eq!(node.user("gus").await, None, "a guest is no account");
}

async fn an_account_changes_how_it_presents_itself(node: Node) {
    assert!(!node.present("alice", "Alice").await, "there is none");
    assert_eq!(node.user("alice").await, None);
    node.sign_up("alice").await;
    let before = node.user("alice").await.unwrap();
    assert!(node.present("alice", "Al \"é\"").await);
    assert_eq!(node.user("alice").await, Some(User { nickname: "Al \"é\"".into(), ..before.clone() }));
    let described = UserChange { description: Some("hi\u{1F600}".into()), ..UserChange::default() };
    assert!(node.change_user("alice", described).await);
    let locked = UserChange { password_hash: Some("$new".into()), ..UserChange::default() };
    assert!(node.change_user("alice", locked).await);
    assert!(node.change_user("alice", UserChange::default()).await, "to change nothing is no fault");
    let expected = User {
        nickname: "Al \"é\"".into(),
        description: "hi\u{1F600}".into(),
        password_hash: Some("$new".into()),
        ..before
    };
    assert_eq!(node.user("alice").await, Some(expected));
    let emptied = UserChange { description: Some(String::new()), ..UserChange::default() };
    assert!(node.change_user("alice", emptied).await);
    assert_eq!(node.user("alice").await.unwrap().description, "");
}

async fn an_account_is_online_while_its_name_is_borne(node: Node) {
    node.sign_up("alice").await;
    let is_online = async || node.user("alice").await.unwrap().online;
    assert!(!is_online().await);
    node.log_in("alice", 1).await;
    assert!(is_online().await);
    node.log_in("alice", 2).await;
    assert!(!node.release("alice", 1).await);
    assert!(is_online().await, "its newer session is there");
    assert!(node.release("alice", 2).await);
    assert!(!is_online().await);
}

async fn a_name_is_released_by_its_holder_alone(node: Node) {
    assert!(!node.release("alice", 1).await, "nobody holds it");
    node.claim("alice", SessionId::from_u128(1)).await;
    assert!(!node.release("alice", 2).await);
    assert!(node.release("alice", 1).await);
    assert!(!node.release("alice", 1).await, "once is enough");
    assert_eq!(node.user("alice").await, None, "a guest's leaving makes no account");
}

async fn a_deleted_accounts_name_is_free_again(node: Node) {
    node.sign_up("alice").await;
    node.delete("alice").await;
    assert_eq!(node.user("alice").await, None);
    assert!(!node.present("alice", "ghost").await);
    assert_eq!(node.claim("alice", SessionId::from_u128(1)).await, CLAIMED, "a guest may have it");
    assert!(!node.sign_up("alice").await);
    node.release("alice", 1).await;
    assert!(node.sign_up("alice").await);
    assert_eq!(node.user("alice").await.unwrap().nickname, "The alice");
}

async fn a_deleted_account_leaves_nothing(node: Node) {
    for name in ["alice", "bob", "carol", "dave"] {
        node.sign_up(name).await;
    }
    node.befriend("alice", "bob").await;
    node.befriend("carol", "alice").await;
    node.befriend("bob", "carol").await;
    node.ask("dave", "alice", 90).await;
    let push = Push::FriendRemoved { account: nickname("dave") };
    assert!(matches!(node.backend.inbox.put(&nickname("alice"), &push, None).await, Ok(Put::Kept { .. })));
    node.enter(&room("red"), &actor(1, "gus")).await;
    node.enrol(&room("red"), "alice").await.unwrap();
    node.resign(&room("red"), "alice", true).await.unwrap();
    node.delete("alice").await;
    assert_eq!(node.friends("bob").await, ["carol"]);
    assert_eq!(node.friends("carol").await, ["bob"]);
    let nothing: [&str; 0] = [];
    let is_empty = async |node: &Node| {
        assert_eq!(node.friends("alice").await, nothing);
        assert_eq!(node.backend.friends.friend_requests(&nickname("alice")).await, Ok(Vec::new()));
        assert_eq!(node.backend.inbox.mail(&nickname("alice"), 0, 10).await, Ok(Vec::new()));
        assert_eq!(node.backend.members.enrolments(&nickname("alice")).await, Ok(Vec::<Enrolment>::new()));
    };
    is_empty(&node).await;
    assert_eq!(node.backend.inbox.put(&nickname("alice"), &push, None).await, Ok(Put::Unknown));
    assert!(node.sign_up("alice").await);
    is_empty(&node).await;
}

async fn a_deleted_accounts_logins_are_nobodys(node: Node) {
    node.sign_up("alice").await;
    let login = |began_s| Login { account: nickname("alice"), id: LoginId(1), began_s, ends_s: began_s + 3_600 };
    assert!(node.backend.directory.stands(&login(1)).await.unwrap());
    node.delete("alice").await;
    let deletions = node.backend.users.deletions(&[nickname("alice")]).await.unwrap();
    let deleted_s = deletions[0].expect("it is remembered") / 1_000_000;
    assert!(!node.backend.directory.stands(&login(deleted_s)).await.unwrap());
    node.sign_up("alice").await;
    assert!(!node.backend.directory.stands(&login(deleted_s)).await.unwrap(), "whoever has the name now");
    assert!(node.backend.directory.stands(&login(deleted_s + 1)).await.unwrap());
}

async fn deletions_are_remembered(node: Node) {
    assert_eq!(node.deletions(&[]).await, []);
    node.sign_up("alice").await;
    node.sign_up("bob").await;
    let red = room("red");
    let said = message(&actor(1, "alice"), "still here");
    let said = node.publish(&red, &said, Publisher::Anyone).await.unwrap();
    assert_eq!(node.deletions(&["alice", "bob", "nobody"]).await, [None, None, None]);
    node.delete("alice").await;
    let deleted = node.deletions(&["bob", "alice", "nobody"]).await;
    assert_eq!((deleted[0], deleted[2]), (None, None));
    assert!(deleted[1].expect("it was deleted") >= said.time_us, "what was said before is from somebody who is gone");
    node.clock.advance(3_000_000);
    node.sign_up("alice").await;
    node.backend.presence.sweep().await.unwrap();
    assert_eq!(node.deletions(&["alice"]).await, [deleted[1]], "whoever bears the name now");
    node.delete("alice").await;
    assert!(node.deletions(&["alice"]).await[0] >= deleted[1], "the last one counts");
}

async fn deleting_again_is_harmless(node: Node) {
    for name in ["alice", "bob"] {
        node.sign_up(name).await;
    }
    for _ in 0..2 {
        node.delete("alice").await;
    }
    assert_eq!(node.user("alice").await, None);
    assert!(node.deletions(&["alice"]).await[0].is_some());
    assert!(node.user("bob").await.is_some());
}

async fn a_deleted_accounts_identity_may_register_again(node: Node) {
    node.register_for("1", "olga").await;
    node.delete("olga").await;
    assert_eq!(node.backend.directory.account_of(&elsewhere("1")).await, Ok(None));
    assert_eq!(node.user("olga").await, None);
    assert_eq!(node.register_for("1", "Olga").await, Registered::Done, "under another name, too");
    assert_eq!(node.register_for("2", "olga").await, Registered::Done);
}

async fn of_concurrent_sign_ups_under_a_name_one_wins(nodes: [&Node; 2]) {
    let mut sign_ups = tokio::task::JoinSet::new();
    for turn in 0..20 {
        let users = nodes[turn % 2].backend.users.clone();
        sign_ups.spawn(async move {
            let hash = format!("${turn}");
            users.sign_up(&nickname("alice"), &hash, &hash).await.unwrap().then_some(hash)
        });
    }
    let won: Vec<String> = sign_ups.join_all().await.into_iter().flatten().collect();
    assert_eq!(won.len(), 1, "{won:?}");
    let user = nodes[1].user("alice").await.expect("somebody got it");
    assert_eq!((user.password_hash.as_ref(), &user.nickname), (Some(&won[0]), &won[0]));
}

async fn of_a_guest_and_a_sign_up_one_gets_the_name(nodes: [&Node; 2]) {
    for turn in 0..20 {
        let name = format!("n{turn}");
        let (claimed, signed_up) =
            tokio::join!(nodes[0].claim(&name, SessionId::from_u128(turn)), nodes[1].sign_up(&name));
        let expected = if signed_up { Claimed::Reserved } else { CLAIMED };
        assert_eq!(claimed, expected, "{name}");
        assert_eq!(nodes[0].user(&name).await.is_some(), signed_up);
    }
}

async fn accounts_stay(node: Node, again: impl AsyncFn(Node) -> Node) {
    for name in ["alice", "bob"] {
        node.sign_up(name).await;
    }
    node.present("alice", "Al").await;
    node.delete("bob").await;
    let (alice, deletions) = (node.user("alice").await, node.deletions(&["alice", "bob"]).await);
    let node = again(node).await;
    assert_eq!(node.user("alice").await, alice);
    assert_eq!(alice.unwrap().nickname, "Al");
    assert_eq!(node.user("bob").await, None);
    assert_eq!(node.deletions(&["alice", "bob"]).await, deletions);
    assert!(!node.sign_up("alice").await && node.sign_up("bob").await);
    assert_eq!(node.claim("alice", SessionId::from_u128(1)).await, Claimed::Reserved);
}

#[tokio::test]
async fn the_embedded_backend_knows_when_an_account_was_active_last() {
    let folder = tempfile::tempdir().unwrap();
    let node = embedded(Some(folder.path()));
    node.sign_up("alice").await;
    let signed_up = node.user("alice").await.unwrap();
    node.clock.advance(10_000);
    node.log_in("alice", 1).await;
    node.clock.advance(20_000);
    assert!(!node.release("alice", 2).await);
    assert_eq!(node.user("alice").await, Some(User { online: true, ..signed_up.clone() }));
    assert!(node.release("alice", 1).await);
    let active = User { last_active_s: signed_up.signed_up_s + 30, ..signed_up };
    assert_eq!(node.user("alice").await, Some(active.clone()));
    node.go().await;
    assert_eq!(embedded(Some(folder.path())).user("alice").await, Some(active), "over a restart, too");
}
