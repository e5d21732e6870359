//! Tests of the library from outside: the backends' contract, the direction of dependencies, the generated documents, the
//! traces. The tests of the running program, which link nothing of it, are in `tests/suite`.

// The server's rules against the ambient clock and against panics are not meant for tests, where a panic is the verdict.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod artefacts;
mod backends;
mod direction;
mod doubts;
mod gate;
mod service;
mod support;
mod traces;
