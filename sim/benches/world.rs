//! How fast the model is: chains of vendors, control codes, classifies, overlapped or not, datagrams, and chains by their length. Figures: README.md here.

#[cfg(not(windows))]
mod chain;
#[cfg(not(windows))]
mod classify;
#[cfg(not(windows))]
mod datagrams;
#[cfg(not(windows))]
mod overlapped;

#[cfg(not(windows))]
mod benches {
    use std::hint::black_box;

    use criterion::{BenchmarkId, Criterion, Throughput};
    use wfp_sim::SocketKind;

    use crate::chain::Chain;

    /// One connection through two services: three connects, records and contexts carried, every socket closed.
    fn two_vendors(c: &mut Criterion) {
        let mut chain = Chain::new(2);
        c.benchmark_group("chain of two vendors")
            .throughput(Throughput::Elements(1))
            .bench_function("chain", |b| b.iter(|| chain.follow().expect("it reaches the server")));
    }

    /// Both queries on an accepted socket.
    fn queries(c: &mut Criterion) {
        let mut chain = Chain::new(1);
        let client = chain.w.socket(chain.app, SocketKind::V4).expect("the process is there");
        chain.w.connect(chain.app, client, chain.destination, &mut ()).expect("it is redirected");
        let (service, accepted) = chain.accept().expect("it was redirected");
        let mut group = c.benchmark_group("wsa_ioctl on an accepted socket");
        group.throughput(Throughput::Elements(1));
        for (code, buffers) in chain.queries() {
            group.bench_function(code.to_string(), |b| {
                b.iter(|| chain.w.wsa_ioctl(service, accepted, black_box(code), black_box(&buffers)));
            });
        }
    }

    /// The same connection through ever more services.
    fn by_length(c: &mut Criterion) {
        let mut group = c.benchmark_group("chain of n vendors");
        group.sample_size(20);
        for vendors in [1, 2, 4, 8, 16, 32, 64, 128, 256] {
            let mut chain = Chain::new(vendors);
            let id = BenchmarkId::from_parameter(vendors);
            group.bench_function(id, |b| b.iter(|| chain.follow().expect("it reaches the server")));
        }
    }

    criterion::criterion_group!(
        all,
        two_vendors,
        queries,
        crate::classify::arbitrated,
        crate::overlapped::completions,
        crate::datagrams::through_one_service,
        by_length
    );
}

#[cfg(not(windows))]
criterion::criterion_main!(benches::all);

/// Criterion is not built on Windows.
#[cfg(windows)]
fn main() {}
