# The options of `services.niks3`. A name that the original has means the same here.
{
  lib,
  pkgs,
  self,
}:
let
  inherit (lib) mkEnableOption mkOption types;
  optional =
    type: description:
    mkOption {
      type = types.nullOr type;
      default = null;
      inherit description;
    };
  secretFile =
    what:
    mkOption {
      type = types.nullOr types.path;
      default = null;
      description = "File with ${what}. systemd hands it to the service as a credential, so that root alone need be able to read it.";
    };
  texts =
    description:
    mkOption {
      type = types.listOf types.str;
      default = [ ];
      inherit description;
    };
  claims = mkOption {
    type = types.attrsOf (types.listOf types.str);
    default = { };
    example = {
      repository_owner_id = [ "1234" ];
      ref = [
        "refs/heads/main"
        "refs/tags/*"
      ];
    };
    description = "Claims that a token must have; of each, one of the values, in which `*` and `?` are wildcards.";
  };
  scope = types.enum [
    "read"
    "push"
    "write"
    "gc"
    "admin"
  ];
  rule = types.submodule {
    options = {
      boundClaims = claims;
      boundSubject = texts "Subjects that a token may have.";
      scopes = mkOption {
        type = types.listOf scope;
        default = [ "push" ];
        description = "What the tokens may do; `write` is another word for `push`.";
      };
      pins = optional (types.listOf types.str) "Names of pins that the tokens may set.";
      signingKeys = optional (types.listOf types.str) "Names of the keys that sign what is pushed with such a token; all of them by default.";
    };
  };
  provider = types.submodule {
    options = {
      issuer = mkOption {
        type = types.str;
        example = "https://token.actions.githubusercontent.com";
        description = "Address of the provider, as its tokens name it.";
      };
      audience = mkOption {
        type = types.str;
        example = "https://cache.example.com";
        description = "Audience that tokens must be made for.";
      };
      boundClaims = claims;
      boundSubject = texts "Subjects that a token may have.";
      scopes = mkOption {
        type = types.listOf scope;
        default = [ ];
        example = [ "push" ];
        description = "What tokens may do that fit the provider's own claims: push, unless it is said here.";
      };
      rules = mkOption {
        type = types.listOf rule;
        default = [ ];
        description = "What tokens with which claims may do; without any, those that fit the provider's own claims may push.";
      };
    };
  };
in
{
  enable = mkEnableOption "niks3, the server of a Nix binary cache in an S3 bucket";

  package = mkOption {
    type = types.package;
    default = self.packages.${pkgs.stdenv.hostPlatform.system}.niks3-server;
    description = "The server.";
  };

  serverPackage = optional types.package ''
    The server, as the original niks3 calls it, where `package` is the client. Use `package` and `clientPackage`.
  '';

  user = mkOption {
    type = types.str;
    default = "niks3";
    description = "User of the service; made if it is the default. The local database is called so, too.";
  };

  group = mkOption {
    type = types.str;
    default = "niks3";
    description = "Group of the service; made if it is the default.";
  };

  clientPackage = mkOption {
    type = types.package;
    default = self.packages.${pkgs.stdenv.hostPlatform.system}.niks3;
    description = "The command line, which collects the garbage.";
  };

  httpAddr = mkOption {
    type = types.str;
    default = "127.0.0.1:5751";
    example = "0.0.0.0:5751";
    description = "Address to listen on.";
  };

  openFirewall = mkOption {
    type = types.bool;
    default = false;
    description = "Let others reach the port of `httpAddr`, or those of nginx.";
  };

  socketActivation = mkOption {
    type = types.bool;
    default = false;
    description = "Let systemd listen on `httpAddr`, so that no connection is refused while the server restarts.";
  };

  s3 = {
    endpoint = optional types.str "Object store: host, host:port or URL; AWS by default.";
    bucket = optional types.str "Bucket; without it the server keeps the objects in files in its state directory.";
    region = optional types.str "Region.";
    useSSL = mkOption {
      type = types.bool;
      default = true;
      description = "Use TLS where the endpoint does not say.";
    };
    bucketLookup = mkOption {
      type = types.enum [
        "auto"
        "dns"
        "path"
      ];
      default = "auto";
      description = "How the bucket is addressed.";
    };
    accessKeyFile = secretFile "the access key";
    secretKeyFile = secretFile "the secret key";
    useIAM = mkOption {
      type = types.bool;
      default = false;
      description = "Take credentials from the instance's role.";
    };
    concurrency = optional types.ints.positive "Most requests to the object store at once.";
    rateLimit = optional types.ints.unsigned "Most requests to the object store in a second; 0 for no limit.";
    publicUrl = optional types.str "Address in upload URLs, when clients reach the object store by another one.";
    checksum = optional (types.enum [
      "auto"
      "sha256"
      "md5"
    ]) "Checksum that uploads carry.";
    deleteVersions = optional types.bool "In a versioned bucket, let garbage collections delete old versions of the cache's objects.";
  };

  adoptBucket = optional types.str ''
    Take over the bucket from the database with this id, which the refusal to start names, or from nobody: `none`. It has
    an effect once. Garbage collections wait for `niks3 fsck --repair` then.
  '';

  apiTokenFile = secretFile "the admin token, 36 characters or more; without it the first start makes one in the state directory";

  signKeyFiles = mkOption {
    type = types.listOf types.path;
    default = [ ];
    description = "Files with Nix secret keys, as `nix key generate-secret` writes them; without any the first start makes one.";
  };

  cacheUrl = optional types.str "Address that readers use for the cache; gives the bucket a landing page.";
  serverUrl = optional types.str "Address that clients use for the server.";
  storeDir = optional types.str "Store directory of the paths in the cache.";
  priority = optional types.ints.positive "Priority among substituters; lower is asked first.";
  verifyUploads = optional (types.enum [
    "all"
    "untrusted"
    "none"
  ]) "Whose uploads the server reads and verifies before they become visible; everybody's by default.";

  verifyConcurrency = optional types.ints.positive "Most NARs that are decompressed at once to verify them; the number of CPU cores by default.";

  keepReplaced = optional types.str "How long contents stay readable that a push with a higher-ranked key has replaced; 30 days by default.";

  listings = optional (types.enum [
    "all"
    "large"
    "none"
  ]) "Which NARs have a listing in the bucket; those of 64 KiB and more by default.";

  indexDebugInfo = optional types.bool "Write debuginfo/BUILD-ID for outputs with lib/debug/.build-id, so that debuggers find them; off by default.";

  waitFor = optional types.str "How long the start waits for a database or an object store that does not answer; 30 seconds by default.";

  pushLease = optional types.str "How long a push lives when its client is no longer heard of.";

  readProxy.enable = optional types.bool "Serve the bucket's objects over HTTP; by default only when they are in the state directory.";
  maxNarSize = optional (types.either types.ints.unsigned types.str) "Most bytes of a NAR that may be pushed, as `10GiB`; 0 for any number.";

  readProxy.redirectTTL = optional (types.either types.ints.unsigned types.str) ''
    As the original niks3 has it: anything but 0 is `readProxy.redirect`. The addresses are good for five minutes, whatever
    is said here.
  '';
  readProxy.redirect = optional types.bool "Redirect readers of NARs to the object store, by presigned URLs.";

  log = {
    level = mkOption {
      type = types.str;
      default = "info";
      description = "What to log: error, warn, info, debug, trace, or a filter.";
    };
    format = mkOption {
      type = types.enum [
        "text"
        "json"
      ];
      default = "text";
      description = "Format of the log.";
    };
  };

  database = {
    createLocally = mkOption {
      type = types.bool;
      default = true;
      description = "Set up a PostgreSQL database on this machine, reached by its socket without a password.";
    };
    url = optional types.str "Another database: `postgres://…` or `sqlite:///path`. Everybody can read it here: give a password by `environmentFile`, as a variable of which `$NAME` here is the value. Without it, and without `createLocally`, a SQLite database in the state directory.";
  };

  environmentFile = optional types.path "File with environment variables for the server, such as `NIKS3_DB` with a password.";

  oidc = {
    configFile = optional types.path "File that says whose OpenID Connect tokens are accepted, instead of `providers`.";
    allowInsecure = mkOption {
      type = types.bool;
      default = false;
      description = "Accept providers with http addresses; for tests.";
    };
    providers = mkOption {
      type = types.attrsOf provider;
      default = { };
      description = "Whose OpenID Connect tokens are accepted, and what for.";
    };
  };

  tls = {
    certFile = optional types.path "Certificate chain of the server, in PEM form.";
    keyFile = secretFile "the certificate's key, in PEM form";
    clientCaFile = optional types.path "Authorities whose client certificates are accepted, in PEM form.";
    boundSubjects = texts "Subjects of client certificates that may push.";
    boundSubjectsRead = texts "Subjects of client certificates that may read.";
    proxyHeader = optional types.str "Header by which a proxy that is trusted says that it has checked a client certificate.";
    subjectHeader = optional types.str "Header by which that proxy gives the certificate's subject.";
  };

  nginx = {
    enable = mkEnableOption "nginx before the server, with TLS";
    domain = mkOption {
      type = types.str;
      example = "niks3.example.com";
      description = "Name of the virtual host.";
    };
    acme = mkOption {
      type = types.bool;
      default = true;
      description = "Get the certificate from an ACME authority.";
    };
    forceSSL = mkOption {
      type = types.bool;
      default = true;
      description = "Redirect to TLS. Turn it off where something before nginx speaks TLS.";
    };
    proxyTimeout = mkOption {
      type = types.str;
      default = "300s";
      description = "How long nginx waits for the server.";
    };
    clientCaFile = optional types.path "Authorities whose client certificates are accepted; nginx checks them and tells the server.";
    mtls = {
      enable = mkOption {
        type = types.bool;
        default = true;
        description = "Ask for client certificates, if `clientCaFile` is given.";
      };
      require = mkOption {
        type = types.bool;
        default = false;
        description = "Refuse connections without a client certificate.";
      };
    };
  };

  gc = {
    enable = mkOption {
      type = types.bool;
      default = true;
      description = "Collect garbage by a timer.";
    };
    olderThan = mkOption {
      type = types.str;
      default = "720h";
      example = "2160h";
      description = "How long a closure is kept after it was last pushed, or used by a CI job.";
    };
    failedUploadsOlderThan = mkOption {
      type = types.str;
      default = "6h";
      description = "How old failed uploads are when they are deleted; also the grace period.";
    };
    schedule = mkOption {
      type = types.str;
      default = "daily";
      example = "Sun *-*-* 03:00:00";
      description = "When, as a calendar event of systemd.";
    };
    randomizedDelaySec = mkOption {
      type = types.ints.unsigned;
      default = 1800;
      description = "Most seconds to wait beyond that.";
    };
  };

  extraFlags = mkOption {
    type = types.listOf types.str;
    default = [ ];
    example = [ "--log=niks3_server=debug" ];
    description = "More arguments for the server.";
  };
}
