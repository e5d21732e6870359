//! A command's way to the node that owns its slot.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Arg, Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, RedisResult, ServerErrorKind, Value};

use super::{Address, Cluster, Lane, slot_of};

/// How often a command follows the servers' word that it belongs elsewhere, or not yet here. Together with the pauses this is
/// about as long as a command may take.
const REDIRECTS_MAX: u32 = 8;
/// The first pause while a slot moves; each further one is longer by as much.
const PAUSE: Duration = Duration::from_millis(20);
/// Commands of one pipe under way at once, where it does not matter in which order they are done.
const IN_FLIGHT: usize = 32;

/// All of the cluster as one connection.
#[derive(Clone)]
pub struct ClusterConnection {
    cluster: Arc<Cluster>,
    lane: Lane,
}

/// Where a command goes next.
enum Target {
    Owner,
    Moved(Address),
    Asked(Address),
}

impl ClusterConnection {
    pub fn new(cluster: Arc<Cluster>, lane: Lane) -> Self {
        Self { cluster, lane }
    }

    /// Every primary that answers, for what no key decides.
    fn everywhere(&self) -> Vec<MultiplexedConnection> {
        let map = self.cluster.map.borrow().clone();
        map.primaries().iter().filter_map(|address| self.cluster.connection_to(address, self.lane)).collect()
    }

    fn owner(&self, slot: u16) -> Option<MultiplexedConnection> {
        let map = self.cluster.map.borrow().clone();
        self.cluster.connection_to(map.owner(slot)?, self.lane)
    }

    async fn run(&self, command: &Cmd) -> RedisResult<Value> {
        let Some(slot) = key_of(command).map(|key| slot_of(&key)) else { return self.run_everywhere(command).await };
        let answers = self.follow(slot, Work::Command(command)).await?;
        Ok(answers.into_iter().next_back().unwrap_or(Value::Nil))
    }

    /// Sends to the slot's owner, and on to wherever the servers say; again only what a server refused to do.
    async fn follow(&self, slot: u16, work: Work<'_>) -> RedisResult<Vec<Value>> {
        let mut target = Target::Owner;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let (connection, asking) = match &target {
                Target::Owner => (self.owner(slot), false),
                // Who is named may be new: the map, asked for again by then, knows it.
                Target::Moved(address) => (self.cluster.connection_to(address, self.lane), false),
                Target::Asked(address) => (self.cluster.connection_to(address, self.lane), true),
            };
            let result = match connection {
                Some(connection) => work.send(connection, asking).await,
                None => {
                    Err(RedisError::from((ErrorKind::ClusterConnectionNotFound, "the slot's server does not answer")))
                }
            };
            let error = match result {
                Err(error) if attempt < REDIRECTS_MAX => error,
                result => return result,
            };
            let redirect = error.redirect_node().and_then(|(node, _)| address_of(node));
            target = match (error.kind(), redirect) {
                (ErrorKind::Server(ServerErrorKind::Moved), Some(address)) => {
                    self.cluster.suspect();
                    Target::Moved(address)
                }
                (ErrorKind::Server(ServerErrorKind::Ask), Some(address)) => Target::Asked(address),
                (ErrorKind::Server(ServerErrorKind::TryAgain | ServerErrorKind::ExecAbort), _) => Target::Owner,
                (ErrorKind::Server(ServerErrorKind::ReadOnly), _) => {
                    self.cluster.suspect();
                    Target::Owner
                }
                // Who was named is not connected to yet; an owner that is away is not waited for.
                (ErrorKind::ClusterConnectionNotFound, _) if !matches!(target, Target::Owner) => {
                    self.cluster.suspect();
                    Target::Owner
                }
                _ => return Err(error),
            };
            if attempt > 1 || !matches!(target, Target::Moved(_) | Target::Asked(_)) {
                tokio::time::sleep(PAUSE * attempt).await;
            }
        }
    }

    /// What no key decides, such as loading a script, is done at every node; one answer stands for all.
    async fn run_everywhere(&self, command: &Cmd) -> RedisResult<Value> {
        let mut connections = self.everywhere();
        let answers = join_all(connections.iter_mut().map(|connection| connection.req_packed_command(command))).await;
        let mut failed = RedisError::from((ErrorKind::ClusterConnectionNotFound, "no node of the cluster answers"));
        for answer in answers {
            match answer.and_then(Value::extract_error) {
                Ok(value) => return Ok(value),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    /// A transaction is one slot's. Of a pipe each command goes its own way: side by side where nothing is written, else one
    /// after the other, so that an order that matters is kept.
    async fn run_all(&self, pipeline: &Pipeline, offset: usize, count: usize) -> RedisResult<Vec<Value>> {
        if pipeline.is_transaction() {
            let slot = pipeline.cmd_iter().find_map(key_of).map_or(0, |key| slot_of(&key));
            return self.follow(slot, Work::Transaction { pipeline, offset, count }).await;
        }
        let commands: Vec<&Cmd> = pipeline.cmd_iter().collect();
        let at_once = if commands.iter().all(|command| only_reads(command)) { IN_FLIGHT } else { 1 };
        let mut answers = Vec::with_capacity(commands.len());
        for some in commands.chunks(at_once) {
            for answer in join_all(some.iter().map(|command| self.run(command))).await {
                answers.push(answer?);
            }
        }
        Ok(answers)
    }
}

/// What goes to one slot.
#[derive(Clone, Copy)]
enum Work<'a> {
    Command(&'a Cmd),
    Transaction { pipeline: &'a Pipeline, offset: usize, count: usize },
}

impl Work<'_> {
    /// `asking`: the slot is on its way to this server, which takes the command only for the asking.
    async fn send(self, mut connection: MultiplexedConnection, asking: bool) -> RedisResult<Vec<Value>> {
        let answers = match self {
            Self::Command(command) if asking => {
                let mut pipe = redis::pipe();
                pipe.cmd("ASKING").add_command(command.clone());
                connection.req_packed_commands(&pipe, 0, 2).await?
            }
            Self::Command(command) => vec![connection.req_packed_command(command).await?],
            Self::Transaction { pipeline, offset, count } => {
                connection.req_packed_commands(pipeline, offset, count).await?
            }
        };
        answers.into_iter().map(Value::extract_error).collect()
    }
}

impl ConnectionLike for ClusterConnection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(self.run(command))
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(self.run_all(pipeline, offset, count))
    }

    fn get_db(&self) -> i64 {
        0
    }
}

fn argument(command: &Cmd, place: usize) -> Option<&[u8]> {
    match command.args_iter().nth(place)? {
        Arg::Simple(bytes) => Some(bytes),
        _ => None,
    }
}

/// The first key of a command; all keys of one command share its slot.
fn key_of(command: &Cmd) -> Option<Vec<u8>> {
    let place = match argument(command, 0)? {
        b"EVALSHA" | b"EVAL" if argument(command, 2)? == b"0" => return None,
        b"EVALSHA" | b"EVAL" => 3,
        b"SCRIPT" | b"INFO" | b"PING" | b"CLUSTER" => return None,
        _ => 1,
    };
    argument(command, place).map(<[u8]>::to_vec)
}

/// The reading commands that are sent in pipes.
fn only_reads(command: &Cmd) -> bool {
    const READS: &[&[u8]] =
        &[b"EXISTS", b"GET", b"HGET", b"HGETALL", b"HMGET", b"SCARD", b"SISMEMBER", b"SMEMBERS", b"ZCARD"];
    argument(command, 0).is_some_and(|name| READS.contains(&name))
}

fn address_of(node: &str) -> Option<Address> {
    let (host, port) = node.rsplit_once(':')?;
    Some((host.trim_matches(['[', ']']).to_owned(), port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_goes_where_its_first_key_is() {
        let key = |words: &[&str]| {
            let mut command = redis::cmd(words[0]);
            command.arg(&words[1..]);
            key_of(&command).map(|key| String::from_utf8(key).unwrap())
        };
        assert_eq!(key(&["HGET", "k", "f"]).as_deref(), Some("k"));
        assert_eq!(key(&["EVALSHA", "abc", "2", "k", "l"]).as_deref(), Some("k"));
        assert_eq!(key(&["EVALSHA", "abc", "0", "a"]), None);
        assert_eq!(key(&["SCRIPT", "LOAD", "return 1"]), None);
        assert_eq!(address_of("::1:7000"), Some(("::1".to_owned(), 7_000)));
    }
}
