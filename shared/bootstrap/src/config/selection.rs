//! What is read of a table: `columns`, `filter` and `query` of its entry.

use snowferry_model::names::Identifier;
use snowferry_snowflake::SnowflakeError;
use snowferry_snowflake::client::{Columns, RowFilter, Selection, SourceQuery};

use super::document::{Node, Position};
use super::fields::{Problems, Section, Show, Spot, text};
use super::problem::Problem;
use super::snowflake::reason;
use super::table::names;

const COLUMN_FIELDS: &[&str] = &["include", "exclude", "hash"];

/// A column that the entry itself needs, and as what.
pub(super) struct Needed<'a> {
    pub(super) key: &'a [Identifier],
    pub(super) cursor: Option<&'a Identifier>,
}

/// Whether the file names a salt, which hashes need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Salt {
    /// It does.
    Named,
    /// It does not.
    Missing,
}

/// Reads the selection of an entry; `None` within for a table that is read whole.
pub(super) fn read(
    problems: &mut Problems,
    entry: &Section<'_>,
    needed: &Needed<'_>,
    salt: Salt,
) -> Option<Option<Selection>> {
    let mut selection = Selection::default();
    let mut complete = true;
    if let Some(spot) = entry.field("columns") {
        match read_columns(problems, spot, needed, salt) {
            Some((columns, hash)) => (selection.columns, selection.hash) = (columns, hash),
            None => complete = false,
        }
    }
    if let Some(spot) = entry.field("filter") {
        selection.filter = read_sql(problems, spot, RowFilter::parse, "one condition over columns");
        complete &= selection.filter.is_some();
    }
    if let Some(spot) = entry.field("query") {
        if entry.field("filter").is_some() {
            let found = "a query has its own WHERE, and no use for a filter beside it";
            problems.add(spot.problem(found).repair("move the filter into the query"));
            complete = false;
        }
        let allowed = "one SELECT that names each table as DATABASE.SCHEMA.TABLE";
        selection.query = read_sql(problems, spot, SourceQuery::parse, allowed);
        complete &= selection.query.is_some();
    }
    complete.then(|| (selection != Selection::default()).then_some(selection))
}

fn read_sql<T>(
    problems: &mut Problems,
    spot: Spot<&Node>,
    parse: impl FnOnce(&str) -> Result<T, SnowflakeError>,
    allowed: &str,
) -> Option<T> {
    text(problems, spot, Show::KindOnly)?.check(problems, |written| {
        parse(written)
            .map_err(|error| Problem::new(Position::START, "", reason(error)).allowed(allowed))
    })
}

fn read_columns(
    problems: &mut Problems,
    spot: Spot<&Node>,
    needed: &Needed<'_>,
    salt: Salt,
) -> Option<(Columns, Vec<Identifier>)> {
    let section = Section::open(problems, spot, COLUMN_FIELDS)?;
    let mut read = |name: &str| match section.field(name) {
        Some(spot) => names(problems, &spot, "list").map(Some),
        None => Some(None),
    };
    let (include, exclude, hash) = (read("include"), read("exclude"), read("hash"));
    let (include, exclude, hash) = (include?, exclude?, hash?.unwrap_or_default());
    let mut refuse = |field: &str, found: String, repair: String| {
        let at = section.field(field).map_or(section.at, |spot| spot.at);
        let problem = Problem::new(at, format!("{}.{field}", section.path), found);
        problems.add(problem.repair(repair));
    };
    let roles = needed.key.iter().map(|name| (name, "key"));
    let roles: Vec<_> = roles.chain(needed.cursor.map(|name| (name, "cursor"))).collect();
    let mut sound = true;
    for (name, role) in &roles {
        if include.as_ref().is_some_and(|names| !names.contains(name)) {
            refuse("include", format!("the {role} {name} is missing"), format!("add {name}"));
            sound = false;
        }
        if exclude.as_ref().is_some_and(|names| names.contains(name)) {
            let repair = format!("take {name} out of the list");
            refuse("exclude", format!("{name} is the {role}, which is needed"), repair);
            sound = false;
        }
        if *role == "cursor" && hash.contains(name) {
            let repair = format!("take {name} out of the list");
            refuse("hash", format!("{name} is the cursor, and a hash has no order"), repair);
            sound = false;
        }
    }
    for name in &hash {
        let left_out = exclude.as_ref().is_some_and(|names| names.contains(name))
            || include.as_ref().is_some_and(|names| !names.contains(name));
        if left_out {
            let repair = format!("take {name} out of one of the lists, or include it");
            refuse("hash", format!("{name} is not read at all"), repair);
            sound = false;
        }
    }
    if !hash.is_empty() && salt == Salt::Missing {
        let found = "a hash without a salt is found by trying".to_owned();
        let repair = "write `hash_salt: { file: PATH }` into the `pull` part, a secret of 16 or \
                      more characters";
        refuse("hash", found, repair.to_owned());
        sound = false;
    }
    let columns = match (include, exclude) {
        (Some(_), Some(_)) => {
            refuse("exclude", "found both include and exclude".to_owned(), "keep one".to_owned());
            return None;
        }
        (Some(include), None) => Columns::Only(include),
        (None, Some(exclude)) => Columns::Without(exclude),
        (None, None) => Columns::All,
    };
    sound.then_some((columns, hash))
}
