#!/usr/bin/env bash
# Part: metrics-exporter-prometheus 0.18.3 (crates.io)
# A histogram of the metrics crate is no histogram for Prometheus.
#
# One would guess the type histogram with buckets, as the clients for other languages have them by default. The exporter makes a summary with
# quantiles, until somebody calls set_buckets().
# histogram_quantile() gives nothing, without an error, and the quantiles of several servers cannot be added up.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
version "metrics 0.24.6, metrics-exporter-prometheus 0.18.3"
guess "TYPE upload_seconds histogram, with buckets"
result=$(run_rust 'metrics = "=0.24.6"
metrics-exporter-prometheus = { version = "=0.18.3", default-features = false }' <<'END'
use metrics_exporter_prometheus::PrometheusBuilder;

fn main() {
    for (name, builder) in [("default", PrometheusBuilder::new()), ("set_buckets", PrometheusBuilder::new().set_buckets(&[1.0, 10.0]).unwrap())] {
        let recorder = builder.build_recorder();
        metrics::with_local_recorder(&recorder, || metrics::histogram!("upload_seconds").record(2.0));
        let text = recorder.handle().render();
        let kind = text.lines().find(|line| line.starts_with("# TYPE")).unwrap();
        println!("{name}: {kind}; {} buckets", text.matches("_bucket{").count());
    }
}
END
)
seen "$result"
holds "$result" = "default: # TYPE upload_seconds summary; 0 buckets
set_buckets: # TYPE upload_seconds histogram; 3 buckets"
