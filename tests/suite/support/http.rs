//! One HTTP request per connection, by hand: enough for probes, metrics and the page.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::DEADLINE;

pub struct Answer {
    pub status: u16,
    head: String,
    pub body: String,
}

impl Answer {
    /// The value of a header, whose name is given as the server writes it.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

pub async fn get(address: SocketAddr, path: &str) -> Result<Answer, String> {
    let answer = tokio::time::timeout(DEADLINE, exchange(address, path)).await;
    answer.map_err(|_| format!("no answer to GET {path} from {address} within {DEADLINE:?}"))?
}

async fn exchange(address: SocketAddr, path: &str) -> Result<Answer, String> {
    let fault = |error: std::io::Error| format!("GET {path} from {address}: {error}");
    let mut stream = TcpStream::connect(address).await.map_err(fault)?;
    let head = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.map_err(fault)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.map_err(fault)?;
    parse(&String::from_utf8_lossy(&answer)).ok_or_else(|| format!("GET {path} from {address}: not HTTP"))
}

fn parse(answer: &str) -> Option<Answer> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    // A chunked body is left in its chunks: whoever asks looks for a part of it.
    Some(Answer { status, head: head.to_owned(), body: body.to_owned() })
}
