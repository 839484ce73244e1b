//! A certificate that is made at start, so that clients which refuse plain http can be tried.
//!
//! An authority of its own signs the server's certificate, because some clients trust authorities
//! only. Its key is forgotten at once and the server's never leaves memory; the certificate of the
//! authority is what clients are given to trust.

use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _, Zoned};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

/// The names under which an emulator is reached.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// Some systems take no certificate that lives longer than 398 days.
const DAYS: i64 = 390;

type Broken = Box<dyn std::error::Error + Send + Sync>;

/// What a server shows, and what its clients are to trust.
pub(crate) struct Identity {
    pub(crate) acceptor: TlsAcceptor,
    /// PEM.
    pub(crate) authority: String,
}

/// Makes an identity that is good from yesterday on.
pub(crate) fn identity() -> Result<Identity, Broken> {
    let mut params = valid(CertificateParams::new(Vec::new())?)?;
    let name = "Sandbox of segue";
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;

    let names = NAMES.map(str::to_owned).to_vec();
    let mut params = valid(CertificateParams::new(names)?)?;
    params
        .distinguished_name
        .push(DnType::CommonName, "localhost");
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &authority)?;

    let chain = vec![certificate.der().clone(), authority.der().clone()];
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key.into())?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Identity {
        acceptor: TlsAcceptor::from(Arc::new(config)),
        authority: authority.pem(),
    })
}

fn valid(mut params: CertificateParams) -> Result<CertificateParams, Broken> {
    let yesterday = Timestamp::now().to_zoned(TimeZone::UTC).yesterday()?;
    let end = yesterday.checked_add(DAYS.days())?;
    let parts = |day: &Zoned| {
        let (month, day_of_month) = (day.month().unsigned_abs(), day.day().unsigned_abs());
        (i32::from(day.year()), month, day_of_month)
    };
    let (year, month, day) = parts(&yesterday);
    params.not_before = rcgen::date_time_ymd(year, month, day);
    let (year, month, day) = parts(&end);
    params.not_after = rcgen::date_time_ymd(year, month, day);
    Ok(params)
}
