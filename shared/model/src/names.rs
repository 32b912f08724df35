//! Names that are safe to use: identifiers for SQL, connections for keys and paths.
//!
//! **Invariant:** an [`Identifier`] reaches SQL text only through [`Identifier::quoted`], and a
//! path or object key only through [`TableName::slug`].

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Snowflake's limit for an identifier, in characters ("Identifier requirements").
pub const IDENTIFIER_MAX_CHARS: usize = 255;

/// Our limit for a connection's name, so that it fits into every key and path.
pub const CONNECTION_NAME_MAX_CHARS: usize = 64;

/// The longest slug, in bytes. Most file systems end at 255 for one name; the rest is left for what
/// is put before or behind it.
pub const SLUG_MAX_BYTES: usize = 200;

/// How much of a name that is too long stays readable in its slug.
const SLUG_READABLE_BYTES: usize = 160;

/// Why a name was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Nothing between the dots or quotes.
    #[error("a name is empty")]
    Empty,
    /// Longer than the limit.
    #[error("a name has {chars} characters, at most {max} are allowed")]
    TooLong {
        /// Characters found.
        chars: usize,
        /// Characters allowed.
        max: usize,
    },
    /// A NUL character.
    #[error("a name holds a NUL character")]
    Nul,
    /// Not `DATABASE.SCHEMA.TABLE`.
    #[error("{parts} parts where DATABASE.SCHEMA.TABLE is needed")]
    Parts {
        /// Parts found.
        parts: usize,
    },
    /// Quotes that do not pair, or text after a closing quote.
    #[error("the double quotes of a name do not pair")]
    Quotes,
    /// An unquoted name with a character that needs quotes.
    #[error("the character {found:?} needs double quotes around the name")]
    NeedsQuotes {
        /// The character.
        found: char,
    },
    /// A connection name outside `[a-z0-9-]`.
    #[error(
        "a connection's name is lower-case letters, digits and hyphens, and starts with a letter"
    )]
    Connection,
    /// A push's name outside `[a-z0-9-]`.
    #[error("a push's name is lower-case letters, digits and hyphens, and starts with a letter")]
    Push,
}

/// One SQL identifier in its exact, resolved spelling (`ORDERS`, `my col`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Identifier(String);

impl Identifier {
    /// Takes a name in its exact spelling.
    ///
    /// # Errors
    /// [`NameError::Empty`], [`NameError::TooLong`] beyond 255 characters, [`NameError::Nul`].
    pub fn new(exact: impl Into<String>) -> Result<Self, NameError> {
        let exact = exact.into();
        let chars = exact.chars().count();
        if exact.is_empty() {
            return Err(NameError::Empty);
        }
        if chars > IDENTIFIER_MAX_CHARS {
            return Err(NameError::TooLong { chars, max: IDENTIFIER_MAX_CHARS });
        }
        if exact.contains('\0') {
            return Err(NameError::Nul);
        }
        Ok(Self(exact))
    }

    /// Reads a name as a person writes it: unquoted is folded to upper case, quoted is kept.
    ///
    /// # Errors
    /// As [`Identifier::new`], and [`NameError::Quotes`] or [`NameError::NeedsQuotes`].
    pub fn parse(written: &str) -> Result<Self, NameError> {
        let mut parts = split_name(written)?;
        match (parts.pop(), parts.len()) {
            (Some(one), 0) => Ok(one),
            (_, more) => Err(NameError::Parts { parts: more + 1 }),
        }
    }

    /// Returns the exact spelling, for display and for comparing with what a server reports.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the identifier in double quotes with inner quotes doubled, for SQL text.
    #[must_use]
    pub fn quoted(&self) -> String {
        format!("\"{}\"", self.0.replace('"', "\"\""))
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_plain(&self.0) { f.write_str(&self.0) } else { f.write_str(&self.quoted()) }
    }
}

impl TryFrom<String> for Identifier {
    type Error = NameError;

    fn try_from(exact: String) -> Result<Self, NameError> {
        Self::new(exact)
    }
}

impl From<Identifier> for String {
    fn from(identifier: Identifier) -> Self {
        identifier.0
    }
}

/// A fully qualified table or view.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TableName {
    /// The database.
    pub database: Identifier,
    /// The schema.
    pub schema: Identifier,
    /// The table or view.
    pub table: Identifier,
}

impl TableName {
    /// Returns the three quoted parts joined by dots, for SQL text.
    #[must_use]
    pub fn quoted(&self) -> String {
        [&self.database, &self.schema, &self.table].map(Identifier::quoted).join(".")
    }

    /// Returns a text for paths and object keys that no other table has.
    ///
    /// Letters, digits, `_`, `$` and `-` stay, every other byte becomes `%XX`; the parts are
    /// joined by dots. Beyond [`SLUG_MAX_BYTES`] the rest gives way to `%-` and half of a SHA-256;
    /// no shorter name can look like that. The result holds no slash and is never `.` or `..`.
    #[must_use]
    pub fn slug(&self) -> String {
        let mut slug = String::new();
        for (index, part) in [&self.database, &self.schema, &self.table].into_iter().enumerate() {
            if index > 0 {
                slug.push('.');
            }
            for byte in part.as_str().bytes() {
                if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'-') {
                    slug.push(char::from(byte));
                } else {
                    slug.push_str(&format!("%{byte:02X}"));
                }
            }
        }
        if slug.len() > SLUG_MAX_BYTES {
            let hash = Sha256::digest(&slug);
            slug.truncate(SLUG_READABLE_BYTES);
            slug.push_str("%-");
            slug.extend(hash.iter().take(16).map(|byte| format!("{byte:02x}")));
        }
        slug
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.database, self.schema, self.table)
    }
}

impl FromStr for TableName {
    type Err = NameError;

    fn from_str(written: &str) -> Result<Self, NameError> {
        let parts = split_name(written)?;
        let count = parts.len();
        let [database, schema, table] =
            <[Identifier; 3]>::try_from(parts).map_err(|_| NameError::Parts { parts: count })?;
        Ok(Self { database, schema, table })
    }
}

impl TryFrom<String> for TableName {
    type Error = NameError;

    fn try_from(written: String) -> Result<Self, NameError> {
        written.parse()
    }
}

impl From<TableName> for String {
    fn from(name: TableName) -> Self {
        name.to_string()
    }
}

/// The name of a connection: `[a-z][a-z0-9-]*`, at most 64 characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ConnectionName(String);

impl ConnectionName {
    /// Takes a connection's name.
    ///
    /// # Errors
    /// [`NameError::Connection`] or [`NameError::TooLong`].
    pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
        let name = name.into();
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(allowed) {
            return Err(NameError::Connection);
        }
        if name.len() > CONNECTION_NAME_MAX_CHARS {
            let max = CONNECTION_NAME_MAX_CHARS;
            return Err(NameError::TooLong { chars: name.len(), max });
        }
        Ok(Self(name))
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ConnectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for ConnectionName {
    type Error = NameError;

    fn try_from(name: String) -> Result<Self, NameError> {
        Self::new(name)
    }
}

impl From<ConnectionName> for String {
    fn from(name: ConnectionName) -> Self {
        name.0
    }
}

/// Returns whether Snowflake reads `name` unquoted as exactly itself.
fn is_plain(name: &str) -> bool {
    let starts = name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_');
    starts
        && name
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || matches!(c, '_' | '$'))
}

/// Splits `a."b.c".d` at the dots outside quotes and resolves each part as [`Identifier::parse`].
///
/// # Errors
/// As [`Identifier::parse`].
pub fn split_name(written: &str) -> Result<Vec<Identifier>, NameError> {
    let mut parts = Vec::new();
    let mut rest = written.chars().peekable();
    loop {
        let mut part = String::new();
        if rest.next_if_eq(&'"').is_some() {
            loop {
                match rest.next() {
                    Some('"') if rest.next_if_eq(&'"').is_some() => part.push('"'),
                    Some('"') => break,
                    Some(c) => part.push(c),
                    None => return Err(NameError::Quotes),
                }
            }
        } else {
            while let Some(c) = rest.next_if(|c| *c != '.') {
                match c {
                    '"' => return Err(NameError::Quotes),
                    c if c.is_alphanumeric() || matches!(c, '_' | '$') => {
                        part.extend(c.to_uppercase())
                    }
                    found => return Err(NameError::NeedsQuotes { found }),
                }
            }
            if let Some(found) = part.chars().next().filter(|c| c.is_ascii_digit() || *c == '$') {
                return Err(NameError::NeedsQuotes { found });
            }
        }
        parts.push(Identifier::new(part)?);
        match rest.next() {
            None => return Ok(parts),
            Some('.') => {}
            Some(_) => return Err(NameError::Quotes),
        }
    }
}
