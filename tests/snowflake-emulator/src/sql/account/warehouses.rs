//! CREATE, ALTER, SUSPEND and RESUME of warehouses.

use super::{AccountObject, missing};
use crate::account::{Securable, Warehouse};
use crate::engine::SqlError;
use crate::sql::authorize::insufficient;
use crate::sql::command::{Properties, Property};
use crate::sql::error::{compile, sql_error, unsupported};
use crate::sql::plan::Planning;

/// Properties of warehouses that have nothing to act on here.
const WITHOUT_EFFECT: [&str; 11] = [
    "WAREHOUSE_TYPE",
    "MIN_CLUSTER_COUNT",
    "MAX_CLUSTER_COUNT",
    "SCALING_POLICY",
    "RESOURCE_MONITOR",
    "ENABLE_QUERY_ACCELERATION",
    "QUERY_ACCELERATION_MAX_SCALE_FACTOR",
    "MAX_CONCURRENCY_LEVEL",
    "STATEMENT_QUEUED_TIMEOUT_IN_SECONDS",
    "STATEMENT_TIMEOUT_IN_SECONDS",
    "WAIT_FOR_COMPLETION",
];

/// Sizes as a statement may write them, without `-`, and as SHOW tells them.
const SIZES: [(&str, &str); 10] = [
    ("XSMALL", "X-Small"),
    ("SMALL", "Small"),
    ("MEDIUM", "Medium"),
    ("LARGE", "Large"),
    ("XLARGE", "X-Large"),
    ("XXLARGE", "2X-Large"),
    ("X2LARGE", "2X-Large"),
    ("XXXLARGE", "3X-Large"),
    ("X3LARGE", "3X-Large"),
    ("X4LARGE", "4X-Large"),
];

/// Makes a warehouse, which starts at once unless it says otherwise.
pub(super) fn create(
    planning: &Planning<'_>,
    name: &str,
    with: Properties,
) -> Result<(), SqlError> {
    let start = Warehouse { created_ns: planning.now_ns, ..Warehouse::default() };
    let warehouse = changed(start, with)?;
    planning.account.warehouses.put(name, warehouse);
    let maker = planning.session.role.as_deref().unwrap_or(crate::sql::authorize::OWNER);
    planning.account.access.set_owner(&Securable::Warehouse(name.to_owned()), maker, true);
    Ok(())
}

/// ALTER WAREHOUSE … SET.
pub(super) fn set(planning: &Planning<'_>, name: &str, with: Properties) -> Result<(), SqlError> {
    authorize(planning, name, "MODIFY")?;
    let found = planning.account.warehouses.get(name);
    let found = found.ok_or_else(|| missing(AccountObject::Warehouse, name))?;
    planning.account.warehouses.put(name, changed(found, with)?);
    Ok(())
}

/// ALTER WAREHOUSE … SUSPEND or RESUME.
pub(super) fn set_state(
    planning: &Planning<'_>,
    name: &str,
    suspended: bool,
    quietly: bool,
) -> Result<(), SqlError> {
    let found = planning.account.warehouses.get(name);
    let mut found = found.ok_or_else(|| missing(AccountObject::Warehouse, name))?;
    authorize(planning, name, "OPERATE")?;
    if found.suspended == suspended && !quietly {
        let word = if suspended { "suspended" } else { "resumed" };
        let message = format!("Invalid state. Warehouse '{name}' cannot be {word}.");
        return Err(sql_error("090063", "22000", message));
    }
    found.suspended = suspended;
    planning.account.warehouses.put(name, found);
    Ok(())
}

/// Refuses a use of a warehouse without the privilege for it.
pub(super) fn authorize(
    planning: &Planning<'_>,
    name: &str,
    privilege: &str,
) -> Result<(), SqlError> {
    let held = planning.held(&Securable::Warehouse(name.to_owned()));
    if held.has(privilege) {
        return Ok(());
    }
    Err(match held.any() {
        true => insufficient("warehouse", name),
        false => missing(AccountObject::Warehouse, name),
    })
}

fn changed(mut warehouse: Warehouse, with: Properties) -> Result<Warehouse, SqlError> {
    for (name, value) in with {
        let Property::Text(text) = value else { return Err(unsupported(name)) };
        match name.as_str() {
            "WAREHOUSE_SIZE" => {
                let plain = text.to_uppercase().replace('-', "");
                let size = SIZES.iter().find(|(known, shown)| {
                    *known == plain || shown.to_uppercase().replace('-', "") == plain
                });
                let (_, shown) = size.ok_or_else(|| invalid(&text, "WAREHOUSE_SIZE"))?;
                (*shown).clone_into(&mut warehouse.size);
            }
            "AUTO_SUSPEND" => warehouse.auto_suspend_s = text.parse().ok(),
            "AUTO_RESUME" => warehouse.auto_resume = text.eq_ignore_ascii_case("true"),
            "INITIALLY_SUSPENDED" => warehouse.suspended = text.eq_ignore_ascii_case("true"),
            "COMMENT" => warehouse.comment = Some(text),
            known if WITHOUT_EFFECT.contains(&known) => {}
            other => return Err(invalid(&text, other)),
        }
    }
    Ok(warehouse)
}

fn invalid(value: &str, name: &str) -> SqlError {
    compile("001008", "22023", format!("invalid value [{value}] for parameter '{name}'"))
}
