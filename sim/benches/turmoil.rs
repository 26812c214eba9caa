//! For orientation: connects and accepts on turmoil's simulated network, in the same run as the model's figures. The
//! two do different work: turmoil runs async code over simulated time and packets, the model follows WFP.

#[cfg(not(windows))]
mod benches {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use criterion::{Criterion, Throughput};
    use turmoil::net::{TcpListener, TcpStream};

    const CONNECTS: u32 = 1_000;

    /// One client that connects to one server, again and again.
    fn connects(c: &mut Criterion) {
        c.benchmark_group("turmoil")
            .sample_size(10)
            .throughput(Throughput::Elements(CONNECTS.into()))
            .bench_function("connect and accept", |b| {
                b.iter(|| {
                    let mut sim = turmoil::Builder::new()
                        .min_message_latency(Duration::ZERO)
                        .max_message_latency(Duration::from_millis(1))
                        .simulation_duration(Duration::from_secs(3600))
                        .build();
                    sim.host("server", || async {
                        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 443)).await?;
                        loop {
                            listener.accept().await?;
                        }
                    });
                    sim.client("client", async {
                        for _ in 0..CONNECTS {
                            TcpStream::connect(("server", 443)).await?;
                        }
                        Ok(())
                    });
                    sim.run().expect("the client ends");
                });
            });
    }

    criterion::criterion_group!(all, connects);
}

#[cfg(not(windows))]
criterion::criterion_main!(benches::all);

/// Criterion is not built on Windows.
#[cfg(windows)]
fn main() {}
