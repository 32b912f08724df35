//! Decides which rows lose: among the incoming ones, and against the table.
//!
//! 1. **Survey** the incoming keys: their range, and (for a large batch) which keys may repeat.
//! 2. **Candidates**: files of the table whose exact key range meets the incoming one.
//! 3. In as many passes as the memory budget asks for, each over its share of the key hashes:
//!    the incoming row that stays for each key; then a stream over key and cursor of the
//!    candidates gives the positions that meet an incoming key.
//! 4. Where the cursors are equal, the whole rows are compared (by hash), so that a boundary that
//!    is read again changes no file.
//!
//! Only positions are kept, never rows. Everything here blocks and belongs off the runtime.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use roaring::RoaringTreemap;

use super::parquet_file::{Batches, ParquetFile};
use super::statistics::{self, Collector, Range};
use super::store_error;
use super::table::TableFile;
use super::winners::{KEY_BYTES, MEETING_KEY_BYTES, Place, Suspects, WideHash, WideMap, Winners};
use crate::keys::{EncodedKeys, KeyEncoder, UniqueColumns, whole_rows};
use crate::{BoxError, DatabaseError};

/// A staged part that lies in the table's folder and in no commit yet.
#[derive(Clone, Debug)]
pub(super) struct IncomingFile {
    /// Its name in the folder.
    pub(super) name: String,
    /// The staged object it came from, for messages.
    pub(super) object: String,
    /// Rows.
    pub(super) rows: u64,
}

/// What is decided about.
#[derive(Debug)]
pub(super) struct Contest<'a> {
    /// The table, for messages.
    pub(super) table: &'a str,
    /// Its folder.
    pub(super) folder: PathBuf,
    /// The staged schema.
    pub(super) schema: SchemaRef,
    /// By what rows are compared.
    pub(super) columns: &'a UniqueColumns,
    /// The incoming parts in order.
    pub(super) incoming: &'a [IncomingFile],
    /// The files of the table that rows may lose in; none for a replace.
    pub(super) standing: &'a [TableFile],
    /// Memory for keys and positions.
    pub(super) budget_bytes: u64,
}

/// The rows that lose, by file and position.
#[derive(Debug)]
pub(super) struct Losers {
    pub(super) incoming: Vec<RoaringTreemap>,
    pub(super) standing: Vec<RoaringTreemap>,
}

/// A row of the table that has an incoming key.
#[derive(Clone, Copy, Debug)]
struct Hit {
    key: u128,
    file: usize,
    row: u64,
}

/// How the keys are divided into passes.
struct Division {
    passes: u128,
    suspects: Option<Suspects>,
    candidates: Vec<usize>,
}

impl Division {
    fn takes(&self, key: u128, pass: u128) -> bool {
        // Bits that neither the map nor the slots of the suspects go by.
        (key >> 100) % self.passes == pass
            && self.suspects.as_ref().is_none_or(|suspects| suspects.may_repeat(key))
    }
}

impl Contest<'_> {
    /// Returns all rows that lose.
    pub(super) fn decide(&self) -> Result<Losers, DatabaseError> {
        let encoder = self.columns.encoder()?;
        let hash = WideHash::default();
        let mut losers = Losers {
            incoming: vec![RoaringTreemap::new(); self.incoming.len()],
            standing: vec![RoaringTreemap::new(); self.standing.len()],
        };
        let division = self.survey(&encoder, &hash)?;
        for pass in 0..division.passes {
            self.pass(pass, &division, &encoder, &hash, &mut losers)?;
        }
        Ok(losers)
    }

    fn survey(&self, encoder: &KeyEncoder, hash: &WideHash) -> Result<Division, DatabaseError> {
        let rows: u64 = self.incoming.iter().map(|part| part.rows).sum();
        let passes_for = |rows: u64, bytes: u64, budget: u64| {
            u128::from(rows.saturating_mul(bytes).div_ceil(budget.max(bytes)).max(1))
        };
        let alone = passes_for(rows, KEY_BYTES, self.budget_bytes);
        if alone == 1 && self.standing.is_empty() {
            return Ok(Division { passes: 1, suspects: None, candidates: Vec::new() });
        }
        let mut suspects = (alone > 1).then(|| Suspects::new(self.budget_bytes / 2));
        let mut collector = Collector::new(self.compared());
        for part in self.incoming {
            for batch in self.read_incoming(part, &self.compared(), None)? {
                let batch = batch.map_err(|error| self.part_error(part, error))?;
                collector.add(&batch);
                let Some(suspects) = &mut suspects else { continue };
                for key in encoder.encode(&batch)?.keys.iter() {
                    suspects.note(hash.of(key.data()));
                }
            }
        }
        let candidates = self.candidates(&collector);
        if !candidates.is_empty() {
            let passes = passes_for(rows, MEETING_KEY_BYTES, self.budget_bytes);
            return Ok(Division { passes, suspects: None, candidates });
        }
        // Keys that come once could only meet the table: without candidates they need no look.
        let passes = suspects.as_ref().map_or(alone, |suspects| {
            passes_for(suspects.estimate(), KEY_BYTES, self.budget_bytes / 2)
        });
        Ok(Division { passes, suspects, candidates })
    }

    /// Returns the columns that are needed to compare rows.
    fn compared(&self) -> SchemaRef {
        let mut fields = Vec::new();
        for name in self.columns.names() {
            if let Ok(field) = self.schema.field_with_name(name)
                && !fields.contains(field)
            {
                fields.push(field.clone());
            }
        }
        Arc::new(Schema::new(fields))
    }

    /// Returns the files of the table that may hold an incoming key.
    fn candidates(&self, incoming: &Collector) -> Vec<usize> {
        if incoming.rows() == 0 {
            return Vec::new();
        }
        let mut wanted: Vec<(String, DataType)> = Vec::new();
        let mut ranges: Vec<Range> = Vec::new();
        for name in self.columns.key_names() {
            if let (Some(range), Ok(field)) =
                (incoming.range(name), self.schema.field_with_name(name))
            {
                wanted.push((name.to_owned(), field.data_type().clone()));
                ranges.push(range);
            }
        }
        let may_meet = |file: &TableFile| {
            let Some(stats) = &file.stats else { return true };
            let stored = statistics::ranges(stats, &wanted);
            stored.iter().zip(&ranges).all(|(stored, incoming)| {
                stored.as_ref().is_none_or(|stored| stored.overlaps(incoming))
            })
        };
        let files = self.standing.iter().enumerate();
        files.filter(|(_, file)| may_meet(file)).map(|(index, _)| index).collect()
    }

    fn pass(
        &self,
        pass: u128,
        division: &Division,
        encoder: &KeyEncoder,
        hash: &WideHash,
        losers: &mut Losers,
    ) -> Result<(), DatabaseError> {
        let mut winners = Winners::default();
        for (index, part) in self.incoming.iter().enumerate() {
            let mut first = 0;
            for batch in self.read_incoming(part, &self.compared(), None)? {
                let batch = batch.map_err(|error| self.part_error(part, error))?;
                let encoded = encoder.encode(&batch)?;
                for (row, (key, cursor)) in rows_of(&encoded, first) {
                    let key = hash.of(key);
                    if !division.takes(key, pass) {
                        continue;
                    }
                    if let Some(loser) = winners.offer(key, cursor, Place { part: index, row }) {
                        insert(&mut losers.incoming, loser.part, loser.row);
                    }
                }
                first += batch.num_rows() as u64;
            }
        }
        let (hits, ties) = self.meet(&division.candidates, encoder, hash, &mut winners)?;
        self.settle(&ties, hash, &mut winners)?;
        for (_, winner) in winners.iter().filter(|(_, winner)| winner.superseded) {
            insert(&mut losers.incoming, winner.place.part, winner.place.row);
        }
        for hit in hits {
            if winners.get(hit.key).is_some_and(|winner| !winner.superseded) {
                insert(&mut losers.standing, hit.file, hit.row);
            }
        }
        Ok(())
    }

    /// Streams the candidates and returns the rows that have an incoming key: all of them, and
    /// those of the same cursor. Marks the incoming rows that are older.
    fn meet(
        &self,
        candidates: &[usize],
        encoder: &KeyEncoder,
        hash: &WideHash,
        winners: &mut Winners,
    ) -> Result<(Vec<Hit>, Vec<Hit>), DatabaseError> {
        let (mut hits, mut ties) = (Vec::new(), Vec::new());
        for &file in candidates {
            let Some(standing) = self.standing.get(file) else { continue };
            let mut first = 0;
            for batch in self.read_standing(standing, &self.compared(), None)? {
                let batch = batch.map_err(|error| self.read_error(error))?;
                let encoded = encoder.encode(&batch)?;
                for (row, (key, cursor)) in rows_of(&encoded, first) {
                    let key = hash.of(key);
                    let Some(winner) = winners.get_mut(key) else { continue };
                    let hit = Hit { key, file, row };
                    match winner.compare(cursor) {
                        std::cmp::Ordering::Less if winner.is_without_cursor() => {}
                        std::cmp::Ordering::Less => winner.superseded = true,
                        std::cmp::Ordering::Equal => ties.push(hit),
                        std::cmp::Ordering::Greater => {}
                    }
                    hits.push(hit);
                }
                first += batch.num_rows() as u64;
            }
        }
        Ok((hits, ties))
    }

    /// Marks the incoming rows that the table holds already, equal in every column.
    fn settle(
        &self,
        ties: &[Hit],
        hash: &WideHash,
        winners: &mut Winners,
    ) -> Result<(), DatabaseError> {
        if ties.is_empty() {
            return Ok(());
        }
        let whole = whole_rows(self.table, &self.schema)?;
        let encode = |batch: &RecordBatch| {
            whole.convert_columns(batch.columns()).map_err(|error| self.read_error(error.into()))
        };
        let mut asked: BTreeMap<usize, BTreeMap<u64, u128>> = BTreeMap::new();
        for tie in ties {
            if let Some(winner) = winners.get(tie.key) {
                asked.entry(winner.place.part).or_default().insert(winner.place.row, tie.key);
            }
        }
        let mut theirs: WideMap<u128> = WideMap::default();
        for (part, rows) in asked {
            let Some(part) = self.incoming.get(part) else { continue };
            let positions: RoaringTreemap = rows.keys().copied().collect();
            let mut keys = rows.values();
            for batch in self.read_incoming(part, &self.schema, Some(&positions))? {
                let batch = batch.map_err(|error| self.part_error(part, error))?;
                for (row, key) in encode(&batch)?.iter().zip(&mut keys) {
                    theirs.insert(*key, hash.of(row.data()));
                }
            }
        }
        let mut standing: BTreeMap<usize, Vec<&Hit>> = BTreeMap::new();
        for tie in ties {
            standing.entry(tie.file).or_default().push(tie);
        }
        for (file, ties) in standing {
            let Some(file) = self.standing.get(file) else { continue };
            let positions: RoaringTreemap = ties.iter().map(|tie| tie.row).collect();
            let mut ties = ties.into_iter();
            for batch in self.read_standing(file, &self.schema, Some(&positions))? {
                let batch = batch.map_err(|error| self.read_error(error))?;
                for (row, tie) in encode(&batch)?.iter().zip(&mut ties) {
                    if theirs.get(&tie.key) == Some(&hash.of(row.data()))
                        && let Some(winner) = winners.get_mut(tie.key)
                    {
                        winner.superseded = true;
                    }
                }
            }
        }
        Ok(())
    }

    fn read_incoming(
        &self,
        part: &IncomingFile,
        wanted: &SchemaRef,
        positions: Option<&RoaringTreemap>,
    ) -> Result<Batches, DatabaseError> {
        ParquetFile::open(&self.folder.join(&part.name))
            .and_then(|file| file.batches(wanted, positions))
            .map_err(|error| self.part_error(part, error))
    }

    fn read_standing(
        &self,
        file: &TableFile,
        wanted: &SchemaRef,
        positions: Option<&RoaringTreemap>,
    ) -> Result<Batches, DatabaseError> {
        ParquetFile::open(&self.folder.join(&file.path))
            .and_then(|file| file.batches(wanted, positions))
            .map_err(|error| self.read_error(error))
    }

    fn part_error(&self, part: &IncomingFile, source: BoxError) -> DatabaseError {
        let (table, part) = (self.table.to_owned(), part.object.clone());
        DatabaseError::Part { table, part, source }
    }

    fn read_error(&self, source: BoxError) -> DatabaseError {
        store_error("read", self.table, source)
    }
}

fn insert(losers: &mut [RoaringTreemap], file: usize, row: u64) {
    if let Some(losers) = losers.get_mut(file) {
        losers.insert(row);
    }
}

/// Returns key and cursor of each row with its position in the file.
fn rows_of(encoded: &EncodedKeys, first: u64) -> impl Iterator<Item = (u64, (&[u8], &[u8]))> {
    let keys = encoded.keys.iter().map(|key| key.data());
    let cursors = encoded.cursors.iter().map(|cursor| cursor.data());
    (first..).zip(keys.zip(cursors))
}
