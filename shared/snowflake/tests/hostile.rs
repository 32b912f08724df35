//! Bytes that no server should send, by the thousand: each costs an error, no panic, and memory
//! of at most 64 MB and four times the input.
//!
//! It begins with the corpus of the fuzz targets (`tests/fuzz/corpus`) and some streams made here.
//! One test, so that the peak that the system counts belongs to one input at a time. The seed is
//! fixed; `SNOWFERRY_HOSTILE_ROUNDS` and `SNOWFERRY_HOSTILE_SEED` make it longer and another.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray, StructArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;
use libdeflater::{CompressionLvl, Compressor};
use serde_json::{Value, json};
use snowferry_snowflake::SnowflakeError;
use snowferry_snowflake::client::hostile;

const MEMORY_BYTES: usize = 64 << 20;

type Reader = fn(&[u8]) -> Result<usize, SnowflakeError>;

struct Seed(u64);

impl Seed {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end.max(1)).unwrap()).unwrap()
    }
}

fn arrow(choice: u8, column: ArrayRef) -> Vec<u8> {
    let field = Field::new("V", column.data_type().clone(), true);
    let schema = Arc::new(Schema::new(vec![field]));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![column]).unwrap();
    let mut bytes = vec![choice];
    let mut writer = StreamWriter::try_new(&mut bytes, &schema).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    drop(writer);
    bytes
}

fn gzip(choice: u8, data: &[u8]) -> Vec<u8> {
    let mut compressor = Compressor::new(CompressionLvl::best());
    let mut out = vec![0; compressor.gzip_compress_bound(data.len())];
    let length = compressor.gzip_compress(data, &mut out).unwrap();
    out.truncate(length);
    out.insert(0, choice);
    out
}

fn timestamps() -> ArrayRef {
    let child = |name: &str, kind: DataType| Arc::new(Field::new(name, kind, true));
    let epoch: ArrayRef = Arc::new(Int64Array::from(vec![-1, 0, 253_402_300_799]));
    let fraction: ArrayRef = Arc::new(arrow::array::Int32Array::from(vec![999_999_999, 0, 1]));
    Arc::new(StructArray::from(vec![
        (child("epoch", DataType::Int64), epoch),
        (child("fraction", DataType::Int32), fraction),
    ]))
}

fn reply() -> Value {
    json!({"code": null, "message": null, "success": true, "data": {
        "queryId": "01", "queryResultFormat": "json", "total": 2, "returned": 2,
        "rowtype": [{"name": "A", "type": "text", "nullable": true, "length": 10, "scale": null}],
        "rowset": [["x"], [null]], "chunks": [], "chunkHeaders": {"x-amz-key": "k"},
        "parameters": [{"name": "TIMEZONE", "value": "UTC"}]}})
}

/// The inputs that the fuzz targets begin with. What is named `refused…` is no success to read.
fn corpus_of_the_fuzz_targets() -> Vec<(String, Reader, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus");
    let mut inputs = Vec::new();
    for (target, reader) in [
        ("arrow_chunk", hostile::arrow_chunk as Reader),
        ("json_chunk", hostile::json_chunk),
        ("statement_reply", hostile::statement_reply),
        ("sign_in_reply", hostile::sign_in_reply),
    ] {
        for entry in std::fs::read_dir(folder.join(target)).unwrap() {
            let path = entry.unwrap().path();
            let file = path.file_name().unwrap().to_string_lossy();
            inputs.push((format!("{target}/{file}"), reader, std::fs::read(&path).unwrap()));
        }
    }
    // The order of a folder is anybody's; the same seed must give the same run.
    inputs.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(inputs.len() >= 40, "{} inputs in {}", inputs.len(), folder.display());
    inputs
}

fn corpus() -> Vec<(String, Reader, Vec<u8>)> {
    let sign_in = json!({"code": null, "message": null, "success": true, "data": {
        "token": "t", "masterToken": "m", "serverVersion": "9", "sessionInfo": {"roleName": "R"}}});
    let chunks: Vec<Value> = (0..200)
        .map(|n| json!({"url": format!("https://x/{n}"), "rowCount": 1, "compressedSize": 9}))
        .collect();
    let mut chunked = reply();
    chunked["data"]["chunks"] = chunks.into();
    chunked["data"]["total"] = json!(202);
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..500));
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["snow"; 300]));
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![f64::NAN, 1.5]));
    let rows = br#"["1"],[null],["-2"]"#;
    let made: [(&str, Reader, Vec<u8>); 10] = [
        ("integers", hostile::arrow_chunk, arrow(0, Arc::clone(&numbers))),
        ("texts", hostile::arrow_chunk, arrow(4, texts)),
        ("floats", hostile::arrow_chunk, arrow(2, floats)),
        ("timestamps", hostile::arrow_chunk, arrow(9, timestamps())),
        ("packed", hostile::arrow_chunk, gzip(0, &arrow(0, numbers)[1..])),
        ("rows", hostile::json_chunk, [&[0][..], rows].concat()),
        ("packed rows", hostile::json_chunk, gzip(0, rows)),
        ("reply", hostile::statement_reply, reply().to_string().into_bytes()),
        ("chunked reply", hostile::statement_reply, chunked.to_string().into_bytes()),
        ("sign-in", hostile::sign_in_reply, sign_in.to_string().into_bytes()),
    ];
    let made = made.into_iter().map(|(name, reader, bytes)| (name.to_owned(), reader, bytes));
    made.chain(corpus_of_the_fuzz_targets()).collect()
}

/// Changes bytes, repeats or drops pieces, writes large numbers, cuts.
fn damage(bytes: &mut Vec<u8>, seed: &mut Seed) {
    for _ in 0..=seed.below(5) {
        let at = seed.below(bytes.len());
        match seed.below(6) {
            0 | 1 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = u8::try_from(seed.below(256)).unwrap();
                }
            }
            2 => bytes.truncate(at),
            3 => {
                let end = (at + 1 + seed.below(40)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            4 => {
                let end = (at + 8).min(bytes.len());
                bytes[at..end].fill(if seed.below(2) == 0 { 0xff } else { 0x7f });
            }
            _ => {
                let end = (at + 1 + seed.below(20)).min(bytes.len());
                bytes.drain(at..end);
            }
        }
    }
}

/// Returns a figure of `/proc/self/status` in bytes; `None` where there is none.
fn status(name: &str) -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    Some(line.split_whitespace().nth(1)?.parse::<usize>().ok()? * 1024)
}

/// Runs one input and returns how much more memory its peak took.
fn peak_of(reader: Reader, bytes: &[u8]) -> Option<usize> {
    // The kernel forgets the peak; not everywhere may a process ask for that.
    std::fs::write("/proc/self/clear_refs", "5").ok()?;
    let before = status("VmRSS:")?;
    let _ = reader(bytes);
    Some(status("VmHWM:")?.saturating_sub(before))
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn hostile_bytes_cost_an_error_each_and_little_memory() {
    let corpus = corpus();
    for (name, reader, bytes) in &corpus {
        // What is not damaged is read, else the damage would be refused for another reason.
        let read = reader(bytes);
        assert!(read.is_ok() || name.contains("refused"), "{name}: {read:?}");
    }
    // The Arrow reader's own asserts are caught and become errors; their texts would flood the log.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let seed = variable("SNOWFERRY_HOSTILE_SEED").unwrap_or(0x9E37_79B9_7F4A_7C15);
    let rounds = variable("SNOWFERRY_HOSTILE_ROUNDS").unwrap_or(5_000);
    let mut random = Seed(seed);
    let mut wrong = Vec::new();
    for round in 0..rounds {
        let (name, reader, bytes) = &corpus[random.below(corpus.len())];
        let mut bytes = bytes.clone();
        damage(&mut bytes, &mut random);
        let ran = std::panic::catch_unwind(|| peak_of(*reader, &bytes));
        match ran {
            Err(_) => wrong.push(format!("{name} panicked in round {round}")),
            Ok(Some(peak)) if peak > MEMORY_BYTES + 4 * bytes.len() => {
                wrong.push(format!("{name} took {peak} bytes in round {round}"));
            }
            Ok(_) => {}
        }
    }
    std::panic::set_hook(hook);
    assert!(wrong.is_empty(), "seed {seed}: {wrong:?}");

    let bomb = gzip(0, &vec![b' '; 256 << 20]);
    for reader in [hostile::arrow_chunk as Reader, hostile::json_chunk] {
        let peak = peak_of(reader, &bomb);
        assert!(reader(&bomb).is_err());
        assert!(peak.is_none_or(|peak| peak <= MEMORY_BYTES + 4 * bomb.len()), "{peak:?}");
    }
    // Every request refuses an error page, whatever its status was.
    let page = b"\x00<html><body>Service unavailable</body></html>";
    assert!(hostile::arrow_chunk(page).is_err() && hostile::json_chunk(page).is_err());
}
