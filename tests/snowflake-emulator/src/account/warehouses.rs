//! Warehouses: nothing computes in them, but a statement needs one that runs.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

/// The warehouse that exists from the start.
const FIRST: &str = "COMPUTE_WH";

/// A warehouse.
#[derive(Clone, Debug)]
pub(crate) struct Warehouse {
    pub created_ns: i128,
    /// As SHOW WAREHOUSES says it, e.g. `X-Small`.
    pub size: String,
    pub auto_suspend_s: Option<u64>,
    pub auto_resume: bool,
    pub comment: Option<String>,
    pub suspended: bool,
}

impl Default for Warehouse {
    fn default() -> Self {
        Self {
            created_ns: 0,
            size: "X-Small".to_owned(),
            auto_suspend_s: Some(600),
            auto_resume: true,
            comment: None,
            suspended: false,
        }
    }
}

/// The warehouses by name.
#[derive(Debug)]
pub(crate) struct Warehouses {
    by_name: RwLock<BTreeMap<String, Warehouse>>,
}

impl Default for Warehouses {
    fn default() -> Self {
        let first = BTreeMap::from([(FIRST.to_owned(), Warehouse::default())]);
        Self { by_name: RwLock::new(first) }
    }
}

impl Warehouses {
    /// The warehouse of a name.
    pub(crate) fn get(&self, name: &str) -> Option<Warehouse> {
        self.read().get(name).cloned()
    }

    /// All warehouses.
    pub(crate) fn list(&self) -> Vec<(String, Warehouse)> {
        self.read().iter().map(|(name, found)| (name.clone(), found.clone())).collect()
    }

    /// Makes a warehouse, or changes the one of that name.
    pub(crate) fn put(&self, name: &str, warehouse: Warehouse) {
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        by_name.insert(name.to_owned(), warehouse);
    }

    /// Drops a warehouse.
    pub(crate) fn remove(&self, name: &str) -> Option<Warehouse> {
        self.by_name.write().unwrap_or_else(PoisonError::into_inner).remove(name)
    }

    /// Whether a statement can run: a suspended warehouse is resumed if it resumes by itself.
    pub(crate) fn wake(&self, name: &str) -> bool {
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        let Some(found) = by_name.get_mut(name) else { return false };
        found.suspended = found.suspended && !found.auto_resume;
        !found.suspended
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, Warehouse>> {
        self.by_name.read().unwrap_or_else(PoisonError::into_inner)
    }
}
