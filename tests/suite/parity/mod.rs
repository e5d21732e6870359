//! The parity matrix: every scenario, from every dialect, seen by every dialect, on one node and on several.
//!
//! `scenarios` is the table, with steps from `scripts`; `acts` is what people do and see, `words` what a dialect has to know to say
//! so, and `action`, `simple`, `pychat` and `scrp` know it, independently of the server; `model` tells from both what everybody
//! should get; `stage` plays a cell with real clients and compares; `page` writes docs/protocols/PARITY.md from the same table.

mod accounts;
mod action;
mod acts;
mod cast;
mod hearing;
mod model;
mod model_of_rooms;
mod page;
mod pychat;
mod scenarios;
mod scenarios_of_accounts;
mod scripts;
mod scripts_of_accounts;
mod scrp;
mod simple;
mod stage;
mod words;

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::support::node::{Node, Plan};
use crate::support::redis::Redis;
use crate::support::token::with_key;
use cast::{Actor, Cast};
use model::Model;
use scenarios::{Arrival, Scenario};
use stage::{Places, Stage};
use words::{Person, Words};

/// As clients of every dialect see one another. A dialect with an extended mode is seen in both.
const DIALECTS: [&dyn Words; 5] = [
    &action::Action,
    &simple::Simple { extended: false },
    &simple::Simple { extended: true },
    &pychat::Pychat,
    &scrp::Scrp,
];

/// On how many nodes everything is played.
const NODES: [usize; 2] = [1, 3];

/// Cells that are played at once. All of them would do as well; but then a failure would drown in the deadlines of others.
const AT_ONCE: usize = 32;

#[test]
fn the_page_is_what_the_table_says() {
    page::hold();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parity_on_one_node() {
    play_all(vec![with_key(Plan::embedded()).start()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parity_on_three_nodes() {
    let redis = Redis::start();
    play_all((0..3).map(|_| with_key(Plan::on(&redis)).start()).collect()).await;
}

#[derive(Clone, Copy)]
struct Cell {
    scenario: &'static Scenario,
    sender: &'static dyn Words,
    receiver: &'static dyn Words,
    number: usize,
}

fn cells() -> impl Iterator<Item = Cell> {
    let scenarios: &'static [Scenario] = Vec::leak(scenarios::all());
    let pairs = || DIALECTS.iter().flat_map(|sender| DIALECTS.iter().map(move |receiver| (*sender, *receiver)));
    let combined = scenarios.iter().flat_map(move |scenario| pairs().map(move |pair| (scenario, pair)));
    combined.enumerate().map(|(number, (scenario, (sender, receiver)))| Cell { scenario, sender, receiver, number })
}

async fn play_all(nodes: Vec<Node>) {
    assert!(NODES.contains(&nodes.len()), "the page does not speak of {} nodes", nodes.len());
    let nodes = Arc::new(nodes);
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let mut plays = JoinSet::new();
    for cell in cells().filter(|cell| cell.is_possible()) {
        let (nodes, turns) = (nodes.clone(), turns.clone());
        plays.spawn(async move {
            let _turn = turns.acquire().await.expect("the semaphore is never closed");
            cell.play(&nodes).await.map_err(|error| format!("{} on {} node(s): {error}", cell.title(), nodes.len()))
        });
    }
    let count = plays.len();
    let mut failures: Vec<String> = plays.join_all().await.into_iter().filter_map(Result::err).collect();
    failures.sort();
    assert!(failures.is_empty(), "{} of {count} cells failed:\n{}", failures.len(), failures.join("\n"));
    println!("{count} cells");
}

impl Cell {
    fn title(&self) -> String {
        format!("{}, {} -> {}", self.scenario.title, self.sender.name(), self.receiver.name())
    }

    /// The cell's own people and room. Names are as narrow as the narrowest dialect wants them.
    fn cast(&self) -> Cast {
        self.cast_called(&self.number.to_string())
    }

    fn cast_called(&self, tag: &str) -> Cast {
        let actor = |words: &'static dyn Words, name: &str, arrival: Arrival| {
            let account = arrival == Arrival::Account || (arrival == Arrival::Guest && words.is_of_accounts());
            let named = match arrival {
                Arrival::Guest => words.has_nickname(),
                Arrival::Nameless => false,
                Arrival::Account => true,
            };
            let nickname = named.then(|| format!("{name}{tag}"));
            let id = (!named && !words.login_first()).then(|| format!("UUID of {name}"));
            Actor { words, person: Person { nickname, id }, account }
        };
        let start = &self.scenario.start;
        let receiver = if start.one_account { "sender" } else { "receiver" };
        Cast {
            room: format!("room{tag}"),
            sender: actor(self.sender, "sender", start.sender),
            receiver: actor(self.receiver, receiver, start.receiver),
            keeper: actor(&simple::Simple { extended: true }, "keeper", Arrival::Account),
            free_name: format!("other{tag}"),
        }
    }

    /// Whether all that has to be asked for can be.
    fn is_possible(&self) -> bool {
        let mut model = Model::new(self.cast(), &self.scenario.start);
        (self.scenario.script)(&model.cast).is_ok_and(|steps| steps.iter().all(|step| model.perform(step).is_ok()))
    }

    async fn play(&self, nodes: &[Node]) -> Result<(), String> {
        // With three nodes everybody is on another one.
        let node = |number: usize| &nodes[(self.number + number) % nodes.len()];
        let places = Places { sender: node(0), receiver: node(1), keeper: node(2) };
        let mut stage = Stage::open(self.cast(), &self.scenario.start, places).await?;
        for (number, step) in (self.scenario.script)(stage.cast())?.iter().enumerate() {
            let played = stage.play(step).await;
            played.map_err(|error| format!("step {number}, {:?} {:?}: {error}", step.role, step.act))?;
        }
        Ok(())
    }
}
