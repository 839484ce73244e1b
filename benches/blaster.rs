//! The bar that `benches/dispatch.sh` holds segue against: sends `$batch` bodies that were rendered beforehand, over a
//! fixed number of connections, and does nothing else. It speaks HTTP through the same client as segue, reads answers
//! to their end and counts the operations that succeeded; it maps, records and decides nothing.
//!
//! Usage: `blaster READY_FILE EXTRACT PREFIX BATCH CONCURRENCY SECONDS`: upserts accounts by number, each number with
//! the prefix before it, until the extract or the time is over. Prints rows, seconds, and the milliseconds of processor
//! time for user and system that sending took. When it is throttled, all connections wait as long as told.

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

type Failure = Box<dyn Error + Send + Sync>;

const BOUNDARY: &str = "batch_7d1f2c0a5b3e4c6d8f90a1b2c3d4e5f6";

/// What the ready file says.
#[derive(serde::Deserialize)]
struct Ready {
    url: String,
    authority: String,
    tenant_id: String,
    client_id: String,
    client_secret: String,
}

/// What all connections share.
struct Load {
    client: reqwest::Client,
    url: String,
    bearer: String,
    bodies: Vec<(Bytes, u64)>,
    next: AtomicUsize,
    rows: AtomicU64,
    ends: Instant,
    free_at: watch::Sender<Instant>,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [ready, extract, prefix, batch, concurrency, seconds] = arguments.as_slice() else {
        return Err("usage: blaster READY_FILE EXTRACT PREFIX BATCH CONCURRENCY SECONDS".into());
    };
    let ready: Ready = serde_json::from_str(&std::fs::read_to_string(ready)?)?;
    let bodies = bodies(&std::fs::read_to_string(extract)?, prefix, batch.parse()?)?;
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        return Err("there is a provider already".into());
    }
    let client = reqwest::Client::builder().http1_only().no_proxy().build()?;
    let bearer = format!("Bearer {}", token(&client, &ready).await?);
    let began = Instant::now();
    let load = Arc::new(Load {
        client,
        url: format!("{}/api/data/v9.2/$batch", ready.url),
        bearer,
        bodies,
        next: AtomicUsize::new(0),
        rows: AtomicU64::new(0),
        ends: began + Duration::from_secs_f64(seconds.parse()?),
        free_at: watch::Sender::new(began),
    });
    let before = processor_time();
    let mut connections = JoinSet::new();
    for _ in 0..concurrency.parse::<usize>()? {
        connections.spawn(Arc::clone(&load).blast());
    }
    while let Some(ended) = connections.join_next().await {
        ended??;
    }
    let took = began.elapsed();
    let after = processor_time();
    let rows = load.rows.load(Ordering::Relaxed);
    writeln!(
        std::io::stdout(),
        "{rows} {:.3} {} {}",
        took.as_secs_f64(),
        after.0 - before.0,
        after.1 - before.1
    )?;
    Ok(())
}

impl Load {
    /// Sends one batch after another until there are none, or the time is over.
    async fn blast(self: Arc<Self>) -> Result<(), Failure> {
        while Instant::now() < self.ends {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let Some((body, rows)) = self.bodies.get(number) else {
                break;
            };
            while !self.send(body, *rows).await? {}
        }
        Ok(())
    }

    /// Sends one batch; not if the service throttles.
    async fn send(&self, body: &Bytes, rows: u64) -> Result<bool, Failure> {
        let free_at = *self.free_at.borrow();
        tokio::time::sleep_until(free_at).await;
        let request = self
            .client
            .post(&self.url)
            .header("authorization", &self.bearer)
            .header(
                "content-type",
                format!("multipart/mixed; boundary=\"{BOUNDARY}\""),
            )
            .header("prefer", "odata.continue-on-error")
            .header("accept", "application/json")
            .header("odata-maxversion", "4.0")
            .header("odata-version", "4.0")
            .body(body.clone());
        let answer = request.send().await?;
        if answer.status().as_u16() == 429 {
            let wait = answer.headers().get("retry-after");
            let wait: u64 = wait.ok_or("no time to wait")?.to_str()?.parse()?;
            let until = Instant::now() + Duration::from_secs(wait);
            self.free_at.send_if_modified(|free_at| {
                let later = until > *free_at;
                *free_at = until.max(*free_at);
                later
            });
            answer.bytes().await?;
            return Ok(false);
        }
        let answer = answer.error_for_status()?.bytes().await?;
        let done = lines_that_begin(&answer, b"HTTP/1.1 20");
        if done != rows {
            return Err(format!("{done} of {rows} rows were written").into());
        }
        self.rows.fetch_add(rows, Ordering::Relaxed);
        Ok(true)
    }
}

fn lines_that_begin(text: &[u8], word: &[u8]) -> u64 {
    let lines = text.split(|byte| *byte == b'\n');
    lines.filter(|line| line.starts_with(word)).count() as u64
}

/// The bodies, byte for byte as segue writes them: an upsert of each row of an extract whose cells need no quotes.
fn bodies(extract: &str, prefix: &str, batch: usize) -> Result<Vec<(Bytes, u64)>, Failure> {
    let rows: Vec<&str> = extract.lines().skip(1).collect();
    let mut bodies = Vec::new();
    for rows in rows.chunks(batch) {
        let mut body = String::new();
        for (row, number) in rows.iter().zip(1..) {
            operation(&mut body, number, prefix, row)?;
        }
        write!(body, "--{BOUNDARY}--\r\n")?;
        bodies.push((Bytes::from(body), rows.len() as u64));
    }
    Ok(bodies)
}

fn operation(body: &mut String, number: usize, prefix: &str, row: &str) -> Result<(), Failure> {
    let cells: Vec<&str> = row.split(',').collect();
    let [key, name, phone, street, city, employees, revenue, founded] = cells.as_slice() else {
        return Err(format!("not eight cells: {row}").into());
    };
    write!(
        body,
        "--{BOUNDARY}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\
         Content-ID: {number}\r\n\r\n\
         PATCH /api/data/v9.2/accounts(accountnumber='{prefix}{key}')\
         ?$select=accountid,createdon,_createdby_value HTTP/1.1\r\n\
         Content-Type: application/json\r\n\
         Prefer: return=representation,odata.include-annotations=\"Microsoft.PowerApps.CDS.ErrorDetails*\"\r\n\r\n\
         {{\"name\":\"{name}\",\"telephone1\":\"{phone}\",\"address1_line1\":\"{street}\",\
         \"address1_city\":\"{city}\",\"numberofemployees\":{employees},\"revenue\":{revenue},\
         \"description\":\"{founded}\"}}\r\n"
    )?;
    Ok(())
}

async fn token(client: &reqwest::Client, ready: &Ready) -> Result<String, Failure> {
    let url = format!("{}/{}/oauth2/v2.0/token", ready.authority, ready.tenant_id);
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", ready.client_id.as_str()),
        ("client_secret", ready.client_secret.as_str()),
        ("scope", &format!("{}/.default", ready.url)),
    ];
    let answer = client.post(url).form(&form).send().await?.bytes().await?;
    let answer: serde_json::Value = serde_json::from_slice(&answer)?;
    let token = answer.get("access_token").and_then(|token| token.as_str());
    Ok(token.ok_or("no token")?.to_owned())
}

/// Milliseconds of processor time of this process for user and system; none where the system does not tell.
fn processor_time() -> (u64, u64) {
    let told = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name, which may hold anything, in hundredths of a second: user is the 12th, system the 13th.
    let behind = told.rsplit(") ").next().unwrap_or_default();
    let mut ticks = behind.split(' ').skip(11).map(|it| it.parse().unwrap_or(0));
    let mut next = || ticks.next().unwrap_or(0u64) * 10;
    (next(), next())
}
