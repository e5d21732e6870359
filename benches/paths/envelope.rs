//! An event on its way through the broker.

use crosstalk::backend::{decode_live, encode_event};
use divan::{Bencher, black_box};

use super::{TEXT_BYTES, event, message};

#[divan::bench(args = TEXT_BYTES)]
fn encode(bencher: Bencher, bytes: usize) {
    let event = event(message(bytes));
    bencher.bench_local(|| encode_event(black_box(&event)));
}

#[divan::bench(args = TEXT_BYTES)]
fn decode(bencher: Bencher, bytes: usize) {
    let mut live = b"1 1234567890123 77 1790000000123456 ".to_vec();
    live.extend(encode_event(&event(message(bytes))));
    bencher.bench_local(|| decode_live(black_box(&live)).unwrap());
}
