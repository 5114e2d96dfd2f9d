#!/usr/bin/env bash
# versitygw does not encode keys in a listing with encoding-type=url.
#
# One would guess percent-encoded keys, since a request with encoding-type=url asks for them: it is how clients list
# keys that XML cannot hold. versitygw answers with the keys as they are and an empty <EncodingType>.
# A client that decodes because it asked for the encoding turns the key `log/p%41.drv` into `log/pA.drv`, and a plus
# into a space. Names of Nix derivations may contain `+`, `=` and `?`.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_versitygw
guess "log/p%2541%2Bx.drv and <EncodingType>url</EncodingType>"
result=$(probe <<'END'
import re
from s3client import s3, signed
s3.put_object(Bucket="cache", Key="log/p%41+x.drv", Body=b"x")
answer = signed("GET", "/cache?encoding-type=url&list-type=2")[2].decode()
print(re.findall("<Key>.*?</Key>|<EncodingType>.*?</EncodingType>", answer))
END
)
seen "$result"
holds "$result" = "['<Key>log/p%41+x.drv</Key>', '<EncodingType></EncodingType>']"
