//! One sampled message is one trace: a span for the publish, one for the delivery, sent to a collector.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::time::Duration;

use crosstalk::ambient::Entropy;
use crosstalk::telemetry::Tracer;

/// Takes one OTLP request over HTTP and hands its body on.
fn collector() -> (String, mpsc::Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            let count = stream.read(&mut chunk).unwrap();
            request.extend_from_slice(&chunk[..count]);
            let head_end = request.windows(4).position(|window| window == b"\r\n\r\n");
            let Some(head_end) = head_end else { continue };
            let head = String::from_utf8_lossy(&request[..head_end]).to_lowercase();
            let length =
                head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok()).unwrap();
            if request.len() >= head_end + 4 + length {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
                sender.send(request.split_off(head_end + 4)).unwrap();
                return;
            }
        }
    });
    (endpoint, receiver)
}

#[test]
fn publish_and_delivery_reach_the_collector_as_one_trace() {
    let (endpoint, received) = collector();
    let tracer = Tracer::otlp(&endpoint, 1.0, "node-1", Entropy::seeded(1)).unwrap();
    let span = tracer.publish_span().unwrap();
    let traceparent = span.traceparent();
    drop(span);
    tracer.record_delivery(&traceparent, 1_700_000_000_000_000, 3);
    tracer.shut_down();
    let body = received.recv_timeout(Duration::from_secs(20)).unwrap();

    let contains = |needle: &[u8]| body.windows(needle.len()).filter(|window| *window == needle).count();
    let hex = traceparent.split('-').nth(1).unwrap();
    let trace_id: Vec<u8> = (0..16).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect();
    assert_eq!(contains(&trace_id), 2, "both spans carry the trace's id");
    assert_eq!((contains(b"publish"), contains(b"deliver"), contains(b"node-1")), (1, 1, 1));
}

#[test]
fn what_is_not_sampled_makes_no_span() {
    assert!(Tracer::off().publish_span().is_none());
    let (endpoint, _received) = collector();
    let tracer = Tracer::otlp(&endpoint, 0.0, "node-1", Entropy::seeded(1)).unwrap();
    assert!((0..1_000).all(|_| tracer.publish_span().is_none()));
    let (endpoint, _received) = collector();
    let tracer = Tracer::otlp(&endpoint, 0.25, "node-1", Entropy::seeded(1)).unwrap();
    let sampled = (0..1_000).filter(|_| tracer.publish_span().is_some()).count();
    assert!((200..300).contains(&sampled), "{sampled} of 1,000 with a ratio of a quarter");
}
