//! PUT and GET: what the client is to move, which the client then does itself.
//!
//! An unquoted `file://…` is a comment to every tokenizer, so these two are read from the text.

use super::super::error::syntax;
use super::super::plan::Planning;
use super::super::tokens::split;
use super::location::{Location, storage_failed};
use super::settings::{flag, settings, text, unknown_property};
use crate::engine::{Bind, Download, SqlError, Transfer, Upload};
use crate::sql::error::unsupported;
use crate::stages::{Encryption, Settings};

/// Files that are moved at once unless the statement says otherwise.
const PARALLEL: u32 = 4;

/// A PUT or GET.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MoveFiles {
    pub direction: Direction,
    /// The path after `file://`.
    pub local: String,
    pub location: Location,
    pub settings: Settings,
}

/// Which way files go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Put,
    Get,
}

/// Reads PUT and GET; `None` for every other statement.
///
/// A bind may stand for a location, as Python's `write_pandas` sends it.
pub(crate) fn parse(sql: &str, binds: &[Bind]) -> Result<Option<MoveFiles>, SqlError> {
    let rest = without_comments(sql);
    let (direction, rest) = match (after_word(rest, "PUT"), after_word(rest, "GET")) {
        (Some(rest), _) => (Direction::Put, rest),
        (None, Some(rest)) => (Direction::Get, rest),
        (None, None) => return Ok(None),
    };
    let (first, rest) = argument(rest)?;
    let (second, rest) = argument(rest)?;
    let mut binds = binds.iter();
    let mut bound = |argument: String| match argument.as_str() {
        "?" => binds.next().and_then(|bind| bind.value.clone()).unwrap_or(argument),
        _ => argument,
    };
    let (first, second) = (bound(first), bound(second));
    let (file, location) = match direction {
        Direction::Put => (first, second),
        Direction::Get => (second, first),
    };
    let local = file
        .strip_prefix("file://")
        .ok_or_else(|| syntax(format!("unexpected '{file}', a URL file://… is expected.")))?;
    let mut statements = split(rest)?;
    let settings = match (statements.pop(), statements.is_empty()) {
        (None, _) => Settings::new(),
        (Some(mut tokens), true) => {
            let settings = settings(&mut tokens)?;
            tokens.end()?;
            settings
        }
        (Some(tokens), false) => return Err(tokens.unexpected()),
    };
    let location = Location::parse(&location)?;
    Ok(Some(MoveFiles { direction, local: local.to_owned(), location, settings }))
}

/// Whether a text is a PUT or GET, which must not be cut at semicolons by a tokenizer.
pub(crate) fn is_transfer(sql: &str) -> bool {
    let rest = without_comments(sql);
    after_word(rest, "PUT").is_some() || after_word(rest, "GET").is_some()
}

impl MoveFiles {
    /// What the client is told to do.
    pub(crate) fn plan(&self, planning: &Planning<'_>) -> Result<Transfer, SqlError> {
        let found = self.location.find(planning)?;
        if found.stage.external.is_some() {
            return Err(unsupported("PUT and GET with an external stage"));
        }
        let encrypted = found.stage.encryption == Encryption::SnowflakeFull;
        let master_key = encrypted.then(|| found.stage.key.to_base64());
        let parallel = match text(&self.settings, "PARALLEL")? {
            None => PARALLEL,
            Some(digits) => digits
                .parse()
                .ok()
                .filter(|parallel| (1..=99).contains(parallel))
                .ok_or_else(|| super::settings::invalid_value("PARALLEL", digits))?,
        };
        let known: &[&str] = match self.direction {
            Direction::Put => &["PARALLEL", "AUTO_COMPRESS", "SOURCE_COMPRESSION", "OVERWRITE"],
            Direction::Get => &["PARALLEL", "PATTERN"],
        };
        if let Some(name) = self.settings.keys().find(|name| !known.contains(&name.as_str())) {
            return Err(unknown_property(name));
        }
        match self.direction {
            Direction::Put => {
                let prefix = found.path.trim_end_matches('/');
                let source = text(&self.settings, "SOURCE_COMPRESSION")?.unwrap_or("AUTO_DETECT");
                Ok(Transfer::Upload(Upload {
                    stage: found.stage.id,
                    prefix: if prefix.is_empty() { String::new() } else { format!("{prefix}/") },
                    source: self.local.clone(),
                    parallel,
                    auto_compress: flag(&self.settings, "AUTO_COMPRESS", true)?,
                    overwrite: flag(&self.settings, "OVERWRITE", false)?,
                    source_compression: source.to_lowercase(),
                    master_key,
                }))
            }
            Direction::Get => {
                let pattern = text(&self.settings, "PATTERN")?;
                let pattern = pattern.map(super::list::pattern).transpose()?;
                let files = planning
                    .catalog
                    .stages
                    .files(found.stage.id, &found.path)
                    .map_err(|error| storage_failed(&error))?;
                let files = files.into_iter().map(|file| file.path);
                let files = files
                    .filter(|path| pattern.as_ref().is_none_or(|found| found.is_match(path)))
                    .collect();
                Ok(Transfer::Download(Download {
                    stage: found.stage.id,
                    files,
                    target: self.local.clone(),
                    parallel,
                    master_key,
                }))
            }
        }
    }
}

fn without_comments(sql: &str) -> &str {
    let mut rest = sql.trim_start();
    loop {
        let after = if rest.starts_with("--") || rest.starts_with("//") {
            rest.find('\n').and_then(|end| rest.get(end + 1..))
        } else if rest.starts_with("/*") {
            rest.find("*/").and_then(|end| rest.get(end + 2..))
        } else {
            None
        };
        match after {
            Some(after) => rest = after.trim_start(),
            None => return rest,
        }
    }
}

fn after_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(word.len())?;
    let ends = rest.starts_with(char::is_whitespace);
    (head.eq_ignore_ascii_case(word) && ends).then_some(rest)
}

/// One argument: quoted, or up to the next blank or semicolon outside double quotes.
fn argument(text: &str) -> Result<(String, &str), SqlError> {
    let text = text.trim_start();
    if let Some(quoted) = text.strip_prefix('\'') {
        let mut value = String::new();
        let mut characters = quoted.char_indices().peekable();
        while let Some((at, character)) = characters.next() {
            match character {
                '\'' if characters.peek().is_some_and(|(_, next)| *next == '\'') => {
                    characters.next();
                    value.push('\'');
                }
                '\'' => return Ok((value, quoted.get(at + 1..).unwrap_or_default())),
                '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
                other => value.push(other),
            }
        }
        return Err(syntax("unexpected '<EOF>'."));
    }
    let mut quoted = false;
    let end = text.find(|character: char| {
        quoted ^= character == '"';
        !quoted && (character.is_whitespace() || character == ';')
    });
    let (value, rest) = text.split_at(end.unwrap_or(text.len()));
    if value.is_empty() {
        return Err(syntax("unexpected '<EOF>'."));
    }
    Ok((value.to_owned(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::stage::location::Named;

    #[test]
    fn put_and_get_are_read_as_drivers_write_them() {
        let put = parse("PUT 'file:///tmp/it\\'s a.csv' @~/x OVERWRITE=TRUE parallel = 8;", &[])
            .unwrap()
            .unwrap();
        assert_eq!(put.direction, Direction::Put);
        assert_eq!(put.local, "/tmp/it's a.csv");
        assert_eq!(put.location, Location { named: Named::User, path: "x".to_owned() });
        assert_eq!(text(&put.settings, "PARALLEL").unwrap(), Some("8"));
        let put = parse("/* note */ put file:///tmp/*.csv @\"A\".b.%t", &[]).unwrap().unwrap();
        assert_eq!(put.local, "/tmp/*.csv");
        let get = parse("get @s/dir/ file:///tmp/out/ pattern='.*[.]csv'", &[]).unwrap().unwrap();
        assert_eq!(get.direction, Direction::Get);
        assert_eq!(get.local, "/tmp/out/");
        let bind = Bind { kind: "TEXT".to_owned(), value: Some("@~/b".to_owned()) };
        let put = parse("PUT 'file:///a' ? PARALLEL=1", &[bind]).unwrap().unwrap();
        assert_eq!(put.location, Location { named: Named::User, path: "b".to_owned() });
        assert_eq!(parse("SELECT 1", &[]).unwrap(), None);
        assert_eq!(parse("PUTS x", &[]).unwrap(), None);
        for bad in
            ["PUT file:///a", "PUT /a @~", "GET @~ /a", "PUT file:///a @~ X", "PUT 'file:///a"]
        {
            assert!(parse(bad, &[]).is_err(), "{bad}");
        }
    }
}
