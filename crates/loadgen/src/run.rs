//! From the command line to the report.

use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};

use anyhow::{Context, Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::{Common, Load, Order, Scenario};
use crate::crew;
use crate::dialect::Dialect;
use crate::floor::Floor;
use crate::framing::Framing;
use crate::measure::{Measured, measure};
use crate::plan::{self, Plan, Route};
use crate::report::{FLOOR, Report, Round, SERVER};
use crate::usage::{self, Watched};

/// Carries out `crosstalk load`. Fails for what keeps it from measuring; the exit code says whether the gateway kept its promises.
pub fn run(load: &Load) -> Result<ExitCode> {
    match load.scenario {
        Scenario::Worker => return crew::work(),
        Scenario::Floor { pin } => {
            pin_to(pin)?;
            return Floor::new()?.run();
        }
        _ => {}
    }
    let Some((order, common)) = load.scenario.order()? else { return Ok(ExitCode::FAILURE) };
    pin_to(common.pin)?;
    raise_descriptors(order.plan.people.div_ceil(order.processes))?;
    let watched = watched(&order, common)?;
    let bar = Bar::new();
    let rounds = (1..=common.rounds.max(1)).map(|number| {
        // With names of its own: those of the round before may be held for a while yet.
        let plan = Plan { run: plan::run_name(), ..order.plan.clone() };
        let server = measure(&order, plan, &watched, &mut |what, share| {
            bar.show(&format!("round {number}, server: {what}"), share);
        })?;
        let floor = common.floor.then(|| {
            measure_floor(&order, common, &mut |what, share| bar.show(&format!("round {number}, floor: {what}"), share))
        });
        Ok(Round { server, floor: floor.transpose()? })
    });
    let report = Report::new(order.what.clone(), rounds.collect::<Result<_>>()?);
    bar.clear();
    print!("{report}");
    if let Some(path) = &common.json {
        let file = File::create(path).with_context(|| format!("{} cannot be written", path.display()))?;
        serde_json::to_writer_pretty(file, &report)?;
    }
    Ok(if report.broken().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whoever listens where the connections go, as far as it is on this machine, and who was named.
fn watched(order: &Order, common: &Common) -> Result<Vec<Watched>> {
    let mut watched = Vec::new();
    for address in order.targets.iter().map(|target| target.address()).filter(|address| address.ip().is_loopback()) {
        if let Some(pid) = usage::listening_on(address.port())? {
            let server = Watched { name: SERVER.to_owned(), pid };
            if !watched.contains(&server) {
                watched.push(server);
            }
        }
    }
    for text in &common.watch {
        watched.push(Watched::parse(text)?);
    }
    Ok(watched)
}

/// The floor program as a child, which ends when its standard input does, and so with this process.
struct FloorChild {
    child: Child,
    address: SocketAddr,
    _stdin: Option<ChildStdin>,
}

impl FloorChild {
    fn start(pin: Option<usize>) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["load", "floor"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        if let Some(pin) = pin {
            command.args(["--pin", &pin.to_string()]);
        }
        let mut child = command.spawn().context("the floor program does not start")?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let address = line.trim().parse().with_context(|| format!("the floor program said {line:?}"))?;
        Ok(Self { address, _stdin: child.stdin.take(), child })
    }
}

impl Drop for FloorChild {
    fn drop(&mut self) {
        // Both fail only for a child that is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The same people, rooms and messages, against the floor program.
fn measure_floor(order: &Order, common: &Common, progress: &mut dyn FnMut(&str, f64)) -> Result<Measured> {
    let child = FloorChild::start(common.floor_pin)?;
    let route = Route {
        dialect: Dialect::Floor,
        framing: Framing::WebSocket,
        address: child.address,
        host: child.address.to_string(),
        path: Dialect::Floor.path().to_owned(),
    };
    let mut plan = order.plan.clone();
    plan.routes = vec![route];
    let watched = [Watched { name: FLOOR.to_owned(), pid: child.child.id() }];
    measure(order, plan, &watched, progress)
}

fn pin_to(cpu: Option<usize>) -> Result<()> {
    let Some(cpu) = cpu else { return Ok(()) };
    ensure!(cpu < rustix::thread::CpuSet::MAX_CPU, "there is no processor {cpu}");
    let mut set = rustix::thread::CpuSet::new();
    set.set(cpu);
    rustix::thread::sched_setaffinity(None, &set).with_context(|| format!("no running on processor {cpu}"))
}

/// Descriptors beside the connections.
const OTHER_DESCRIPTORS: u64 = 64;

fn raise_descriptors(people: u32) -> Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let needed = u64::from(people) + OTHER_DESCRIPTORS;
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    let most = limit.maximum.unwrap_or(u64::MAX);
    ensure!(
        needed <= most,
        "{people} connections need {needed} file descriptors, and this process may have {most}; try --processes"
    );
    setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum: limit.maximum })?;
    Ok(())
}

/// On a terminal only.
struct Bar(Option<ProgressBar>);

impl Bar {
    const STEPS: u64 = 1000;

    fn new() -> Self {
        let style = ProgressStyle::with_template("{bar:30} {msg}");
        let bar = style.ok().filter(|_| std::io::stderr().is_terminal());
        Self(bar.map(|style| ProgressBar::new(Self::STEPS).with_style(style)))
    }

    fn show(&self, what: &str, share: f64) {
        let Some(bar) = &self.0 else { return };
        if bar.message() != what {
            bar.set_message(what.to_owned());
        }
        bar.set_position((share.clamp(0.0, 1.0) * Self::STEPS as f64) as u64);
    }

    fn clear(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
