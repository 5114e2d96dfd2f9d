# Configurations as users write them.
{ lib, packages }:
{
  right = {
    # As in the README of the system that this one takes the place of.
    original.services.niks3 = {
      enable = true;
      httpAddr = "0.0.0.0:5751";
      s3 = {
        endpoint = "s3.amazonaws.com";
        bucket = "my-nix-cache";
        useSSL = true;
        accessKeyFile = "/run/secrets/s3-access-key";
        secretKeyFile = "/run/secrets/s3-secret-key";
      };
      apiTokenFile = "/run/secrets/niks3-api-token";
      signKeyFiles = [ "/run/secrets/niks3-signing-key" ];
      cacheUrl = "https://cache.example.com";
      gc = {
        enable = true;
        olderThan = "720h";
        failedUploadsOlderThan = "6h";
        schedule = "daily";
        randomizedDelaySec = 1800;
      };
    };

    # Everything that public configurations of the original say, by the names that it has.
    original-everything = {
      services.niks3 = {
        enable = true;
        package = packages.niks3;
        serverPackage = packages.niks3-server;
        user = "cache";
        group = "cache";
        httpAddr = "127.0.0.1:5751";
        database = {
          createLocally = false;
          connectionString = "$CONN_URL";
        };
        s3 = {
          endpoint = "s3.example.com";
          bucket = "my-nix-cache";
          region = "auto";
          useSSL = true;
          bucketLookup = "path";
          publicUrl = "https://uploads.example.com";
          accessKeyFile = "/run/secrets/s3-access-key";
          secretKeyFile = "/run/secrets/s3-secret-key";
        };
        apiTokenFile = "/run/secrets/niks3-api-token";
        signKeyFiles = [ "/run/secrets/niks3-signing-key" ];
        cacheUrl = "https://cache.example.com";
        serverUrl = "https://niks3.example.com";
        maxNarSize = "20GiB";
        readProxy = {
          enable = true;
          redirectTTL = "15m";
        };
        nginx = {
          enable = true;
          domain = "niks3.example.com";
          enableACME = false;
          forceSSL = false;
          proxyTimeout = "600s";
          mtls = {
            enable = true;
            clientCAFile = "/etc/niks3/clients.pem";
            require = true;
            boundSubjects = [ "CN=builder" ];
            boundSubjectsRead = [ "CN=*" ];
          };
        };
        oidc.providers.github = {
          issuer = "https://token.actions.githubusercontent.com";
          audience = "https://niks3.example.com";
          boundClaims.repository_owner = [ "example" ];
          boundSubject = [ "repo:example/*" ];
          scopes = [
            "read"
            "write"
          ];
        };
        gc = {
          olderThan = "720h";
          failedUploadsOlderThan = "6h";
          schedule = "daily";
          randomizedDelaySec = 1800;
        };
      };
      systemd.services.niks3 = {
        after = [ "secrets.service" ];
        requires = [ "secrets.service" ];
        serviceConfig.EnvironmentFile = [ "/run/secrets/niks3-environment" ];
        unitConfig.OnFailure = "notify@%n.service";
      };
      services.niks3-auto-upload = {
        enable = true;
        package = packages.niks3-hook;
        serverUrl = "https://niks3.example.com";
        authTokenFile = "/run/secrets/niks3-token";
        batchSize = 20;
        debug = true;
        idleExitTimeout = 0;
        maxConcurrentUploads = 10;
        socketPath = "/run/niks3/upload-to-cache.sock";
        socketGroup = "nixbld";
        upstreamCacheKeyNames = [ "cache.nixos.org-1" ];
        verifyS3Integrity = true;
        mtls = {
          enable = true;
          clientCert = "/run/secrets/client.crt";
          clientKey = "/run/secrets/client.key";
          caCert = "/run/secrets/ca.crt";
        };
      };
    };

    # A local database by its name in the original.
    original-local-database.services.niks3 = {
      enable = true;
      database.connectionString = "postgres:///niks3?user=niks3";
      gc.enable = false;
    };

    # Nothing but what is in the state directory.
    embedded.services.niks3 = {
      enable = true;
      database.createLocally = false;
      gc.enable = false;
    };

    everything.services.niks3 = {
      enable = true;
      httpAddr = "[::]:443";
      openFirewall = true;
      socketActivation = true;
      s3 = {
        endpoint = "https://s3.example.com";
        bucket = "my-nix-cache";
        region = "garage";
        useSSL = false;
        bucketLookup = "path";
        useIAM = true;
        concurrency = 100;
        rateLimit = 500;
        publicUrl = "https://uploads.example.com";
        checksum = "md5";
        deleteVersions = true;
      };
      apiTokenFile = "/run/secrets/niks3-api-token";
      signKeyFiles = [
        "/run/secrets/old"
        "/run/secrets/new"
      ];
      cacheUrl = "https://cache.example.com";
      serverUrl = "https://niks3.example.com";
      storeDir = "/nix/store";
      priority = 41;
      waitFor = "90s";
      pushLease = "5m";
      verifyUploads = "untrusted";
      verifyConcurrency = 4;
      keepReplaced = "60d";
      listings = "all";
      indexDebugInfo = true;
      readProxy.enable = true;
      readProxy.redirect = true;
      log = {
        level = "niks3_server=debug,info";
        format = "json";
      };
      database.url = "postgres://niks3@db.example.com/niks3";
      adoptBucket = "none";
      environmentFile = "/run/secrets/niks3-environment";
      oidc.providers.github = {
        issuer = "https://token.actions.githubusercontent.com";
        audience = "https://niks3.example.com";
        rules = [
          {
            boundClaims = {
              repository_owner_id = [ "1234" ];
              ref = [
                "refs/heads/main"
                "refs/tags/*"
              ];
            };
            scopes = [ "push" ];
            pins = [ "release-*" ];
          }
          {
            boundSubject = [ "repo:example@1234/*" ];
            scopes = [ "read" ];
            pins = [ ];
          }
        ];
      };
      tls = {
        certFile = "/var/lib/acme/niks3/fullchain.pem";
        keyFile = "/var/lib/acme/niks3/key.pem";
        clientCaFile = "/etc/niks3/clients.pem";
        boundSubjects = [ "CN=ci builder,O=100% Example" ];
        boundSubjectsRead = [ "CN=*,O=Example" ];
      };
      extraFlags = [ "--protect-metrics=true" ];
    };

    nginx.services.niks3 = {
      enable = true;
      openFirewall = true;
      apiTokenFile = "/run/secrets/niks3-api-token";
      nginx = {
        enable = true;
        domain = "niks3.example.com";
        clientCaFile = "/etc/niks3/clients.pem";
      };
      tls.boundSubjects = [ "CN=builder" ];
      gc = {
        olderThan = "2160h";
        schedule = "Sun *-*-* 03:00:00";
      };
    };

    auto-upload.services.niks3-auto-upload = {
      enable = true;
      serverUrl = "https://niks3.example.com";
      authTokenFile = "/run/secrets/niks3-token";
    };

    auto-upload-mtls.services.niks3-auto-upload = {
      enable = true;
      serverUrl = "https://niks3.example.com";
      clientCertFile = "/etc/niks3/client.pem";
      clientKeyFile = "/run/secrets/client-key.pem";
      caCertFile = "/etc/niks3/ca.pem";
      skipUpstream = [ ];
      idleExit = "1h";
    };
  };

  # Of nix-darwin.
  darwin = {
    darwin-hook.services.niks3-auto-upload = {
      enable = true;
      serverUrl = "https://niks3.example.com";
      authTokenFile = "/etc/niks3/auth-token";
      batchSize = 20;
      mtls = {
        clientCert = "/etc/niks3/client.crt";
        clientKey = "/etc/niks3/client.key";
      };
    };
    darwin-watch.services.niks3-watch-store = {
      enable = true;
      serverUrl = "https://niks3.example.com";
      authTokenFile = "/etc/niks3/auth-token";
      skipUpstream = [ ];
    };
  };

  wrong =
    let
      server = more: {
        services.niks3 = {
          enable = true;
        }
        // more;
      };
    in
    lib.mapAttrs (_: server) {
      the-client-as-the-server = { package = packages.niks3; };
      an-option-that-is-not-there = { htpAddr = "127.0.0.1:1"; };
      an-address-without-port = { httpAddr = "localhost"; };
      an-endpoint-without-bucket = { s3.endpoint = "s3.example.com"; };
      a-number-for-a-text = { gc.olderThan = 720; };
      a-relative-secret = { apiTokenFile = "token"; };
      a-certificate-without-key = { tls.certFile = "/cert.pem"; };
      a-scope-that-is-not-there = {
        oidc.providers.x = {
          issuer = "https://x";
          audience = "y";
          rules = [ { scopes = [ "root" ]; } ];
        };
      };
      a-provider-without-audience = { oidc.providers.x.issuer = "https://x"; };
      both-ways-of-oidc = {
        oidc = {
          configFile = "/oidc.json";
          providers.x = {
            issuer = "https://x";
            audience = "y";
          };
        };
      };
    };
}
