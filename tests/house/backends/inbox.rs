//! Clauses about what is kept for accounts until they were told.

use crosstalk::backend::{INBOX_MAX, Put};
use crosstalk::chat::{Mail, MessageId, PrivateMessage, Push, RequestId, RequestKind};
use futures_util::future::join_all;

use super::*;

clauses! {
    whatever_is_put_in_comes_back
    mail_is_read_in_pages
    what_is_named_is_discarded_and_nothing_else
    numbers_grow_whatever_was_discarded
    an_inbox_is_its_accounts_own
    accounts_alone_have_an_inbox
    who_bears_the_name_is_told_of
    some_things_are_kept_for_friends_alone
    an_inbox_holds_only_so_much
}

clauses_of_two! {
    who_reads_while_others_write_misses_nothing
}

lasting_clauses! {
    mail_stays
}

const NOBODY: Put = Put::Kept { holder: None };

fn letter(id: u32) -> Push {
    let message = PrivateMessage { from: actor(1, "bob"), target: "@olga".into(), text: format!("letter {id}") };
    Push::Private { id: MessageId(id), time_us: 17, message }
}

impl Node {
    async fn put(&self, to: &str, push: &Push) -> Put {
        self.backend.inbox.put(&nickname(to), push, None).await.unwrap()
    }

    async fn put_as_friend(&self, to: &str, push: &Push, friend: &str) -> Put {
        self.backend.inbox.put(&nickname(to), push, Some(&nickname(friend))).await.unwrap()
    }

    async fn mail(&self, account: &str, after: u64, limit: usize) -> Vec<Mail> {
        self.backend.inbox.mail(&nickname(account), after, limit).await.unwrap()
    }

    async fn discard(&self, account: &str, numbers: &[u64]) {
        self.backend.inbox.discard(&nickname(account), numbers).await.unwrap();
    }

    /// What waits, by the numbers of [`letter`].
    async fn letters(&self, account: &str) -> Vec<u32> {
        ids(&self.mail(account, 0, 10_000).await)
    }
}

fn ids(mail: &[Mail]) -> Vec<u32> {
    let id = |mail: &Mail| match &mail.push {
        Push::Private { id, .. } => id.0,
        other => panic!("{other:?} is no letter"),
    };
    mail.iter().map(id).collect()
}

fn numbers(mail: &[Mail]) -> Vec<u64> {
    mail.iter().map(|mail| mail.number).collect()
}

async fn whatever_is_put_in_comes_back(node: Node) {
    node.sign_up("Zoë {x}").await;
    let nameless = Actor { session: SessionId::from_u128(u128::MAX), nickname: None };
    let odd = PrivateMessage { from: nameless, target: "@Zoë {x}".into(), text: "\n\"\u{1F600}\u{0}".into() };
    let friend = RequestKind::Friend(nickname("bob"));
    let pushes = [
        letter(u32::MAX),
        Push::Private { id: MessageId(0), time_us: 17, message: odd },
        Push::FriendRequest {
            request: RequestId(1),
            from: nickname("bob"),
            nickname: "B. é".into(),
            text: String::new(),
        },
        Push::EnterRequest { request: RequestId(u32::MAX), identifier: "gus".into(), room: room("red room") },
        Push::Decided { request: RequestId(3), kind: friend, approved: true },
        Push::Decided { request: RequestId(4), kind: RequestKind::Room(room("red")), approved: false },
        Push::FriendRemoved { account: nickname("bob") },
        Push::FriendDeleted { account: nickname("bob") },
    ];
    for push in &pushes {
        assert_eq!(node.put("Zoë {x}", push).await, NOBODY);
    }
    let mail = node.mail("Zoë {x}", 0, 100).await;
    assert_eq!(mail.iter().map(|mail| mail.push.clone()).collect::<Vec<_>>(), pushes, "in order");
    let numbers = numbers(&mail);
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?} grow");
    assert!(numbers.iter().all(|number| (1..1 << 53).contains(number)), "{numbers:?} fit into JSON");
}

async fn mail_is_read_in_pages(node: Node) {
    node.sign_up("olga").await;
    for id in 1..=10 {
        node.put("olga", &letter(id)).await;
    }
    let mut read: Vec<Mail> = Vec::new();
    for expected in [4, 4, 2, 0] {
        let page = node.mail("olga", read.last().map_or(0, |mail| mail.number), 4).await;
        assert_eq!(page.len(), expected);
        read.extend(page);
    }
    assert_eq!(ids(&read), (1..=10).collect::<Vec<_>>());
    assert_eq!(node.mail("olga", 0, 100).await, read, "to read is not to discard");
    assert_eq!(node.mail("olga", read[4].number - 1, 1).await, read[4..5], "between two numbers, too");
    assert_eq!(node.mail("olga", 0, 0).await, []);
}

async fn what_is_named_is_discarded_and_nothing_else(node: Node) {
    node.sign_up("olga").await;
    for id in 1..=5 {
        node.put("olga", &letter(id)).await;
    }
    let given = numbers(&node.mail("olga", 0, 10).await);
    node.discard("olga", &[]).await;
    node.discard("olga", &[given[3], given[1]]).await;
    assert_eq!(node.letters("olga").await, [1, 3, 5]);
    for unknown in [given[1], given[4] + 1, 0, 1 << 52] {
        node.discard("olga", &[unknown]).await;
    }
    node.discard("nobody", &given).await;
    assert_eq!(node.letters("olga").await, [1, 3, 5]);
    assert_eq!(ids(&node.mail("olga", given[1], 1).await), [3], "one may go on after one that is gone");
    node.discard("olga", &given).await;
    assert_eq!(node.letters("olga").await, [0; 0]);
}

async fn numbers_grow_whatever_was_discarded(node: Node) {
    node.sign_up("olga").await;
    let mut last = 0;
    for id in 1..=20 {
        node.put("olga", &letter(id)).await;
        let mail = node.mail("olga", last, 10).await;
        assert_eq!(ids(&mail), [id], "a number that was given before would be passed over");
        last = mail[0].number;
        node.discard("olga", &[last]).await;
    }
}

async fn an_inbox_is_its_accounts_own(node: Node) {
    node.sign_up("olga").await;
    node.sign_up("Olga").await;
    node.put("olga", &letter(1)).await;
    node.put("Olga", &letter(2)).await;
    node.discard("Olga", &numbers(&node.mail("olga", 0, 10).await)).await;
    assert_eq!(node.letters("olga").await, [1]);
}

async fn accounts_alone_have_an_inbox(node: Node) {
    assert_eq!(node.put("nobody", &letter(1)).await, Put::Unknown);
    assert_eq!(node.put_as_friend("nobody", &letter(1), "bob").await, Put::Unknown);
    node.claim("gus", SessionId::from_u128(1)).await;
    assert_eq!(node.put("gus", &letter(1)).await, Put::Unknown, "a guest is no account");
    assert_eq!(node.mail("gus", 0, 10).await, []);
    node.log_in("mia", 2).await;
    node.release("mia", 2).await;
    assert_eq!(node.put("mia", &letter(1)).await, NOBODY, "one that was made elsewhere is");
    assert_eq!(node.letters("mia").await, [1]);
}

async fn who_bears_the_name_is_told_of(node: Node) {
    node.sign_up("olga").await;
    let olga = nickname("olga");
    for (session, reads_inbox) in [(1, true), (2, false), (3, true)] {
        let holder = Holder { session: SessionId::on(node.id, session), reads_inbox };
        node.backend.presence.claim(&olga, holder, Claimant::Account).await.unwrap();
        assert_eq!(node.backend.presence.holder(&olga).await, Ok(Some(holder)));
        assert_eq!(node.put("olga", &letter(session as u32)).await, Put::Kept { holder: Some(holder) });
    }
    assert_eq!(node.letters("olga").await, [1, 2, 3], "whether it reads it or not");
    node.backend.presence.release(&olga, SessionId::on(node.id, 3)).await.unwrap();
    assert_eq!(node.put("olga", &letter(4)).await, NOBODY);
}

async fn some_things_are_kept_for_friends_alone(node: Node) {
    for name in ["olga", "bob", "eve"] {
        node.sign_up(name).await;
    }
    assert_eq!(node.put_as_friend("olga", &letter(1), "bob").await, Put::NotFriends);
    node.befriend("bob", "olga").await;
    assert_eq!(node.put_as_friend("olga", &letter(2), "bob").await, NOBODY);
    assert_eq!(node.put_as_friend("olga", &letter(3), "eve").await, Put::NotFriends);
    assert_eq!(node.put_as_friend("olga", &letter(4), "olga").await, Put::NotFriends, "nobody is their own friend");
    assert!(node.part("olga", "bob").await);
    assert_eq!(node.put_as_friend("olga", &letter(5), "bob").await, Put::NotFriends);
    assert_eq!(node.letters("olga").await, [2]);
}

async fn an_inbox_holds_only_so_much(node: Node) {
    node.sign_up("olga").await;
    let pushes: Vec<Push> = (0..INBOX_MAX as u32).map(letter).collect();
    for some in pushes.chunks(100) {
        let answers = join_all(some.iter().map(|push| node.put("olga", push))).await;
        assert!(answers.into_iter().all(|put| put == NOBODY));
    }
    assert_eq!(node.put("olga", &letter(5_000)).await, Put::Full);
    let mail = node.mail("olga", 0, 2 * INBOX_MAX).await;
    assert_eq!(mail.len(), INBOX_MAX);
    let mut kept = ids(&mail);
    kept.sort_unstable();
    assert_eq!(kept, (0..INBOX_MAX as u32).collect::<Vec<_>>());
    node.discard("olga", &[mail[500].number]).await;
    assert_eq!(node.put("olga", &letter(5_001)).await, NOBODY);
    assert_eq!(node.put("olga", &letter(5_002)).await, Put::Full);
}

/// Who asks for what comes after the last number that it has seen is never passed by.
async fn who_reads_while_others_write_misses_nothing(nodes: [&Node; 2]) {
    const EACH: u32 = 50;
    nodes[0].sign_up("olga").await;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..4u32 {
        let inbox = nodes[writer as usize % 2].backend.inbox.clone();
        writers.spawn(async move {
            for id in 0..EACH {
                assert_eq!(inbox.put(&nickname("olga"), &letter(writer * EACH + id), None).await, Ok(NOBODY));
            }
        });
    }
    let mut read: Vec<Mail> = Vec::new();
    while read.len() < 4 * EACH as usize {
        let are_done = writers.is_empty();
        let page = nodes[1].mail("olga", read.last().map_or(0, |mail| mail.number), 7).await;
        assert!(!page.is_empty() || !are_done, "only {:?} came", ids(&read));
        read.extend(page);
        while writers.try_join_next().transpose().unwrap().is_some() {}
    }
    assert_eq!(nodes[0].mail("olga", 0, 1_000).await, read);
    for writer in 0..4 {
        let own: Vec<u32> = ids(&read).into_iter().filter(|id| id / EACH == writer).collect();
        assert_eq!(own, (writer * EACH..(writer + 1) * EACH).collect::<Vec<_>>(), "each one's in its order");
    }
}

async fn mail_stays(node: Node, again: impl AsyncFn(Node) -> Node) {
    node.sign_up("olga").await;
    for id in 1..=4 {
        node.put("olga", &letter(id)).await;
    }
    let before = node.mail("olga", 0, 10).await;
    node.discard("olga", &[before[1].number]).await;
    let node = again(node).await;
    let after = node.mail("olga", 0, 10).await;
    assert_eq!(after, [before[0].clone(), before[2].clone(), before[3].clone()]);
    node.discard("olga", &numbers(&after)).await;
    let node = again(node).await;
    assert_eq!(node.mail("olga", 0, 10).await, []);
    node.put("olga", &letter(5)).await;
    assert_eq!(ids(&node.mail("olga", before[3].number, 10).await), [5], "numbers grow over restarts");
}
