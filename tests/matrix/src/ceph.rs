//! Ceph on one machine: a monitor, a manager, one OSD over a file, and the gateway that speaks S3.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use niks3_test_support::{S3Bucket, free_port, run};

use crate::service::{Program, Service};

/// The user to whom the buckets of the tests belong.
pub(crate) const FIRST: &str = "first";
/// Id of the cluster.
const CLUSTER: &str = "5d2b6b0e-3f0b-4c39-9c57-6d5a5c0a7f11";
/// Bytes of the file with the objects, which takes no more than they do.
const CAPACITY: u64 = 30 << 30;

/// What administrators of the gateway do.
pub(crate) fn admin(service: &Service, arguments: &[&str]) {
    let mut command = tool("radosgw-admin", &service.folder);
    let output = run(command.args(["-n", "client.rgw"]).args(arguments));
    assert!(output.code == 0, "radosgw-admin {arguments:?}: {}", output.stderr);
}

/// A program of Ceph with this cluster's configuration.
fn tool(name: &str, folder: &Path) -> Command {
    let mut command = Command::new(name);
    command.arg("-c").arg(folder.join("ceph.conf"));
    command
}

fn configuration(service: &Service, monitor: &str) -> String {
    let here = service.folder.display();
    let first_osd = free_port();
    format!(
        "[global]
fsid = {CLUSTER}
mon host = {monitor}
public network = 127.0.0.0/8
ms bind ipv6 = false
ms bind port min = {first_osd}
ms bind port max = {last_osd}
keyring = {here}/keyring
run dir = {here}
admin socket = {here}/$name.asok
log file = {here}/$name.ceph.log
mon cluster log file = {here}/cluster.log
crash dir = {here}/crash
auth allow insecure global id reclaim = true
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd crush chooseleaf type = 0
mon allow pool size one = true
mon warn on pool no redundancy = false
mon max pg per osd = 1000
mon data avail crit = 1
mon data avail warn = 2
osd objectstore = bluestore
bluestore block create = true
bluestore block size = {CAPACITY}
bluestore block db create = false
bluestore block wal create = false
osd memory target = 1073741824
[mon.a]
mon data = {here}/mon
[mgr.a]
mgr data = {here}/mgr
[osd.0]
osd data = {here}/osd
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:{port}
rgw data = {here}/rgw
",
        last_osd = first_osd + 200,
        port = service.port
    )
}

/// Makes a cluster and starts it.
pub(crate) fn start(service: &mut Service) {
    for name in ["mon", "mgr", "osd", "rgw", "crash"] {
        std::fs::create_dir(service.folder.join(name)).unwrap();
    }
    let folder = service.folder.clone();
    let monitor = format!("[v2:127.0.0.1:{},v1:127.0.0.1:{}]", free_port(), free_port());
    std::fs::write(folder.join("ceph.conf"), configuration(service, &monitor)).unwrap();
    let keyring = folder.join("keyring").display().to_string();
    for (create, name, capabilities) in [
        (true, "mon.", &[("mon", "allow *")][..]),
        (
            false,
            "client.admin",
            &[("mon", "allow *"), ("osd", "allow *"), ("mgr", "allow *")],
        ),
        (
            false,
            "client.rgw",
            &[("mon", "allow *"), ("osd", "allow *"), ("mgr", "allow *")],
        ),
        (
            false,
            "osd.0",
            &[
                ("mon", "allow profile osd"),
                ("osd", "allow *"),
                ("mgr", "allow profile osd"),
            ],
        ),
        (
            false,
            "mgr.a",
            &[
                ("mon", "allow profile mgr"),
                ("osd", "allow *"),
                ("mds", "allow *"),
            ],
        ),
    ] {
        let mut command = Command::new("ceph-authtool");
        command
            .arg(&keyring)
            .args(create.then_some("--create-keyring"))
            .args(["--gen-key", "-n", name]);
        for (of, what) in capabilities {
            command.args(["--cap", of, what]);
        }
        let _ = run(&mut command).ok();
    }
    let map = folder.join("monmap").display().to_string();
    let mut make_map = Command::new("monmaptool");
    let _ = run(make_map.args(["--create", "--addv", "a", &monitor, "--fsid", CLUSTER, &map])).ok();
    let mkfs = ["-i", "a", "--mkfs", "--monmap", &map, "--keyring", &keyring];
    let _ = run(tool("ceph-mon", &folder).args(mkfs)).ok();
    let begin = |service: &mut Service, program: &str, arguments: &[&str]| {
        service.begin(Program::of(
            program,
            tool(program, &folder).args(arguments).arg("-f"),
        ));
    };
    begin(service, "ceph-mon", &["-i", "a"]);
    let ceph = |arguments: &[&str]| {
        let mut command = Command::new("timeout");
        command
            .args(["60", "ceph", "-c"])
            .arg(folder.join("ceph.conf"))
            .args(arguments);
        run(&mut command)
    };
    let uuid = "b6f1cdb4-0a9e-4b53-8d49-bb9ad4f2c0d5";
    let _ = ceph(&["osd", "new", uuid, "0"]).ok();
    let _ = run(tool("ceph-osd", &folder).args(["-i", "0", "--mkfs", "--osd-uuid", uuid])).ok();
    begin(service, "ceph-osd", &["-i", "0"]);
    let placed = (0..60).any(|_| {
        std::thread::sleep(Duration::from_secs(1));
        ceph(&["osd", "crush", "add", "osd.0", "1.0", "root=default", "host=here"]).code == 0
    });
    assert!(placed, "Ceph takes no OSD");
    begin(service, "ceph-mgr", &["-i", "a"]);
    begin(service, "radosgw", &["-n", "client.rgw"]);
    service.wait_for_answer();
    let first = S3Bucket::new(service.port, "any");
    admin(
        service,
        &[
            "user",
            "create",
            "--uid",
            FIRST,
            "--display-name",
            FIRST,
            "--access-key",
            first.access_key,
            "--secret-key",
            first.secret_key,
            "--max-buckets",
            "0",
        ],
    );
}
