//! After a reconnect many rooms are heard again in portions, and whoever joins meanwhile does not wait for the last of them.
//! Counted on the way to a real Redis, by a proxy.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::*;

const ROOMS: usize = 10_000;
/// What may be under way at once.
const PORTION: usize = 500;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_rooms_are_heard_again_in_portions_with_joins_in_between() {
    let server = Server::start();
    let proxy = Proxy::before(&server).await;
    let node = redis_at(|settings| settings.url.clone_from(&proxy.url)).await;
    let wishes: Vec<_> =
        (0..ROOMS).map(|number| node.backend.broker.subscribe(&room(&format!("room {number}")))).collect();
    assert!(join_all(wishes).await.into_iter().all(|granted| granted == Ok(true)));

    let counts = proxy.counts.clone();
    counts.begin();
    proxy.open.send_replace(false);
    assert!(server.number(&["CLIENT", "KILL", "TYPE", "pubsub"]) > 0);
    eventually("the first portions are on their way", async || counts.sent.load(Ordering::SeqCst) > 0).await;
    let late = node.backend.broker.subscribe(&room("late"));
    proxy.open.send_replace(true);
    assert_eq!(late.await, Ok(true));
    eventually("all are heard again", async || {
        node.metrics.bus_channels_waiting.get() == 0 && node.backend.broker.hears()
    })
    .await;

    let most = counts.most_under_way.load(Ordering::SeqCst);
    assert!((1..=PORTION).contains(&most), "{most} subscriptions were under way at once");
    let before_late = counts.before_late.load(Ordering::SeqCst);
    assert!(before_late < ROOMS, "the late one came after {before_late} others");
    let channels = server.list(&["PUBSUB", "CHANNELS", "t:ch:*"]);
    assert_eq!(channels.len(), ROOMS + 1);
}

async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, waiting).await.unwrap_or_else(|_| panic!("waited for: {what}"));
}

/// Subscriptions that passed.
#[derive(Default)]
struct Counts {
    sent: AtomicUsize,
    confirmed: AtomicUsize,
    most_under_way: AtomicUsize,
    before_late: AtomicUsize,
}

impl Counts {
    fn begin(&self) {
        for count in [&self.sent, &self.confirmed, &self.most_under_way, &self.before_late] {
            count.store(0, Ordering::SeqCst);
        }
    }
}

struct Proxy {
    url: String,
    counts: Arc<Counts>,
    /// While it is shut, what Redis answers does not arrive.
    open: Arc<watch::Sender<bool>>,
}

impl Proxy {
    async fn before(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}/", listener.local_addr().unwrap());
        let behind = server.url().trim_start_matches("redis://").trim_end_matches('/').to_owned();
        let (counts, open) = (Arc::<Counts>::default(), Arc::new(watch::Sender::new(true)));
        tokio::spawn({
            let (counts, open) = (counts.clone(), open.clone());
            async move {
                while let Ok((node, _)) = listener.accept().await {
                    let Ok(server) = TcpStream::connect(&behind).await else { continue };
                    let ((node_read, node_write), (server_read, server_write)) =
                        (node.into_split(), server.into_split());
                    tokio::spawn(to_server(node_read, server_write, counts.clone()));
                    tokio::spawn(to_node(server_read, node_write, counts.clone(), open.subscribe()));
                }
            }
        });
        Self { url, counts, open }
    }
}

async fn to_server(from: OwnedReadHalf, mut to: OwnedWriteHalf, counts: Arc<Counts>) {
    let mut seen = Seen::new(from, b"$9\r\nSUBSCRIBE\r\n");
    let mut late = 0;
    while let Some((bytes, count)) = seen.next().await {
        let sent = counts.sent.fetch_add(count, Ordering::SeqCst) + count;
        let under_way = sent.saturating_sub(counts.confirmed.load(Ordering::SeqCst));
        counts.most_under_way.fetch_max(under_way, Ordering::SeqCst);
        if late == 0 && bytes.windows(13).any(|window| window == b"t:ch:{late}\r\n") {
            late = sent;
            counts.before_late.store(sent, Ordering::SeqCst);
        }
        if to.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

async fn to_node(from: OwnedReadHalf, mut to: OwnedWriteHalf, counts: Arc<Counts>, mut open: watch::Receiver<bool>) {
    let mut seen = Seen::new(from, b"$9\r\nsubscribe\r\n");
    while let Some((bytes, count)) = seen.next().await {
        // Only the connection that hears is held back.
        if count > 0 && open.wait_for(|open| *open).await.is_err() {
            return;
        }
        counts.confirmed.fetch_add(count, Ordering::SeqCst);
        if to.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

/// Bytes as they come, and how many times a word ended in them.
struct Seen {
    from: OwnedReadHalf,
    word: &'static [u8],
    tail: Vec<u8>,
}

impl Seen {
    fn new(from: OwnedReadHalf, word: &'static [u8]) -> Self {
        Self { from, word, tail: Vec::new() }
    }

    async fn next(&mut self) -> Option<(Vec<u8>, usize)> {
        let mut chunk = vec![0; 16 * 1024];
        let length = self.from.read(&mut chunk).await.ok().filter(|length| *length > 0)?;
        chunk.truncate(length);
        self.tail.extend_from_slice(&chunk);
        let count = self.tail.windows(self.word.len()).filter(|window| *window == self.word).count();
        // A word that is not whole yet counts with the next bytes; one that is, not again.
        let keep = self.tail.len().min(self.word.len() - 1);
        self.tail.drain(..self.tail.len() - keep);
        Some((chunk, count))
    }
}
