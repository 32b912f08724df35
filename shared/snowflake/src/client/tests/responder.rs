//! A tiny HTTP server on loopback: one closure answers, every request is kept.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// One request as it came.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) path: String,
    pub(super) query: BTreeMap<String, String>,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Value,
    /// The body as it came.
    pub(super) raw: Vec<u8>,
    /// The same as text.
    pub(super) text: String,
    /// How many requests to this path came before.
    pub(super) before: usize,
}

/// One reply.
#[derive(Clone, Debug)]
pub(super) struct Canned {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
    /// Bytes of the body after which the connection is dropped.
    pub(super) cut: Option<usize>,
    /// The connection stays open and nothing is answered until the client gives up.
    pub(super) held: bool,
}

impl Canned {
    pub(super) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), cut: None, held: false }
    }

    pub(super) fn success(data: &Value) -> Self {
        let envelope = json!({"data": data, "code": null, "message": null, "success": true});
        Self::new(200, envelope.to_string())
    }

    pub(super) fn running(code: &str, query_id: &str) -> Self {
        let data =
            json!({"queryId": query_id, "getResultUrl": format!("/queries/{query_id}/result")});
        let envelope = json!({"data": data, "code": code, "message": "running", "success": true});
        Self::new(200, envelope.to_string())
    }

    pub(super) fn failure(code: &str, message: &str) -> Self {
        let data = json!({"errorCode": code, "sqlState": "42S02", "queryId": "q1"});
        let envelope = json!({"data": data, "code": code, "message": message, "success": false});
        Self::new(200, envelope.to_string())
    }
}

type Answer = dyn Fn(&Seen) -> Canned + Send + Sync;

pub(super) struct Responder {
    pub(super) base_url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Responder {
    pub(super) fn start(answer: impl Fn(&Seen) -> Canned + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (kept, answer): (_, Arc<Answer>) = (Arc::clone(&seen), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
                std::thread::spawn(move || converse(stream, &kept, &answer));
            }
        });
        Self { base_url, seen }
    }

    pub(super) fn seen(&self, path: &str) -> Vec<Seen> {
        self.seen.lock().unwrap().iter().filter(|seen| seen.path == path).cloned().collect()
    }

    pub(super) fn all(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

fn converse(mut stream: TcpStream, kept: &Mutex<Vec<Seen>>, answer: &Arc<Answer>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let target = first.split_whitespace().nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let url = url::Url::parse("http://x").ok()?.join(&target).ok()?;
    let mut seen = Seen {
        path: url.path().to_owned(),
        query: url.query_pairs().into_owned().collect(),
        headers,
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        text: String::from_utf8_lossy(&body).into_owned(),
        raw: body,
        before: 0,
    };
    {
        let mut kept = kept.lock().ok()?;
        seen.before = kept.iter().filter(|other| other.path == seen.path).count();
        kept.push(seen.clone());
    }
    let canned = answer(&seen);
    if canned.held {
        let _ = reader.read(&mut [0; 1]);
        return None;
    }
    let mut head = format!("HTTP/1.1 {} X\r\nConnection: close\r\n", canned.status);
    head.push_str(&format!("Content-Length: {}\r\n", canned.body.len()));
    for (name, value) in &canned.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n").as_bytes()).ok()?;
    let end = canned.cut.unwrap_or(canned.body.len()).min(canned.body.len());
    stream.write_all(&canned.body[..end]).ok()
}
