//! Writes contacts into a sandbox as fast as it takes them: the client of `benches/sandbox.sh`.
//!
//! `load READY_FILE ROWS BATCH CONNECTIONS` upserts so many contacts by alternate key through
//! `$batch`, with so many operations in each, over so many connections at a time, and looks at
//! every answer. It knows as much HTTP as the sandbox speaks, and does no more than it must: it
//! runs on the processors that it measures.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Error, Read as _, Write as _};
use std::net::TcpStream;
use std::process::ExitCode;
use std::thread;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// What the ready file says.
#[derive(serde::Deserialize)]
struct Ready {
    url: String,
    tenant_id: String,
    client_id: String,
    client_secret: String,
}

/// Which rows a connection writes.
struct Share {
    first: usize,
    end: usize,
    batch: usize,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [ready, rows, batch, connections] = arguments.as_slice() else {
        return fail("usage: load READY_FILE ROWS BATCH CONNECTIONS");
    };
    match load(ready, rows, batch, connections) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

fn fail(message: &str) -> ExitCode {
    // Nobody is left to tell where stderr is closed.
    drop(writeln!(std::io::stderr(), "{message}"));
    ExitCode::FAILURE
}

fn load(ready: &str, rows: &str, batch: &str, connections: &str) -> Outcome<()> {
    let ready: Ready = serde_json::from_str(&std::fs::read_to_string(ready)?)?;
    let (rows, batch): (usize, usize) = (rows.parse()?, batch.parse()?);
    let connections: usize = connections.parse()?;
    let host = ready.url.strip_prefix("http://").ok_or("only plain http")?;
    let token = Connection::open(host)?.token(&ready)?;
    let share = rows.div_ceil(connections);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..connections)
            .map(|number| {
                let share = Share {
                    first: number * share,
                    end: rows.min((number + 1) * share),
                    batch,
                };
                let token = &token;
                scope.spawn(move || Connection::open(host)?.write(token, &share))
            })
            .collect();
        for worker in workers {
            worker.join().map_err(|_| "a connection failed")??;
        }
        Ok(())
    })
}

struct Connection<'a> {
    host: &'a str,
    stream: BufReader<TcpStream>,
}

impl<'a> Connection<'a> {
    fn open(host: &'a str) -> Outcome<Self> {
        let stream = TcpStream::connect(host)?;
        stream.set_nodelay(true)?;
        Ok(Self {
            host,
            stream: BufReader::with_capacity(1 << 16, stream),
        })
    }

    fn token(&mut self, ready: &Ready) -> Outcome<String> {
        let form = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}&scope=http%3A%2F%2F{}%2F.default",
            ready.client_id,
            ready.client_secret,
            ready.url.replace("http://", "").replace(':', "%3A")
        );
        let target = format!("/{}/oauth2/v2.0/token", ready.tenant_id);
        let kind = "Content-Type: application/x-www-form-urlencoded\r\n";
        let answer = self.post(&target, kind, &form)?;
        let answer: serde_json::Value = serde_json::from_slice(&answer)?;
        let token = answer.get("access_token").and_then(|token| token.as_str());
        Ok(token.ok_or("no token")?.to_owned())
    }

    fn write(&mut self, token: &str, share: &Share) -> Outcome<()> {
        let headers = format!(
            "Authorization: Bearer {token}\r\nContent-Type: multipart/mixed; boundary=b\r\n"
        );
        let mut body = String::new();
        let mut row = share.first;
        while row < share.end {
            let end = share.end.min(row + share.batch);
            body.clear();
            (row..end).try_for_each(|row| upsert(&mut body, row))?;
            body.push_str("--b--\r\n");
            let answer = self.post("/api/data/v9.2/$batch", &headers, &body)?;
            let written = String::from_utf8_lossy(&answer).matches(" 204 ").count();
            if written != end - row {
                return Err(format!("{written} of {} rows were written", end - row).into());
            }
            row = end;
        }
        Ok(())
    }

    fn post(&mut self, target: &str, headers: &str, body: &str) -> Outcome<Vec<u8>> {
        let head = format!(
            "POST {target} HTTP/1.1\r\nHost: {}\r\n{headers}Content-Length: {}\r\n\r\n",
            self.host,
            body.len()
        );
        let stream = self.stream.get_mut();
        stream.write_all(head.as_bytes())?;
        stream.write_all(body.as_bytes())?;
        let mut line = String::new();
        let mut length = 0;
        self.stream.read_line(&mut line)?;
        if !line.starts_with("HTTP/1.1 200 ") {
            return Err(format!("answered {line}").into());
        }
        loop {
            line.clear();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(Error::from(std::io::ErrorKind::UnexpectedEof).into());
            }
            if line == "\r\n" {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
        }
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer)?;
        Ok(answer)
    }
}

/// One operation: a contact as a warehouse would send it.
fn upsert(body: &mut String, row: usize) -> std::fmt::Result {
    write!(
        body,
        "--b\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n\
         PATCH /api/data/v9.2/contacts(externaluseridentifier='C-{row:08}') HTTP/1.1\r\n\
         Content-Type: application/json\r\n\r\n\
         {{\"firstname\":\"First {row}\",\"lastname\":\"Last {row}\",\
         \"emailaddress1\":\"person{row}@example.com\",\"telephone1\":\"555-{:04}\",\
         \"address1_line1\":\"{} Main Street\",\"address1_city\":\"Town {}\",\
         \"birthdate\":\"{}-{:02}-{:02}\",\"new_homeowner\":{},\"numberofchildren\":{}}}\r\n",
        row % 10_000,
        row % 900,
        row % 1500,
        1950 + row % 50,
        1 + row % 12,
        1 + row % 28,
        row.is_multiple_of(2),
        row % 5
    )
}
