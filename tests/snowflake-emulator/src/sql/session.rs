//! USE and ALTER SESSION.

use super::datetime;
use super::error::{compile, operation_impossible, sql_error, unsupported};
use super::formats::Format;
use super::plan::Planning;
use crate::account::Securable;
use crate::engine::{SessionContext, SqlError};
use crate::sql::command::ObjectKind;

/// Session parameters that SHOW PARAMETERS lists, with their defaults.
pub(crate) const PARAMETERS: [(&str, &str); 25] = [
    ("ABORT_DETACHED_QUERY", "false"),
    ("AUTOCOMMIT", "true"),
    ("BINARY_INPUT_FORMAT", "HEX"),
    ("BINARY_OUTPUT_FORMAT", "HEX"),
    ("DATE_INPUT_FORMAT", "AUTO"),
    ("DATE_OUTPUT_FORMAT", "YYYY-MM-DD"),
    ("ERROR_ON_NONDETERMINISTIC_MERGE", "true"),
    ("ERROR_ON_NONDETERMINISTIC_UPDATE", "false"),
    ("LOCK_TIMEOUT", "43200"),
    ("QUERY_TAG", ""),
    ("QUOTED_IDENTIFIERS_IGNORE_CASE", "false"),
    ("ROWS_PER_RESULTSET", "0"),
    ("STATEMENT_TIMEOUT_IN_SECONDS", "172800"),
    ("TIMESTAMP_INPUT_FORMAT", "AUTO"),
    ("TIMESTAMP_LTZ_OUTPUT_FORMAT", ""),
    ("TIMESTAMP_NTZ_OUTPUT_FORMAT", "YYYY-MM-DD HH24:MI:SS.FF3"),
    ("TIMESTAMP_OUTPUT_FORMAT", "YYYY-MM-DD HH24:MI:SS.FF3 TZHTZM"),
    ("TIMESTAMP_TYPE_MAPPING", "TIMESTAMP_NTZ"),
    ("TIMESTAMP_TZ_OUTPUT_FORMAT", ""),
    ("TIMEZONE", "UTC"),
    ("TIME_INPUT_FORMAT", "AUTO"),
    ("TIME_OUTPUT_FORMAT", "HH24:MI:SS"),
    ("TRANSACTION_ABORT_ON_ERROR", "false"),
    ("USE_CACHED_RESULT", "true"),
    ("WEEK_START", "0"),
];

/// Parameters of which only the default is implemented, because another value changes results.
const FIXED: [&str; 10] = [
    "BINARY_INPUT_FORMAT",
    "BINARY_OUTPUT_FORMAT",
    "DATE_INPUT_FORMAT",
    "QUOTED_IDENTIFIERS_IGNORE_CASE",
    "TIMESTAMP_INPUT_FORMAT",
    "TIMESTAMP_TYPE_MAPPING",
    "TIME_INPUT_FORMAT",
    "TRANSACTION_ABORT_ON_ERROR",
    "WEEK_OF_YEAR_POLICY",
    "WEEK_START",
];

/// Changes parameters, all or none.
pub(crate) fn set(
    session: &mut SessionContext,
    pairs: Vec<(String, String)>,
) -> Result<(), SqlError> {
    for (name, value) in &pairs {
        check(name, value)?;
    }
    session.parameters.extend(pairs);
    Ok(())
}

/// Whether a parameter may have a value.
pub(crate) fn check(name: &str, value: &str) -> Result<(), SqlError> {
    let invalid = || {
        let message = format!("invalid value [{value}] for parameter '{name}'");
        compile("001008", "22023", message)
    };
    if FIXED.contains(&name) {
        let default = PARAMETERS.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        let same = value.eq_ignore_ascii_case(default.unwrap_or("0"));
        return if same { Ok(()) } else { Err(unsupported(format!("{name} = {value}"))) };
    }
    if matches!(
        name,
        "AUTOCOMMIT" | "ERROR_ON_NONDETERMINISTIC_MERGE" | "ERROR_ON_NONDETERMINISTIC_UPDATE"
    ) {
        let flag = value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false");
        return if flag { Ok(()) } else { Err(invalid()) };
    }
    if name == "LOCK_TIMEOUT" {
        return value.parse::<u32>().map(|_| ()).map_err(|_| invalid());
    }
    if name == "TIMEZONE" {
        return datetime::zone(value).map(|_| ()).ok_or_else(invalid);
    }
    if name.ends_with("_OUTPUT_FORMAT") && !name.starts_with("GEO") {
        Format::parse(value)?;
    }
    Ok(())
}

/// Takes parameters back to their defaults.
pub(crate) fn unset(session: &mut SessionContext, names: &[String]) {
    for name in names {
        session.parameters.remove(name);
    }
}

/// Changes the current database, schema, warehouse or role.
pub(crate) fn use_object(
    planning: &Planning<'_>,
    session: &mut SessionContext,
    kind: ObjectKind,
    name: &[String],
) -> Result<(), SqlError> {
    let last = name.last().cloned().unwrap_or_default();
    match kind {
        ObjectKind::Warehouse => {
            let known = planning.account.warehouses.get(&last).is_some();
            let usable = known && planning.held(&Securable::Warehouse(last.clone())).any();
            session.warehouse = Some(usable.then_some(last).ok_or_else(operation_impossible)?);
        }
        ObjectKind::Role => session.role = Some(usable_role(planning, last)?),
        ObjectKind::SecondaryRoles => {
            if last != "NONE" {
                return Err(unsupported(format!("USE SECONDARY ROLES {last}")));
            }
        }
        ObjectKind::Schema => {
            let database = match name {
                [database, _] => Some(database.clone()),
                _ => session.database.clone(),
            };
            let database = database.ok_or_else(super::error::no_database)?;
            let found = planning.snapshot.databases().get(&database);
            let found = found.filter(|found| planning.sees_database(found));
            let found = found.ok_or_else(operation_impossible)?;
            let inner = found.schemas.get(&last).filter(|found| planning.sees_schema(found));
            if inner.is_none() && last != super::information::SCHEMA {
                return Err(operation_impossible());
            }
            session.database = Some(database);
            session.schema = Some(last);
        }
        _ => {
            let found = planning.snapshot.databases().get(&last);
            let found = found.filter(|found| planning.sees_database(found));
            let found = found.ok_or_else(operation_impossible)?;
            let public = found.schemas.get("PUBLIC");
            let has_public = public.is_some_and(|public| planning.sees_schema(public));
            session.database = Some(last);
            session.schema = has_public.then(|| "PUBLIC".to_owned());
        }
    }
    Ok(())
}

fn usable_role(planning: &Planning<'_>, role: String) -> Result<String, SqlError> {
    if planning.account.access.role(&role).is_none() {
        return Err(operation_impossible());
    }
    if !planning.account.may_act(&planning.session.user, &role) {
        let message = format!(
            "SQL access control error:\nRequested role '{role}' is not assigned to the executing \
             user. Specify another role to activate."
        );
        return Err(sql_error("003013", "42501", message));
    }
    Ok(role)
}
