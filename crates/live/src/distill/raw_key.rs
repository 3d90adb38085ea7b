//! Raw keys in files: packed bits with or without a header, or the characters 0 and 1.

use super::{FileError, failed};
use bellwether_bits::{BitString, SecretBits};
use std::fs::File;
use std::io::{Read, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use zeroize::{Zeroize, Zeroizing};

/// How a file begins that says how many bits it holds.
const MAGIC: &[u8; 8] = b"BwRawKey";
/// How a file of detections begins, which is no raw key.
const DETECTIONS: &[u8] = b"BwDetect";
/// Magic, version, number of bits.
const HEADER: u64 = 17;
const VERSION: u8 = 1;
/// The format of a file is recognised by no more than this.
const LOOK: usize = 4096;

/// How a raw key is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `BwRawKey`, a version, the number of bits, and the bits packed.
    Headed,
    /// The packed bits alone.
    Packed,
    /// The characters 0 and 1, and white space that means nothing.
    Text,
}

/// A raw key in a file, of which any bits can be read.
pub struct RawKey {
    path: PathBuf,
    len: u64,
    bits: Place,
}

enum Place {
    /// Packed in a file, from this byte on.
    File(File, u64),
    /// Text is read at once.
    Memory(SecretBits),
}

/// The bytes of a raw key file with its header.
pub fn raw_key_file(bits: &BitString) -> Zeroizing<Vec<u8>> {
    let mut bytes = Vec::with_capacity(HEADER as usize + bits.len().div_ceil(8));
    bytes.extend_from_slice(MAGIC);
    bytes.push(VERSION);
    bytes.extend_from_slice(&(bits.len() as u64).to_le_bytes());
    let mut packed = bits.to_bytes();
    bytes.extend_from_slice(&packed);
    packed.zeroize();
    Zeroizing::new(bytes)
}

impl RawKey {
    /// Opens a raw key: in a format that is given, or that which its first bytes show. `bits` says how many bits there
    /// are: needed for packed bits without a header, and refused if the file knows better.
    ///
    /// # Errors
    /// If the file cannot be read, is of no known format, or is too short.
    pub fn open(path: &Path, format: Option<Format>, bits: Option<u64>) -> Result<Self, FileError> {
        let content = |problem: String| FileError::Content { path: path.to_owned(), problem };
        let mut file = File::open(path).map_err(failed("open", path))?;
        let size = file.metadata().map_err(failed("read", path))?.len();
        let mut first = Zeroizing::new(vec![0; LOOK]);
        let looked = read_some(&mut file, &mut first).map_err(failed("read", path))?;
        let first = &first[..looked];
        let format = match format {
            Some(format) => format,
            None if first.starts_with(MAGIC) => Format::Headed,
            None if first.starts_with(DETECTIONS) => {
                return Err(content(
                    "is a detection file: give --network with the file that describes its link, and --link"
                        .to_owned(),
                ));
            }
            None if looked > 0 && first.iter().all(|&byte| is_text(byte)) => Format::Text,
            None if bits.is_some() => Format::Packed,
            None => {
                return Err(content(format!(
                    "is neither a raw key with a header (which begins with `BwRawKey`) nor text of 0 and 1; if it is \
                     packed bits, say how many with --bits (the file has room for {}); rows of detections go with --network",
                    size * 8
                )));
            }
        };
        let key = match format {
            Format::Headed => {
                let head = first.get(..HEADER as usize).filter(|head| head.starts_with(MAGIC));
                let head = head.ok_or_else(|| {
                    content(
                        "does not begin with the 17 bytes of a raw key's header (`BwRawKey`, ..)".to_owned(),
                    )
                })?;
                if head[8] != VERSION {
                    return Err(content(format!("byte 8: version {}, and only 1 is known", head[8])));
                }
                let mut len = [0; 8];
                len.copy_from_slice(&head[9..]);
                let len = u64::from_le_bytes(len);
                if len.div_ceil(8) != size - HEADER {
                    return Err(content(format!(
                        "byte 9: {len} bits, which take {} bytes, but {} follow the header",
                        len.div_ceil(8),
                        size - HEADER
                    )));
                }
                Self { path: path.to_owned(), len, bits: Place::File(file, HEADER) }
            }
            Format::Packed => {
                let Some(len) = bits else {
                    return Err(content(format!(
                        "packed bits without a header: say how many with --bits (there is room for {})",
                        size * 8
                    )));
                };
                if len.div_ceil(8) > size {
                    return Err(content(format!(
                        "has {size} bytes, and {len} bits take {}: give --bits {} or less",
                        len.div_ceil(8),
                        size * 8
                    )));
                }
                Self { path: path.to_owned(), len, bits: Place::File(file, 0) }
            }
            Format::Text => {
                let bits = text(path)?;
                Self { path: path.to_owned(), len: bits.len() as u64, bits: Place::Memory(bits) }
            }
        };
        if key.len == 0 {
            return Err(content("holds no bits".to_owned()));
        }
        if let Some(given) = bits.filter(|&given| given != key.len) {
            return Err(content(format!("holds {} bits, not {given} as --bits says", key.len)));
        }
        Ok(key)
    }

    /// How many bits it has.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has no bits; none that could be opened is.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Which file it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Some of its bits.
    ///
    /// # Errors
    /// If the file cannot be read there: it has shrunk, or the disk fails.
    pub fn bits(&self, range: Range<u64>) -> Result<SecretBits, FileError> {
        match &self.bits {
            Place::Memory(bits) => Ok(bits.slice(range.start as usize..range.end as usize)),
            Place::File(file, from) => {
                let (first, last) = (range.start / 8, range.end.div_ceil(8));
                let mut bytes = Zeroizing::new(vec![0; (last - first) as usize]);
                file.read_exact_at(&mut bytes, from + first).map_err(failed("read", &self.path))?;
                let skip = (range.start % 8) as usize;
                let len = (range.end - range.start) as usize;
                let bits = SecretBits::new(BitString::from_bytes(&bytes, skip + len));
                Ok(if skip == 0 { bits } else { bits.slice(skip..skip + len) })
            }
        }
    }
}

fn is_text(byte: u8) -> bool {
    matches!(byte, b'0' | b'1') || byte.is_ascii_whitespace()
}

fn read_some(file: &mut File, to: &mut [u8]) -> std::io::Result<usize> {
    let mut read = 0;
    while read < to.len() {
        match file.read(&mut to[read..])? {
            0 => break,
            count => read += count,
        }
    }
    Ok(read)
}

/// Text of 0 and 1.
fn text(path: &Path) -> Result<SecretBits, FileError> {
    let mut file = File::open(path).map_err(failed("open", path))?;
    let size = file.metadata().map_err(failed("read", path))?.len();
    let mut bits = BitString::with_capacity(size as usize);
    let mut buffer = Zeroizing::new(vec![0; 1 << 16]);
    let (mut at, mut line) = (0u64, 1u64);
    loop {
        let read = read_some(&mut file, &mut buffer).map_err(failed("read", path))?;
        if read == 0 {
            return Ok(SecretBits::new(bits));
        }
        for &byte in &buffer[..read] {
            at += 1;
            match byte {
                // A file that grows while it is read would leave a copy behind that nobody wipes.
                b'0' | b'1' if at <= size => bits.push(byte == b'1'),
                b'\n' => line += 1,
                other if other.is_ascii_whitespace() => {}
                other => {
                    return Err(FileError::Content {
                        path: path.to_owned(),
                        problem: format!(
                            "line {line}, byte {}: {:?}, where only 0, 1 and white space may stand",
                            at - 1,
                            char::from(other)
                        ),
                    });
                }
            }
        }
    }
}

/// Writes a raw key with its header to a new file that only its owner may read.
impl RawKey {
    /// Writes `bits` as a raw key with a header.
    ///
    /// # Errors
    /// If the file is there already or cannot be written.
    pub fn write(path: &Path, bits: &BitString) -> Result<(), FileError> {
        let mut file = super::key_file::create(path)?;
        file.write_all(&raw_key_file(bits)).map_err(failed("write", path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_units::{EntityId, Purpose, Stream};
    use std::fs;

    fn random(len: usize) -> BitString {
        BitString::random(len, &mut Stream::new(1, EntityId(0), Purpose::named("raw")))
    }

    #[test]
    fn a_raw_key_reads_alike_in_all_formats() {
        let folder = tempfile::tempdir().unwrap();
        let bits = random(100_003);
        let path = |name| folder.path().join(name);
        RawKey::write(&path("headed"), &bits).unwrap();
        fs::write(path("packed"), bits.to_bytes()).unwrap();
        let text: String = (0..bits.len())
            .map(|at| {
                if at % 77 == 76 { "\r\n" } else { "" }.to_owned() + if bits.get(at) { "1" } else { "0" }
            })
            .collect();
        fs::write(path("text"), text).unwrap();
        for (name, len) in [("headed", None), ("packed", Some(100_003)), ("text", None)] {
            let key = RawKey::open(&path(name), None, len).unwrap();
            assert_eq!(key.len(), 100_003);
            for range in [0..100_003, 0..1, 7..9, 8..16, 99_999..100_003, 5..5] {
                let slice = bits.slice(range.start as usize..range.end as usize);
                assert_eq!(key.bits(range.clone()).unwrap().expose(), &slice, "{name} {range:?}");
            }
        }
        assert!(
            matches!(RawKey::write(&path("headed"), &bits), Err(FileError::Io { .. })),
            "never overwritten"
        );
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("raw");
        let told = |content: &[u8], format, bits| {
            fs::write(&path, content).unwrap();
            RawKey::open(&path, format, bits).err().map(|error| error.to_string()).unwrap_or_default()
        };
        let mut headed = raw_key_file(&random(100)).to_vec();
        assert_eq!(told(&headed, None, None), "");
        assert!(told(&headed, None, Some(99)).contains("holds 100 bits, not 99"));
        headed.pop();
        assert!(told(&headed, None, None).contains("byte 9: 100 bits, which take 13 bytes, but 12 follow"));
        headed[8] = 2;
        assert!(told(&headed, None, None).contains("byte 8: version 2"));
        assert!(told(b"BwRawKey", None, None).contains("17 bytes"));
        assert!(told(b"01\n0x1", Some(Format::Text), None).contains("line 2, byte 4: 'x'"));
        assert!(told(b"\x01\x02", None, None).contains("--bits (the file has room for 16)"));
        assert!(told(b"\x01\x02", None, Some(17)).contains("17 bits take 3: give --bits 16"));
        assert!(told(b"", None, None).contains("neither"));
        assert!(told(b" \n", None, None).contains("holds no bits"));
    }
}
