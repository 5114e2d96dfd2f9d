#!/usr/bin/env bash
# Part: PgBouncer 1.24.1 (Debian 13) with asyncpg 0.32.0 (PyPI) and PostgreSQL 16.2
# After a migration, even a client that connects anew gets "cached statement plan is invalid" behind PgBouncer.
#
# One would guess that a new connection knows nothing of old plans, as without PgBouncer, and that a restart of the program helps. With pool_mode=transaction, PgBouncer
# keeps prepared statements in the connections to the server, by their text, and gives them to whoever prepares the same text.
# After ALTER TABLE each `SELECT *` fails until the connections of PgBouncer are renewed (RECONNECT), whatever is restarted.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_postgres max_connections=20
direct=$port
sbin_from "$(debian trixie pgbouncer=1.24.1-1+deb13u2)" pgbouncer
port=$(free_port)
cat >"$work/pgbouncer.ini" <<END
[databases]
postgres = host=127.0.0.1 port=$direct user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $port
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 1
END
# It does not run as root.
chmod 711 "$work"
[[ $(id -u) != 0 ]] || echo "user = nobody" >>"$work/pgbouncer.ini"
start "$port" pgbouncer "$work/pgbouncer.ini"
version "PgBouncer 1.24.1 of Debian 13"
guess "2 columns each time"
pip_install asyncpg==0.32.0
result=$(timeout 60 python3 - "$direct" "$port" <<'END'
import asyncio
import sys

import asyncpg


async def connect(port, database="postgres", user="postgres", **options):
    return await asyncpg.connect(host="127.0.0.1", port=int(port), user=user, database=database, **options)


async def columns(port):
    connection = await connect(port)
    try:
        return len(await connection.fetchrow("SELECT * FROM pin"))
    except asyncpg.PostgresError as error:
        return error
    finally:
        await connection.close()


async def main():
    for name, port in zip(("direct", "PgBouncer"), sys.argv[1:]):
        other = await connect(sys.argv[1])
        await other.execute("DROP TABLE IF EXISTS pin; CREATE TABLE pin (name text); INSERT INTO pin VALUES ('a')")
        await columns(port)
        await other.execute("ALTER TABLE pin ADD COLUMN until timestamptz")
        for _ in range(2):
            print(f"{name}, a new connection: {await columns(port)}")


asyncio.run(main())
END
)
seen "$result"
holds "$result" = "direct, a new connection: 2
direct, a new connection: 2
PgBouncer, a new connection: cached statement plan is invalid due to a database schema or configuration change
PgBouncer, a new connection: cached statement plan is invalid due to a database schema or configuration change"
