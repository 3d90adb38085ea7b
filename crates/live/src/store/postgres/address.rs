//! Where a database is, and how it is reached.
//!
//! `postgres://USER@HOST[:PORT][,HOST…]/DATABASE[?OPTION=VALUE&…]`, as libpq reads it; a Unix socket's folder is named
//! by `?host=/run/postgresql`. No password stands in it: it comes from the variable `PGPASSWORD`, or from the file that
//! `PGPASSFILE` names, or from `~/.pgpass`, as PostgreSQL's own clients have them.
//!
//! A server on another machine is reached over TLS alone, its certificate checked against the authorities in the file
//! that `?sslrootcert=` or the variable `PGSSLROOTCERT` names, or else against those that the system trusts.

use super::super::StoreError;
use crate::identity::{files, tls};
use rustls::ClientConfig;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use zeroize::Zeroizing;

/// How long an attempt to reach a server may take.
const CONNECT: Duration = Duration::from_secs(5);
/// Option of an address that is ours to read.
const ROOTS: &str = "sslrootcert";

/// A database, and how to come into it.
#[derive(Clone)]
pub struct Address {
    pub(super) config: Config,
    pub(super) tls: Option<ClientConfig>,
    /// What people call it; no secret.
    name: String,
}

impl Address {
    /// Reads an address, and what belongs to it from this process' environment.
    ///
    /// # Errors
    /// [`StoreError::Address`].
    pub fn new(text: &str) -> Result<Self, StoreError> {
        Self::with_environment(text, |name| std::env::var_os(name))
    }

    /// The same with another environment.
    ///
    /// # Errors
    /// [`StoreError::Address`].
    pub fn with_environment(
        text: &str,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, StoreError> {
        // What was typed is not told: a password may be in it.
        if !["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme)) {
            return Err(refused("it does not begin with postgres://"));
        }
        let (text, roots) = without_roots(text);
        let mut config = Config::from_str(&text).map_err(|error| refused(&told(&error)))?;
        if config.get_password().is_some() {
            return Err(refused(
                "a password stands in it, where others can see it: put it into the file that PGPASSFILE names, or \
                 into the variable PGPASSWORD",
            ));
        }
        let user = config.get_user().ok_or_else(|| refused("it names no user"))?.to_owned();
        if config.get_hosts().is_empty() {
            return Err(refused("it names no host"));
        }
        let database = config.get_dbname().unwrap_or(&user).to_owned();
        let numeric = config.get_hostaddrs().iter().all(std::net::IpAddr::is_loopback);
        let local = numeric && config.get_hosts().iter().all(is_local);
        let mode = config.get_ssl_mode();
        if !local && mode == SslMode::Disable {
            return Err(refused("sslmode=disable is for servers on this machine only"));
        }
        let secured = !local || mode == SslMode::Require;
        config.ssl_mode(if secured { SslMode::Require } else { SslMode::Disable });
        let tls = match secured {
            false => None,
            true => {
                let file = roots.or_else(|| variable("PGSSLROOTCERT").map(PathBuf::from));
                let roots = file.map(|file| files::load_roots(&file)).transpose();
                let roots = roots.map_err(|error| refused(&error.to_string()))?;
                Some(tls::database_client(roots).map_err(|error| refused(&error.to_string()))?)
            }
        };
        if let Some(password) = password(&config, &database, &user, &variable)? {
            config.password(password.as_slice());
        }
        config.connect_timeout(CONNECT);
        let hosts: Vec<String> = config.get_hosts().iter().map(host_name).collect();
        let name = format!("{}/{database}", hosts.join(","));
        Ok(Self { config, tls, name })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "postgres://{}", self.name)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An error of the client with what caused it.
pub(super) fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}

fn refused(why: &str) -> StoreError {
    StoreError::Address(why.to_owned())
}

/// The address without the option that the client does not know, and what it said.
fn without_roots(text: &str) -> (String, Option<PathBuf>) {
    let Some((head, options)) = text.split_once('?') else { return (text.to_owned(), None) };
    let mut roots = None;
    let mut kept = Vec::new();
    for option in options.split('&') {
        match option.split_once('=') {
            Some((ROOTS, file)) => roots = Some(PathBuf::from(file)),
            _ => kept.push(option),
        }
    }
    (format!("{head}?{}", kept.join("&")), roots)
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name == "localhost"
                || name.trim_matches(['[', ']']).parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
        }
        Host::Unix(_) => true,
    }
}

fn host_name(host: &Host) -> String {
    match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(folder) => folder.display().to_string(),
    }
}

fn password(
    config: &Config,
    database: &str,
    user: &str,
    variable: &impl Fn(&str) -> Option<OsString>,
) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
    if let Some(password) = variable("PGPASSWORD") {
        return Ok(Some(Zeroizing::new(password.into_encoded_bytes())));
    }
    let named = variable("PGPASSFILE").map(PathBuf::from);
    let usual = || variable("HOME").map(|home| Path::new(&home).join(".pgpass")).filter(|file| file.exists());
    let Some(file) = named.or_else(usual) else { return Ok(None) };
    let content = files::read_private(&file).map_err(|error| refused(&error.to_string()))?;
    let text =
        std::str::from_utf8(&content).map_err(|_| refused(&format!("{} is not UTF-8", file.display())))?;
    let port = config.get_ports().first().copied().unwrap_or(5432).to_string();
    let found = config.get_hosts().iter().find_map(|host| {
        let mut names = vec![host_name(host)];
        if matches!(host, Host::Unix(_)) {
            names.push("localhost".to_owned());
        }
        text.lines().find_map(|line| matching(line, &names, &[&port, database, user]))
    });
    Ok(found)
}

/// The password of a line `host:port:database:user:password`, if the line is for this. `*` is for all; `\` makes the
/// next character an ordinary one.
fn matching(line: &str, hosts: &[String], rest: &[&str; 3]) -> Option<Zeroizing<Vec<u8>>> {
    if line.starts_with('#') {
        return None;
    }
    let mut fields = vec![Zeroizing::new(String::with_capacity(line.len()))];
    let (mut characters, mut plain_star) = (line.chars(), vec![true]);
    while let Some(character) = characters.next() {
        let last = fields.len() - 1;
        match character {
            ':' if fields.len() < 5 => {
                fields.push(Zeroizing::new(String::with_capacity(line.len())));
                plain_star.push(true);
            }
            '\\' => {
                plain_star[last] = false;
                fields[last].extend(characters.next());
            }
            character => fields[last].push(character),
        }
    }
    let [host, port, database, user, password] = fields.as_slice() else { return None };
    let any = |place: usize| plain_star[place] && *fields[place] == "*";
    let fits = (any(0) || hosts.contains(host))
        && [port, database, user]
            .iter()
            .zip(rest)
            .enumerate()
            .all(|(at, (field, wanted))| any(at + 1) || field.as_str() == *wanted);
    fits.then(|| Zeroizing::new(password.as_bytes().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str, variables: &[(&str, &str)]) -> Result<Address, StoreError> {
        let find = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| value.into());
        Address::with_environment(text, find)
    }

    #[test]
    fn a_password_comes_from_the_environment_and_never_stands_in_the_address() {
        let error = address("postgres://u:hunter2@localhost/d", &[]).unwrap_err().to_string();
        assert!(error.contains("PGPASSFILE") && !error.contains("hunter2"), "{error}");
        let error = address("postgres://u@localhost/d?password=hunter2", &[]).unwrap_err().to_string();
        assert!(error.contains("PGPASSFILE") && !error.contains("hunter2"), "{error}");
        let read = address("postgres://u@localhost/d", &[("PGPASSWORD", "hunter2")]).unwrap();
        assert_eq!(read.config.get_password(), Some(&b"hunter2"[..]));
        assert!(!format!("{read:?} {read}").contains("hunter2"));
        assert_eq!(read.to_string(), "postgres://localhost/d");
    }

    #[test]
    fn a_password_file_is_read_as_postgresql_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pgpass");
        let text = "# a comment\nother:5432:d:u:wrong\nlocalhost:5433:*:u:second\n*:*:d\\:x:u:a\\:b:c\n*:*:*:u:last\n";
        files::write_private(&file, text.as_bytes()).unwrap();
        let path = file.display().to_string();
        let found = |text: &str| {
            let read = address(text, &[("PGPASSFILE", &path)]).unwrap();
            read.config.get_password().map(|password| String::from_utf8(password.to_vec()).unwrap())
        };
        assert_eq!(found("postgres://u@localhost:5433/d").as_deref(), Some("second"));
        assert_eq!(found("postgres://u@localhost/d:x").as_deref(), Some("a:b:c"));
        assert_eq!(found("postgres://u@localhost/d").as_deref(), Some("last"));
        assert_eq!(found("postgres://v@localhost/d"), None);
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = address("postgres://u@localhost/d", &[("PGPASSFILE", &path)]).unwrap_err();
        assert!(error.to_string().contains("644"), "{error}");
    }

    #[test]
    fn another_machine_is_reached_over_tls_only() {
        for local in ["localhost", "127.0.0.1", "[::1]", "%2Frun%2Fpostgresql"] {
            let read = address(&format!("postgres://u@{local}/d"), &[]).unwrap();
            assert!(read.tls.is_none() && read.config.get_ssl_mode() == SslMode::Disable, "{local}");
        }
        let read = address("postgres://u@db.example.org/d?target_session_attrs=read-write", &[]);
        // Without any authority in the system's store, that is told; with some, TLS is demanded.
        match read {
            Ok(read) => assert!(read.tls.is_some() && read.config.get_ssl_mode() == SslMode::Require),
            Err(error) => assert!(matches!(error, StoreError::Address(_)), "{error}"),
        }
        let error = address("postgres://u@db.example.org/d?sslmode=disable", &[]).unwrap_err();
        assert!(error.to_string().contains("sslmode"), "{error}");
        let error = address("postgres://u@db.example.org/d?sslrootcert=/nowhere.pem", &[]).unwrap_err();
        assert!(error.to_string().contains("/nowhere.pem"), "{error}");
        for wrong in ["mysql://u@h/d", "postgres:///d", "postgres://localhost/d", "postgres://u@h/d?x=y"] {
            assert!(address(wrong, &[]).is_err(), "{wrong}");
        }
    }
}
