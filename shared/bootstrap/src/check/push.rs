//! One push: its target is a table that our role may write, its ledger is there. Columns are
//! judged by `plan`, which also asks our database.

use snowferry_model::names::TableName;
use snowferry_model::push::{Delivery, Privilege, PushMode};
use snowferry_push::PushJob;
use snowferry_snowflake::{SnowflakeError, Target};

use super::CheckItem;

/// Adds one item for each push and one for each ledger.
pub(super) async fn check_pushes(
    target: &dyn Target,
    pushes: &[PushJob],
    items: &mut Vec<CheckItem>,
) {
    let mut ledgers: Vec<&TableName> = Vec::new();
    for job in pushes {
        let subject = format!("push {} into {}", job.push.name, job.target);
        let needed: &[Privilege] = match job.mode {
            PushMode::Append => &[Privilege::Insert],
            PushMode::Rewrite => &[Privilege::Insert, Privilege::Delete],
            PushMode::Upsert { .. } => &[Privilege::Select, Privilege::Insert, Privilege::Update],
        };
        let item = match job.rules.create {
            true => check_or_make(target, subject, &job.target, needed).await,
            false => check_table(target, subject, &job.target, needed).await,
        };
        items.push(item);
        if let Delivery::Ledger { table } = &job.delivery
            && !ledgers.contains(&table)
        {
            ledgers.push(table);
        }
    }
    for ledger in ledgers {
        let needed = [Privilege::Select, Privilege::Insert, Privilege::Update, Privilege::Delete];
        let subject = format!("ledger {ledger}");
        let item = check_table(target, subject, ledger, &needed).await;
        items.push(match item.code {
            Some("SNOWFLAKE_NOT_FOUND") => {
                item.repair("ask the customer to run what `snowferry setup-sql` prints")
            }
            _ => item,
        });
    }
}

async fn check_or_make(
    target: &dyn Target,
    subject: String,
    table: &TableName,
    needed: &[Privilege],
) -> CheckItem {
    match target.inspect(table).await {
        Err(SnowflakeError::NotFound { .. }) => CheckItem::ok(subject, "is made by the push"),
        _ => check_table(target, subject, table, needed).await,
    }
}

async fn check_table(
    target: &dyn Target,
    subject: String,
    table: &TableName,
    needed: &[Privilege],
) -> CheckItem {
    let found = match target.inspect(table).await {
        Ok(found) => found,
        Err(error) => return CheckItem::of(subject, &error),
    };
    let missing: Vec<_> = needed.iter().filter(|one| !found.may(**one)).collect();
    if found.kind == "VIEW" {
        return CheckItem::failed(subject, "is a view; rows can only be pushed into a table");
    }
    if missing.is_empty() {
        let columns = found.columns.len();
        return CheckItem::ok(subject, format!("table with {columns} columns, may be written"));
    }
    let missing: Vec<_> = missing.iter().map(|one| one.as_str()).collect();
    let (missing, role) = (missing.join(", "), &found.role);
    CheckItem::failed(subject, format!("the role {role} may not {missing}"))
        .repair(format!("ask the customer to run GRANT {missing} ON TABLE {table} TO ROLE {role};"))
}
