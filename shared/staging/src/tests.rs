//! The suite on both stores, and what only a part or a folder promises.

mod local;
mod part;
mod s3;
mod stored;

use std::sync::Arc;

use crate::local::LocalStaging;
use crate::memory::MemoryStaging;
use crate::{Staging, contract};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_store_in_memory_passes_the_suite() {
    let memory = MemoryStaging::default();
    let staging: Arc<dyn Staging> = Arc::new(memory.clone());
    contract::all(&staging).await;
    assert_eq!(memory.open_uploads(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_local_store_passes_the_suite() {
    let folder = tempfile::tempdir().unwrap();
    let staging: Arc<dyn Staging> = Arc::new(LocalStaging::open(folder.path()).unwrap());
    contract::all(&staging).await;
}
