#!/usr/bin/env bash
# Part: Ceph RGW 18.2.7
# A repeated CompleteMultipartUpload gets 500 from Ceph for ever, once the object has been overwritten or deleted.
#
# One would guess 404 NoSuchUpload, since the upload has ended, or 200 for a repetition. Ceph answers 200 as long as the object is
# the one of the upload. Afterwards it says 500 "This multipart completion is already in progress", though nothing is.
# A 500 tells every client to try again: one that lost the first answer never learns that its upload had been completed.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_ceph
guess "404 NoSuchUpload, or 200"
result=$(probe <<'END'
import time
from s3client import outcome, s3
def attempts(after):
    upload = s3.create_multipart_upload(Bucket="cache", Key="nar")["UploadId"]
    tag = s3.upload_part(Bucket="cache", Key="nar", UploadId=upload, PartNumber=1, Body=b"x")["ETag"]
    complete = lambda: outcome(s3.complete_multipart_upload, Bucket="cache", Key="nar", UploadId=upload,
                               MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": tag}]})
    answers = [complete(), complete()]
    after()
    answers.append(complete())
    time.sleep(5)
    return ", ".join(answers + [complete()])
print("overwritten:", attempts(lambda: s3.put_object(Bucket="cache", Key="nar", Body=b"new")))
print("deleted:", attempts(lambda: s3.delete_object(Bucket="cache", Key="nar")))
END
)
seen "$result"
busy="500 InternalError: This multipart completion is already in progress"
holds "$result" = "overwritten: 200, 200, $busy, $busy
deleted: 200, 200, $busy, $busy"
