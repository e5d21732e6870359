//! Loads a Crosstalk gateway, measures what it costs, and judges what it promises: `crosstalk load`.
//!
//! The clients in here were written after `docs/protocols` and share no code with the server, so that no codec is tested against
//! itself. Costs are CPU time and memory of the watched processes as the operating system counts them, and multiples of what
//! [`floor`] costs in the same run.
//!
//! [`plan`] says what is to be done, [`engine`] does it, [`judge`] looks at what came, [`measure`] puts both together,
//! [`report`] tells it.

mod cli;
mod clock;
mod crew;
mod dialect;
mod engine;
mod floor;
mod framing;
mod judge;
mod measure;
mod plan;
mod report;
mod run;
mod stamp;
mod tally;
mod usage;

pub use cli::Load;
pub use run::run;
