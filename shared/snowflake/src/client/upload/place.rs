//! Where a staged file goes: S3, Azure Blob or Google Cloud Storage, each with the credentials
//! that the server gave for it.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue,
};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::super::account::Endpoint;
use super::super::credential::Secret;
use super::seal::Description;
use super::{STEP, protocol};
use crate::SnowflakeError;

/// The service version whose single put takes up to 5000 MiB.
const AZURE_VERSION: &str = "2020-04-08";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StageInfo {
    location_type: String,
    location: String,
    #[serde(default)]
    region: Option<String>,
    #[serde(default)]
    storage_account: Option<String>,
    #[serde(default)]
    pub(super) is_client_side_encrypted: Option<bool>,
    #[serde(default)]
    creds: Option<BTreeMap<String, Option<String>>>,
    #[serde(default)]
    presigned_url: Option<String>,
    #[serde(default)]
    end_point: Option<String>,
}

/// One object of cloud storage, and what permits to write it.
pub(super) struct Place {
    url: Url,
    permission: Permission,
}

enum Permission {
    /// AWS signature, version 4.
    S3 { credentials: Credentials, region: String },
    /// The link itself permits: a shared access signature.
    Azure,
    /// The link itself permits.
    GoogleLink,
    /// An access token.
    GoogleToken(Secret),
}

impl Place {
    /// Builds the object's address. Every host but one of the known clouds is refused, as for
    /// result chunks.
    pub(super) fn new(
        info: StageInfo,
        name: &str,
        endpoint: &Endpoint,
    ) -> Result<Self, SnowflakeError> {
        let credential = |key: &str| {
            let found = info.creds.as_ref().and_then(|creds| creds.get(key).cloned().flatten());
            found.filter(|text| !text.is_empty())
        };
        let needed = |key: &str| {
            credential(key).ok_or_else(|| protocol("the server gave not all credentials"))
        };
        let kind = info.location_type.to_ascii_uppercase();
        let (container, folder) = info.location.split_once('/').unwrap_or((&info.location, ""));
        let folder = folder.trim_matches('/');
        let object = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
        let at = |text: &str| endpoint.storage_url(STEP, text);
        match kind.as_str() {
            "S3" => {
                let region = info.region.clone().unwrap_or_else(|| "us-east-1".to_owned());
                let credentials = Credentials::new(
                    needed("AWS_KEY_ID")?,
                    needed("AWS_SECRET_KEY")?,
                    credential("AWS_TOKEN"),
                    None,
                    "snowflake",
                );
                let base = s3_base(&info, container, &region, endpoint);
                let url = beneath(at(&base.root)?, &[base.bucket, &object]);
                Ok(Self { url, permission: Permission::S3 { credentials, region } })
            }
            "AZURE" => {
                let sas = needed("AZURE_SAS_TOKEN")?;
                let root = azure_root(&info, endpoint)?;
                let mut url = beneath(at(&root)?, &[container, &object]);
                url.set_query(Some(sas.trim_start_matches('?')));
                Ok(Self { url, permission: Permission::Azure })
            }
            "GCS" => match (&info.presigned_url, credential("GCS_ACCESS_TOKEN")) {
                (_, Some(token)) => {
                    let root = rooted(info.end_point.as_deref(), endpoint)
                        .unwrap_or_else(|| "https://storage.googleapis.com".to_owned());
                    let url = beneath(at(&root)?, &[container, &object]);
                    Ok(Self { url, permission: Permission::GoogleToken(Secret::new(token)) })
                }
                (Some(link), None) if !link.is_empty() => {
                    Ok(Self { url: at(link)?, permission: Permission::GoogleLink })
                }
                _ => Err(protocol("the server gave neither a link nor a token")),
            },
            _ => Err(protocol("the stage lies in a kind of storage that is not known")),
        }
    }

    /// Returns address and headers of the request that puts the object.
    pub(super) fn request(
        &self,
        sha256: &[u8],
        sealed: Option<&Description>,
        length: u64,
        clock_s: i64,
    ) -> Result<(Url, HeaderMap), SnowflakeError> {
        let digest = STANDARD.encode(sha256);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        match &self.permission {
            Permission::S3 { credentials, region } => {
                add(&mut headers, "x-amz-meta-sfc-digest", &digest)?;
                if let Some(sealed) = sealed {
                    add(&mut headers, "x-amz-meta-x-amz-key", &sealed.key)?;
                    add(&mut headers, "x-amz-meta-x-amz-iv", &sealed.iv)?;
                    add(&mut headers, "x-amz-meta-x-amz-matdesc", &sealed.matdesc)?;
                }
                sign_s3(&self.url, &mut headers, credentials, region, clock_s)?;
            }
            Permission::Azure => {
                add(&mut headers, "x-ms-blob-type", "BlockBlob")?;
                add(&mut headers, "x-ms-version", AZURE_VERSION)?;
                blob_metadata(&mut headers, "x-ms-meta-", "sfcdigest", &digest, sealed)?;
            }
            Permission::GoogleLink => {
                blob_metadata(&mut headers, "x-goog-meta-", "sfc-digest", &digest, sealed)?;
            }
            Permission::GoogleToken(token) => {
                blob_metadata(&mut headers, "x-goog-meta-", "sfc-digest", &digest, sealed)?;
                add(&mut headers, AUTHORIZATION.as_str(), &format!("Bearer {}", token.expose()))?;
            }
        }
        Ok((self.url.clone(), headers))
    }
}

struct S3Base<'a> {
    root: String,
    bucket: &'a str,
}

/// A bucket is a part of the host, except where its dots would not match a certificate, or where
/// an endpoint on this machine serves all buckets.
fn s3_base<'a>(info: &StageInfo, bucket: &'a str, region: &str, endpoint: &Endpoint) -> S3Base<'a> {
    if let Some(root) =
        rooted(info.end_point.as_deref(), endpoint).filter(|_| endpoint.is_override())
    {
        return S3Base { root, bucket };
    }
    let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    let named = info.end_point.as_deref().filter(|named| !named.is_empty());
    let named = named.map(|named| named.trim_start_matches("https://").to_owned());
    let host = named.unwrap_or_else(|| format!("s3.{region}.{domain}"));
    if bucket.contains('.') {
        return S3Base { root: format!("https://{host}"), bucket };
    }
    S3Base { root: format!("https://{bucket}.{host}"), bucket: "" }
}

fn azure_root(info: &StageInfo, endpoint: &Endpoint) -> Result<String, SnowflakeError> {
    if let Some(root) =
        rooted(info.end_point.as_deref(), endpoint).filter(|_| endpoint.is_override())
    {
        return Ok(root);
    }
    let account = info.storage_account.as_deref().filter(|account| {
        !account.is_empty() && account.bytes().all(|byte| byte.is_ascii_alphanumeric())
    });
    let account = account.ok_or_else(|| protocol("the server names no storage account"))?;
    let host = info.end_point.as_deref().filter(|host| !host.is_empty());
    Ok(format!("https://{account}.{}", host.unwrap_or("blob.core.windows.net")))
}

/// An explicit endpoint as a URL; without a scheme it is https, or that of an openly given base.
fn rooted(end_point: Option<&str>, endpoint: &Endpoint) -> Option<String> {
    let named = end_point.filter(|named| !named.is_empty())?;
    if named.contains("://") {
        return Some(named.trim_end_matches('/').to_owned());
    }
    let scheme = if endpoint.is_override() { endpoint.scheme() } else { "https" };
    Some(format!("{scheme}://{named}"))
}

/// Appends paths to an address, segment by segment, so that no name leaves its place.
fn beneath(mut url: Url, paths: &[&str]) -> Url {
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty();
        for path in paths {
            segments.extend(path.split('/').filter(|segment| !segment.is_empty()));
        }
    }
    url
}

fn sign_s3(
    url: &Url,
    headers: &mut HeaderMap,
    credentials: &Credentials,
    region: &str,
    clock_s: i64,
) -> Result<(), SnowflakeError> {
    let unsigned = |_| protocol("the request cannot be signed");
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let ahead = Duration::from_secs(clock_s.unsigned_abs());
    let now = SystemTime::now();
    let now = if clock_s < 0 { now.checked_sub(ahead) } else { now.checked_add(ahead) };
    let identity = credentials.clone().into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("s3")
        .time(now.unwrap_or_else(SystemTime::now))
        .settings(settings)
        .build()
        .map_err(|_| protocol("the request cannot be signed"))?;
    let shown = headers
        .iter()
        .filter(|(name, _)| *name != HOST)
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let request = SignableRequest::new("PUT", url.as_str(), shown, SignableBody::UnsignedPayload);
    let signed = sign(request.map_err(unsigned)?, &params.into()).map_err(unsigned)?;
    for (name, value) in signed.output().headers() {
        add(headers, name, value)?;
    }
    Ok(())
}

/// The metadata of Azure and Google, which share one form.
fn blob_metadata(
    headers: &mut HeaderMap,
    prefix: &str,
    digest_name: &str,
    digest: &str,
    sealed: Option<&Description>,
) -> Result<(), SnowflakeError> {
    add(headers, &format!("{prefix}{digest_name}"), digest)?;
    let Some(sealed) = sealed else { return Ok(()) };
    let data = json!({
        "EncryptionMode": "FullBlob",
        "WrappedContentKey": {
            "KeyId": "symmKey1",
            "EncryptedKey": sealed.key,
            "Algorithm": "AES_CBC_256",
        },
        "EncryptionAgent": {"Protocol": "1.0", "EncryptionAlgorithm": "AES_CBC_256"},
        "ContentEncryptionIV": sealed.iv,
        "KeyWrappingMetadata": {"EncryptionLibrary": "Java 5.3.0"},
    });
    add(headers, &format!("{prefix}encryptiondata"), &data.to_string())?;
    add(headers, &format!("{prefix}matdesc"), &sealed.matdesc)
}

fn add(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), SnowflakeError> {
    let unusable = || protocol("a credential of the storage is no header");
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unusable())?;
    let mut value = HeaderValue::from_str(value).map_err(|_| unusable())?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}
