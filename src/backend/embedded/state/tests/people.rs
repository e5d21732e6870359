//! Accounts after a batch that was not kept.

use super::bench::{Bench, Step, bench, guest, name, step};
use crate::backend::{Census, Claimant, Directory, Friends, Holder, Inbox, Presence, Registered, Users};
use crate::chat::{Identity, Login, LoginId, PendingRequest, Push, RequestId, RequestKind, Revocation, UserChange};

pub fn sign_up(who: &'static str) -> Step {
    step(move |node| async move { node.sign_up(&name(who), "hash", "Somebody").await })
}

pub fn befriend(to: &'static str, from: &'static str, id: u32) -> Vec<Step> {
    let kind = RequestKind::Friend(name(from));
    let request = PendingRequest { id: RequestId(id), kind, from: from.to_owned(), text: String::new(), asked_s: 0 };
    vec![
        step(move |node| async move { node.ask_friend(&name(to), &request).await }),
        step(move |node| async move { node.settle_friend(&name(to), RequestId(id), true).await }),
    ]
}

pub fn put(to: &'static str) -> Step {
    let push = Push::FriendRemoved { account: name("zoe") };
    step(move |node| async move { node.put(&name(to), &push, None).await })
}

fn found(bench: &Bench, query: &str) -> Vec<String> {
    bench.state.search_users(query, None, 9).found.iter().map(ToString::to_string).collect()
}

#[test]
fn an_account_that_is_not_kept_has_not_been_made() {
    let mut bench = bench();
    let login = Login { account: name("bob"), id: LoginId(1), began_s: 5, ends_s: 10 };
    let identity = Identity { provider: "p".into(), subject: "1".into() };
    bench.lost(vec![
        step(move |node| async move { node.register(&identity, &name("olga")).await }),
        step(move |node| async move { node.revoke(&name("bob"), Revocation::BegunUntil(5)).await }),
        sign_up("mia"),
    ]);
    assert_eq!(bench.state.accounts.owner_of(&name("olga")), None);
    assert_eq!(bench.state.accounts.user(&name("mia")), None);
    assert!(bench.state.accounts.stands(&login));
    assert_eq!(bench.state.accounts.count(), 0);
    assert!(found(&bench, "").is_empty());
}

#[test]
fn an_account_whose_change_or_end_is_not_kept_is_as_before() {
    for ends in [false, true] {
        let mut bench = bench();
        bench.done(vec![sign_up("mia")]);
        let before = bench.state.accounts.user(&name("mia"));
        let change = UserChange { nickname: Some("Other".into()), ..UserChange::default() };
        let changed = step(move |node| async move { node.change_user(&name("mia"), &change).await });
        let gone = ends.then(|| step(|node| async move { node.delete_user(&name("mia")).await }));
        bench.lost([changed].into_iter().chain(gone).collect());
        assert_eq!(bench.state.accounts.user(&name("mia")), before);
        assert_eq!(bench.state.accounts.count(), 1);
        assert_eq!((found(&bench, "some"), found(&bench, "other")), (vec!["mia".to_owned()], vec![]));
    }
}

#[test]
fn a_name_whose_release_is_not_kept_is_still_held() {
    let mut bench = bench();
    let holder = Holder { session: guest(1).session, reads_inbox: true };
    bench.done(vec![
        sign_up("mia"),
        step(move |node| async move { node.claim(&name("mia"), holder, Claimant::Account).await }),
    ]);
    let newer = Holder { session: guest(2).session, reads_inbox: false };
    bench.lost(vec![
        step(move |node| async move { node.claim(&name("mia"), newer, Claimant::Account).await }),
        step(move |node| async move { node.release(&name("mia"), newer.session).await }),
    ]);
    assert_eq!(bench.state.nicknames.get(&name("mia")), Some(&holder));
}

#[test]
fn friends_and_mail_that_are_not_kept_are_not_found_later() {
    let mut bench = bench();
    bench.done(vec![sign_up("mia"), sign_up("bob"), put("mia")]);
    bench.lost(befriend("mia", "bob", 1).into_iter().chain([put("mia")]).collect());
    let mut bench = bench.restart();
    assert!(bench.answer(|node| async move { node.friends(&name("mia")).await }).is_empty());
    assert_eq!(bench.answer(|node| async move { node.mail(&name("mia"), 0, 9).await }).len(), 1);
}

/// What a password account leaves behind leads nobody to the next one of its name.
#[test]
fn a_deleted_accounts_name_begins_anew() {
    let mut bench = bench();
    bench.done(vec![sign_up("mia"), sign_up("bob"), sign_up("zoe"), put("mia")]);
    bench.done(befriend("mia", "bob", 1));
    let kind = RequestKind::Friend(name("mia"));
    let request = PendingRequest { id: RequestId(2), kind, from: "mia".into(), text: String::new(), asked_s: 0 };
    bench.done(vec![
        step(move |node| async move { node.ask_friend(&name("zoe"), &request).await }),
        step(|node| async move { node.delete_user(&name("mia")).await }),
        sign_up("mia"),
    ]);
    let identity = Identity { provider: "password".into(), subject: "mia".into() };
    assert_eq!(bench.answer(move |node| async move { node.account_of(&identity).await }), None);
    for who in ["mia", "bob"] {
        assert!(bench.answer(move |node| async move { node.friends(&name(who)).await }).is_empty());
    }
    assert!(bench.answer(|node| async move { node.friend_requests(&name("zoe")).await }).is_empty());
    assert!(bench.answer(|node| async move { node.mail(&name("mia"), 0, 9).await }).is_empty());
    let census = bench.answer(|node| async move { node.census().await });
    assert_eq!((census.users, census.users_max), (3, 3));
    let other = Identity { provider: "p".into(), subject: "1".into() };
    let registered = bench.answer(move |node| async move { node.register(&other, &name("mia")).await });
    assert_eq!(registered, Registered::Taken);
}
