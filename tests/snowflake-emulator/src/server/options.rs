//! What an emulator is started with, and the line it prints when it is ready.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

/// How an emulator behaves. Every field has a default that suits a laptop.
#[derive(Clone, Debug)]
pub struct EmulatorOptions {
    /// TCP port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// Scale of `SNOWFLAKE_SAMPLE_DATA.TPCH_SF1`; 1.0 is six million line items.
    pub tpch_scale: f64,
    /// Whether the sample database `CRM` exists.
    pub crm: bool,
    /// SQL scripts that run before the emulator is ready, in order.
    pub load: Vec<PathBuf>,
    /// Most rows in the inline part of a result; 0 puts all rows into chunks.
    pub inline_rows: usize,
    /// Compressed size of a full-grown result chunk. 16 MiB, as at the real service.
    pub chunk_bytes: usize,
    /// Most rows in one Arrow record batch.
    pub batch_rows: usize,
    /// Lifetime of a session token in seconds; the master token lives four times as long.
    pub session_seconds: u64,
    /// Lifetime of a chunk link in seconds; six hours at the real service.
    pub link_seconds: u64,
    /// How long a statement may keep a synchronous client waiting before it is told to poll.
    pub sync_patience: Duration,
    /// Whether chunk replies say `Content-Encoding: gzip`. Their bodies are gzip either way.
    pub chunk_content_encoding: bool,
    /// How long a transaction may run no statement before it is rolled back for standing in the
    /// way of another; five minutes at the real service.
    pub idle_transaction: Duration,
    /// What storage stages seem to have.
    pub stage_kind: StageKind,
    /// Bytes that the files of all stages together may have.
    pub stage_bytes: u64,
    /// Where COPY finds `s3://…`; its user and password, if any, are those of storage integrations.
    pub s3_endpoint: Option<String>,
    /// Where results are spilled and staged files lie; the system's folder for temporary files
    /// if not given.
    pub data_folder: Option<PathBuf>,
}

/// The storage behind internal stages, as PUT and GET describe it to drivers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StageKind {
    /// Google Cloud Storage with a link for each file, which the emulator itself serves.
    #[default]
    Gcs,
    /// A folder of this machine, which the driver reads and writes.
    Local,
}

impl Default for EmulatorOptions {
    fn default() -> Self {
        Self {
            port: 0,
            tpch_scale: 0.01,
            crm: true,
            load: Vec::new(),
            inline_rows: 12_288,
            chunk_bytes: 16 << 20,
            batch_rows: 4096,
            session_seconds: 3600,
            link_seconds: 6 * 3600,
            sync_patience: Duration::from_secs(45),
            chunk_content_encoding: true,
            idle_transaction: Duration::from_secs(300),
            stage_kind: StageKind::Gcs,
            stage_bytes: crate::stages::DEFAULT_LIMIT_BYTES,
            s3_endpoint: None,
            data_folder: None,
        }
    }
}

/// Everything a client needs to connect. Serialises to the one JSON line of `snowferry emulator`.
///
/// It holds a password: print it to whoever started the emulator and to nobody else.
#[derive(Clone, Serialize)]
pub struct ReadyLine {
    /// `http://127.0.0.1:PORT`.
    pub base_url: String,
    /// The account's identifier.
    pub account: String,
    /// The user that exists from the start.
    pub user: String,
    /// The user's password, made for this run.
    pub password: String,
    /// The user's private key as PKCS#8 PEM, made for this run.
    pub private_key_path: PathBuf,
    /// The user's default role.
    pub role: String,
    /// The user's default warehouse.
    pub warehouse: String,
    /// Where tests set faults and look at state; whoever knows it may do so.
    pub admin_url: String,
    /// Where a registered client gets OAuth access tokens by its credentials.
    pub oauth_token_url: String,
}

impl std::fmt::Debug for ReadyLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReadyLine")
            .field("base_url", &self.base_url)
            .field("account", &self.account)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}
