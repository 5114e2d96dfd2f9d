#!/usr/bin/env python3
"""Runs niks3 on every S3 service that is installed here, and prints the table of docs/services.md.

Each service is started on a port of its own with an empty folder. The programs are those in target/debug, or in the folder
that NIKS3_BIN names. `scripts/matrix` sets the environment.
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = pathlib.Path(os.environ.get("NIKS3_BIN", REPOSITORY / "target/debug"))
ACCESS = "GK0123456789abcdef01234567"
SECRET = "0123456789abcdef" * 4
BUCKET = "matrix"
# Several parts of a multipart upload.
LARGE = 96 << 20
# A collection of so few objects takes seconds.
TIMEOUT = 300


class Failed(Exception):
    """A check that did not hold, in words."""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def run(command, environment=None, timeout=TIMEOUT, check=True):
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired as expired:
        raise Failed(f"{' '.join(map(str, command[:3]))} does not end within {timeout} s") from expired
    if check and done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise Failed(lines[-1][:160] if lines else f"exit code {done.returncode}")
    return done


class Process:
    """A program that is ended by its id."""

    def __init__(self, command, folder, name, environment=None):
        self.command, self.log, self.environment = command, folder / f"{name}.log", environment
        self.start()

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, env=self.environment, stdout=log, stderr=log)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


class Service:
    """One S3 service over a folder."""

    def __init__(self, name, folder):
        self.name, self.folder, self.port = name, folder, free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.data = folder / "data"
        self.data.mkdir()
        self.region = "garage" if name == "Garage" else "us-east-1"
        self.process = Process(*getattr(self, "_" + name.lower())())
        self.make_bucket()

    @staticmethod
    def program(name):
        if name == "Garage":
            path = os.environ.get("NIKS3_TEST_GARAGE", pathlib.Path.home() / ".cache/niks3/garage-2.5.0/bin/garage")
        else:
            path = pathlib.Path(os.environ.get("NIKS3_TEST_S3_SERVICES", "/nonexistent")) / name.lower()
        return pathlib.Path(path)

    def _minio(self):
        environment = {**os.environ, "MINIO_ROOT_USER": ACCESS, "MINIO_ROOT_PASSWORD": SECRET, "MINIO_BROWSER": "off"}
        command = [self.program("MinIO"), "server", "--quiet", "--address", f"127.0.0.1:{self.port}", self.data]
        return command, self.folder, "service", environment

    def _versitygw(self):
        command = [self.program("versitygw"), "--access", ACCESS, "--secret", SECRET, "--port",
                   f"127.0.0.1:{self.port}", "posix", self.data]
        return command, self.folder, "service"

    def _garage(self):
        rpc = free_port()
        (self.folder / "garage.toml").write_text(
            f'metadata_dir = "{self.folder}/meta"\ndata_dir = "{self.data}"\ndb_engine = "lmdb"\n'
            f'replication_factor = 1\nmetadata_fsync = false\nrpc_bind_addr = "127.0.0.1:{rpc}"\n'
            f'rpc_public_addr = "127.0.0.1:{rpc}"\nrpc_secret = "{SECRET}"\n[s3_api]\ns3_region = "garage"\n'
            f'api_bind_addr = "127.0.0.1:{self.port}"\n')
        return self.garage("server"), self.folder, "service"

    def garage(self, *arguments):
        return [self.program("Garage"), "-c", self.folder / "garage.toml", *arguments]

    def request(self, method, path, *more):
        return run(["curl", "--silent", "--show-error", "--fail", "--aws-sigv4", f"aws:amz:{self.region}:s3",
                    "--user", f"{ACCESS}:{SECRET}", "--header", "x-amz-content-sha256: UNSIGNED-PAYLOAD",
                    "--request", method, *more, f"{self.endpoint}/{BUCKET}{path}"], check=False)

    def make_bucket(self):
        for _ in range(200):
            if self.name == "Garage":
                node = run(self.garage("node", "id", "-q"), check=False)
                made = node.returncode == 0 and run(self.garage("status"), check=False).returncode == 0
                if made:
                    node = node.stdout.split("@")[0]
                    for step in (["layout", "assign", "-z", "here", "-c", "1G", node],
                                 ["layout", "apply", "--version", "1"],
                                 ["key", "import", "--yes", ACCESS, SECRET],
                                 ["bucket", "create", BUCKET],
                                 ["bucket", "allow", "--read", "--write", "--owner", BUCKET, "--key", ACCESS]):
                        run(self.garage(*step))
            else:
                made = self.request("PUT", "").returncode == 0
            if made:
                return
            time.sleep(0.1)
        raise Failed(f"{self.name} makes no bucket")


class Machine:
    """A Nix store of its own, which pushes or reads."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "etc").mkdir(parents=True)
        (folder / "home").mkdir()
        (folder / "etc/nix.conf").write_text(
            "build-users-group =\nsandbox = false\nsubstituters =\nrequire-sigs = true\n"
            "experimental-features = nix-command ca-derivations\n")
        self.environment = {
            **os.environ, "NIX_REMOTE": "", "NIX_STORE_DIR": str(folder / "store"),
            "NIX_STATE_DIR": str(folder / "state"), "NIX_LOG_DIR": str(folder / "log"),
            "NIX_CONF_DIR": str(folder / "etc"), "HOME": str(folder / "home"),
            "XDG_CACHE_HOME": str(folder / "home/cache"), "XDG_CONFIG_HOME": str(folder / "home/config"),
            "XDG_DATA_HOME": str(folder / "home/data"), "XDG_STATE_HOME": str(folder / "home/state")}
        run(["nix-store", "--init"], self.environment)

    def build(self, name, script, more="", options=()):
        expression = (f'derivation {{ name = "{name}"; system = builtins.currentSystem; builder = "/bin/sh"; '
                      f'PATH = "/usr/bin:/bin"; args = [ "-ec" \'\'{script}\'\' ]; {more} }}')
        done = run(["nix-build", "--no-out-link", "-E", expression, *options], self.environment)
        return done.stdout.strip()

    def empty(self):
        run(["chmod", "-R", "u+w", self.folder / "store"], check=False)
        for name in ("store", "state", "home/cache"):
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def add(self, name, size):
        """A file of random bytes, which nothing compresses."""
        file = self.folder / name
        with open(file, "wb") as output:
            for _ in range(size >> 20):
                output.write(os.urandom(1 << 20))
        path = run(["nix-store", "--add", file], self.environment).stdout.strip()
        file.unlink()
        return path


CONTENT_ADDRESSED = '__contentAddressed = true; outputHashMode = "recursive"; outputHashAlgo = "sha256";'


class Trial:
    """niks3 on one service: every check is a method, in order."""

    def __init__(self, name, folder):
        self.folder = folder
        self.service = Service(name, folder)
        self.machine = Machine(folder / "machine")
        (folder / "access-key").write_text(ACCESS)
        (folder / "secret-key").write_text(SECRET)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        data = folder / "server"
        self.server = Process(
            [PROGRAMS / "niks3-server", "--data-dir", data, "--http-addr", f"127.0.0.1:{port}", "--server-url",
             self.url, "--store-dir", folder / "machine/store", "--enable-read-proxy", "--s3-bucket", BUCKET,
             "--s3-endpoint", self.service.endpoint, "--s3-bucket-lookup", "path",
             "--s3-access-key-path", folder / "access-key", "--s3-secret-key-path", folder / "secret-key"],
            folder, "server")
        self.environment = {**self.machine.environment, "NIKS3_SERVER_URL": self.url,
                            "NIKS3_AUTH_TOKEN_FILE": str(data / "api-token")}
        for _ in range(300):
            with contextlib.suppress(OSError), urllib.request.urlopen(self.url + "/ready", timeout=5) as answer:
                if answer.status == 200:
                    break
            if self.server.process.poll() is not None:
                raise Failed(self.server.log.read_text().strip().splitlines()[-1][:160])
            time.sleep(0.1)
        else:
            raise Failed("the server does not become ready")
        config = json.load(urllib.request.urlopen(self.url + "/api/v1/cache-config", timeout=5))
        self.key = " ".join(config["public_keys"])

    def close(self):
        for process in (self.server, self.service.process):
            with contextlib.suppress(ProcessLookupError):
                process.kill()

    def niks3(self, *arguments):
        return run([PROGRAMS / "niks3", *arguments], self.environment)

    def push(self, *arguments):
        return json.loads(self.niks3("push", "--json", "--no-skip-upstream", *arguments).stdout)

    def read(self, path, name):
        run(["nix", "copy", "--from", self.url, "--to", self.folder / name, "--option", "trusted-public-keys", self.key,
             path], self.machine.environment)
        copied = self.folder / name / path.lstrip("/")
        if not copied.exists():
            raise Failed("what was read is not there")
        if run(["cmp", path, copied] if copied.is_file() else ["diff", "-r", path, copied], check=False).returncode:
            raise Failed("what was read differs")

    def get(self, key):
        with urllib.request.urlopen(f"{self.url}/{key}", timeout=60) as answer:
            return answer.read()

    def small(self):
        self.small_path = self.machine.build("small", "mkdir $out; echo hello > $out/x; echo a line of the log")
        if self.push(self.small_path)["uploaded"] != 1:
            raise Failed("it was not uploaded")
        self.read(self.small_path, "read-small")

    def large(self):
        self.large_path = self.machine.add("large", LARGE)
        self.push(self.large_path)
        self.read(self.large_path, "read-large")

    def resume(self):
        path = self.machine.add("resumed", LARGE)
        killed = Process([PROGRAMS / "niks3", "push", "--json", "--no-skip-upstream", path], self.folder, "killed",
                         self.environment)
        uploads = self.open_uploads()
        for _ in range(600):
            if self.open_uploads() > uploads or killed.process.poll() is not None:
                break
            time.sleep(0.02)
        time.sleep(0.3)
        finished = killed.process.poll() is not None
        killed.kill()
        again = self.push(path)
        self.read(path, "read-resumed")
        if finished:
            raise Failed("the push was done before it could be killed")
        return f"yes, {again['bytes_sent'] >> 20} of {LARGE >> 20} MiB sent again"

    def open_uploads(self):
        return self.service.request("GET", "?uploads").stdout.count("<UploadId>")

    def pin(self):
        self.push(self.small_path, "--pin", "release")
        if self.get("pins/release").decode().strip() != self.small_path:
            raise Failed("the pin names something else")

    def log(self):
        shown = run(["nix", "log", "--store", self.url, self.small_path], self.machine.environment)
        if "a line of the log" not in shown.stdout:
            raise Failed("the log is another one")

    def realisation(self):
        reader = Machine(self.folder / "reader")
        reader.environment |= {"NIX_STORE_DIR": self.machine.environment["NIX_STORE_DIR"]}
        path = self.machine.build("floating", "echo floating > $out", CONTENT_ADDRESSED)
        self.push(path)
        kept = self.folder / "machine/store-kept"
        (self.folder / "machine/store").rename(kept)
        try:
            options = ["-j0", "--option", "substituters", self.url, "--option", "trusted-public-keys", self.key]
            found = reader.build("floating", "echo floating > $out", CONTENT_ADDRESSED, options)
        finally:
            run(["chmod", "-R", "u+w", self.folder / "machine/store"], check=False)
            shutil.rmtree(self.folder / "machine/store", ignore_errors=True)
            kept.rename(self.folder / "machine/store")
        if found != path:
            raise Failed("another path was found")

    def ranges(self):
        name = pathlib.Path(self.large_path).name[:32]
        narinfo = self.get(f"{name}.narinfo").decode()
        nar = next(line[5:] for line in narinfo.splitlines() if line.startswith("URL: "))
        request = urllib.request.Request(f"{self.url}/{nar}", headers={"Range": "bytes=4-11"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            if answer.status != 206 or len(answer.read()) != 8:
                raise Failed(f"HTTP {answer.status}")

    def restart(self):
        path = self.machine.add("restarted", LARGE)
        pushing = Process([PROGRAMS / "niks3", "push", "--json", "--no-skip-upstream", path], self.folder, "pushing",
                          self.environment)
        time.sleep(0.5)
        self.service.process.kill()
        time.sleep(2)
        self.service.process.start()
        try:
            code = pushing.process.wait(TIMEOUT)
        except subprocess.TimeoutExpired as expired:
            pushing.kill()
            raise Failed(f"the push does not end within {TIMEOUT} s") from expired
        if code != 0:
            raise Failed(pushing.log.read_text().strip().splitlines()[-1][:160])
        self.read(path, "read-restarted")

    def gc(self):
        foreign = self.service.request("POST", "/foreign/upload?uploads")
        if foreign.returncode:
            raise Failed("no foreign upload could be opened: " + foreign.stderr.strip()[:100])
        uploads = self.open_uploads()
        began = time.monotonic()
        self.niks3("gc", "--older-than=0s", "--failed-uploads-older-than=0s", "--force")
        seconds = time.monotonic() - began
        try:
            self.get(f"{pathlib.Path(self.large_path).name[:32]}.narinfo")
            raise Failed("what nothing needs is still there")
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise Failed(f"HTTP {error.code}") from error
        self.get(f"{pathlib.Path(self.small_path).name[:32]}.narinfo")
        if uploads and not self.open_uploads():
            raise Failed("a foreign upload was aborted")
        return f"yes, {seconds:.0f} s"

    def fsck(self):
        report = json.loads(self.niks3("fsck", "--repair", "--json").stdout)
        if report["findings"]:
            raise Failed(str(report["findings"])[:160])


CHECKS = [
    ("small", "push and read a small path"),
    ("large", f"push and read {LARGE >> 20} MiB in parts"),
    ("resume", "killed client: the next push goes on"),
    ("pin", "pin"),
    ("log", "build log"),
    ("realisation", "content-addressed derivation, read with `-j0`"),
    ("ranges", "range of a NAR through the read proxy"),
    ("restart", "service killed and started again during a push"),
    ("gc", "`gc` beside a foreign multipart upload"),
    ("fsck", "`fsck --repair` finds nothing"),
]


def trial(name, keep):
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"niks3-matrix-{name}-"))
    results = {}
    try:
        try:
            running = Trial(name, folder)
        except Failed as failed:
            return {check: f"no: {failed}" if check == CHECKS[0][0] else "not run" for check, _ in CHECKS}
        try:
            for check, _ in CHECKS:
                try:
                    results[check] = getattr(running, check)() or "yes"
                except (Failed, OSError, KeyError, AttributeError) as failed:
                    results[check] = f"no: {failed}"
                print(f"{name}: {check}: {results[check]}", file=sys.stderr, flush=True)
        finally:
            running.close()
    finally:
        if keep:
            print(f"{name}: {folder}", file=sys.stderr)
        else:
            run(["chmod", "-R", "u+w", folder], check=False)
            shutil.rmtree(folder, ignore_errors=True)
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("services", nargs="*", default=["MinIO", "versitygw", "Garage"])
    parser.add_argument("--keep", action="store_true", help="leave the folders of the services")
    arguments = parser.parse_args()
    installed = [name for name in arguments.services if Service.program(name).exists()]
    for name in set(arguments.services) - set(installed):
        print(f"{name} is not installed: scripts/setup --s3-services --garage", file=sys.stderr)
    results = {name: trial(name, arguments.keep) for name in installed}
    print(f"| | {' | '.join(installed)} |\n|---|{'---|' * len(installed)}")
    for check, title in CHECKS:
        cells = " | ".join(results[name].get(check, "not run").replace("|", "\\|") for name in installed)
        print(f"| {title} | {cells} |")
    failed = [name for name in installed if any(not cell.startswith("yes") for cell in results[name].values())]
    return 1 if failed or len(installed) < len(arguments.services) else 0


if __name__ == "__main__":
    sys.exit(main())
