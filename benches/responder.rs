//! A destination that answers at once, for `benches/survey.sh`: every record of a `$batch` is said to be created,
//! no search finds anything, and nothing is kept. Whatever else is asked, sign-in and metadata, an emulator answers.
//!
//! Usage: `responder READY_FILE`; it writes address and credentials there once it listens, and runs until killed.

use std::error::Error;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use segue_emulator::{CLIENT_ID, CLIENT_SECRET, Emulator, Options, TENANT_ID};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

type Failure = Box<dyn Error + Send + Sync>;

/// Who answers what.
struct Answers {
    /// Our own origin, and the emulator's.
    ours: String,
    emulator: String,
    made: AtomicU64,
}

/// One request: its head, and its body.
struct Asked {
    head: String,
    body: Vec<u8>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let ready = std::env::args()
        .nth(1)
        .ok_or("usage: responder READY_FILE")?;
    let emulator = Emulator::start(Options::default()).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let told = serde_json::json!({
        "url": url, "authority": url, "tenant_id": TENANT_ID, "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
    });
    std::fs::write(format!("{ready}.unfinished"), format!("{told}\n"))?;
    std::fs::rename(format!("{ready}.unfinished"), ready)?;
    let answers = Arc::new(Answers {
        ours: url,
        emulator: emulator.url(),
        made: AtomicU64::new(0),
    });
    let mut served = JoinSet::new();
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        served.spawn(serve(socket, Arc::clone(&answers)));
        while served.try_join_next().is_some() {}
    }
}

/// Answers one connection until it is closed.
async fn serve(mut socket: TcpStream, answers: Arc<Answers>) -> Result<(), Failure> {
    let mut buffer = Vec::new();
    while let Some(asked) = read(&mut socket, &mut buffer).await? {
        // Metadata is asked for in batches too.
        let is_batch = asked
            .head
            .lines()
            .next()
            .unwrap_or_default()
            .contains("/$batch ")
            && !String::from_utf8_lossy(&asked.body).contains("EntityDefinitions");
        if is_batch {
            socket.write_all(answers.batch(&asked).as_bytes()).await?;
        } else {
            socket.write_all(&answers.forward(&asked).await?).await?;
            return Ok(socket.shutdown().await?);
        }
    }
    Ok(())
}

async fn read(socket: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<Option<Asked>, Failure> {
    let mut wanted = None;
    loop {
        if wanted.is_none()
            && let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n")
        {
            let head = String::from_utf8_lossy(buffer.get(..end).unwrap_or_default()).into_owned();
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.trim().parse::<usize>().ok())?
            });
            wanted = Some((head, end + 4, end + 4 + length.unwrap_or(0)));
        }
        if let Some((head, from, to)) = &wanted
            && buffer.len() >= *to
        {
            let body = buffer.get(*from..*to).unwrap_or_default().to_vec();
            let asked = Asked {
                head: head.clone(),
                body,
            };
            buffer.drain(..*to);
            return Ok(Some(asked));
        }
        buffer.reserve(1 << 16);
        if socket.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

impl Answers {
    /// One part for each request in the batch.
    fn batch(&self, asked: &Asked) -> String {
        let body = String::from_utf8_lossy(&asked.body);
        let mut parts = String::with_capacity(asked.body.len());
        for line in body.lines() {
            let (status, content) = match line.split(' ').next() {
                Some("GET") => ("200 OK", "{\"value\":[]}".to_owned()),
                Some("PATCH") if line.contains("?$select=") => {
                    let number = self.made.fetch_add(1, Ordering::Relaxed);
                    let content = format!(
                        "{{\"accountid\":\"00000000-0000-4000-8000-{number:012x}\",\
                         \"createdon\":\"2026-01-01T00:00:00Z\"}}"
                    );
                    ("201 Created", content)
                }
                Some("PATCH" | "POST" | "DELETE") => ("204 No Content", String::new()),
                _ => continue,
            };
            write!(
                parts,
                "--answer\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n\
                 HTTP/1.1 {status}\r\nContent-Type: application/json; odata.metadata=minimal\r\n\
                 OData-Version: 4.0\r\n\r\n{content}\r\n"
            )
            .ok();
        }
        parts.push_str("--answer--\r\n");
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: multipart/mixed; boundary=answer\r\nOData-Version: 4.0\r\n\
             Content-Length: {}\r\n\r\n{parts}",
            parts.len()
        )
    }

    /// Asks the emulator as if it had been asked itself.
    async fn forward(&self, asked: &Asked) -> Result<Vec<u8>, Failure> {
        let body = String::from_utf8_lossy(&asked.body);
        let body = body.replace(&self.ours, &self.emulator);
        let body = body.replace(&encoded(&self.ours), &encoded(&self.emulator));
        let host = |origin: &str| origin.trim_start_matches("http://").to_owned();
        let mut head = String::new();
        for line in asked.head.lines() {
            let name = line.split(':').next().unwrap_or_default();
            let is_ours = ["connection", "content-length", "accept-encoding"]
                .iter()
                .any(|ours| name.eq_ignore_ascii_case(ours));
            if !is_ours {
                head.push_str(&line.replace(&host(&self.ours), &host(&self.emulator)));
                head.push_str("\r\n");
            }
        }
        write!(
            head,
            "Connection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )?;
        let address: SocketAddr = host(&self.emulator).parse()?;
        let mut socket = TcpStream::connect(address).await?;
        socket.write_all(head.as_bytes()).await?;
        socket.write_all(body.as_bytes()).await?;
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).await?;
        Ok(answer)
    }
}

/// As it stands in a form.
fn encoded(origin: &str) -> String {
    origin.replace(':', "%3A").replace('/', "%2F")
}
