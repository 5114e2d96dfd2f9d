# Configurations as users write them.
{ lib }:
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
