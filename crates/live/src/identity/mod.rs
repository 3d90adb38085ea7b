//! Who is who: certificates of nodes, key managers and applications, and TLS between them.
//!
//! Three authorities that know nothing of each other ([`Role`]): one for nodes, one for the key managers' servers,
//! one for applications (SAEs). So no application's certificate can speak as a node, whatever names it carries.
//! [`authority`] makes all of them for tests and first use; [`files`] keeps them on disk; [`names`] reads who a
//! verified certificate belongs to; [`tls`] builds the configurations of rustls.

pub mod authority;
pub mod files;
pub mod names;
pub mod tls;

pub use authority::{Authority, AuthorityError, SignatureKind};
pub use files::{Identity, IdentityFileError, Layout};
pub use names::{NameError, NameRule, NameSource, SpkiDigest, name_in_role};
pub use tls::{OlderTls, TlsError};

use std::fmt;

/// What a certificate speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// A node, towards other nodes.
    Node,
    /// A key manager's server, towards applications.
    KeyManager,
    /// An application (SAE of ETSI GS QKD 014), towards its key manager.
    Application,
}

impl Role {
    /// All roles, each with an authority of its own.
    pub const ALL: [Self; 3] = [Self::Node, Self::KeyManager, Self::Application];

    /// What the URI of a name in this role begins with; the name follows as it is.
    pub const fn uri_prefix(self) -> &'static str {
        match self {
            Self::Node => "urn:bellwether:node:",
            Self::KeyManager => "urn:bellwether:kme:",
            Self::Application => "urn:bellwether:sae:",
        }
    }

    /// The folder of this role's certificates under `pki`.
    pub const fn folder(self) -> &'static str {
        match self {
            Self::Node => "nodes",
            Self::KeyManager => "key-managers",
            Self::Application => "applications",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Node => "node",
            Self::KeyManager => "key manager",
            Self::Application => "application",
        })
    }
}
