//! One sampled message is one trace: a span for the publish, one for the delivery, sent to a collector.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::time::Duration;

use crosstalk::ambient::Entropy;
use crosstalk::telemetry::{Otlp, OtlpProtocol, Tracer};

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

fn tracer(endpoint: &str, sample_ratio: f64) -> Tracer {
    let otlp = Otlp { endpoint, protocol: OtlpProtocol::Http, sample_ratio };
    Tracer::otlp(otlp, "node-1", Entropy::seeded(1)).unwrap()
}

#[test]
fn publish_and_delivery_reach_the_collector_as_one_trace() {
    let (endpoint, received) = collector();
    let tracing = tracer(&endpoint, 1.0);
    let span = tracing.publish_span(|| 1).unwrap();
    let traceparent = span.traceparent();
    drop(span);
    tracing.record_delivery(&traceparent, 1_700_000_000_000_000, 3);
    tracing.shut_down();
    let body = received.recv_timeout(Duration::from_secs(20)).unwrap();

    let contains = |needle: &[u8]| body.windows(needle.len()).filter(|window| *window == needle).count();
    let hex = traceparent.split('-').nth(1).unwrap();
    let trace_id: Vec<u8> = (0..16).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect();
    assert_eq!(contains(&trace_id), 2, "both spans carry the trace's id");
    assert_eq!((contains(b"publish"), contains(b"deliver"), contains(b"node-1")), (1, 1, 1));
}

#[test]
fn what_is_not_sampled_makes_no_span() {
    assert!(Tracer::off().publish_span(|| unreachable!("nobody counts for nothing")).is_none());
    let (endpoint, _received) = collector();
    let tracing = tracer(&endpoint, 0.0);
    assert!((0..1_000).all(|_| tracing.publish_span(|| 1).is_none()));
    let (endpoint, _received) = collector();
    let tracing = tracer(&endpoint, 0.25);
    let sampled = |members: usize| (0..10_000).filter(|_| tracing.publish_span(|| members).is_some()).count();
    for (members, expected) in [(1, 2_500), (100, 2_500), (1_000, 250), (100_000, 2)] {
        let sampled = sampled(members);
        let margin = expected / 5 + 10;
        assert!(
            sampled.abs_diff(expected) <= margin,
            "{sampled} of 10,000 with a ratio of a quarter and {members} members"
        );
    }
}
