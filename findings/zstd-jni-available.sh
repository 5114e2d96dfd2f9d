#!/usr/bin/env bash
# Part: zstd-jni 1.5.7-6 (Maven) with zstd 1.5.4 (Debian 12)
# available() of zstd-jni's ZstdInputStream is a number of compressed bytes: 13 for contents that are empty.
#
# One would guess 0 or a number of bytes that can be read: this is what the method of InputStream says. It is passed on to the compressed stream, so
# it is too large for empty contents, and far too small for a million zeros: 54.
# Code that reads `while (in.available() > 0)`, or takes the number for the size of a small body, stops too early or waits for bytes that never come.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_java
command_from "$(debian bookworm zstd=1.5.4+dfsg2-5)" zstd
version "zstd-jni 1.5.7-6"
guess "available is at most the number of bytes of the contents"
: >"$work/empty"
head -c 1000000 /dev/zero >"$work/zeros"
zstd -q "$work/empty" "$work/zeros"
result=$(run_java com.github.luben:zstd-jni:1.5.7-6 "$work"/{empty,zeros}.zst <<'END'
import com.github.luben.zstd.ZstdInputStream;
import java.io.ByteArrayInputStream;
import java.nio.file.*;

public class Probe {
    public static void main(String[] names) throws Exception {
        for (String name : names) {
            byte[] file = Files.readAllBytes(Path.of(name));
            ZstdInputStream contents = new ZstdInputStream(new ByteArrayInputStream(file));
            int available = contents.available();
            System.out.println(Path.of(name).getFileName() + ": " + file.length + " bytes compressed, " + available + " available, contents "
                + contents.readAllBytes().length);
        }
    }
}
END
)
seen "$result"
holds "$result" = "empty.zst: 13 bytes compressed, 13 available, contents 0
zeros.zst: 54 bytes compressed, 54 available, contents 1000000"
