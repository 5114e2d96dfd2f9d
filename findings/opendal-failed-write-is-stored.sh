#!/usr/bin/env bash
# Part: opendal 0.47.12 (PyPI) with MinIO 2026-02-12
# A write with OpenDAL that ends with an exception stores what was written so far as a whole object.
#
# One would guess that the object appears only if the `with` block ends well, since nothing
# is visible on S3 before an upload is complete. The file is closed on the way out, and closing completes the upload.
# A copy whose source breaks off replaces the good object by the first half of the new one.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
pip_install opendal==0.47.12 boto3==1.44.8 botocore==1.44.8
packages=$PYTHONPATH
start_minio
version "opendal 0.47.12"
guess "the old object is still there"
result=$(PYTHONPATH=$packages probe <<'END'
import os
import opendal
from s3client import endpoint, s3
cache = opendal.Operator("s3", bucket="cache", endpoint=endpoint, region="us-east-1",
                         access_key_id=os.environ["AWS_ACCESS_KEY_ID"], secret_access_key=os.environ["AWS_SECRET_ACCESS_KEY"])
s3.put_object(Bucket="cache", Key="nar", Body=b"the old object")
try:
    with cache.open("nar", "wb") as file:
        file.write(b"first half")
        raise OSError("the source broke off")
except OSError as error:
    print(error)
print(s3.get_object(Bucket="cache", Key="nar")["Body"].read().decode())
END
)
seen "$result"
holds "$result" = "the source broke off
first half"
