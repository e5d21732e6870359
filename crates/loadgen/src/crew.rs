//! The people of a run: in this process, or in several.
//!
//! A worker reads its plan and then one order after the other from its standard input, each a line of JSON, and answers each with a line. Between
//! orders it goes on reading from its connections.

use std::io::{self, BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::engine::Engine;
use crate::judge::Digest;
use crate::plan::Plan;
use crate::tally::Tally;

/// The joins' notices are over when nothing came for so long.
const QUIET_MS: u64 = 300;
const SETTLE_MS: u64 = 60_000;

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub enum Step {
    Open,
    /// Wait for what the joins caused.
    Settle,
    Talk {
        seconds: f64,
    },
    /// Forget what was for warming up.
    Count,
    Finish,
}

#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    Done,
    Finished(Box<Share>),
    Failed(String),
}

/// What one process knows at the end.
#[derive(Debug, Serialize, Deserialize)]
struct Share {
    tally: Tally,
    /// Of the one room that all processes are in.
    digest: Option<Digest>,
    acknowledged: u64,
    judged: u32,
}

pub enum Crew {
    Here(Box<Engine>),
    Elsewhere(Vec<Worker>),
}

impl Crew {
    pub fn gather(plan: Plan, processes: u32) -> Result<Self> {
        if processes <= 1 {
            return Ok(Self::Here(Box::new(Engine::new(plan)?)));
        }
        Ok(Self::Elsewhere(plan.parts(processes).iter().map(Worker::start).collect::<Result<_>>()?))
    }

    /// All do the step, and are done with it. `progress` is told the part that is done, where that is known.
    pub fn go(&mut self, step: Step, progress: &mut dyn FnMut(f64)) -> Result<()> {
        match self {
            Self::Here(engine) => carry_out(engine, step, progress),
            Self::Elsewhere(workers) => {
                workers.iter_mut().try_for_each(|worker| worker.order(step))?;
                workers.iter_mut().try_for_each(|worker| match worker.answer()? {
                    Answer::Done => Ok(()),
                    other => bail!("a worker answered {other:?}"),
                })
            }
        }
    }

    pub fn finish(&mut self) -> Result<Tally> {
        match self {
            Self::Here(engine) => {
                carry_out(engine, Step::Finish, &mut |_| {})?;
                Ok(engine.tally().clone())
            }
            Self::Elsewhere(workers) => {
                workers.iter_mut().try_for_each(|worker| worker.order(Step::Finish))?;
                let shares = workers.iter_mut().map(|worker| match worker.answer()? {
                    Answer::Finished(share) => Ok(*share),
                    other => bail!("a worker answered {other:?}"),
                });
                merge(&shares.collect::<Result<Vec<_>>>()?)
            }
        }
    }
}

/// Sums, and what only all together show: whether everybody in a room that is spread over processes heard the same.
fn merge(shares: &[Share]) -> Result<Tally> {
    let mut sum = Tally::new()?;
    shares.iter().for_each(|share| sum.add(&share.tally));
    let digests: Vec<(Digest, u32)> = shares.iter().filter_map(|share| Some((share.digest?, share.judged))).collect();
    let acknowledged: u64 = shares.iter().map(|share| share.acknowledged).sum();
    let most = digests.iter().map(|(digest, _)| digest.messages).chain([acknowledged]).max().unwrap_or(0);
    sum.lost += digests.iter().map(|(digest, judged)| (most - digest.messages) * u64::from(*judged)).sum::<u64>();
    let orders_differ =
        digests.windows(2).any(|pair| pair[0].0.messages == pair[1].0.messages && pair[0].0 != pair[1].0);
    sum.reordered += u64::from(orders_differ);
    Ok(sum)
}

fn carry_out(engine: &mut Engine, step: Step, progress: &mut dyn FnMut(f64)) -> Result<()> {
    match step {
        Step::Open => engine.open(progress).map(drop),
        Step::Settle => engine.settle(QUIET_MS, SETTLE_MS),
        Step::Talk { seconds } => {
            let start = clock::now();
            engine.talk(seconds, &mut || progress(clock::seconds(clock::now() - start) / seconds)).map(drop)
        }
        Step::Count => {
            engine.start_counting();
            Ok(())
        }
        Step::Finish => {
            engine.conclude();
            engine.wake_the_stalled()
        }
    }
}

pub struct Worker {
    child: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    fn start(plan: &Plan) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["load", "worker"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("a worker does not start")?;
        let (orders, answers) = child.stdin.take().zip(child.stdout.take()).context("a worker has no pipes")?;
        let mut worker = Self { child, orders, answers: BufReader::new(answers).lines() };
        worker.tell(plan)?;
        Ok(worker)
    }

    fn tell(&mut self, what: &impl Serialize) -> Result<()> {
        writeln!(self.orders, "{}", serde_json::to_string(what)?).context("a worker is gone")
    }

    fn order(&mut self, step: Step) -> Result<()> {
        self.tell(&step)
    }

    fn answer(&mut self) -> Result<Answer> {
        let line = self.answers.next().context("a worker is gone")??;
        match serde_json::from_str(&line)? {
            Answer::Failed(why) => bail!("a worker failed: {why}"),
            answer => Ok(answer),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Both fail only for a child that is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The process of a [`Worker`]: until its standard input ends.
pub fn work() -> Result<ExitCode> {
    let mut lines = BufReader::new(io::stdin()).lines();
    let plan: Plan = serde_json::from_str(&lines.next().context("a worker without a plan")??)?;
    let is_spread = plan.has_strangers();
    let mut engine = Engine::new(plan)?;
    let orders = engine.listen(lines)?;
    while let Some(line) = engine.idle_until(&orders)? {
        let step: Step = serde_json::from_str(&line)?;
        let answer = match carry_out(&mut engine, step, &mut |_| {}) {
            Err(error) => Answer::Failed(format!("{error:#}")),
            Ok(()) if matches!(step, Step::Finish) => {
                let (digest, judged) = engine.first_digest();
                Answer::Finished(Box::new(Share {
                    tally: engine.tally().clone(),
                    digest: digest.filter(|_| is_spread),
                    acknowledged: engine.acknowledged_ever(),
                    judged,
                }))
            }
            Ok(()) => Answer::Done,
        };
        println!("{}", serde_json::to_string(&answer)?);
    }
    Ok(ExitCode::SUCCESS)
}
