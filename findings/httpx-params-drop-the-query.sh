#!/usr/bin/env bash
# Part: httpx 0.28.1 (PyPI)
# `params` of httpx takes away the query that the URL has, even if there is nothing in it.
#
# One would guess that the parameters are added, as requests and curl do it, and that an empty dict changes nothing. The query of the
# URL is replaced. Parameters of the client do so too, in requests that name none.
# A client with a parameter for all requests follows a presigned URL without its signature and gets 403.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
pip_install httpx==0.28.1 requests==2.34.2
version "httpx 0.28.1; beside it requests 2.34.2"
guess "the signature is in each URL"
result=$(timeout 60 python3 - <<'END'
import httpx
import requests
url = "http://cache.example/nar?X-Amz-Signature=abc"
for params in ({"versionId": "7"}, {}):
    print("requests", params, requests.Request("GET", url, params=params).prepare().url)
    print("httpx", params, httpx.Request("GET", url, params=params).url)
print("httpx client", httpx.Client(params={"versionId": "7"}).build_request("GET", url).url)
END
)
seen "$result"
holds "$result" = "requests {'versionId': '7'} http://cache.example/nar?X-Amz-Signature=abc&versionId=7
httpx {'versionId': '7'} http://cache.example/nar?versionId=7
requests {} http://cache.example/nar?X-Amz-Signature=abc
httpx {} http://cache.example/nar
httpx client http://cache.example/nar?versionId=7"
