//! The whole server on S3 services that answer otherwise than Garage.

use niks3_test_support::{APP, S3Bucket, S3Service, Store, garage_bucket};
use niks3_tests::on_service::{self, on, push};

macro_rules! on_services {
    ($($name:ident: $bucket:expr),+ $(,)?) => {
        $(mod $name {
            use super::*;

            #[test]
            fn uploads_of_others_end_no_collection_and_stay() {
                on_service::uploads_of_others_end_no_collection_and_stay($bucket);
            }

            #[test]
            fn a_clock_that_differs_from_that_of_the_service_is_made_up_for() {
                on_service::a_clock_that_differs_from_that_of_the_service_is_made_up_for($bucket);
            }

            #[test]
            fn conditions_of_readers_hold() {
                on_service::conditions_of_readers_hold($bucket);
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
