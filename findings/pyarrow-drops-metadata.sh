#!/usr/bin/env bash
# Part: pyarrow 26.0.1 (PyPI) with moto 5.2.5 (PyPI)
# pyarrow drops the metadata of an object whose names it does not know, without a word.
#
# One would guess that what is given as `metadata` becomes the metadata of the object, or is refused. A few headers are set, such as Content-Type;
# all other names, with or without "x-amz-meta-", are lost.
# A cache that marks its objects with the store path or the compression has no marks, and notices when they are needed.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_moto
packages=$PYTHONPATH
pip_install pyarrow==26.0.1
version "pyarrow 26.0.1"
guess "all of it is stored, or an error"
result=$(PYTHONPATH=$PYTHONPATH:$packages probe <<'END'
from pyarrow.fs import S3FileSystem
from s3client import endpoint, s3
store = S3FileSystem(endpoint_override=endpoint.removeprefix("http://"), scheme="http", region="us-east-1")
given = {"Content-Type": "application/x-nix-nar", "Cache-Control": "max-age=60", "Content-Encoding": "zstd", "path": "a", "x-amz-meta-path": "a"}
with store.open_output_stream("cache/nar", metadata=given) as file:
    file.write(b"contents")
head = s3.head_object(Bucket="cache", Key="nar")
for name in ("Content-Type", "Cache-Control", "Content-Encoding"):
    print(f"{name}: {head['ResponseMetadata']['HTTPHeaders'].get(name.lower())}")
print("metadata:", head["Metadata"])
END
)
seen "$result"
holds "$result" = "Content-Type: application/x-nix-nar
Cache-Control: max-age=60
Content-Encoding: zstd
metadata: {}"
