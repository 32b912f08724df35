//! Leases as file locks.
//!
//! The files stay when a lease is given back: removing one while another process opens it would
//! let two processes lock two files of one name.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use snowferry_model::state::StreamKey;

use crate::LeaseOutcome;

/// Who holds a lease when the file does not say: its holder is just writing its name.
const UNNAMED: &str = "another process";

/// The leases that this process holds.
#[derive(Debug)]
pub(super) struct FileLeases {
    folder: PathBuf,
    held: Mutex<HashMap<StreamKey, Held>>,
}

#[derive(Debug)]
struct Held {
    owner: String,
    /// Locked as long as it is open.
    file: File,
}

impl FileLeases {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, held: Mutex::default() }
    }

    pub(super) fn acquire(&self, key: &StreamKey, owner: &str) -> io::Result<LeaseOutcome> {
        let mut held = self.held();
        if let Some(lease) = held.get(key) {
            return Ok(outcome(lease, owner));
        }
        let mut file = self.open(key)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(held_by(&mut file)),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        file.set_len(0)?;
        file.write_all(owner.as_bytes())?;
        held.insert(key.clone(), Held { owner: owner.to_owned(), file });
        Ok(LeaseOutcome::Acquired)
    }

    pub(super) fn renew(&self, key: &StreamKey, owner: &str) -> io::Result<LeaseOutcome> {
        match self.held().get(key) {
            Some(lease) => Ok(outcome(lease, owner)),
            None => Ok(held_by(&mut self.open(key)?)),
        }
    }

    /// Gives a lease back; closing the file unlocks it.
    pub(super) fn release(&self, key: &StreamKey, owner: &str) {
        let mut held = self.held();
        if held.get(key).is_some_and(|lease| lease.owner == owner)
            && let Some(lease) = held.remove(key)
        {
            // The name is for display only: a file that keeps it does no harm.
            let _ = lease.file.set_len(0);
        }
    }

    fn open(&self, key: &StreamKey) -> io::Result<File> {
        let folder = self.folder.join(key.connection.as_str());
        fs::create_dir_all(&folder)?;
        let path = folder.join(format!("{}.lock", key.table.slug()));
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
    }

    fn held(&self) -> MutexGuard<'_, HashMap<StreamKey, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn outcome(lease: &Held, owner: &str) -> LeaseOutcome {
    if lease.owner == owner {
        return LeaseOutcome::Acquired;
    }
    LeaseOutcome::Held { owner: lease.owner.clone() }
}

fn held_by(file: &mut File) -> LeaseOutcome {
    let mut owner = String::new();
    let read = file.rewind().and_then(|()| file.read_to_string(&mut owner));
    if read.is_err() || owner.is_empty() {
        owner = UNNAMED.to_owned();
    }
    LeaseOutcome::Held { owner }
}
