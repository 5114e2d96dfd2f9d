#!/usr/bin/env bash
# Part: AWS SDK for Java 2.57.8 (Maven) with moto 5.2.5 (PyPI)
# Of a stream that is longer than was said, the AWS SDK for Java stores the beginning, without an error.
#
# One would guess an exception, as there is one for a stream that is too short. RequestBody.fromInputStream() takes as many bytes as the
# length says, computes the checksums of these, and leaves the rest of the stream.
# A log or a database that grows between the look at its size and the upload is cut off in the bucket, and every checksum is right.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_moto
version "AWS SDK for Java 2.57.8"
guess "an exception for 5 and for 15, and then no object"
result=$(run_java software.amazon.awssdk:s3-transfer-manager:2.57.8 2>"$work/java.log" <<'END'
import java.io.ByteArrayInputStream;
import java.net.URI;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.services.s3.S3Client;

public class Probe {
    public static void main(String[] arguments) {
        S3Client s3 = S3Client.builder().endpointOverride(URI.create(System.getenv("ENDPOINT"))).forcePathStyle(true).build();
        for (long length : new long[] {5, 10, 15}) {
            String key = "log-" + length;
            String put = "stored";
            try {
                s3.putObject(to -> to.bucket("cache").key(key), RequestBody.fromInputStream(new ByteArrayInputStream("0123456789".getBytes()), length));
            } catch (SdkException | IllegalStateException error) {
                put = "refused";
            }
            String got = "nothing";
            try {
                got = s3.getObjectAsBytes(from -> from.bucket("cache").key(key)).asUtf8String();
            } catch (SdkException error) {
                // Not there.
            }
            System.out.println("10 bytes as " + length + ": " + put + ", object: " + got);
        }
    }
}
END
)
seen "$result"
holds "$result" = "10 bytes as 5: stored, object: 01234
10 bytes as 10: stored, object: 0123456789
10 bytes as 15: refused, object: nothing"
