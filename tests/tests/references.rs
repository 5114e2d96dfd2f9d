//! Ids and what refers to them: no reference outlives what it names, and nothing is found by an id that was another's.

use niks3_nix::hash::{FileHash, NarHash};
use niks3_test_support::{Backend, Server, ServerOptions, Site, on_both, run};
use niks3_tests::api::{A, Answer, Api, B, nar_of};
use niks3_tests::references::{dangling_references, id_columns, never_reuses_ids, references};
use reqwest::Method;
use serde_json::{Value, json};

on_both!(
    no_table_that_is_referred_to_gives_out_an_id_again,
    a_large_path_that_was_collected_is_uploaded_again_and_not_mistaken_for_another,
    an_upload_in_parts_whose_nar_was_collected_has_ended,
    parts_that_became_another_nar_are_not_taken_for_this_one,
    an_upload_that_was_announced_for_other_contents_counts_for_nothing,
    a_run_that_is_forgotten_is_no_longer_referred_to,
);

/// Columns with ids of other systems.
const FOREIGN: [(&str, &str); 8] = [
    ("runs", "repository_id"),
    ("runs", "owner_id"),
    ("runs", "job_id"),
    ("runs", "run_id"),
    ("multiparts", "upload_id"),
    ("ownership", "database_id"),
    ("ownership", "claim_id"),
    ("ownership", "bucket_id"),
];

async fn no_table_that_is_referred_to_gives_out_an_id_again(backend: Backend) {
    let server = Server::with(backend, ServerOptions::default());
    let references = references(&server);
    for ((table, column), number) in id_columns(&server) {
        let known = references
            .iter()
            .any(|reference| reference.table == table && reference.column == column);
        let foreign = FOREIGN.contains(&(table.as_str(), column.as_str()));
        assert!(
            known != foreign && number == known,
            "{table}.{column} is no reference that is known: is it a foreign key, or kept by the server?"
        );
    }
    assert!(references.len() >= 20, "{references:?}");
    for reference in references {
        assert!(never_reuses_ids(&server, &reference.target), "{reference:?}");
    }
}

/// Makes all upload URLs so old that none of them works any more.
fn age(server: &Server) {
    let _ = server.sql("UPDATE objects SET announced_at = 1");
}

/// Lets go of everything that is not pinned.
fn collect(server: &Server) {
    age(server);
    let collected = ["gc", "--older-than=0s", "--force"];
    let _ = run(server.niks3().args(collected)).ok();
    assert_eq!(dangling_references(server), [""; 0]);
}

async fn a_large_path_that_was_collected_is_uploaded_again_and_not_mistaken_for_another(backend: Backend) {
    let site = Site::new(backend).await;
    let build = |name: &str, bytes: u32| {
        let script = format!("mkdir $out; head -c {bytes} /dev/urandom > $out/noise");
        site.store
            .build(&format!("build \"{name}\" \"{script}\""))
            .remove(0)
    };
    let (large, small) = (build("large", 9 << 20), build("small", 5000));
    let _ = site.push(&large).ok();
    assert_eq!(
        site.server.sql("SELECT count(*) FROM multiparts WHERE state = 1"),
        ["1"]
    );
    collect(&site.server);
    assert_eq!(site.server.sql("SELECT count(*) FROM objects"), ["0"]);
    let _ = site.push(&small).ok();
    let _ = site.push(&large).ok();
    site.whole(&large);
    site.whole(&small);
    assert_eq!(dangling_references(&site.server), [""; 0]);
}

const PART: usize = 8 << 20;

/// Bytes that do not get smaller.
fn noise(seed: u8, count: usize) -> Vec<u8> {
    (0..count.div_ceil(32) as u64)
        .flat_map(|number| {
            let mut text = number.to_le_bytes().to_vec();
            text.push(seed);
            *FileHash::of(&text).as_bytes()
        })
        .take(count)
        .collect()
}

/// A NAR that goes up in parts.
struct Large {
    nar: Vec<u8>,
    file: Vec<u8>,
}

impl Large {
    fn new(seed: u8) -> Self {
        let nar = nar_of(&noise(seed, 9 << 20));
        let file = zstd::encode_all(&nar[..], 1).unwrap();
        Self { nar, file }
    }

    fn claim(&self, path: &str) -> Value {
        let hash = NarHash::of(&self.nar).to_string();
        json!([{ "path": path, "nar_hash": hash, "nar_size": self.nar.len(), "references": [] }])
    }

    async fn open(&self, api: &Api, path: &str) -> String {
        let push = api.open(path).await;
        let claimed = api.claim(&push, self.claim(path)).await.ok();
        assert_eq!(claimed["needed"], json!([path]));
        push
    }

    fn parts(&self) -> Vec<Value> {
        (1..)
            .zip(self.file.chunks(PART))
            .map(|(number, part)| {
                json!({ "number": number, "size": part.len(), "sha256": FileHash::of(part).to_string() })
            })
            .collect()
    }

    async fn send(&self, api: &Api, upload: &str) {
        let asked = json!({ "parts": self.parts() });
        let targets = api.post(&format!("{upload}/parts"), &asked).await.ok();
        let targets = targets["parts"].as_array().unwrap().iter();
        for (target, part) in targets.zip(self.file.chunks(PART)) {
            let url = target["url"].as_str().unwrap();
            assert_eq!(api.put(url, &target["headers"], part).await, 200);
        }
    }

    async fn complete(&self, api: &Api, upload: &str) -> Answer {
        let hash = FileHash::of(&self.file).to_string();
        let whole = json!({ "file_hash": hash, "file_size": self.file.len(), "parts": self.parts() });
        api.post(&format!("{upload}/complete"), &whole).await
    }
}

/// Begins an upload in parts for a push, or goes on with one; where its verbs are.
async fn begin(api: &Api, push: &str, path: &str) -> String {
    let begin = json!({ "path": path, "part_size": PART, "compressor": "test", "fresh": false });
    let path = format!("/pushes/{push}/multipart-uploads");
    format!("{path}/{}", api.post(&path, &begin).await.ok()["id"])
}

async fn give_up(api: &Api, push: &str) {
    let path = format!("/api/v1/pushes/{push}");
    let gone = api.send(Method::DELETE, &path, &api.token, "", "").await;
    assert_eq!(gone.status, 204, "{}", gone.body);
}

fn id(upload: &str) -> &str {
    upload.rsplit('/').next().unwrap()
}

async fn an_upload_in_parts_whose_nar_was_collected_has_ended(backend: Backend) {
    let api = Api::new(backend, &[]);
    let large = Large::new(1);
    let first = large.open(&api, A).await;
    let upload = begin(&api, &first, A).await;
    large.send(&api, &upload).await;
    large.complete(&api, &upload).await.ok();
    let second = large.open(&api, A).await;
    let same = begin(&api, &second, A).await;
    assert_eq!(id(&same), id(&upload));
    // The second push has not said yet that it wants the NAR.
    give_up(&api, &first).await;
    collect(&api.server);
    assert_eq!(api.server.sql("SELECT count(*) FROM objects"), ["0"]);
    let problem = large.complete(&api, &same).await.problem(409);
    assert!(
        problem["detail"].as_str().unwrap().contains("begin another"),
        "{problem}"
    );
    let other = begin(&api, &second, A).await;
    assert_ne!(id(&other), id(&upload));
    large.send(&api, &other).await;
    large.complete(&api, &other).await.ok();
}

/// However it came about that an upload in parts names another NAR, that is not what its parts made.
async fn parts_that_became_another_nar_are_not_taken_for_this_one(backend: Backend) {
    let api = Api::new(backend, &[]);
    let large = Large::new(1);
    let first = large.open(&api, A).await;
    let upload = begin(&api, &first, A).await;
    large.send(&api, &upload).await;
    large.complete(&api, &upload).await.ok();
    let small = nar_of(b"small");
    let pushed = api.push(B, &small).await;
    assert!(pushed.status.is_success(), "{}", pushed.body);
    let key = format!(
        "nar/{}.nar.zst",
        FileHash::of(&zstd::encode_all(&small[..], 3).unwrap()).base32()
    );
    let of_small = format!("(SELECT id FROM objects WHERE key = '{key}')");
    let _ = api
        .server
        .sql(&format!("UPDATE multiparts SET object_id = {of_small}"));
    let second = large.open(&api, A).await;
    let same = begin(&api, &second, A).await;
    assert_eq!(id(&same), id(&upload));
    large.complete(&api, &same).await.problem(409);
    let linked = format!("SELECT count(*) FROM push_paths WHERE object_id = {of_small}");
    assert_eq!(api.server.sql(&linked), ["0"]);
}

async fn an_upload_that_was_announced_for_other_contents_counts_for_nothing(backend: Backend) {
    let api = Api::new(backend, &[]);
    let (one, other) = (nar_of(b"one"), nar_of(b"other"));
    let claim = |nar: &[u8]| {
        let hash = NarHash::of(nar).to_string();
        json!([{ "path": A, "nar_hash": hash, "nar_size": nar.len(), "references": [] }])
    };
    let push = api.open(A).await;
    api.claim(&push, claim(&one)).await.ok();
    let packed = zstd::encode_all(&one[..], 3).unwrap();
    api.upload(&push, "nar", A, &packed).await;
    api.upload(&push, "listing", A, b"{}").await;
    // The same again changes nothing.
    api.claim(&push, claim(&one)).await.ok();
    let announced = "SELECT count(*) FROM push_paths WHERE object_id <> 0 AND listing <> ''";
    assert_eq!(api.server.sql(announced), ["1"]);
    api.claim(&push, claim(&other)).await.ok();
    assert_eq!(api.server.sql(announced), ["0"]);
    let commit = api.post(&format!("/pushes/{push}/commit"), &json!({})).await;
    let problem = commit.problem(409);
    assert_eq!(
        problem["missing"],
        json!([format!("listing {A}"), format!("nar {A}")])
    );
}

async fn a_run_that_is_forgotten_is_no_longer_referred_to(backend: Backend) {
    let api = Api::new(backend, &[]);
    let run = json!({ "provider": "ci", "repository": "o/r", "run_id": "7" });
    let body = json!({ "store_dir": "/nix/store", "roots": [A], "run": run });
    let push = api.post("/pushes", &body).await.ok();
    assert_eq!(
        api.server
            .sql("SELECT count(*) FROM pushes WHERE run_id IS NOT NULL"),
        ["1"]
    );
    give_up(&api, push["id"].as_str().unwrap()).await;
    collect(&api.server);
    assert_eq!(api.server.sql("SELECT count(*) FROM runs"), ["0"]);
    assert_eq!(
        api.server.sql("SELECT count(*) FROM pushes WHERE run_id IS NULL"),
        ["1"]
    );
}
