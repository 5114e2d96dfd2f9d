#!/usr/bin/env bash
# Part: fast-xml-parser 5.12.1 (npm) with versitygw 1.8.0
# fast-xml-parser leaves "&#34;" as it is, while it reads "&quot;".
#
# One would guess that both become quotation marks: XML 1.0 has references to characters by number for all documents. They are read only with
# the option htmlEntities, which sounds like names from HTML.
# Servers written in Go put &#34; around each ETag of a listing: none of them equals the ETag in the header of the same object.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_versitygw
npm_install fast-xml-parser@5.12.1
version "fast-xml-parser 5.12.1"
guess '"ETAG" each time'
probe >"$work/listing.xml" <<'END'
from s3client import s3, signed
s3.put_object(Bucket="cache", Key="key", Body=b"contents")
print(signed("GET", "/cache")[2].decode())
END
export LISTING=$work/listing.xml
result=$(run_node <<'END'
import { readFileSync } from "node:fs";
import { XMLParser } from "fast-xml-parser";
const etag = "98bf7d8c15784f0a3d63204441e1e2aa";
for (const options of [{}, { htmlEntities: true }]) {
  const parser = new XMLParser(options);
  console.log(JSON.stringify(options), "by name:", parser.parse(`<ETag>&quot;${etag}&quot;</ETag>`).ETag.replace(etag, "ETAG"));
  const listing = parser.parse(readFileSync(process.env.LISTING, "utf8")).ListBucketResult;
  console.log(JSON.stringify(options), "listing:", listing.Contents.ETag.replace(etag, "ETAG"));
}
END
)
seen "$result"
holds "$result" = '{} by name: "ETAG"
{} listing: &#34;ETAG&#34;
{"htmlEntities":true} by name: "ETAG"
{"htmlEntities":true} listing: "ETAG"'
