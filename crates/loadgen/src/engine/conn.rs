//! One connection: as little as it takes, because there are 19,000 of them.

use std::collections::VecDeque;
use std::io::{self, Write};

use mio::net::TcpStream;
use socket2::{Domain, Protocol, Socket, Type};

use crate::judge::Ear;
use crate::plan::{self, Route};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Not opened, or not any more.
    Closed,
    Connecting,
    Upgrading,
    /// The answer to this request on the way is waited for.
    Opening(usize),
    Ready,
    /// It said that it goes.
    Leaving,
}

/// A request that was not answered yet.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    pub sequence: u32,
    pub sent_ns: u64,
}

#[derive(Debug)]
pub struct Conn {
    pub stream: Option<TcpStream>,
    pub stage: Stage,
    /// The beginning of a message that is not whole yet.
    pub input: Vec<u8>,
    /// What the kernel would not take yet.
    pub output: Vec<u8>,
    pub asked: VecDeque<Asked>,
    pub sequence: u32,
    pub ear: Ear,
    /// Which frame of its room it is likely to hear next.
    pub hint: u64,
    pub opening_since_ns: u64,
    /// How often it was opened.
    pub comings: u32,
    pub farewell: Option<String>,
}

impl Conn {
    pub fn new() -> Self {
        Self {
            stream: None,
            stage: Stage::Closed,
            input: Vec::new(),
            output: Vec::new(),
            asked: VecDeque::new(),
            sequence: 0,
            ear: Ear::default(),
            hint: 0,
            opening_since_ns: 0,
            comings: 0,
            farewell: None,
        }
    }

    /// Writes what waits, as far as the kernel takes it.
    pub fn flush(&mut self) -> io::Result<()> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        while !self.output.is_empty() {
            match stream.write(&self.output) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => drop(self.output.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// What a stalled reader's kernel takes before the server feels it; and small packets, or else the server's own kernel, which counts
/// packets, holds megabytes for it.
const STALLED_BUFFER_BYTES: usize = 4096;
const STALLED_PACKET_BYTES: u32 = 1400;

/// Begins to connect.
pub fn connect(route: &Route, person: u32, is_stalled: bool) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(route.address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    if is_stalled {
        socket.set_recv_buffer_size(STALLED_BUFFER_BYTES)?;
        socket.set_tcp_mss(STALLED_PACKET_BYTES)?;
    }
    if let Some(source) = plan::source(person, route.address) {
        socket.bind(&source.into())?;
    }
    match socket.connect(&route.address.into()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {}
        Err(error) => return Err(error),
    }
    Ok(TcpStream::from_std(socket.into()))
}
