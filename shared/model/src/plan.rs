//! How each source column is staged: the type map, decided once for each generation.
//!
//! | Snowflake | staged as |
//! |---|---|
//! | NUMBER(p≤18,0) | `Int64` |
//! | NUMBER(p>18,0) | `Int64` while every value fits (policy `auto`), else `Decimal128(38,0)` |
//! | NUMBER(p≤18,s) | `Decimal128(18,s)` |
//! | NUMBER(p>18,s) | `Decimal128(38,s)` |
//! | FLOAT, BOOLEAN, DATE, BINARY | `Float64`, `Boolean`, `Date32`, `Binary` |
//! | VARCHAR, DECFLOAT, VARIANT, OBJECT, ARRAY, MAP, GEOGRAPHY, GEOMETRY | `Utf8` |
//! | TIME | `Int64`, nanoseconds since midnight (Delta has no time of day) |
//! | TIMESTAMP_NTZ | `Timestamp(µs)` |
//! | TIMESTAMP_LTZ | `Timestamp(µs, UTC)` |
//! | TIMESTAMP_TZ | `Timestamp(µs, UTC)` and `X__offset_min` `Int16` |
//! | a timestamp with digits below the microsecond | also `X__ns` `Int16`, 0 to 999 |
//! | VECTOR | `List(Float32)` or `List(Int32)` |
//!
//! Whether a wide NUMBER fits 64 bits and whether a timestamp has digits below the microsecond is
//! seen in the data when a generation begins. **Invariant:** the form of a column holds for the
//! whole generation, but that a companion may be added; a later value that does not fit is refused
//! by the decoder, never rounded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::names::Identifier;
use crate::types::{ColumnDescription, SnowflakeType, TableDescription};

/// The version of the stored form of a [`TablePlan`].
pub const PLAN_VERSION: u32 = 1;

/// Suffix of the column that holds nanoseconds within the microsecond.
pub const NANOS_SUFFIX: &str = "__ns";

/// Suffix of the column that holds the offset from UTC in minutes.
pub const OFFSET_SUFFIX: &str = "__offset_min";

/// How NUMBER(p,0) with p above 18 is staged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntegerPolicy {
    /// 64-bit integers where every value of the table fits when the generation begins, else
    /// decimals.
    #[default]
    Auto,
    /// Always `Decimal128(38,0)`.
    Decimal,
    /// Always 64-bit integers; a wider value is refused.
    Int64,
}

/// What was seen in one column before planning. Absent facts count as "anything possible".
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnFacts {
    /// The least value as server text, of a wide integer column.
    pub min: Option<String>,
    /// The greatest value as server text.
    pub max: Option<String>,
    /// Whether some timestamp has digits below the microsecond.
    pub below_microseconds: bool,
}

/// The staged form of one source column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StagedForm {
    /// 64-bit integer.
    Int64,
    /// Exact decimal.
    Decimal {
        /// 18 or 38.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// 64-bit float.
    Float64,
    /// Text, including JSON text.
    Utf8,
    /// Bytes.
    Binary,
    /// Boolean.
    Boolean,
    /// Days since 1970.
    Date32,
    /// Nanoseconds since midnight.
    TimeNanos,
    /// Microseconds since 1970, with companions.
    Timestamp {
        /// An instant (UTC) rather than wall-clock time.
        zoned: bool,
        /// With a companion `__ns`.
        nanos: bool,
        /// With a companion `__offset_min`.
        offset: bool,
    },
    /// List of 32-bit floats.
    ListFloat32,
    /// List of 32-bit integers.
    ListInt32,
}

/// One source column and how it is staged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedColumn {
    /// The exact name at the source; the staged column has the same.
    pub name: Identifier,
    /// The declared type.
    pub data_type: SnowflakeType,
    /// How it is staged.
    pub form: StagedForm,
}

impl PlannedColumn {
    /// Returns the staged fields of this column: the value first, then its companions.
    #[must_use]
    pub fn fields(&self) -> Vec<Field> {
        let name = self.name.as_str();
        let mut fields = vec![Field::new(name, self.form.value_type(), true)];
        if let StagedForm::Timestamp { nanos, offset, .. } = self.form {
            if nanos {
                fields.push(Field::new(format!("{name}{NANOS_SUFFIX}"), DataType::Int16, true));
            }
            if offset {
                fields.push(Field::new(format!("{name}{OFFSET_SUFFIX}"), DataType::Int16, true));
            }
        }
        fields
    }
}

impl StagedForm {
    /// Returns the Arrow type of the value column.
    #[must_use]
    pub fn value_type(self) -> DataType {
        match self {
            Self::Int64 | Self::TimeNanos => DataType::Int64,
            Self::Decimal { precision, scale } => {
                DataType::Decimal128(precision, i8::try_from(scale).unwrap_or(i8::MAX))
            }
            Self::Float64 => DataType::Float64,
            Self::Utf8 => DataType::Utf8,
            Self::Binary => DataType::Binary,
            Self::Boolean => DataType::Boolean,
            Self::Date32 => DataType::Date32,
            Self::Timestamp { zoned: true, .. } => {
                DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
            }
            Self::Timestamp { zoned: false, .. } => {
                DataType::Timestamp(TimeUnit::Microsecond, None)
            }
            Self::ListFloat32 => DataType::List(list_element(DataType::Float32)),
            Self::ListInt32 => DataType::List(list_element(DataType::Int32)),
        }
    }
}

/// Returns the element field of a staged list, named as Parquet and Delta name it.
fn list_element(data_type: DataType) -> Arc<Field> {
    Arc::new(Field::new("element", data_type, true))
}

/// The columns of one table as they are read and staged, in source order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TablePlan {
    /// [`PLAN_VERSION`].
    pub version: u32,
    /// The columns.
    pub columns: Vec<PlannedColumn>,
}

/// Why a table cannot be staged exactly.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// A type with no exact staged form.
    #[error("column {column} has the type {data_type}, which this version cannot hold exactly")]
    UnknownType {
        /// The column.
        column: Identifier,
        /// The server's name of the type.
        data_type: String,
    },
    /// A source column bears the name of a companion column.
    #[error("column {column} bears the name that a companion of another column needs")]
    CompanionName {
        /// The column.
        column: String,
    },
    /// Two names differ by case only; tables in our database cannot tell them apart.
    #[error("columns {first} and {second} differ by case only")]
    CaseOnly {
        /// The first of them.
        first: Identifier,
        /// The second.
        second: Identifier,
    },
    /// No column at all.
    #[error("the table shows no column to this role")]
    NoColumns,
}

impl TablePlan {
    /// Decides the staged form of every column.
    ///
    /// # Errors
    /// - [`PlanError::UnknownType`] for a type without an exact form.
    /// - [`PlanError::CompanionName`], [`PlanError::CaseOnly`] for names that would collide.
    /// - [`PlanError::NoColumns`].
    pub fn decide(
        table: &TableDescription,
        facts: &BTreeMap<Identifier, ColumnFacts>,
        integers: IntegerPolicy,
    ) -> Result<Self, PlanError> {
        if table.columns.is_empty() {
            return Err(PlanError::NoColumns);
        }
        let mut columns = Vec::with_capacity(table.columns.len());
        for column in &table.columns {
            columns.push(PlannedColumn {
                name: column.name.clone(),
                data_type: column.data_type.clone(),
                form: staged_form(column, facts.get(&column.name), integers)?,
            });
        }
        let plan = Self { version: PLAN_VERSION, columns };
        plan.check()?;
        Ok(plan)
    }

    /// Returns the staged schema, companions right behind their column.
    #[must_use]
    pub fn schema(&self) -> Schema {
        Schema::new(self.columns.iter().flat_map(PlannedColumn::fields).collect::<Vec<_>>())
    }

    /// Returns the column of that exact name.
    #[must_use]
    pub fn column(&self, name: &Identifier) -> Option<&PlannedColumn> {
        self.columns.iter().find(|column| column.name == *name)
    }

    /// Returns a short hash over names, declared types and staged forms, in order.
    ///
    /// Rows staged under two fingerprints are never mixed in one generation.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for column in &self.columns {
            hash.update(format!("{:?}\n", (column.name.as_str(), &column.data_type, column.form)));
        }
        hex(hash.finalize().get(..16).unwrap_or_default())
    }

    /// Returns the names, declared types and order of the source columns as a short hash: what a
    /// later DESCRIBE is compared with, whatever was decided about staging.
    #[must_use]
    pub fn source_fingerprint(&self) -> String {
        source_fingerprint(self.columns.iter().map(|c| (&c.name, &c.data_type)))
    }

    /// Checks that no two staged columns have one name.
    pub(crate) fn check(&self) -> Result<(), PlanError> {
        let mut folded: BTreeMap<String, &Identifier> = BTreeMap::new();
        for column in &self.columns {
            if let Some(first) = folded.insert(column.name.as_str().to_lowercase(), &column.name) {
                let (first, second) = (first.clone(), column.name.clone());
                return Err(PlanError::CaseOnly { first, second });
            }
        }
        let mut staged = BTreeSet::new();
        for field in self.columns.iter().flat_map(PlannedColumn::fields) {
            if !staged.insert(field.name().to_lowercase()) {
                return Err(PlanError::CompanionName { column: field.name().clone() });
            }
        }
        Ok(())
    }
}

/// Returns the fingerprint of a description, comparable with [`TablePlan::source_fingerprint`].
#[must_use]
pub fn described_fingerprint(table: &TableDescription) -> String {
    source_fingerprint(table.columns.iter().map(|c| (&c.name, &c.data_type)))
}

fn source_fingerprint<'a>(
    columns: impl Iterator<Item = (&'a Identifier, &'a SnowflakeType)>,
) -> String {
    let mut hash = Sha256::new();
    for (name, data_type) in columns {
        hash.update(format!("{:?}\n", (name.as_str(), data_type)));
    }
    hex(hash.finalize().get(..16).unwrap_or_default())
}

/// Decides the form of one column; without facts, anything is possible.
pub(crate) fn staged_form(
    column: &ColumnDescription,
    facts: Option<&ColumnFacts>,
    integers: IntegerPolicy,
) -> Result<StagedForm, PlanError> {
    let nanos = |scale: u8| scale > 6 && facts.is_none_or(|facts| facts.below_microseconds);
    Ok(match &column.data_type {
        SnowflakeType::Number { precision, scale: 0 } => {
            let narrow = match integers {
                _ if *precision <= 18 => true,
                IntegerPolicy::Int64 => true,
                IntegerPolicy::Decimal => false,
                IntegerPolicy::Auto => facts.is_some_and(fits_64_bits),
            };
            if narrow { StagedForm::Int64 } else { StagedForm::Decimal { precision: 38, scale: 0 } }
        }
        SnowflakeType::Number { precision, scale } => {
            let precision = if *precision <= 18 { 18 } else { 38 };
            StagedForm::Decimal { precision, scale: *scale }
        }
        SnowflakeType::Float => StagedForm::Float64,
        SnowflakeType::Binary => StagedForm::Binary,
        SnowflakeType::Boolean => StagedForm::Boolean,
        SnowflakeType::Date => StagedForm::Date32,
        SnowflakeType::Time { .. } => StagedForm::TimeNanos,
        SnowflakeType::TimestampNtz { scale } => {
            StagedForm::Timestamp { zoned: false, nanos: nanos(*scale), offset: false }
        }
        SnowflakeType::TimestampLtz { scale } => {
            StagedForm::Timestamp { zoned: true, nanos: nanos(*scale), offset: false }
        }
        SnowflakeType::TimestampTz { scale } => {
            StagedForm::Timestamp { zoned: true, nanos: nanos(*scale), offset: true }
        }
        SnowflakeType::VectorFloat { .. } => StagedForm::ListFloat32,
        SnowflakeType::VectorInt { .. } => StagedForm::ListInt32,
        SnowflakeType::Text
        | SnowflakeType::Decfloat
        | SnowflakeType::Variant
        | SnowflakeType::Object
        | SnowflakeType::Array
        | SnowflakeType::Map
        | SnowflakeType::Geography
        | SnowflakeType::Geometry => StagedForm::Utf8,
        SnowflakeType::Unknown { name } => {
            return Err(PlanError::UnknownType {
                column: column.name.clone(),
                data_type: name.clone(),
            });
        }
    })
}

/// Returns whether all values of a column seen so far fit; an empty column does.
fn fits_64_bits(facts: &ColumnFacts) -> bool {
    [&facts.min, &facts.max].into_iter().flatten().all(|text| text.parse::<i64>().is_ok())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
