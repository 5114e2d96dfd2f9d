"""What the S3 findings share: a client of boto3, and requests that boto3 would not send."""
import hashlib
import os
import urllib.error
import urllib.request
import xml.etree.ElementTree as ElementTree

import boto3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import ClientError

endpoint = os.environ["ENDPOINT"]
session = boto3.session.Session()
s3 = session.client(
    "s3",
    endpoint_url=endpoint,
    config=Config(
        signature_version="s3v4",
        s3={"addressing_style": "path"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        retries={"max_attempts": 0},
        connect_timeout=10,
        read_timeout=60,
    ),
)


def send(method, url, body=None, headers=None):
    """Sends a request as it is and gives (status, headers, body)."""
    request = urllib.request.Request(url, data=body, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read()


def signed(method, path, body=b"", headers=None):
    """Signs a request with Signature Version 4 in its headers and sends it."""
    request = AWSRequest(method=method, url=endpoint + path, data=body, headers=headers or {})
    request.headers["X-Amz-Content-SHA256"] = hashlib.sha256(body).hexdigest()
    S3SigV4Auth(session.get_credentials(), "s3", "us-east-1").add_auth(request)
    return send(method, endpoint + path, body or None, dict(request.headers))


def code(body):
    """The error code of an S3 answer, or its first bytes."""
    try:
        root = ElementTree.fromstring(body)
        found = root.find("Code")
        return found.text if found is not None else root.tag
    except ElementTree.ParseError:
        return body[:80].decode(errors="replace")


def outcome(call, **arguments):
    """Calls the client and gives "200" or "STATUS CODE: MESSAGE"."""
    try:
        return str(call(**arguments)["ResponseMetadata"]["HTTPStatusCode"])
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        return f"{status} {error.response['Error']['Code']}: {error.response['Error'].get('Message', '')}"
