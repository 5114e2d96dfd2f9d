#!/usr/bin/env bash
# Part: pgpool-II 4.3.5 (Debian 12) with pg8000 1.31.5 (PyPI) and PostgreSQL 16.2
# A prepared INSERT outside of any transaction leaves one open behind pgpool-II in raw mode.
#
# One would guess that the statement is committed by itself, as without pgpool-II: raw mode has one server and no replication. pgpool-II begins a
# transaction of its own for INSERT, UPDATE and DELETE and does not end it. With the end of the connection the change is undone.
# With a driver that prepares its statements each change was successful, and is gone when the connection ends.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_postgres max_connections=20
direct=$port
pgpool=$(debian bookworm pgpool2=4.3.5-1+deb12u1)
cat >"$work/bin/pgpool" <<END
#!/bin/sh
exec "$pgpool/lib64/ld-linux-x86-64.so.2" --argv0 pgpool --library-path "$pgpool/lib/x86_64-linux-gnu:$pgpool/usr/lib/x86_64-linux-gnu" "$pgpool/usr/sbin/pgpool" "\$@"
END
chmod +x "$work/bin/pgpool"
port=$(free_port)
cat >"$work/pgpool.conf" <<END
backend_clustering_mode = 'raw'
backend_hostname0 = '127.0.0.1'
backend_port0 = $direct
listen_addresses = '127.0.0.1'
port = $port
pcp_listen_addresses = ''
pcp_port = $(free_port)
unix_socket_directories = '$work'
pcp_socket_dir = '$work'
pid_file_name = '$work/pgpool.pid'
logdir = '$work'
num_init_children = 4
END
: >"$work/empty"
start "$port" pgpool -n -f "$work/pgpool.conf" -a "$work/empty" -F "$work/empty"
version "pgpool-II 4.3.5, raw mode"
guess "others see the change both times, before and after the end of the connection"
pip_install pg8000==1.31.5
result=$(timeout 60 python3 - "$direct" "$port" <<'END'
import sys
import time

import pg8000.native


def connect(port):
    return pg8000.native.Connection("postgres", host="127.0.0.1", port=int(port), database="postgres")


other = connect(sys.argv[1])
other.run("CREATE TABLE pin (name text)")


def states():
    return [row[0] for row in other.run("SELECT state FROM pg_stat_activity WHERE query LIKE 'INSERT INTO pin VALUES (%' AND pid <> pg_backend_pid()")]


for name, port in zip(("direct", "pgpool-II"), sys.argv[1:]):
    connection = connect(port)
    connection.prepare("INSERT INTO pin VALUES (:name)").run(name=name)
    print(f"{name}: {states()}, others see {other.run('SELECT name FROM pin')}")
    connection.close()
    for _ in range(100):
        if not states():
            break
        time.sleep(0.1)
    print(f"{name}, after the end: others see {other.run('SELECT name FROM pin')}")
END
)
seen "$result"
holds "$result" = "direct: ['idle'], others see [['direct']]
direct, after the end: others see [['direct']]
pgpool-II: ['idle in transaction'], others see [['direct']]
pgpool-II, after the end: others see [['direct']]"
