//! Frames out of a stream of bytes: what protocols over TCP have in common.

/// How the frames of a protocol are read.
pub trait Framing: Sized {
    /// Why bytes are no frame.
    type Error: Copy;

    /// The frame at the beginning of `bytes` and its length, if it is there as a whole.
    ///
    /// # Errors
    /// As soon as what is there cannot begin a frame.
    fn read(bytes: &[u8]) -> Result<Option<(Self, usize)>, Self::Error>;
}

/// Reads frames from bytes as they arrive. Memory grows with what has arrived, never with what a head promises.
#[derive(Debug)]
pub struct Decoder<F: Framing> {
    arrived: Vec<u8>,
    /// What was decoded already, at the front.
    done: usize,
    failed: Option<F::Error>,
}

impl<F: Framing> Default for Decoder<F> {
    fn default() -> Self {
        Self { arrived: Vec::new(), done: 0, failed: None }
    }
}

impl<F: Framing> Decoder<F> {
    /// A decoder at the beginning of a connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        self.tidy();
        self.arrived.extend_from_slice(bytes);
    }

    /// The next whole frame, if it has arrived.
    ///
    /// # Errors
    /// Once wrong, the connection stays wrong: the same error again.
    pub fn next_frame(&mut self) -> Result<Option<F>, F::Error> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let read = F::read(&self.arrived[self.done..]).inspect_err(|error| self.failed = Some(*error))?;
        Ok(read.map(|(frame, length)| {
            self.done += length;
            frame
        }))
    }

    /// How many bytes wait for the rest of their frame.
    pub fn waiting(&self) -> usize {
        self.arrived.len() - self.done
    }

    /// Forgets what was decoded, and gives back the room that a large frame took.
    fn tidy(&mut self) {
        if self.done == self.arrived.len() {
            self.arrived.clear();
            self.arrived.shrink_to(1 << 16);
            self.done = 0;
        } else if self.done >= 1 << 16 && self.done >= self.arrived.len() / 2 {
            self.arrived.drain(..self.done);
            self.done = 0;
        }
    }
}

/// What tests of framings share.
#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Decodes `bytes` cut at `cuts`.
    pub(crate) fn decode<F: Framing>(bytes: &[u8], cuts: &[usize]) -> (Vec<F>, Option<F::Error>) {
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
        ends.push(bytes.len());
        ends.sort_unstable();
        let (mut decoder, mut found, mut from) = (Decoder::new(), Vec::new(), 0);
        for end in ends {
            decoder.push(&bytes[from..end]);
            from = end;
            loop {
                match decoder.next_frame() {
                    Ok(Some(frame)) => found.push(frame),
                    Ok(None) => break,
                    Err(error) => return (found, Some(error)),
                }
            }
        }
        (found, None)
    }

    /// Room that the decoder has taken, in bytes.
    pub(crate) fn room<F: Framing>(decoder: &Decoder<F>) -> usize {
        decoder.arrived.capacity()
    }
}
