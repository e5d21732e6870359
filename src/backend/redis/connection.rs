//! What a command is sent on: a connection to one server, or a whole cluster that looks like one.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Cmd, Pipeline, RedisFuture, Value};
use tokio::sync::OwnedSemaphorePermit;

use super::cluster::ClusterConnection;

#[derive(Clone)]
pub enum Connection {
    /// With the run of the server that it leads to: a connection never outlives that.
    One(MultiplexedConnection, Arc<str>),
    Cluster(ClusterConnection),
}

impl Connection {
    /// What scripts are to know of the server: which run of it this is; empty in a cluster, whose servers say so themselves. A
    /// stream that goes on under the name of a former run would hide what that one took with it.
    pub fn run(&self) -> &str {
        match self {
            Self::One(_, run) => run,
            Self::Cluster(_) => "",
        }
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::One(connection, _) => connection.req_packed_command(command),
            Self::Cluster(connection) => connection.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::One(connection, _) => connection.req_packed_commands(pipeline, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::One(connection, _) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}

/// A connection that only so many use at a time.
pub struct Pooled {
    connection: Connection,
    _place: Place,
}

/// What goes back when it is dropped.
pub enum Place {
    Pool { _connection: deadpool_redis::Connection },
    Permit { _permit: OwnedSemaphorePermit },
}

impl Pooled {
    pub fn new(connection: Connection, place: Place) -> Self {
        Self { connection, _place: place }
    }
}

impl Deref for Pooled {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl DerefMut for Pooled {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}
