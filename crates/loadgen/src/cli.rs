//! The command line of `crosstalk load`.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand};

use crate::dialect::{Dialect, Goes};
use crate::measure::Times;
use crate::plan::{self, Plan, Target, Traffic};
use crate::stamp;

/// Load a gateway, measure what it costs, and judge what it promises.
#[derive(Debug, Args)]
pub struct Load {
    #[command(subcommand)]
    pub scenario: Scenario,
}

#[derive(Debug, Subcommand)]
pub enum Scenario {
    /// One room: everybody hears everybody.
    Hot {
        /// Members of the room.
        #[arg(long, default_value_t = 1000)]
        members: u32,
        #[command(flatten)]
        pace: Pace,
        #[command(flatten)]
        common: Common,
    },
    /// Many small rooms.
    Rooms {
        /// How many rooms.
        #[arg(long, default_value_t = 1000)]
        rooms: u32,
        /// Members of each.
        #[arg(long, default_value_t = 10)]
        members: u32,
        /// Further rooms that each of them sits in, alone and in silence: for more rooms than there are connections. In action
        /// and action-ext.
        #[arg(long, value_name = "ROOMS", default_value_t = 0)]
        own_rooms: u32,
        #[command(flatten)]
        pace: Pace,
        #[command(flatten)]
        common: Common,
    },
    /// Connections that come in and then do nothing: memory and CPU of each.
    Idle {
        /// How many.
        #[arg(long, default_value_t = 1000)]
        connections: u32,
        /// Members of each room, where they go so far.
        #[arg(long, default_value_t = 10)]
        members: u32,
        /// How far they go.
        #[arg(long, value_enum, default_value_t = Goes::Joined)]
        goes: Goes,
        #[command(flatten)]
        common: Common,
    },
    /// Connections that come in as fast as they can: CPU of each, and their rate.
    Storm {
        /// How many.
        #[arg(long, default_value_t = 1000)]
        connections: u32,
        /// Members of each room, where they go so far.
        #[arg(long, default_value_t = 10)]
        members: u32,
        /// How far they go.
        #[arg(long, value_enum, default_value_t = Goes::Joined)]
        goes: Goes,
        #[command(flatten)]
        common: Common,
    },
    /// Rooms in which a fifth of the people go and come again all the time.
    Churn {
        /// How many rooms.
        #[arg(long, default_value_t = 20)]
        rooms: u32,
        /// Members of each.
        #[arg(long, default_value_t = 50)]
        members: u32,
        /// How many go and come again per second.
        #[arg(long, value_name = "PER_SECOND", default_value_t = 50.0)]
        comings: f64,
        #[command(flatten)]
        pace: Pace,
        #[command(flatten)]
        common: Common,
    },
    /// One room in which some read nothing.
    Slow {
        /// Members of the room.
        #[arg(long, default_value_t = 1000)]
        members: u32,
        /// One of so many reads nothing.
        #[arg(long, value_name = "MEMBERS", default_value_t = 10)]
        one_of: u32,
        #[command(flatten)]
        pace: Pace,
        #[command(flatten)]
        common: Common,
    },
    /// All dialects in the same rooms, with people coming and going.
    Evening {
        /// How many rooms.
        #[arg(long, default_value_t = 50)]
        rooms: u32,
        /// Members of each.
        #[arg(long, default_value_t = 20)]
        members: u32,
        /// How many go and come again per second.
        #[arg(long, value_name = "PER_SECOND", default_value_t = 5.0)]
        comings: f64,
        #[command(flatten)]
        pace: Pace,
        #[command(flatten)]
        common: Common,
    },
    /// A part of the people of a run with several processes; takes orders from its standard input.
    #[command(hide = true)]
    Worker,
    /// The floor program that others' costs are compared with: ends with its standard input.
    #[command(hide = true)]
    Floor {
        /// The processor to run on.
        #[arg(long)]
        pin: Option<usize>,
    },
}

/// When messages are sent.
#[derive(Debug, Args)]
pub struct Pace {
    /// Closed loop: the next message is sent when one has come to all members; so many at a time.
    #[arg(long, value_name = "MESSAGES", conflicts_with = "rate")]
    in_flight: Option<usize>,
    /// Open loop: so many messages per second, whatever comes of them.
    #[arg(long, value_name = "PER_SECOND")]
    rate: Option<f64>,
}

impl Pace {
    fn traffic(&self) -> Result<Traffic> {
        Ok(match (self.in_flight, self.rate) {
            (_, Some(per_second)) => {
                ensure!(per_second > 0.0 && per_second.is_finite(), "--rate is to be above 0");
                Traffic::Open { per_second }
            }
            (in_flight, None) => Traffic::Closed { in_flight: in_flight.unwrap_or(1).max(1) },
        })
    }
}

#[derive(Debug, Args)]
pub struct Common {
    /// Where the gateway is: `ws://host:port[/path]` or `tcp://host:port`, and `dialect=` before it if it is for that one alone. May be
    /// repeated; connections take turns.
    #[arg(long = "url", value_name = "URL", default_value = "ws://127.0.0.1:8080")]
    urls: Vec<String>,
    /// What is spoken: action, action-ext, simple, pychat, scrp. Several, with commas: connections take turns. Without it action, or in
    /// an evening all.
    #[arg(long, value_name = "DIALECT", value_delimiter = ',')]
    dialect: Vec<String>,
    /// Bytes of each text.
    #[arg(long, value_name = "BYTES", default_value_t = 100)]
    text_bytes: usize,
    /// Seconds of measuring.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Measure until so many messages were sent, if that is sooner.
    #[arg(long)]
    messages: Option<u64>,
    /// Seconds of the same before it.
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0)]
    warm_up: f64,
    /// Seconds for the last messages to come.
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    drain: f64,
    /// Connections that are being opened at a time.
    #[arg(long, value_name = "CONNECTIONS", default_value_t = 64)]
    at_once: usize,
    /// Processes that share the people among them, for more than the file descriptors or the processor time of one allow.
    #[arg(long, default_value_t = 1)]
    processes: u32,
    /// A process of this machine to take CPU and memory of: `name=pid`, or `name=:port` for who listens there. Whoever listens at the
    /// URLs is `server`.
    #[arg(long, value_name = "PROCESS")]
    pub watch: Vec<String>,
    /// Run the same against the floor program, after the gateway, and give multiples of its cost.
    #[arg(long)]
    pub floor: bool,
    /// How often gateway and floor take turns.
    #[arg(long, default_value_t = 1)]
    pub rounds: u32,
    /// The processor that this program runs on.
    #[arg(long, value_name = "CPU")]
    pub pin: Option<usize>,
    /// The processor that the floor program runs on.
    #[arg(long, value_name = "CPU")]
    pub floor_pin: Option<usize>,
    /// Write the whole report there, as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// A scenario with all that follows from the arguments.
#[derive(Debug)]
pub struct Order {
    pub what: String,
    pub plan: Plan,
    pub processes: u32,
    pub times: Times,
    pub targets: Vec<Target>,
}

/// What the scenarios differ in.
struct Cast {
    what: String,
    rooms: u32,
    members: u32,
    goes: Goes,
    own_rooms: u32,
    traffic: Traffic,
    stalled_every: u32,
    comings: f64,
}

impl Cast {
    fn new(what: String, (rooms, members): (u32, u32), traffic: Traffic) -> Self {
        Self { what, rooms, members, goes: Goes::Joined, own_rooms: 0, traffic, stalled_every: 0, comings: 0.0 }
    }

    /// People who do nothing, in as many rooms as it takes.
    fn idle(what: &str, connections: u32, members: u32, goes: Goes) -> Self {
        let what = format!("{connections} connections that {what} ({})", goes.label());
        let rooms = connections.div_ceil(members.max(1));
        Self { goes, ..Self::new(what, (rooms, members), Traffic::Silence) }
    }
}

/// The share of the people who come and go, where some do: one of so many.
const CHURNING_EVERY: u32 = 5;

impl Common {
    fn order(&self, cast: Cast, otherwise: &[Dialect]) -> Result<Order> {
        let people = cast.rooms.checked_mul(cast.members).filter(|people| (1..stamp::SENDERS).contains(people));
        let people =
            people.with_context(|| format!("{} times {} people are none, or too many", cast.rooms, cast.members))?;
        ensure!(self.text_bytes >= stamp::SHORTEST_TEXT, "a text has at least {} bytes", stamp::SHORTEST_TEXT);
        ensure!(self.seconds > 0.0 && self.warm_up >= 0.0 && self.drain >= 0.0, "times are above 0");
        ensure!(cast.comings >= 0.0 && cast.comings.is_finite(), "--comings is not below 0");
        let most = if cast.rooms == 1 { cast.members } else { cast.rooms };
        ensure!((1..=most).contains(&self.processes), "--processes is from 1 to {most} here");
        let targets = self.urls.iter().map(|url| Target::parse(url)).collect::<Result<Vec<_>>>()?;
        let named = self.dialect.iter().map(|label| Dialect::from_label(label)).collect::<Result<Vec<_>>>()?;
        let dialects = if named.is_empty() { otherwise } else { &named };
        ensure!(
            cast.own_rooms == 0 || dialects.iter().all(|dialect| dialect.has_own_rooms()),
            "--own-rooms is for the dialects action and action-ext"
        );
        let labels: Vec<&str> = dialects.iter().map(|dialect| dialect.label()).collect();
        let what = format!("{}, {}, {}", cast.what, labels.join(" and "), describe(cast.traffic, self.text_bytes));
        let plan = Plan {
            run: plan::run_name(),
            routes: plan::routes(dialects, &targets)?,
            first: 0,
            people,
            members_per_room: cast.members,
            goes: cast.goes,
            own_rooms: cast.own_rooms,
            traffic: cast.traffic,
            text_bytes: self.text_bytes,
            opening_at_once: self.at_once.max(1),
            stalled_every: cast.stalled_every,
            most_messages: self.messages.unwrap_or(u64::MAX),
            churn_per_second: cast.comings,
            churning_every: if cast.comings > 0.0 { CHURNING_EVERY } else { 0 },
            drain_ms: (self.drain * 1000.0) as u64,
        };
        let times = Times { warm_up: self.warm_up, talk: self.seconds };
        Ok(Order { what, plan, processes: self.processes, times, targets })
    }

    fn silent_order(&self, cast: Cast, connections: u32, seconds: f64) -> Result<Order> {
        let mut order = self.order(cast, &[Dialect::Action])?;
        order.plan.people = connections;
        order.times = Times { warm_up: 0.0, talk: seconds };
        Ok(order)
    }
}

impl Scenario {
    /// What to do; nothing for the programs that a run starts for itself.
    pub fn order(&self) -> Result<Option<(Order, &Common)>> {
        const ACTION: &[Dialect] = &[Dialect::Action];
        Ok(match self {
            Self::Hot { members, pace, common } => {
                let cast = Cast::new(format!("one room of {members}"), (1, *members), pace.traffic()?);
                Some((common.order(cast, ACTION)?, common))
            }
            Self::Rooms { rooms, members, own_rooms, pace, common } => {
                let what = match own_rooms {
                    0 => format!("{rooms} rooms of {members}"),
                    own => format!("{rooms} rooms of {members} who are in {own} of their own each"),
                };
                let cast = Cast { own_rooms: *own_rooms, ..Cast::new(what, (*rooms, *members), pace.traffic()?) };
                Some((common.order(cast, ACTION)?, common))
            }
            Self::Idle { connections, members, goes, common } => {
                let cast = Cast::idle("do nothing", *connections, *members, *goes);
                Some((common.silent_order(cast, *connections, common.seconds)?, common))
            }
            Self::Storm { connections, members, goes, common } => {
                let cast = Cast::idle("come all at once", *connections, *members, *goes);
                Some((common.silent_order(cast, *connections, 0.0)?, common))
            }
            Self::Churn { rooms, members, comings, pace, common } => {
                let what = format!("{rooms} rooms of {members}, {comings} comings per second");
                let cast = Cast { comings: *comings, ..Cast::new(what, (*rooms, *members), pace.traffic()?) };
                Some((common.order(cast, ACTION)?, common))
            }
            Self::Slow { members, one_of, pace, common } => {
                ensure!(*one_of > 1, "--one-of is above 1, for somebody has to read");
                let what = format!("one room of {members}, one of {one_of} reads nothing");
                let cast = Cast { stalled_every: *one_of, ..Cast::new(what, (1, *members), pace.traffic()?) };
                Some((common.order(cast, ACTION)?, common))
            }
            Self::Evening { rooms, members, comings, pace, common } => {
                let what = format!("an evening in {rooms} rooms of {members}, {comings} comings per second");
                let cast = Cast { comings: *comings, ..Cast::new(what, (*rooms, *members), pace.traffic()?) };
                Some((common.order(cast, &Dialect::ALL)?, common))
            }
            Self::Worker | Self::Floor { .. } => None,
        })
    }
}

fn describe(traffic: Traffic, text_bytes: usize) -> String {
    match traffic {
        Traffic::Silence => "silent".to_owned(),
        Traffic::Closed { in_flight } => format!("{in_flight} in flight, texts of {text_bytes} bytes"),
        Traffic::Open { per_second } => format!("{per_second} messages per second, texts of {text_bytes} bytes"),
    }
}
