# shellcheck shell=bash
# What the scripts share. Source it.

cache=${NIKS3_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/niks3}

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
complain() { say "$@"; }

can_be_root() { ((EUID == 0)) || sudo -n true 2>/dev/null; }
as_root() { if ((EUID == 0)); then "$@"; else sudo -n "$@"; fi; }

# Runs a command while no other process runs one under the same name.
locked() { # NAME COMMAND...
    local lock=$cache/.$1.lock
    shift
    flock "$lock" "$@"
}

# Prints those of the packages that dpkg does not know as installed.
missing_packages() { # PACKAGE...
    local package installed=" "
    if command -v dpkg-query >/dev/null; then
        # dpkg-query fails when it does not know one of them
        installed=" $(dpkg-query -W -f '${db:Status-Abbrev}${Package} ' "$@" 2>/dev/null || true)"
    fi
    for package; do
        [[ $installed == *" $package "* && $installed == *"ii $package "* ]] || echo "$package"
    done
}

# Prints the version of a nix program as "2.26".
nix_version() { # PROGRAM
    local line
    [[ -x $1 ]] && line=$("$1" --version 2>/dev/null) || return 1
    [[ $line =~ ([0-9]+\.[0-9]+) ]] && echo "${BASH_REMATCH[1]}"
}

nix_works() { # FOLDER
    nix_version "$1/bin/nix" >/dev/null
}

# Prints the folder of the newest PostgreSQL with all programs a test needs.
postgres_bin() {
    local bin newest=
    while read -r bin; do
        [[ -x $bin/initdb && -x $bin/postgres ]] && newest=$bin
    done < <(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V)
    [[ -n $newest ]] && echo "$newest"
}
