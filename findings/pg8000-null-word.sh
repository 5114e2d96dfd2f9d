#!/usr/bin/env bash
# Part: pg8000 1.31.5 (PyPI) with PostgreSQL 16.2
# pg8000 stores the word "null" in an array of text as NULL.
#
# One would guess that each text arrives as it is, as it does outside of an array. "NULL" in capital letters is put into quotation marks, other
# ways of writing it are not, and PostgreSQL takes null in an array literal for NULL in any case of letters.
# A list of names, words or answers loses those that are called null, and nothing fails.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_postgres max_connections=20
pip_install pg8000==1.31.5
version "pg8000 1.31.5"
guess "the same list each time"
result=$(timeout 60 python3 - "$port" <<'END'
import sys
import pg8000.native
connection = pg8000.native.Connection("postgres", host="127.0.0.1", port=int(sys.argv[1]), database="postgres")
connection.run("CREATE TABLE pin (names text[])")
for names in (["a"], ["NULL"], ["null"], ["Null"]):
    print(names, connection.run("INSERT INTO pin VALUES (:names) RETURNING names, names[1] IS NULL", names=names)[0])
END
)
seen "$result"
holds "$result" = "['a'] [['a'], False]
['NULL'] [['NULL'], False]
['null'] [[None], True]
['Null'] [[None], True]"
