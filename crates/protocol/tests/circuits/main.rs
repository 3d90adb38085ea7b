//! The network layer of entanglement, among nodes whose links make pairs out of thin air.

mod cases;
mod faults;
mod light;
mod wire;
mod world;
