//! The table of the cases that tell the values of each profile field apart: that they do, and `probe` with them. It is
//! written anew with `UPDATE_PROBES=1 cargo test -p wfp-tests --test probes`.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use rstest::rstest;
use wfp_conformance::probe::measure::{Finding, Measured, Probing, measure};
use wfp_conformance::probe::play::{Played, asked_by, on_model};
use wfp_conformance::probe::table::{SCHEMA, Table};
use wfp_conformance::profile_file;
use wfp_conformance::requirements::Catalogue;
use wfp_conformance::run::Waiting;
use wfp_conformance::scenario::{LoadedCase, Suite};
use wfp_conformance::vocabulary::{Backend, Call, Feature, Features, Name, Observation, Op, Outcome, Stored};
use wfp_conformance::{Only, SimBackend};
use wfp_sim::profile::{FIELDS, Field};
use wfp_sim::{Profile, WinsockError};
use wfp_tests::{Through, WINDOWS_ALONE, workspace};

/// What machines have: one without a driver that redirects, one with such drivers, and a model.
fn machines() -> [Features; 3] {
    let plain = Features::from(WINDOWS_ALONE);
    let with_drivers = plain.iter().copied().chain([Feature::Redirect, Feature::MultiVendor]).collect();
    let all = Feature::ALL.iter().map(|(feature, _)| *feature).collect();
    [plain, with_drivers, all].map(|features| asked_by(&features))
}

fn suite() -> Suite {
    Suite::load(&[workspace().join("scenarios")], &Profile::documented()).unwrap()
}

/// The cases that are about a field, then all others.
fn candidates<'a>(suite: &'a Suite, field: &Field) -> [Vec<&'a LoadedCase>; 2] {
    let about: BTreeSet<&str> = Catalogue::built_in()
        .iter()
        .filter(|requirement| requirement.values.iter().any(|name| name == field.name))
        .map(|requirement| requirement.id.as_str())
        .collect();
    let (about, others) = suite.cases.iter().partition(|case| {
        case.case.profile.contains_key(field.name)
            || case.case.requirements.iter().any(|id| about.contains(id.as_str()))
    });
    [about, others]
}

/// What a case shows under each value of a field.
fn under_each_value(field: &Field, base: &Profile, features: &Features, case: &LoadedCase) -> Vec<Played> {
    let play = |value: &str| {
        let mut profile = base.clone();
        field.set(&mut profile, value).unwrap();
        on_model(&profile, features, case, Waiting::ForAll).unwrap()
    };
    field.values.iter().map(|(value, _)| play(value)).collect()
}

/// Pairs of values, by their places among the field's.
type Pairs = BTreeSet<(usize, usize)>;

/// The pairs of values that a case tells apart.
fn told_apart(played: &[Played]) -> Pairs {
    let mut apart = BTreeSet::new();
    for (a, first) in played.iter().enumerate() {
        for (b, second) in played.iter().enumerate().skip(a + 1) {
            if first.calls != second.calls {
                apart.insert((a, b));
            }
        }
    }
    apart
}

/// The fewest and shortest cases that tell as many pairs of values apart as any do, on each kind of machine and under
/// each profile that is built in.
fn choose(suite: &Suite, field: &Field) -> Vec<String> {
    let mut chosen: Vec<&LoadedCase> = Vec::new();
    let [plain, with_drivers, all] = machines();
    let [about, others] = candidates(suite, field);
    let bases = Profile::BUILT_IN.map(|name| Profile::built_in(name).unwrap());
    let [documented, ..] = &bases;
    for features in [&plain, &with_drivers] {
        choose_among(&about, field, documented, features, &mut chosen);
    }
    for base in &bases {
        // Cases that are about something else are looked through where everything can be played, and nothing else helps.
        for cases in [&about, &others] {
            choose_among(cases, field, base, &all, &mut chosen);
        }
    }
    chosen.into_iter().map(|case| case.name.clone()).collect()
}

fn choose_among<'a>(
    cases: &[&'a LoadedCase],
    field: &Field,
    base: &Profile,
    features: &Features,
    chosen: &mut Vec<&'a LoadedCase>,
) {
    let count = field.values.len();
    let played = |case: &LoadedCase| under_each_value(field, base, features, case);
    let mut apart: Pairs = chosen.iter().flat_map(|case| told_apart(&played(case))).collect();
    if apart.len() == count * (count - 1) / 2 {
        return;
    }
    let mut telling: Vec<(usize, &LoadedCase, Pairs)> = Vec::new();
    for case in cases {
        let played = played(case);
        telling.push((played[0].calls.len(), case, told_apart(&played)));
    }
    telling.sort_by_key(|(calls, case, _)| (*calls, case.features.len(), case.name.clone()));
    loop {
        let news = |tells: &Pairs| tells.difference(&apart).count();
        // The first of the best: the shortest.
        let best = telling.iter().rev().max_by_key(|(_, _, tells)| news(tells));
        let Some((_, case, tells)) = best.filter(|(_, _, tells)| news(tells) > 0) else { return };
        chosen.push(case);
        apart.extend(tells);
    }
}

fn written(cases: &BTreeMap<String, Vec<String>>) -> String {
    let mut text = format!(
        "# Which cases of the suite tell the values of each profile field apart: `probe` plays them.\n\
         # Made by UPDATE_PROBES=1 cargo test -p wfp-tests --test probes\nschema: {SCHEMA}\ncases:\n"
    );
    for (field, cases) in cases {
        let none = if cases.is_empty() { " []" } else { "" };
        let _ = writeln!(text, "  {field}:{none}");
        for case in cases {
            let _ = writeln!(text, "    - '{case}'");
        }
    }
    text
}

#[test]
fn table_is_made_anew_where_that_is_asked_for() {
    if std::env::var_os("UPDATE_PROBES").is_none() {
        return;
    }
    let suite = suite();
    let next = AtomicUsize::new(0);
    let cases = Mutex::new(BTreeMap::new());
    let work = || {
        while let Some(field) = FIELDS.get(next.fetch_add(1, Ordering::Relaxed)) {
            if field.bounds.is_none() {
                let chosen = choose(&suite, field);
                eprintln!("{}: {chosen:?}", field.name);
                cases.lock().unwrap().insert(field.name.to_owned(), chosen);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(work);
        }
    });
    let text = written(&cases.into_inner().unwrap());
    assert!(Table::read(&text).is_ok());
    std::fs::write(workspace().join("conformance/probes.yaml"), text).unwrap();
}

#[test]
fn every_field_has_cases_that_tell_its_values_apart() {
    let suite = suite();
    let [_, _, all] = machines();
    let table = Table::built_in();
    let mut wrong = Vec::new();
    for field in FIELDS.iter().filter(|field| field.bounds.is_none()) {
        let mut apart = BTreeSet::new();
        for name in table.of(field.name) {
            let case = suite.cases.iter().find(|case| case.name == name);
            let case = case.unwrap_or_else(|| panic!("{}: there is no case {name}", field.name));
            apart.extend(told_apart(&under_each_value(field, &Profile::documented(), &all, case)));
        }
        let count = field.values.len();
        if apart.len() != count * (count - 1) / 2 {
            wrong.push(field.name);
        }
    }
    assert_eq!(wrong, [""; 0]);
    assert!(table.cases.keys().all(|name| Field::by_name(name).is_some()));
}

fn measured(machine: &Profile, base: &Profile) -> Measured {
    measured_on(&mut SimBackend::new(machine.clone()), machine, base)
}

fn measured_on(backend: &mut dyn Backend, machine: &Profile, base: &Profile) -> Measured {
    let suite = suite();
    let probing = Probing {
        suite: &suite,
        table: Table::built_in(),
        base: base.clone(),
        given: BTreeMap::new(),
        answers_by: machine.clone(),
    };
    measure(backend, &probing).unwrap()
}

/// The fields whose finding is not the machine's value.
fn misread(machine: &Profile, measured: &Measured) -> Vec<String> {
    let wrong = measured
        .fields
        .iter()
        .filter(|(field, finding)| finding.value() != Some(field.get(machine).as_str()));
    wrong.map(|(field, finding)| format!("{}: {finding:?}", field.name)).collect()
}

#[rstest]
fn model_gives_its_profile_back_field_by_field(
    #[values("documented", "doc-parameters", "nt-mapped")] name: &str,
    #[values("documented", "doc-parameters", "nt-mapped")] base: &str,
) {
    let [machine, base] = [name, base].map(|name| Profile::built_in(name).unwrap());
    assert_eq!(misread(&machine, &measured(&machine, &base)), [""; 0]);
}

#[rstest]
fn model_gives_a_profile_from_a_file_back(#[values("wine", "reactos")] name: &str) {
    let path = workspace().join(format!("fixtures/profiles/{name}.yaml"));
    let machine = profile_file::load(path.to_str().unwrap()).unwrap();
    assert_eq!(misread(&machine, &measured(&machine, &Profile::documented())), [""; 0]);
}

/// A profile with any value of any field, and any number.
fn any_profile() -> impl Strategy<Value = Profile> {
    let words = FIELDS.iter().map(|field| match field.bounds {
        Some((low, high)) => (low..=high).prop_map(|number| number.to_string()).boxed(),
        None => prop::sample::select(field.values).prop_map(|(value, _)| value.to_owned()).boxed(),
    });
    words.collect::<Vec<_>>().prop_map(|words| {
        let mut profile = Profile::documented();
        for (field, word) in FIELDS.iter().zip(words) {
            field.set(&mut profile, &word).unwrap();
        }
        profile
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    /// What one field says can hide another, or look like another. Then that is said, and nothing is guessed.
    #[test]
    fn no_profile_is_measured_wrong(machine in any_profile()) {
        let measured = measured(&machine, &Profile::documented());
        prop_assert_eq!(measured.identity.name, "sim");
        for (field, finding) in measured.fields {
            let value = field.get(&machine);
            let is_right = match &finding {
                Finding::Measured { value: found, .. } => *found == value,
                Finding::OneOf { alike, .. } => alike.contains(&value),
                Finding::None { .. } | Finding::NotMeasured { .. } => true,
                Finding::Given { .. } => false,
            };
            prop_assert!(is_right, "{field:?} is {value}: {finding:?}");
        }
    }
}

/// No value of one of these fields explains the machine while the others are taken to be as documented.
#[test]
fn fields_that_look_like_each_other_are_told_apart() {
    let changes = [
        ("auth-connect-of-redirected", "once"),
        ("auth-connect-metadata", "absent"),
        ("mapped-auth-layer", "ipv6"),
    ];
    let mut machine = Profile::documented();
    for (field, value) in changes {
        Field::by_name(field).unwrap().set(&mut machine, value).unwrap();
    }
    assert_eq!(misread(&machine, &measured(&machine, &Profile::documented())), [""; 0]);
}

#[test]
fn where_time_really_passes_it_is_measured_to_a_tenth_of_a_second_and_not_for_ever() {
    let machine =
        Profile { connect_timeout_ms: 5550, udp_idle_timeout_ms: 10_000_000, ..Profile::documented() };
    let features = Feature::ALL.iter().map(|(feature, _)| *feature);
    let features = features.filter(|feature| *feature != Feature::VirtualTime).collect();
    let mut backend = Only::new(SimBackend::new(machine.clone()), &features);
    let measured = measured_on(&mut backend, &machine, &Profile::documented());
    let of = |name: &str| &measured.fields.iter().find(|(field, _)| field.name == name).unwrap().1;
    let Finding::Measured { value, evidence } = of("connect-timeout-ms") else { panic!("{measured:?}") };
    assert_eq!(value, "5567");
    assert!(evidence.starts_with("from 5504 to 5567; connect-timeout-ms of 5503, "), "{evidence}");
    let why = "it is more than 131071, and for longer nobody waits here".to_owned();
    assert_eq!(*of("udp-idle-timeout-ms"), Finding::NotMeasured { why });
    assert_eq!(of("context-limit").value(), Some("65536"));
}

#[rstest]
#[case::least(|(low, _)| low)]
#[case::greatest(|(_, high)| high)]
fn number_at_its_bound_is_measured(#[case] of: fn((u32, u32)) -> u32) {
    let mut machine = Profile::documented();
    for (field, bounds) in FIELDS.iter().filter_map(|field| Some((field, field.bounds?))) {
        field.set(&mut machine, &of(bounds).to_string()).unwrap();
    }
    assert_eq!(misread(&machine, &measured(&machine, &Profile::documented())), [""; 0]);
}

#[test]
fn query_that_fails_tells_no_size_of_records() {
    let documented = Profile::documented();
    let answer = |machine: &mut SimBackend, op: &Op| {
        let seen = machine.apply(op)?;
        if !matches!(op.call, Call::QueryRecords(_)) || op.name.as_deref() != Some("two") {
            return Ok(seen);
        }
        let stored = Some(Stored { bytes: [].into(), rest_untouched: true });
        Ok(Observation { stored, ..Observation::new(Outcome::Error(WinsockError::WSAEINVAL)) })
    };
    let mut backend = Through { machine: SimBackend::default(), answer };
    let measured = measured_on(&mut backend, &documented, &documented);
    for name in ["record-header-bytes", "record-bytes-per-hop"] {
        let (_, finding) = measured.fields.iter().find(|(field, _)| field.name == name).unwrap();
        let why = "the records of one redirect and of two could not both be queried".to_owned();
        assert_eq!(*finding, Finding::NotMeasured { why });
    }
}

/// A machine on which an accept never returns at once.
fn slow<B: Backend>(machine: B) -> impl Backend {
    let mut accepted: Option<(Name, Observation)> = None;
    let answer = move |machine: &mut B, op: &Op| {
        if let (Call::Wait { calls, .. }, Some((name, result))) = (&op.call, accepted.take())
            && calls[..] == [Name::clone(&name)]
        {
            let completed = Some((name, Box::new(result)));
            return Ok(Observation { completed, ..Observation::new(Outcome::Ok) });
        }
        let result = machine.apply(op)?;
        match (&op.call, &op.name) {
            (Call::Accept { .. }, Some(name)) if result.outcome == Outcome::Ok => {
                accepted = Some((Name::clone(name), result));
                Ok(Observation::new(Outcome::Pending))
            }
            _ => Ok(result),
        }
    };
    Through { machine, answer }
}

#[test]
fn machine_that_takes_its_time_is_measured_as_one_that_does_not() {
    let machine = Profile::nt_mapped();
    let features = Feature::ALL.iter().map(|(feature, _)| *feature);
    let features = features.filter(|feature| *feature != Feature::VirtualTime).collect();
    let base = Profile::documented();
    let quick = &mut Only::new(SimBackend::new(machine.clone()), &features);
    let slow = &mut slow(Only::new(SimBackend::new(machine.clone()), &features));
    let [quick, slow] = [quick as &mut dyn Backend, slow].map(|one| measured_on(one, &machine, &base).fields);
    for ((field, quick), (_, slow)) in quick.iter().zip(&slow) {
        assert_eq!(slow.value(), quick.value(), "{field:?}: {slow:?}; {quick:?}");
    }
}

#[test]
fn windows_7_is_recognized() {
    let path = workspace().join("fixtures/profiles/windows-7.yaml");
    let machine = profile_file::load(path.to_str().unwrap()).unwrap();
    let measured = measured(&machine, &Profile::documented());
    let unexplained = measured.fields.iter().filter(|(_, finding)| matches!(finding, Finding::None { .. }));
    assert_eq!(unexplained.count(), 0);
    let (_, version) = measured.fields.iter().find(|(field, _)| field.name == "windows-version").unwrap();
    assert!(matches!(version, Finding::Measured { value, .. } if value == "windows-7"), "{version:?}");
}
