#!/usr/bin/env bash
# Part: prometheus-client 0.26.0 (PyPI)
# The parser of prometheus-client gives a counter another name than it has in the text.
#
# One would guess that the parser gives the names that are there: in this format a counter may have any name. A counter that does not end with
# "_total" gets this suffix; without its TYPE line, or as a gauge, the same line keeps its name.
# A script that looks for "nar_downloads" in what it parses finds nothing, while Prometheus itself stores the name of the text.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
pip_install prometheus-client==0.26.0
version "prometheus-client 0.26.0"
guess "nar_downloads each time"
result=$(probe <<'END'
from prometheus_client.parser import text_string_to_metric_families
for kind in ("gauge", "untyped", "counter", None):
    text = (f"# TYPE nar_downloads {kind}\n" if kind else "") + "nar_downloads 5\n"
    print(f"{kind}:", [sample.name for family in text_string_to_metric_families(text) for sample in family.samples])
END
)
seen "$result"
holds "$result" = "gauge: ['nar_downloads']
untyped: ['nar_downloads']
counter: ['nar_downloads_total']
None: ['nar_downloads']"
