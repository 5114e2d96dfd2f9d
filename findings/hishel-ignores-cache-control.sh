#!/usr/bin/env bash
# Part: hishel 2.0.0 (PyPI)
# The HTTP cache of hishel 2 follows no Cache-Control: it stores what is "no-store" and never asks again.
#
# One would guess that an HTTP cache keeps to RFC 9111, as hishel 1 did. Version 2 stores each successful answer for ever and knows no Vary; the
# rules of HTTP are the option rfc=True.
# A program that updates hishel gets the first nix-cache-info and the first narinfo for ever.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
pip_install hishel==2.0.0 httpx==0.28.1 anysqlite==0.0.5
start_origin
export FOLDER=$work
version "hishel 2.0.0"
guess "the origin is asked each time, with or without rfc=True"
result=$(probe <<'END'
import os

import hishel
import hishel.httpx
from origin import requests, url


def asked(client, path, **headers):
    before = requests()
    client.get(f"http://127.0.0.1:{os.environ['ORIGIN']}{path}", headers=headers)
    return "asked" if requests() > before else "not asked"


for options in ({}, {"rfc": True}):
    storage = hishel.SqliteStorage(database_path=f"{os.environ['FOLDER']}/{len(options)}.db")
    with hishel.httpx.CacheClient(storage=storage, **options) as client:
        for value in ("no-store", "no-cache", "max-age=0"):
            path = url("narinfo", Cache_Control=value)
            asked(client, path)
            print(options, f"{value}: origin {asked(client, path)}")
        path = url("narinfo", Cache_Control="max-age=60", Vary="Accept")
        asked(client, path, Accept="text/html")
        print(options, "another Accept: origin", asked(client, path, Accept="text/plain"))
END
)
seen "$result"
holds "$result" = "{} no-store: origin not asked
{} no-cache: origin not asked
{} max-age=0: origin not asked
{} another Accept: origin not asked
{'rfc': True} no-store: origin asked
{'rfc': True} no-cache: origin asked
{'rfc': True} max-age=0: origin asked
{'rfc': True} another Accept: origin asked"
