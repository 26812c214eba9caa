//! What a user waits for: a chain through the vocabulary and the services, and scenario files from disk to verdict.
//!
//! Figures and how to run them: README.md beside this file.

#![allow(missing_docs, reason = "criterion's macros make functions without any")]

use std::hint::black_box;
use std::path::PathBuf;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use wfp_conformance::SimBackend;
use wfp_conformance::exec::ExecBackend;
use wfp_conformance::follow::{FirstSocket, Follower, Journey, Service, Transport};
use wfp_conformance::run::{Options, run_case};
use wfp_conformance::scenario::Suite;
use wfp_conformance::vocabulary::{
    Backend, Call, CalloutSpec, DecisionSpec, Endpoint, HostSpec, Match, Name, Op, Place, ProcessSpec,
    RedirectTo, RuleSpec, SetUp, Settings, SocketFamily, StateName,
};
use wfp_sim::Profile;

fn apply(backend: &mut dyn Backend, process: &str, part: SetUp) {
    let op = Op { process: process.into(), thread: 0, name: None, call: Call::SetUp(part) };
    backend.apply(&op).expect("the model sets up what it is told");
}

fn careful(name: &str, port: u16) -> CalloutSpec {
    let at = Some(Endpoint::new(Place::Loopback, port));
    let rule = |state, decision| RuleSpec {
        layers: Vec::new(),
        states: vec![state],
        processes: Vec::new(),
        r#match: Match::default(),
        r#do: decision,
    };
    CalloutSpec {
        sublayer: 100,
        rules: vec![
            rule(StateName::NotRedirected, DecisionSpec::Redirect),
            rule(StateName::RedirectedByOther, DecisionSpec::Redirect),
        ],
        redirect: Some(RedirectTo { process: Some(name.into()), ipv4: at.clone(), ipv6: at }),
        ..CalloutSpec::new(name.into())
    }
}

/// Three connects: the application, and two services that carry records and context.
fn chain(c: &mut Criterion) {
    let mut backend = SimBackend::new(Profile::documented());
    let mut follower = Follower::new();
    let server = Endpoint::new(Place::Host("server".into()), 443);
    apply(&mut backend, "server", SetUp::AddHost(HostSpec { name: "server".into(), silent: false }));
    apply(&mut backend, "app", SetUp::StartProcess(ProcessSpec::default()));
    let there = ProcessSpec { host: "server".into(), ..ProcessSpec::default() };
    apply(&mut backend, "server:443", SetUp::StartProcess(there));
    follower
        .start_destination(
            &mut backend,
            &Name::from("server:443"),
            &server,
            &[SocketFamily::Ipv4],
            Transport::Tcp,
        )
        .expect("the destination listens");
    for (name, port) in [("a", 1001), ("b", 1002)] {
        let process = ProcessSpec { elevated: true, ..ProcessSpec::default() };
        apply(&mut backend, name, SetUp::StartProcess(process));
        apply(&mut backend, name, SetUp::InstallCallout(careful(name, port).into()));
        follower
            .start_service(&mut backend, &Name::from(name), Service::at(port))
            .expect("the service listens");
    }
    let journey = Journey {
        from: "app".into(),
        to: server,
        family: SocketFamily::Ipv4,
        keep_open: false,
        protocol: Transport::Tcp,
        socket: FirstSocket::default(),
    };

    let mut group = c.benchmark_group("ops");
    group.throughput(Throughput::Elements(1));
    group.bench_function("two-vendor chain", |b| {
        b.iter(|| {
            let ending = follower.follow(&mut backend, &journey).expect("the model does not break");
            assert_eq!(ending.connects, 3);
            black_box(ending)
        });
    });
    group.finish();
}

/// The suite of the workspace, file by file: read, put together, checked, run.
fn files(c: &mut Criterion) {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios"));
    let profile = Profile::documented();
    let options = Options::default();
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/three-kilobytes.yaml"))
        .expect("the file is beside this one");
    let folder = tempfile::tempdir().expect("a folder to write to");
    let paths: Vec<PathBuf> = (0..100)
        .map(|number| {
            let path = folder.path().join(format!("file-{number}.yaml"));
            std::fs::write(&path, &text).expect("the folder takes a file");
            path
        })
        .collect();

    let mut group = c.benchmark_group("files");
    group.throughput(Throughput::Elements(paths.len() as u64));
    group.bench_function("3 kB, disk to verdict", |b| {
        let mut backend = SimBackend::new(profile.clone());
        b.iter(|| {
            for path in &paths {
                let suite = Suite::load(std::slice::from_ref(path), &profile).expect("the file is right");
                for case in &suite.cases {
                    let run = run_case(&mut backend, case, &options, 1).expect("the model does not break");
                    assert!(run.failure.is_none(), "{}", case.name);
                }
            }
        });
    });
    group.throughput(Throughput::Elements(1));
    group.bench_function("the whole suite", |b| {
        b.iter(|| {
            let suite = Suite::load(std::slice::from_ref(&root), &profile).expect("the suite is right");
            wfp_conformance::run::run(&suite, &options, &|| Ok(Box::new(SimBackend::default())))
                .expect("the model does not break")
        });
    });
    group.finish();
}

/// What an op costs that is sent to an agent in another process: one after the other, and many ahead.
fn elsewhere(c: &mut Criterion) {
    let command = format!("'{}' agent --backend sim", env!("CARGO_BIN_EXE_wfp-conformance"));
    let limit = Duration::from_secs(60);
    let mut backend = ExecBackend::start(&command, limit).expect("the agent starts");
    let settings = Settings { case: "bench".into(), profile: Profile::documented(), seed: 1 };
    backend.reset(&settings).expect("the agent resets");
    apply(&mut backend, "app", SetUp::StartProcess(ProcessSpec::default()));
    let name: Name = "s".into();
    let op = |call| Op { process: "app".into(), thread: 0, name: Some(Name::clone(&name)), call };
    let pair = [op(Call::socket(SocketFamily::Ipv4)), op(Call::Close { socket: Name::clone(&name) })];

    let mut group = c.benchmark_group("elsewhere");
    group.throughput(Throughput::Elements(pair.len() as u64));
    group.bench_function("ops in lockstep", |b| {
        b.iter(|| {
            for op in &pair {
                black_box(backend.apply(op).expect("the agent answers"));
            }
        });
    });
    let many: Vec<Op> = pair.iter().cycle().take(1000).cloned().collect();
    group.throughput(Throughput::Elements(many.len() as u64));
    group.bench_function("ops sent ahead", |b| {
        b.iter(|| black_box(backend.apply_all(&many).expect("the agent answers")));
    });
    group.finish();
}

criterion_group!(benches, chain, files, elsewhere);
criterion_main!(benches);
