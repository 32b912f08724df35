//! Chunks: in order, whole, from fresh links, whatever the storage does meanwhile.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int8Array, Int32Array, Int64Array};
use arrow::datatypes::{Field, Int64Type, Schema};
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::TryStreamExt;
use libdeflater::{CompressionLvl, Compressor};
use snowferry_model::names::Identifier;
use snowferry_model::plan::{PLAN_VERSION, PlannedColumn, StagedForm, TablePlan};
use snowferry_model::types::SnowflakeType;

use super::*;
use crate::{ResultState, Source};

pub(super) fn planned(name: &str) -> PlannedColumn {
    PlannedColumn {
        name: Identifier::new(name).unwrap(),
        data_type: SnowflakeType::Number { precision: 38, scale: 0 },
        form: StagedForm::Int64,
    }
}

pub(super) fn plan() -> TablePlan {
    TablePlan { version: PLAN_VERSION, columns: vec![planned("ID")] }
}

fn stream(array: ArrayRef) -> Vec<u8> {
    let schema = Arc::new(Schema::new(vec![Field::new("ID", array.data_type().clone(), true)]));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![array]).unwrap();
    let mut bytes = Vec::new();
    let mut writer = StreamWriter::try_new(&mut bytes, &schema).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    drop(writer);
    bytes.truncate(bytes.len() - 8);
    bytes
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut compressor = Compressor::new(CompressionLvl::fastest());
    let mut out = vec![0; compressor.gzip_compress_bound(data.len())];
    let length = compressor.gzip_compress(data, &mut out).unwrap();
    out.truncate(length);
    out
}

/// Chunk `n` of five has ten rows, and integers that grow wider from chunk to chunk.
fn chunk(n: usize) -> Vec<u8> {
    let ids: Vec<i64> = (0..10).map(|row| 10 * i64::try_from(n).unwrap() + row).collect();
    let narrow: Vec<i32> = ids.iter().map(|id| i32::try_from(*id).unwrap()).collect();
    let array: ArrayRef = match n % 2 {
        0 => Arc::new(Int64Array::from(ids)),
        _ => Arc::new(Int32Array::from(narrow)),
    };
    stream(array)
}

fn result(base: &str, generation: usize) -> Value {
    let inline = stream(Arc::new(Int8Array::from((0..10).collect::<Vec<i8>>())));
    let chunks: Vec<Value> = (1..=5)
        .map(|n| {
            let url =
                format!("{base}/chunk/{n}?generation={generation}&signature=canary-signature");
            let (packed, plain) = (gzip(&chunk(n)).len(), chunk(n).len());
            json!({"url": url, "rowCount": 10, "compressedSize": packed, "uncompressedSize": plain})
        })
        .collect();
    json!({"queryId": "q-1", "queryResultFormat": "arrow", "total": 60, "returned": 60,
        "rowtype": [{"name": "ID", "type": "fixed", "precision": 38, "scale": 0, "nullable": true}],
        "rowsetBase64": STANDARD.encode(inline), "chunks": chunks,
        "chunkHeaders": {"x-amz-server-side-encryption-customer-key": "canary-key"}})
}

/// Serves the result; `storage` answers for chunks with their number and earlier tries.
fn serve(storage: impl Fn(usize, &Seen) -> Canned + Send + Sync + 'static) -> Responder {
    after_sign_in(move |seen| match seen.path.strip_prefix("/chunk/") {
        Some(n) => {
            assert!(!seen.headers.contains_key("authorization"), "an Authorization went out");
            assert_eq!(seen.headers["x-amz-server-side-encryption-customer-key"], "canary-key");
            storage(n.parse().unwrap(), seen)
        }
        None => Canned::success(&result(&format!("http://{}", seen.headers["host"]), seen.before)),
    })
}

async fn ids(
    client: &SnowflakeClient,
    range: std::ops::Range<usize>,
) -> Result<Vec<i64>, SnowflakeError> {
    let query = QueryId("q-1".to_owned());
    let stream = client.read(&query, range, &plan()).await?;
    let batches: Vec<RecordBatch> = stream.try_collect().await?;
    let values =
        batches.iter().flat_map(|b| b.column(0).as_primitive::<Int64Type>().values().to_vec());
    Ok(values.collect())
}

#[tokio::test]
async fn chunks_come_in_order_and_are_widened_one_by_one() {
    let responder = serve(|n, _| {
        // Content-Encoding present or not, packed or not: the magic decides.
        let mut canned = Canned::new(200, if n == 3 { chunk(n) } else { gzip(&chunk(n)) });
        if n == 2 {
            canned.headers.push(("Content-Encoding", "gzip".to_owned()));
        }
        canned
    });
    let client = client(&responder);
    let query = QueryId("q-1".to_owned());
    let ResultState::Ready(layout) = client.open(&query).await.unwrap() else { panic!("running") };
    assert_eq!((layout.rows, layout.pieces.len()), (60, 6));
    assert_eq!(ids(&client, 0..6).await.unwrap(), (0..60).collect::<Vec<_>>());
    assert_eq!(ids(&client, 4..6).await.unwrap(), (40..60).collect::<Vec<_>>());
    // The links that `open` got serve all reads.
    assert_eq!(responder.seen("/queries/q-1/result").len(), 1);
    assert!(responder.seen("/queries/v1/query-request").is_empty());
}

#[tokio::test]
async fn the_smallest_budget_still_admits_one_chunk_at_a_time() {
    let responder = serve(|n, _| Canned::new(200, gzip(&chunk(n))));
    let mut options = options(&responder.base_url);
    options.download_budget_bytes = 1;
    let client = SnowflakeClient::new(options).unwrap();
    assert_eq!(ids(&client, 0..6).await.unwrap().len(), 60);
}

#[tokio::test]
async fn damage_on_the_way_is_fetched_again() {
    let responder = serve(|n, seen| match (n, seen.before) {
        (1, 0 | 1) => Canned::new(503, "<Error/>"),
        (2, 0) => Canned { cut: Some(40), ..Canned::new(200, gzip(&chunk(2))) },
        (3, 0) => {
            Canned::new(200, "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>")
        }
        (4, 0) => Canned::new(200, &gzip(&chunk(4))[..60]),
        (5, 0) => Canned::new(200, ""),
        _ => Canned::new(200, gzip(&chunk(n))),
    });
    let client = client(&responder);
    assert_eq!(ids(&client, 0..6).await.unwrap(), (0..60).collect::<Vec<_>>());
    assert!(responder.seen("/queries/v1/query-request").is_empty(), "executed again");
}

#[tokio::test]
async fn expired_links_are_replaced_by_query_id_for_all_chunks_at_once() {
    let responder = serve(|n, seen| {
        let fresh = seen.query["generation"] != "0";
        if fresh { Canned::new(200, gzip(&chunk(n))) } else { Canned::new(403, "<Error/>") }
    });
    let client = client(&responder);
    assert_eq!(ids(&client, 0..6).await.unwrap(), (0..60).collect::<Vec<_>>());
    assert_eq!(responder.seen("/queries/q-1/result").len(), 2);
    assert!(responder.seen("/queries/v1/query-request").is_empty(), "executed again");
}

#[tokio::test]
async fn a_chunk_with_other_rows_than_announced_ends_the_stream() {
    let responder = serve(|n, _| {
        let rows: ArrayRef = Arc::new(Int32Array::from(vec![1; 9]));
        let short = gzip(&stream(rows));
        Canned::new(200, if n == 2 { short } else { gzip(&chunk(n)) })
    });
    let failed = ids(&client(&responder), 0..6).await.unwrap_err();
    let told = matches!(&failed, SnowflakeError::RowCount { announced: 10, found: 9, .. });
    assert!(told, "{failed:?}");
    no_canary(&format!("{failed:?} {failed}"));
}

#[tokio::test]
async fn links_that_stay_refused_end_in_their_status_without_the_link() {
    let responder = serve(|_, _| Canned::new(403, "canary-signature"));
    let failed = ids(&client(&responder), 0..6).await.unwrap_err();
    assert!(matches!(failed, SnowflakeError::Status { status: 403, .. }));
    let dead = serve(|_, _| Canned { cut: Some(0), ..Canned::new(200, "x") });
    let failed = ids(&client(&dead), 1..2).await.unwrap_err();
    no_canary(&format!("{failed:?} {}", snowferry_model::fault::chain(&failed)));
    assert!(matches!(failed, SnowflakeError::Unreachable { .. }));
}

#[tokio::test]
async fn json_chunks_without_outer_brackets_are_read_too() {
    let responder = after_sign_in(|seen| match seen.path.as_str() {
        "/chunk/1" => Canned::new(200, gzip(b"[\"3\"],[null]")),
        _ => {
            let url = format!("http://{}/chunk/1", seen.headers["host"]);
            Canned::success(&json!({"queryId": "q-1", "queryResultFormat": "json", "total": 4,
                "rowtype": [{"name": "ID", "type": "fixed", "precision": 38, "scale": 0}],
                "rowset": [["1"], ["2"]], "chunks": [{"url": url, "rowCount": 2}],
                "qrmk": "a2V5"}))
        }
    });
    let client = client(&responder);
    assert_eq!(ids(&client, 0..2).await.unwrap(), [1, 2, 3, 0]);
    let headers = &responder.seen("/chunk/1")[0].headers;
    assert_eq!(headers["x-amz-server-side-encryption-customer-algorithm"], "AES256");
    assert_eq!(headers["x-amz-server-side-encryption-customer-key"], "a2V5");
}

#[tokio::test]
async fn a_stream_that_is_dropped_halfway_leaves_the_client_usable() {
    let responder = serve(|n, _| Canned::new(200, gzip(&chunk(n))));
    let client = client(&responder);
    let query = QueryId("q-1".to_owned());
    let mut stream = client.read(&query, 0..6, &plan()).await.unwrap();
    assert_eq!(stream.try_next().await.unwrap().unwrap().num_rows(), 10);
    drop(stream);
    assert_eq!(ids(&client, 0..6).await.unwrap().len(), 60);
}
