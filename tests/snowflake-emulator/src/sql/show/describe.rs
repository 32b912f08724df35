//! DESCRIBE TABLE or VIEW, and how SHOW COLUMNS tells a type.

use super::TEXT;
use crate::catalog::{Qualified, Relation};
use crate::engine::SqlError;
use crate::sql::information::columns_of;
use crate::sql::plan::Planning;
use crate::sql::rows::{Rows, optional};
use crate::sql::value::Value;
use crate::types::SnowType;

/// The JSON text that SHOW COLUMNS gives for a type.
pub(super) fn type_json(data_type: &SnowType, nullable: bool) -> String {
    match data_type {
        SnowType::Number { precision, scale } => format!(
            r#"{{"type":"FIXED","precision":{precision},"scale":{scale},"nullable":{nullable}}}"#
        ),
        SnowType::Float => format!(r#"{{"type":"REAL","nullable":{nullable}}}"#),
        SnowType::Text { length } => {
            let bytes = (u64::from(*length) * 4).min(u64::from(*length).max(16_777_216));
            format!(
                r#"{{"type":"TEXT","length":{length},"byteLength":{bytes},"nullable":{nullable},"fixed":false}}"#
            )
        }
        SnowType::Binary { length } => format!(
            r#"{{"type":"BINARY","length":{length},"byteLength":{length},"nullable":{nullable},"fixed":false}}"#
        ),
        SnowType::Time { scale }
        | SnowType::TimestampNtz { scale }
        | SnowType::TimestampLtz { scale }
        | SnowType::TimestampTz { scale } => format!(
            r#"{{"type":"{}","precision":0,"scale":{scale},"nullable":{nullable}}}"#,
            data_type.name()
        ),
        SnowType::Vector { element, dimension } => {
            let element = match element {
                crate::types::VectorElement::Float => "REAL",
                crate::types::VectorElement::Int => "FIXED",
            };
            format!(
                r#"{{"type":"VECTOR","dimension":{dimension},"vectorElementType":"{element}","nullable":{nullable}}}"#
            )
        }
        other => format!(r#"{{"type":"{}","nullable":{nullable}}}"#, other.name()),
    }
}

/// DESCRIBE TABLE or VIEW.
pub(crate) fn describe(planning: &Planning<'_>, name: &[String]) -> Result<Rows, SqlError> {
    let at = Qualified::resolve(name, planning.session)?;
    planning.enter(&at)?;
    let relation = planning.snapshot.relation(&at, planning.session)?;
    planning.authorize(&at, &relation, &[])?;
    let keys = match &relation {
        Relation::Table(table) => table.primary_key.clone(),
        Relation::View(_) => Vec::new(),
    };
    let mut rows = Rows::new(
        [
            "name",
            "type",
            "kind",
            "null?",
            "default",
            "primary key",
            "unique key",
            "check",
            "expression",
            "comment",
            "policy name",
            "privacy domain",
        ]
        .map(|name| (name, TEXT))
        .to_vec(),
    );
    let flag = |yes: bool| Value::text(if yes { "Y" } else { "N" });
    for column in columns_of(planning, &at.database, &at.schema, &relation) {
        rows.push(vec![
            Value::text(&column.name),
            Value::text(column.data_type.to_string()),
            Value::text("COLUMN"),
            flag(column.nullable),
            optional(column.default_text().as_deref()),
            flag(keys.contains(&column.name)),
            flag(false),
            Value::Null,
            Value::Null,
            optional(column.comment.as_deref()),
            Value::Null,
            Value::Null,
        ]);
    }
    Ok(rows)
}
