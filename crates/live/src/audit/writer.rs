//! The thread that writes the audit log.

use super::chain::{BrokenChain, Head};
use super::{AuditError, FILE, Found, Order, Shared};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// How much of the log is checked when it is opened, in bytes.
const TAIL: u64 = 1 << 20;
/// The most entries of a batch.
const BATCH: usize = 4096;
/// The time between batches, so that entries gather.
const GATHER: Duration = Duration::from_millis(20);
/// The time before another attempt to write.
const AGAIN: Duration = Duration::from_secs(1);

/// The file, open, and where its chain stands.
pub(super) struct Writer {
    folder: PathBuf,
    limit: u64,
    file: File,
    /// How long the file is, in whole entries.
    length: u64,
    /// The number of its first entry.
    first: u64,
    head: Head,
}

impl Writer {
    pub(super) fn open(folder: &Path, limit: u64) -> Result<(Self, Found), AuditError> {
        let path = folder.join(FILE);
        let fail = |doing| {
            let path = path.clone();
            move |source| AuditError { doing, path, source }
        };
        let mut file = open(&path).map_err(fail("open"))?;
        let mut length = file.metadata().map_err(fail("open"))?.len();
        let (tail, from) = tail(&mut file, length).map_err(fail("read"))?;
        let whole = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let cut = (tail.len() - whole) as u64;
        if cut > 0 {
            length -= cut;
            file.set_len(length).map_err(fail("repair"))?;
        }
        let mut this =
            Self { folder: folder.to_owned(), limit, file, length, first: 0, head: Head::default() };
        if length == 0 {
            // A file put aside may have had no successor yet.
            this.head = this.newest_aside().map_err(fail("read"))?.unwrap_or_default();
            this.first = this.head.next;
            let found = if cut > 0 { Found::Cut(cut) } else { Found::Nothing };
            return Ok((this, found));
        }
        match check(&tail[..whole], from == 0) {
            Ok(head) => {
                this.head = head;
                this.first = first_number(&path).map_err(fail("read"))?;
                Ok((this, if cut > 0 { Found::Cut(cut) } else { Found::Whole }))
            }
            Err(why) => {
                // What can be read of its end is what the next file continues.
                let last = tail[..whole].trim_ascii_end().rsplit(|byte| *byte == b'\n').next();
                let last = last.and_then(|line| Head::after(&String::from_utf8_lossy(line)).ok());
                this.head = last.unwrap_or_default();
                let kept_as = this.free_name("broken").map_err(fail("put aside"))?;
                fs::rename(&path, &kept_as).map_err(fail("put aside"))?;
                this.begin().map_err(fail("begin"))?;
                Ok((this, Found::Broken { kept_as, why }))
            }
        }
    }

    pub(super) fn head(&self) -> Head {
        self.head
    }

    pub(super) fn run(mut self, orders: &Receiver<Order>, shared: &Shared) {
        while let Ok(first) = orders.recv() {
            let (mut text, mut head, mut count, mut flushed) = (String::new(), self.head, 0, Vec::new());
            for order in core::iter::once(first).chain(orders.try_iter()).take(BATCH) {
                match order {
                    Order::Append(event) => {
                        let first_of_file = self.length == 0 && count == 0;
                        text.push_str(&head.line(first_of_file, &event.json));
                        text.push('\n');
                        count += 1;
                    }
                    Order::Flush(done) => flushed.push(done),
                }
            }
            while let Err(error) = self.write(text.as_bytes()) {
                tracing::error!(%error, folder = %self.folder.display(), "the audit log cannot be written");
                shared.failures.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(AGAIN);
            }
            self.head = head;
            *shared.head.lock().unwrap_or_else(PoisonError::into_inner) = head;
            shared.waiting.fetch_sub(count, Ordering::Relaxed);
            shared.written.fetch_add(count as u64, Ordering::Relaxed);
            for done in flushed {
                // Whoever waited may have gone.
                let _ = done.send(());
            }
            if self.length >= self.limit
                && let Err(error) = self.rotate()
            {
                tracing::error!(%error, "the audit log cannot be put aside; it goes on in the same file");
            }
            std::thread::sleep(GATHER);
        }
    }

    /// Appends whole entries, all or none.
    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        let written = self.file.write_all(text).and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => {
                self.length += text.len() as u64;
                Ok(())
            }
            Err(error) => {
                // Half an entry must not stand before the next attempt's; that it could not be cut off shows then.
                let _ = self.file.set_len(self.length);
                Err(error)
            }
        }
    }

    fn rotate(&mut self) -> io::Result<()> {
        fs::rename(self.folder.join(FILE), self.folder.join(format!("audit.{:012}.jsonl", self.first)))?;
        self.begin()
    }

    /// Begins a new file, which will continue the chain.
    fn begin(&mut self) -> io::Result<()> {
        self.file = open(&self.folder.join(FILE))?;
        File::open(&self.folder)?.sync_all()?;
        (self.length, self.first) = (0, self.head.next);
        Ok(())
    }

    fn free_name(&self, word: &str) -> io::Result<PathBuf> {
        let names = (0..10_000).map(|number| self.folder.join(format!("audit.{word}-{number}.jsonl")));
        names.into_iter().find(|path| !path.exists()).ok_or_else(|| io::ErrorKind::AlreadyExists.into())
    }

    /// Where the chain stands at the end of the newest file that was put aside.
    fn newest_aside(&self) -> io::Result<Option<Head>> {
        let mut newest: Option<(u64, PathBuf)> = None;
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let number = name.strip_prefix("audit.").and_then(|rest| rest.strip_suffix(".jsonl"));
            let Some(number) = number.and_then(|digits| digits.parse::<u64>().ok()) else { continue };
            if newest.as_ref().is_none_or(|(best, _)| number > *best) {
                newest = Some((number, path));
            }
        }
        let Some((_, path)) = newest else { return Ok(None) };
        let mut file = File::open(&path)?;
        let length = file.metadata()?.len();
        let (tail, _) = tail(&mut file, length)?;
        let last = tail.trim_ascii_end().rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        Ok(Head::after(&String::from_utf8_lossy(last)).ok())
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)
}

/// The last bytes of a file, from the beginning of a line on, and where they begin.
fn tail(file: &mut File, length: u64) -> io::Result<(Vec<u8>, u64)> {
    let from = length.saturating_sub(TAIL);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    let skip = match from {
        0 => 0,
        _ => bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1),
    };
    bytes.drain(..skip);
    Ok((bytes, from + skip as u64))
}

/// Where the chain of these lines ends. The first line is taken as it is, unless it begins the file.
fn check(lines: &[u8], from_the_start: bool) -> Result<Head, BrokenChain> {
    let text = core::str::from_utf8(lines).map_err(|_| BrokenChain::NoEntry("it is not UTF-8"))?;
    let mut lines = text.lines();
    let first = lines.next().ok_or(BrokenChain::NoEntry("there is none"))?;
    let mut head = if from_the_start {
        let mut head = Head::before(first)?;
        head.check(first)?;
        head
    } else {
        Head::after(first)?
    };
    lines.try_for_each(|line| head.check(line))?;
    Ok(head)
}

fn first_number(path: &Path) -> io::Result<u64> {
    let mut line = String::new();
    io::BufRead::read_line(&mut io::BufReader::new(File::open(path)?), &mut line)?;
    Ok(Head::after(line.trim_end()).map_or(0, |after| after.next - 1))
}
