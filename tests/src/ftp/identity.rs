//! Certificates for servers and directors, signed by an authority of the test's own (by `openssl`).

use std::io;
use std::path::{Path, PathBuf};

use tokio::process::Command;

/// The name in every certificate, beside the addresses.
pub const NAME: &str = "ftp.example.test";

/// An authority and a certificate that it signed.
#[derive(Debug)]
pub struct Identity {
    /// The authority's certificate, PEM: what a client trusts.
    pub authority: PathBuf,
    /// The server's certificate, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
    /// Key and certificate in one file, as FTP servers want them.
    pub both: PathBuf,
}

impl Identity {
    /// Makes one in `folder`, for [`NAME`], `localhost`, 127.0.0.1 and ::1.
    ///
    /// # Errors
    /// When `openssl` is not there, or fails.
    pub async fn make(folder: &Path) -> io::Result<Self> {
        let at = |name: &str| folder.join(name);
        let extensions = format!(
            "subjectAltName=DNS:{NAME},DNS:localhost,IP:127.0.0.1,IP:::1\n\
             basicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n"
        );
        std::fs::write(at("extensions"), extensions)?;
        openssl(
            folder,
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 \
             -subj /CN=tests -keyout authority.key -out authority.pem",
        )
        .await?;
        openssl(
            folder,
            &format!(
                "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={NAME} \
                 -keyout server.key -out server.csr"
            ),
        )
        .await?;
        openssl(
            folder,
            "x509 -req -in server.csr -CA authority.pem -CAkey authority.key -set_serial 2 \
             -days 30 -extfile extensions -out server.pem",
        )
        .await?;
        let both = [at("server.key"), at("server.pem")].map(std::fs::read_to_string);
        let [key, certificate] = both;
        std::fs::write(at("both.pem"), key? + &certificate?)?;
        Ok(Self {
            authority: at("authority.pem"),
            certificate: at("server.pem"),
            key: at("server.key"),
            both: at("both.pem"),
        })
    }
}

async fn openssl(folder: &Path, line: &str) -> io::Result<()> {
    let output = Command::new("openssl")
        .args(line.split_whitespace())
        .current_dir(folder)
        .output()
        .await?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("openssl {line}: {said}")))
}
