//! The number of the layout of keys that `docs/BROKER.md` describes, kept beside the data: a version that does not know what lies
//! there leaves it alone.

use super::super::BackendError;
use super::Redis;

/// The layout of this version. It changes when an older version could not live with what a newer one writes.
const FORMAT: u64 = 1;

impl Redis {
    /// Refuses to start on the data of a later version; data without a number counts as ours.
    pub(super) async fn check_format(&self) -> Result<(), BackendError> {
        let mut connection = self.pooled().await?;
        let found = self.timed(redis::cmd("GET").arg(self.keys.format()).query_async(&mut *connection)).await;
        let found: Option<String> = match found {
            Err(BackendError::Failed(error)) => return Err(self.not_ours(&error)),
            found => found?,
        };
        match found.as_deref().map(str::parse) {
            None => {
                // A server that takes no writes now gets the number with the next lease.
                if let Err(error) = self.note_format().await {
                    tracing::warn!(%error, "the format of the data cannot be noted");
                }
                Ok(())
            }
            Some(Ok(1..=FORMAT)) => Ok(()),
            Some(_) => Err(self.not_ours(&format!("it is of format {}", found.unwrap_or_default()))),
        }
    }

    /// Notes the format where there is none, as after a loss of all data.
    pub(super) async fn note_format(&self) -> Result<(), BackendError> {
        let mut connection = self.link.connection()?;
        let mut note = redis::cmd("SETNX");
        note.arg(self.keys.format()).arg(FORMAT);
        self.timed(note.exec_async(&mut connection)).await
    }

    fn not_ours(&self, what: &str) -> BackendError {
        let prefix = &self.settings.key_prefix;
        BackendError::Failed(format!(
            "the data under redis.key_prefix {prefix:?} is another version's: {what}, and this version knows format {FORMAT}; \
             start the version that wrote it, or choose another prefix"
        ))
    }
}
