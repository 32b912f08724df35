//! Names of staged files, and the statement that uploads one.

use snowferry_model::names::TableName;

use super::Statement;
use crate::SnowflakeError;

/// An internal stage.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(not(test), expect(dead_code, reason = "a push uses the user's stage"))]
pub(in crate::client) enum Stage {
    /// The stage of the signed-in user; needs no privilege.
    User,
    /// The stage of a table; needs its ownership.
    Table(TableName),
    /// A named stage, in the form of a table's name.
    Named(TableName),
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::User => f.write_str("@~"),
            Self::Table(TableName { database, schema, table }) => {
                let (database, schema) = (database.quoted(), schema.quoted());
                write!(f, "@{database}.{schema}.%{}", table.quoted())
            }
            Self::Named(name) => write!(f, "@{}", name.quoted()),
        }
    }
}

/// A file in a stage: `{stage}/{folder}/{name}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::client) struct StageFile {
    pub(in crate::client) stage: Stage,
    folder: String,
    pub(in crate::client) name: String,
}

impl StageFile {
    /// Takes a folder (may be empty) and a name. Both are ours and plain, so that they need no
    /// quoting anywhere: letters, digits, `-`, `_`, `.`, and `/` between the parts of the folder.
    ///
    /// # Errors
    /// [`SnowflakeError::Request`] for any other name.
    pub(in crate::client) fn new(
        stage: Stage,
        folder: &str,
        name: &str,
    ) -> Result<Self, SnowflakeError> {
        let folders_plain = folder.is_empty() || folder.split('/').all(is_plain);
        if folders_plain && is_plain(name) {
            return Ok(Self { stage, folder: folder.to_owned(), name: name.to_owned() });
        }
        Err(SnowflakeError::Request {
            object: "the name of a staged file".to_owned(),
            reason: "only letters, digits, hyphens, underscores and dots are allowed".to_owned(),
        })
    }
}

fn is_plain(part: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !part.is_empty() && part.bytes().all(allowed) && !part.bytes().all(|byte| byte == b'.')
}

/// Asks where a file is to be uploaded to. It is stored as it is and replaces one of its name.
pub(in crate::client) fn put(file: &StageFile) -> Statement {
    let StageFile { stage, folder, name } = file;
    let folder = if folder.is_empty() { String::new() } else { format!("/{folder}") };
    Statement::plain(format!(
        "PUT file:///{name} {stage}{folder} \
         AUTO_COMPRESS = FALSE SOURCE_COMPRESSION = NONE OVERWRITE = TRUE"
    ))
}

#[cfg(test)]
mod tests {
    use snowferry_model::names::Identifier;

    use super::*;

    #[test]
    fn a_file_is_put_under_its_own_name_into_each_kind_of_stage() {
        let id = |name: &str| Identifier::new(name).unwrap();
        let odd = TableName { database: id("d\"b"), schema: id("SC"), table: id("t. x") };
        for (stage, folder, wanted) in [
            (Stage::User, "run-1/g0", "@~/run-1/g0"),
            (Stage::Table(odd.clone()), "", "@\"d\"\"b\".\"SC\".%\"t. x\""),
            (Stage::Named(odd), "a", "@\"d\"\"b\".\"SC\".\"t. x\"/a"),
        ] {
            let file = StageFile::new(stage, folder, "part_1.parquet").unwrap();
            let text = put(&file).text;
            let rest = "AUTO_COMPRESS = FALSE SOURCE_COMPRESSION = NONE OVERWRITE = TRUE";
            assert_eq!(text, format!("PUT file:///part_1.parquet {wanted} {rest}"));
        }
    }

    #[test]
    fn a_name_that_could_mean_something_else_is_refused() {
        for (folder, name) in [
            ("", ""),
            ("", "a b"),
            ("", "a/b"),
            ("", "a;b"),
            ("", "'a'"),
            ("", "*"),
            ("", "a?"),
            ("", ".."),
            ("..", "a"),
            ("a//b", "c"),
            ("/a", "c"),
            ("a/../b", "c"),
            ("a b", "c"),
            ("a\nOVERWRITE", "c"),
            ("ä", "c"),
        ] {
            assert!(StageFile::new(Stage::User, folder, name).is_err(), "{folder:?} {name:?}");
        }
    }
}
