//! The whole server on S3 services that answer otherwise than Garage.

use niks3_test_support::{
    APP, Backend, Bucket, S3Bucket, S3Service, Server, ServerOptions, Store, check_bucket, garage_bucket, run,
};

fn on(bucket: S3Bucket, store: &Store) -> Server {
    Server::with(
        Backend::Services,
        ServerOptions {
            store_dir: Some(store.dir()),
            bucket: Some(bucket),
            ..ServerOptions::default()
        },
    )
}

fn push(server: &Server, store: &Store, path: &str) {
    let mut command = server.niks3();
    store.prepare(command.args(["push", "--pin", "app", path]));
    let _ = run(&mut command).ok();
}

fn uploads_of_others_end_no_collection_and_stay(bucket: S3Bucket) {
    let store = Store::default();
    let behind = Bucket::Service(Box::new(bucket.clone()));
    let server = on(bucket, &store);
    let path = store.build(APP).remove(0);
    push(&server, &store, &path);
    let others = ["other/backup.tar", "other/backup.tar", "staging/parts/of-another"];
    for key in others {
        behind.begin_upload(key);
    }
    for command in [
        &[
            "gc",
            "--older-than=0s",
            "--failed-uploads-older-than=0s",
            "--force",
        ][..],
        &["fsck"],
        &["fsck", "--repair"],
    ] {
        let _ = run(server.niks3().args(command)).ok();
        let mut left = behind.uploads();
        left.sort();
        assert_eq!(left, others, "{command:?}");
    }
    // Anybody else's collection ends as well when there is something to delete.
    let other = store.build("build \"other\" \"echo other > $out\"").remove(0);
    let mut command = server.niks3();
    store.prepare(command.args(["push", &other]));
    let _ = run(&mut command).ok();
    let collected = run(server
        .niks3()
        .args(["gc", "--older-than=0s", "--force", "--json"]))
    .json();
    let counts = &collected["gc"]["counts"];
    assert_eq!(counts["old_closures_deleted"], 1, "{collected}");
    assert_eq!(counts["objects_failed_to_delete"], 0, "{collected}");
    let closure = store.closure(&path);
    assert_eq!(
        check_bucket(&server, &store.dir(), &closure, &[]).len(),
        closure.len()
    );
}

macro_rules! on_services {
    ($($name:ident: $bucket:expr),+ $(,)?) => {
        $(mod $name {
            use super::*;

            #[test]
            fn uploads_of_others_end_no_collection_and_stay() {
                super::uploads_of_others_end_no_collection_and_stay($bucket);
            }
        })+
    };
}

on_services! {
    garage: garage_bucket(),
    minio: S3Service::Minio.bucket(),
    versitygw: S3Service::Versitygw.bucket(),
}

/// Garage is in the region `garage`; versitygw says which one it is in, too.
#[test]
fn the_region_that_a_service_names_is_used_when_none_is_given() {
    let store = Store::default();
    let bucket = S3Bucket {
        region: "",
        ..garage_bucket()
    };
    let server = on(bucket, &store);
    let path = store.build(APP).remove(0);
    push(&server, &store, &path);
    store.substitutes(&server.url(), server.public_key(), &path);
}
