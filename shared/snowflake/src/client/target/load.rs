//! Loads files and applies rows, statement by statement in one conversation.

use snowferry_model::names::TableName;
use snowferry_model::push::{PushKey, PushManifest, PushMode};
use snowferry_model::state::LedgerPosition;

use super::transaction::{self, Transaction};
use super::{run, sql};
use crate::client::conversation::Conversation;
use crate::client::statement::{About, TextRows};
use crate::{Applied, LedgerMove, SnowflakeError, StagedRows};

/// Where the row of a push is before its first slice.
const BEGINNING: LedgerPosition = LedgerPosition { generation: 0, sequence: 0 };

/// Server codes for values that a table does not take: numeric, date, boolean and other
/// conversions, lengths, NULLs, ranges, duplicate keys of a merge, errors of files.
const ROW_CODES: [&str; 22] = [
    "100016", "100035", "100037", "100038", "100039", "100040", "100046", "100048", "100065",
    "100067", "100069", "100071", "100072", "100074", "100078", "100080", "100090", "100096",
    "100097", "100102", "100132", "100183",
];

/// Loads the files of a manifest into a new staging table and counts.
pub(super) async fn stage(
    conversation: &mut Conversation,
    table: &TableName,
    manifest: &PushManifest,
) -> Result<StagedRows, SnowflakeError> {
    let plan = &manifest.plan;
    let name = table.to_string();
    let about = About { object: &name };
    conversation.execute(&sql::create_staging(table, plan), about).await?;
    for (folder, files) in files(manifest) {
        for files in files.chunks(sql::COPY_MAX_FILES) {
            let copied = copy(conversation, table, manifest, &folder, files).await?;
            if copied.is_none() {
                let file = format!("{folder}{}", files.first().copied().unwrap_or_default());
                return Err(SnowflakeError::FileMissing { file });
            }
        }
    }
    let counted = conversation.execute(&sql::count_staged(table, plan), about).await?;
    let mut counts = numbers(&counted.rows)?.into_iter();
    let rows = counts.next().unwrap_or_default();
    let columns = plan.columns.len() + plan.constants.len();
    let values = counts.by_ref().take(columns).collect();
    let null_keys = counts.next().unwrap_or_default();
    let duplicate_keys = match plan.mode.key() {
        [] => 0,
        key => {
            let counted = conversation.execute(&sql::count_duplicates(table, key), about).await?;
            numbers(&counted.rows)?.first().copied().unwrap_or_default()
        }
    };
    Ok(StagedRows { name, rows, values, duplicate_keys, null_keys })
}

/// Returns the files of a manifest by the folder they are in.
fn files(manifest: &PushManifest) -> Vec<(String, Vec<&str>)> {
    let mut folders: Vec<(String, Vec<&str>)> = Vec::new();
    for part in &manifest.parts {
        let (folder, name) = part.file.rsplit_once('/').unwrap_or(("", &part.file));
        let folder = format!("{folder}/");
        match folders.last_mut() {
            Some((last, names)) if *last == folder => names.push(name),
            _ => folders.push((folder, vec![name])),
        }
    }
    folders
}

/// Runs one COPY and returns the rows it loaded; `None` when it found nothing to load.
async fn copy(
    conversation: &mut Conversation,
    into: &TableName,
    manifest: &PushManifest,
    folder: &str,
    files: &[&str],
) -> Result<Option<u64>, SnowflakeError> {
    let plan = &manifest.plan;
    let name = into.to_string();
    let statement = sql::copy(into, plan, folder, files);
    let done = conversation.execute(&statement, About { object: &name }).await;
    let done = done.map_err(|error| load_error(error, &plan.target, folder))?;
    let mut loaded = None;
    for row in &done.rows.rows {
        // "Copy executed with 0 files processed." comes without the column.
        let Some(rows) = done.rows.get(row, "rows_loaded") else { continue };
        let rows: u64 = rows.parse().map_err(|_| unreadable("rows_loaded"))?;
        loaded = Some(loaded.unwrap_or(0) + rows);
    }
    Ok(loaded)
}

fn load_error(error: SnowflakeError, target: &TableName, folder: &str) -> SnowflakeError {
    match error {
        SnowflakeError::Statement { code, .. } if code == "091016" || code == "002019" => {
            SnowflakeError::FileMissing { file: folder.to_owned() }
        }
        error => refused_rows(error, target),
    }
}

fn refused_rows(error: SnowflakeError, target: &TableName) -> SnowflakeError {
    match error {
        SnowflakeError::Statement { code, .. } if ROW_CODES.contains(&code.as_str()) => {
            let reason = "a value does not fit a column".to_owned();
            SnowflakeError::RowsRefused { table: target.to_string(), code, reason }
        }
        error => error,
    }
}

/// An append without a ledger: one load whose repeat the server recognises by its files.
pub(super) async fn load_into_target(
    conversation: &mut Conversation,
    manifest: &PushManifest,
) -> Result<Applied, SnowflakeError> {
    let target = &manifest.plan.target;
    let request =
        |reason: String| Err(SnowflakeError::Request { object: target.to_string(), reason });
    match files(manifest).as_slice() {
        [] => Ok(Applied::Already),
        [(folder, files)] if files.len() <= sql::COPY_MAX_FILES => {
            match copy(conversation, target, manifest, folder, files).await? {
                None => Ok(Applied::Already),
                Some(rows) if rows == manifest.rows => Ok(Applied::Now { replaced: None }),
                Some(found) => {
                    let (table, expected) = (target.to_string(), manifest.rows);
                    Err(SnowflakeError::AppliedRows { table, expected, found })
                }
            }
        }
        more => {
            let files: usize = more.iter().map(|(_, files)| files.len()).sum();
            request(format!("{files} files do not go into one COPY, and there is no ledger"))
        }
    }
}

/// Moves the ledger and the rows in one transaction.
pub(super) async fn apply(
    conversation: &mut Conversation,
    staging: &TableName,
    manifest: &PushManifest,
    ledger: Option<&LedgerMove>,
) -> Result<Applied, SnowflakeError> {
    transaction::end_abandoned(conversation, &manifest.plan.target).await;
    let from = match ledger {
        Some(moved) => Some(prepare_ledger(conversation, moved).await?),
        None => None,
    };
    let transaction = Transaction::begin(conversation, &manifest.plan.target).await?;
    let mut done = inside(conversation, staging, manifest, ledger.zip(from)).await;
    if let (Ok(_), None) = (&done, ledger) {
        let name = staging.to_string();
        let marked = run(conversation, &sql::mark(staging, &manifest.plan), &name).await;
        done = marked.and(done);
    }
    match done {
        Ok(replaced) => {
            transaction.commit(conversation).await?;
            if ledger.is_none() {
                check_mark(conversation, staging, manifest).await?;
            }
            Ok(Applied::Now { replaced })
        }
        Err(error) => {
            let error = refused_rows(error, &manifest.plan.target);
            Err(transaction.roll_back(conversation, error).await)
        }
    }
}

/// Everything between BEGIN and COMMIT; nothing here defines an object, which would commit.
async fn inside(
    conversation: &mut Conversation,
    staging: &TableName,
    manifest: &PushManifest,
    ledger: Option<(&LedgerMove, LedgerPosition)>,
) -> Result<Option<u64>, SnowflakeError> {
    let plan = &manifest.plan;
    let target = plan.target.to_string();
    if let Some((moved, from)) = ledger {
        advance_ledger(conversation, moved, from, manifest).await?;
    }
    let replaced = match &plan.mode {
        PushMode::Append => None,
        PushMode::Rewrite => {
            run(conversation, &sql::delete_all(&plan.target), &target).await?.affected
        }
        PushMode::Upsert { .. } => {
            let done = run(conversation, &sql::merge(staging, plan), &target).await?;
            let found = done.affected.ok_or_else(|| unreadable("the rows of a MERGE"))?;
            let all_counted = sql::changes_matched(plan);
            if (all_counted && found != manifest.rows) || found > manifest.rows {
                let expected = manifest.rows;
                return Err(SnowflakeError::AppliedRows { table: target, expected, found });
            }
            return Ok(updated(&done.rows));
        }
    };
    let done = run(conversation, &sql::insert(staging, plan), &target).await?;
    let found = done.affected.ok_or_else(|| unreadable("the rows of an INSERT"))?;
    if found != manifest.rows {
        let expected = manifest.rows;
        return Err(SnowflakeError::AppliedRows { table: target, expected, found });
    }
    Ok(replaced)
}

/// A COMMIT succeeds also when its transaction was ended just before. With a ledger the engine looks
/// there; without one, the row that the transaction left in its own staging table tells.
async fn check_mark(
    conversation: &mut Conversation,
    staging: &TableName,
    manifest: &PushManifest,
) -> Result<(), SnowflakeError> {
    let name = staging.to_string();
    let counted = run(conversation, &sql::count_marked(staging), &name).await?;
    let found = numbers(&counted.rows)?.first().copied().unwrap_or_default();
    if found == manifest.rows + 1 {
        return Ok(());
    }
    Err(SnowflakeError::TransactionEnded { table: manifest.plan.target.to_string() })
}

fn updated(rows: &TextRows) -> Option<u64> {
    rows.get(rows.rows.first()?, "number of rows updated")?.parse().ok()
}

/// Moves the ledger's row, which locks it for others until the end of the transaction.
async fn advance_ledger(
    conversation: &mut Conversation,
    moved: &LedgerMove,
    from: LedgerPosition,
    manifest: &PushManifest,
) -> Result<(), SnowflakeError> {
    let name = moved.table.to_string();
    let done = run(conversation, &sql::move_ledger(moved, from, manifest), &name).await?;
    let rows = ledger_rows(conversation, &moved.table, &moved.push).await?;
    if done.affected == Some(1) && rows == [moved.to] {
        return Ok(());
    }
    Err(elsewhere(moved, &rows))
}

/// Makes sure that the push has one row where it must be, outside of any transaction.
async fn prepare_ledger(
    conversation: &mut Conversation,
    moved: &LedgerMove,
) -> Result<LedgerPosition, SnowflakeError> {
    let name = moved.table.to_string();
    let mut rows = ledger_rows(conversation, &moved.table, &moved.push).await?;
    if rows.len() > 1 {
        run(conversation, &sql::tidy_ledger(&moved.table, &moved.push), &name).await?;
        rows = ledger_rows(conversation, &moved.table, &moved.push).await?;
    }
    if rows.is_empty() {
        run(conversation, &sql::begin_ledger(&moved.table, &moved.push), &name).await?;
        rows = ledger_rows(conversation, &moved.table, &moved.push).await?;
    }
    match rows.as_slice() {
        [only] if *only == moved.from.unwrap_or(BEGINNING) => Ok(*only),
        _ => Err(elsewhere(moved, &rows)),
    }
}

fn elsewhere(moved: &LedgerMove, rows: &[LedgerPosition]) -> SnowflakeError {
    let place = |at: &LedgerPosition| format!("{}/{}", at.generation, at.sequence);
    let found = rows.iter().map(place).collect::<Vec<_>>().join(" and ");
    SnowflakeError::Ledger {
        push: moved.push.to_string(),
        expected: place(&moved.from.unwrap_or(BEGINNING)),
        found: if found.is_empty() { "no row".to_owned() } else { found },
    }
}

/// Returns the rows of a push, the newest last.
pub(super) async fn ledger_rows(
    conversation: &mut Conversation,
    table: &TableName,
    push: &PushKey,
) -> Result<Vec<LedgerPosition>, SnowflakeError> {
    let name = table.to_string();
    let done = run(conversation, &sql::read_ledger(table, push), &name).await?;
    let position = |row: &Vec<Option<String>>| {
        let number = |at: usize| row.get(at)?.as_deref()?.parse().ok();
        Some(LedgerPosition { generation: number(0)?, sequence: number(1)? })
    };
    let rows: Option<Vec<_>> = done.rows.rows.iter().map(position).collect();
    rows.ok_or_else(|| unreadable("the ledger"))
}

/// Returns where a push is by its rows; the row of the beginning is none.
pub(super) fn newest(rows: &[LedgerPosition]) -> Option<LedgerPosition> {
    rows.iter().copied().filter(|at| *at != BEGINNING).max_by_key(|at| (at.generation, at.sequence))
}

/// Reads the one row of a result as numbers.
fn numbers(rows: &TextRows) -> Result<Vec<u64>, SnowflakeError> {
    let cell = |cell: &Option<String>| cell.as_deref()?.parse().ok();
    let row = rows.rows.first().map(|row| row.iter().map(cell).collect::<Option<Vec<_>>>());
    row.flatten().ok_or_else(|| unreadable("counts"))
}

fn unreadable(what: &str) -> SnowflakeError {
    SnowflakeError::Protocol {
        step: "apply a push".to_owned(),
        reason: format!("{what} cannot be read"),
    }
}
