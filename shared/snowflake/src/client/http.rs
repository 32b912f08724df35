//! Requests to the account: the only retry layer, and the check of every status.
//!
//! A request keeps its `requestId` over all attempts, so that the server runs a statement once,
//! and gets a new `request_guid` for each. Delays are full jitter, bounded in number and by a
//! deadline. Redirects are not followed.
//!
//! A status of 200 is no answer yet: a proxy can cut a reply where its length is not announced, or
//! send a page of its own. A reply that ends early is a lost answer and asked for again like one;
//! something else than JSON is asked for again [`UNREADABLE_ATTEMPTS`] times in all.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode};
use url::Url;
use uuid::Uuid;

use super::ClientOptions;
use super::account::Endpoint;
use super::answer::{Answer, Unreadable};
use super::credential::Secret;
use super::gzip;
use super::resolver::{Guard, not_public};
use crate::SnowflakeError;

/// The longest reply that is read; a chunk list of a million entries stays below it.
const REPLY_MAX_BYTES: usize = 1 << 30;

/// Attempts after which a reply of 200 that is no JSON is believed: what answers there will not
/// change its mind soon.
const UNREADABLE_ATTEMPTS: u32 = 3;

/// No answer of a token endpoint is longer.
const FORM_MAX_BYTES: usize = 1 << 20;

/// The time that a token endpoint may take.
const FORM_TIMEOUT: Duration = Duration::from_secs(30);

/// How often and how long one request is tried again.
#[derive(Clone, Debug)]
pub struct RetryRules {
    /// Attempts in all; at least 1.
    pub attempts: u32,
    /// The upper end of the first delay; it doubles with each attempt.
    pub first_delay: Duration,
    /// The upper end of every delay.
    pub longest_delay: Duration,
    /// No attempt begins later than this after the first.
    pub deadline: Duration,
}

impl Default for RetryRules {
    fn default() -> Self {
        Self {
            attempts: 7,
            first_delay: Duration::from_millis(500),
            longest_delay: Duration::from_secs(16),
            deadline: Duration::from_secs(300),
        }
    }
}

impl RetryRules {
    /// Runs `attempt` until it succeeds, fails for good, or the rules end it.
    pub(super) async fn run<T, F: Future<Output = Attempt<T>> + Send>(
        &self,
        mut attempt: impl FnMut(u32) -> F + Send,
    ) -> Result<T, SnowflakeError> {
        let begun = Instant::now();
        let mut number = 0;
        loop {
            let error = match attempt(number).await {
                Attempt::Done(result) => return result,
                Attempt::Again(error) => error,
            };
            number += 1;
            if number >= self.attempts || begun.elapsed() >= self.deadline {
                return Err(error);
            }
            tracing::debug!(attempt = number, "request failed, trying again");
            tokio::time::sleep(self.delay(number)).await;
        }
    }

    fn delay(&self, number: u32) -> Duration {
        let doubled = self.first_delay.saturating_mul(2_u32.saturating_pow(number - 1));
        doubled.min(self.longest_delay).mul_f64(rand::random::<f64>())
    }
}

/// How one attempt ended.
pub(super) enum Attempt<T> {
    /// With an answer or a failure that stays.
    Done(Result<T, SnowflakeError>),
    /// With a failure that may pass.
    Again(SnowflakeError),
}

/// One logical request to the account.
pub(super) struct Call<'a> {
    pub(super) step: &'static str,
    pub(super) method: Method,
    pub(super) path: &'a [&'a str],
    pub(super) query: &'a [(&'a str, &'a str)],
    pub(super) accept: &'static str,
    pub(super) token: Option<&'a Secret>,
    pub(super) body: Body<'a>,
    pub(super) request_id: Uuid,
    pub(super) timeout: Duration,
    /// Set while an attempt may have reached the server and no answer to it came; it stays set
    /// when the answer is lost, or when nobody waits for it any more.
    pub(super) unanswered: Option<&'a AtomicBool>,
}

impl Call<'_> {
    /// Notes that an attempt begins. Returns whether an earlier one was lost.
    fn begins(&self) -> bool {
        self.unanswered.is_some_and(|unanswered| unanswered.swap(true, Ordering::Relaxed))
    }

    /// Notes that this attempt was answered, or never left.
    fn is_settled(&self, earlier_lost: bool) {
        if let Some(unanswered) = self.unanswered {
            unanswered.store(earlier_lost, Ordering::Relaxed);
        }
    }
}

/// What a request carries.
pub(super) enum Body<'a> {
    /// Nothing.
    Empty,
    /// The same for every attempt.
    Json(Bytes),
    /// Made anew for every attempt: a sign-in token lives for a minute.
    Fresh(&'a (dyn Fn() -> Result<Bytes, SnowflakeError> + Send + Sync)),
}

/// A reply with a status that is not retried; one of 200 was read whole.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    /// What the server says; there whenever the status is 200.
    pub(super) answer: Option<Answer>,
    /// The server's clock, seconds since 1970.
    pub(super) date_s: Option<i64>,
}

/// The HTTP side of one connection.
#[derive(Clone, Debug)]
pub(super) struct Http {
    client: reqwest::Client,
    pub(super) endpoint: Endpoint,
    pub(super) retry: RetryRules,
}

impl Http {
    pub(super) fn new(options: &ClientOptions) -> Result<Self, SnowflakeError> {
        let endpoint = options.endpoint.clone();
        let refused = |error: reqwest::Error| SnowflakeError::Unreachable {
            host: options.endpoint.host(),
            step: "set up TLS".to_owned(),
            source: Box::new(error.without_url()),
        };
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(Duration::from_secs(75))
            .user_agent(concat!("Snowferry/", env!("CARGO_PKG_VERSION")));
        if endpoint.is_loopback() {
            builder = builder.no_proxy();
        } else if let Some(proxy) = &options.proxy {
            builder = builder.proxy(reqwest::Proxy::all(proxy.url().clone()).map_err(refused)?);
        }
        if !endpoint.is_override() && !options.account.is_private_link() {
            builder = builder.dns_resolver(Arc::new(Guard::new()));
        }
        let client = builder.build().map_err(refused)?;
        Ok(Self { client, endpoint, retry: options.retry.clone() })
    }

    /// Returns whether an error is one that may pass.
    fn again<T>(error: SnowflakeError) -> Attempt<T> {
        match error {
            error @ SnowflakeError::NotPublic { .. } => Attempt::Done(Err(error)),
            error => Attempt::Again(error),
        }
    }

    /// Sends a request; 5xx, 408, 429, broken connections and unreadable replies are tried again.
    pub(super) async fn send(&self, call: &Call<'_>) -> Result<Reply, SnowflakeError> {
        self.retry.run(|number| self.attempt(call, number)).await
    }

    /// Sends a request once, for what is not worth waiting for.
    pub(super) async fn send_once(&self, call: &Call<'_>) -> Result<Reply, SnowflakeError> {
        match self.attempt(call, 0).await {
            Attempt::Done(result) => result,
            Attempt::Again(error) => Err(error),
        }
    }

    async fn attempt(&self, call: &Call<'_>, number: u32) -> Attempt<Reply> {
        let request = match self.request(call, number) {
            Ok(request) => request,
            Err(error) => return Attempt::Done(Err(error)),
        };
        let earlier_lost = call.begins();
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => {
                // Without a connection nothing was sent.
                if error.is_connect() {
                    call.is_settled(earlier_lost);
                }
                return Self::again(self.unreachable(call.step, error));
            }
        };
        let status = response.status();
        if is_passing(status) {
            return Attempt::Again(status_error(call.step, status));
        }
        let date_s = response.headers().get(DATE).and_then(http_date);
        if status != StatusCode::OK {
            call.is_settled(earlier_lost);
            return Attempt::Done(Ok(Reply { status, answer: None, date_s }));
        }
        let body = match self.body(response, call.step, 0, REPLY_MAX_BYTES).await {
            Ok(body) => body,
            // What is too long once is too long again.
            Err(error @ SnowflakeError::Protocol { .. }) => return Attempt::Done(Err(error)),
            Err(error) => return Attempt::Again(error),
        };
        // As long as nothing readable came, the statement may have run: the call is not settled.
        match inflated(body).and_then(Answer::parse) {
            Ok(answer) => {
                call.is_settled(earlier_lost);
                Attempt::Done(Ok(Reply { status, answer: Some(answer), date_s }))
            }
            Err(unreadable) => self.unreadable(call.step, number, unreadable),
        }
    }

    /// Makes the request of one attempt.
    fn request(
        &self,
        call: &Call<'_>,
        number: u32,
    ) -> Result<reqwest::RequestBuilder, SnowflakeError> {
        let mut url = self.endpoint.url(call.path);
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("requestId", &call.request_id.to_string());
            query.append_pair("request_guid", &Uuid::new_v4().to_string());
            query.extend_pairs(call.query);
            if number > 0 {
                query.append_pair("retryCount", &number.to_string());
            }
        }
        let mut request = self
            .client
            .request(call.method.clone(), url)
            .timeout(call.timeout)
            .header(ACCEPT, call.accept)
            .header(CONTENT_TYPE, "application/json");
        if let Some(token) = call.token {
            request = request.header(AUTHORIZATION, authorization(token)?);
        }
        Ok(match &call.body {
            Body::Empty => request,
            Body::Json(bytes) => request.body(bytes.clone()),
            Body::Fresh(make) => request.body(make()?),
        })
    }

    /// Decides what follows a reply of 200 that says nothing.
    fn unreadable<T>(&self, step: &str, number: u32, unreadable: Unreadable) -> Attempt<T> {
        let step = step.to_owned();
        let error = match unreadable {
            Unreadable::EndsEarly => {
                let (host, source) = (self.endpoint.host(), "the reply ends early".into());
                return Attempt::Again(SnowflakeError::Unreachable { host, step, source });
            }
            Unreadable::Page => SnowflakeError::Page { host: self.endpoint.host(), step },
            Unreadable::Other(reason) => SnowflakeError::Protocol { step, reason },
        };
        if number + 1 < UNREADABLE_ATTEMPTS {
            return Attempt::Again(error);
        }
        Attempt::Done(Err(error))
    }

    /// Posts a form to a server that is not the account, with its own headers.
    pub(super) async fn post_form(
        &self,
        step: &'static str,
        url: &Url,
        headers: HeaderMap,
        form: Secret,
    ) -> Result<(StatusCode, Bytes), SnowflakeError> {
        let once = |_| async {
            let request = self.client.post(url.clone()).headers(headers.clone());
            let request = request
                .timeout(FORM_TIMEOUT)
                .header(ACCEPT, "application/json")
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form.expose().to_owned());
            let response = match request.send().await {
                Ok(response) => response,
                Err(error) => return Self::again(self.unreachable(step, error)),
            };
            let status = response.status();
            if is_passing(status) {
                return Attempt::Again(status_error(step, status));
            }
            match self.body(response, step, 0, FORM_MAX_BYTES).await {
                Ok(body) => Attempt::Done(Ok((status, body))),
                Err(error) => Attempt::Again(error),
            }
        };
        self.retry.run(once).await
    }

    /// Fetches a presigned link once: with the given headers and never an Authorization. A body
    /// that is much longer than announced is given up: it is something else.
    pub(super) async fn fetch(
        &self,
        url: Url,
        headers: HeaderMap,
        expected_bytes: usize,
        timeout: Duration,
    ) -> Result<(StatusCode, Bytes), SnowflakeError> {
        const STEP: &str = "fetch a result chunk";
        let request = self.client.get(url).headers(headers).timeout(timeout);
        let response = request.send().await.map_err(|error| self.unreachable(STEP, error))?;
        let status = response.status();
        if !status.is_success() {
            return Ok((status, Bytes::new()));
        }
        let limit = gzip::limit(u64::try_from(expected_bytes).unwrap_or(u64::MAX), 0);
        Ok((status, self.body(response, STEP, expected_bytes, limit).await?))
    }

    async fn body(
        &self,
        mut response: reqwest::Response,
        step: &str,
        expected_bytes: usize,
        limit: usize,
    ) -> Result<Bytes, SnowflakeError> {
        let limit = limit.min(REPLY_MAX_BYTES);
        let announced = response.content_length().and_then(|length| usize::try_from(length).ok());
        let capacity = announced.unwrap_or(expected_bytes).min(limit).min(REPLY_MAX_BYTES / 8);
        let mut body = Vec::with_capacity(capacity);
        while let Some(piece) =
            response.chunk().await.map_err(|error| self.unreachable(step, error))?
        {
            if body.len() + piece.len() > limit {
                return Err(SnowflakeError::Protocol {
                    step: step.to_owned(),
                    reason: format!("the reply is longer than {limit} bytes"),
                });
            }
            body.extend_from_slice(&piece);
        }
        Ok(body.into())
    }

    /// Puts a body to cloud storage, once, with headers that carry their own permission.
    pub(super) async fn put(
        &self,
        step: &str,
        url: Url,
        headers: HeaderMap,
        body: reqwest::Body,
        timeout: Duration,
    ) -> Result<StatusCode, SnowflakeError> {
        let request = self.client.put(url).headers(headers).timeout(timeout).body(body);
        let response = request.send().await.map_err(|error| self.unreachable(step, error))?;
        Ok(response.status())
    }

    fn unreachable(&self, step: &str, error: reqwest::Error) -> SnowflakeError {
        if let Some(found) = not_public(&error) {
            let (host, address) = (found.host.clone(), found.address.to_string());
            return SnowflakeError::NotPublic { host, address };
        }
        // A link is a secret: its query is the permission to read.
        let host = error.url().and_then(|url| url.host_str().map(str::to_owned));
        SnowflakeError::Unreachable {
            host: host.unwrap_or_else(|| self.endpoint.host()),
            step: step.to_owned(),
            source: Box::new(error.without_url()),
        }
    }
}

/// Returns whether a status may be another one a little later.
pub(super) fn is_passing(status: StatusCode) -> bool {
    status.is_server_error()
        || status == StatusCode::REQUEST_TIMEOUT
        || status == StatusCode::TOO_MANY_REQUESTS
}

pub(super) fn status_error(step: &str, status: StatusCode) -> SnowflakeError {
    SnowflakeError::Status { step: step.to_owned(), status: status.as_u16() }
}

fn authorization(token: &Secret) -> Result<HeaderValue, SnowflakeError> {
    let value = format!("Snowflake Token=\"{}\"", token.expose());
    let mut value = HeaderValue::from_str(&value).map_err(|_| SnowflakeError::Protocol {
        step: "use the session token".to_owned(),
        reason: "it holds characters that no header may".to_owned(),
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn inflated(body: Bytes) -> Result<Bytes, Unreadable> {
    if !gzip::is_gzip(&body) {
        return Ok(body);
    }
    let limit = gzip::limit(0, body.len());
    gzip::inflate(&body, body.len().saturating_mul(8), limit)
        .map(Bytes::from)
        .map_err(|reason| Unreadable::Other(reason.to_owned()))
}

/// Reads `Tue, 24 Nov 2026 08:23:43 GMT` as seconds since 1970.
fn http_date(value: &HeaderValue) -> Option<i64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let text = value.to_str().ok()?;
    let mut words = text.split_whitespace().skip(1);
    let day: i64 = words.next()?.parse().ok()?;
    let month_name = words.next()?;
    let month = i64::try_from(MONTHS.iter().position(|name| *name == month_name)?).ok()? + 1;
    let year: i64 = words.next()?.parse().ok()?;
    let mut clock = words.next()?.splitn(3, ':').map(str::parse::<i64>);
    let (hour, minute, second) = (clock.next()?.ok()?, clock.next()?.ok()?, clock.next()?.ok()?);
    // Days since 1970 by eras of 400 years that begin in March.
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100
        + day_of_year
        - 719_468;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_date_is_read_as_seconds_since_1970() {
        let read = |text| http_date(&HeaderValue::from_static(text));
        assert_eq!(read("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(read("Tue, 29 Feb 2000 12:34:56 GMT"), Some(951_827_696));
        assert_eq!(read("yesterday"), None);
    }
}
