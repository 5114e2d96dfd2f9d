#!/usr/bin/env bash
# Part: net/http of Go 1.27.3
# http.ServeContent sends no Content-Length if the handler has set Content-Encoding.
#
# One would guess the length of the file, which ServeContent knows, since the header only says what the bytes are. The whole file comes in chunks
# without a length; a range of it has one.
# A server of files that are stored compressed has clients without a progress bar, and caches that cannot tell a whole file from half of one.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
version "Go $go_version"
guess "Content-Length 5000 both times"
# shellcheck disable=SC2119 # the standard library alone
result=$(run_go <<'END'
package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"
)

func main() {
	for _, encoding := range []string{"", "zstd"} {
		server := httptest.NewServer(http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
			if encoding != "" {
				writer.Header().Set("Content-Encoding", encoding)
			}
			writer.Header().Set("Content-Type", "application/x-nix-nar")
			http.ServeContent(writer, request, "", time.Time{}, bytes.NewReader(make([]byte, 5000)))
		}))
		for _, ranges := range []string{"", "bytes=0-999"} {
			request, _ := http.NewRequest("GET", server.URL, nil)
			if ranges != "" {
				request.Header.Set("Range", ranges)
			}
			answer, err := http.DefaultClient.Do(request)
			if err != nil {
				panic(err)
			}
			fmt.Printf("Content-Encoding %q, Range %q: Content-Length %d\n", encoding, ranges, answer.ContentLength)
		}
		server.Close()
	}
}
END
)
seen "$result"
holds "$result" = 'Content-Encoding "", Range "": Content-Length 5000
Content-Encoding "", Range "bytes=0-999": Content-Length 1000
Content-Encoding "zstd", Range "": Content-Length -1
Content-Encoding "zstd", Range "bytes=0-999": Content-Length 1000'
