//! Structured logs: for a person on a terminal, JSON lines otherwise; always on stderr.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// `text` on a terminal, `json` otherwise.
    Auto,
    Text,
    Json,
}

/// Whether a text is a filter.
///
/// # Errors
/// What is wrong with it.
pub fn check_filter(filter: &str) -> Result<(), String> {
    EnvFilter::try_new(filter).map(drop).map_err(|error| error.to_string())
}

/// Installs the process's log subscriber. `filter` is a `tracing` filter such as `info` or `crosstalk=debug`.
///
/// # Errors
/// When the filter cannot be read, or a subscriber is installed already.
pub fn install(filter: &str, format: LogFormat) -> anyhow::Result<()> {
    let filter: EnvFilter = filter.parse().map_err(|error| anyhow::anyhow!("log.level: {error}"))?;
    let json = match format {
        LogFormat::Auto => !std::io::stderr().is_terminal(),
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let installed = if json { builder.json().try_init() } else { builder.with_target(false).try_init() };
    installed.map_err(|error| anyhow::anyhow!("logs cannot be installed: {error}"))
}
