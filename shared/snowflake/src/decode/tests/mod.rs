//! What the wire may send, and what is staged or refused.

mod formats;
mod wire;

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, Int32Array, Int64Array, StructArray,
};
use arrow::buffer::{Buffer, NullBuffer};
use arrow::datatypes::{DataType, Field, Schema, TimestampMicrosecondType};
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use expect_test::Expect;
use snowferry_model::names::Identifier;
use snowferry_model::plan::{PLAN_VERSION, PlannedColumn, StagedForm, TablePlan};
use snowferry_model::types::SnowflakeType;

use super::*;

const TIMESTAMP: StagedForm = StagedForm::Timestamp { zoned: false, nanos: false, offset: false };
const TIMESTAMP_NS: StagedForm = StagedForm::Timestamp { zoned: false, nanos: true, offset: false };
const TIMESTAMP_TZ: StagedForm = StagedForm::Timestamp { zoned: true, nanos: true, offset: true };

fn plan_of(data_type: &SnowflakeType, form: StagedForm) -> TablePlan {
    let name = Identifier::new("C").unwrap();
    let columns = vec![PlannedColumn { name, data_type: data_type.clone(), form }];
    TablePlan { version: PLAN_VERSION, columns }
}

fn decoder(data_type: &SnowflakeType, form: StagedForm) -> Decoder {
    let declared =
        DeclaredColumn { name: "C".into(), data_type: data_type.clone(), nullable: true };
    Decoder::new(&[declared], &plan_of(data_type, form)).unwrap()
}

fn stream(wire: ArrayRef) -> Vec<u8> {
    let schema = Schema::new(vec![Field::new("C", wire.data_type().clone(), true)]);
    let batch = RecordBatch::try_new(Arc::new(schema), vec![wire]).unwrap();
    let mut bytes = Vec::new();
    let mut writer = StreamWriter::try_new(&mut bytes, &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    bytes
}

fn shown(result: Result<Vec<RecordBatch>, SnowflakeError>) -> String {
    let batches = match result {
        Ok(batches) => batches,
        Err(error) => return format!("{error}\n"),
    };
    let mut lines = String::new();
    for batch in &batches {
        for row in 0..batch.num_rows() {
            let cells: Vec<String> = batch.columns().iter().map(|c| cell(c, row)).collect();
            lines.push_str(&cells.join(" | "));
            lines.push('\n');
        }
    }
    lines
}

fn cell(column: &ArrayRef, row: usize) -> String {
    let options = FormatOptions::default().with_null("∅");
    let show = |array: &dyn Array| {
        ArrayFormatter::try_new(array, &options).unwrap().value(row).to_string()
    };
    match column.data_type() {
        DataType::Timestamp(_, Some(zone)) => {
            let wall = column.as_primitive::<TimestampMicrosecondType>().clone();
            format!("{} {zone}", show(&wall.with_timezone_opt(None::<&str>)))
        }
        _ => show(column),
    }
}

fn check(data_type: SnowflakeType, form: StagedForm, wire: ArrayRef, expected: Expect) {
    let decoder = decoder(&data_type, form);
    expected.assert_eq(&shown(decoder.arrow_stream(Buffer::from_vec(stream(wire)))));
}

fn check_json(data_type: SnowflakeType, form: StagedForm, rows: &str, expected: Expect) {
    let decoder = decoder(&data_type, form);
    expected.assert_eq(&shown(decoder.json_rows(rows.as_bytes()).map(|batch| vec![batch])));
}

fn number(precision: u8, scale: u8) -> SnowflakeType {
    SnowflakeType::Number { precision, scale }
}

fn decimals(values: Vec<Option<i128>>, scale: i8) -> ArrayRef {
    Arc::new(Decimal128Array::from(values).with_precision_and_scale(38, scale).unwrap())
}

fn timestamps(
    epoch: Vec<i64>,
    fraction: Option<Vec<i32>>,
    timezone: Option<Vec<i32>>,
    nulls: Option<Vec<bool>>,
) -> ArrayRef {
    let mut fields = vec![Field::new("epoch", DataType::Int64, true)];
    let mut arrays: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(epoch))];
    if let Some(fraction) = fraction {
        fields.push(Field::new("fraction", DataType::Int32, true));
        arrays.push(Arc::new(Int32Array::from(fraction)));
    }
    if let Some(timezone) = timezone {
        fields.push(Field::new("timezone", DataType::Int32, true));
        arrays.push(Arc::new(Int32Array::from(timezone)));
    }
    Arc::new(StructArray::new(fields.into(), arrays, nulls.map(NullBuffer::from)))
}

const MAX38: i128 = 10_i128.pow(38) - 1;
