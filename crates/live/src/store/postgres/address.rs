//! Where a database is, and how it is reached.
//!
//! `postgres://USER@HOST[:PORT][,HOST…]/DATABASE[?OPTION=VALUE&…]`, as libpq reads it; a Unix socket's folder is named
//! by `?host=/run/postgresql`. No password stands in it: it comes from the variable `PGPASSWORD`, or from the file that
//! `PGPASSFILE` names, or from `~/.pgpass`, as PostgreSQL's own clients have them.
//!
//! A server on another machine is reached over TLS alone, its certificate checked against the authorities in the file
//! that `?sslrootcert=` or the variable `PGSSLROOTCERT` names, or else against those that the system trusts.

use super::super::StoreError;
use super::password::Passwords;
use crate::identity::{files, tls};
use crate::random::unpredictable;
use rustls::ClientConfig;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, LoadBalanceHosts, SslMode};

/// A server's port if nobody says.
const PORT: u16 = 5432;
/// How long an attempt to reach a server may take.
const CONNECT: Duration = Duration::from_secs(5);
/// Option of an address that is ours to read.
const ROOTS: &str = "sslrootcert";

/// A database, and how to come into it.
#[derive(Clone)]
pub struct Address {
    /// One for each server that the address names, in its order, with that server's password.
    servers: Vec<Config>,
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
        config.connect_timeout(CONNECT);
        let mut servers = each(&config)?;
        let passwords = Passwords::find(&variable)?;
        for server in &mut servers {
            let host = server.get_hosts().first().expect("each has a host");
            let port = server.get_ports().first().copied().unwrap_or(PORT);
            if let Some(password) = passwords.of(host, port, &database, &user) {
                server.password(password.as_slice());
            }
        }
        let hosts: Vec<String> = config.get_hosts().iter().map(host_name).collect();
        let name = format!("{}/{database}", hosts.join(","));
        Ok(Self { servers, tls, name })
    }

    /// The servers in the order in which they are to be tried.
    pub(super) fn servers(&self) -> Vec<Config> {
        let mut servers = self.servers.clone();
        if servers.iter().any(|server| server.get_load_balance_hosts() == LoadBalanceHosts::Random) {
            for place in (1..servers.len()).rev() {
                servers.swap(place, (unpredictable() % (place as u64 + 1)) as usize);
            }
        }
        servers
    }
}

/// The settings of each server, apart: a client has one password for all that its settings name.
fn each(all: &Config) -> Result<Vec<Config>, StoreError> {
    let (hosts, numeric, ports) = (all.get_hosts(), all.get_hostaddrs(), all.get_ports());
    if !numeric.is_empty() && numeric.len() != hosts.len() {
        return Err(refused("it has another number of hostaddr than of host"));
    }
    if ports.len() > 1 && ports.len() != hosts.len() {
        return Err(refused("it has another number of ports than of hosts: one for all, or one for each"));
    }
    let server = |(place, host): (usize, &Host)| {
        let mut one = Config::new();
        match host {
            Host::Tcp(name) => one.host(name),
            Host::Unix(folder) => one.host_path(folder),
        };
        if let Some(&address) = numeric.get(place) {
            one.hostaddr(address);
        }
        if let Some(&port) = ports.get(place).or(ports.first()) {
            one.port(port);
        }
        for (value, set) in [
            (all.get_user(), Config::user as fn(&mut Config, String) -> &mut Config),
            (all.get_dbname(), Config::dbname),
            (all.get_options(), Config::options),
        ] {
            if let Some(value) = value {
                set(&mut one, value.to_owned());
            }
        }
        for (value, set) in [
            (
                all.get_connect_timeout().copied(),
                Config::connect_timeout as fn(&mut Config, Duration) -> &mut Config,
            ),
            (all.get_tcp_user_timeout().copied(), Config::tcp_user_timeout),
            (all.get_keepalives_interval(), Config::keepalives_interval),
            (Some(all.get_keepalives_idle()), Config::keepalives_idle),
        ] {
            if let Some(value) = value {
                set(&mut one, value);
            }
        }
        if let Some(retries) = all.get_keepalives_retries() {
            one.keepalives_retries(retries);
        }
        one.keepalives(all.get_keepalives())
            .ssl_mode(all.get_ssl_mode())
            .ssl_negotiation(all.get_ssl_negotiation())
            .channel_binding(all.get_channel_binding())
            .target_session_attrs(all.get_target_session_attrs())
            .load_balance_hosts(all.get_load_balance_hosts());
        one
    };
    Ok(hosts.iter().enumerate().map(server).collect())
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

pub(super) fn refused(why: &str) -> StoreError {
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

pub(super) fn host_name(host: &Host) -> String {
    match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(folder) => folder.display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_postgres::config::TargetSessionAttrs;

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
        assert_eq!(read.servers[0].get_password(), Some(&b"hunter2"[..]));
        assert!(!format!("{read:?} {read}").contains("hunter2"));
        assert_eq!(read.to_string(), "postgres://localhost/d");
    }

    #[test]
    fn each_server_has_the_password_of_its_own_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pgpass");
        let text = "localhost:5433:*:u:second\n127.0.0.1:*:d:u:first\nlocalhost:5432:*:u:socket\n";
        files::write_private(&file, text.as_bytes()).unwrap();
        let path = file.display().to_string();
        let found = |text: &str| -> Vec<Option<String>> {
            let read = address(text, &[("PGPASSFILE", &path)]).unwrap();
            let password = |server: &Config| Some(server.get_password()?.to_vec());
            let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
            read.servers.iter().map(|server| password(server).map(text)).collect()
        };
        let words = |words: &[&str]| -> Vec<_> {
            words.iter().map(|word| (!word.is_empty()).then(|| (*word).to_owned())).collect()
        };
        assert_eq!(
            found("postgres://u@127.0.0.1:1,localhost:5433,[::1]:2/d"),
            words(&["first", "second", ""])
        );
        // Of sockets, that in PostgreSQL's own folder is called localhost.
        let sockets = "postgres://u@%2Frun%2Fpostgresql,%2Ftmp%2Fother/d";
        assert_eq!(found(sockets), words(&["socket", ""]));
        let error = address("postgres://u@localhost,127.0.0.1/d?port=1", &[]).unwrap_err();
        assert!(error.to_string().contains("ports"), "{error}");
    }

    #[test]
    fn what_is_said_of_all_servers_holds_for_each() {
        let text = "postgres://u@localhost:1,127.0.0.1:2/d?target_session_attrs=read-write&keepalives_idle=7\
                    &tcp_user_timeout=9&keepalives_retries=4&options=-c%20geqo%3Doff";
        let read = address(text, &[]).unwrap();
        let ports: Vec<_> = read.servers().iter().map(|server| server.get_ports().to_vec()).collect();
        assert_eq!(ports, [[1], [2]]);
        for server in read.servers() {
            assert_eq!((server.get_user(), server.get_dbname()), (Some("u"), Some("d")));
            assert_eq!(server.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
            assert_eq!(server.get_keepalives_idle(), Duration::from_secs(7));
            assert_eq!(server.get_tcp_user_timeout(), Some(&Duration::from_secs(9)));
            assert_eq!(
                (server.get_keepalives_retries(), server.get_options()),
                (Some(4), Some("-c geqo=off"))
            );
            assert_eq!(
                (server.get_ssl_mode(), server.get_connect_timeout()),
                (SslMode::Disable, Some(&CONNECT))
            );
        }
        let many =
            address("postgres://u@localhost:1,localhost:2,localhost:3/d?load_balance_hosts=random", &[]);
        let many = many.unwrap();
        let first: std::collections::BTreeSet<_> =
            (0..64).map(|_| many.servers()[0].get_ports()[0]).collect();
        // One is never the first in 64 draws once in 10^11 runs.
        assert_eq!(first.len(), 3);
    }

    #[test]
    fn another_machine_is_reached_over_tls_only() {
        for local in ["localhost", "127.0.0.1", "[::1]", "%2Frun%2Fpostgresql"] {
            let read = address(&format!("postgres://u@{local}/d"), &[]).unwrap();
            assert!(read.tls.is_none() && read.servers[0].get_ssl_mode() == SslMode::Disable, "{local}");
        }
        let read = address("postgres://u@db.example.org/d?target_session_attrs=read-write", &[]);
        // Without any authority in the system's store, that is told; with some, TLS is demanded.
        match read {
            Ok(read) => assert!(read.tls.is_some() && read.servers[0].get_ssl_mode() == SslMode::Require),
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
