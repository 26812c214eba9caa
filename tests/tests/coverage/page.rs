//! The page that the sweeps make.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use wfp_conformance::vocabulary::{Length, SocketFamily, SocketState};
use wfp_sim::Profile;

use super::sweeps::{Answers, Asked, Question};
use super::{AGAIN, Code, FAMILIES, LENGTHS, REASONS, STATES, cells};

/// The sweeps with one question and the same answers.
struct Group<'a> {
    question: &'a Question,
    answers: &'a Answers,
    families: BTreeSet<SocketFamily>,
    cases: BTreeSet<&'a str>,
}

pub(super) fn page(asked: &[Asked]) -> String {
    let (shown, others): (Vec<&Asked>, Vec<&Asked>) = asked.iter().partition(|sweep| !sweep.other_profile);
    let mut page = format!(
        "# What the suite asks of the control codes\n\n\
         Made from the sweeps in the folder `scenarios`, by `{AGAIN}`. Do not change it by hand.\n\n\
         A row is one or more classes of buffer length on a kind of socket, and what must come of the call under each\n\
         of the built-in profiles: the outcome, and what is then in the bytes-returned word, where there is one.\n\
         `needed` is the size of what the call is about, and stands for 64 where there is nothing. Sockets are\n\
         asked about in IPv4, IPv6 and dual-stack, unless the row names families. The last column names the cases.\n\n\
         Three codes, {} states of sockets, {} families, {} lengths and {} profiles make {} cells, and none is left out\n\
         without a reason. {} sweeps are behind this page; {} more are about other values of the profile's fields.\n",
        STATES.len(),
        FAMILIES.len(),
        LENGTHS.len(),
        Profile::BUILT_IN.len(),
        cells().count() * LENGTHS.len() * Profile::BUILT_IN.len(),
        shown.len(),
        others.len(),
    );
    for (code, state, family, reason) in REASONS {
        let _ =
            writeln!(page, "\nNot asked: {code:?} on a socket that is {}, {family}: {reason}.", name(*state));
    }
    for code in Code::ALL {
        let groups = groups(shown.iter().copied().filter(|sweep| sweep.question.code == code));
        let (plain, unusual): (Vec<&Group>, Vec<&Group>) =
            groups.iter().partition(|group| group.question.circumstances.is_empty());
        let _ = write!(page, "\n## {}\n", code.title());
        table(&mut page, &plain, false);
        if !unusual.is_empty() {
            page += "\nIn unusual circumstances:\n";
            table(&mut page, &unusual, true);
        }
    }
    page
}

fn groups<'a>(asked: impl Iterator<Item = &'a Asked>) -> Vec<Group<'a>> {
    let mut groups: BTreeMap<(&Question, &Answers), Group<'a>> = BTreeMap::new();
    for Asked { question, family, case, answers, .. } in asked {
        let new = || Group { question, answers, families: BTreeSet::new(), cases: BTreeSet::new() };
        let group = groups.entry((question, answers)).or_insert_with(new);
        group.families.insert(*family);
        group.cases.insert(case);
    }
    groups.into_values().collect()
}

fn table(page: &mut String, groups: &[&Group], unusual: bool) {
    let circumstances = if unusual { " circumstances |" } else { "" };
    let rule = if unusual { "---|" } else { "" };
    let _ =
        writeln!(page, "\n| socket |{circumstances} length | {} | cases |", Profile::BUILT_IN.join(" | "));
    let _ = writeln!(page, "|---|{rule}---|{}---|", "---|".repeat(Profile::BUILT_IN.len()));
    for group in groups {
        let mut socket = name(group.question.state).to_owned();
        if FAMILIES.iter().any(|family| !group.families.contains(family)) {
            let families: Vec<String> = group.families.iter().map(SocketFamily::to_string).collect();
            let _ = write!(socket, " ({})", families.join(", "));
        }
        let cases: Vec<String> = group.cases.iter().map(|case| format!("`{case}`")).collect();
        let circumstances =
            if unusual { format!(" {} |", group.question.circumstances) } else { String::new() };
        for (lengths, answers) in by_answer(group.answers) {
            let lengths: Vec<String> = lengths.iter().map(Length::to_string).collect();
            let _ = writeln!(
                page,
                "| {socket} |{circumstances} {} | {} | {} |",
                lengths.join(", "),
                answers.join(" | "),
                cases.join(", ")
            );
        }
    }
}

/// The lengths with the same answers, each list in the order of the classes.
fn by_answer(answers: &Answers) -> Vec<(Vec<Length>, &Vec<String>)> {
    let mut rows: Vec<(Vec<Length>, &Vec<String>)> = Vec::new();
    for length in LENGTHS {
        let Some(said) = answers.get(&length) else { continue };
        match rows.iter_mut().find(|(_, known)| *known == said) {
            Some((lengths, _)) => lengths.push(length),
            None => rows.push((vec![length], said)),
        }
    }
    rows
}

pub(super) fn name(state: SocketState) -> &'static str {
    match state {
        SocketState::NotASocket => "no socket",
        SocketState::Fresh => "new",
        SocketState::Bound => "bound",
        SocketState::Listening => "listening",
        SocketState::Connecting => "connecting",
        SocketState::Connected => "connected",
        SocketState::Accepted => "accepted, not redirected",
        SocketState::AcceptedRedirected => "accepted, redirected",
        SocketState::AcceptedRedirectedNotUpdated => "accepted, redirected, context not updated",
        SocketState::AcceptedRedirectedPeerClosed => "accepted, redirected, peer closed",
        SocketState::Reset => "reset",
    }
}
