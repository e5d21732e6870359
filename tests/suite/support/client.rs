//! A chat client: sends texts, receives frames one by one, and knows what it was told when something is missing.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use socket2::SockRef;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio_tungstenite::tungstenite::Message as WebSocketMessage;
use tokio_tungstenite::{WebSocketStream, client_async};

use super::DEADLINE;
use super::dialect::{Dialect, Meaning, Transport};
use super::node::Node;

/// How many of the last frames a failure shows.
const REMEMBERED: usize = 5;

pub struct Client {
    dialect: Dialect,
    lane: Lane,
    /// As others address the client, once the server said so.
    own: Option<String>,
    /// What is not for the test.
    ignored: Option<Ignored>,
    /// Frames that were passed over in search of a reply.
    waiting: VecDeque<String>,
    /// The last frames received, for the report of a failure.
    received: VecDeque<String>,
}

/// Picks frames that are passed over unread.
pub type Ignored = Box<dyn Fn(&Value) -> bool + Send>;

enum Lane {
    Line {
        input: BufReader<OwnedReadHalf>,
        output: OwnedWriteHalf,
        end: &'static str,
    },
    /// Each message with its length before it; `received` holds what is no whole message yet.
    Length {
        input: OwnedReadHalf,
        received: Vec<u8>,
        output: OwnedWriteHalf,
    },
    WebSocket(Box<WebSocketStream<TcpStream>>),
}

#[derive(Debug, PartialEq)]
pub enum Received {
    Frame(String),
    /// The end of the connection, over WebSocket with the code and the reason of the close frame.
    Closed(Option<(u16, String)>),
}

/// Connecting.
impl Client {
    pub async fn connect(node: &Node, dialect: Dialect, transport: Transport) -> Self {
        let address = transport.address(node, dialect);
        let client = Self::dial(address, dialect, transport).await;
        client.unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"))
    }

    pub async fn dial(address: SocketAddr, dialect: Dialect, transport: Transport) -> Result<Self, String> {
        let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        match transport {
            Transport::Tcp => Ok(Self::over_tcp(stream, dialect)),
            Transport::WebSocket => Self::over_websocket(stream, dialect.websocket_path(), dialect).await,
        }
    }

    /// [`Self::dial`] over WebSocket with parameters of the address, such as `ext=1`.
    pub async fn dial_with(address: SocketAddr, dialect: Dialect, query: &str) -> Result<Self, String> {
        let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        Self::over_websocket(stream, &format!("{}?{query}", dialect.websocket_path()), dialect).await
    }

    pub fn over_tcp(stream: TcpStream, dialect: Dialect) -> Self {
        let (input, output) = stream.into_split();
        let lane = match dialect.line_end() {
            Some(end) => Lane::Line { input: BufReader::new(input), output, end },
            None => Lane::Length { input, received: Vec::new(), output },
        };
        Self::new(dialect, lane)
    }

    pub async fn over_websocket(stream: TcpStream, path: &str, dialect: Dialect) -> Result<Self, String> {
        let host = stream.peer_addr().map_err(|error| error.to_string())?;
        let handshake = client_async(format!("ws://{host}{path}"), stream);
        let handshake = tokio::time::timeout(DEADLINE, handshake).await;
        let (socket, _) = handshake.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        Ok(Self::new(dialect, Lane::WebSocket(Box::new(socket))))
    }

    fn new(dialect: Dialect, lane: Lane) -> Self {
        Self { dialect, lane, own: None, ignored: None, waiting: VecDeque::new(), received: VecDeque::new() }
    }

    pub fn ignore(&mut self, ignored: Ignored) {
        self.ignored = Some(ignored);
    }

    /// Ends the connection in order.
    pub async fn disconnect(self) {
        if let Lane::WebSocket(mut socket) = self.lane {
            // A server that is gone already is as good.
            let _ = socket.close().await;
        }
    }

    /// Says over TCP that nothing more comes, and goes on listening.
    pub async fn say_goodbye(&mut self) {
        if let Lane::Line { output, .. } | Lane::Length { output, .. } = &mut self.lane {
            output.shutdown().await.expect("the connection is there");
        }
    }

    /// Loses the connection: TCP is reset, and nothing says goodbye.
    pub fn reset(self) {
        let (input, output) = match self.lane {
            Lane::Line { input, output, .. } => (input.into_inner(), output),
            Lane::Length { input, output, .. } => (input, output),
            Lane::WebSocket(socket) => socket.into_inner().into_split(),
        };
        SockRef::from(output.as_ref()).set_linger(Some(Duration::ZERO)).expect("the socket takes it");
        // Dropping it would say that nothing more comes, which is a goodbye.
        output.forget();
        drop(input);
    }

    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// As others address the client: a nickname, or in `simple` before that the session's UUID.
    pub fn own(&self) -> Option<&str> {
        self.own.as_deref()
    }
}

/// Frame by frame; `Err` says what was received instead of what was awaited.
impl Client {
    pub async fn try_send(&mut self, text: &str) -> Result<(), String> {
        match &mut self.lane {
            Lane::Line { output, end, .. } => {
                let line = format!("{text}{end}");
                output.write_all(line.as_bytes()).await.map_err(|error| format!("cannot send: {error}"))
            }
            Lane::Length { output, .. } => {
                let message = with_length(text.as_bytes());
                output.write_all(&message).await.map_err(|error| format!("cannot send: {error}"))
            }
            Lane::WebSocket(socket) => {
                socket.send(WebSocketMessage::text(text)).await.map_err(|error| format!("cannot send: {error}"))
            }
        }
    }

    /// Sends these bytes and nothing more: over TCP without a line end or a length, over WebSocket as one binary frame.
    pub async fn try_send_bytes(&mut self, bytes: &[u8]) -> Result<(), String> {
        match &mut self.lane {
            Lane::Line { output, .. } | Lane::Length { output, .. } => {
                output.write_all(bytes).await.map_err(|error| format!("cannot send: {error}"))
            }
            Lane::WebSocket(socket) => {
                let frame = WebSocketMessage::binary(bytes.to_vec());
                socket.send(frame).await.map_err(|error| format!("cannot send: {error}"))
            }
        }
    }

    /// The next frame, or the end of the connection.
    pub async fn try_receive(&mut self) -> Result<Received, String> {
        match self.receive_within(DEADLINE).await {
            Some(received) => received,
            None => Err(format!("nothing received within {DEADLINE:?}{}", self.story())),
        }
    }

    /// Nothing when the time passed without a frame.
    pub async fn receive_within(&mut self, time: Duration) -> Option<Result<Received, String>> {
        if let Some(frame) = self.waiting.pop_front() {
            return Some(Ok(Received::Frame(frame)));
        }
        let received = tokio::time::timeout(time, self.receive_wanted()).await.ok()?;
        if let Ok(Received::Frame(frame)) = &received {
            self.received.push_back(shortened(frame));
            if self.received.len() > REMEMBERED {
                self.received.pop_front();
            }
        }
        Some(received)
    }

    async fn receive_wanted(&mut self) -> Result<Received, String> {
        loop {
            let received = self.lane.receive().await?;
            let unwanted = match (&received, &self.ignored) {
                (Received::Frame(frame), Some(ignored)) => ignored(&parsed(frame)),
                _ => false,
            };
            if !unwanted {
                return Ok(received);
            }
        }
    }

    pub async fn try_frame(&mut self) -> Result<String, String> {
        match self.try_receive().await? {
            Received::Frame(frame) => Ok(frame),
            Received::Closed(close) => Err(format!("the connection ended ({close:?}){}", self.story())),
        }
    }

    /// Asks for a known error and takes nothing else: whatever the server had to say before is a failure.
    pub async fn try_quiet(&mut self) -> Result<(), String> {
        let (request, answers) = self.dialect.probe();
        self.try_send(request).await?;
        let frame = self.try_frame().await?;
        if answers.contains(&parsed(&frame)) { Ok(()) } else { Err(format!("expected quiet, received {frame}")) }
    }

    pub async fn try_closed(&mut self) -> Result<Option<(u16, String)>, String> {
        match self.try_receive().await? {
            Received::Closed(close) => Ok(close),
            Received::Frame(frame) => Err(format!("expected the end of the connection, received {frame}")),
        }
    }

    /// The reply to `request`, or the event that stands for it; other events that come before it keep their place for later.
    pub async fn try_ask(&mut self, request: &str) -> Result<Value, String> {
        self.try_send(request).await?;
        let mut passed = std::mem::take(&mut self.waiting);
        let reply = loop {
            let frame = match self.try_frame().await {
                Ok(frame) => frame,
                Err(error) => break Err(error),
            };
            let value = parsed(&frame);
            let meaning = self.dialect.meaning(request, self.own.as_deref(), &value);
            if matches!(meaning, Meaning::Other | Meaning::OwnMessage) {
                passed.push_back(frame);
            }
            if meaning != Meaning::Other {
                break Ok(value);
            }
        };
        self.waiting = passed;
        if let Ok(reply) = &reply {
            self.learn_own(request, reply);
        }
        reply.map_err(|error| format!("no reply to {}: {error}", shortened(request)))
    }

    /// `simple` knows its own events by the name they carry.
    fn learn_own(&mut self, request: &str, reply: &Value) {
        if self.dialect != Dialect::Simple {
            return;
        }
        let request = parsed(request);
        match reply["type"].as_str() {
            Some("welcome") => self.own = reply["identifier"].as_str().map(str::to_owned),
            Some("ok") if request["action"] == "nick" || request["action"] == "login" => {
                self.own = request["target"].as_str().and_then(|target| target.strip_prefix('@')).map(str::to_owned);
            }
            _ => {}
        }
    }

    /// The next frame that `wanted` picks; others that come before it keep their place for later.
    pub async fn try_find(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value, String> {
        let mut passed = VecDeque::new();
        let found = loop {
            let frame = match self.try_frame().await {
                Ok(frame) => frame,
                Err(error) => break Err(format!("no {what}: {error}; passed over: {passed:?}")),
            };
            let value = parsed(&frame);
            if wanted(&value) {
                break Ok(value);
            }
            passed.push_back(frame);
        };
        passed.append(&mut self.waiting);
        self.waiting = passed;
        found
    }

    /// Takes out the frames that were passed over and that `wanted` picks.
    pub fn take_waiting(&mut self, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        let (taken, kept) = std::mem::take(&mut self.waiting).into_iter().partition(|frame| wanted(&parsed(frame)));
        self.waiting = kept;
        let taken: VecDeque<String> = taken;
        taken.iter().map(|frame| parsed(frame)).collect()
    }

    fn story(&self) -> String {
        let frames: String = self.received.iter().map(|frame| format!("\n    {frame}")).collect();
        format!("; the last frames before it:{}", if frames.is_empty() { " none" } else { &frames })
    }
}

impl Lane {
    async fn receive(&mut self) -> Result<Received, String> {
        match self {
            Lane::Line { input, end, .. } => receive_line(input, end).await,
            Lane::Length { input, received, .. } => receive_with_length(input, received).await,
            Lane::WebSocket(socket) => receive_frame(socket).await,
        }
    }
}

async fn receive_line(input: &mut BufReader<OwnedReadHalf>, end: &str) -> Result<Received, String> {
    let mut line = Vec::new();
    if let Err(error) = input.read_until(b'\n', &mut line).await {
        return Err(format!("cannot receive: {error}"));
    }
    let text = String::from_utf8(line).map_err(|error| format!("a line that is not UTF-8: {error}"))?;
    match text.strip_suffix(end) {
        Some(line) if !line.ends_with('\r') => Ok(Received::Frame(line.to_owned())),
        None if text.is_empty() => Ok(Received::Closed(None)),
        _ => Err(format!("a line that does not end with {end:?}: {text:?}")),
    }
}

/// A message of `scrp` as it goes over TCP.
pub fn with_length(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("a message of a test is not that long");
    [&length.to_be_bytes(), message].concat()
}

/// What is no whole message yet stays in `received`, also when the wait is given up.
async fn receive_with_length(input: &mut OwnedReadHalf, received: &mut Vec<u8>) -> Result<Received, String> {
    loop {
        if let Some((length, rest)) = received.split_first_chunk() {
            let length = u32::from_be_bytes(*length) as usize;
            if rest.len() >= length {
                let message = rest[..length].to_vec();
                received.drain(..4 + length);
                let text =
                    String::from_utf8(message).map_err(|error| format!("a message that is not UTF-8: {error}"))?;
                return Ok(Received::Frame(text));
            }
        }
        match input.read_buf(received).await {
            Ok(0) if received.is_empty() => return Ok(Received::Closed(None)),
            Ok(0) => return Err(format!("the connection ended within a message: {received:?}")),
            Ok(_) => {}
            Err(error) => return Err(format!("cannot receive: {error}")),
        }
    }
}

async fn receive_frame(socket: &mut WebSocketStream<TcpStream>) -> Result<Received, String> {
    loop {
        return match socket.next().await {
            Some(Ok(WebSocketMessage::Text(text))) => Ok(Received::Frame(text.as_str().to_owned())),
            Some(Ok(WebSocketMessage::Close(frame))) => {
                let close = frame.map(|frame| (frame.code.into(), frame.reason.as_str().to_owned()));
                Ok(Received::Closed(close))
            }
            // Answered by the library itself.
            Some(Ok(WebSocketMessage::Ping(_) | WebSocketMessage::Pong(_))) => continue,
            Some(Ok(other)) => Err(format!("a frame that is no text: {other:?}")),
            Some(Err(error)) => Err(format!("cannot receive: {error}")),
            None => Ok(Received::Closed(None)),
        };
    }
}

/// Text that is no JSON becomes null, which equals nothing that a test expects.
pub fn parsed(frame: &str) -> Value {
    serde_json::from_str(frame).unwrap_or_default()
}

/// A frame fit for a report.
pub fn shortened(frame: &str) -> String {
    match frame.char_indices().nth(300) {
        Some((end, _)) => format!("{}… ({} bytes)", &frame[..end], frame.len()),
        None => frame.to_owned(),
    }
}
