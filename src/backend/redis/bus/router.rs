//! Which connection hears which channel. On one server there is one; in a cluster each primary has one, and slots move.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::ear::{Ear, Order, State, Stray};
use super::heartbeat::Barrier;
use super::{Channel, Shared, Wish};
use crate::backend::redis::BackendError;
use crate::backend::redis::cluster::{Address, SlotMap, slot_of};

/// Wishes worked through at once.
const WISHES_AT_ONCE: usize = 1_024;
/// How often a channel is offered again that nobody took.
const OFFER_EVERY: Duration = Duration::from_millis(250);
/// Names tried for a channel in one of a server's slots: with a single slot of 16,384, all of these miss once in 10^26 times.
const NAMES_TRIED: u32 = 1_000_000;

pub struct Router {
    shared: Arc<Shared>,
    wishes: mpsc::UnboundedReceiver<Wish>,
    ears: Vec<Handle>,
    /// What is wanted, and which connection was told so, by its number; 0: nobody yet.
    wanted: HashMap<Channel, u64>,
    /// There may be one that nobody was told of. What is wanted may be very much, and is not to be looked through in vain.
    is_some_homeless: bool,
    /// Sessions that wait for a channel that nobody took yet.
    waiting: HashMap<Channel, Vec<oneshot::Sender<bool>>>,
    map: Option<watch::Receiver<Arc<SlotMap>>>,
    strays: (mpsc::UnboundedSender<Vec<Stray>>, mpsc::UnboundedReceiver<Vec<Stray>>),
    numbers: u64,
}

/// A connection that hears, seen from here. Its task ends when this is dropped.
struct Handle {
    number: u64,
    state: Arc<State>,
    orders: mpsc::UnboundedSender<Order>,
}

impl Router {
    /// # Errors
    /// When one of the connections cannot be made.
    pub async fn connect(shared: Arc<Shared>, wishes: mpsc::UnboundedReceiver<Wish>) -> Result<Self, BackendError> {
        let map = shared.link.cluster().map(|cluster| cluster.map());
        // Each wanted channel strays at most once before it is given a home again.
        let strays = mpsc::unbounded_channel();
        let (ears, wanted, waiting) = (Vec::new(), HashMap::new(), HashMap::new());
        let mut router =
            Self { shared, wishes, ears, wanted, waiting, is_some_homeless: false, map, strays, numbers: 0 };
        let places = match &router.map {
            Some(map) => map.borrow().primaries().iter().cloned().map(Some).collect(),
            None => vec![None],
        };
        for address in places {
            let (ear, orders) = router.new_ear(address)?;
            let answers = !ear.state().server_is_away(&router.shared.link);
            router.start(ear, orders, answers).await?;
        }
        for channel in [router.shared.node_channel.clone(), router.shared.all_nodes_channel.clone()] {
            let (ready, taken) = oneshot::channel();
            let is_away = router.is_away(&channel);
            router.subscribe(channel, ready);
            if is_away {
                // Nobody can publish on it, either; it is subscribed when its server is there.
                continue;
            }
            let limit = router.shared.settings.command_timeout;
            if !matches!(tokio::time::timeout(limit, taken).await, Ok(Ok(true))) {
                return Err(BackendError::Unavailable("the node's own channels are not heard".to_owned()));
            }
        }
        Ok(router)
    }

    fn new_ear(&self, address: Option<Address>) -> Result<(Ear, mpsc::UnboundedSender<Order>), BackendError> {
        let channel = self.heartbeat_channel(address.as_ref())?;
        // Bounded like the wishes that it carries on.
        let (orders, receiver) = mpsc::unbounded_channel();
        Ok((Ear::new(self.shared.clone(), address, channel, receiver, self.strays.0.clone()), orders))
    }

    async fn start(
        &mut self,
        mut ear: Ear,
        orders: mpsc::UnboundedSender<Order>,
        at_once: bool,
    ) -> Result<(), BackendError> {
        self.numbers += 1;
        let state = ear.state().clone();
        self.shared.ears.write().push(state.clone());
        let connection = if at_once { Some(ear.connect().await?) } else { None };
        let stop = self.shared.stop.clone();
        tokio::spawn(async move { stop.run_until_cancelled(ear.run(connection)).await });
        self.ears.push(Handle { number: self.numbers, state, orders });
        Ok(())
    }

    /// A channel of this node's own that lies in a slot of that server.
    fn heartbeat_channel(&self, address: Option<&Address>) -> Result<Channel, BackendError> {
        let name = |number| -> Channel { self.shared.keys.heartbeat_channel(self.shared.settings.id, number).into() };
        let (Some(address), Some(map)) = (address, &self.map) else { return Ok(name(0)) };
        let map = map.borrow();
        (0..NAMES_TRIED)
            .map(name)
            .find(|channel| map.owner(slot_of(channel.as_bytes())) == Some(address))
            .ok_or_else(|| BackendError::Unavailable("a cluster node has no slots".to_owned()))
    }

    pub async fn run(mut self) {
        let mut batch = Vec::new();
        let mut offers = tokio::time::interval(OFFER_EVERY);
        offers.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let in_cluster = self.map.is_some();
            let map = &mut self.map;
            let changed = async {
                match map {
                    Some(map) => map.changed().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                count = self.wishes.recv_many(&mut batch, WISHES_AT_ONCE) => {
                    if count == 0 {
                        return;
                    }
                    std::mem::take(&mut batch).into_iter().for_each(|wish| self.fulfil(wish));
                }
                Some(strays) = self.strays.1.recv() => self.take_back(strays),
                Ok(()) = changed => self.rearrange().await,
                _ = offers.tick(), if in_cluster => self.offer_homeless(),
            }
        }
    }

    fn fulfil(&mut self, wish: Wish) {
        match wish {
            Wish::Subscribe(room, ready) => self.subscribe(self.shared.keys.room_channel(&room).into(), ready),
            Wish::Unsubscribe(room) => {
                let channel: Channel = self.shared.keys.room_channel(&room).into();
                self.waiting.remove(&channel);
                if let Some(home) = self.wanted.remove(&channel) {
                    self.order(home, Order::Unsubscribe(channel));
                }
            }
            Wish::Barrier(reached) => self.barrier(reached),
        }
    }

    fn subscribe(&mut self, channel: Channel, ready: oneshot::Sender<bool>) {
        let home = self.home_of(&channel);
        self.wanted.insert(channel.clone(), home);
        if home == 0 {
            self.is_some_homeless = true;
            self.waiting.entry(channel).or_default().push(ready);
        } else {
            self.order(home, Order::Subscribe(channel, ready));
        }
    }

    /// Has a heartbeat sent to every connection; one that ended drops its part, and nothing is reached.
    fn barrier(&self, reached: oneshot::Sender<()>) {
        let barrier = Arc::new(Barrier::new(self.ears.len(), reached));
        for ear in &self.ears {
            let _ = ear.orders.send(Order::Barrier(barrier.clone()));
        }
    }

    fn order(&self, home: u64, order: Order) {
        if let Some(ear) = self.ears.iter().find(|ear| ear.number == home) {
            // One that ended is not among them.
            let _ = ear.orders.send(order);
        }
    }

    /// The number of the connection that is to hear a channel; 0 while its slot is nobody's.
    fn home_of(&self, channel: &Channel) -> u64 {
        let Some(map) = &self.map else { return self.ears.first().map_or(0, |ear| ear.number) };
        let map = map.borrow();
        let Some(owner) = map.owner(slot_of(channel.as_bytes())) else { return 0 };
        self.ears.iter().find(|ear| ear.state.address() == Some(owner)).map_or(0, |ear| ear.number)
    }

    /// Whether nobody answers who has the channel's slot.
    fn is_away(&self, channel: &Channel) -> bool {
        let home = self.home_of(channel);
        let ear = self.ears.iter().find(|ear| ear.number == home);
        ear.is_none_or(|ear| ear.state.server_is_away(&self.shared.link))
    }

    /// Channels that a server did not take, or gave up.
    fn take_back(&mut self, strays: Vec<Stray>) {
        for Stray { channel, waiting } in strays {
            // Unless nobody wants it any more.
            let Some(home) = self.wanted.get_mut(&channel) else { continue };
            *home = 0;
            self.is_some_homeless = true;
            if let Some(ready) = waiting {
                self.waiting.entry(channel).or_default().push(ready);
            }
        }
        if let Some(cluster) = self.shared.link.cluster() {
            cluster.suspect();
        }
    }

    /// Follows the map: a connection for each primary, each channel with the one that owns its slot.
    async fn rearrange(&mut self) {
        let Some(map) = self.map.as_ref().map(|map| map.borrow().clone()) else { return };
        self.ears.retain(|ear| {
            let address = ear.state.address();
            address.is_some() && map.owner(slot_of(ear.state.heartbeat_channel().as_bytes())) == address
        });
        for address in map.primaries() {
            if self.ears.iter().any(|ear| ear.state.address() == Some(address)) {
                continue;
            }
            let started = match self.new_ear(Some(address.clone())) {
                Ok((ear, orders)) => self.start(ear, orders, false).await,
                Err(error) => Err(error),
            };
            if let Err(error) = started {
                tracing::warn!(%error, host = address.0, port = address.1, "a cluster node is not heard");
            }
        }
        *self.shared.ears.write() = self.ears.iter().map(|ear| ear.state.clone()).collect();
        self.shared.note_hearing();
        let moved: Vec<(Channel, u64)> = self
            .wanted
            .iter()
            .filter(|(channel, home)| **home != 0 && self.home_of(channel) != **home)
            .map(|(channel, home)| (channel.clone(), *home))
            .collect();
        for (channel, home) in moved {
            self.order(home, Order::Unsubscribe(channel.clone()));
            self.wanted.insert(channel, 0);
            self.is_some_homeless = true;
        }
        self.offer_homeless();
    }

    /// Gives the channels that nobody hears to whoever owns their slots now.
    fn offer_homeless(&mut self) {
        if !std::mem::take(&mut self.is_some_homeless) {
            return;
        }
        let homeless: Vec<Channel> =
            self.wanted.iter().filter(|(_, home)| **home == 0).map(|(channel, _)| channel.clone()).collect();
        let mut adopted: HashMap<u64, Vec<Channel>> = HashMap::new();
        for channel in homeless {
            let home = self.home_of(&channel);
            if home == 0 {
                self.is_some_homeless = true;
                continue;
            }
            self.wanted.insert(channel.clone(), home);
            for ready in self.waiting.remove(&channel).into_iter().flatten() {
                self.order(home, Order::Subscribe(channel.clone(), ready));
            }
            adopted.entry(home).or_default().push(channel);
        }
        for (home, channels) in adopted {
            self.order(home, Order::Adopt(channels));
        }
    }
}
