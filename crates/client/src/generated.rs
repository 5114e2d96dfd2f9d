// Generated from openapi/niks3.json by `cargo run -p niks3-client-gen`; do not edit.

#[allow(unused_imports)]
pub use progenitor_client::{ByteStream, ClientInfo, Error, ResponseValue};
#[allow(unused_imports)]
use progenitor_client::{encode_path, ClientHooks, OperationInfo, RequestBuilderExt};
/// Types used as operation parameters and responses.
#[allow(clippy::all)]
pub mod types {
    ///How to use the cache.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct CacheConfig {
        ///Audience that tokens of the issuer in the question have to be for, if the server accepts them.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub audience: ::std::option::Option<::std::string::String>,
        ///Priority among substituters; lower is asked first.
        pub priority: u32,
        ///Newest version of the protocol that the server speaks.
        pub protocol_max: u32,
        ///Oldest version of the protocol that the server speaks.
        pub protocol_min: u32,
        ///Public keys that the server signs with, `name:base64`.
        pub public_keys: ::std::vec::Vec<::std::string::String>,
        ///Store directory of all paths in the cache.
        pub store_dir: ::std::string::String,
        ///URL that readers configure as substituter, where the server knows it.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub substituter: ::std::option::Option<::std::string::String>,
    }
    ///A store path that is in the cache.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct CachedPath {
        ///Content address.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub ca: ::std::option::Option<::std::string::String>,
        ///How the NAR is compressed there.
        pub compression: ::std::string::String,
        ///Store path of the derivation that made it.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub deriver: ::std::option::Option<::std::string::String>,
        ///Bytes of the NAR in the bucket.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub file_bytes: ::std::option::Option<u64>,
        ///Bytes of its NAR.
        pub nar_bytes: u64,
        ///SHA-256 of its NAR, as `sha256:` and base 32.
        pub nar_hash: ::std::string::String,
        ///Store path.
        pub path: ::std::string::String,
        ///Names of pins of this very path, 100 at most.
        pub pins: ::std::vec::Vec<::std::string::String>,
        ///Unix time at which it was last pushed as the root of a closure, if it ever was.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub pushed_at: ::std::option::Option<i64>,
        ///Store paths that it refers to.
        pub references: ::std::vec::Vec<::std::string::String>,
        ///Signatures, `name:base64`: those of this server, and those that it came with.
        pub signatures: ::std::vec::Vec<::std::string::String>,
        ///Key of its NAR in the bucket.
        pub url: ::std::string::String,
    }
    ///Which checksum uploads are checked against.
    #[derive(
        ::serde::Deserialize,
        ::serde::Serialize,
        Clone,
        Copy,
        Debug,
        Eq,
        Hash,
        Ord,
        PartialEq,
        PartialOrd
    )]
    pub enum ChecksumAlgorithm {
        #[serde(rename = "sha256")]
        Sha256,
        #[serde(rename = "md5")]
        Md5,
    }
    impl ::std::fmt::Display for ChecksumAlgorithm {
        fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
            match *self {
                Self::Sha256 => f.write_str("sha256"),
                Self::Md5 => f.write_str("md5"),
            }
        }
    }
    impl ::std::str::FromStr for ChecksumAlgorithm {
        type Err = self::error::ConversionError;
        fn from_str(
            value: &str,
        ) -> ::std::result::Result<Self, self::error::ConversionError> {
            match value {
                "sha256" => Ok(Self::Sha256),
                "md5" => Ok(Self::Md5),
                _ => Err("invalid value".into()),
            }
        }
    }
    impl ::std::convert::TryFrom<&str> for ChecksumAlgorithm {
        type Error = self::error::ConversionError;
        fn try_from(
            value: &str,
        ) -> ::std::result::Result<Self, self::error::ConversionError> {
            value.parse()
        }
    }
    impl ::std::convert::TryFrom<::std::string::String> for ChecksumAlgorithm {
        type Error = self::error::ConversionError;
        fn try_from(
            value: ::std::string::String,
        ) -> ::std::result::Result<Self, self::error::ConversionError> {
            value.parse()
        }
    }
    ///Paths of the closures.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct Claims {
        ///What those refer to and is left out on purpose.
        #[serde(default, skip_serializing_if = "::std::vec::Vec::is_empty")]
        pub external: ::std::vec::Vec<::std::string::String>,
        ///Address of the cache that has `external`, to be shown with closures: `https://cache.nixos.org`.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub left_to: ::std::option::Option<::std::string::String>,
        ///What is to be in the cache.
        pub paths: ::std::vec::Vec<PathInfo>,
    }
    ///What is to be done for the claimed paths; those not named are in the cache.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct ClaimsAnswer {
        ///In the cache with something else than the push says, which stays; nothing is to be uploaded.
        pub conflicts: ::std::vec::Vec<PathConflict>,
        ///Derivers whose build log the cache lacks.
        pub logs_needed: ::std::vec::Vec<::std::string::String>,
        /**To be uploaded: NAR and listing. Also paths that the cache has with other contents, which a key of a lower rank has
signed than those of the push: the commit replaces them.*/
        pub needed: ::std::vec::Vec<::std::string::String>,
    }
    ///A closure in the cache.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct Closure {
        ///Base name of its root.
        pub root: ::std::string::String,
    }
    ///A root that was pushed, with all it refers to.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct ClosureInfo {
        ///Unix time of its first push.
        pub created_at: i64,
        ///Bytes of them in the bucket; equal contents count once.
        pub file_bytes: u64,
        ///What is missing in this cache on purpose: its readers need the other caches as substituters, too.
        pub left_to: ::std::vec::Vec<LeftToCache>,
        ///Bytes of their NARs.
        pub nar_bytes: u64,
        ///Store path of the root.
        pub path: ::std::string::String,
        ///Its paths that are in the cache.
        pub paths: u64,
        ///Unix time of its last push.
        pub pushed_at: i64,
        ///Unix time since when nothing keeps it: it is deleted once the undo time is over.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub released_at: ::std::option::Option<i64>,
        ///Unix time at which a run last reported that it used it.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub used_at: ::std::option::Option<i64>,
    }
    ///A page of closures.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct Closures {
        ///From the one pushed last to the one not pushed for longest.
        pub closures: ::std::vec::Vec<ClosureInfo>,
        ///Where the next page begins, if there is one.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub next: ::std::option::Option<::std::string::String>,
    }
    ///What a commit did.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct Commit {
        ///The closures of the push.
        pub closures: ::std::vec::Vec<Closure>,
        ///Paths that the cache has with something else than the push says, which stays; at most 200 of them.
        pub conflicts: ::std::vec::Vec<PathConflict>,
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub deleting: ::std::option::Option<Deleting>,
        ///Paths that the push added.
        pub paths_added: u64,
        ///Paths that were there, or came by another push meanwhile.
        pub paths_present: u64,
        ///Paths of the push whose NARs the server has read.
        pub paths_verified: u64,
        ///Base names of the paths whose contents the push has replaced.
        pub replaced: ::std::vec::Vec<::std::string::String>,
        ///Signatures of the roots that are in the cache; missing with more than 200 roots.
        #[serde(default, skip_serializing_if = "::std::vec::Vec::is_empty")]
        pub signatures: ::std::vec::Vec<RootSignatures>,
        pub state: CommitState,
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub verifying: ::std::option::Option<Verifying>,
    }
    ///Whether a commit is done.
    #[derive(
        ::serde::Deserialize,
        ::serde::Serialize,
        Clone,
        Copy,
        Debug,
        Eq,
        Hash,
        Ord,
        PartialEq,
        PartialOrd
    )]
    pub enum CommitState {
        #[serde(rename = "committed")]
        Committed,
        #[serde(rename = "committing")]
        Committing,
    }
    impl ::std::fmt::Display for CommitState {
        fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
            match *self {
                Self::Committed => f.write_str("committed"),
                Self::Committing => f.write_str("committing"),
            }
        }
    }
    impl ::std::str::FromStr for CommitState {
        type Err = self::error::ConversionError;
        fn from_str(
            value: &str,
        ) -> ::std::result::Result<Self, self::error::ConversionError> {
            match value {
                "committed" => Ok(Self::Committed),
                "committing" => Ok(Self::Committing),
                _ => Err("invalid value".into()),
            }
        }
    }
    impl ::std::convert::TryFrom<&str> for CommitState {
        type Error = self::error::ConversionError;
        fn try_from(
            value: &str,
        ) -> ::std::result::Result<Self, self::error::ConversionError> {
            value.parse()
        }
    }
    impl ::std::convert::TryFrom<::std::string::String> for CommitState {
        type Error = self::error::ConversionError;
        fn try_from(
            value: ::std::string::String,
        ) -> ::std::result::Result<Self, self::error::ConversionError> {
            value.parse()
        }
    }
    ///All parts of an upload, and what they make.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct CompleteMultipart {
        ///SHA-256 of the whole.
        pub file_hash: ::std::string::String,
        ///Bytes of the whole.
        pub file_size: u64,
        ///Every part, in order.
        pub parts: ::std::vec::Vec<Part>,
    }
    ///What is added to what is known of a run; what is not given stays.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, Default, PartialEq)]
    pub struct CompleteRun {
        ///How it ended, as `success` or `failure`.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub conclusion: ::std::option::Option<::std::string::String>,
        ///Name of the job.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub job: ::std::option::Option<::std::string::String>,
        ///The job's page, `http://…` or `https://…`.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub job_url: ::std::option::Option<::std::string::String>,
        ///Number of the pull request.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub pull_request: ::std::option::Option<u64>,
        ///The run's page, `http://…` or `https://…`.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub url: ::std::option::Option<::std::string::String>,
    }
    ///What to pin.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct CreatePin {
        ///A store path that is in the cache, or a path inside one: full, or from the base name on.
        pub path: ::std::string::String,
    }
    ///Roots to push.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct CreatePush {
        ///Name of a pin to make of the one root, together with its closure.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub pin: ::std::option::Option<CreatePushPin>,
        ///Base names (`<32>-<name>`) of the roots.
        pub roots: ::std::vec::Vec<::std::string::String>,
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub run: ::std::option::Option<RunStatement>,
        ///Store directory of all paths, as `/nix/store`.
        pub store_dir: CreatePushStoreDir,
        ///Look into the bucket for what the database believes is there.
        #[serde(default)]
        pub verify_integrity: bool,
    }
    ///Name of a pin to make of the one root, together with its closure.
    #[derive(::serde::Serialize, Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
    #[serde(transparent)]
    pub struct CreatePushPin(::std::string::String);
    impl ::std::ops::Deref for CreatePushPin {
        type Target = ::std::string::String;
        fn deref(&self) -> &::std::string::String {
            &self.0
        }
    }
    impl ::std::convert::From<CreatePushPin> for ::std::string::String {
        fn from(value: CreatePushPin) -> Self {
            value.0
        }
    }
    impl ::std::str::FromStr for CreatePushPin {
        type Err = self::error::ConversionError;
        fn from_str(
            value: &str,
        ) -> ::std::result::Result<Self, self::error::ConversionError> {
            if value.chars().count() > 256usize {
                return Err("longer than 256 characters".into());
            }
            Ok(Self(value.to_string()))
        }
    }
    impl ::std::convert::TryFrom<&str> for CreatePushPin {
        type Error = self::error::ConversionError;
        fn try_from(
            value: &str,
        ) -> ::std::result::Result<Self, self::error::ConversionError> {
            value.parse()
        }
    }
    impl ::std::convert::TryFrom<::std::string::String> for CreatePushPin {
        type Error = self::error::ConversionError;
        fn try_from(
            value: ::std::string::String,
        ) -> ::std::result::Result<Self, self::error::ConversionError> {
            value.parse()
        }
    }
    impl<'de> ::serde::Deserialize<'de> for CreatePushPin {
        fn deserialize<D>(deserializer: D) -> ::std::result::Result<Self, D::Error>
        where
            D: ::serde::Deserializer<'de>,
        {
            ::std::string::String::deserialize(deserializer)?
                .parse()
                .map_err(|e: self::error::ConversionError| {
                    <D::Error as ::serde::de::Error>::custom(e.to_string())
                })
        }
    }
    ///Store directory of all paths, as `/nix/store`.
    #[derive(::serde::Serialize, Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
    #[serde(transparent)]
    pub struct CreatePushStoreDir(::std::string::String);
    impl ::std::ops::Deref for CreatePushStoreDir {
        type Target = ::std::string::String;
        fn deref(&self) -> &::std::string::String {
            &self.0
        }
    }
    impl ::std::convert::From<CreatePushStoreDir> for ::std::string::String {
        fn from(value: CreatePushStoreDir) -> Self {
            value.0
        }
    }
    impl ::std::str::FromStr for CreatePushStoreDir {
        type Err = self::error::ConversionError;
        fn from_str(
            value: &str,
        ) -> ::std::result::Result<Self, self::error::ConversionError> {
            if value.chars().count() > 1024usize {
                return Err("longer than 1024 characters".into());
            }
            Ok(Self(value.to_string()))
        }
    }
    impl ::std::convert::TryFrom<&str> for CreatePushStoreDir {
        type Error = self::error::ConversionError;
        fn try_from(
            value: &str,
        ) -> ::std::result::Result<Self, self::error::ConversionError> {
            value.parse()
        }
    }
    impl ::std::convert::TryFrom<::std::string::String> for CreatePushStoreDir {
        type Error = self::error::ConversionError;
        fn try_from(
            value: ::std::string::String,
        ) -> ::std::result::Result<Self, self::error::ConversionError> {
            value.parse()
        }
    }
    impl<'de> ::serde::Deserialize<'de> for CreatePushStoreDir {
        fn deserialize<D>(deserializer: D) -> ::std::result::Result<Self, D::Error>
        where
            D: ::serde::Deserializer<'de>,
        {
            ::std::string::String::deserialize(deserializer)?
                .parse()
                .map_err(|e: self::error::ConversionError| {
                    <D::Error as ::serde::de::Error>::custom(e.to_string())
                })
        }
    }
    ///A token to be made.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct CreateToken {
        ///Seconds until it ends; without it, it does not.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub expires_in_seconds: ::std::option::Option<u64>,
        ///Its name: 1 to 128 letters, digits, `.`, `_` or `-`, not dots alone.
        pub name: ::std::string::String,
        ///What it is good for: `read`, `push`, `gc`, `admin`.
        pub scopes: ::std::vec::Vec<::std::string::String>,
        ///What is uploaded with it need not be read before it becomes visible, with `--verify-uploads=untrusted`.
        #[serde(default)]
        pub trusted: bool,
    }
    ///An open push.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct CreatedPush {
        pub checksum: ChecksumAlgorithm,
        ///Names the push in every other operation.
        pub id: ::std::string::String,
        ///Seconds until the push is given up unless it is renewed.
        pub lease_seconds: u32,
        ///Most entries of a list in one request.
        pub max_batch: u32,
        ///Most bytes of a listing.
        pub max_listing_size: u64,
        ///Most bytes of a build log.
        pub max_log_size: u64,
        ///Fewest bytes of a part, but for the last; also the most that goes up in one piece.
        pub part_size: u64,
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub small_objects: ::std::option::Option<SmallObjectLimits>,
        ///The server reads the NARs and makes their listings itself: none need to be uploaded.
        pub verifies_uploads: bool,
    }
    ///A new token.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct CreatedToken {
        pub about: Token,
        ///The token itself.
        pub token: ::std::string::String,
    }
    ///What has become of a request to delete a closure.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct DeletedClosures {
        ///Nothing was released: the path is no root, and these closures contain it.
        pub contained_in: ::std::vec::Vec<::std::string::String>,
        ///Unix time from which a garbage collection deletes them.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub delete_from: ::std::option::Option<i64>,
        ///With `now`: the garbage collection that deletes them.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub gc: ::std::option::Option<::std::string::String>,
        ///Paths of the closures stay, since these roots need them; those that need most come first.
        pub kept_by: ::std::vec::Vec<KeepingRoot>,
        ///That list has more entries.
        pub more: bool,
        ///Store paths of the roots that were released.
        pub released: ::std::vec::Vec<::std::string::String>,
    }
    ///Deletions that a commit waits for.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct Deleting {
        ///Paths and build logs that the push brings or refers to.
        pub objects: u64,
        ///Unix time at which the wait ends at the latest.
        pub until: i64,
    }
    ///Done; there is nothing to say.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    #[serde(transparent)]
    pub struct Empty(pub ::serde_json::Map<::std::string::String, ::serde_json::Value>);
    impl ::std::ops::Deref for Empty {
        type Target = ::serde_json::Map<::std::string::String, ::serde_json::Value>;
        fn deref(
            &self,
        ) -> &::serde_json::Map<::std::string::String, ::serde_json::Value> {
            &self.0
        }
    }
    impl ::std::convert::From<Empty>
    for ::serde_json::Map<::std::string::String, ::serde_json::Value> {
        fn from(value: Empty) -> Self {
            value.0
        }
    }
    impl ::std::convert::From<
        ::serde_json::Map<::std::string::String, ::serde_json::Value>,
    > for Empty {
        fn from(
            value: ::serde_json::Map<::std::string::String, ::serde_json::Value>,
        ) -> Self {
            Self(value)
        }
    }
    ///A closure that holds the path.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct ExplainedClosure {
        ///Unix time from which it is deleted if nothing keeps it until then.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub delete_from: ::std::option::Option<i64>,
        ///A push in progress needs it.
        pub in_push: bool,
        ///Something keeps it.
        pub kept: bool,
        ///There are more of them.
        pub more_uses: bool,
        ///What the next garbage collection does: `keep`, `restore`, `release`, `wait` or `delete`.
        pub next: ::std::string::String,
        ///Store path of its root.
        pub path: ::std::string::String,
        ///Pins that name its root.
        pub pins: ::std::vec::Vec<::std::string::String>,
        ///What keeps it, or why it goes.
        pub reason: ::std::string::String,
        ///Unix time at which it was released: it stays for the undo time.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub released_at: ::std::option::Option<i64>,
        ///Pushes and uses, the newest first.
        pub uses: ::std::vec::Vec<RetentionUse>,
    }
    ///What keeps a path.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct Explanation {
        ///Closures that hold the path, its own first.
        pub closures: ::std::vec::Vec<ExplainedClosure>,
        ///There are more.
        pub more: bool,
        ///Store path.
        pub path: ::std::string::String,
        ///Pins whose closures hold the path.
        pub pins: ::std::vec::Vec<::std::string::String>,
        ///SHA-256 of the policy file; none if the server has none: then everything is kept for a time after its last use.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub policy: ::std::option::Option<::std::string::String>,
    }
    ///A field of a narinfo in which a push differs from the cache.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct FieldDifference {
        ///What the cache has; of references, up to ten that the push lacks.
        pub cached: ::std::string::String,
        ///What the push says; of references, up to ten that the cache lacks.
        pub claimed: ::std::string::String,
        ///`NarHash`, `NarSize`, `References` or `CA`.
        pub field: ::std::string::String,
    }
    ///Something that does not fit.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct Finding {
        ///What is wrong, in words.
        pub detail: ::std::string::String,
        ///Unix time.
        pub found_at: i64,
        ///What is wrong, in one word such as `missing-nar`.
        pub kind: ::std::string::String,
        ///A garbage collection removes it; nothing has to be done.
        pub left_to_gc: bool,
        ///Why it was not mended, or what a repair would do, where that is known.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub reason: ::std::option::Option<::std::string::String>,
        pub state: FindingEnd,
        ///Key of the object, or name of what it is about.
        pub subject: ::std::string::String,
    }
    ///How many findings of a kind came to the same end.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct FindingCount {
        ///How many.
        pub count: u64,
        ///What is wrong.
        pub kind: ::std::string::String,
        pub state: FindingEnd,
    }
    ///What became of a finding.
    #[derive(
        ::serde::Deserialize,
        ::serde::Serialize,
        Clone,
        Copy,
        Debug,
        Eq,
        Hash,
        Ord,
        PartialEq,
        PartialOrd
    )]
    pub enum FindingEnd {
        #[serde(rename = "open")]
        Open,
        #[serde(rename = "mended")]
        Mended,
        #[serde(rename = "failed")]
        Failed,
    }
    impl ::std::fmt::Display for FindingEnd {
        fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
            match *self {
                Self::Open => f.write_str("open"),
                Self::Mended => f.write_str("mended"),
                Self::Failed => f.write_str("failed"),
            }
        }
    }
    impl ::std::str::FromStr for FindingEnd {
        type Err = self::error::ConversionError;
        fn from_str(
            value: &str,
        ) -> ::std::result::Result<Self, self::error::ConversionError> {
            match value {
                "open" => Ok(Self::Open),
                "mended" => Ok(Self::Mended),
                "failed" => Ok(Self::Failed),
                _ => Err("invalid value".into()),
            }
        }
    }
    impl ::std::convert::TryFrom<&str> for FindingEnd {
        type Error = self::error::ConversionError;
        fn try_from(
            value: &str,
        ) -> ::std::result::Result<Self, self::error::ConversionError> {
            value.parse()
        }
    }
    impl ::std::convert::TryFrom<::std::string::String> for FindingEnd {
        type Error = self::error::ConversionError;
        fn try_from(
            value: ::std::string::String,
        ) -> ::std::result::Result<Self, self::error::ConversionError> {
            value.parse()
        }
    }
    ///A page of findings.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct Findings {
        ///In the order in which they were found.
        pub findings: ::std::vec::Vec<Finding>,
        ///Where the next page begins, if there is one.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub next: ::std::option::Option<u64>,
    }
    ///What a check has looked at so far.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct FsckCounts {
        ///Build logs.
        pub logs: u64,
        ///Bytes of NARs that were read.
        pub nar_bytes: u64,
        ///NARs.
        pub nars: u64,
        ///Objects that the bucket lists.
        pub objects: u64,
        ///Paths.
        pub paths: u64,
    }
    ///What a check is looking at.
    #[derive(
        ::serde::Deserialize,
        ::serde::Serialize,
        Clone,
        Copy,
        Debug,
        Eq,
        Hash,
        Ord,
        PartialEq,
        PartialOrd
    )]
    pub enum FsckPhase {
        #[serde(rename = "paths")]
        Paths,
        #[serde(rename = "nars")]
        Nars,
        #[serde(rename = "logs")]
        Logs,
        #[serde(rename = "roots")]
        Roots,
        #[serde(rename = "bucket")]
        Bucket,
        #[serde(rename = "uploads")]
        Uploads,
        #[serde(rename = "mend")]
        Mend,
        #[serde(rename = "finished")]
        Finished,
    }
    impl ::std::fmt::Display for FsckPhase {
        fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
            match *self {
                Self::Paths => f.write_str("paths"),
                Self::Nars => f.write_str("nars"),
                Self::Logs => f.write_str("logs"),
                Self::Roots => f.write_str("roots"),
                Self::Bucket => f.write_str("bucket"),
                Self::Uploads => f.write_str("uploads"),
                Self::Mend => f.write_str("mend"),
                Self::Finished => f.write_str("finished"),
            }
        }
    }
    impl ::std::str::FromStr for FsckPhase {
        type Err = self::error::ConversionError;
        fn from_str(
            value: &str,
        ) -> ::std::result::Result<Self, self::error::ConversionError> {
            match value {
                "paths" => Ok(Self::Paths),
                "nars" => Ok(Self::Nars),
                "logs" => Ok(Self::Logs),
                "roots" => Ok(Self::Roots),
                "bucket" => Ok(Self::Bucket),
                "uploads" => Ok(Self::Uploads),
                "mend" => Ok(Self::Mend),
                "finished" => Ok(Self::Finished),
                _ => Err("invalid value".into()),
            }
        }
    }
    impl ::std::convert::TryFrom<&str> for FsckPhase {
        type Error = self::error::ConversionError;
        fn try_from(
            value: &str,
        ) -> ::std::result::Result<Self, self::error::ConversionError> {
            value.parse()
        }
    }
    impl ::std::convert::TryFrom<::std::string::String> for FsckPhase {
        type Error = self::error::ConversionError;
        fn try_from(
            value: ::std::string::String,
        ) -> ::std::result::Result<Self, self::error::ConversionError> {
            value.parse()
        }
    }
    ///A check of bucket and database.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct FsckRun {
        ///As asked for.
        pub contents: bool,
        pub counts: FsckCounts,
        ///As asked for.
        pub dry_run: bool,
        ///Why it ended early.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub error: ::std::option::Option<::std::string::String>,
        ///Unix time.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub finished_at: ::std::option::Option<i64>,
        ///What it has found so far, by kind and by what became of it.
        pub found: ::std::vec::Vec<FindingCount>,
        ///Names it in other operations.
        pub id: ::std::string::String,
        pub phase: FsckPhase,
        ///As asked for.
        pub repair: bool,
        ///Unix time.
        pub started_at: i64,
        pub state: TaskState,
        ///As asked for.
        pub trust_keys: ::std::vec::Vec<::std::string::String>,
    }
    ///A page of checks.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct FsckRuns {
        ///Where the next page begins, if there is one.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub next: ::std::option::Option<::std::string::String>,
        ///From the newest to the oldest.
        pub runs: ::std::vec::Vec<FsckRun>,
    }
    ///A closure that a garbage collection let go, or would.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct GcClosure {
        /**Under a retention policy: `release`, `wait`, `delete`, or, where a dry run compares policies, `keep`: only the one in
force would let it go.*/
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub action: ::std::option::Option<::std::string::String>,
        ///Unix time from which it is deleted if nothing keeps it until then.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub delete_from: ::std::option::Option<i64>,
        ///Bytes of their NARs in the bucket, each counted once.
        pub nar_bytes: u64,
        ///Paths that go with it; one of several such closures is counted with the first.
        pub paths: u64,
        ///Unix time of its last push.
        pub pushed_at: i64,
        ///Why.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub reason: ::std::option::Option<::std::string::String>,
        ///Base name of its root.
        pub root: ::std::string::String,
    }
    ///A page of closures.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct GcClosures {
        ///In the order in which they were pushed first.
        pub closures: ::std::vec::Vec<GcClosure>,
        ///Where the next page begins, if there is one.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub next: ::std::option::Option<u64>,
    }
    ///What a garbage collection has done so far; of a dry run, what it would do.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct GcCounts {
        ///Bytes of NARs and build logs deleted from the bucket.
        pub bytes_freed: u64,
        ///Pushes that failed, forgotten with what they had uploaded.
        pub failed_uploads_deleted: u64,
        ///Objects deleted from the bucket.
        pub objects_deleted_after_grace_period: u64,
        ///Objects that were to be deleted and are still there.
        pub objects_failed_to_delete: u64,
        ///Objects found to be needed by nothing for the first time.
        pub objects_marked_for_deletion: u64,
        ///Closures let go.
        pub old_closures_deleted: u64,
        ///Paths that were looked at.
        pub paths: u64,
        ///Paths of those that something needs.
        pub paths_needed: u64,
    }
    ///What a garbage collection is doing.
    #[derive(
        ::serde::Deserialize,
        ::serde::Serialize,
        Clone,
        Copy,
        Debug,
        Eq,
        Hash,
        Ord,
        PartialEq,
        PartialOrd
    )]
    pub enum GcPhase {
        #[serde(rename = "pushes")]
        Pushes,
        #[serde(rename = "closures")]
        Closures,
        #[serde(rename = "mark")]
        Mark,
        #[serde(rename = "paths")]
        Paths,
        #[serde(rename = "nars")]
        Nars,
        #[serde(rename = "logs")]
        Logs,
        #[serde(rename = "uploads")]
        Uploads,
        #[serde(rename = "finished")]
        Finished,
    }
    impl ::std::fmt::Display for GcPhase {
        fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
            match *self {
                Self::Pushes => f.write_str("pushes"),
                Self::Closures => f.write_str("closures"),
                Self::Mark => f.write_str("mark"),
                Self::Paths => f.write_str("paths"),
                Self::Nars => f.write_str("nars"),
                Self::Logs => f.write_str("logs"),
                Self::Uploads => f.write_str("uploads"),
                Self::Finished => f.write_str("finished"),
            }
        }
    }
    impl ::std::str::FromStr for GcPhase {
        type Err = self::error::ConversionError;
        fn from_str(
            value: &str,
        ) -> ::std::result::Result<Self, self::error::ConversionError> {
            match value {
                "pushes" => Ok(Self::Pushes),
                "closures" => Ok(Self::Closures),
                "mark" => Ok(Self::Mark),
                "paths" => Ok(Self::Paths),
                "nars" => Ok(Self::Nars),
                "logs" => Ok(Self::Logs),
                "uploads" => Ok(Self::Uploads),
                "finished" => Ok(Self::Finished),
                _ => Err("invalid value".into()),
            }
        }
    }
    impl ::std::convert::TryFrom<&str> for GcPhase {
        type Error = self::error::ConversionError;
        fn try_from(
            value: &str,
        ) -> ::std::result::Result<Self, self::error::ConversionError> {
            value.parse()
        }
    }
    impl ::std::convert::TryFrom<::std::string::String> for GcPhase {
        type Error = self::error::ConversionError;
        fn try_from(
            value: ::std::string::String,
        ) -> ::std::result::Result<Self, self::error::ConversionError> {
            value.parse()
        }
    }
    ///What the quota has made of a plan.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct GcQuota {
        ///Closures that give way.
        pub closures: u64,
        ///Bytes of what the quota never takes.
        pub exempt: u64,
        ///Bytes that stay, with those.
        pub kept: u64,
        ///Most bytes of the cache.
        pub quota: u64,
    }
    ///What a retention policy has made of the closures.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct GcRetention {
        ///Bytes of NARs that the bucket loses once all of these are deleted.
        pub bytes_in_the_end: u64,
        ///Closures that were judged.
        pub closures: u64,
        ///Released closures that were deleted.
        pub deleted: u64,
        ///Why nothing is released, and how to allow it.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub held: ::std::option::Option<::std::string::String>,
        ///What somebody should know.
        pub notices: ::std::vec::Vec<::std::string::String>,
        ///With `policy`: closures that go, and that the policy in force would keep.
        pub only_here: u64,
        ///With `policy`: closures that stay, and that the policy in force would let go.
        pub only_in_force: u64,
        ///SHA-256 of the policy's text.
        pub policy: ::std::string::String,
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub quota: ::std::option::Option<GcQuota>,
        ///Closures released now.
        pub released: u64,
        ///Closures that were released and that something keeps again.
        pub restored: u64,
        ///Released closures whose undo time is not over.
        pub waiting: u64,
    }
    ///A garbage collection.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct GcRun {
        pub counts: GcCounts,
        ///As asked for.
        pub dry_run: bool,
        ///Why it ended early.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub error: ::std::option::Option<::std::string::String>,
        ///As asked for.
        pub failed_uploads_older_than_seconds: u64,
        ///Unix time.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub finished_at: ::std::option::Option<i64>,
        ///As asked for.
        pub force: bool,
        ///Names it in other operations.
        pub id: ::std::string::String,
        ///As asked for.
        pub older_than_seconds: u64,
        pub phase: GcPhase,
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub retention: ::std::option::Option<GcRetention>,
        ///Unix time.
        pub started_at: i64,
        pub state: TaskState,
    }
    ///A page of garbage collections.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct GcRuns {
        ///Where the next page begins, if there is one.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub next: ::std::option::Option<::std::string::String>,
        ///From the newest to the oldest.
        pub runs: ::std::vec::Vec<GcRun>,
    }
    ///What closures are grouped by.
    #[derive(
        ::serde::Deserialize,
        ::serde::Serialize,
        Clone,
        Copy,
        Debug,
        Eq,
        Hash,
        Ord,
        PartialEq,
        PartialOrd
    )]
    pub enum GroupBy {
        #[serde(rename = "rule")]
        Rule,
        #[serde(rename = "repository")]
        Repository,
    }
    impl ::std::fmt::Display for GroupBy {
        fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
            match *self {
                Self::Rule => f.write_str("rule"),
                Self::Repository => f.write_str("repository"),
            }
        }
    }
    impl ::std::str::FromStr for GroupBy {
        type Err = self::error::ConversionError;
        fn from_str(
            value: &str,
        ) -> ::std::result::Result<Self, self::error::ConversionError> {
            match value {
                "rule" => Ok(Self::Rule),
                "repository" => Ok(Self::Repository),
                _ => Err("invalid value".into()),
            }
        }
    }
    impl ::std::convert::TryFrom<&str> for GroupBy {
        type Error = self::error::ConversionError;
        fn try_from(
            value: &str,
        ) -> ::std::result::Result<Self, self::error::ConversionError> {
            value.parse()
        }
    }
    impl ::std::convert::TryFrom<::std::string::String> for GroupBy {
        type Error = self::error::ConversionError;
        fn try_from(
            value: ::std::string::String,
        ) -> ::std::result::Result<Self, self::error::ConversionError> {
            value.parse()
        }
    }
    ///A root that needs paths of a deleted closure.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct KeepingRoot {
        ///Store path of the root.
        pub path: ::std::string::String,
        ///So many of those paths, without those that a root before it in the list needs.
        pub paths: u64,
    }
    ///What has become of a list.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct KeptOpenPulls {
        ///It is kept; otherwise a newer one is known.
        pub kept: bool,
    }
    ///How somebody is known.
    #[derive(
        ::serde::Deserialize,
        ::serde::Serialize,
        Clone,
        Copy,
        Debug,
        Eq,
        Hash,
        Ord,
        PartialEq,
        PartialOrd
    )]
    pub enum Kind {
        #[serde(rename = "admin")]
        Admin,
        #[serde(rename = "oidc")]
        Oidc,
        #[serde(rename = "token")]
        Token,
        #[serde(rename = "certificate")]
        Certificate,
    }
    impl ::std::fmt::Display for Kind {
        fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
            match *self {
                Self::Admin => f.write_str("admin"),
                Self::Oidc => f.write_str("oidc"),
                Self::Token => f.write_str("token"),
                Self::Certificate => f.write_str("certificate"),
            }
        }
    }
    impl ::std::str::FromStr for Kind {
        type Err = self::error::ConversionError;
        fn from_str(
            value: &str,
        ) -> ::std::result::Result<Self, self::error::ConversionError> {
            match value {
                "admin" => Ok(Self::Admin),
                "oidc" => Ok(Self::Oidc),
                "token" => Ok(Self::Token),
                "certificate" => Ok(Self::Certificate),
                _ => Err("invalid value".into()),
            }
        }
    }
    impl ::std::convert::TryFrom<&str> for Kind {
        type Error = self::error::ConversionError;
        fn try_from(
            value: &str,
        ) -> ::std::result::Result<Self, self::error::ConversionError> {
            value.parse()
        }
    }
    impl ::std::convert::TryFrom<::std::string::String> for Kind {
        type Error = self::error::ConversionError;
        fn try_from(
            value: ::std::string::String,
        ) -> ::std::result::Result<Self, self::error::ConversionError> {
            value.parse()
        }
    }
    ///A renewed lease.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct Lease {
        ///Seconds until the push is given up unless it is renewed.
        pub lease_seconds: u32,
    }
    ///Paths that a closure refers to, and that its pushes have left out since another cache has them.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct LeftToCache {
        ///Address of that cache; none if the pushes named none.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub cache: ::std::option::Option<::std::string::String>,
        ///How many, without what these refer to in turn.
        pub paths: u64,
    }
    ///An upload in parts.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct Multipart {
        ///Its id.
        pub id: i64,
        ///Bytes of every part but the last.
        pub part_size: u64,
    }
    ///A NAR that goes up in parts.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct NewMultipart {
        ///Name of what compresses it: equal names make equal bytes of equal contents.
        pub compressor: NewMultipartCompressor,
        ///Do not go on with an unfinished upload.
        #[serde(default)]
        pub fresh: bool,
        ///Bytes of every part but the last.
        pub part_size: u64,
        ///Base name of the path it belongs to.
        pub path: ::std::string::String,
    }
    ///Name of what compresses it: equal names make equal bytes of equal contents.
    #[derive(::serde::Serialize, Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
    #[serde(transparent)]
    pub struct NewMultipartCompressor(::std::string::String);
    impl ::std::ops::Deref for NewMultipartCompressor {
        type Target = ::std::string::String;
        fn deref(&self) -> &::std::string::String {
            &self.0
        }
    }
    impl ::std::convert::From<NewMultipartCompressor> for ::std::string::String {
        fn from(value: NewMultipartCompressor) -> Self {
            value.0
        }
    }
    impl ::std::str::FromStr for NewMultipartCompressor {
        type Err = self::error::ConversionError;
        fn from_str(
            value: &str,
        ) -> ::std::result::Result<Self, self::error::ConversionError> {
            if value.chars().count() > 128usize {
                return Err("longer than 128 characters".into());
            }
            Ok(Self(value.to_string()))
        }
    }
    impl ::std::convert::TryFrom<&str> for NewMultipartCompressor {
        type Error = self::error::ConversionError;
        fn try_from(
            value: &str,
        ) -> ::std::result::Result<Self, self::error::ConversionError> {
            value.parse()
        }
    }
    impl ::std::convert::TryFrom<::std::string::String> for NewMultipartCompressor {
        type Error = self::error::ConversionError;
        fn try_from(
            value: ::std::string::String,
        ) -> ::std::result::Result<Self, self::error::ConversionError> {
            value.parse()
        }
    }
    impl<'de> ::serde::Deserialize<'de> for NewMultipartCompressor {
        fn deserialize<D>(deserializer: D) -> ::std::result::Result<Self, D::Error>
        where
            D: ::serde::Deserializer<'de>,
        {
            ::std::string::String::deserialize(deserializer)?
                .parse()
                .map_err(|e: self::error::ConversionError| {
                    <D::Error as ::serde::de::Error>::custom(e.to_string())
                })
        }
    }
    ///The open pull requests of a repository: all of them.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct OpenPulls {
        ///Unix time at which the list was true; not in the future.
        pub at: u64,
        ///Their numbers, at most 20,000.
        pub numbers: ::std::vec::Vec<u64>,
        /**Who keeps the repository: the name of the provider of its tokens in the server's configuration; by default that of
the caller's own token, or `github`.*/
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub provider: ::std::option::Option<::std::string::String>,
        ///The number that the repository keeps when it is renamed.
        pub repository_id: ::std::string::String,
    }
    ///A part whose bytes are known.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct Part {
        ///MD5 of its bytes in hexadecimal, where the server asks for it.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub md5: ::std::option::Option<::std::string::String>,
        ///1 to 10,000.
        pub number: u32,
        ///SHA-256 of its bytes.
        pub sha256: ::std::string::String,
        ///Bytes.
        pub size: u64,
    }
    ///Parts to upload.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct Parts {
        ///The parts.
        pub parts: ::std::vec::Vec<Part>,
    }
    ///Where the parts go, in the order of the request.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct PartsAnswer {
        ///One for each part.
        pub parts: ::std::vec::Vec<UploadTarget>,
    }
    ///A path that the cache has with other contents, which stay.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct PathConflict {
        ///Each field of its narinfo that differs.
        pub differences: ::std::vec::Vec<FieldDifference>,
        ///The NAR hash in the cache.
        pub nar_hash: ::std::string::String,
        ///Base name.
        pub path: ::std::string::String,
    }
    ///A path as Nix knows it.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct PathInfo {
        ///Content address, as Nix prints it.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub ca: ::std::option::Option<::std::string::String>,
        ///Base name of the derivation it was built by.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub deriver: ::std::option::Option<::std::string::String>,
        ///`sha256:` and Nix base32.
        pub nar_hash: ::std::string::String,
        ///Bytes of the NAR.
        pub nar_size: u64,
        ///Base name.
        pub path: ::std::string::String,
        ///Base names of the paths it refers to.
        pub references: ::std::vec::Vec<::std::string::String>,
        ///Signatures that it carries, `name:base64`.
        #[serde(default, skip_serializing_if = "::std::vec::Vec::is_empty")]
        pub signatures: ::std::vec::Vec<::std::string::String>,
    }
    ///A named root.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct Pin {
        ///Unix time at which the name was made.
        pub created_at: i64,
        ///Its name.
        pub name: ::std::string::String,
        ///The store path that it keeps, with its closure.
        pub path: ::std::string::String,
        ///Unix time at which it was last pointed somewhere.
        pub updated_at: i64,
    }
    ///A page of pins.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct Pins {
        ///Where the next page begins, if there is one.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub next: ::std::option::Option<::std::string::String>,
        ///In the order of their names.
        pub pins: ::std::vec::Vec<Pin>,
    }
    ///What went wrong (RFC 9457).
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct Problem {
        ///What is wrong with this very request, and what to do about it.
        pub detail: ::std::string::String,
        ///The field of the request that is wrong.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub field: ::std::option::Option<::std::string::String>,
        ///What has not arrived yet, with 409 on a commit: `nar PATH`, `listing PATH` or `log DRV`.
        #[serde(default, skip_serializing_if = "::std::vec::Vec::is_empty")]
        pub missing: ::std::vec::Vec<::std::string::String>,
        ///Name of the request in the server's log.
        pub request_id: ::std::string::String,
        ///The scope that the caller lacks, with 403: `read`, `push`, `gc` or `admin`.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub required_scope: ::std::option::Option<::std::string::String>,
        ///HTTP status code.
        pub status: u16,
        ///Short text that is the same for every problem of this kind.
        pub title: ::std::string::String,
        /**Kind of problem: `urn:niks3:problem:push-gone` when the push is unknown or over, so that it has to begin again;
`urn:niks3:problem:store-refuses` when a policy of the object store does not let the server do what is needed;
else `about:blank`.*/
        #[serde(rename = "type")]
        pub type_: ::std::string::String,
    }
    ///How a push stands.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct PushStatus {
        ///Its id.
        pub id: ::std::string::String,
        pub state: State,
    }
    /**How an output of a content-addressed derivation came out. Readers up to Nix 2.34
look it up by `id`, later ones by `drv`; give what is known.*/
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct Realisation {
        ///The JSON that Nix prints of it, where it goes by `id`.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub body: ::std::option::Option<::std::string::String>,
        ///Base name of the derivation.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub drv: ::std::option::Option<::std::string::String>,
        ///`sha256:<hash modulo of the derivation>!<output>`.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub id: ::std::option::Option<::std::string::String>,
        ///Name of the output, as `out`.
        pub output: RealisationOutput,
        ///Base name of the output path, which the push claims.
        pub path: ::std::string::String,
    }
    ///Name of the output, as `out`.
    #[derive(::serde::Serialize, Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
    #[serde(transparent)]
    pub struct RealisationOutput(::std::string::String);
    impl ::std::ops::Deref for RealisationOutput {
        type Target = ::std::string::String;
        fn deref(&self) -> &::std::string::String {
            &self.0
        }
    }
    impl ::std::convert::From<RealisationOutput> for ::std::string::String {
        fn from(value: RealisationOutput) -> Self {
            value.0
        }
    }
    impl ::std::str::FromStr for RealisationOutput {
        type Err = self::error::ConversionError;
        fn from_str(
            value: &str,
        ) -> ::std::result::Result<Self, self::error::ConversionError> {
            if value.chars().count() > 211usize {
                return Err("longer than 211 characters".into());
            }
            Ok(Self(value.to_string()))
        }
    }
    impl ::std::convert::TryFrom<&str> for RealisationOutput {
        type Error = self::error::ConversionError;
        fn try_from(
            value: &str,
        ) -> ::std::result::Result<Self, self::error::ConversionError> {
            value.parse()
        }
    }
    impl ::std::convert::TryFrom<::std::string::String> for RealisationOutput {
        type Error = self::error::ConversionError;
        fn try_from(
            value: ::std::string::String,
        ) -> ::std::result::Result<Self, self::error::ConversionError> {
            value.parse()
        }
    }
    impl<'de> ::serde::Deserialize<'de> for RealisationOutput {
        fn deserialize<D>(deserializer: D) -> ::std::result::Result<Self, D::Error>
        where
            D: ::serde::Deserializer<'de>,
        {
            ::std::string::String::deserialize(deserializer)?
                .parse()
                .map_err(|e: self::error::ConversionError| {
                    <D::Error as ::serde::de::Error>::custom(e.to_string())
                })
        }
    }
    ///Realisations to add.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct Realisations {
        ///The realisations.
        pub realisations: ::std::vec::Vec<Realisation>,
    }
    ///What a run has used.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct ReportUses {
        ///This report, with those before it, has all that the job used.
        #[serde(default)]
        pub complete: bool,
        /**Base names of paths that it had from the cache, at most 5000. Of paths that refer to each other, those that no
other one refers to are enough.*/
        pub paths: ::std::vec::Vec<::std::string::String>,
    }
    ///What was made of a report of uses.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct ReportedUses {
        pub run: Run,
        ///How many of the paths the cache has.
        pub used: u64,
    }
    ///What was restored.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct RestoredClosures {
        ///Closures.
        pub restored: u64,
    }
    ///A push or use of a closure, and what it does for it.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct RetentionUse {
        ///Unix time.
        pub at: i64,
        ///What made it run.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub event: ::std::option::Option<::std::string::String>,
        ///Name of the job.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub job: ::std::option::Option<::std::string::String>,
        ///Why it keeps the closure; none if it does not.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub keeps: ::std::option::Option<::std::string::String>,
        ///Git's ref.
        #[serde(rename = "ref", skip_serializing_if = "::std::option::Option::is_none")]
        pub ref_: ::std::option::Option<::std::string::String>,
        ///`owner/name`.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub repository: ::std::option::Option<::std::string::String>,
        ///The rule that judges it; none: the default.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub rule: ::std::option::Option<::std::string::String>,
        ///Id of the run; none for a push without one, and for a closure that was restored.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub run: ::std::option::Option<::std::string::String>,
        ///The job had it from the cache; otherwise it pushed it.
        pub used: bool,
    }
    ///By whom a root is signed.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct RootSignatures {
        ///Base name of the root.
        pub path: ::std::string::String,
        ///Signatures, `name:base64`: those of this server, and those that it came with.
        pub signatures: ::std::vec::Vec<::std::string::String>,
    }
    ///A run of CI that has pushed. What is not known is not there.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct Run {
        ///Who made it run.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub actor: ::std::option::Option<::std::string::String>,
        ///Closures in the cache that it has pushed.
        pub closures: u64,
        ///Closures in the cache that it has reported as used.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub closures_used: ::std::option::Option<u64>,
        ///How it ended, as `success` or `failure`.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub conclusion: ::std::option::Option<::std::string::String>,
        ///Unix time at which it was recorded.
        pub created_at: i64,
        ///What made it run.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub event: ::std::option::Option<::std::string::String>,
        ///Names the run in every other operation.
        pub id: ::std::string::String,
        ///Name of the job.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub job: ::std::option::Option<::std::string::String>,
        ///The number of the job.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub job_id: ::std::option::Option<::std::string::String>,
        ///The job's page.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub job_url: ::std::option::Option<::std::string::String>,
        ///Who the repository belongs to.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub owner: ::std::option::Option<::std::string::String>,
        ///The number that the owner keeps.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub owner_id: ::std::option::Option<::std::string::String>,
        ///Who ran it: the name of the provider of its token, or as stated.
        pub provider: ::std::string::String,
        ///Number of the pull request.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub pull_request: ::std::option::Option<u64>,
        ///Git's ref, as `refs/heads/main`.
        #[serde(rename = "ref", skip_serializing_if = "::std::option::Option::is_none")]
        pub ref_: ::std::option::Option<::std::string::String>,
        ///`owner/name`.
        pub repository: ::std::string::String,
        ///The number that the repository keeps when it is renamed.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub repository_id: ::std::option::Option<::std::string::String>,
        ///How often it was begun.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub run_attempt: ::std::option::Option<::std::string::String>,
        ///The number of the run.
        pub run_id: ::std::string::String,
        ///The commit.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub sha: ::std::option::Option<::std::string::String>,
        ///Its page.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub url: ::std::option::Option<::std::string::String>,
        ///It has reported all that it used.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub uses_complete: ::std::option::Option<bool>,
        ///It was recorded out of the claims of a verified token. If not, it is as its pusher has stated it.
        pub verified: bool,
        ///Name of the workflow.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub workflow: ::std::option::Option<::std::string::String>,
    }
    /**What a pusher says of the run it is in. Whatever the verified claims of its token say stays as they
say it; without claims it takes the admin token to state a run, and `provider`, `repository` and `run_id`
have to be given.*/
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, Default, PartialEq)]
    pub struct RunStatement {
        ///Who made it run.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub actor: ::std::option::Option<::std::string::String>,
        ///What made it run.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub event: ::std::option::Option<::std::string::String>,
        ///Name of the job.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub job: ::std::option::Option<::std::string::String>,
        ///The number of the job, which tells jobs of one name apart.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub job_id: ::std::option::Option<::std::string::String>,
        ///Who the repository belongs to.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub owner: ::std::option::Option<::std::string::String>,
        ///The number that the owner keeps.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub owner_id: ::std::option::Option<::std::string::String>,
        ///Who runs it, as `github`.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub provider: ::std::option::Option<::std::string::String>,
        ///Number of the pull request.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub pull_request: ::std::option::Option<u64>,
        ///Git's ref, as `refs/heads/main`.
        #[serde(rename = "ref", skip_serializing_if = "::std::option::Option::is_none")]
        pub ref_: ::std::option::Option<::std::string::String>,
        ///`owner/name`.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub repository: ::std::option::Option<::std::string::String>,
        ///The number that the repository keeps when it is renamed.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub repository_id: ::std::option::Option<::std::string::String>,
        ///How often it was begun.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub run_attempt: ::std::option::Option<::std::string::String>,
        ///The number of the run.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub run_id: ::std::option::Option<::std::string::String>,
        ///The commit.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub sha: ::std::option::Option<::std::string::String>,
        ///Its page, `http://…` or `https://…`.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub url: ::std::option::Option<::std::string::String>,
        ///Name of the workflow.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub workflow: ::std::option::Option<::std::string::String>,
    }
    ///A page of runs.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct Runs {
        ///Where the next page begins, if there is one.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub next: ::std::option::Option<::std::string::String>,
        ///From the newest to the oldest.
        pub runs: ::std::vec::Vec<Run>,
    }
    ///A small object with its bytes.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct SmallObject {
        ///Its bytes in base64, with padding.
        pub data: SmallObjectData,
        pub kind: UploadKind,
        ///Base name of the path it belongs to; of the derivation, for a build log.
        pub path: ::std::string::String,
        ///SHA-256 of its bytes.
        pub sha256: ::std::string::String,
    }
    ///Its bytes in base64, with padding.
    #[derive(::serde::Serialize, Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
    #[serde(transparent)]
    pub struct SmallObjectData(::std::string::String);
    impl ::std::ops::Deref for SmallObjectData {
        type Target = ::std::string::String;
        fn deref(&self) -> &::std::string::String {
            &self.0
        }
    }
    impl ::std::convert::From<SmallObjectData> for ::std::string::String {
        fn from(value: SmallObjectData) -> Self {
            value.0
        }
    }
    impl ::std::str::FromStr for SmallObjectData {
        type Err = self::error::ConversionError;
        fn from_str(
            value: &str,
        ) -> ::std::result::Result<Self, self::error::ConversionError> {
            if value.chars().count() > 87384usize {
                return Err("longer than 87384 characters".into());
            }
            Ok(Self(value.to_string()))
        }
    }
    impl ::std::convert::TryFrom<&str> for SmallObjectData {
        type Error = self::error::ConversionError;
        fn try_from(
            value: &str,
        ) -> ::std::result::Result<Self, self::error::ConversionError> {
            value.parse()
        }
    }
    impl ::std::convert::TryFrom<::std::string::String> for SmallObjectData {
        type Error = self::error::ConversionError;
        fn try_from(
            value: ::std::string::String,
        ) -> ::std::result::Result<Self, self::error::ConversionError> {
            value.parse()
        }
    }
    impl<'de> ::serde::Deserialize<'de> for SmallObjectData {
        fn deserialize<D>(deserializer: D) -> ::std::result::Result<Self, D::Error>
        where
            D: ::serde::Deserializer<'de>,
        {
            ::std::string::String::deserialize(deserializer)?
                .parse()
                .map_err(|e: self::error::ConversionError| {
                    <D::Error as ::serde::de::Error>::custom(e.to_string())
                })
        }
    }
    ///Bounds of objects that ride in requests to the server.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct SmallObjectLimits {
        ///Most bytes of the NAR in an object.
        pub max_nar_size: u64,
        ///Most bytes of an object: of a compressed NAR, or of a plain build log.
        pub max_object_size: u64,
        ///Most objects in one request.
        pub max_objects: u32,
        ///Most bytes of all objects in one request.
        pub max_request_size: u64,
    }
    ///Small objects with their bytes.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct SmallObjects {
        ///The objects.
        pub objects: ::std::vec::Vec<SmallObject>,
    }
    ///What to check.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct StartFsck {
        ///Read every NAR, and compare it with its hashes.
        #[serde(default = "defaults::default_bool::<true>")]
        pub contents: bool,
        ///Say what a repair would do, and do nothing.
        #[serde(default)]
        pub dry_run: bool,
        ///Mend what can be mended without guessing.
        #[serde(default)]
        pub repair: bool,
        /**Public keys, `name:base64`, whose signatures are as good as those of this server when narinfos that the database does
not have are adopted. At most 100.*/
        #[serde(default, skip_serializing_if = "::std::vec::Vec::is_empty")]
        pub trust_keys: ::std::vec::Vec<::std::string::String>,
    }
    impl ::std::default::Default for StartFsck {
        fn default() -> Self {
            Self {
                contents: defaults::default_bool::<true>(),
                dry_run: Default::default(),
                repair: Default::default(),
                trust_keys: Default::default(),
            }
        }
    }
    ///What to collect.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct StartGc {
        ///Collect although the clock of the server looks wrong.
        #[serde(default)]
        pub accept_clock: bool,
        ///Hash of the server's retention policy, which may release more than `max_release` although it is new.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub accept_policy: ::std::option::Option<::std::string::String>,
        ///Change nothing, say what would go.
        #[serde(default)]
        pub dry_run: bool,
        /**Seconds after which what failed uploads left goes. Also the grace period: how long
something has to be needed by nothing before it is deleted.*/
        #[serde(default = "defaults::default_u64::<u64, 21600>")]
        pub failed_uploads_older_than_seconds: u64,
        ///No grace period; as safe as with one.
        #[serde(default)]
        pub force: bool,
        ///Seconds since its last push or use after which a closure is deleted, unless it is pinned.
        pub older_than_seconds: u64,
        ///Text of a retention policy, for a dry run: what would go under it, compared with the policy in force.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub policy: ::std::option::Option<::std::string::String>,
    }
    ///States of a push.
    #[derive(
        ::serde::Deserialize,
        ::serde::Serialize,
        Clone,
        Copy,
        Debug,
        Eq,
        Hash,
        Ord,
        PartialEq,
        PartialOrd
    )]
    pub enum State {
        #[serde(rename = "open")]
        Open,
        #[serde(rename = "committing")]
        Committing,
        #[serde(rename = "committed")]
        Committed,
        #[serde(rename = "aborted")]
        Aborted,
        #[serde(rename = "expired")]
        Expired,
    }
    impl ::std::fmt::Display for State {
        fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
            match *self {
                Self::Open => f.write_str("open"),
                Self::Committing => f.write_str("committing"),
                Self::Committed => f.write_str("committed"),
                Self::Aborted => f.write_str("aborted"),
                Self::Expired => f.write_str("expired"),
            }
        }
    }
    impl ::std::str::FromStr for State {
        type Err = self::error::ConversionError;
        fn from_str(
            value: &str,
        ) -> ::std::result::Result<Self, self::error::ConversionError> {
            match value {
                "open" => Ok(Self::Open),
                "committing" => Ok(Self::Committing),
                "committed" => Ok(Self::Committed),
                "aborted" => Ok(Self::Aborted),
                "expired" => Ok(Self::Expired),
                _ => Err("invalid value".into()),
            }
        }
    }
    impl ::std::convert::TryFrom<&str> for State {
        type Error = self::error::ConversionError;
        fn try_from(
            value: &str,
        ) -> ::std::result::Result<Self, self::error::ConversionError> {
            value.parse()
        }
    }
    impl ::std::convert::TryFrom<::std::string::String> for State {
        type Error = self::error::ConversionError;
        fn try_from(
            value: ::std::string::String,
        ) -> ::std::result::Result<Self, self::error::ConversionError> {
            value.parse()
        }
    }
    ///Where a task stands.
    #[derive(
        ::serde::Deserialize,
        ::serde::Serialize,
        Clone,
        Copy,
        Debug,
        Eq,
        Hash,
        Ord,
        PartialEq,
        PartialOrd
    )]
    pub enum TaskState {
        #[serde(rename = "running")]
        Running,
        #[serde(rename = "done")]
        Done,
        #[serde(rename = "failed")]
        Failed,
        #[serde(rename = "cancelled")]
        Cancelled,
        #[serde(rename = "abandoned")]
        Abandoned,
    }
    impl ::std::fmt::Display for TaskState {
        fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
            match *self {
                Self::Running => f.write_str("running"),
                Self::Done => f.write_str("done"),
                Self::Failed => f.write_str("failed"),
                Self::Cancelled => f.write_str("cancelled"),
                Self::Abandoned => f.write_str("abandoned"),
            }
        }
    }
    impl ::std::str::FromStr for TaskState {
        type Err = self::error::ConversionError;
        fn from_str(
            value: &str,
        ) -> ::std::result::Result<Self, self::error::ConversionError> {
            match value {
                "running" => Ok(Self::Running),
                "done" => Ok(Self::Done),
                "failed" => Ok(Self::Failed),
                "cancelled" => Ok(Self::Cancelled),
                "abandoned" => Ok(Self::Abandoned),
                _ => Err("invalid value".into()),
            }
        }
    }
    impl ::std::convert::TryFrom<&str> for TaskState {
        type Error = self::error::ConversionError;
        fn try_from(
            value: &str,
        ) -> ::std::result::Result<Self, self::error::ConversionError> {
            value.parse()
        }
    }
    impl ::std::convert::TryFrom<::std::string::String> for TaskState {
        type Error = self::error::ConversionError;
        fn try_from(
            value: ::std::string::String,
        ) -> ::std::result::Result<Self, self::error::ConversionError> {
            value.parse()
        }
    }
    ///A named token, without what proves it.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct Token {
        ///Unix time at which it was made.
        pub created_at: i64,
        ///Who made it.
        pub created_by: ::std::string::String,
        ///Unix time at which it ends, if it does.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub expires_at: ::std::option::Option<i64>,
        ///Its name.
        pub name: ::std::string::String,
        ///What it is good for.
        pub scopes: ::std::vec::Vec<::std::string::String>,
        ///What is uploaded with it need not be read before it becomes visible, with `--verify-uploads=untrusted`.
        pub trusted: bool,
    }
    ///A page of tokens.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct Tokens {
        ///Where the next page begins, if there is one.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub next: ::std::option::Option<::std::string::String>,
        ///In the order of their names.
        pub tokens: ::std::vec::Vec<Token>,
    }
    ///An object whose bytes are known.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct Upload {
        pub kind: UploadKind,
        ///MD5 of its bytes in hexadecimal, where the server asks for it.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub md5: ::std::option::Option<::std::string::String>,
        ///Base name of the path it belongs to; of the derivation, for a build log.
        pub path: ::std::string::String,
        ///SHA-256 of its bytes.
        pub sha256: ::std::string::String,
        ///Bytes.
        pub size: u64,
    }
    ///Kinds of objects that a client uploads.
    #[derive(
        ::serde::Deserialize,
        ::serde::Serialize,
        Clone,
        Copy,
        Debug,
        Eq,
        Hash,
        Ord,
        PartialEq,
        PartialOrd
    )]
    pub enum UploadKind {
        #[serde(rename = "nar")]
        Nar,
        #[serde(rename = "listing")]
        Listing,
        #[serde(rename = "log")]
        Log,
    }
    impl ::std::fmt::Display for UploadKind {
        fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
            match *self {
                Self::Nar => f.write_str("nar"),
                Self::Listing => f.write_str("listing"),
                Self::Log => f.write_str("log"),
            }
        }
    }
    impl ::std::str::FromStr for UploadKind {
        type Err = self::error::ConversionError;
        fn from_str(
            value: &str,
        ) -> ::std::result::Result<Self, self::error::ConversionError> {
            match value {
                "nar" => Ok(Self::Nar),
                "listing" => Ok(Self::Listing),
                "log" => Ok(Self::Log),
                _ => Err("invalid value".into()),
            }
        }
    }
    impl ::std::convert::TryFrom<&str> for UploadKind {
        type Error = self::error::ConversionError;
        fn try_from(
            value: &str,
        ) -> ::std::result::Result<Self, self::error::ConversionError> {
            value.parse()
        }
    }
    impl ::std::convert::TryFrom<::std::string::String> for UploadKind {
        type Error = self::error::ConversionError;
        fn try_from(
            value: ::std::string::String,
        ) -> ::std::result::Result<Self, self::error::ConversionError> {
            value.parse()
        }
    }
    ///Where one object goes.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, Default, PartialEq)]
    pub struct UploadTarget {
        ///Headers that have to be sent as they are.
        #[serde(
            default,
            skip_serializing_if = ":: std :: collections :: HashMap::is_empty"
        )]
        pub headers: ::std::collections::HashMap<
            ::std::string::String,
            ::std::string::String,
        >,
        ///PUT the bytes here; absent when they are in the bucket already.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub url: ::std::option::Option<::std::string::String>,
    }
    ///Objects to upload.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct Uploads {
        ///SHA-256 of NARs of this push that have arrived: the server begins to read them.
        #[serde(default, skip_serializing_if = "::std::vec::Vec::is_empty")]
        pub arrived: ::std::vec::Vec<::std::string::String>,
        ///The objects.
        pub uploads: ::std::vec::Vec<Upload>,
    }
    ///Where the objects go, in the order of the request.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct UploadsAnswer {
        ///One for each object.
        pub uploads: ::std::vec::Vec<UploadTarget>,
    }
    ///What the cache holds.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct Usage {
        ///Bytes in the bucket of all NARs that closures and pins reach.
        pub bytes: u64,
        ///Closures.
        pub closures: u64,
        ///The groups, largest first.
        pub groups: ::std::vec::Vec<UsageGroup>,
        ///There are more groups.
        pub more: bool,
        ///Most bytes of the cache, if the policy says so.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub quota: ::std::option::Option<u64>,
        ///Bytes that only these reach: they are free once the undo time is over.
        pub released_bytes: u64,
        ///Of the closures, those that are released.
        pub released_closures: u64,
    }
    ///Closures, and what they hold.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct UsageGroup {
        ///Bytes in the bucket of all NARs that they reach.
        pub bytes: u64,
        ///Closures.
        pub closures: u64,
        ///A rule or a repository; in parentheses, what is neither: `(default)`, `(pinned)`, `(released)`, `(no run)`.
        pub name: ::std::string::String,
        ///Of those, bytes that no closure of another group reaches.
        pub only_bytes: u64,
    }
    ///How far the verification of a push is.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct Verifying {
        ///NARs in all.
        pub total: u64,
        ///NARs that have been read.
        pub verified: u64,
    }
    ///Somebody the server knows.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct Whoami {
        ///Unix time at which what proves them ends, if it does.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub expires_at: ::std::option::Option<i64>,
        ///What the pushes that they open belong to.
        pub identity: ::std::string::String,
        pub kind: Kind,
        ///Names that their pins may have; `*` and `?` stand for others.
        pub pins: ::std::vec::Vec<::std::string::String>,
        ///The rules of the configuration that give them that, where rules do.
        pub rules: ::std::vec::Vec<::std::string::String>,
        ///What they may do.
        pub scopes: ::std::vec::Vec<::std::string::String>,
        ///Names of the keys that sign what they push, where a rule chooses; empty: every key.
        pub signing_keys: ::std::vec::Vec<::std::string::String>,
    }
    /// Generation of default values for serde.
    pub mod defaults {
        pub(super) fn default_bool<const V: bool>() -> bool {
            V
        }
        pub(super) fn default_u64<T, const V: u64>() -> T
        where
            T: ::std::convert::TryFrom<u64>,
            <T as ::std::convert::TryFrom<u64>>::Error: ::std::fmt::Debug,
        {
            T::try_from(V).unwrap()
        }
    }
    /// Error types.
    pub mod error {
        /// Error from a `TryFrom` or `FromStr` implementation.
        pub struct ConversionError(::std::borrow::Cow<'static, str>);
        impl ::std::error::Error for ConversionError {}
        impl ::std::fmt::Display for ConversionError {
            fn fmt(
                &self,
                f: &mut ::std::fmt::Formatter<'_>,
            ) -> Result<(), ::std::fmt::Error> {
                ::std::fmt::Display::fmt(&self.0, f)
            }
        }
        impl ::std::fmt::Debug for ConversionError {
            fn fmt(
                &self,
                f: &mut ::std::fmt::Formatter<'_>,
            ) -> Result<(), ::std::fmt::Error> {
                ::std::fmt::Debug::fmt(&self.0, f)
            }
        }
        impl From<&'static str> for ConversionError {
            fn from(value: &'static str) -> Self {
                Self(value.into())
            }
        }
        impl From<String> for ConversionError {
            fn from(value: String) -> Self {
                Self(value.into())
            }
        }
    }
}
#[derive(Clone, Debug)]
/**Client for niks3

Uploads into a Nix binary cache in an S3 bucket. Paths are relative to `/api/v1`.

Version: 0.1.0*/
pub struct Client {
    pub(crate) baseurl: String,
    pub(crate) client: reqwest::Client,
    pub(crate) inner: crate::session::Session,
}
impl Client {
    /// Create a new client.
    ///
    /// `baseurl` is the base URL provided to the internal
    /// `reqwest::Client`, and should include a scheme and hostname,
    /// as well as port and a path stem if applicable.
    pub fn new(baseurl: &str, inner: crate::session::Session) -> Self {
        #[cfg(not(target_arch = "wasm32"))]
        let client = {
            let dur = ::std::time::Duration::from_secs(15u64);
            reqwest::ClientBuilder::new().connect_timeout(dur).timeout(dur)
        };
        #[cfg(target_arch = "wasm32")]
        let client = reqwest::ClientBuilder::new();
        Self::new_with_client(baseurl, client.build().unwrap(), inner)
    }
    /// Construct a new client with an existing `reqwest::Client`,
    /// allowing more control over its configuration.
    ///
    /// `baseurl` is the base URL provided to the internal
    /// `reqwest::Client`, and should include a scheme and hostname,
    /// as well as port and a path stem if applicable.
    pub fn new_with_client(
        baseurl: &str,
        client: reqwest::Client,
        inner: crate::session::Session,
    ) -> Self {
        Self {
            baseurl: baseurl.to_string(),
            client,
            inner,
        }
    }
}
impl ClientInfo<crate::session::Session> for Client {
    fn api_version() -> &'static str {
        "0.1.0"
    }
    fn baseurl(&self) -> &str {
        self.baseurl.as_str()
    }
    fn client(&self) -> &reqwest::Client {
        &self.client
    }
    fn inner(&self) -> &crate::session::Session {
        &self.inner
    }
}
const _: () = {
    #[allow(dead_code)]
    fn assert_client_hooks()
    where
        Client: ClientHooks<crate::session::Session>,
    {}
};
#[allow(clippy::all)]
impl Client {
    /**How to use this cache

Needs no token.

Sends a `GET` request to `/api/v1/cache-config`

Arguments:
- `issuer`: Issuer of OpenID Connect tokens, for example `https://token.actions.githubusercontent.com`.
*/
    pub async fn get_cache_config<'a>(
        &'a self,
        issuer: Option<&'a str>,
    ) -> Result<ResponseValue<types::CacheConfig>, Error<types::Problem>> {
        let url = format!("{}/api/v1/cache-config", self.baseurl,);
        let mut header_map = ::reqwest::header::HeaderMap::with_capacity(1usize);
        header_map
            .append(
                ::reqwest::header::HeaderName::from_static("api-version"),
                ::reqwest::header::HeaderValue::from_static(Self::api_version()),
            );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .get(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .query(&progenitor_client::QueryParam::new("issuer", &issuer))
            .headers(header_map)
            .build()?;
        let info = OperationInfo {
            operation_id: "get_cache_config",
        };
        self.pre(&mut request, &info).await?;
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200u16 => ResponseValue::from_response(response).await,
            400u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            401u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            403u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            404u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            409u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            413u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            415u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            422u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            429u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            500u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            503u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }
    /**List closures

From the one pushed last to the one not pushed for longest; one that is pushed while pages are read moves to
the first. Several conditions on runs hold for one and the same run.

Needs the scope `read`.

Sends a `GET` request to `/api/v1/closures`

Arguments:
- `after`: `next` of the page before.
- `limit`: Entries, 100 by default and at most.
- `pull_request`: Those that a run of the pull request of this number has pushed.
- `ref_`: Those that a run of this ref of Git has pushed.
- `repository`: Those that a run in this repository, `owner/name`, has pushed.
- `run`: Those that the run of this id has pushed.
- `since`: Those last pushed at this Unix time or later.
- `until`: Those last pushed before this Unix time.
*/
    pub async fn list_closures<'a>(
        &'a self,
        after: Option<&'a str>,
        limit: Option<u32>,
        pull_request: Option<u64>,
        ref_: Option<&'a str>,
        repository: Option<&'a str>,
        run: Option<&'a str>,
        since: Option<u64>,
        until: Option<u64>,
    ) -> Result<ResponseValue<types::Closures>, Error<types::Problem>> {
        let url = format!("{}/api/v1/closures", self.baseurl,);
        let mut header_map = ::reqwest::header::HeaderMap::with_capacity(1usize);
        header_map
            .append(
                ::reqwest::header::HeaderName::from_static("api-version"),
                ::reqwest::header::HeaderValue::from_static(Self::api_version()),
            );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .get(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .query(&progenitor_client::QueryParam::new("after", &after))
            .query(&progenitor_client::QueryParam::new("limit", &limit))
            .query(&progenitor_client::QueryParam::new("pull_request", &pull_request))
            .query(&progenitor_client::QueryParam::new("ref", &ref_))
            .query(&progenitor_client::QueryParam::new("repository", &repository))
            .query(&progenitor_client::QueryParam::new("run", &run))
            .query(&progenitor_client::QueryParam::new("since", &since))
            .query(&progenitor_client::QueryParam::new("until", &until))
            .headers(header_map)
            .build()?;
        let info = OperationInfo {
            operation_id: "list_closures",
        };
        self.pre(&mut request, &info).await?;
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200u16 => ResponseValue::from_response(response).await,
            400u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            401u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            403u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            404u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            409u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            413u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            415u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            422u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            429u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            500u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            503u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }
    /**Show a closure

Named by the base name of its root. The runs that have pushed it: `/runs?closure={root}`.

Needs the scope `read`.

Sends a `GET` request to `/api/v1/closures/{root}`

*/
    pub async fn get_closure<'a>(
        &'a self,
        root: &'a str,
    ) -> Result<ResponseValue<types::ClosureInfo>, Error<types::Problem>> {
        let url = format!(
            "{}/api/v1/closures/{}", self.baseurl, encode_path(& root.to_string()),
        );
        let mut header_map = ::reqwest::header::HeaderMap::with_capacity(1usize);
        header_map
            .append(
                ::reqwest::header::HeaderName::from_static("api-version"),
                ::reqwest::header::HeaderValue::from_static(Self::api_version()),
            );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .get(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .headers(header_map)
            .build()?;
        let info = OperationInfo {
            operation_id: "get_closure",
        };
        self.pre(&mut request, &info).await?;
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200u16 => ResponseValue::from_response(response).await,
            400u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            401u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            403u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            404u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            409u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            413u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            415u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            422u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            429u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            500u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            503u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }
    /**Delete a closure

It is released: it can be restored until the undo time is over, and it comes back when somebody pushes or uses it.
With `now`, a garbage collection deletes it at once, with all that nothing else needs. 409 if a pin or a push in
progress needs it. Of a path that is no root, the answer has the closures that contain it, and nothing is deleted;
with `contains`, these are.

Needs the scope `gc`.

Sends a `DELETE` request to `/api/v1/closures/{root}`

Arguments:
- `root`
- `contains`: Also closures that contain the path.
- `now`: Without the undo time and the grace period.
*/
    pub async fn delete_closure<'a>(
        &'a self,
        root: &'a str,
        contains: Option<bool>,
        now: Option<bool>,
    ) -> Result<ResponseValue<types::DeletedClosures>, Error<types::Problem>> {
        let url = format!(
            "{}/api/v1/closures/{}", self.baseurl, encode_path(& root.to_string()),
        );
        let mut header_map = ::reqwest::header::HeaderMap::with_capacity(1usize);
        header_map
            .append(
                ::reqwest::header::HeaderName::from_static("api-version"),
                ::reqwest::header::HeaderValue::from_static(Self::api_version()),
            );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .delete(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .query(&progenitor_client::QueryParam::new("contains", &contains))
            .query(&progenitor_client::QueryParam::new("now", &now))
            .headers(header_map)
            .build()?;
        let info = OperationInfo {
            operation_id: "delete_closure",
        };
        self.pre(&mut request, &info).await?;
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200u16 => ResponseValue::from_response(response).await,
            400u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            401u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            403u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            404u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            409u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            413u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            415u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            422u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            429u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            500u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            503u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }
    /**Restore a closure

As a push of its root without a run would.

Needs the scope `gc`.

Sends a `POST` request to `/api/v1/closures/{root}/restore`

*/
    pub async fn restore_closure<'a>(
        &'a self,
        root: &'a str,
    ) -> Result<ResponseValue<types::ClosureInfo>, Error<types::Problem>> {
        let url = format!(
            "{}/api/v1/closures/{}/restore", self.baseurl, encode_path(& root
            .to_string()),
        );
        let mut header_map = ::reqwest::header::HeaderMap::with_capacity(1usize);
        header_map
            .append(
                ::reqwest::header::HeaderName::from_static("api-version"),
                ::reqwest::header::HeaderValue::from_static(Self::api_version()),
            );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .post(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .headers(header_map)
            .build()?;
        let info = OperationInfo {
            operation_id: "restore_closure",
        };
        self.pre(&mut request, &info).await?;
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200u16 => ResponseValue::from_response(response).await,
            400u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            401u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            403u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            404u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            409u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            413u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            415u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            422u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            429u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            500u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            503u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }
    /**List checks

From the newest to the oldest.

Needs the scope `gc`.

Sends a `GET` request to `/api/v1/fsck`

Arguments:
- `after`: `next` of the page before.
- `limit`: Entries, 100 by default, at most 1000.
*/
    pub async fn list_fsck<'a>(
        &'a self,
        after: Option<&'a str>,
        limit: Option<u32>,
    ) -> Result<ResponseValue<types::FsckRuns>, Error<types::Problem>> {
        let url = format!("{}/api/v1/fsck", self.baseurl,);
        let mut header_map = ::reqwest::header::HeaderMap::with_capacity(1usize);
        header_map
            .append(
                ::reqwest::header::HeaderName::from_static("api-version"),
                ::reqwest::header::HeaderValue::from_static(Self::api_version()),
            );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .get(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .query(&progenitor_client::QueryParam::new("after", &after))
            .query(&progenitor_client::QueryParam::new("limit", &limit))
            .headers(header_map)
            .build()?;
        let info = OperationInfo {
            operation_id: "list_fsck",
        };
        self.pre(&mut request, &info).await?;
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200u16 => ResponseValue::from_response(response).await,
            400u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            401u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            403u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            404u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            409u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            413u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            415u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            422u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            429u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            500u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            503u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }
    /**Compare bucket and database

Begins a check, joins the one under way if that has the same options, or goes on with the
last one if that was cut off; 409 if one with other options is under way. It goes on in
the server: ask for its status.

Needs the scope `gc`.

Sends a `POST` request to `/api/v1/fsck`

*/
    pub async fn start_fsck<'a>(
        &'a self,
        body: &'a types::StartFsck,
    ) -> Result<ResponseValue<types::FsckRun>, Error<types::Problem>> {
        let url = format!("{}/api/v1/fsck", self.baseurl,);
        let mut header_map = ::reqwest::header::HeaderMap::with_capacity(1usize);
        header_map
            .append(
                ::reqwest::header::HeaderName::from_static("api-version"),
                ::reqwest::header::HeaderValue::from_static(Self::api_version()),
            );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .post(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .json(&body)
            .headers(header_map)
            .build()?;
        let info = OperationInfo {
            operation_id: "start_fsck",
        };
        self.pre(&mut request, &info).await?;
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            202u16 => ResponseValue::from_response(response).await,
            400u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            401u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            403u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            404u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            409u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            413u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            415u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            422u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            429u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            500u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            503u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }
    /**Show a check

Needs the scope `gc`.

Sends a `GET` request to `/api/v1/fsck/{id}`

*/
    pub async fn get_fsck<'a>(
        &'a self,
        id: &'a str,
    ) -> Result<ResponseValue<types::FsckRun>, Error<types::Problem>> {
        let url = format!(
            "{}/api/v1/fsck/{}", self.baseurl, encode_path(& id.to_string()),
        );
        let mut header_map = ::reqwest::header::HeaderMap::with_capacity(1usize);
        header_map
            .append(
                ::reqwest::header::HeaderName::from_static("api-version"),
                ::reqwest::header::HeaderValue::from_static(Self::api_version()),
            );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .get(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .headers(header_map)
            .build()?;
        let info = OperationInfo {
            operation_id: "get_fsck",
        };
        self.pre(&mut request, &info).await?;
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200u16 => ResponseValue::from_response(response).await,
            400u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            401u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            403u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            404u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            409u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            413u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            415u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            422u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            429u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            500u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            503u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }
    /**List what a check has found

Known as soon as it is found.

Needs the scope `gc`.

Sends a `GET` request to `/api/v1/fsck/{id}/findings`

Arguments:
- `id`
- `after`: `next` of the page before.
- `limit`: Entries, 100 by default, at most 1000.
*/
    pub async fn list_fsck_findings<'a>(
        &'a self,
        id: &'a str,
        after: Option<u64>,
        limit: Option<u32>,
    ) -> Result<ResponseValue<types::Findings>, Error<types::Problem>> {
        let url = format!(
            "{}/api/v1/fsck/{}/findings", self.baseurl, encode_path(& id.to_string()),
        );
        let mut header_map = ::reqwest::header::HeaderMap::with_capacity(1usize);
        header_map
            .append(
                ::reqwest::header::HeaderName::from_static("api-version"),
                ::reqwest::header::HeaderValue::from_static(Self::api_version()),
            );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .get(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .query(&progenitor_client::QueryParam::new("after", &after))
            .query(&progenitor_client::QueryParam::new("limit", &limit))
            .headers(header_map)
            .build()?;
        let info = OperationInfo {
            operation_id: "list_fsck_findings",
        };
        self.pre(&mut request, &info).await?;
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200u16 => ResponseValue::from_response(response).await,
            400u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            401u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            403u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            404u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            409u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            413u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            415u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            422u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            429u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            500u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            503u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }
    /**List garbage collections

From the newest to the oldest.

Needs the scope `gc`.

Sends a `GET` request to `/api/v1/gc`

Arguments:
- `after`: `next` of the page before.
- `limit`: Entries, 100 by default, at most 1000.
*/
    pub async fn list_gc<'a>(
        &'a self,
        after: Option<&'a str>,
        limit: Option<u32>,
    ) -> Result<ResponseValue<types::GcRuns>, Error<types::Problem>> {
        let url = format!("{}/api/v1/gc", self.baseurl,);
        let mut header_map = ::reqwest::header::HeaderMap::with_capacity(1usize);
        header_map
            .append(
                ::reqwest::header::HeaderName::from_static("api-version"),
                ::reqwest::header::HeaderValue::from_static(Self::api_version()),
            );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .get(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .query(&progenitor_client::QueryParam::new("after", &after))
            .query(&progenitor_client::QueryParam::new("limit", &limit))
            .headers(header_map)
            .build()?;
        let info = OperationInfo {
            operation_id: "list_gc",
        };
        self.pre(&mut request, &info).await?;
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200u16 => ResponseValue::from_response(response).await,
            400u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            401u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            403u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            404u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            409u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            413u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            415u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            422u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            429u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            500u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            503u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }
    /**Collect garbage

Begins a garbage collection, or joins the one under way if that has the same options;
409 if it has others, or if the clock of the server looks wrong. It goes on in the server: ask for its status.

Needs the scope `gc`.

Sends a `POST` request to `/api/v1/gc`

*/
    pub async fn start_gc<'a>(
        &'a self,
        body: &'a types::StartGc,
    ) -> Result<ResponseValue<types::GcRun>, Error<types::Problem>> {
        let url = format!("{}/api/v1/gc", self.baseurl,);
        let mut header_map = ::reqwest::header::HeaderMap::with_capacity(1usize);
        header_map
            .append(
                ::reqwest::header::HeaderName::from_static("api-version"),
                ::reqwest::header::HeaderValue::from_static(Self::api_version()),
            );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .post(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .json(&body)
            .headers(header_map)
            .build()?;
        let info = OperationInfo {
            operation_id: "start_gc",
        };
        self.pre(&mut request, &info).await?;
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            202u16 => ResponseValue::from_response(response).await,
            400u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            401u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            403u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            404u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            409u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            413u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            415u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            422u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            429u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            500u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            503u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }
    /**Show a garbage collection

Needs the scope `gc`.

Sends a `GET` request to `/api/v1/gc/{id}`

*/
    pub async fn get_gc<'a>(
        &'a self,
        id: &'a str,
    ) -> Result<ResponseValue<types::GcRun>, Error<types::Problem>> {
        let url = format!(
            "{}/api/v1/gc/{}", self.baseurl, encode_path(& id.to_string()),
        );
        let mut header_map = ::reqwest::header::HeaderMap::with_capacity(1usize);
        header_map
            .append(
                ::reqwest::header::HeaderName::from_static("api-version"),
                ::reqwest::header::HeaderValue::from_static(Self::api_version()),
            );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .get(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .headers(header_map)
            .build()?;
        let info = OperationInfo {
            operation_id: "get_gc",
        };
        self.pre(&mut request, &info).await?;
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200u16 => ResponseValue::from_response(response).await,
            400u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            401u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            403u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            404u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            409u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            413u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            415u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            422u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            429u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            500u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            503u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }
    /**List the closures that a garbage collection let go

Of a dry run: those that it would let go. Known once it has marked.

Needs the scope `gc`.

Sends a `GET` request to `/api/v1/gc/{id}/closures`

Arguments:
- `id`
- `after`: `next` of the page before.
- `limit`: Entries, 100 by default, at most 1000.
*/
    pub async fn list_gc_closures<'a>(
        &'a self,
        id: &'a str,
        after: Option<u64>,
        limit: Option<u32>,
    ) -> Result<ResponseValue<types::GcClosures>, Error<types::Problem>> {
        let url = format!(
            "{}/api/v1/gc/{}/closures", self.baseurl, encode_path(& id.to_string()),
        );
        let mut header_map = ::reqwest::header::HeaderMap::with_capacity(1usize);
        header_map
            .append(
                ::reqwest::header::HeaderName::from_static("api-version"),
                ::reqwest::header::HeaderValue::from_static(Self::api_version()),
            );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .get(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .query(&progenitor_client::QueryParam::new("after", &after))
            .query(&progenitor_client::QueryParam::new("limit", &limit))
            .headers(header_map)
            .build()?;
        let info = OperationInfo {
            operation_id: "list_gc_closures",
        };
        self.pre(&mut request, &info).await?;
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200u16 => ResponseValue::from_response(response).await,
            400u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            401u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            403u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            404u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            409u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            413u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            415u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            422u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            429u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            500u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            503u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }
    /**Restore what a garbage collection has released

All closures that it has released and that are still there, as pushes without a run would.

Needs the scope `gc`.

Sends a `POST` request to `/api/v1/gc/{id}/restore`

*/
    pub async fn restore_gc<'a>(
        &'a self,
        id: &'a str,
    ) -> Result<ResponseValue<types::RestoredClosures>, Error<types::Problem>> {
        let url = format!(
            "{}/api/v1/gc/{}/restore", self.baseurl, encode_path(& id.to_string()),
        );
        let mut header_map = ::reqwest::header::HeaderMap::with_capacity(1usize);
        header_map
            .append(
                ::reqwest::header::HeaderName::from_static("api-version"),
                ::reqwest::header::HeaderValue::from_static(Self::api_version()),
            );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .post(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .headers(header_map)
            .build()?;
        let info = OperationInfo {
            operation_id: "restore_gc",
        };
        self.pre(&mut request, &info).await?;
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200u16 => ResponseValue::from_response(response).await,
            400u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            401u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            403u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            404u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            409u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            413u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            415u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            422u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            429u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            500u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            503u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }
    /**Show a path

Named by its base name: what its narinfo says, and what keeps it.

Needs the scope `read`.

Sends a `GET` request to `/api/v1/paths/{path}`

*/
    pub async fn get_path<'a>(
        &'a self,
        path: &'a str,
    ) -> Result<ResponseValue<types::CachedPath>, Error<types::Problem>> {
        let url = format!(
            "{}/api/v1/paths/{}", self.baseurl, encode_path(& path.to_string()),
        );
        let mut header_map = ::reqwest::header::HeaderMap::with_capacity(1usize);
        header_map
            .append(
                ::reqwest::header::HeaderName::from_static("api-version"),
                ::reqwest::header::HeaderValue::from_static(Self::api_version()),
            );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .get(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .headers(header_map)
            .build()?;
        let info = OperationInfo {
            operation_id: "get_path",
        };
        self.pre(&mut request, &info).await?;
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200u16 => ResponseValue::from_response(response).await,
            400u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            401u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            403u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            404u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            409u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            413u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            415u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            422u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            429u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            500u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            503u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }
    /**List pins

In the order of their names.

Needs the scope `read`.

Sends a `GET` request to `/api/v1/pins`

Arguments:
- `after`: `next` of the page before.
- `limit`: Entries, 100 by default, at most 1000.
*/
    pub async fn list_pins<'a>(
        &'a self,
        after: Option<&'a str>,
        limit: Option<u32>,
    ) -> Result<ResponseValue<types::Pins>, Error<types::Problem>> {
        let url = format!("{}/api/v1/pins", self.baseurl,);
        let mut header_map = ::reqwest::header::HeaderMap::with_capacity(1usize);
        header_map
            .append(
                ::reqwest::header::HeaderName::from_static("api-version"),
                ::reqwest::header::HeaderValue::from_static(Self::api_version()),
            );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .get(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .query(&progenitor_client::QueryParam::new("after", &after))
            .query(&progenitor_client::QueryParam::new("limit", &limit))
            .headers(header_map)
            .build()?;
        let info = OperationInfo {
            operation_id: "list_pins",
        };
        self.pre(&mut request, &info).await?;
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200u16 => ResponseValue::from_response(response).await,
            400u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            401u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            403u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            404u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            409u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            413u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            415u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            422u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            429u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            500u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            503u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }
    /**Show a pin

Needs the scope `read`.

Sends a `GET` request to `/api/v1/pins/{name}`

*/
    pub async fn get_pin<'a>(
        &'a self,
        name: &'a str,
    ) -> Result<ResponseValue<types::Pin>, Error<types::Problem>> {
        let url = format!(
            "{}/api/v1/pins/{}", self.baseurl, encode_path(& name.to_string()),
        );
        let mut header_map = ::reqwest::header::HeaderMap::with_capacity(1usize);
        header_map
            .append(
                ::reqwest::header::HeaderName::from_static("api-version"),
                ::reqwest::header::HeaderValue::from_static(Self::api_version()),
            );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .get(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .headers(header_map)
            .build()?;
        let info = OperationInfo {
            operation_id: "get_pin",
        };
        self.pre(&mut request, &info).await?;
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200u16 => ResponseValue::from_response(response).await,
            400u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            401u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            403u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            404u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            409u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            413u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            415u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            422u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            429u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            500u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            503u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }
    /**Pin a path

Keeps the closure of a path that is in the cache, and writes `pins/{name}` into the bucket.
A pin of that name is moved.

Needs the scope `push`.

Sends a `PUT` request to `/api/v1/pins/{name}`

*/
    pub async fn create_pin<'a>(
        &'a self,
        name: &'a str,
        body: &'a types::CreatePin,
    ) -> Result<ResponseValue<types::Pin>, Error<types::Problem>> {
        let url = format!(
            "{}/api/v1/pins/{}", self.baseurl, encode_path(& name.to_string()),
        );
        let mut header_map = ::reqwest::header::HeaderMap::with_capacity(1usize);
        header_map
            .append(
                ::reqwest::header::HeaderName::from_static("api-version"),
                ::reqwest::header::HeaderValue::from_static(Self::api_version()),
            );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .put(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .json(&body)
            .headers(header_map)
            .build()?;
        let info = OperationInfo {
            operation_id: "create_pin",
        };
        self.pre(&mut request, &info).await?;
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200u16 => ResponseValue::from_response(response).await,
            400u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            401u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            403u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            404u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            409u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            413u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            415u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            422u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            429u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            500u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            503u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }
    /**Delete a pin

Lets go of its closure, and deletes `pins/{name}` from the bucket.

Needs the scope `push`.

Sends a `DELETE` request to `/api/v1/pins/{name}`

*/
    pub async fn delete_pin<'a>(
        &'a self,
        name: &'a str,
    ) -> Result<ResponseValue<()>, Error<types::Problem>> {
        let url = format!(
            "{}/api/v1/pins/{}", self.baseurl, encode_path(& name.to_string()),
        );
        let mut header_map = ::reqwest::header::HeaderMap::with_capacity(1usize);
        header_map
            .append(
                ::reqwest::header::HeaderName::from_static("api-version"),
                ::reqwest::header::HeaderValue::from_static(Self::api_version()),
            );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .delete(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .headers(header_map)
            .build()?;
        let info = OperationInfo {
            operation_id: "delete_pin",
        };
        self.pre(&mut request, &info).await?;
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            204u16 => Ok(ResponseValue::empty(response)),
            400u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            401u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            403u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            404u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            409u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            413u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            415u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            422u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            429u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            500u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            503u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }
    /**Open a push

Names the roots whose closures are to become visible together. The answer's id
names the push in every other operation, for whoever opened it.

Needs the scope `push`.

Sends a `POST` request to `/api/v1/pushes`

*/
    pub async fn create_push<'a>(
        &'a self,
        body: &'a types::CreatePush,
    ) -> Result<ResponseValue<types::CreatedPush>, Error<types::Problem>> {
        let url = format!("{}/api/v1/pushes", self.baseurl,);
        let mut header_map = ::reqwest::header::HeaderMap::with_capacity(1usize);
        header_map
            .append(
                ::reqwest::header::HeaderName::from_static("api-version"),
                ::reqwest::header::HeaderValue::from_static(Self::api_version()),
            );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .post(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .json(&body)
            .headers(header_map)
            .build()?;
        let info = OperationInfo {
            operation_id: "create_push",
        };
        self.pre(&mut request, &info).await?;
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            201u16 => ResponseValue::from_response(response).await,
            400u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            401u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            403u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            404u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            409u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            413u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            415u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            422u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            429u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            500u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            503u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }
    /**Show a push

Needs the scope `push`.

Sends a `GET` request to `/api/v1/pushes/{id}`

*/
    pub async fn get_push<'a>(
        &'a self,
        id: &'a str,
    ) -> Result<ResponseValue<types::PushStatus>, Error<types::Problem>> {
        let url = format!(
            "{}/api/v1/pushes/{}", self.baseurl, encode_path(& id.to_string()),
        );
        let mut header_map = ::reqwest::header::HeaderMap::with_capacity(1usize);
        header_map
            .append(
                ::reqwest::header::HeaderName::from_static("api-version"),
                ::reqwest::header::HeaderValue::from_static(Self::api_version()),
            );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .get(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .headers(header_map)
            .build()?;
        let info = OperationInfo {
            operation_id: "get_push",
        };
        self.pre(&mut request, &info).await?;
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200u16 => ResponseValue::from_response(response).await,
            400u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            401u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            403u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            404u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            409u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            413u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            415u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            422u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            429u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            500u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            503u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }
    /**Give up a push

Lets go of everything that it claimed. A committed push stays.

Needs the scope `push`.

Sends a `DELETE` request to `/api/v1/pushes/{id}`

*/
    pub async fn abort_push<'a>(
        &'a self,
        id: &'a str,
    ) -> Result<ResponseValue<()>, Error<types::Problem>> {
        let url = format!(
            "{}/api/v1/pushes/{}", self.baseurl, encode_path(& id.to_string()),
        );
        let mut header_map = ::reqwest::header::HeaderMap::with_capacity(1usize);
        header_map
            .append(
                ::reqwest::header::HeaderName::from_static("api-version"),
                ::reqwest::header::HeaderValue::from_static(Self::api_version()),
            );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .delete(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .headers(header_map)
            .build()?;
        let info = OperationInfo {
            operation_id: "abort_push",
        };
        self.pre(&mut request, &info).await?;
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            204u16 => Ok(ResponseValue::empty(response)),
            400u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            401u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            403u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            404u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            409u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            413u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            415u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            422u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            429u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            500u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            503u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }
    /**Commit a push

Checks that all has arrived, signs, publishes. Committing again answers the
same, and joins a commit in progress, on whichever server that is. 202: it is still in progress, or waits until
the uploads are verified, so commit again after `Retry-After`. 409 with `missing`: upload those, then commit
again. 422: an upload is not what the push says; the push is over.

Needs the scope `push`.

Sends a `POST` request to `/api/v1/pushes/{id}/commit`

*/
    pub async fn commit_push<'a>(
        &'a self,
        id: &'a str,
    ) -> Result<ResponseValue<types::Commit>, Error<types::Problem>> {
        let url = format!(
            "{}/api/v1/pushes/{}/commit", self.baseurl, encode_path(& id.to_string()),
        );
        let mut header_map = ::reqwest::header::HeaderMap::with_capacity(1usize);
        header_map
            .append(
                ::reqwest::header::HeaderName::from_static("api-version"),
                ::reqwest::header::HeaderValue::from_static(Self::api_version()),
            );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .post(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .headers(header_map)
            .build()?;
        let info = OperationInfo {
            operation_id: "commit_push",
        };
        self.pre(&mut request, &info).await?;
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200u16 => ResponseValue::from_response(response).await,
            202u16 => ResponseValue::from_response(response).await,
            400u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            401u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            403u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            404u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            409u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            413u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            415u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            422u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            429u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            500u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            503u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }
    /**Renew the lease of a push

One that is committed needs none: that changes nothing.

Needs the scope `push`.

Sends a `PUT` request to `/api/v1/pushes/{id}/lease`

*/
    pub async fn renew_push<'a>(
        &'a self,
        id: &'a str,
    ) -> Result<ResponseValue<types::Lease>, Error<types::Problem>> {
        let url = format!(
            "{}/api/v1/pushes/{}/lease", self.baseurl, encode_path(& id.to_string()),
        );
        let mut header_map = ::reqwest::header::HeaderMap::with_capacity(1usize);
        header_map
            .append(
                ::reqwest::header::HeaderName::from_static("api-version"),
                ::reqwest::header::HeaderValue::from_static(Self::api_version()),
            );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .put(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .headers(header_map)
            .build()?;
        let info = OperationInfo {
            operation_id: "renew_push",
        };
        self.pre(&mut request, &info).await?;
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200u16 => ResponseValue::from_response(response).await,
            400u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            401u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            403u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            404u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            409u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            413u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            415u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            422u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            429u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            500u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            503u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }
    /**Begin an upload in parts, or go on with an unfinished one

Needs the scope `push`.

Sends a `POST` request to `/api/v1/pushes/{id}/multipart-uploads`

*/
    pub async fn create_multipart_upload<'a>(
        &'a self,
        id: &'a str,
        body: &'a types::NewMultipart,
    ) -> Result<ResponseValue<types::Multipart>, Error<types::Problem>> {
        let url = format!(
            "{}/api/v1/pushes/{}/multipart-uploads", self.baseurl, encode_path(& id
            .to_string()),
        );
        let mut header_map = ::reqwest::header::HeaderMap::with_capacity(1usize);
        header_map
            .append(
                ::reqwest::header::HeaderName::from_static("api-version"),
                ::reqwest::header::HeaderValue::from_static(Self::api_version()),
            );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .post(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .json(&body)
            .headers(header_map)
            .build()?;
        let info = OperationInfo {
            operation_id: "create_multipart_upload",
        };
        self.pre(&mut request, &info).await?;
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            201u16 => ResponseValue::from_response(response).await,
            400u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            401u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            403u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            404u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            409u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            413u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            415u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            422u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            429u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            500u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            503u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }
    /**Make one object of all parts

Needs the scope `push`.

Sends a `POST` request to `/api/v1/pushes/{id}/multipart-uploads/{multipart}/complete`

*/
    pub async fn complete_multipart_upload<'a>(
        &'a self,
        id: &'a str,
        multipart: i64,
        body: &'a types::CompleteMultipart,
    ) -> Result<ResponseValue<types::Empty>, Error<types::Problem>> {
        let url = format!(
            "{}/api/v1/pushes/{}/multipart-uploads/{}/complete", self.baseurl,
            encode_path(& id.to_string()), encode_path(& multipart.to_string()),
        );
        let mut header_map = ::reqwest::header::HeaderMap::with_capacity(1usize);
        header_map
            .append(
                ::reqwest::header::HeaderName::from_static("api-version"),
                ::reqwest::header::HeaderValue::from_static(Self::api_version()),
            );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .post(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .json(&body)
            .headers(header_map)
            .build()?;
        let info = OperationInfo {
            operation_id: "complete_multipart_upload",
        };
        self.pre(&mut request, &info).await?;
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200u16 => ResponseValue::from_response(response).await,
            400u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            401u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            403u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            404u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            409u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            413u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            415u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            422u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            429u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            500u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            503u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }
    /**Ask for URLs of parts

No URL: that part has arrived already. 409: a part was announced with other
bytes before; begin again with `fresh`.

Needs the scope `push`.

Sends a `POST` request to `/api/v1/pushes/{id}/multipart-uploads/{multipart}/parts`

*/
    pub async fn create_part_uploads<'a>(
        &'a self,
        id: &'a str,
        multipart: i64,
        body: &'a types::Parts,
    ) -> Result<ResponseValue<types::PartsAnswer>, Error<types::Problem>> {
        let url = format!(
            "{}/api/v1/pushes/{}/multipart-uploads/{}/parts", self.baseurl, encode_path(&
            id.to_string()), encode_path(& multipart.to_string()),
        );
        let mut header_map = ::reqwest::header::HeaderMap::with_capacity(1usize);
        header_map
            .append(
                ::reqwest::header::HeaderName::from_static("api-version"),
                ::reqwest::header::HeaderValue::from_static(Self::api_version()),
            );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .post(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .json(&body)
            .headers(header_map)
            .build()?;
        let info = OperationInfo {
            operation_id: "create_part_uploads",
        };
        self.pre(&mut request, &info).await?;
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200u16 => ResponseValue::from_response(response).await,
            400u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            401u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            403u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            404u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            409u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            413u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            415u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            422u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            429u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            500u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            503u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }
    /**Send small objects

Compressed NARs and build logs of at most 64 KiB each, at most 1,000 objects and 8 MiB in a request, of NARs of at
most 1 MiB. The server checks them against what the push claims, and makes the listings of the NARs. The answer
comes once all of them are stored; they become visible with the push. Repeatable. 422: an object is not what the
push says, and none of the request is stored.

Needs the scope `push`.

Sends a `PUT` request to `/api/v1/pushes/{id}/objects`

*/
    pub async fn put_objects<'a>(
        &'a self,
        id: &'a str,
        body: &'a types::SmallObjects,
    ) -> Result<ResponseValue<types::Empty>, Error<types::Problem>> {
        let url = format!(
            "{}/api/v1/pushes/{}/objects", self.baseurl, encode_path(& id.to_string()),
        );
        let mut header_map = ::reqwest::header::HeaderMap::with_capacity(1usize);
        header_map
            .append(
                ::reqwest::header::HeaderName::from_static("api-version"),
                ::reqwest::header::HeaderValue::from_static(Self::api_version()),
            );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .put(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .json(&body)
            .headers(header_map)
            .build()?;
        let info = OperationInfo {
            operation_id: "put_objects",
        };
        self.pre(&mut request, &info).await?;
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200u16 => ResponseValue::from_response(response).await,
            400u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            401u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            403u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            404u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            409u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            413u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            415u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            422u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            429u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            500u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            503u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }
    /**Claim paths

Says what the cache lacks, and keeps everything named from being collected
while the push lives. Repeatable, in batches.

Needs the scope `push`.

Sends a `POST` request to `/api/v1/pushes/{id}/paths`

*/
    pub async fn claim_paths<'a>(
        &'a self,
        id: &'a str,
        body: &'a types::Claims,
    ) -> Result<ResponseValue<types::ClaimsAnswer>, Error<types::Problem>> {
        let url = format!(
            "{}/api/v1/pushes/{}/paths", self.baseurl, encode_path(& id.to_string()),
        );
        let mut header_map = ::reqwest::header::HeaderMap::with_capacity(1usize);
        header_map
            .append(
                ::reqwest::header::HeaderName::from_static("api-version"),
                ::reqwest::header::HeaderValue::from_static(Self::api_version()),
            );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .post(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .json(&body)
            .headers(header_map)
            .build()?;
        let info = OperationInfo {
            operation_id: "claim_paths",
        };
        self.pre(&mut request, &info).await?;
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200u16 => ResponseValue::from_response(response).await,
            400u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            401u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            403u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            404u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            409u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            413u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            415u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            422u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            429u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            500u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            503u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }
    /**Add realisations of content-addressed derivations

They become visible with the push.

Needs the scope `push`.

Sends a `PUT` request to `/api/v1/pushes/{id}/realisations`

*/
    pub async fn put_realisations<'a>(
        &'a self,
        id: &'a str,
        body: &'a types::Realisations,
    ) -> Result<ResponseValue<types::Empty>, Error<types::Problem>> {
        let url = format!(
            "{}/api/v1/pushes/{}/realisations", self.baseurl, encode_path(& id
            .to_string()),
        );
        let mut header_map = ::reqwest::header::HeaderMap::with_capacity(1usize);
        header_map
            .append(
                ::reqwest::header::HeaderName::from_static("api-version"),
                ::reqwest::header::HeaderValue::from_static(Self::api_version()),
            );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .put(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .json(&body)
            .headers(header_map)
            .build()?;
        let info = OperationInfo {
            operation_id: "put_realisations",
        };
        self.pre(&mut request, &info).await?;
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200u16 => ResponseValue::from_response(response).await,
            400u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            401u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            403u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            404u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            409u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            413u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            415u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            422u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            429u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            500u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            503u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }
    /**Ask for upload URLs

Each URL takes one object of one size and one checksum, by PUT, for a few
minutes. No URL: the object is in the bucket already.

Needs the scope `push`.

Sends a `POST` request to `/api/v1/pushes/{id}/uploads`

*/
    pub async fn create_uploads<'a>(
        &'a self,
        id: &'a str,
        body: &'a types::Uploads,
    ) -> Result<ResponseValue<types::UploadsAnswer>, Error<types::Problem>> {
        let url = format!(
            "{}/api/v1/pushes/{}/uploads", self.baseurl, encode_path(& id.to_string()),
        );
        let mut header_map = ::reqwest::header::HeaderMap::with_capacity(1usize);
        header_map
            .append(
                ::reqwest::header::HeaderName::from_static("api-version"),
                ::reqwest::header::HeaderValue::from_static(Self::api_version()),
            );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .post(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .json(&body)
            .headers(header_map)
            .build()?;
        let info = OperationInfo {
            operation_id: "create_uploads",
        };
        self.pre(&mut request, &info).await?;
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200u16 => ResponseValue::from_response(response).await,
            400u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            401u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            403u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            404u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            409u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            413u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            415u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            422u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            429u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            500u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            503u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }
    /**Explain what keeps a path

Any path that the cache has, by its base name: the closures that hold it, what each push and use does for them, and
what the next garbage collection does. Reads all references and uses; one such request is answered at a time.

Needs the scope `read`.

Sends a `GET` request to `/api/v1/retention/explain/{path}`

*/
    pub async fn explain_retention<'a>(
        &'a self,
        path: &'a str,
    ) -> Result<ResponseValue<types::Explanation>, Error<types::Problem>> {
        let url = format!(
            "{}/api/v1/retention/explain/{}", self.baseurl, encode_path(& path
            .to_string()),
        );
        let mut header_map = ::reqwest::header::HeaderMap::with_capacity(1usize);
        header_map
            .append(
                ::reqwest::header::HeaderName::from_static("api-version"),
                ::reqwest::header::HeaderValue::from_static(Self::api_version()),
            );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .get(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .headers(header_map)
            .build()?;
        let info = OperationInfo {
            operation_id: "explain_retention",
        };
        self.pre(&mut request, &info).await?;
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200u16 => ResponseValue::from_response(response).await,
            400u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            401u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            403u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            404u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            409u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            413u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            415u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            422u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            429u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            500u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            503u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }
    /**State the open pull requests of a repository

The complete list. A pull request that is missing, and whose newest run is older than the list, counts as closed; a
later list or run opens it again. A list that is older than the one before changes nothing.

Needs the scope `gc`.

Sends a `PUT` request to `/api/v1/retention/open-pulls`

*/
    pub async fn put_open_pulls<'a>(
        &'a self,
        body: &'a types::OpenPulls,
    ) -> Result<ResponseValue<types::KeptOpenPulls>, Error<types::Problem>> {
        let url = format!("{}/api/v1/retention/open-pulls", self.baseurl,);
        let mut header_map = ::reqwest::header::HeaderMap::with_capacity(1usize);
        header_map
            .append(
                ::reqwest::header::HeaderName::from_static("api-version"),
                ::reqwest::header::HeaderValue::from_static(Self::api_version()),
            );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .put(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .json(&body)
            .headers(header_map)
            .build()?;
        let info = OperationInfo {
            operation_id: "put_open_pulls",
        };
        self.pre(&mut request, &info).await?;
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200u16 => ResponseValue::from_response(response).await,
            400u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            401u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            403u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            404u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            409u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            413u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            415u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            422u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            429u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            500u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            503u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }
    /**List runs

From the newest to the oldest.

Needs the scope `read`.

Sends a `GET` request to `/api/v1/runs`

Arguments:
- `after`: `next` of the page before.
- `closure`: Those that have pushed the closure of this root, named by its base name.
- `limit`: Entries, 100 by default, at most 1000.
- `pull_request`: Those of the pull request of this number.
- `ref_`: Those of this ref of Git, as `refs/heads/main`.
- `repository`: Those in this repository, `owner/name`.
- `since`: Those recorded at this Unix time or later.
- `until`: Those recorded before this Unix time.
*/
    pub async fn list_runs<'a>(
        &'a self,
        after: Option<&'a str>,
        closure: Option<&'a str>,
        limit: Option<u32>,
        pull_request: Option<u64>,
        ref_: Option<&'a str>,
        repository: Option<&'a str>,
        since: Option<u64>,
        until: Option<u64>,
    ) -> Result<ResponseValue<types::Runs>, Error<types::Problem>> {
        let url = format!("{}/api/v1/runs", self.baseurl,);
        let mut header_map = ::reqwest::header::HeaderMap::with_capacity(1usize);
        header_map
            .append(
                ::reqwest::header::HeaderName::from_static("api-version"),
                ::reqwest::header::HeaderValue::from_static(Self::api_version()),
            );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .get(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .query(&progenitor_client::QueryParam::new("after", &after))
            .query(&progenitor_client::QueryParam::new("closure", &closure))
            .query(&progenitor_client::QueryParam::new("limit", &limit))
            .query(&progenitor_client::QueryParam::new("pull_request", &pull_request))
            .query(&progenitor_client::QueryParam::new("ref", &ref_))
            .query(&progenitor_client::QueryParam::new("repository", &repository))
            .query(&progenitor_client::QueryParam::new("since", &since))
            .query(&progenitor_client::QueryParam::new("until", &until))
            .headers(header_map)
            .build()?;
        let info = OperationInfo {
            operation_id: "list_runs",
        };
        self.pre(&mut request, &info).await?;
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200u16 => ResponseValue::from_response(response).await,
            400u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            401u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            403u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            404u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            409u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            413u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            415u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            422u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            429u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            500u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            503u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }
    /**Record a run

A push records its run by itself; this is for a run that may have nothing to push. The run
of the token's claims, or, with the admin token, the run as stated. Recording it again answers the same
run, with what was not known of it before.

Needs the scope `push`.

Sends a `POST` request to `/api/v1/runs`

*/
    pub async fn record_run<'a>(
        &'a self,
        body: &'a types::RunStatement,
    ) -> Result<ResponseValue<types::Run>, Error<types::Problem>> {
        let url = format!("{}/api/v1/runs", self.baseurl,);
        let mut header_map = ::reqwest::header::HeaderMap::with_capacity(1usize);
        header_map
            .append(
                ::reqwest::header::HeaderName::from_static("api-version"),
                ::reqwest::header::HeaderValue::from_static(Self::api_version()),
            );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .post(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .json(&body)
            .headers(header_map)
            .build()?;
        let info = OperationInfo {
            operation_id: "record_run",
        };
        self.pre(&mut request, &info).await?;
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200u16 => ResponseValue::from_response(response).await,
            400u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            401u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            403u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            404u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            409u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            413u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            415u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            422u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            429u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            500u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            503u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }
    /**Show a run

What it has pushed: `/closures?run={id}`.

Needs the scope `read`.

Sends a `GET` request to `/api/v1/runs/{id}`

*/
    pub async fn get_run<'a>(
        &'a self,
        id: &'a str,
    ) -> Result<ResponseValue<types::Run>, Error<types::Problem>> {
        let url = format!(
            "{}/api/v1/runs/{}", self.baseurl, encode_path(& id.to_string()),
        );
        let mut header_map = ::reqwest::header::HeaderMap::with_capacity(1usize);
        header_map
            .append(
                ::reqwest::header::HeaderName::from_static("api-version"),
                ::reqwest::header::HeaderValue::from_static(Self::api_version()),
            );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .get(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .headers(header_map)
            .build()?;
        let info = OperationInfo {
            operation_id: "get_run",
        };
        self.pre(&mut request, &info).await?;
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200u16 => ResponseValue::from_response(response).await,
            400u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            401u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            403u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            404u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            409u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            413u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            415u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            422u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            429u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            500u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            503u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }
    /**Complete a run

Adds what the claims of its token do not say. For whoever runs in it, and with the admin token.

Needs the scope `push`.

Sends a `PATCH` request to `/api/v1/runs/{id}`

*/
    pub async fn complete_run<'a>(
        &'a self,
        id: &'a str,
        body: &'a types::CompleteRun,
    ) -> Result<ResponseValue<types::Run>, Error<types::Problem>> {
        let url = format!(
            "{}/api/v1/runs/{}", self.baseurl, encode_path(& id.to_string()),
        );
        let mut header_map = ::reqwest::header::HeaderMap::with_capacity(1usize);
        header_map
            .append(
                ::reqwest::header::HeaderName::from_static("api-version"),
                ::reqwest::header::HeaderValue::from_static(Self::api_version()),
            );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .patch(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .json(&body)
            .headers(header_map)
            .build()?;
        let info = OperationInfo {
            operation_id: "complete_run",
        };
        self.pre(&mut request, &info).await?;
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200u16 => ResponseValue::from_response(response).await,
            400u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            401u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            403u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            404u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            409u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            413u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            415u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            422u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            429u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            500u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            503u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }
    /**Report what a run used

Paths that the run had from the cache instead of building them. A use keeps a closure as a push does; a path that
is no root of a closure becomes one. Paths that the cache does not have are ignored. Reports add up. Only the
identity that recorded the run can report its uses, from within the run.

Needs the scope `push`.

Sends a `POST` request to `/api/v1/runs/{id}/uses`

*/
    pub async fn report_uses<'a>(
        &'a self,
        id: &'a str,
        body: &'a types::ReportUses,
    ) -> Result<ResponseValue<types::ReportedUses>, Error<types::Problem>> {
        let url = format!(
            "{}/api/v1/runs/{}/uses", self.baseurl, encode_path(& id.to_string()),
        );
        let mut header_map = ::reqwest::header::HeaderMap::with_capacity(1usize);
        header_map
            .append(
                ::reqwest::header::HeaderName::from_static("api-version"),
                ::reqwest::header::HeaderValue::from_static(Self::api_version()),
            );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .post(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .json(&body)
            .headers(header_map)
            .build()?;
        let info = OperationInfo {
            operation_id: "report_uses",
        };
        self.pre(&mut request, &info).await?;
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200u16 => ResponseValue::from_response(response).await,
            400u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            401u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            403u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            404u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            409u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            413u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            415u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            422u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            429u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            500u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            503u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }
    /**List tokens

In the order of their names; those that have ended too.

Needs the scope `admin`.

Sends a `GET` request to `/api/v1/tokens`

Arguments:
- `after`: `next` of the page before.
- `limit`: Entries, 100 by default, at most 1000.
*/
    pub async fn list_tokens<'a>(
        &'a self,
        after: Option<&'a str>,
        limit: Option<u32>,
    ) -> Result<ResponseValue<types::Tokens>, Error<types::Problem>> {
        let url = format!("{}/api/v1/tokens", self.baseurl,);
        let mut header_map = ::reqwest::header::HeaderMap::with_capacity(1usize);
        header_map
            .append(
                ::reqwest::header::HeaderName::from_static("api-version"),
                ::reqwest::header::HeaderValue::from_static(Self::api_version()),
            );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .get(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .query(&progenitor_client::QueryParam::new("after", &after))
            .query(&progenitor_client::QueryParam::new("limit", &limit))
            .headers(header_map)
            .build()?;
        let info = OperationInfo {
            operation_id: "list_tokens",
        };
        self.pre(&mut request, &info).await?;
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200u16 => ResponseValue::from_response(response).await,
            400u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            401u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            403u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            404u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            409u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            413u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            415u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            422u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            429u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            500u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            503u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }
    /**Create a token

The answer is the only place where it can be read: the server keeps its hash.

Needs the scope `admin`.

Sends a `POST` request to `/api/v1/tokens`

*/
    pub async fn create_token<'a>(
        &'a self,
        body: &'a types::CreateToken,
    ) -> Result<ResponseValue<types::CreatedToken>, Error<types::Problem>> {
        let url = format!("{}/api/v1/tokens", self.baseurl,);
        let mut header_map = ::reqwest::header::HeaderMap::with_capacity(1usize);
        header_map
            .append(
                ::reqwest::header::HeaderName::from_static("api-version"),
                ::reqwest::header::HeaderValue::from_static(Self::api_version()),
            );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .post(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .json(&body)
            .headers(header_map)
            .build()?;
        let info = OperationInfo {
            operation_id: "create_token",
        };
        self.pre(&mut request, &info).await?;
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            201u16 => ResponseValue::from_response(response).await,
            400u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            401u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            403u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            404u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            409u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            413u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            415u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            422u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            429u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            500u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            503u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }
    /**Revoke a token

From the next request on it is refused.

Needs the scope `admin`.

Sends a `DELETE` request to `/api/v1/tokens/{name}`

*/
    pub async fn revoke_token<'a>(
        &'a self,
        name: &'a str,
    ) -> Result<ResponseValue<()>, Error<types::Problem>> {
        let url = format!(
            "{}/api/v1/tokens/{}", self.baseurl, encode_path(& name.to_string()),
        );
        let mut header_map = ::reqwest::header::HeaderMap::with_capacity(1usize);
        header_map
            .append(
                ::reqwest::header::HeaderName::from_static("api-version"),
                ::reqwest::header::HeaderValue::from_static(Self::api_version()),
            );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .delete(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .headers(header_map)
            .build()?;
        let info = OperationInfo {
            operation_id: "revoke_token",
        };
        self.pre(&mut request, &info).await?;
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            204u16 => Ok(ResponseValue::empty(response)),
            400u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            401u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            403u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            404u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            409u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            413u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            415u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            422u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            429u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            500u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            503u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }
    /**Show what closures hold

All of them, and by the rule that keeps them or by the repository whose jobs have pushed or used them. Reads all
references; one such request is answered at a time.

Needs the scope `read`.

Sends a `GET` request to `/api/v1/usage`

Arguments:
- `by`: Into which groups.
*/
    pub async fn get_usage<'a>(
        &'a self,
        by: Option<types::GroupBy>,
    ) -> Result<ResponseValue<types::Usage>, Error<types::Problem>> {
        let url = format!("{}/api/v1/usage", self.baseurl,);
        let mut header_map = ::reqwest::header::HeaderMap::with_capacity(1usize);
        header_map
            .append(
                ::reqwest::header::HeaderName::from_static("api-version"),
                ::reqwest::header::HeaderValue::from_static(Self::api_version()),
            );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .get(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .query(&progenitor_client::QueryParam::new("by", &by))
            .headers(header_map)
            .build()?;
        let info = OperationInfo {
            operation_id: "get_usage",
        };
        self.pre(&mut request, &info).await?;
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200u16 => ResponseValue::from_response(response).await,
            400u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            401u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            403u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            404u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            409u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            413u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            415u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            422u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            429u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            500u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            503u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }
    /**Who the caller is

Identity, scopes, end, and the rules that gave them.

Needs any token that the server accepts.

Sends a `GET` request to `/api/v1/whoami`

*/
    pub async fn whoami<'a>(
        &'a self,
    ) -> Result<ResponseValue<types::Whoami>, Error<types::Problem>> {
        let url = format!("{}/api/v1/whoami", self.baseurl,);
        let mut header_map = ::reqwest::header::HeaderMap::with_capacity(1usize);
        header_map
            .append(
                ::reqwest::header::HeaderName::from_static("api-version"),
                ::reqwest::header::HeaderValue::from_static(Self::api_version()),
            );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .get(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .headers(header_map)
            .build()?;
        let info = OperationInfo {
            operation_id: "whoami",
        };
        self.pre(&mut request, &info).await?;
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200u16 => ResponseValue::from_response(response).await,
            400u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            401u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            403u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            404u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            409u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            413u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            415u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            422u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            429u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            500u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            503u16 => {
                Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
            }
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }
}
/// Items consumers will typically use such as the Client.
pub mod prelude {
    #[allow(unused_imports)]
    pub use super::Client;
}
