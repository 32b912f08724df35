//! The one transaction of a push, and what a push that was killed left open.
//!
//! A transaction outlives the process that began it: the server keeps it, and its locks, until it
//! was idle in somebody's way for minutes. So it bears a name that follows from its target, and
//! whoever applies rows to a target first ends the transactions of that name. Only our own user's
//! are shown and can be ended.
//!
//! That is safe while the other one still lives, too, as it is when the server or an administrator
//! ends a transaction: the session does not commit by itself, so statements after that only begin
//! another transaction, and before COMMIT the server is asked whether it is still the one that was
//! begun. A transaction that is ended between this question and COMMIT leaves nothing to commit, and
//! COMMIT succeeds all the same: afterwards the ledger tells, or, without one, a mark that the
//! transaction itself leaves in its staging table.

use sha2::{Digest, Sha256};
use snowferry_model::names::TableName;

use super::{run, sql};
use crate::SnowflakeError;
use crate::client::conversation::Conversation;

/// An open transaction of a conversation.
#[derive(Debug)]
pub(super) struct Transaction {
    target: String,
    id: String,
}

impl Transaction {
    /// Ends what killed pushes to the target left open, and begins.
    pub(super) async fn begin(
        conversation: &mut Conversation,
        target: &TableName,
    ) -> Result<Self, SnowflakeError> {
        let (name, target) = (name(target), target.to_string());
        run(conversation, &sql::autocommit_off(), &target).await?;
        run(conversation, &sql::begin(&name), &target).await?;
        let id = current(conversation, &target).await?;
        match id {
            Some(id) => Ok(Self { target, id }),
            // It was ended before we could ask for it.
            None => Err(SnowflakeError::TransactionEnded { table: target }),
        }
    }

    /// Makes everything since the beginning visible at once.
    ///
    /// # Errors
    /// [`SnowflakeError::TransactionEnded`] when it was ended from outside; nothing was changed.
    pub(super) async fn commit(
        self,
        conversation: &mut Conversation,
    ) -> Result<(), SnowflakeError> {
        let now = current(conversation, &self.target).await;
        if now.as_ref().is_ok_and(|now| now.as_ref() == Some(&self.id)) {
            return run(conversation, &sql::commit(), &self.target).await.map(|_| ());
        }
        let ended = SnowflakeError::TransactionEnded { table: self.target.clone() };
        self.undo(conversation).await;
        Err(now.err().unwrap_or(ended))
    }

    /// Undoes everything after a failure and returns what to tell of it: what statements meet after
    /// their transaction was ended says nothing about the rows.
    pub(super) async fn roll_back(
        self,
        conversation: &mut Conversation,
        failure: SnowflakeError,
    ) -> SnowflakeError {
        let now = current(conversation, &self.target).await;
        let ended = now.is_ok_and(|now| now.as_ref() != Some(&self.id));
        let table = self.target.clone();
        self.undo(conversation).await;
        if ended { SnowflakeError::TransactionEnded { table } } else { failure }
    }

    /// Whether or not this arrives: what is not committed goes with the session.
    async fn undo(self, conversation: &mut Conversation) {
        if run(conversation, &sql::roll_back(), &self.target).await.is_err() {
            tracing::debug!("a transaction was not rolled back by us");
        }
    }
}

/// Ends the transactions that killed pushes to a target left open. Without it we only wait longer,
/// so a refusal is no failure.
pub(super) async fn end_abandoned(conversation: &mut Conversation, target: &TableName) {
    let (name, object) = (name(target), target.to_string());
    let shown = match run(conversation, &sql::show_transactions(), &object).await {
        Ok(shown) => shown.rows,
        Err(error) => return told(&error),
    };
    for row in &shown.rows {
        if shown.get(row, "name").as_deref() != Some(name.as_str()) {
            continue;
        }
        let Some(id) = shown.get(row, "id").and_then(|id| id.parse::<u64>().ok()) else { continue };
        tracing::warn!(%target, id, "another push's open transaction on the target is ended");
        if let Err(error) = run(conversation, &sql::abort_transaction(id), &object).await {
            told(&error);
        }
    }
}

fn told(error: &SnowflakeError) {
    let code = snowferry_model::fault::Fault::code(error);
    tracing::warn!(code, "look for transactions that were left open");
}

/// Returns the name of transactions that apply rows to a target.
fn name(target: &TableName) -> String {
    let digest = Sha256::digest(target.quoted());
    let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02X}")).collect();
    format!("SNOWFERRY_{hex}")
}

/// Returns the id of the session's open transaction.
async fn current(
    conversation: &mut Conversation,
    object: &str,
) -> Result<Option<String>, SnowflakeError> {
    let done = run(conversation, &sql::current_transaction(), object).await?;
    Ok(done.rows.rows.into_iter().next().and_then(|row| row.into_iter().next().flatten()))
}
