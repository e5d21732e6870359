//! The transcripts of `scrp`, read as one: that nothing of the protocol is missing in them, and docs/protocols/scrp.md from them.

mod page;
mod played;

use std::collections::BTreeSet;

use played::Played;

const METHODS: &str = include_str!("../../../src/wire/scrp/methods.rs");
const PUSHES: &str = include_str!("../../../src/wire/scrp/pushes.rs");
const ERRORS: &str = include_str!("../../../src/wire/scrp/errors.rs");

/// The broker is never away in a transcript; that has a test of its own.
const UNAVAILABLE: u64 = 502;

#[test]
fn the_page_is_what_was_played() {
    page::hold(&Played::read());
}

#[test]
fn every_method_succeeds_in_some_transcript() {
    let played = Played::read();
    let methods = names(METHODS);
    assert!(methods.len() >= 40, "the server's methods are not where they were: {methods:?}");
    let missing: Vec<_> =
        methods.iter().filter(|name| played.methods.get(**name).is_none_or(|facts| facts.example.is_none())).collect();
    assert!(missing.is_empty(), "no transcript has a success of {missing:?}");
}

#[test]
fn every_push_comes_in_some_transcript() {
    let played = Played::read();
    let pushes = names(PUSHES);
    assert!(pushes.len() > 20, "the server's pushes are not where they were: {pushes:?}");
    let missing: Vec<_> = pushes.iter().filter(|name| !played.pushes.contains_key(**name)).collect();
    assert!(missing.is_empty(), "in no transcript somebody gets {missing:?}");
}

#[test]
fn every_error_number_comes_in_some_transcript() {
    let answered: BTreeSet<u64> = Played::read().numbers;
    let numbers = numbers();
    assert!(numbers.len() > 25, "the server's error numbers are not where they were: {numbers:?}");
    let missing: Vec<_> =
        numbers.into_iter().filter(|number| *number != UNAVAILABLE && !answered.contains(number)).collect();
    assert!(missing.is_empty(), "no transcript has an answer with {missing:?}");
}

/// The names in a source of the server, in their order: texts of nothing but capitals.
fn names(source: &str) -> Vec<&str> {
    let texts = source.split('"').skip(1).step_by(2);
    let is_name = |text: &str| text.contains('_') && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    texts.filter(|text| is_name(text)).collect()
}

/// The error numbers in the source of the server: what has three digits and is no comment.
fn numbers() -> BTreeSet<u64> {
    let code = ERRORS.lines().filter(|line| !line.trim_start().starts_with("//"));
    let words = code.flat_map(|line| line.split(|c: char| !c.is_ascii_digit()));
    words.filter(|word| word.len() == 3).filter_map(|word| word.parse().ok()).collect()
}
