//! How long a search takes among 100,000 accounts and 100,000 rooms, in the embedded store and on a Redis of its own.
//!
//! Fails when a median of a page of 20 is not below five milliseconds; the largest page is measured for comparison.

// A benchmark's verdict is a panic, and its business is the clock.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crosstalk::ambient::{Clock, Entropy};
use crosstalk::backend::embedded::{Embedded, Retention};
use crosstalk::backend::{Backend, Creation, inbound};
use crosstalk::chat::{AccessType, Nickname, RoomId, RoomRecord};
use crosstalk::telemetry::Metrics;
use futures_util::{StreamExt, stream};

const EACH: usize = 100_000;
/// Calls of the loading at once.
const AT_ONCE: usize = 256;
const ROUNDS: usize = 200;
/// A page that a person looks at, about which the verdict is, and the largest one that the protocol allows.
const PAGES: [usize; 2] = [20, 200];
const MEDIAN_MAX: Duration = Duration::from_millis(5);

const FIRST: [&str; 20] = [
    "Anna", "Bert", "Carla", "Dario", "Emil", "Frida", "Gustav", "Hanna", "Ivo", "Jana", "Karl", "Lena", "Milan",
    "Nora", "Otto", "Paula", "Quentin", "Rosa", "Stefan", "Tina",
];
const LAST: [&str; 25] = [
    "Adler", "Becker", "Conrad", "Dorn", "Ebert", "Fischer", "Graf", "Huber", "Iversen", "Jansen", "Keller", "Lang",
    "Maurer", "Novak", "Olsen", "Peters", "Quandt", "Richter", "Sommer", "Thal", "Ulrich", "Vogel", "Weber", "Ziegler",
    "Zimmer",
];

/// What is asked, and why that is worth a measurement.
const QUERIES: [(&str, &str); 8] = [
    ("the beginning of many ids", "an"),
    ("the beginning of few ids", "anna_123"),
    ("one id", "anna_12340"),
    ("one letter", "k"),
    ("a word of many names", "zimmer"),
    ("two words of names that come late", "zimmer tina"),
    ("two words of names that come soon", "adler bert"),
    ("a word of no name", "xylophon"),
];

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let slowest = runtime.block_on(async {
        let embedded = measure("embedded", embedded()).await;
        let server = support::house::redis::Redis::start();
        let (redis, _heard) = support::node(&server, 2 * EACH as u64).await;
        embedded.max(measure("redis", Backend::of(redis)).await)
    });
    assert!(slowest < MEDIAN_MAX, "the slowest median is {slowest:?}, and must be below {MEDIAN_MAX:?}");
}

fn embedded() -> Backend {
    let (sender, _inbound) = inbound(1 << 20, Arc::new(Metrics::new()));
    let retention = Retention { count: 500, age_us: 3_600_000_000, rooms: 1_000, kept_rooms: 2 * EACH as u64 };
    Backend::of(Arc::new(Embedded::open(None, retention, sender, Clock::system(), Entropy::system()).unwrap()))
}

/// The slowest median of a small page.
async fn measure(name: &str, backend: Backend) -> Duration {
    let began = Instant::now();
    load(&backend).await;
    println!("{name}: {EACH} accounts and {EACH} rooms made in {:.1} s", began.elapsed().as_secs_f64());
    let [small, _large] = [search_all(name, &backend, PAGES[0]).await, search_all(name, &backend, PAGES[1]).await];
    small
}

/// The slowest median.
async fn search_all(name: &str, backend: &Backend, page: usize) -> Duration {
    println!(
        "| {name}, pages of {page} | found | users: median | p99 | rooms: median | p99 |\n|---|---|---|---|---|---|"
    );
    let mut slowest = Duration::ZERO;
    for (what, query) in QUERIES {
        let (mut users, mut rooms) = (Vec::with_capacity(ROUNDS), Vec::with_capacity(ROUNDS));
        let mut found = 0;
        for _ in 0..ROUNDS {
            let began = Instant::now();
            found = backend.search.search_users(query, None, page).await.unwrap().found.len();
            users.push(began.elapsed());
            let began = Instant::now();
            let of_rooms = backend.search.search_rooms(query, None, page).await.unwrap().found.len();
            rooms.push(began.elapsed());
            assert_eq!(found, of_rooms, "rooms are called as accounts are");
        }
        let ([users, users_99], [rooms, rooms_99]) = (quantiles(users), quantiles(rooms));
        println!("| {what}: `{query}` | {found} | {users:.2?} | {users_99:.2?} | {rooms:.2?} | {rooms_99:.2?} |");
        slowest = slowest.max(users).max(rooms);
    }
    slowest
}

/// The median and the 99th percentile.
fn quantiles(mut times: Vec<Duration>) -> [Duration; 2] {
    times.sort_unstable();
    [times[times.len() / 2], times[times.len() * 99 / 100]]
}

async fn load(backend: &Backend) {
    let making = stream::iter(0..EACH).map(async |number| {
        let (first, last) = (FIRST[number % FIRST.len()], LAST[number / FIRST.len() % LAST.len()]);
        let (id, nickname) = (format!("{}_{number}", first.to_lowercase()), format!("{first} {last}"));
        // The hash of a password is never looked at here.
        assert!(backend.users.sign_up(&Nickname::parse(&id).unwrap(), "hash", &nickname).await.unwrap());
        let record = RoomRecord {
            owner: None,
            access: AccessType::Public,
            password_hash: None,
            nickname,
            description: String::new(),
        };
        let created = backend.rooms.create(&RoomId::parse(&id).unwrap(), &record).await.unwrap();
        assert_eq!(created, Creation::Done);
    });
    making.buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
}
