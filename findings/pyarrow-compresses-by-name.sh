#!/usr/bin/env bash
# Part: pyarrow 26.0.1 (PyPI) with moto 5.2.5 (PyPI)
# open_output_stream() of pyarrow compresses what it is given, if the key ends with ".zst" or ".gz".
#
# One would guess that a store of bytes stores the bytes. The parameter `compression` is "detect": a NAR that is compressed already is compressed twice.
# open_input_stream() undoes it by the name as well, open_input_file() does not.
# Objects that are written with pyarrow are broken for all others, and the size and hash of what it reads are not those of the object.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_moto
packages=$PYTHONPATH
pip_install pyarrow==26.0.1
version "pyarrow 26.0.1"
guess "contents each time"
result=$(PYTHONPATH=$PYTHONPATH:$packages probe <<'END'
from pyarrow.fs import S3FileSystem
from s3client import endpoint, s3
store = S3FileSystem(endpoint_override=endpoint.removeprefix("http://"), scheme="http", region="us-east-1")
def show(data):
    return "contents" if data == b"contents" else "zstd" if data[:4] == b"\x28\xb5\x2f\xfd" else "gzip" if data[:2] == b"\x1f\x8b" else data
for name in ("a.nar", "a.nar.xz", "a.nar.zst", "a.nar.gz"):
    with store.open_output_stream(f"cache/{name}") as file:
        file.write(b"contents")
    stored = s3.get_object(Bucket="cache", Key=name)["Body"].read()
    stream = store.open_input_stream(f"cache/{name}").read()
    print(f"{name}: stored {show(stored)}, as a stream {show(stream)}, as a file {show(store.open_input_file(f'cache/{name}').read())}")
END
)
seen "$result"
holds "$result" = "a.nar: stored contents, as a stream contents, as a file contents
a.nar.xz: stored contents, as a stream contents, as a file contents
a.nar.zst: stored zstd, as a stream contents, as a file zstd
a.nar.gz: stored gzip, as a stream contents, as a file gzip"
