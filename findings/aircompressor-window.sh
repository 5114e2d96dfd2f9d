#!/usr/bin/env bash
# Part: aircompressor 2.0.2 (Maven) with zstd 1.5.4 (Debian 12)
# aircompressor reads nothing that zstd compressed with level 20 to 22, however small it is.
#
# One would guess that each level can be read, since the `zstd` program reads all of them without an option (windows up to 128 MiB). The limit is
# 8 MiB, the window of level 19; data that came through a pipe has the full window of its level in its header.
# A cache that raises the level for smaller NARs locks out readers in Java that do not use the C library.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_java
command_from "$(debian bookworm zstd=1.5.4+dfsg2-5)" zstd
version "aircompressor 2.0.2, zstd 1.5.4"
guess "5000 bytes each time"
for level in 3 19 20 22; do
    head -c 5000 /dev/zero | zstd -q --ultra "-$level" >"$work/level-$level"
done
result=$(run_java io.airlift:aircompressor:2.0.2 "$work"/level-{3,19,20,22} <<'END'
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
seen "$(for level in 3 19 20 22; do echo "zstd reads $(zstd -dc <"$work/level-$level" | wc -c) bytes of level $level"; done)"
seen "$result"
holds "$result" = "level-3: 5000 bytes
level-19: 5000 bytes
level-20: Window size too large (not yet supported)
level-22: Window size too large (not yet supported)"
