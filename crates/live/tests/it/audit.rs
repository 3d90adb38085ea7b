//! The audit log on disk: it goes on after a stop, after a crash within an entry, over files, and after tampering.

use bellwether_live::audit::chain::BrokenChain;
use bellwether_live::audit::check::{CheckError, Search, search, verify};
use bellwether_live::audit::{AuditLog, FILE, FILE_LIMIT, Found};
use bellwether_live::interface::operations::News;
use bellwether_live::interface::operations::events::Events;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

fn lost(key: usize) -> News {
    News::Lost { keys: vec![format!("key-{key}")], cause: "expired" }
}

async fn write(folder: &Path, limit: u64, keys: core::ops::Range<usize>) -> Found {
    let (log, found) = AuditLog::open(folder, limit).unwrap();
    let events = Events::new("A".to_owned(), 7);
    for key in keys {
        log.append(events.add(&lost(key)));
        if limit < FILE_LIMIT {
            log.flush().await;
        }
    }
    log.flush().await;
    found
}

/// The files of a folder's log, the oldest first.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.file_name().unwrap() != FILE);
    files.sort();
    files.push(folder.join(FILE));
    files.retain(|path| fs::metadata(path).is_ok_and(|file| file.len() > 0));
    files
}

#[tokio::test]
async fn the_chain_goes_on_after_a_stop_and_after_a_crash_within_an_entry() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    assert_eq!(write(folder.path(), FILE_LIMIT, 0..3).await, Found::Nothing);
    assert_eq!(write(folder.path(), FILE_LIMIT, 3..5).await, Found::Whole);
    fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"cause\":").unwrap();
    assert!(matches!(
        verify(core::slice::from_ref(&path), None),
        Err(CheckError::Broken { line: 6, why: BrokenChain::NoEntry(_), .. })
    ));
    assert_eq!(write(folder.path(), FILE_LIMIT, 5..6).await, Found::Cut(9));
    let report = verify(&[path], None).unwrap();
    assert_eq!((report.entries, report.first, report.head.next), (6, 0, 6));
}

#[tokio::test]
async fn a_large_file_is_put_aside_and_its_chain_continued() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 1000, 0..20).await;
    write(folder.path(), 1000, 20..40).await;
    let files = files(folder.path());
    assert!(files.len() >= 4, "{files:?}");
    let report = verify(&files, None).unwrap();
    assert_eq!((report.entries, report.first), (40, 0));
    let mut without = files.clone();
    without.remove(1);
    let error = verify(&without, None).unwrap_err();
    assert!(matches!(error, CheckError::Broken { line: 1, why: BrokenChain::Continuation, .. }), "{error}");
    let wanted = Search { key: Some("key-17".to_owned()), ..Search::default() };
    assert_eq!(search::<CheckError>(&files, &wanted, |_| Ok(())).unwrap(), 1);
    let late = Search { from: Some("2200-01-01".to_owned()), ..Search::default() };
    assert_eq!(search::<CheckError>(&files, &late, |_| Ok(())).unwrap(), 0);
}

#[tokio::test]
async fn a_changed_log_is_kept_and_another_begun() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    write(folder.path(), FILE_LIMIT, 0..5).await;
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("key-2", "key-7")).unwrap();
    match write(folder.path(), FILE_LIMIT, 5..7).await {
        Found::Broken { kept_as, why } => {
            assert_eq!(why, BrokenChain::Hash);
            assert!(matches!(verify(&[kept_as], None), Err(CheckError::Broken { line: 3, .. })));
        }
        found => panic!("{found:?}"),
    }
    let report = verify(&[path], None).unwrap();
    assert_eq!((report.entries, report.first), (2, 5));
}
