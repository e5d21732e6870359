//! Which sessions may be gone on with. In memory: they end with the only node there is.

use async_trait::async_trait;

use super::super::{BackendError, Memo, Resumption};
use super::Embedded;
use crate::chat::SessionId;

/// What is kept of one session.
pub struct Remembered {
    memo: Memo,
    /// The session that goes on in its place.
    heir: Option<SessionId>,
}

#[async_trait]
impl Resumption for Embedded {
    async fn remember(&self, session: SessionId, memo: &Memo) -> Result<bool, BackendError> {
        let memo = memo.clone();
        self.ask(move |state, _| {
            let has_heir = state.memos.get(&session).is_some_and(|kept| kept.heir.is_some());
            if !has_heir {
                state.memos.insert(session, Remembered { memo, heir: None });
            }
            Ok(!has_heir)
        })
        .await
    }

    /// That there is an heir is remembered until the session is ended, which is on this very node.
    async fn take_over(
        &self,
        session: SessionId,
        secret_hash: &str,
        heir: SessionId,
    ) -> Result<Option<Memo>, BackendError> {
        let secret_hash = secret_hash.to_owned();
        self.ask(move |state, _| {
            let kept = state.memos.get_mut(&session).filter(|kept| kept.memo.secret_hash == secret_hash);
            let kept = kept.filter(|kept| kept.heir.is_none_or(|other| other == heir));
            Ok(kept.map(|kept| {
                kept.heir = Some(heir);
                kept.memo.clone()
            }))
        })
        .await
    }

    async fn forget(&self, session: SessionId) -> Result<(), BackendError> {
        self.ask(move |state, _| {
            state.memos.remove(&session);
            Ok(())
        })
        .await
    }

    async fn bequeath(&self) -> Result<bool, BackendError> {
        Ok(false)
    }

    fn outlives_nodes(&self) -> bool {
        false
    }
}
