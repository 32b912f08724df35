//! How a staged schema is written in a Delta log, and read back.
//!
//! Both directions are ours and exact: the library's own conversions cast and truncate silently.
//! Every column is nullable. A table is readable by the oldest readers (protocol 1/2) unless a
//! TIMESTAMP_NTZ column needs the table feature of that name (3/7).
//!
//! Gap: the Delta specification forbids the characters ` ,;{}()\n\t=` in column names without
//! column mapping. DataFusion, Polars and delta-rs read such columns, Spark refuses the table.

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use deltalake_core::kernel::{Metadata, Protocol};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Debug, Serialize, Deserialize)]
struct Struct {
    #[serde(rename = "type")]
    kind: String,
    fields: Vec<StructField>,
}

#[derive(Debug, Serialize, Deserialize)]
struct StructField {
    name: String,
    #[serde(rename = "type")]
    data_type: Value,
    nullable: bool,
    metadata: Value,
}

/// Returns the protocol that a table of these columns needs.
pub(super) fn protocol(schema: &Schema) -> Result<Protocol, serde_json::Error> {
    let without_zone =
        |field: &std::sync::Arc<Field>| matches!(field.data_type(), DataType::Timestamp(_, None));
    serde_json::from_value(if schema.fields().iter().any(without_zone) {
        json!({
            "minReaderVersion": 3,
            "minWriterVersion": 7,
            "readerFeatures": ["timestampNtz"],
            "writerFeatures": ["timestampNtz"],
        })
    } else {
        json!({ "minReaderVersion": 1, "minWriterVersion": 2 })
    })
}

/// Returns the metadata of a table: its columns, and who it is.
///
/// No property is set: with `delta.setTransactionRetentionDuration` the ledger would expire.
pub(super) fn metadata(
    id: &str,
    name: &str,
    created_ms: i64,
    schema: &Schema,
) -> Result<Metadata, serde_json::Error> {
    serde_json::from_value(json!({
        "id": id,
        "name": name,
        "description": "pulled from Snowflake by Snowferry",
        "format": { "provider": "parquet", "options": {} },
        "schemaString": schema_string(schema)?,
        "partitionColumns": [],
        "configuration": {},
        "createdTime": created_ms,
    }))
}

/// Reads the columns out of a table's metadata; `Err` says why they are not ours.
pub(super) fn staged_schema(metadata: &Metadata) -> Result<Schema, String> {
    let value = serde_json::to_value(metadata).map_err(|error| error.to_string())?;
    if !metadata.partition_columns().is_empty() {
        return Err("the table is partitioned".to_owned());
    }
    if metadata.configuration().contains_key("delta.columnMapping.mode") {
        return Err("the table maps column names".to_owned());
    }
    let text = value.get("schemaString").and_then(Value::as_str).unwrap_or_default();
    let parsed: Struct = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut fields = Vec::with_capacity(parsed.fields.len());
    for field in parsed.fields {
        let data_type = arrow_type(&field.data_type)
            .ok_or_else(|| format!("column {} has the type {}", field.name, field.data_type))?;
        fields.push(Field::new(field.name, data_type, true));
    }
    Ok(Schema::new(fields))
}

fn schema_string(schema: &Schema) -> Result<String, serde_json::Error> {
    use serde::ser::Error;
    let mut fields = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let data_type = delta_type(field.data_type()).ok_or_else(|| {
            let (name, found) = (field.name(), field.data_type());
            serde_json::Error::custom(format!("column {name}: no Delta type holds {found}"))
        })?;
        let (name, nullable, metadata) = (field.name().clone(), true, json!({}));
        fields.push(StructField { name, data_type, nullable, metadata });
    }
    serde_json::to_string(&Struct { kind: "struct".to_owned(), fields })
}

fn delta_type(data_type: &DataType) -> Option<Value> {
    Some(match data_type {
        DataType::Int16 => json!("short"),
        DataType::Int32 => json!("integer"),
        DataType::Int64 => json!("long"),
        DataType::Float32 => json!("float"),
        DataType::Float64 => json!("double"),
        DataType::Utf8 => json!("string"),
        DataType::Binary => json!("binary"),
        DataType::Boolean => json!("boolean"),
        DataType::Date32 => json!("date"),
        DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if zone.as_ref() == "UTC" => {
            json!("timestamp")
        }
        DataType::Timestamp(TimeUnit::Microsecond, None) => json!("timestamp_ntz"),
        DataType::Decimal128(precision, scale) => json!(format!("decimal({precision},{scale})")),
        DataType::List(element) => json!({
            "type": "array",
            "elementType": delta_type(element.data_type())?,
            "containsNull": true,
        }),
        _ => return None,
    })
}

fn arrow_type(value: &Value) -> Option<DataType> {
    if value.get("type").and_then(Value::as_str) == Some("array") {
        let element = arrow_type(value.get("elementType")?)?;
        return Some(DataType::List(std::sync::Arc::new(Field::new("element", element, true))));
    }
    Some(match value.as_str()? {
        "short" => DataType::Int16,
        "integer" => DataType::Int32,
        "long" => DataType::Int64,
        "float" => DataType::Float32,
        "double" => DataType::Float64,
        "string" => DataType::Utf8,
        "binary" => DataType::Binary,
        "boolean" => DataType::Boolean,
        "date" => DataType::Date32,
        "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        "timestamp_ntz" => DataType::Timestamp(TimeUnit::Microsecond, None),
        decimal => {
            let digits = decimal.strip_prefix("decimal(")?.strip_suffix(')')?;
            let (precision, scale) = digits.split_once(',')?;
            DataType::Decimal128(precision.trim().parse().ok()?, scale.trim().parse().ok()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_staged_type_comes_back_from_the_log_as_it_was() {
        let element = |data_type| std::sync::Arc::new(Field::new("element", data_type, true));
        let types = [
            DataType::Int16,
            DataType::Int64,
            DataType::Float64,
            DataType::Utf8,
            DataType::Binary,
            DataType::Boolean,
            DataType::Date32,
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            DataType::Timestamp(TimeUnit::Microsecond, None),
            DataType::Decimal128(18, 3),
            DataType::Decimal128(38, 0),
            DataType::List(element(DataType::Float32)),
            DataType::List(element(DataType::Int32)),
        ];
        let fields: Vec<_> = types
            .into_iter()
            .enumerate()
            .map(|(index, data_type)| Field::new(format!("c {index}.\"ü"), data_type, true))
            .collect();
        let schema = Schema::new(fields);
        let metadata = metadata("id", "name", 0, &schema).unwrap();
        assert_eq!(staged_schema(&metadata).unwrap(), schema);
    }

    #[test]
    fn a_type_that_delta_cannot_hold_is_refused() {
        let field = Field::new("T", DataType::Timestamp(TimeUnit::Nanosecond, None), true);
        let error = metadata("id", "name", 0, &Schema::new(vec![field])).unwrap_err();
        assert!(error.to_string().contains("column T"), "{error}");
    }
}
