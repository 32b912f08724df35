//! What the server declares about a column, in a result's row type and in DESCRIBE's text.

use serde::Deserialize;
use snowferry_model::types::SnowflakeType;

/// One column of a result as the server declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredColumn {
    /// The exact name.
    pub name: String,
    /// The type.
    pub data_type: SnowflakeType,
    /// Whether NULL is allowed.
    pub nullable: bool,
}

/// One entry of `rowtype` as it is on the wire.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RowType {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    nullable: Option<bool>,
    #[serde(default)]
    precision: Option<i64>,
    #[serde(default)]
    scale: Option<i64>,
    #[serde(default)]
    ext_type_name: Option<String>,
    #[serde(default)]
    vector_dimension: Option<u32>,
    #[serde(default)]
    fields: Option<Vec<FieldType>>,
}

#[derive(Clone, Debug, Deserialize)]
struct FieldType {
    #[serde(rename = "type", default)]
    kind: String,
}

impl RowType {
    /// Returns the column in the words of the model.
    #[must_use]
    pub fn declared(&self) -> DeclaredColumn {
        DeclaredColumn {
            name: self.name.clone(),
            data_type: self.data_type(),
            nullable: self.nullable.unwrap_or(true),
        }
    }

    fn data_type(&self) -> SnowflakeType {
        match self.ext_type_name.as_deref().map(str::to_ascii_uppercase).as_deref() {
            Some("GEOGRAPHY") => return SnowflakeType::Geography,
            Some("GEOMETRY") => return SnowflakeType::Geometry,
            _ => {}
        }
        let scale = |default: u8| match self.scale {
            None => Some(default),
            Some(scale) => u8::try_from(scale).ok(),
        };
        let fraction = scale(9).filter(|scale| *scale <= 9);
        let known = match self.kind.to_ascii_lowercase().as_str() {
            "fixed" => {
                let precision = u8::try_from(self.precision.unwrap_or(38)).ok();
                precision.zip(scale(0)).and_then(|(precision, scale)| {
                    let valid = (1..=38).contains(&precision) && scale <= 37;
                    valid.then_some(SnowflakeType::Number { precision, scale })
                })
            }
            "real" => Some(SnowflakeType::Float),
            "decfloat" => Some(SnowflakeType::Decfloat),
            "text" => Some(SnowflakeType::Text),
            "binary" => Some(SnowflakeType::Binary),
            "boolean" => Some(SnowflakeType::Boolean),
            "date" => Some(SnowflakeType::Date),
            "time" => fraction.map(|scale| SnowflakeType::Time { scale }),
            "timestamp_ntz" => fraction.map(|scale| SnowflakeType::TimestampNtz { scale }),
            "timestamp_ltz" => fraction.map(|scale| SnowflakeType::TimestampLtz { scale }),
            "timestamp_tz" => fraction.map(|scale| SnowflakeType::TimestampTz { scale }),
            "variant" => Some(SnowflakeType::Variant),
            "object" => Some(SnowflakeType::Object),
            "array" => Some(SnowflakeType::Array),
            "map" => Some(SnowflakeType::Map),
            "vector" => self.vector(),
            _ => None,
        };
        known.unwrap_or_else(|| SnowflakeType::Unknown { name: self.kind.clone() })
    }

    fn vector(&self) -> Option<SnowflakeType> {
        let dimension = self.vector_dimension?;
        match self.fields.as_ref()?.first()?.kind.to_ascii_lowercase().as_str() {
            "real" => Some(SnowflakeType::VectorFloat { dimension }),
            "fixed" => Some(SnowflakeType::VectorInt { dimension }),
            _ => None,
        }
    }
}

/// Reads a type as DESCRIBE prints it, e.g. `NUMBER(38,0)` or `VECTOR(FLOAT, 3)`.
#[must_use]
pub fn parse_type(text: &str) -> SnowflakeType {
    let unknown = || SnowflakeType::Unknown { name: text.to_owned() };
    let trimmed = text.trim();
    let (head, arguments) = match trimmed.split_once('(') {
        Some((head, rest)) => (head.trim(), rest.rsplit_once(')').map(|(inner, _)| inner)),
        None => (trimmed.split_whitespace().next().unwrap_or_default(), None),
    };
    let number = |position: usize, default: u8| match arguments {
        None => Some(default),
        Some(inner) => match inner.split(',').nth(position) {
            None => Some(default),
            Some(argument) => argument.trim().parse().ok(),
        },
    };
    let fraction = || number(0, 9).filter(|scale| *scale <= 9);
    let known = match head.to_ascii_uppercase().as_str() {
        "NUMBER" | "DECIMAL" | "NUMERIC" | "FIXED" => {
            number(0, 38).zip(number(1, 0)).and_then(|(precision, scale)| {
                let valid = (1..=38).contains(&precision) && scale <= 37;
                valid.then_some(SnowflakeType::Number { precision, scale })
            })
        }
        "INT" | "INTEGER" | "BIGINT" | "SMALLINT" | "TINYINT" | "BYTEINT" => {
            Some(SnowflakeType::Number { precision: 38, scale: 0 })
        }
        "FLOAT" | "FLOAT4" | "FLOAT8" | "DOUBLE" | "REAL" => Some(SnowflakeType::Float),
        "DECFLOAT" => Some(SnowflakeType::Decfloat),
        "VARCHAR" | "TEXT" | "STRING" | "CHAR" | "CHARACTER" => Some(SnowflakeType::Text),
        "BINARY" | "VARBINARY" => Some(SnowflakeType::Binary),
        "BOOLEAN" => Some(SnowflakeType::Boolean),
        "DATE" => Some(SnowflakeType::Date),
        "TIME" => fraction().map(|scale| SnowflakeType::Time { scale }),
        "TIMESTAMP_NTZ" | "DATETIME" => {
            fraction().map(|scale| SnowflakeType::TimestampNtz { scale })
        }
        "TIMESTAMP_LTZ" => fraction().map(|scale| SnowflakeType::TimestampLtz { scale }),
        "TIMESTAMP_TZ" => fraction().map(|scale| SnowflakeType::TimestampTz { scale }),
        "VARIANT" => Some(SnowflakeType::Variant),
        "OBJECT" => Some(SnowflakeType::Object),
        "ARRAY" => Some(SnowflakeType::Array),
        "MAP" => Some(SnowflakeType::Map),
        "GEOGRAPHY" => Some(SnowflakeType::Geography),
        "GEOMETRY" => Some(SnowflakeType::Geometry),
        "VECTOR" => arguments.and_then(|inner| {
            let (element, dimension) = inner.split_once(',')?;
            let dimension = dimension.trim().parse().ok()?;
            match element.trim().to_ascii_uppercase().as_str() {
                "FLOAT" => Some(SnowflakeType::VectorFloat { dimension }),
                "INT" | "INTEGER" => Some(SnowflakeType::VectorInt { dimension }),
                _ => None,
            }
        }),
        _ => None,
    };
    known.unwrap_or_else(unknown)
}
