//! `crosstalk health`: asks the gateway of the same configuration how it is, for container engines, whose probes are commands.

use std::time::Duration;

use anyhow::{Context, bail};
use clap::ValueEnum;

use super::reachable;
use crate::config::Config;

/// Longer than a gateway that is well ever takes, and below the usual time limits of such probes.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Probe {
    /// The process answers: a restart would not make it better.
    Live,
    /// It takes new connections.
    Ready,
    /// Its start is over.
    Startup,
}

impl Probe {
    fn path(self) -> &'static str {
        match self {
            Self::Live => "livez",
            Self::Ready => "readyz",
            Self::Startup => "startupz",
        }
    }
}

/// What the gateway answers on its admin port.
///
/// # Errors
/// With the answer, or why there is none, unless it is a good one.
pub fn ask(config: &Config, probe: Probe) -> anyhow::Result<String> {
    let Some(admin) = config.listen.admin.0 else { bail!("listen.admin is off, so there is nobody to ask") };
    let url = format!("http://{}/{}", reachable(admin), probe.path());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (status, body) = runtime.block_on(async {
        // It is this machine's, whatever proxies the environment names for others.
        let client = reqwest::Client::builder().no_proxy().timeout(ANSWER_WITHIN).build()?;
        let answer = client.get(&url).send().await.with_context(|| format!("{url} does not answer"))?;
        let status = answer.status();
        anyhow::Ok((status, answer.text().await.with_context(|| format!("{url} breaks off"))?))
    })?;
    if !status.is_success() {
        bail!("{url}: {status} {body}");
    }
    Ok(body)
}
