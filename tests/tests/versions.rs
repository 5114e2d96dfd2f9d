//! Buckets that keep what is deleted.

use niks3_test_support::{S3Service, Store, run};
use niks3_tests::on_versions::{self, RULE, attempt};

macro_rules! on_services {
    ($($name:ident: $service:ident),+ $(,)?) => {
        $(mod $name {
            use super::*;

            #[test]
            fn a_versioned_bucket_is_seen_and_deleted_objects_go_for_good_when_asked_for() {
                on_versions::a_versioned_bucket_is_seen_and_deleted_objects_go_for_good_when_asked_for(
                    S3Service::$service.bucket(),
                );
            }

            #[test]
            fn what_others_have_deleted_can_be_had_back() {
                on_versions::what_others_have_deleted_can_be_had_back(S3Service::$service.bucket());
            }

            #[test]
            fn nothing_that_a_push_brings_goes_with_old_versions() {
                on_versions::nothing_that_a_push_brings_goes_with_old_versions(S3Service::$service.bucket());
            }

            #[test]
            fn a_default_retention_is_refused() {
                on_versions::a_default_retention_is_refused(&S3Service::$service.bucket());
            }
        })+
    };
}

on_services! {
    minio: Minio,
    versitygw: Versitygw,
}

#[test]
fn a_rule_that_lets_old_versions_go_ends_the_warning() {
    let store = Store::default();
    let bucket = S3Service::Minio.bucket();
    bucket.enable_versions();
    bucket.expire_old_versions();
    let server = attempt(bucket, &store).unwrap_or_else(|output| panic!("{output:?}"));
    assert!(!server.log().contains(RULE), "{}", server.log());
    let checked = run(server.niks3().args(["fsck"]));
    assert_eq!(checked.code, 0, "{checked:?}");
}
