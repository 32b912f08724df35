//! Where files are: `@~/path`, `@%table/path`, `@db.schema.stage/path`, `s3://bucket/path`.

use std::sync::Arc;

use super::super::error::{compile, syntax};
use crate::catalog::{Qualified, Relation};
use crate::engine::SqlError;
use crate::sql::plan::Planning;
use crate::stages::{Place, Stage, StageError};

/// A stage as a statement names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// `@~`
    User,
    /// `@%table`
    Table(Vec<String>),
    /// `@name`
    Stage(Vec<String>),
}

/// A stage and a path in it, without a leading slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    pub named: Named,
    pub path: String,
}

/// A location whose stage was found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub stage: Arc<Stage>,
    /// The path as given; of an external stage it comes after the stage's URL.
    pub path: String,
    /// What LIST puts before the path of a file: the stage's name, unless it belongs to a user or
    /// a table.
    pub shown: String,
}

impl Location {
    /// Reads a location that starts with `@`.
    pub(crate) fn parse(text: &str) -> Result<Self, SqlError> {
        let wrong = || syntax(format!("unexpected '{text}'."));
        let mut rest = text.strip_prefix('@').ok_or_else(wrong)?;
        let named = if let Some(after) = rest.strip_prefix('~') {
            rest = after;
            Named::User
        } else {
            let mut parts = Vec::new();
            let mut of_table = false;
            loop {
                if let Some(after) = rest.strip_prefix('%') {
                    of_table = true;
                    rest = after;
                }
                let (part, after) = identifier(rest).ok_or_else(wrong)?;
                parts.push(part);
                match after.strip_prefix('.') {
                    Some(after) if !of_table => rest = after,
                    _ => {
                        rest = after;
                        break;
                    }
                }
            }
            if of_table { Named::Table(parts) } else { Named::Stage(parts) }
        };
        match rest.strip_prefix('/') {
            Some(path) => Ok(Self { named, path: path.trim_start_matches('/').to_owned() }),
            None if rest.is_empty() => Ok(Self { named, path: String::new() }),
            None => Err(wrong()),
        }
    }

    /// Finds the stage; a temporary one of the session comes first.
    pub(crate) fn find(&self, planning: &Planning<'_>) -> Result<Found, SqlError> {
        let stages = &planning.catalog.stages;
        let (stage, shown) = match &self.named {
            Named::User => {
                let place = Place::User(planning.session.user.clone());
                (stages.own(&place, planning.now_ns), String::new())
            }
            Named::Table(name) => {
                let at = Qualified::resolve(name, planning.session)?;
                let table = planning.snapshot.table(&at, planning.session)?;
                let relation = Relation::Table(Arc::clone(&table));
                planning.authorize(&at, &relation, &["OWNERSHIP"])?;
                (stages.own(&Place::Table(table.id), table.created_ns), String::new())
            }
            Named::Stage(name) => {
                let at = Qualified::resolve(name, planning.session)?;
                planning.authorize_in_schema(&at, None)?;
                let [temporary, permanent] = places(planning, &at)?;
                let found = stages.find(&temporary).or_else(|| stages.find(&permanent));
                let stage = found.ok_or_else(|| missing("Stage", &at))?;
                let shown = format!("{}/", at.name.to_lowercase());
                (stage, shown)
            }
        };
        Ok(Found { stage, path: self.path.clone(), shown })
    }
}

/// The places of a temporary and of a permanent object of a name.
pub(crate) fn places(planning: &Planning<'_>, at: &Qualified) -> Result<[Place; 2], SqlError> {
    let schema_ns = planning.snapshot.schema_ns(at)?;
    let name = at.name.clone();
    let session_id = planning.session.session_id;
    Ok([
        Place::Session { session_id, schema_ns, name: name.clone() },
        Place::Schema { schema_ns, name },
    ])
}

/// The error of a stage or file format that is not there.
pub(crate) fn missing(kind: &str, at: &Qualified) -> SqlError {
    let message = format!("{kind} '{}' does not exist or not authorized.", at.shown());
    compile("002003", "02000", message)
}

/// What the storage of a stage did not do.
pub(crate) fn storage_failed(error: &StageError) -> SqlError {
    let mut message = error.to_string();
    if let Some(cause) = std::error::Error::source(error) {
        message = format!("{message}: {cause}");
    }
    match error {
        StageError::Missing { path } => remote_missing(path),
        _ => SqlError {
            code: "091003",
            sql_state: "XX000",
            message: format!("Failure using stage area. Cause: [{message}]"),
        },
    }
}

/// The service's words for a file that a statement names and the storage lacks.
pub(crate) fn remote_missing(path: &str) -> SqlError {
    SqlError {
        code: "091016",
        sql_state: "22000",
        message: format!(
            "Remote file '{path}' was not found. If you are running a copy command, please make \
             sure files are not deleted when they are being loaded or files are not being loaded \
             into two different tables concurrently with auto purge option."
        ),
    }
}

/// One identifier at the start of a text, and what follows it.
fn identifier(text: &str) -> Option<(String, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        let mut name = String::new();
        let mut rest = quoted;
        loop {
            let end = rest.find('"')?;
            name.push_str(rest.get(..end)?);
            rest = rest.get(end + 1..)?;
            match rest.strip_prefix('"') {
                Some(after) => {
                    name.push('"');
                    rest = after;
                }
                None => return Some((name, rest)),
            }
        }
    }
    let plain = |character: char| character.is_alphanumeric() || "_$".contains(character);
    let end = text.find(|character| !plain(character)).unwrap_or(text.len());
    if end == 0 {
        // The empty part of `db..stage`.
        return text.starts_with('.').then(|| (String::new(), text));
    }
    Some((text.get(..end)?.to_uppercase(), text.get(end..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_of_all_kinds_are_read() {
        let parts =
            |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let cases = [
            ("@~", Named::User, ""),
            ("@~/a/b.csv", Named::User, "a/b.csv"),
            ("@%t", Named::Table(parts(&["T"])), ""),
            ("@db.sc.%\"t x\"/p/", Named::Table(parts(&["DB", "SC", "t x"])), "p/"),
            ("@s", Named::Stage(parts(&["S"])), ""),
            ("@db..s/x", Named::Stage(parts(&["DB", "", "S"])), "x"),
            (
                "@\"a\"\"b\".\"c\".\"d\"/e f.csv",
                Named::Stage(parts(&["a\"b", "c", "d"])),
                "e f.csv",
            ),
        ];
        for (text, named, path) in cases {
            let expected = Location { named, path: path.to_owned() };
            assert_eq!(Location::parse(text).unwrap(), expected, "{text}");
        }
        for bad in ["", "s", "@", "@~x", "@a b", "@\"a", "@%", "@a.b."] {
            assert!(Location::parse(bad).is_err(), "{bad:?}");
        }
    }
}
