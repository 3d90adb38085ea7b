//! The key machines of a whole network under loss, duplication, reordering, cuts, alarms and crashes.

mod faults;
mod graphs;
mod honest;
mod wire;
mod world;
