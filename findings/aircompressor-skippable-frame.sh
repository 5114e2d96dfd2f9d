#!/usr/bin/env bash
# Part: aircompressor 2.0.2 (Maven) with pzstd 1.5.4 (Debian 12)
# aircompressor knows no skippable frames, so it reads no file that pzstd wrote.
#
# One would guess that the decompressor of a library for Hadoop and Trino reads what the programs of zstd write, since skippable frames are as
# old as the format. It takes the frame for data that is not zstd: "Invalid magic prefix", at the beginning or at the end of the file.
# A cache that compresses in parallel or appends a seek table to its NARs has readers that see damaged files.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_java
command_from "$(debian bookworm zstd=1.5.4+dfsg2-5)" pzstd
command_from "$(debian bookworm zstd=1.5.4+dfsg2-5)" zstd
version "aircompressor 2.0.2, zstd 1.5.4"
guess "5000 bytes each time"
head -c 5000 /dev/zero >"$work/nar"
(cd "$work" && zstd -q nar -o nar.zst && pzstd -q nar -o nar.pzst && { cat nar.zst && printf 'P*M\x18\4\0\0\0seek'; } >nar.seekable)
result=$(run_java io.airlift:aircompressor:2.0.2 "$work"/nar.{zst,pzst,seekable} <<'END'
import io.airlift.compress.zstd.ZstdInputStream;
import java.nio.file.*;

public class Probe {
    public static void main(String[] names) throws Exception {
        for (String name : names) {
            Path path = Path.of(name);
            try (ZstdInputStream contents = new ZstdInputStream(Files.newInputStream(path))) {
                System.out.println(path.getFileName() + ": " + contents.readAllBytes().length + " bytes");
            } catch (Exception error) {
                System.out.println(path.getFileName() + ": " + error.getMessage().replaceAll(": offset.*", ""));
            }
        }
    }
}
END
)
seen "$(for file in "$work"/nar.{zst,pzst,seekable}; do echo "zstd reads $(zstd -dc <"$file" | wc -c) bytes"; done)"
seen "$result"
holds "$result" = "nar.zst: 5000 bytes
nar.pzst: Invalid magic prefix: 184d2a50
nar.seekable: Invalid magic prefix: 184d2a50"
