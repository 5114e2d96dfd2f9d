#!/usr/bin/env bash
# GetObjectAttributes on Garage sends the whole object.
#
# One would guess 501 NotImplemented, as Garage answers to GET with ?tagging. It does not know ?attributes and treats the
# request as a plain GET: 200 and the contents.
# A cache that asks for size and checksum of a NAR of some GB downloads it, and then fails on "XML" that is the NAR.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_garage
guess "501 for both, or XML with ETag and size for attributes"
result=$(probe <<'END'
from s3client import code, s3, signed
s3.put_object(Bucket="cache", Key="nar", Body=b"contents of the object")
status, _, body = signed("GET", "/cache/nar?tagging=")
print("tagging:", status, code(body))
status, _, body = signed("GET", "/cache/nar?attributes=", headers={"x-amz-object-attributes": "ETag,ObjectSize"})
print("attributes:", status, body)
END
)
seen "$result"
holds "$result" = "tagging: 501 NotImplemented
attributes: 200 b'contents of the object'"
