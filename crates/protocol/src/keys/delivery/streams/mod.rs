//! Key streams between two applications, as ETSI GS QKD 004 V2.1.1 has them: chunks of key with running numbers.
//!
//! A stream has a master, the application that opened it first and whose node takes the chunks from its own stock,
//! and a slave. The master's node announces, in the same numbered announcements as everything else: the stream,
//! then chunk after chunk. The slave's node announces that its application has opened the stream and how many
//! chunks may come; so neither end holds more than two windows of chunks. Either end's close is announced.
//!
//! What is promised beside the promises of the [module above](super): a chunk of one number has equal bits at both
//! ends, and is handed to each of them at most once; no bit of it is in any other key. The master is given a chunk
//! only after the slave's node has acknowledged that it holds it, durably.
//!
//! Life of a chunk: taken from stock and announced (one record), held at both ends, handed out at each end (durable
//! before it leaves, and erased there), or erased unused when its time to live ends, the application closes the
//! stream, or it has taken a chunk more than a window further on.

mod api;
mod calls;
mod feed;
mod hear;
mod life;
mod state;

pub use api::{
    CloseStream, GetChunk, KeyStreamId, MAX_CHUNKS_AHEAD, OpenStream, StreamError, StreamQos, StreamReply,
};
pub(super) use calls::Call;
pub(super) use state::{Chunk, KeyStream, StreamWord};
