//! What waits for accounts, in the order of its numbers.

use redb::{ReadableTable, TableDefinition};

use super::super::super::BackendError;
use super::super::super::pushes::{decode_push, encode_push};
use super::{Batch, failed};
use crate::chat::{Mail, Nickname, Push};

/// (account, number) → the push, as JSON.
const INBOX: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("inbox");
/// Account → (pushes that wait, the largest number given).
const INBOX_COUNT: TableDefinition<'_, &str, (u64, u64)> = TableDefinition::new("inbox_count");

impl Batch {
    /// How much waits, and the largest number that was given.
    pub fn mail_count(&self, account: &Nickname) -> Result<(u64, u64), BackendError> {
        let counts = self.read(INBOX_COUNT)?;
        Ok(counts.get(account.as_str()).map_err(failed)?.map_or((0, 0), |count| count.value()))
    }

    /// Keeps a push under a number above all others.
    pub fn put_mail(&self, account: &Nickname, number: u64, push: &Push) -> Result<(), BackendError> {
        let (count, _) = self.mail_count(account)?;
        self.write(INBOX_COUNT)?.insert(account.as_str(), (count + 1, number)).map_err(failed)?;
        let row = encode_push(push);
        self.write(INBOX)?.insert((account.as_str(), number), row.as_slice()).map_err(failed)?;
        Ok(())
    }

    pub fn mail(&self, account: &Nickname, after: u64, limit: usize) -> Result<Vec<Mail>, BackendError> {
        let inbox = self.read(INBOX)?;
        let range = (account.as_str(), after.saturating_add(1))..=(account.as_str(), u64::MAX);
        let rows = inbox.range(range).map_err(failed)?.take(limit).map(|row| {
            let (key, push) = row.map_err(failed)?;
            let push = decode_push(push.value()).map_err(failed)?;
            Ok(Mail { number: key.value().1, push })
        });
        rows.collect()
    }

    pub fn discard_mail(&self, account: &Nickname, numbers: &[u64]) -> Result<(), BackendError> {
        let mut gone = 0;
        {
            let mut inbox = self.write(INBOX)?;
            for number in numbers {
                gone += u64::from(inbox.remove((account.as_str(), *number)).map_err(failed)?.is_some());
            }
        }
        let (count, top) = self.mail_count(account)?;
        if gone > 0 {
            self.write(INBOX_COUNT)?.insert(account.as_str(), (count.saturating_sub(gone), top)).map_err(failed)?;
        }
        Ok(())
    }

    pub fn forget_mail(&self, account: &Nickname) -> Result<(), BackendError> {
        self.write(INBOX_COUNT)?.remove(account.as_str()).map_err(failed)?;
        let range = (account.as_str(), 0)..=(account.as_str(), u64::MAX);
        self.write(INBOX)?.retain_in(range, |_, _| false).map_err(failed)
    }
}
