#!/usr/bin/env bash
# Part: Ceph RGW 18.2.7
# UploadPartCopy without a Content-Length header gets 411 from Ceph; CopyObject without one does not.
#
# One would guess that two requests without a body, both with x-amz-copy-source, are treated alike. Ceph wants "Content-Length: 0" for
# the copy of a part, and says MissingContentLength although nothing is sent. MinIO and versitygw take both.
# HTTP libraries differ in whether they send the header for a PUT without a body, so copies of small objects work, and those
# of objects above 5 GiB, which have to be copied in parts, fail.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_ceph
guess "200 each time"
result=$(probe <<'END'
import http.client
from urllib.parse import urlsplit
from s3client import *
def put(path, length):
    request = AWSRequest(method="PUT", url=endpoint + path, headers={"x-amz-copy-source": "/cache/nar"})
    request.headers["X-Amz-Content-SHA256"] = hashlib.sha256(b"").hexdigest()
    S3SigV4Auth(session.get_credentials(), "s3", "us-east-1").add_auth(request)
    connection = http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=30)
    connection.putrequest("PUT", path)
    for name, value in request.headers.items():
        connection.putheader(name, value)
    if length:
        connection.putheader("Content-Length", "0")
    connection.endheaders()
    answer = connection.getresponse()
    return f"{answer.status} {code(answer.read()).rpartition('}')[2]}"
s3.put_object(Bucket="cache", Key="nar", Body=b"hello")
upload = s3.create_multipart_upload(Bucket="cache", Key="copy")["UploadId"]
for length in (True, False):
    print("with" if length else "without", "| object", put("/cache/other", length), "| part",
          put(f"/cache/copy?partNumber=1&uploadId={upload}", length))
END
)
seen "$result"
holds "$result" = "with | object 200 CopyObjectResult | part 200 CopyPartResult
without | object 200 CopyObjectResult | part 411 MissingContentLength"
