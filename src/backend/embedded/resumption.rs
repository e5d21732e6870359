//! Which sessions may be gone on with. In memory: they end with the only node there is.

use async_trait::async_trait;

use super::super::{BackendError, Memo, Resumption};
use super::Embedded;
use crate::chat::SessionId;

#[async_trait]
impl Resumption for Embedded {
    async fn remember(&self, session: SessionId, memo: &Memo) -> Result<bool, BackendError> {
        let memo = memo.clone();
        self.ask(move |state, _| {
            state.memos.insert(session, memo);
            Ok(true)
        })
        .await
    }

    /// This backend always answers, so nobody has to ask again.
    async fn take_over(
        &self,
        session: SessionId,
        secret_hash: &str,
        _heir: SessionId,
    ) -> Result<Option<Memo>, BackendError> {
        let secret_hash = secret_hash.to_owned();
        self.ask(move |state, _| {
            let fits = state.memos.get(&session).is_some_and(|memo| memo.secret_hash == secret_hash);
            Ok(if fits { state.memos.remove(&session) } else { None })
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
