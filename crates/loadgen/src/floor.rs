//! The floor: what delivering costs when there is nothing else to it.
//!
//! One thread, one epoll loop. It accepts WebSocket upgrades for `/floor/<room>`, and writes every message that comes from a member as
//! one prepared frame to each member of the room, with one `send` each. No names, no broker, no order, no limits, no queue:
//! a member that does not read is dropped. What it costs is nearly all the kernel's.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::process::ExitCode;

use anyhow::{Context, Result};
use mio::net::{TcpListener, TcpStream};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use crate::framing;

const LISTENER: Token = Token(usize::MAX);
const STDIN: Token = Token(usize::MAX - 1);
const EVENTS: usize = 1024;

struct Member {
    stream: TcpStream,
    /// Not yet upgraded, or its room.
    room: Option<usize>,
    input: Vec<u8>,
}

pub struct Floor {
    poll: Poll,
    listener: TcpListener,
    members: Vec<Option<Member>>,
    rooms: Vec<Vec<usize>>,
    scratch: Vec<u8>,
    frame: Vec<u8>,
}

impl Floor {
    /// On a free port of the loopback address.
    pub fn new() -> Result<Self> {
        let mut listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).context("no port for the floor")?;
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let scratch = vec![0; 64 * 1024];
        Ok(Self { poll, listener, members: Vec::new(), rooms: Vec::new(), scratch, frame: Vec::new() })
    }

    /// Prints its address, and serves until its standard input ends.
    pub fn run(&mut self) -> Result<ExitCode> {
        println!("{}", self.listener.local_addr()?);
        self.poll.registry().register(&mut SourceFd(&io::stdin().as_raw_fd()), STDIN, Interest::READABLE)?;
        let mut events = Events::with_capacity(EVENTS);
        loop {
            match self.poll.poll(&mut events, None) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error.into()),
                _ => {}
            }
            for event in &events {
                if event.token() == STDIN {
                    return Ok(ExitCode::SUCCESS);
                }
                if event.token() == LISTENER {
                    self.accept()?;
                } else if self.read(event.token().0).is_err() {
                    self.drop_member(event.token().0);
                }
            }
        }
    }

    fn accept(&mut self) -> Result<()> {
        loop {
            let mut stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            stream.set_nodelay(true)?;
            self.poll.registry().register(&mut stream, Token(self.members.len()), Interest::READABLE)?;
            self.members.push(Some(Member { stream, room: None, input: Vec::new() }));
        }
    }

    fn read(&mut self, at: usize) -> Result<()> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let read = loop {
            let Some(member) = &mut self.members[at] else { break Ok(()) };
            match member.stream.read(&mut scratch) {
                Ok(0) => break Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(length) => {
                    let taken = self.take(at, &mut scratch[..length]);
                    if taken.is_err() || length < scratch.len() {
                        break taken;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break Ok(()),
                Err(error) => break Err(error.into()),
            }
        };
        self.scratch = scratch;
        read
    }

    fn take(&mut self, at: usize, bytes: &mut [u8]) -> Result<()> {
        let Some(member) = &mut self.members[at] else { return Ok(()) };
        let mut input = std::mem::take(&mut member.input);
        let mut rest = if input.is_empty() {
            bytes
        } else {
            input.extend_from_slice(bytes);
            &mut input[..]
        };
        if member.room.is_none()
            && let Some(length) = framing::head_length(rest)
        {
            let room = room_of(&rest[..length]);
            member.stream.write_all(framing::upgrade_response().as_bytes())?;
            member.room = Some(room);
            if self.rooms.len() <= room {
                self.rooms.resize_with(room + 1, Vec::new);
            }
            self.rooms[room].push(at);
            rest = &mut rest[length..];
        }
        while let Some((message, used)) = framing::unmask(rest)? {
            framing::put_prepared(&mut self.frame, &rest[message]);
            self.tell_all(at);
            rest = &mut rest[used..];
        }
        if let Some(member) = &mut self.members[at] {
            member.input = rest.to_vec();
        }
        Ok(())
    }

    /// The floor itself: one frame, one `send` for each.
    fn tell_all(&mut self, from: usize) {
        let Some(room) = self.members[from].as_ref().and_then(|member| member.room) else { return };
        let members = std::mem::take(&mut self.rooms[room]);
        for &to in &members {
            let Some(member) = &mut self.members[to] else { continue };
            if !matches!(member.stream.write(&self.frame), Ok(written) if written == self.frame.len()) {
                self.members[to] = None;
            }
        }
        self.rooms[room] = members;
        self.rooms[room].retain(|&member| self.members[member].is_some());
    }

    fn drop_member(&mut self, at: usize) {
        if let Some(room) = self.members[at].take().and_then(|member| member.room) {
            self.rooms[room].retain(|&member| member != at);
        }
    }
}

/// The number at the end of `GET /floor/17 HTTP/1.1`.
fn room_of(head: &[u8]) -> usize {
    let path = head.split(|&byte| byte == b' ').nth(1).unwrap_or_default();
    let digits = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}
