//! A client's connection: every frame is taken at once and gets the time at which it came, whatever the client is doing.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::stream::SplitSink;
use futures_util::{SinkExt, StreamExt};
use socket2::SockRef;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::support::dialect::{Dialect, Transport};

const DIAL_DEADLINE: Duration = Duration::from_secs(3);

pub enum Incoming {
    Frame(String),
    /// The end, and why.
    End(String),
}

pub struct Line {
    output: Output,
    incoming: mpsc::UnboundedReceiver<(Instant, Incoming)>,
    _reading: Reading,
}

enum Output {
    Line(OwnedWriteHalf),
    Length(OwnedWriteHalf),
    WebSocket(SplitSink<WebSocketStream<TcpStream>, Message>),
}

enum Input {
    Line(BufReader<OwnedReadHalf>),
    Length(OwnedReadHalf),
    WebSocket(futures_util::stream::SplitStream<WebSocketStream<TcpStream>>),
}

impl Line {
    /// While `awake` is false nothing is read.
    pub async fn dial(
        address: SocketAddr,
        dialect: Dialect,
        transport: Transport,
        query: &str,
        awake: watch::Receiver<bool>,
        sleeps: bool,
    ) -> Result<Self, String> {
        let opened = tokio::time::timeout(DIAL_DEADLINE, open(address, dialect, transport, query, sleeps)).await;
        let (input, output) = opened.map_err(|_| "no connection in time".to_owned())??;
        let (sender, incoming) = mpsc::unbounded_channel();
        let reading = Reading(tokio::spawn(read(input, sender, awake)).abort_handle());
        Ok(Self { output, incoming, _reading: reading })
    }

    pub async fn send(&mut self, text: &str) -> Result<(), String> {
        let sent = match &mut self.output {
            Output::Line(output) => output.write_all(format!("{text}\r\n").as_bytes()).await.map_err(|e| e.to_string()),
            Output::Length(output) => {
                let length = u32::try_from(text.len()).expect("a request is not that long").to_be_bytes();
                output.write_all(&[&length, text.as_bytes()].concat()).await.map_err(|e| e.to_string())
            }
            Output::WebSocket(output) => output.send(Message::text(text)).await.map_err(|e| e.to_string()),
        };
        sent.map_err(|error| format!("cannot send: {error}"))
    }

    pub async fn next(&mut self) -> (Instant, Incoming) {
        let ended = || (Instant::now(), Incoming::End("the end".to_owned()));
        self.incoming.recv().await.unwrap_or_else(ended)
    }

    /// Says goodbye where the transport has a word for it.
    pub async fn close(mut self) {
        if let Output::WebSocket(output) = &mut self.output {
            // A server that is gone already is as good.
            let _ = tokio::time::timeout(Duration::from_secs(1), output.close()).await;
        }
    }
}

impl Line {
    /// Loses the connection without a word: TCP is reset, and over WebSocket there is no close frame.
    pub fn lose(self) {
        if let Output::Line(output) | Output::Length(output) = self.output {
            // A connection that has ended already is lost as well.
            let _ = SockRef::from(output.as_ref()).set_linger(Some(Duration::ZERO));
            // Dropping it would say that nothing more comes, which is a goodbye.
            output.forget();
        }
    }
}

/// Reads until it is dropped.
struct Reading(tokio::task::AbortHandle);

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn open(
    address: SocketAddr,
    dialect: Dialect,
    transport: Transport,
    query: &str,
    sleeps: bool,
) -> Result<(Input, Output), String> {
    let socket = TcpSocket::new_v4().map_err(|error| error.to_string())?;
    // Who falls asleep is to be noticed soon, and nobody else: both kernels hold little for it. The server's grows with the size
    // of a packet, which on this machine alone would be that of a small book.
    if sleeps {
        socket.set_recv_buffer_size(16 * 1024).map_err(|error| error.to_string())?;
        SockRef::from(&socket).set_tcp_mss(1_400).map_err(|error| error.to_string())?;
    }
    let stream = socket.connect(address).await.map_err(|error| error.to_string())?;
    if transport == Transport::WebSocket {
        let url = format!("ws://{address}{}{query}", dialect.websocket_path());
        let (socket, _) = client_async(url, stream).await.map_err(|error| error.to_string())?;
        let (output, input) = socket.split();
        return Ok((Input::WebSocket(input), Output::WebSocket(output)));
    }
    let (input, output) = stream.into_split();
    Ok(match dialect.line_end() {
        Some(_) => (Input::Line(BufReader::new(input)), Output::Line(output)),
        None => (Input::Length(input), Output::Length(output)),
    })
}

async fn read(mut input: Input, sender: mpsc::UnboundedSender<(Instant, Incoming)>, mut awake: watch::Receiver<bool>) {
    loop {
        // A run that is over wakes nobody.
        if awake.wait_for(|awake| *awake).await.is_err() {
            return;
        }
        let incoming = input.next().await.map_or_else(Incoming::End, Incoming::Frame);
        let ended = matches!(incoming, Incoming::End(_));
        if sender.send((Instant::now(), incoming)).is_err() || ended {
            return;
        }
    }
}

impl Input {
    async fn next(&mut self) -> Result<String, String> {
        match self {
            Self::Line(input) => {
                let mut line = String::new();
                match input.read_line(&mut line).await {
                    Ok(0) => Err("closed".to_owned()),
                    Ok(_) if line.ends_with('\n') => Ok(line.trim_end_matches(['\r', '\n']).to_owned()),
                    Ok(_) => Err("closed within a line".to_owned()),
                    Err(error) => Err(error.to_string()),
                }
            }
            Self::Length(input) => {
                let length = input.read_u32().await.map_err(|error| error.to_string())?;
                let mut message = vec![0; length as usize];
                input.read_exact(&mut message).await.map_err(|error| error.to_string())?;
                String::from_utf8(message).map_err(|error| error.to_string())
            }
            Self::WebSocket(input) => loop {
                match input.next().await {
                    Some(Ok(Message::Text(text))) => return Ok(text.as_str().to_owned()),
                    Some(Ok(Message::Close(frame))) => return Err(format!("closed: {frame:?}")),
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Err(error.to_string()),
                    None => return Err("closed".to_owned()),
                }
            },
        }
    }
}
