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
    let logs = check::logs(&args.files)?;
    let several = logs.len() > 1;
    let (mut noted, mut broken, mut heads) = (false, 0, Vec::new());
    for log in &logs {
        let whose = match several {
            true => format!("node {} in {}: ", log.node, log.folder.display()),
            false => String::new(),
        };
        let report = match check::verify(&log.files, args.head) {
            Ok(report) => report,
            // What is wrong with one log hides nothing of the others.
            Err(error @ (CheckError::Broken { .. } | CheckError::Empty { .. })) if several => {
                output::tell(&format!("{whose}{error}"));
                broken += 1;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let head: String = report.head.hash.iter().map(|byte| format!("{byte:02x}")).collect();
        noted |= report.found;
        // Of a log of which the noted entry is missing, no word that it holds.
        if several || args.head.is_none() || report.found {
            let begins = match report.first {
                0 => String::new(),
                first => format!(", from entry {first} on: what came before is in other files"),
            };
            output::print(&format!(
                "{whose}the chain holds: {} entries from {} to {}{begins}\nlast hash {head}\n",
                report.entries, report.from, report.to
            ))?;
        }
        heads.push(head);
    }
    if broken > 0 {
        return Err(Failure::Live(format!("of {} logs, {broken} cannot be trusted", logs.len())));
    }
    if args.head.is_some() && !noted {
        let holds = if several { "the chains hold" } else { "the chain holds" };
        return Err(Failure::Live(format!(
            "{holds}, but the entry that was noted is not there: the log's end was cut off, or files are missing \
             (the last entry has hash {})",
            heads.join(", ")
        )));
    }
    Ok(())
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
