//! Files on their way into a stage: each kind of storage, and what goes wrong there.

use aes::Aes128;
use aes::cipher::block_padding::Pkcs7;
use aes::cipher::inout::InOutBuf;
use aes::cipher::{BlockDecrypt, BlockDecryptMut, KeyInit, KeyIvInit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::super::sql::{Stage, StageFile};
use super::super::upload::Upload;
use super::*;

const MASTER: [u8; 16] = *b"sixteen  letters";

fn file() -> StageFile {
    StageFile::new(Stage::User, "run-1", "part-1.parquet").unwrap()
}

fn text() -> Bytes {
    (0_u32..700_000).flat_map(u32::to_le_bytes).collect::<Vec<u8>>().into()
}

fn place(kind: &str, creds: &Value, base_url: &str) -> Value {
    json!({"command": "UPLOAD", "queryId": "q1", "encryptionMaterial": {
        "queryStageMasterKey": STANDARD.encode(MASTER), "queryId": "q1", "smkId": 123},
        "stageInfo": {"locationType": kind, "location": "bucket/stages/s-1/", "creds": creds,
        "region": "eu-west-1", "storageAccount": "account1", "isClientSideEncrypted": true,
        "presignedUrl": null, "endPoint": base_url.trim_start_matches("http://")}})
}

async fn upload(responder: &Responder, content: &Bytes) -> Result<(), SnowflakeError> {
    let file = file();
    let sha256 = Sha256::digest(text()).into();
    let size_bytes = u64::try_from(text().len()).unwrap();
    client(responder).upload(&Upload { file: &file, size_bytes, sha256, content }).await
}

/// A storage that keeps what it is sent, beside a server whose PUT names it.
fn storage(kind: &'static str, creds: Value, answer: fn(&Seen) -> Canned) -> Responder {
    Responder::start(move |seen| {
        let base_url = format!("http://{}", seen.headers["host"]);
        match seen.path.as_str() {
            "/session/v1/login-request" => Canned::success(&signed_in()),
            "/queries/v1/query-request" => {
                let mut creds = creds.clone();
                if let Some(asked) = creds.get_mut("AWS_TOKEN") {
                    *asked = json!(format!("canary-token-{}", seen.before));
                }
                Canned::success(&place(kind, &creds, &base_url))
            }
            "/session" => Canned::success(&Value::Null),
            _ => answer(seen),
        }
    })
}

/// Opens what the storage got, with the key that came beside it.
fn opened(sent: &Seen, key: &str, iv: &str) -> Vec<u8> {
    let mut file_key = STANDARD.decode(key).unwrap();
    let (blocks, _) = InOutBuf::from(file_key.as_mut_slice()).into_chunks();
    Aes128::new_from_slice(&MASTER).unwrap().decrypt_blocks_inout(blocks);
    let iv = STANDARD.decode(iv).unwrap();
    let opener = cbc::Decryptor::<Aes128>::new_from_slices(&file_key[..16], &iv).unwrap();
    opener.decrypt_padded_mut::<Pkcs7>(&mut sent.raw.clone()).unwrap().to_vec()
}

fn digest() -> String {
    STANDARD.encode(Sha256::digest(text()))
}

#[tokio::test]
async fn a_file_reaches_s3_sealed_and_signed() {
    let creds = json!({"AWS_KEY_ID": "AKIA1", "AWS_SECRET_KEY": "canary-signature",
        "AWS_TOKEN": "", "AWS_ID": "AKIA1", "AWS_KEY": "canary-signature"});
    let responder = storage("S3", creds, |_| Canned::new(200, ""));
    upload(&responder, &text()).await.unwrap();
    let asked = &responder.seen("/queries/v1/query-request")[0];
    let text_of = asked.body["sqlText"].as_str().unwrap();
    assert!(text_of.starts_with("PUT file:///part-1.parquet @~/run-1 "), "{text_of}");
    assert_eq!(asked.headers["accept"], "application/json");
    let sent = &responder.seen("/bucket/stages/s-1/part-1.parquet")[0];
    let header = |name: &str| sent.headers[name].as_str();
    assert_eq!(sent.raw.len() % 16, 0);
    assert_eq!(opened(sent, header("x-amz-meta-x-amz-key"), header("x-amz-meta-x-amz-iv")), text());
    assert_eq!(header("x-amz-meta-sfc-digest"), digest());
    assert!(header("x-amz-meta-x-amz-matdesc").contains(r#""smkId":"123""#));
    assert_eq!(header("x-amz-security-token"), "canary-token-0");
    assert_eq!(header("x-amz-content-sha256"), "UNSIGNED-PAYLOAD");
    let signature = header("authorization");
    assert!(signature.starts_with("AWS4-HMAC-SHA256 Credential=AKIA1/"), "{signature}");
    assert!(signature.contains("/eu-west-1/s3/aws4_request"), "{signature}");
    for signed in ["x-amz-meta-sfc-digest", "x-amz-security-token", "host"] {
        assert!(signature.contains(signed), "{signed} in {signature}");
    }
}

#[tokio::test]
async fn a_file_reaches_azure_by_its_shared_access_signature() {
    let creds = json!({"AZURE_SAS_TOKEN": "?sv=2020&sig=canary-signature"});
    let responder = storage("AZURE", creds, |_| Canned::new(201, ""));
    // A stage that one session alone sees is asked for in that session.
    let (file, content) = (file(), text());
    let size_bytes = u64::try_from(content.len()).unwrap();
    let sha256 = Sha256::digest(&content).into();
    let upload = Upload { file: &file, size_bytes, sha256, content: &content };
    client(&responder).converse().upload(&upload).await.unwrap();
    let sent = &responder.seen("/bucket/stages/s-1/part-1.parquet")[0];
    assert_eq!(sent.query["sig"], "canary-signature");
    assert_eq!(sent.headers["x-ms-blob-type"], "BlockBlob");
    assert_eq!(sent.headers["x-ms-meta-sfcdigest"], digest());
    let data: Value = serde_json::from_str(&sent.headers["x-ms-meta-encryptiondata"]).unwrap();
    let key = data["WrappedContentKey"]["EncryptedKey"].as_str().unwrap();
    assert_eq!(opened(sent, key, data["ContentEncryptionIV"].as_str().unwrap()), text());
    assert!(!sent.headers.contains_key("authorization"));
}

#[tokio::test]
async fn a_file_reaches_google_by_token_or_by_link() {
    let creds = json!({"GCS_ACCESS_TOKEN": "canary-token"});
    let responder = storage("GCS", creds, |_| Canned::new(200, ""));
    upload(&responder, &text()).await.unwrap();
    let sent = &responder.seen("/bucket/stages/s-1/part-1.parquet")[0];
    assert_eq!(sent.headers["authorization"], "Bearer canary-token");
    assert_eq!(sent.headers["x-goog-meta-sfc-digest"], digest());

    let responder = Responder::start(|seen| match seen.path.as_str() {
        "/session/v1/login-request" => Canned::success(&signed_in()),
        "/queries/v1/query-request" => {
            let base_url = format!("http://{}", seen.headers["host"]);
            let mut data = place("GCS", &Value::Null, &base_url);
            data["stageInfo"]["presignedUrl"] =
                json!(format!("{base_url}/linked?X-Goog-Signature=canary-signature"));
            // A stage that the storage encrypts by itself.
            data["stageInfo"]["isClientSideEncrypted"] = json!(false);
            Canned::success(&data)
        }
        _ => Canned::new(200, ""),
    });
    upload(&responder, &text()).await.unwrap();
    let sent = &responder.seen("/linked")[0];
    assert_eq!((sent.raw.len(), &sent.raw[..]), (text().len(), &text()[..]));
    assert_eq!(sent.headers["x-goog-meta-sfc-digest"], digest());
    assert!(!sent.headers.contains_key("authorization"));
}

fn s3() -> Value {
    json!({"AWS_KEY_ID": "AKIA1", "AWS_SECRET_KEY": "canary-signature", "AWS_TOKEN": ""})
}

#[tokio::test]
async fn credentials_that_ended_are_asked_for_anew() {
    let responder = storage("S3", s3(), |seen| match seen.before {
        0 => Canned::new(400, "<Error><Code>ExpiredToken</Code></Error>"),
        _ => Canned::new(200, ""),
    });
    upload(&responder, &text()).await.unwrap();
    let sent = responder.seen("/bucket/stages/s-1/part-1.parquet");
    let tokens: Vec<&str> =
        sent.iter().map(|seen| seen.headers["x-amz-security-token"].as_str()).collect();
    assert_eq!(tokens, ["canary-token-0", "canary-token-1"]);
    // Each attempt has a key of its own.
    assert_ne!(sent[0].headers["x-amz-meta-x-amz-key"], sent[1].headers["x-amz-meta-x-amz-key"]);
}

#[tokio::test]
async fn busy_storage_is_tried_again_with_the_same_credentials() {
    let responder = storage("S3", s3(), |seen| match seen.before {
        0 => Canned::new(503, "SlowDown"),
        _ => Canned::new(200, ""),
    });
    upload(&responder, &text()).await.unwrap();
    assert_eq!(responder.seen("/queries/v1/query-request").len(), 1);
    assert_eq!(responder.seen("/bucket/stages/s-1/part-1.parquet").len(), 2);
}

#[tokio::test]
async fn storage_that_refuses_for_good_is_told_without_its_words() {
    let responder = storage("S3", s3(), |_| Canned::new(403, "canary-signature"));
    let refused = upload(&responder, &text()).await.unwrap_err();
    assert!(matches!(refused, SnowflakeError::Status { status: 403, .. }), "{refused}");
    no_canary(&format!("{refused} {refused:?}"));
    assert_eq!(responder.seen("/queries/v1/query-request").len(), 3);
}

#[tokio::test]
async fn content_that_is_not_as_announced_is_never_uploaded_whole() {
    let mut other = text().to_vec();
    other[5] ^= 1;
    for content in [Bytes::from(other), text().slice(..1000)] {
        let responder = storage("S3", s3(), |_| Canned::new(200, ""));
        let refused = upload(&responder, &content).await.unwrap_err();
        assert!(matches!(refused, SnowflakeError::Request { .. }), "{refused}");
        // The request broke off, so the storage has no object.
        assert!(responder.seen("/bucket/stages/s-1/part-1.parquet").is_empty());
    }
}

#[tokio::test]
async fn a_place_outside_the_known_storage_gets_nothing() {
    for (kind, end_point) in [
        ("S3", "evil.example"),
        ("AZURE", "evil.example"),
        ("GCS", "http://169.254.169.254"),
        ("LOCAL_FS", ""),
        ("FTP", ""),
    ] {
        let responder = after_sign_in(move |_| {
            let creds = json!({"AWS_KEY_ID": "A", "AWS_SECRET_KEY": "canary-signature",
                "AZURE_SAS_TOKEN": "canary-signature", "GCS_ACCESS_TOKEN": "canary-token"});
            Canned::success(&place(kind, &creds, end_point))
        });
        let refused = upload(&responder, &text()).await.unwrap_err();
        assert!(matches!(refused, SnowflakeError::Protocol { .. }), "{kind}: {refused}");
        no_canary(&format!("{refused} {refused:?}"));
    }
}
