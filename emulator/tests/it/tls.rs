//! Over TLS, with a certificate that is made at start.

use std::sync::Arc;

use segue_emulator::{
    CLIENT_ID, CLIENT_SECRET, Emulator, EmulatorError, Fault, Options, TENANT_ID,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

struct Encrypted {
    emulator: Emulator,
    connector: TlsConnector,
    _folder: tempfile::TempDir,
}

impl Encrypted {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let certificate = folder.path().join("sandbox.pem");
        let emulator = Emulator::start(Options {
            certificate: Some(certificate.clone()),
            ..Options::default()
        });
        let emulator = emulator.await.unwrap();
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(&certificate).unwrap())
            .unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self {
            emulator,
            connector: TlsConnector::from(Arc::new(config)),
            _folder: folder,
        }
    }

    async fn exchange(&self, name: &'static str, request: &str) -> String {
        let stream = TcpStream::connect(self.emulator.address()).await.unwrap();
        let name = ServerName::try_from(name).unwrap();
        let mut stream = self.connector.connect(name, stream).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer).await);
        String::from_utf8(answer).unwrap()
    }

    async fn token(&self) -> String {
        let origin = self.emulator.url().replace(':', "%3A").replace('/', "%2F");
        let form = format!(
            "client_id={CLIENT_ID}&scope={origin}%2F.default&client_secret={CLIENT_SECRET}\
             &grant_type=client_credentials"
        );
        let request = format!(
            "POST /{TENANT_ID}/oauth2/v2.0/token HTTP/1.1\r\nHost: localhost:{}\r\n\
             Connection: close\r\nContent-Length: {}\r\n\r\n{form}",
            self.emulator.address().port(),
            form.len()
        );
        let answer = self.exchange("localhost", &request).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK"), "{answer}");
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        body["access_token"].as_str().unwrap().to_owned()
    }

    async fn create(&self, token: &str) -> String {
        let request = format!(
            "POST /api/data/v9.2/accounts HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\n\
             Authorization: Bearer {token}\r\nContent-Type: application/json\r\n\
             Content-Length: 2\r\n\r\n{{}}",
            self.emulator.address().port()
        );
        self.exchange("localhost", &request).await
    }
}

#[tokio::test]
async fn a_client_that_trusts_the_file_is_served_over_https() {
    let encrypted = Encrypted::start().await;
    let url = encrypted.emulator.url();
    assert!(url.starts_with("https://localhost:"), "{url}");
    assert_eq!(encrypted.emulator.authority(), url);
    let token = encrypted.token().await;
    let answer = encrypted.create(&token).await;
    let address = format!("odata-entityid: {url}/api/data/v9.2/accounts(");
    assert!(answer.contains(&address), "{answer}");
    let refused = "GET /api/data/v9.2/WhoAmI HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answer = encrypted.exchange("127.0.0.1", refused).await;
    assert!(answer.contains("authorization_uri=https://x/"), "{answer}");
}

#[tokio::test]
async fn an_encrypted_connection_breaks_as_well() {
    let encrypted = Encrypted::start().await;
    let token = encrypted.token().await;
    encrypted.emulator.next_requests([Fault::CloseAfterCommit]);
    assert_eq!(encrypted.create(&token).await, "");
    assert_eq!(encrypted.emulator.rows("account").len(), 1);
}

#[tokio::test]
async fn a_client_that_does_not_greet_keeps_no_other_waiting() {
    let encrypted = Encrypted::start().await;
    let _silent = TcpStream::connect(encrypted.emulator.address())
        .await
        .unwrap();
    encrypted.token().await;
}

#[tokio::test]
async fn plain_http_is_not_answered() {
    let encrypted = Encrypted::start().await;
    let mut stream = TcpStream::connect(encrypted.emulator.address())
        .await
        .unwrap();
    let request = "GET /counts HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer).await);
    assert!(!answer.starts_with(b"HTTP/"));
}

#[tokio::test]
async fn a_certificate_that_cannot_be_written_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let started = Emulator::start(Options {
        certificate: Some(folder.path().to_owned()),
        ..Options::default()
    });
    let error = started.await.err().unwrap();
    assert!(matches!(error, EmulatorError::Certificate { .. }));
}
