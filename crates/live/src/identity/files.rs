//! Certificates and private keys on disk.
//!
//! Under a state directory: `pki/{nodes,key-managers,applications}/ca.pem`, `…/NAME.pem`, `…/NAME.key.pem` and
//! the authority's own `…/ca.key.pem`. Folders are made with mode 0700, private keys with 0600; a private key
//! that others may read is refused rather than used.

use super::Role;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Files of certificates and keys are at most this long (an ML-DSA-87 chain is far below it).
const FILE_LIMIT: u64 = 1 << 20;

/// What can go wrong with files of identities.
#[derive(Debug, thiserror::Error)]
pub enum IdentityFileError {
    /// The operating system refused.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A private key that others may read.
    #[error("{} may be read by others (mode {mode:03o}): `chmod 600` it, and if in doubt replace the key", path.display())]
    Exposed {
        /// The key's file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Not what the file's name promises.
    #[error("{} holds {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A name that cannot be a file's.
    #[error(
        "`{0}` cannot name a file of an identity: use letters, digits, `-`, `_` and `.`, and do not call it `ca`"
    )]
    Name(String),
}

/// A certificate chain and its private key, which is zeroized when dropped.
pub struct Identity {
    /// The certificate first, then those between it and its authority.
    pub chain: Vec<CertificateDer<'static>>,
    pub(super) key: Zeroizing<PrivateKeyDer<'static>>,
}

impl Identity {
    pub(super) fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Self {
        Self { chain, key: Zeroizing::new(key) }
    }
}

/// Where a state directory keeps its identities.
#[derive(Clone, Debug)]
pub struct Layout {
    pki: PathBuf,
}

impl Layout {
    /// The layout under this state directory; nothing is made yet.
    pub fn under(state: &Path) -> Self {
        Self { pki: state.join("pki") }
    }

    /// The authority's certificate.
    pub fn authority(&self, role: Role) -> PathBuf {
        self.pki.join(role.folder()).join("ca.pem")
    }

    /// The authority's private key.
    pub fn authority_key(&self, role: Role) -> PathBuf {
        self.pki.join(role.folder()).join("ca.key.pem")
    }

    /// The certificate of this name.
    ///
    /// # Errors
    /// [`IdentityFileError::Name`].
    pub fn certificate(&self, role: Role, name: &str) -> Result<PathBuf, IdentityFileError> {
        self.file(role, name, "pem")
    }

    /// The private key of this name.
    ///
    /// # Errors
    /// [`IdentityFileError::Name`].
    pub fn key(&self, role: Role, name: &str) -> Result<PathBuf, IdentityFileError> {
        self.file(role, name, "key.pem")
    }

    /// Reads certificate and private key of this name.
    ///
    /// # Errors
    /// Any but [`IdentityFileError::Name`] names the file.
    pub fn load(&self, role: Role, name: &str) -> Result<Identity, IdentityFileError> {
        load_identity(&self.certificate(role, name)?, &self.key(role, name)?)
    }

    /// Reads the certificates that this role's names are signed by.
    ///
    /// # Errors
    /// As [`load_roots`].
    pub fn roots(&self, role: Role) -> Result<RootCertStore, IdentityFileError> {
        load_roots(&self.authority(role))
    }

    fn file(&self, role: Role, name: &str, extension: &str) -> Result<PathBuf, IdentityFileError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let reserved = ["ca", "ca.key"].contains(&name) || name.ends_with(".key");
        if name.is_empty()
            || name.len() > 128
            || name.starts_with('.')
            || reserved
            || !name.bytes().all(plain)
        {
            return Err(IdentityFileError::Name(name.to_owned()));
        }
        Ok(self.pki.join(role.folder()).join(format!("{name}.{extension}")))
    }
}

/// Reads a certificate chain and its private key, both PEM.
///
/// # Errors
/// The file cannot be read, holds no certificate or no key, or the key's file may be read by others.
pub fn load_identity(certificate: &Path, key: &Path) -> Result<Identity, IdentityFileError> {
    let chain = certificates(certificate)?;
    let text = read_private(key)?;
    let key = PrivateKeyDer::from_pem_slice(&text).map_err(|error| IdentityFileError::Malformed {
        path: key.to_owned(),
        problem: format!("no private key in PEM that can be used ({error})"),
    })?;
    Ok(Identity::new(chain, key))
}

/// Reads the certificates of authorities.
///
/// # Errors
/// The file cannot be read, or holds no certificate that can sign others.
pub fn load_roots(path: &Path) -> Result<RootCertStore, IdentityFileError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| IdentityFileError::Malformed {
            path: path.to_owned(),
            problem: format!("a certificate that cannot be an authority's ({error})"),
        })?;
    }
    Ok(roots)
}

/// Reads a file that only its owner may read.
///
/// # Errors
/// [`IdentityFileError::Exposed`] if group or others may read or write it.
pub fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, IdentityFileError> {
    let failed = |source| IdentityFileError::Io { doing: "read", path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(IdentityFileError::Exposed { path: path.to_owned(), mode });
    }
    read_all(file, path)
}

/// Writes a file that only its owner may read (mode 0600), durably and in one step: after a crash the old
/// content stands there or the new one. Folders above it are made with mode 0700.
///
/// # Errors
/// [`IdentityFileError::Io`].
pub fn write_private(path: &Path, content: &[u8]) -> Result<(), IdentityFileError> {
    write(path, content, 0o600)
}

/// Writes a file that others may read (mode 0644); otherwise like [`write_private`].
///
/// # Errors
/// [`IdentityFileError::Io`].
pub fn write_public(path: &Path, content: &[u8]) -> Result<(), IdentityFileError> {
    write(path, content, 0o644)
}

fn write(path: &Path, content: &[u8], mode: u32) -> Result<(), IdentityFileError> {
    let failed = |source| IdentityFileError::Io { doing: "write", path: path.to_owned(), source };
    // A bare name has an empty parent, which is this folder and cannot be opened.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let fresh = path.with_file_name(name);
    // What an earlier crash left must not lend its permissions to the new file.
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&fresh).map_err(failed)?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&fresh, path).map_err(failed)?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, IdentityFileError> {
    let failed = |source| IdentityFileError::Io { doing: "read", path: path.to_owned(), source };
    let malformed = |problem: String| IdentityFileError::Malformed { path: path.to_owned(), problem };
    let text = read_all(File::open(path).map_err(failed)?, path)?;
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| malformed(format!("a certificate that cannot be read ({error})")))?;
    if chain.is_empty() {
        return Err(malformed("no certificate in PEM".to_owned()));
    }
    Ok(chain)
}

fn read_all(file: File, path: &Path) -> Result<Zeroizing<Vec<u8>>, IdentityFileError> {
    let mut content = Zeroizing::new(Vec::with_capacity(16 << 10));
    file.take(FILE_LIMIT).read_to_end(&mut content).map_err(|source| IdentityFileError::Io {
        doing: "read",
        path: path.to_owned(),
        source,
    })?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_files_are_their_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/secret");
        write_private(&path, b"one").unwrap();
        write_private(&path, b"two").unwrap();
        assert_eq!(read_private(&path).unwrap().as_slice(), b"two");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(&folder.path().join("a")), 0o700);
        assert_eq!(mode(&folder.path().join("a/b")), 0o700);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(read_private(&path), Err(IdentityFileError::Exposed { mode: 0o640, .. })));
    }

    #[test]
    fn names_cannot_leave_their_folder_nor_stand_for_the_authority() {
        let layout = Layout::under(Path::new("/state"));
        for name in ["", "..", "../x", "a/b", "ca", "ca.key", "x.key", ".x", "ü"] {
            assert!(matches!(layout.key(Role::Node, name), Err(IdentityFileError::Name(_))), "{name}");
        }
        let path = layout.key(Role::Application, "bank-a").unwrap();
        assert_eq!(path, Path::new("/state/pki/applications/bank-a.key.pem"));
    }

    #[test]
    fn what_is_no_certificate_is_told_with_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        write_public(&path, b"hello").unwrap();
        let error = load_roots(&path).unwrap_err().to_string();
        assert!(error.contains("ca.pem") && error.contains("no certificate"), "{error}");
    }
}
