//! What a program of one node is written against: entangled pairs, gates, measurements and messages.
//!
//! A program is an `async fn` that is given a [`Node`]. It asks for pairs with another node, works on qubits that it owns,
//! and sends values to other programs; every error is a value. The text of a program does not say what drives it: in
//! virtual time it is polled by the simulator, in a daemon by an asynchronous runtime. Nothing here owns a clock, a socket
//! or a thread. A [`Node`] writes [wishes](Wish) into its [`Port`]; the [`Seat`] of the program answers them, and says what its
//! driver has to do for that. Where messages may be lost on their way, [`Mail`] carries them.
//!
//! ```
//! use bellwether_protocol::application::{Basis, Node, ProgramError};
//! use bellwether_units::{Duration, NodeId};
//!
//! /// Both ends measure a pair in Z; the outcomes agree but for noise.
//! async fn shared_bit(node: Node, peer: NodeId) -> Result<bool, ProgramError> {
//!     let mut half = node.epr(peer, 0.8, Duration::from_whole_seconds(1)).await?;
//!     node.x(&mut half).await?;
//!     Ok(half.measure(Basis::Z).await?)
//! }
//! ```

mod block;
mod desk;
mod error;
mod library;
mod mail;
mod node;
mod operation;
mod pair_key;
mod port;
mod processor;
mod promise;
mod qubit;
mod seat;

pub use block::{Block, Outcomes, Ticket};
pub use desk::{Booth, CallId, DeskEffect, PairDesk, PairTerms};
pub use error::{EprError, MessageError, OperationError, ProgramError};
pub use library::{remote_cnot_control, remote_cnot_target, teleport_receive, teleport_send};
pub use mail::{Letter, Mail, MailEffect, MailMessage, MailTiming};
pub use node::Node;
pub use operation::{Basis, Gate, Operation, TwoQubitGate};
pub use pair_key::{PairKey, PairKeyError, key_from_pairs};
pub use port::{Port, Wish};
pub use processor::{Operated, ProcessorCommand, QubitPlace};
pub use promise::{Promise, Wait};
pub use qubit::{MeasuredPair, PairFacts, Qubit, QubitName};
pub use seat::{Awaited, Seat, SeatEffect};
