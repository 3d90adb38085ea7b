//! Passwords of databases, from where PostgreSQL's own clients have them.
//!
//! The variable `PGPASSWORD` is for all servers. Else the file that `PGPASSFILE` names, or `~/.pgpass`, has lines
//! `host:port:database:user:password`, of which the first that fits a server is for it.

use super::super::StoreError;
use super::address::{host_name, refused};
use crate::identity::files;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use tokio_postgres::config::Host;
use zeroize::Zeroizing;

/// Folders in which a server's socket is by default, of PostgreSQL's own and of distributions' builds.
const OWN_SOCKETS: [&str; 3] = ["/tmp", "/run/postgresql", "/var/run/postgresql"];

/// What is known of passwords.
pub(super) enum Passwords {
    ForAll(Zeroizing<Vec<u8>>),
    InLines(Zeroizing<String>),
    None,
}

impl Passwords {
    /// What this environment has.
    ///
    /// # Errors
    /// [`StoreError::Address`] if there is a file that cannot be read, or that others can read.
    pub(super) fn find(variable: &impl Fn(&str) -> Option<OsString>) -> Result<Self, StoreError> {
        if let Some(password) = variable("PGPASSWORD") {
            return Ok(Self::ForAll(Zeroizing::new(password.into_encoded_bytes())));
        }
        let named = variable("PGPASSFILE").map(PathBuf::from);
        let usual =
            || variable("HOME").map(|home| Path::new(&home).join(".pgpass")).filter(|file| file.exists());
        let Some(file) = named.or_else(usual) else { return Ok(Self::None) };
        let content = files::read_private(&file).map_err(|error| refused(&error.to_string()))?;
        let text = std::str::from_utf8(&content)
            .map_err(|_| refused(&format!("{} is not UTF-8", file.display())))?;
        Ok(Self::InLines(Zeroizing::new(text.to_owned())))
    }

    /// The password for a server.
    pub(super) fn of(
        &self,
        host: &Host,
        port: u16,
        database: &str,
        user: &str,
    ) -> Option<Zeroizing<Vec<u8>>> {
        match self {
            Self::ForAll(password) => Some(password.clone()),
            Self::InLines(text) => {
                let mut names = vec![host_name(host)];
                if matches!(host, Host::Unix(folder) if OWN_SOCKETS.iter().any(|own| folder == Path::new(own)))
                {
                    names.push("localhost".to_owned());
                }
                let port = port.to_string();
                text.lines().find_map(|line| matching(line, &names, &[&port, database, user]))
            }
            Self::None => None,
        }
    }
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

    #[test]
    fn a_password_file_is_read_as_postgresql_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pgpass");
        let text = "# a comment\nother:5432:d:u:wrong\nlocalhost:5433:*:u:second\n*:*:d\\:x:u:a\\:b:c\n*:*:*:u:last\n";
        files::write_private(&file, text.as_bytes()).unwrap();
        let variable = |name: &str| (name == "PGPASSFILE").then(|| file.clone().into_os_string());
        let passwords = Passwords::find(&variable).unwrap();
        let found = |port, database: &str, user: &str| {
            let password = passwords.of(&Host::Tcp("localhost".to_owned()), port, database, user);
            password.map(|password| String::from_utf8(password.to_vec()).unwrap())
        };
        assert_eq!(found(5433, "d", "u").as_deref(), Some("second"));
        assert_eq!(found(5432, "d:x", "u").as_deref(), Some("a:b:c"));
        assert_eq!(found(5432, "d", "u").as_deref(), Some("last"));
        assert_eq!(found(5432, "d", "v"), None);
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = Passwords::find(&variable).err().unwrap();
        assert!(error.to_string().contains("644"), "{error}");
    }
}
