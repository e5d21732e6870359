//! Clauses about finding accounts and rooms.

use std::collections::BTreeSet;

use crosstalk::backend::RoomChange;
use crosstalk::chat::RoomRecord;

use super::*;

clauses! {
    an_account_is_found_by_the_beginning_of_its_name
    an_account_is_found_by_the_words_of_its_nickname
    every_word_of_a_query_must_fit
    what_fits_twice_is_found_once
    pages_show_each_once
    the_search_follows_changes_of_accounts
    a_room_is_found_by_its_id_and_its_nickname
    an_id_with_blanks_is_found_by_all_of_it_and_by_its_words
    the_search_follows_changes_of_rooms
    rooms_that_members_made_are_not_found
}

lasting_clauses! {
    what_was_found_is_found_again
}

impl Node {
    async fn users(&self, query: &str) -> Vec<String> {
        self.pages(query, 50, false).await.concat()
    }

    async fn rooms(&self, query: &str) -> Vec<String> {
        self.pages(query, 50, true).await.concat()
    }

    /// All pages of a search. One may hold less than allowed, as long as it says where to go on.
    async fn pages(&self, query: &str, limit: usize, rooms: bool) -> Vec<Vec<String>> {
        let mut pages = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let (found, next) = if rooms {
                let page = self.backend.search.search_rooms(query, after.as_deref(), limit).await.unwrap();
                (page.found.iter().map(ToString::to_string).collect(), page.next)
            } else {
                let page = self.backend.search.search_users(query, after.as_deref(), limit).await.unwrap();
                (page.found.iter().map(ToString::to_string).collect::<Vec<_>>(), page.next)
            };
            assert!(found.len() <= limit);
            pages.push(found);
            if next.is_none() {
                return pages;
            }
            assert_ne!(next, after, "it goes on");
            after = next;
        }
    }

    async fn sign_up_as(&self, name: &str, shown: &str) {
        assert!(self.backend.users.sign_up(&nickname(name), "$hash", shown).await.unwrap());
    }

    async fn create_as(&self, name: &str, shown: &str) {
        let record = RoomRecord { owner: Some(nickname("olga")), nickname: shown.into(), ..RoomRecord::default() };
        self.create(&room(name), &record).await;
    }

    async fn rename(&self, name: &str, shown: &str) {
        let change = RoomChange { nickname: Some(shown.into()), ..RoomChange::default() };
        let olga = Actor::account(nickname("olga"));
        self.backend.rooms.change(&room(name), &olga, &change).await.unwrap().unwrap();
    }
}

const NOTHING: [&str; 0] = [];

async fn an_account_is_found_by_the_beginning_of_its_name(node: Node) {
    assert_eq!(node.users("a").await, NOTHING);
    for name in ["anna", "Annabel", "anton", "bob_2", "Ännchen"] {
        node.sign_up_as(name, "").await;
    }
    let found = async |query: &str| node.users(query).await.into_iter().collect::<BTreeSet<_>>();
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    for query in ["ann", "ANN", "aNN"] {
        assert_eq!(found(query).await, set(&["anna", "Annabel"]), "{query}");
    }
    assert_eq!(found("an").await, set(&["anna", "Annabel", "anton"]));
    assert_eq!(found("annabel").await, set(&["Annabel"]));
    assert_eq!(found("bob_").await, set(&["bob_2"]));
    assert_eq!(found("änn").await, set(&["Ännchen"]));
    for query in ["annabelx", "nna", "bob 2", "x", "anna b"] {
        assert_eq!(found(query).await, set(&[]), "{query}");
    }
}

async fn an_account_is_found_by_the_words_of_its_nickname(node: Node) {
    node.sign_up_as("x17", "Marie-Luise von Öhringen, née O'Neill").await;
    node.sign_up_as("x18", "Maria").await;
    for query in ["marie", "LUI", "von", "öhr", "Née", "neill", "o"] {
        assert_eq!(node.users(query).await, ["x17"], "{query}");
    }
    for query in ["uise", "hringen", "mariex"] {
        assert_eq!(node.users(query).await, NOTHING, "{query}");
    }
    assert_eq!(node.users("mari").await.len(), 2);
}

async fn every_word_of_a_query_must_fit(node: Node) {
    node.sign_up_as("x17", "Marie Luise Lund").await;
    node.sign_up_as("x18", "Marie Lang").await;
    for query in ["mar lui", "lui, mar", "luise x17", "lun mar lui"] {
        assert_eq!(node.users(query).await, ["x17"], "{query}");
    }
    assert_eq!(node.users("marie l").await.len(), 2);
    assert_eq!(node.users("marie x").await.len(), 2);
    for query in ["luise lang", "mar lui lan", "marie q"] {
        assert_eq!(node.users(query).await, NOTHING, "{query}");
    }
}

async fn what_fits_twice_is_found_once(node: Node) {
    node.sign_up_as("anna", "Anna Annabel Annika").await;
    assert_eq!(node.users("ann").await, ["anna"]);
    assert_eq!(node.users("anna ann").await, ["anna"]);
}

async fn pages_show_each_once(node: Node) {
    for number in 0..30 {
        node.sign_up_as(&format!("n{number:02}"), if number % 3 == 0 { "Fizz" } else { "Buzz" }).await;
    }
    let every: Vec<String> = (0..30).map(|number| format!("n{number:02}")).collect();
    let fizz: Vec<String> = (0..30).step_by(3).map(|number| format!("n{number:02}")).collect();
    for limit in [1, 7, 10, 30, 31] {
        for (query, expected) in [("n", &every), ("fizz", &fizz), ("N1", &every[10..20].to_vec())] {
            let pages = node.pages(query, limit, false).await;
            let found: Vec<String> = pages.concat();
            assert_eq!(found, *expected, "{query} by {limit}, in the order of the index");
        }
    }
    let page = node.backend.search.search_users("n", None, 7).await.unwrap();
    assert_eq!((page.found.len(), page.next.is_some()), (7, true));
}

async fn the_search_follows_changes_of_accounts(node: Node) {
    node.sign_up_as("x17", "Marie").await;
    assert!(node.present("x17", "Luise").await);
    assert_eq!(node.users("marie").await, NOTHING);
    assert_eq!(node.users("luise").await, ["x17"]);
    assert_eq!(node.users("x1").await, ["x17"]);
    node.delete("x17").await;
    for query in ["marie", "luise", "x17"] {
        assert_eq!(node.users(query).await, NOTHING, "{query}");
    }
    node.sign_up_as("x17", "Marie").await;
    assert_eq!(node.users("marie").await, ["x17"]);
    assert_eq!(node.users("luise").await, NOTHING, "the former account's");
}

async fn a_room_is_found_by_its_id_and_its_nickname(node: Node) {
    node.create_as("rust", "The Iron Café").await;
    node.create_as("Ruby", "").await;
    node.create_as("go", "Rusty place").await;
    let found = async |query: &str| node.rooms(query).await.into_iter().collect::<BTreeSet<_>>();
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(found("ru").await, set(&["rust", "Ruby", "go"]));
    assert_eq!(found("RUST").await, set(&["rust", "go"]));
    assert_eq!(found("cafÉ iron").await, set(&["rust"]));
    assert_eq!(found("ust").await, set(&[]));
    assert_eq!(node.users("ru").await, NOTHING, "rooms are no accounts");
}

async fn an_id_with_blanks_is_found_by_all_of_it_and_by_its_words(node: Node) {
    node.create_as("Red Lounge", "").await;
    node.create_as("red", "").await;
    for query in ["red lounge", "Red Lou", "red l", "lounge", "lou red"] {
        assert_eq!(node.rooms(query).await, ["Red Lounge"], "{query}");
    }
    assert_eq!(node.rooms("red").await.len(), 2);
}

async fn the_search_follows_changes_of_rooms(node: Node) {
    node.create_as("rust", "Iron").await;
    node.rename("rust", "Oxide").await;
    assert_eq!(node.rooms("iron").await, NOTHING);
    assert_eq!(node.rooms("oxi").await, ["rust"]);
    let olga = actor(1, "olga");
    node.backend.rooms.destroy(&room("rust"), &olga, Some(&nickname("olga"))).await.unwrap().unwrap();
    for query in ["iron", "oxide", "rust"] {
        assert_eq!(node.rooms(query).await, NOTHING, "{query}");
    }
    node.create_as("rust", "Iron").await;
    assert_eq!(node.rooms("iron").await, ["rust"]);
    assert_eq!(node.rooms("oxide").await, NOTHING, "the former life's");
}

async fn rooms_that_members_made_are_not_found(node: Node) {
    let alice = actor(1, "alice");
    node.enter(&room("rust"), &alice).await;
    assert_eq!(node.rooms("rust").await, NOTHING);
    node.backend.presence.leave(&room("rust"), &alice).await.unwrap();
    node.create_as("rust", "").await;
    assert_eq!(node.rooms("rust").await, ["rust"]);
}

async fn what_was_found_is_found_again(node: Node, again: impl AsyncFn(Node) -> Node) {
    node.sign_up_as("x17", "Marie").await;
    node.sign_up_as("x18", "Luise").await;
    node.sign_up_as("x19", "Anna").await;
    node.present("x18", "Lotte").await;
    node.delete("x19").await;
    node.create_as("rust", "Iron").await;
    let node = again(node).await;
    assert_eq!(node.users("x").await, ["x17", "x18"]);
    assert_eq!(node.users("lot").await, ["x18"]);
    assert_eq!(node.users("lui").await, NOTHING);
    assert_eq!(node.rooms("iron").await, ["rust"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searching_redis_looks_at_an_index_and_passes_over_what_is_gone() {
    let server = Server::start();
    let node = redis(&server).await;
    for number in 0..20 {
        node.sign_up_as(&format!("n{number:02}"), "Marie").await;
    }
    // What crashes leave behind: of somebody who is gone, and of a former nickname.
    for stale in ["marie\u{0}gone", "gone\u{0}gone", "luise\u{0}n07"] {
        server.query(&["ZADD", "t:search:users", "0", stale]);
    }
    assert_eq!(node.users("marie").await.len(), 20);
    assert_eq!(node.users("gone").await, NOTHING);
    assert_eq!(node.users("luise").await, NOTHING);
    let Reply::Text(stats) = server.query(&["INFO", "commandstats"]) else { panic!("the statistics are a text") };
    for slow in ["keys", "scan", "sscan", "hscan", "zscan"] {
        assert!(!stats.contains(&format!("cmdstat_{slow}:")), "{slow} was called: {stats}");
    }
}
