//! A customer's table as a push finds it.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::names::Identifier;
use crate::types::SnowflakeType;

/// One column of a target, with everything that decides whether it can be written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetColumn {
    /// The exact name.
    pub name: Identifier,
    /// The declared type.
    pub data_type: SnowflakeType,
    /// Characters that a text column holds.
    pub max_chars: Option<u64>,
    /// Bytes that a text or binary column holds.
    pub max_bytes: Option<u64>,
    /// Whether NULL is allowed.
    pub nullable: bool,
    /// The default, as SQL text.
    pub default: Option<String>,
    /// Whether the server numbers the rows itself.
    pub identity: bool,
    /// The expression of a column that is computed from others.
    pub computed: Option<String>,
    /// The masking policy on it.
    pub masking: Option<String>,
}

impl TargetColumn {
    /// Returns a column without default, identity, expression or mask.
    #[must_use]
    pub fn plain(name: Identifier, data_type: SnowflakeType, nullable: bool) -> Self {
        Self {
            name,
            data_type,
            max_chars: None,
            max_bytes: None,
            nullable,
            default: None,
            identity: false,
            computed: None,
            masking: None,
        }
    }

    /// Returns the declared type with its length.
    #[must_use]
    pub fn declared(&self) -> String {
        match (&self.data_type, self.max_chars, self.max_bytes) {
            (SnowflakeType::Text, Some(chars), _) => format!("VARCHAR({chars})"),
            (SnowflakeType::Binary, _, Some(bytes)) => format!("BINARY({bytes})"),
            (data_type, ..) => data_type.to_string(),
        }
    }
}

/// What our role may do, as far as a push is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Privilege {
    /// Read the rows.
    Select,
    /// Add rows.
    Insert,
    /// Change rows.
    Update,
    /// Take rows out.
    Delete,
    /// Everything.
    Ownership,
}

impl Privilege {
    /// Returns the privilege as SQL writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Select => "SELECT",
            Self::Insert => "INSERT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Ownership => "OWNERSHIP",
        }
    }
}

/// A target as it stands at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetDescription {
    /// `TABLE`, `VIEW`, … as Snowflake says.
    pub kind: String,
    /// Changes when the object is created anew.
    pub identity: String,
    /// The role whose privileges are meant.
    pub role: String,
    /// What the role may do.
    pub privileges: Vec<Privilege>,
    /// Rows, where the server keeps a count.
    pub rows: Option<u64>,
    /// Columns in declared order.
    pub columns: Vec<TargetColumn>,
}

impl TargetDescription {
    /// Returns the column of that exact name.
    #[must_use]
    pub fn column(&self, name: &Identifier) -> Option<&TargetColumn> {
        self.columns.iter().find(|column| column.name == *name)
    }

    /// Returns whether the role has a privilege, be it by owning the table.
    #[must_use]
    pub fn may(&self, privilege: Privilege) -> bool {
        self.privileges.contains(&privilege) || self.privileges.contains(&Privilege::Ownership)
    }

    /// Returns a short hash over everything about the columns that a push relies on.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for column in &self.columns {
            hash.update(format!("{column:?}\n"));
        }
        hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }
}
