//! Every SQL text that this crate sends. Identifiers come only through
//! [`Identifier::quoted`], values only as binds; a pattern of SHOW and the name that a system
//! function is given take no bind: these literals are escaped here. The filter or query of a
//! connection comes as the print of a tree that was judged (`selection`).

pub(super) mod push;

use serde_json::{Value, json};
use snowferry_model::names::{Identifier, TableName};
use snowferry_model::types::SnowflakeType;
use snowferry_model::watermark::{Lookback, LowerEdge, Watermark, Window};

use super::binds::Bind;
use super::{ClientOptions, Secret, Selection};
use crate::{ProfileRequest, ReadRequest, SnowflakeError};

mod stage;

pub(super) use stage::{Stage, StageFile, put};

const SECONDS_PER_DAY: u64 = 86_400;

/// One statement with its binds, in the order of its question marks.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Statement {
    pub(super) text: String,
    pub(super) binds: Vec<Bind>,
    /// Marks the statement in the server's history, in place of the session's tag.
    pub(super) tag: Option<String>,
}

impl Statement {
    fn plain(text: String) -> Self {
        Self { text, binds: Vec::new(), tag: None }
    }
}

/// What a session fixes, so that no account or user default changes a result or a text.
///
/// In a session whose statements belong together, a statement ends when its client has vanished.
pub(super) fn session_parameters(options: &ClientOptions, pinned: bool) -> Value {
    let mut parameters = json!({
        "CLIENT_VALIDATE_DEFAULT_PARAMETERS": true,
        "TIMEZONE": "UTC",
        "TIMESTAMP_OUTPUT_FORMAT": "YYYY-MM-DD HH24:MI:SS.FF9 TZHTZM",
        "TIMESTAMP_NTZ_OUTPUT_FORMAT": "YYYY-MM-DD HH24:MI:SS.FF9",
        "TIMESTAMP_LTZ_OUTPUT_FORMAT": "YYYY-MM-DD HH24:MI:SS.FF9 TZHTZM",
        "TIMESTAMP_TZ_OUTPUT_FORMAT": "YYYY-MM-DD HH24:MI:SS.FF9 TZHTZM",
        "TIMESTAMP_INPUT_FORMAT": "AUTO",
        "DATE_OUTPUT_FORMAT": "YYYY-MM-DD",
        "DATE_INPUT_FORMAT": "AUTO",
        "TIME_OUTPUT_FORMAT": "HH24:MI:SS.FF9",
        "BINARY_OUTPUT_FORMAT": "HEX",
        "GEOGRAPHY_OUTPUT_FORMAT": "GeoJSON",
        "GEOMETRY_OUTPUT_FORMAT": "GeoJSON",
        "GO_QUERY_RESULT_FORMAT": "ARROW",
        "ROWS_PER_RESULTSET": 0,
        "QUOTED_IDENTIFIERS_IGNORE_CASE": false,
        "AUTOCOMMIT": true,
        // A detached statement is read later, by another process if need be.
        "ABORT_DETACHED_QUERY": pinned,
        "STATEMENT_TIMEOUT_IN_SECONDS": options.statement_timeout.as_secs(),
        "QUERY_TAG": options.query_tag,
    });
    if let (Value::Object(parameters), Some(size)) = (&mut parameters, options.chunk_size_mb) {
        parameters.insert("CLIENT_RESULT_CHUNK_SIZE".to_owned(), size.into());
    }
    parameters
}

/// Columns, types, keys; needs no warehouse.
pub(super) fn describe(table: &TableName) -> Statement {
    Statement::plain(format!("DESCRIBE TABLE {}", table.quoted()))
}

/// Kinds of objects that SHOW lists apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Tables,
    Views,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Tables => "TABLES",
            Self::Views => "VIEWS",
        }
    }
}

/// The object of that name, and others whose name differs by case only; needs no warehouse.
pub(super) fn show_one(table: &TableName, kind: Kind) -> Statement {
    Statement::plain(format!(
        "SHOW {} LIKE {} IN SCHEMA {}.{}",
        kind.word(),
        like_literal(table.table.as_str()),
        table.database.quoted(),
        table.schema.quoted()
    ))
}

/// Where discovery looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everything that the role may see.
    Account,
    /// One database.
    Database(Identifier),
    /// One schema.
    Schema(Identifier, Identifier),
}

/// All tables or views of a scope; needs no warehouse.
pub(super) fn show_all(scope: &Scope, kind: Kind) -> Statement {
    let place = match scope {
        Scope::Account => "ACCOUNT".to_owned(),
        Scope::Database(database) => format!("DATABASE {}", database.quoted()),
        Scope::Schema(database, schema) => {
            format!("SCHEMA {}.{}", database.quoted(), schema.quoted())
        }
    };
    Statement::plain(format!("SHOW {} IN {place}", kind.word()))
}

/// What the role may do; needs no warehouse.
pub(super) fn show_grants(role: &Identifier) -> Statement {
    Statement::plain(format!("SHOW GRANTS TO ROLE {}", role.quoted()))
}

/// Who and where the session is.
pub(super) fn session_facts() -> Statement {
    Statement::plain(
        "SELECT CURRENT_VERSION(), CURRENT_ACCOUNT(), CURRENT_REGION(), CURRENT_USER(), \
         CURRENT_ROLE(), CURRENT_WAREHOUSE()"
            .to_owned(),
    )
}

/// A count that only a running warehouse can answer.
pub(super) fn use_warehouse(table: &TableName) -> Statement {
    Statement::plain(format!(
        "SELECT TO_VARCHAR(COUNT(*)) FROM (SELECT 1 FROM {} LIMIT 1)",
        table.quoted()
    ))
}

/// What a statement reads: an object, or what is selected of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin<'a> {
    pub(super) table: &'a TableName,
    pub(super) selection: Option<&'a Selection>,
    pub(super) salt: Option<&'a Secret>,
}

impl Origin<'_> {
    /// The object, or the connection's query in its place.
    fn object(&self) -> String {
        match self.selection.and_then(|selection| selection.query.as_ref()) {
            Some(query) => format!("({}) AS \"SOURCE\"", query.text()),
            None => self.table.quoted(),
        }
    }

    /// The clause with the connection's filter and more conditions; empty without any.
    fn conditions(&self, more: Option<String>) -> String {
        let filter = self.selection.and_then(|selection| selection.filter.as_ref());
        let filter = filter.map(|filter| format!("({})", filter.text()));
        let all: Vec<String> = filter.into_iter().chain(more).collect();
        if all.is_empty() { String::new() } else { format!(" WHERE {}", all.join(" AND ")) }
    }

    /// The named columns, each hashed if it is to be, of the rows of an inner statement.
    fn hashed(
        &self,
        columns: &[&Identifier],
        inner: String,
        binds: &mut Vec<Bind>,
    ) -> Result<String, SnowflakeError> {
        let hashes =
            |column: &Identifier| self.selection.is_some_and(|selection| selection.hashes(column));
        if !columns.iter().any(|column| hashes(column)) {
            return Ok(inner);
        }
        let Some(salt) = self.salt else {
            let reason = "columns are to be hashed and there is no salt".to_owned();
            return Err(SnowflakeError::Request { object: self.table.to_string(), reason });
        };
        let mut salts = Vec::new();
        let items = columns.iter().map(|column| {
            let quoted = column.quoted();
            if !hashes(column) {
                return quoted;
            }
            salts.push(Bind::Text(salt.expose().to_owned()));
            format!("SHA2(? || TO_VARCHAR({quoted}), 256) AS {quoted}")
        });
        let items = items.collect::<Vec<_>>().join(", ");
        // The inner statement comes later in the text, and so do its binds.
        binds.splice(0..0, salts);
        Ok(format!("SELECT {items} FROM ({inner}) AS \"SELECTED\""))
    }
}

/// The connection's query as it is; to be compiled only.
pub(super) fn query_columns(query: &super::SourceQuery) -> Statement {
    Statement::plain(query.text().to_owned())
}

/// The named columns and no row; to be compiled only.
pub(super) fn probe(
    origin: Origin<'_>,
    columns: &[Identifier],
) -> Result<Statement, SnowflakeError> {
    let names = match columns {
        [] => "1".to_owned(),
        _ => columns.iter().map(Identifier::quoted).collect::<Vec<_>>().join(", "),
    };
    let inner =
        format!("SELECT {names} FROM {}{} LIMIT 0", origin.object(), origin.conditions(None));
    let mut binds = Vec::new();
    let columns: Vec<&Identifier> = columns.iter().collect();
    let text = origin.hashed(&columns, inner, &mut binds)?;
    Ok(Statement { text, binds, tag: None })
}

/// Row count, greatest cursor, NULLs of it, whether it is too far ahead (if a limit was given and
/// its type is a time), the asked facts and the change token, in that order.
pub(super) fn profile(
    request: &ProfileRequest,
    origin: Origin<'_>,
) -> Result<Statement, SnowflakeError> {
    let mut items = vec!["TO_VARCHAR(COUNT(*))".to_owned()];
    let mut binds = Vec::new();
    if let Some((cursor, data_type)) = &request.cursor {
        let column = cursor.quoted();
        let greatest = above_floor(format!("MAX({column})"), request, &mut binds)?;
        items.push(exact_text(&greatest, data_type)?);
        items.push(format!("TO_VARCHAR(COUNT(*) - COUNT({column}))"));
        // Snowflake answers this from what it knows of the column, without reading it.
        if let Some(latest) = latest(request.ahead_s, data_type) {
            items.push(format!("TO_VARCHAR(MAX({column}) > {latest})"));
        }
    }
    for column in request.wide_integers.iter().map(Identifier::quoted) {
        items.push(format!("TO_VARCHAR(MIN({column}))"));
        items.push(format!("TO_VARCHAR(MAX({column}))"));
    }
    for column in request.fine_timestamps.iter().map(Identifier::quoted) {
        items
            .push(format!("TO_VARCHAR(COUNT_IF(MOD(DATE_PART(NANOSECOND, {column}), 1000) <> 0))"));
    }
    if request.change_token {
        items.push(format!(
            "TO_VARCHAR(SYSTEM$LAST_CHANGE_COMMIT_TIME({}))",
            literal(&request.table.quoted())
        ));
    }
    let (items, object, conditions) = (items.join(", "), origin.object(), origin.conditions(None));
    let text = format!("SELECT {items} FROM {object}{conditions}");
    Ok(Statement { text, binds, tag: None })
}

/// The greatest cursor that is not too far ahead, and how many are. Reads the cursor's column.
pub(super) fn profile_ahead(
    request: &ProfileRequest,
    origin: Origin<'_>,
) -> Result<Option<Statement>, SnowflakeError> {
    let Some((cursor, data_type)) = &request.cursor else { return Ok(None) };
    let Some(latest) = latest(request.ahead_s, data_type) else { return Ok(None) };
    let (column, mut binds) = (cursor.quoted(), Vec::new());
    let within = format!("MAX(CASE WHEN {column} <= {latest} THEN {column} END)");
    let greatest = exact_text(&above_floor(within, request, &mut binds)?, data_type)?;
    let (object, conditions) = (origin.object(), origin.conditions(None));
    let text = format!(
        "SELECT {greatest}, TO_VARCHAR(COUNT_IF({column} > {latest})) FROM {object}{conditions}"
    );
    Ok(Some(Statement { text, binds, tag: None }))
}

/// The greater of an expression and the floor; the floor where the expression is NULL.
fn above_floor(
    greatest: String,
    request: &ProfileRequest,
    binds: &mut Vec<Bind>,
) -> Result<String, SnowflakeError> {
    let Some(floor) = &request.floor else { return Ok(greatest) };
    let bind = bound(&floor.cursor_type)?;
    binds.extend([Bind::Text(floor.text.clone()), Bind::Text(floor.text.clone())]);
    Ok(format!("GREATEST(COALESCE({greatest}, {bind}), {bind})"))
}

/// The rows of a window, the columns of a plan, as one statement.
pub(super) fn read(request: &ReadRequest, origin: Origin<'_>) -> Result<Statement, SnowflakeError> {
    let columns: Vec<&Identifier> =
        request.plan.columns.iter().map(|column| &column.name).collect();
    let names: Vec<String> = columns.iter().map(|column| column.quoted()).collect();
    let mut binds = Vec::new();
    let conditions = origin.conditions(window(&request.window, &mut binds)?);
    let inner = format!("SELECT {} FROM {}{conditions}", names.join(", "), origin.object());
    let text = origin.hashed(&columns, inner, &mut binds)?;
    let tag = (!request.tag.is_empty()).then(|| request.tag.clone());
    Ok(Statement { text, binds, tag })
}

/// The condition of a window; `None` where every row is in it.
fn window(window: &Window, binds: &mut Vec<Bind>) -> Result<Option<String>, SnowflakeError> {
    Ok(match window {
        Window::Whole => None,
        Window::Nothing => Some("1 = 0".to_owned()),
        Window::UpTo { to } => Some(upper(to, binds)?),
        Window::Unbounded { to } => Some(format!("{} IS NOT NULL", to.cursor.quoted())),
        Window::Since { from, lookback, .. } => {
            binds.push(Bind::Text(from.text.clone()));
            Some(format!("{} >= {}", from.cursor.quoted(), lower(from, *lookback)?))
        }
        Window::WithNulls { of } => match (self::window(of, binds)?, of.upper()) {
            // The backfill: with the NULLs, every row.
            (Some(_), Some(_)) if matches!(**of, Window::Unbounded { .. }) => None,
            (Some(condition), Some(to)) => {
                Some(format!("({condition} OR {} IS NULL)", to.cursor.quoted()))
            }
            (condition, _) => condition,
        },
        Window::Between { from, edge, lookback, to } => {
            let comparison = match edge {
                LowerEdge::Open => ">",
                LowerEdge::Closed => ">=",
            };
            let lowest = lower(from, *lookback)?;
            binds.push(Bind::Text(from.text.clone()));
            let column = from.cursor.quoted();
            let upper = upper(to, binds)?;
            Some(format!("{column} {comparison} {lowest} AND {upper}"))
        }
    })
}

/// The last moment that a cursor of this type may name without being too far ahead, by the server's
/// clock; `None` for a cursor that is no time. A wall clock without a zone is taken as UTC.
fn latest(ahead_s: Option<u64>, data_type: &SnowflakeType) -> Option<String> {
    let ahead_s = ahead_s?;
    match data_type {
        SnowflakeType::Date => {
            Some(format!("DATEADD(DAY, {}, CURRENT_DATE())", ahead_s.div_ceil(SECONDS_PER_DAY)))
        }
        SnowflakeType::TimestampNtz { .. }
        | SnowflakeType::TimestampLtz { .. }
        | SnowflakeType::TimestampTz { .. } => {
            Some(format!("DATEADD(SECOND, {ahead_s}, CURRENT_TIMESTAMP())::{data_type}"))
        }
        _ => None,
    }
}

fn upper(to: &Watermark, binds: &mut Vec<Bind>) -> Result<String, SnowflakeError> {
    binds.push(Bind::Text(to.text.clone()));
    Ok(format!("{} <= {}", to.cursor.quoted(), bound(&to.cursor_type)?))
}

fn lower(from: &Watermark, lookback: Lookback) -> Result<String, SnowflakeError> {
    let bind = bound(&from.cursor_type)?;
    match (lookback, &from.cursor_type) {
        (Lookback::None, _) => Ok(bind),
        (Lookback::Seconds(seconds), SnowflakeType::Date) => {
            Ok(format!("DATEADD(DAY, -{}, {bind})", seconds.div_ceil(SECONDS_PER_DAY)))
        }
        (
            Lookback::Seconds(seconds),
            SnowflakeType::TimestampNtz { .. }
            | SnowflakeType::TimestampLtz { .. }
            | SnowflakeType::TimestampTz { .. },
        ) => Ok(format!("DATEADD(SECOND, -{seconds}, {bind})")),
        (Lookback::Units(units), SnowflakeType::Number { .. }) => Ok(format!("{bind} - {units}")),
        (_, data_type) => Err(SnowflakeError::Request {
            object: "the lookback of a window".to_owned(),
            reason: format!("it cannot be taken from {data_type}"),
        }),
    }
}

/// A bind that is compared as the cursor's own type: the constant is cast, never the column, so
/// that pruning works.
fn bound(data_type: &SnowflakeType) -> Result<String, SnowflakeError> {
    match data_type {
        SnowflakeType::Number { .. }
        | SnowflakeType::Date
        | SnowflakeType::TimestampNtz { .. }
        | SnowflakeType::TimestampLtz { .. }
        | SnowflakeType::TimestampTz { .. } => Ok(format!("?::{data_type}")),
        _ => Err(no_cursor(data_type)),
    }
}

/// A text that names the very same value when it is bound and cast back.
fn exact_text(expression: &str, data_type: &SnowflakeType) -> Result<String, SnowflakeError> {
    match data_type {
        SnowflakeType::Number { .. } => Ok(format!("TO_VARCHAR({expression})")),
        SnowflakeType::Date => Ok(format!("TO_VARCHAR({expression}, 'YYYY-MM-DD')")),
        SnowflakeType::TimestampNtz { .. } => {
            Ok(format!("TO_VARCHAR({expression}, 'YYYY-MM-DD HH24:MI:SS.FF9')"))
        }
        SnowflakeType::TimestampLtz { .. } | SnowflakeType::TimestampTz { .. } => {
            Ok(format!("TO_VARCHAR({expression}, 'YYYY-MM-DD HH24:MI:SS.FF9 TZHTZM')"))
        }
        _ => Err(no_cursor(data_type)),
    }
}

fn no_cursor(data_type: &SnowflakeType) -> SnowflakeError {
    SnowflakeError::Request {
        object: "the cursor".to_owned(),
        reason: format!("a column of type {data_type} cannot be one"),
    }
}

/// A literal text, for functions whose argument must be one.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// A literal that LIKE matches with `name` alone (and its other cases). The backslash escapes
/// once for LIKE and once more for the literal.
fn like_literal(name: &str) -> String {
    let mut literal = String::from("'");
    for character in name.chars() {
        match character {
            '%' | '_' => {
                literal.push_str("\\\\");
                literal.push(character);
            }
            '\\' => literal.push_str("\\\\\\\\"),
            '\'' => literal.push_str("''"),
            _ => literal.push(character),
        }
    }
    literal.push('\'');
    literal
}

#[cfg(test)]
mod tests;
