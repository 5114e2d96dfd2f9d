#!/usr/bin/env bash
# Part: boto3 1.44.8 (PyPI)
# boto3 presigns with Signature Version 2 by default, and then the checksum is no longer a header.
#
# One would guess Signature Version 4, as for every request that the same client sends, and a URL that makes the uploader send
# x-amz-checksum-sha256. For us-east-1, which is also what people write for services without regions, boto3 signs in the
# old form (Signature, Expires), which many services refuse, and puts the checksum into the query, where it binds no bytes.
# Another region, or signature_version="s3v4", changes both.
# A cache whose clients upload by presigned URLs has to set the version, and to test that a wrong body is refused.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
pip_install boto3==1.44.8 botocore==1.44.8
version "boto3 1.44.8"
guess "X-Amz-Signature, and the checksum in X-Amz-SignedHeaders, each time"
result=$(AWS_ACCESS_KEY_ID=findingskey AWS_SECRET_ACCESS_KEY=findingssecret timeout 60 python3 - <<'END'
from urllib.parse import parse_qs, urlsplit
import boto3
from botocore.config import Config
checksum = "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="
for region, config in (("us-east-1", None), ("eu-central-1", None), ("us-east-1", Config(signature_version="s3v4"))):
    client = boto3.client("s3", region_name=region, endpoint_url="http://127.0.0.1:9000", config=config)
    url = client.generate_presigned_url("put_object", Params={"Bucket": "cache", "Key": "nar", "ChecksumSHA256": checksum})
    query = parse_qs(urlsplit(url).query)
    print(region, "s3v4:" if config else "default:", "version 4," if "X-Amz-Signature" in query else "version 2,",
          "signed headers:", query.get("X-Amz-SignedHeaders", ["none"])[0])
END
)
seen "$result"
[[ $result == "us-east-1 default: version 2, signed headers: none"*"us-east-1 s3v4: version 4, signed headers: "*"x-amz-checksum-sha256"* ]] && holds 1 || holds ""
