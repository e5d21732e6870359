//! Bugs that are built in on purpose, one at a time, so that the checker in `tests/chaos` can be checked. Without the feature
//! `planted-bugs` there are none.

/// A bug, named as in `PLANTED_BUG`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// A lease that ran out comes back to life, so that its node never learns that it was fenced.
    SkipFence,
    /// What was missed is read and not delivered.
    DropBackfill,
    /// A message is acknowledged, whatever becomes of it.
    AcknowledgeBeforeScript,
    /// What a dead node held is released and announced twice.
    DoubleSweep,
    /// A subscription connection that was built again is not subscribed to the rooms.
    ForgetResubscribe,
    /// Whoever goes stays in the list of members.
    StaleRoster,
}

#[cfg(feature = "planted-bugs")]
impl Bug {
    const ALL: [Self; 6] = [
        Self::SkipFence,
        Self::DropBackfill,
        Self::AcknowledgeBeforeScript,
        Self::DoubleSweep,
        Self::ForgetResubscribe,
        Self::StaleRoster,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::SkipFence => "skip-fence",
            Self::DropBackfill => "drop-backfill",
            Self::AcknowledgeBeforeScript => "acknowledge-before-script",
            Self::DoubleSweep => "double-sweep",
            Self::ForgetResubscribe => "forget-resubscribe",
            Self::StaleRoster => "stale-roster",
        }
    }
}

/// Whether this process has the bug.
#[cfg(feature = "planted-bugs")]
pub fn has(bug: Bug) -> bool {
    static PLANTED: std::sync::LazyLock<Option<Bug>> = std::sync::LazyLock::new(|| {
        let name = std::env::var("PLANTED_BUG").ok()?;
        Bug::ALL.into_iter().find(|bug| bug.name() == name)
    });
    *PLANTED == Some(bug)
}

/// No process has any.
#[cfg(not(feature = "planted-bugs"))]
pub const fn has(_: Bug) -> bool {
    false
}
