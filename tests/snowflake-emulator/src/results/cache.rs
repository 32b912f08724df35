//! The result cache: the same text in the same context over unchanged data is not run again.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use super::format::Format;
use super::queries::Answer;
use crate::engine::{Bind, SessionContext};

/// Most results kept for reuse.
const MOST_ENTRIES: usize = 64;
/// Most bytes of kept results; beyond it the oldest go, so that a disk does not fill up.
const MOST_BYTES: usize = 2 << 30;
/// SELECT and what answers like it.
const SELECT_TYPE: i64 = 0x1000;

/// Words after which two runs of one text may differ although no table has changed. A word too
/// many only costs a run.
const VOLATILE: &[&str] = &[
    "CURRENT_",
    "NOW",
    "SYSDATE",
    "GETDATE",
    "LOCALTIME",
    "SYSTIMESTAMP",
    "RANDOM",
    "RANDSTR",
    "UNIFORM",
    "NORMAL",
    "ZIPF",
    "SAMPLE",
    "UUID_STRING",
    "SEQ1",
    "SEQ2",
    "SEQ4",
    "SEQ8",
    "NEXTVAL",
    "SYSTEM$",
    "LAST_QUERY_ID",
    "RESULT_SCAN",
    "INFORMATION_SCHEMA",
    "OFFSET",
    "CHANGES",
    "BEFORE",
];

/// What must be equal for a result to be reused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CacheKey {
    text: String,
    binds: Vec<(String, Option<String>)>,
    role: Option<String>,
    database: Option<String>,
    schema: Option<String>,
    parameters: BTreeMap<String, String>,
    user: String,
    format: Format,
}

impl CacheKey {
    /// Returns the key of a statement, or `None` if it must always run.
    pub(crate) fn of(
        text: &str,
        binds: &[Bind],
        context: &SessionContext,
        format: Format,
    ) -> Option<Self> {
        let allowed = crate::session::parameters::flag(context, "USE_CACHED_RESULT");
        let upper = text.to_uppercase();
        if !allowed || words(&upper).any(is_volatile) {
            return None;
        }
        let mut parameters = context.parameters.clone();
        parameters.remove("QUERY_TAG");
        Some(Self {
            text: text.to_owned(),
            binds: binds.iter().map(|bind| (bind.kind.clone(), bind.value.clone())).collect(),
            role: context.role.clone(),
            database: context.database.clone(),
            schema: context.schema.clone(),
            parameters,
            user: context.user.clone(),
            format,
        })
    }
}

fn words(upper: &str) -> impl Iterator<Item = &str> {
    upper.split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '$')))
}

/// A word of the list that ends in `_` or `$` stands for all that begin so.
fn is_volatile(word: &str) -> bool {
    VOLATILE
        .iter()
        .any(|known| word == *known || (known.ends_with(['_', '$']) && word.starts_with(known)))
}

#[derive(Debug, Default)]
struct Inner {
    entries: HashMap<CacheKey, (u64, Answer)>,
    order: VecDeque<CacheKey>,
}

/// Results that may be reused.
#[derive(Debug, Default)]
pub(crate) struct ResultCache {
    inner: Mutex<Inner>,
}

impl ResultCache {
    /// Returns the stored answer if the data is still that of `data_version`.
    pub(crate) fn find(&self, key: &CacheKey, data_version: u64) -> Option<Answer> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let (version, answer) = inner.entries.get(key)?;
        (*version == data_version).then(|| answer.clone())
    }

    /// Keeps an answer that was computed from the data of `data_version`; only SELECTs stay.
    pub(crate) fn keep(&self, key: CacheKey, data_version: u64, answer: &Answer) {
        if answer.statement_type_id != SELECT_TYPE {
            return;
        }
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        // What was computed from older data will never be asked for again.
        inner.entries.retain(|_, (version, _)| *version >= data_version);
        let live: HashSet<CacheKey> = inner.entries.keys().cloned().collect();
        inner.order.retain(|known| live.contains(known) && *known != key);
        inner.entries.insert(key.clone(), (data_version, answer.clone()));
        inner.order.push_back(key);
        while inner.order.len() > MOST_ENTRIES || inner.stored_bytes() > MOST_BYTES {
            let Some(oldest) = inner.order.pop_front() else { break };
            inner.entries.remove(&oldest);
        }
    }
}

impl Inner {
    fn stored_bytes(&self) -> usize {
        self.entries.values().map(|(_, answer)| answer.result.stored_bytes()).sum()
    }
}
