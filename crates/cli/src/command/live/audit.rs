//! `bellwether audit`: checks audit logs and searches them.

use crate::args::{Audit, Search, Verify};
use crate::{Failure, output};
use bellwether_live::audit::check::{self, CheckError};

pub(crate) fn run(args: &Audit) -> Result<(), Failure> {
    match args {
        Audit::Verify(args) => verify(args),
        Audit::Search(args) => search(args),
    }
}

impl From<CheckError> for Failure {
    fn from(error: CheckError) -> Self {
        match error {
            CheckError::Time(_) | CheckError::Read { .. } => Self::input(error),
            CheckError::Broken { .. } | CheckError::Empty { .. } => Self::live(error),
        }
    }
}

fn verify(args: &Verify) -> Result<(), Failure> {
    let report = check::verify(&args.files, args.head)?;
    let head: String = report.head.hash.iter().map(|byte| format!("{byte:02x}")).collect();
    if args.head.is_some() && !report.found {
        return Err(Failure::Live(format!(
            "the chain holds, but the entry that was noted is not in it: the log's end was cut off, or files are \
             missing (its last entry has hash {head})"
        )));
    }
    let begins = match report.first {
        0 => String::new(),
        first => format!(", from entry {first} on: what came before is in other files"),
    };
    output::print(&format!(
        "the chain holds: {} entries from {} to {}{begins}\nlast hash {head}\n",
        report.entries, report.from, report.to
    ))
}

fn search(args: &Search) -> Result<(), Failure> {
    let wanted = check::Search {
        node: args.node.clone(),
        key: args.key.clone(),
        from: args.from.clone(),
        to: args.to.clone(),
    };
    let found = check::search(&args.files, &wanted, output::print)?;
    output::tell(&format!("{found} entries; whether the log is whole, `bellwether audit verify` tells"));
    Ok(())
}
