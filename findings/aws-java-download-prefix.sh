#!/usr/bin/env bash
# Part: s3-transfer-manager of the AWS SDK for Java 2.57.8 (Maven) with moto 5.2.5 (PyPI)
# downloadDirectory() with the prefix "log" downloads the objects of "log-old/" as well, to a folder named "-old".
#
# One would guess the objects of the folder "log" alone: uploadDirectory() with the same prefix wrote "log/…", and files of a neighbour have no place
# in the folder. The prefix is cut off as text if the key has a slash, and what is left of the key is the name of the file.
# Restoring one folder of a bucket gives the files of others, and a program that then synchronises back stores them under a new key.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_moto
version "s3-transfer-manager 2.57.8"
guess "one"
export FOLDER=$work/restored
result=$(run_java software.amazon.awssdk:s3-transfer-manager:2.57.8 2>"$work/java.log" <<'END'
import java.net.URI;
import java.nio.file.*;
import java.util.stream.Stream;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.services.s3.*;
import software.amazon.awssdk.transfer.s3.S3TransferManager;

public class Probe {
    public static void main(String[] arguments) throws Exception {
        URI endpoint = URI.create(System.getenv("ENDPOINT"));
        S3Client s3 = S3Client.builder().endpointOverride(endpoint).forcePathStyle(true).build();
        S3TransferManager manager = S3TransferManager.builder()
            .s3Client(S3AsyncClient.builder().endpointOverride(endpoint).forcePathStyle(true).build()).build();
        Path source = Files.createTempDirectory(Path.of(System.getenv("FOLDER")).getParent(), "source");
        Files.writeString(source.resolve("one"), "1");
        manager.uploadDirectory(to -> to.source(source).bucket("cache").s3Prefix("log")).completionFuture().join();
        s3.putObject(to -> to.bucket("cache").key("log-old/two"), RequestBody.fromString("2"));
        s3.putObject(to -> to.bucket("cache").key("logs.txt"), RequestBody.fromString("3"));
        Path target = Files.createDirectory(Path.of(System.getenv("FOLDER")));
        var done = manager.downloadDirectory(from -> from.destination(target).bucket("cache").listObjectsV2RequestTransformer(list -> list.prefix("log")))
            .completionFuture().join();
        try (Stream<Path> files = Files.walk(target)) {
            files.filter(Files::isRegularFile).map(file -> target.relativize(file).toString()).sorted().forEach(System.out::println);
        }
        System.out.println(done.failedTransfers().size() + " failed");
        System.exit(0);
    }
}
END
)
seen "$result"
holds "$result" = "-old/two
logs.txt
one
0 failed"
