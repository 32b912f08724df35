//! What PUT and GET answer: where the files are and what a client needs to move them.
//!
//! The storage is the emulator itself (`objects`). As GCS it gives a link for each file, as the
//! local file system a folder.

use serde_json::{Map, Value, json};

use super::app::{App, now_s};
use super::options::StageKind;
use crate::engine::{Download, SqlError, Transfer, Upload};
use crate::results::queries::Query;
use crate::stages::{Material, StageError};

/// The bucket in locations; nothing else is stored in it.
const BUCKET: &str = "snowferry-stages";
/// How the connectors for Python name themselves.
const PYTHON: &str = "PythonConnector";
/// Headers that may come with an upload, as the link's signature names them.
const SIGNED_HEADERS: &str = "host;x-goog-if-generation-match;x-goog-meta-encryptiondata;\
                              x-goog-meta-matdesc;x-goog-meta-sfc-digest";
/// Files from this size on go up in pieces where the storage can take them.
const THRESHOLD_BYTES: u64 = 209_715_200;

/// Returns the members of `data` that only PUT and GET have.
///
/// # Errors
/// 091003 when the stage's folder cannot be made.
pub(crate) fn data(
    app: &App,
    query: &Query,
    transfer: &Transfer,
) -> Result<Map<String, Value>, SqlError> {
    let data = match transfer {
        Transfer::Upload(upload) => upload_data(app, query, upload),
        Transfer::Download(download) => download_data(app, query, download),
    };
    match data.map_err(|error| crate::sql::stage::location::storage_failed(&error))? {
        Value::Object(data) => Ok(data),
        _ => Ok(Map::new()),
    }
}

fn upload_data(app: &App, query: &Query, upload: &Upload) -> Result<Value, StageError> {
    let name = upload.source.rsplit(['/', '\\']).next().unwrap_or_default();
    // A link is for one file. For wildcards it is one that has expired, upon which drivers ask
    // again for each file.
    let many = name.is_empty() || name.contains(['*', '?', '[']);
    let path = format!("{}{name}", upload.prefix);
    let encrypted = upload.master_key.is_some() && app.options.stage_kind != StageKind::Local;
    let location = match app.options.stage_kind {
        StageKind::Gcs => format!("{BUCKET}/{}/{}", upload.stage, upload.prefix),
        StageKind::Local => {
            app.stages.directory(upload.stage, &upload.prefix)?.display().to_string()
        }
    };
    let made_s = if many { i64::MIN } else { now_s() };
    let link = link(app, (upload.stage, &path), "PUT", made_s);
    let info = stage_info(app, &location, &upload.prefix, encrypted, Some(link));
    Ok(json!({
        "command": "UPLOAD",
        "operation": "Node",
        "kind": null,
        "src_locations": [upload.source],
        "parallel": upload.parallel,
        "threshold": THRESHOLD_BYTES,
        "autoCompress": upload.auto_compress,
        "overwrite": upload.overwrite,
        "sourceCompression": upload.source_compression,
        "clientShowEncryptionParameter": true,
        "encryptionMaterial":
            if encrypted { material(app, query, upload.master_key.as_deref(), upload.stage) } else { Value::Null },
        "stageInfo": info,
        "uploadInfo": info,
    }))
}

fn download_data(app: &App, query: &Query, download: &Download) -> Result<Value, StageError> {
    let stage = download.stage;
    let key = download.master_key.as_deref();
    let local = app.options.stage_kind == StageKind::Local;
    let mut materials = Vec::new();
    for path in &download.files {
        let encrypted = app.stages.attributes(stage, path).key.is_some();
        materials.push(if encrypted { material(app, query, key, stage) } else { Value::Null });
    }
    // Drivers differ in what they take for files without a key; none at all suits each of them.
    let plain = materials.iter().all(Value::is_null);
    let (location, sources) = if local {
        let sources = download.files.iter().map(|path| app.stages.local_name(path)).collect();
        (app.stages.stage_root(stage)?.display().to_string(), sources)
    } else {
        (format!("{BUCKET}/{stage}/"), download.files.clone())
    };
    let links: Vec<Value> = match app.options.stage_kind {
        StageKind::Gcs => download
            .files
            .iter()
            .map(|path| link(app, (stage, path), "GET", now_s()).into())
            .collect(),
        StageKind::Local => Vec::new(),
    };
    let info = stage_info(app, &location, "", key.is_some() && !local, None);
    Ok(json!({
        "command": "DOWNLOAD",
        "operation": "Node",
        "kind": null,
        "src_locations": sources,
        "localLocation": download.target,
        "parallel": download.parallel,
        "threshold": THRESHOLD_BYTES,
        "autoCompress": false,
        "overwrite": false,
        "sourceCompression": "none",
        "clientShowEncryptionParameter": true,
        "encryptionMaterial": if plain { Value::Null } else { materials.into() },
        "presignedUrls": links,
        "stageInfo": info,
    }))
}

fn stage_info(
    app: &App,
    location: &str,
    path: &str,
    encrypted: bool,
    link: Option<String>,
) -> Value {
    json!({
        "locationType": match app.options.stage_kind {
            StageKind::Gcs => "GCS",
            StageKind::Local => "LOCAL_FS",
        },
        "location": location,
        "path": path,
        "region": "US-CENTRAL1",
        "storageAccount": "",
        "isClientSideEncrypted": encrypted,
        "creds": {},
        "presignedUrl": link,
        "endPoint": null,
        "useRegionalUrl": false,
        "useVirtualUrl": false,
    })
}

fn material(app: &App, query: &Query, master_key: Option<&str>, stage: u64) -> Value {
    let Some(master_key) = master_key else { return Value::Null };
    let material =
        Material { master_key: master_key.to_owned(), query_id: query.id.clone(), smk_id: stage };
    let mut material = material.to_json();
    // Connector 5 for Python reads this number as text only, and connector 4 reads either. The
    // driver for Go, as the service's recorded answers have it, reads a number only.
    let sessions = app.sessions.list();
    let session = sessions.iter().find(|session| session.id == query.submission.session_id);
    if let (Some(PYTHON), Value::Object(members)) =
        (session.map(|session| session.client.as_str()), &mut material)
    {
        members.insert("smkId".to_owned(), stage.to_string().into());
    }
    material
}

/// A link that opens one file for one method.
fn link(app: &App, (stage, path): (u64, &str), method: &str, made_s: i64) -> String {
    let encoded: Vec<String> = path.split('/').map(encode).collect();
    let signature = app.links.sign(&subject(stage, path, method), made_s);
    let headers = SIGNED_HEADERS.replace(';', "%3B");
    format!(
        "{}/stage/{stage}/{}?X-Goog-SignedHeaders={headers}&{signature}",
        app.base_url,
        encoded.join("/")
    )
}

/// What a link's signature is about.
pub(crate) fn subject(stage: u64, path: &str, method: &str) -> String {
    format!("{method} stage/{stage}/{path}")
}

/// Percent-encodes one part of a path.
fn encode(part: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a text cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
