#!/bin/sh
# Makes the secrets of compose.yaml, those that are not there yet.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
random() { head -c "$1" /dev/urandom | od -An -tx1 | tr -d ' \n'; }
make() { [ -e "secrets/$1" ] || printf '%s\n' "$2" >"secrets/$1"; }
make api-token "$(random 32)"
make s3-access-key "GK$(random 12)"
make s3-secret-key "$(random 32)"
make garage.env "GARAGE_RPC_SECRET=$(random 32)
GARAGE_DEFAULT_ACCESS_KEY=$(cat secrets/s3-access-key)
GARAGE_DEFAULT_SECRET_KEY=$(cat secrets/s3-secret-key)
GARAGE_DEFAULT_BUCKET=niks3"
# The users in the containers are others than here: the folder keeps others out, not the files.
chmod 644 secrets/*
