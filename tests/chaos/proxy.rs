//! What lies between one node and Redis: a line that can be cut in either direction, slowed, sliced and reset.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How bytes go in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Way {
    #[default]
    Open,
    /// Nothing is passed on, and nobody is told: bytes wait in the kernel.
    Cut,
    /// Each piece waits so long first.
    Delayed(Duration),
    /// A few bytes at a time.
    Sliced,
}

const SLICE: usize = 7;
const SLICE_PAUSE: Duration = Duration::from_micros(300);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Order {
    towards_redis: Way,
    from_redis: Way,
    /// Connections that are older than the newest of these are reset.
    resets: u64,
    /// Subscription connections that are older are cut for good.
    deafenings: u64,
    /// Nor does anything come through on new ones.
    is_deaf: bool,
}

pub struct Proxy {
    address: SocketAddr,
    order: Arc<watch::Sender<Order>>,
}

impl Proxy {
    /// A line to the Redis at `behind`, open.
    pub async fn before(behind: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let order = Arc::new(watch::Sender::new(Order::default()));
        tokio::spawn(accept(listener, behind, order.clone()));
        Self { address, order }
    }

    pub fn url(&self) -> String {
        format!("redis://{}/", self.address)
    }

    pub fn ways(&self, towards_redis: Way, from_redis: Way) {
        self.order.send_modify(|order| (order.towards_redis, order.from_redis) = (towards_redis, from_redis));
    }

    /// Resets every connection that is open.
    pub fn reset(&self) {
        self.order.send_modify(|order| order.resets += 1);
    }

    /// Lets nothing through any more on the open connections on which something was subscribed to.
    pub fn deafen(&self) {
        self.order.send_modify(|order| order.deafenings += 1);
    }

    /// Whether nothing comes through on connections that are opened to subscribe, either.
    pub fn stay_deaf(&self, is_deaf: bool) {
        self.order.send_modify(|order| order.is_deaf = is_deaf);
    }
}

async fn accept(listener: TcpListener, behind: String, order: Arc<watch::Sender<Order>>) {
    while let Ok((node, _)) = listener.accept().await {
        let Ok(server) = TcpStream::connect(&behind).await else { continue };
        for stream in [&node, &server] {
            // Small pieces are to arrive as small pieces.
            let _ = stream.set_nodelay(true);
        }
        let (node_read, node_write) = node.into_split();
        let (server_read, server_write) = server.into_split();
        let hears = Arc::new(AtomicBool::new(false));
        let (up, down) = (Pump::new(true, &order, &hears), Pump::new(false, &order, &hears));
        tokio::spawn(up.pass_on(node_read, server_write));
        tokio::spawn(down.pass_on(server_read, node_write));
    }
}

/// One direction of one connection.
struct Pump {
    towards_redis: bool,
    order: watch::Receiver<Order>,
    began: Order,
    /// Whether something was subscribed to on the connection.
    hears: Arc<AtomicBool>,
}

enum Now {
    Pass(Way),
    Hold,
    Reset,
}

impl Pump {
    fn new(towards_redis: bool, order: &watch::Sender<Order>, hears: &Arc<AtomicBool>) -> Self {
        let order = order.subscribe();
        let began = *order.borrow();
        Self { towards_redis, order, began, hears: hears.clone() }
    }

    fn now(&mut self) -> Now {
        let order = *self.order.borrow_and_update();
        let way = if self.towards_redis { order.towards_redis } else { order.from_redis };
        let is_deaf = order.is_deaf || order.deafenings > self.began.deafenings;
        if order.resets > self.began.resets {
            Now::Reset
        } else if way == Way::Cut || (is_deaf && self.hears.load(Ordering::Relaxed)) {
            Now::Hold
        } else {
            Now::Pass(way)
        }
    }

    async fn pass_on(mut self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut chunk = vec![0; 16 * 1024];
        loop {
            let Some(way) = self.may_pass(&from, &to).await else { return };
            let count = tokio::select! {
                biased;
                _ = self.order.changed() => continue,
                count = from.read(&mut chunk) => count,
            };
            let Ok(count @ 1..) = count else { return };
            self.listen(&chunk[..count]);
            if let Way::Delayed(time) = way {
                tokio::time::sleep(time).await;
            }
            let pieces = if way == Way::Sliced { SLICE } else { count };
            for piece in chunk[..count].chunks(pieces) {
                // What was read before a cut is still held back by it.
                if self.may_pass(&from, &to).await.is_none() || to.write_all(piece).await.is_err() {
                    return;
                }
                if pieces < count {
                    tokio::time::sleep(SLICE_PAUSE).await;
                }
            }
        }
    }

    /// Waits until the line is open; nothing when the connection was reset.
    async fn may_pass(&mut self, from: &OwnedReadHalf, to: &OwnedWriteHalf) -> Option<Way> {
        loop {
            match self.now() {
                Now::Pass(way) => return Some(way),
                Now::Hold => self.order.changed().await.ok()?,
                Now::Reset => {
                    for stream in [from.as_ref(), to.as_ref()] {
                        // Closing then resets instead of saying goodbye.
                        let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
                    }
                    return None;
                }
            }
        }
    }

    fn listen(&self, bytes: &[u8]) {
        if self.towards_redis && bytes.windows(11).any(|word| word.eq_ignore_ascii_case(b"\r\nSUBSCRIBE")) {
            self.hears.store(true, Ordering::Relaxed);
        }
    }
}
