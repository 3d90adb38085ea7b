//! Identifiers: small integers that cannot be mistaken for one another.

use core::fmt;

macro_rules! id {
    ($(#[$meta:meta])* $name:ident($inner:ty), $prefix:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl $name {
            /// The number as an index.
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
    };
}

id! {
    /// A node of the network, by its place in the network file.
    NodeId(u32), "node "
}
id! {
    /// A link of the network, by its place in the network file.
    LinkId(u32), "link "
}
id! {
    /// A demand for keys, by its place in the network file.
    DemandId(u32), "demand "
}
id! {
    /// Whatever sends events or draws random numbers in a run.
    EntityId(u32), "entity "
}
id! {
    /// A block of sifted key on one link; both ends count alike and never reuse a number.
    BlockId(u64), "block "
}
