//! Derivations: what Nix 2.8, 2.26 and 2.34 call the realisations of one that they have resolved.
#![allow(clippy::unwrap_used)]

use niks3_nix::derivation::Derivation;

/// As these versions wrote it; `nix realisation info --json` gave [`HASH`] in each.
const RESOLVED: &str = r#"Derive([("dev","","r:sha256",""),("out","","r:sha256","")],[],["/tmp/niks3/store/qphb84bd5p9qigagflc0myyb16sshii6-a"],"x86_64-linux","/bin/sh",["-ec","cat /tmp/niks3/store/qphb84bd5p9qigagflc0myyb16sshii6-a; echo t > $out; echo dev > $dev"],[("PATH","/usr/bin:/bin"),("builder","/bin/sh"),("dev","/02qcpld1y6xhs5gz9bchpxaw0xdhmsp5dv88lh25r2ss44kh8dxz"),("name","t"),("out","/1rz4g4znpzjwh1xymhjpm42vipw92pr73vdgl6xs1hycac8kf2n9"),("outputHashAlgo","sha256"),("outputHashMode","recursive"),("outputs","out dev"),("quoted","a \"b\"\n\t\\"),("system","x86_64-linux")])"#;
const HASH: &str = "e02a024e0efab59a5c61c2d268614166b5b1201b61da6f76e3ac6a31e40f090e";
/// What was evaluated.
const EVALUATED: &str = r#"Derive([("dev","","r:sha256",""),("out","","r:sha256","")],[("/tmp/niks3/store/ng9hffp0f7plyhw0ydycff5r7mkycim8-a.drv",["out"])],[],"x86_64-linux","/bin/sh",["-ec","cat /1yahfqvf0mnq5vwi50xkdqf4dw2yar6lp3vghdlhgq3n93ykc88b; echo t > $out; echo dev > $dev"],[("PATH","/usr/bin:/bin"),("builder","/bin/sh"),("dev","/02qcpld1y6xhs5gz9bchpxaw0xdhmsp5dv88lh25r2ss44kh8dxz"),("name","t"),("out","/1rz4g4znpzjwh1xymhjpm42vipw92pr73vdgl6xs1hycac8kf2n9"),("outputHashAlgo","sha256"),("outputHashMode","recursive"),("outputs","out dev"),("quoted","a \"b\"\n\t\\"),("system","x86_64-linux")])"#;

#[test]
fn a_resolved_derivation_has_the_ids_that_nix_gives_its_realisations() {
    let derivation = Derivation::parse(RESOLVED.as_bytes()).unwrap();
    assert!(derivation.is_open() && derivation.input_derivations().is_empty());
    let ids = derivation.realisation_ids();
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    assert_eq!(
        ids,
        ["dev", "out"].map(|output| format!("sha256:{HASH}!{output}"))
    );
}

#[test]
fn one_with_inputs_to_build_names_them_and_has_no_ids() {
    let derivation = Derivation::parse(EVALUATED.as_bytes()).unwrap();
    assert!(derivation.is_open() && derivation.realisation_ids().is_empty());
    let [input] = derivation.input_derivations() else {
        panic!("{derivation:?}");
    };
    assert!(input.ends_with("-a.drv"));
    let names: Vec<&str> = derivation
        .outputs()
        .iter()
        .map(|output| output.name.as_str())
        .collect();
    assert_eq!(names, ["dev", "out"]);
}

#[test]
fn what_is_no_derivation_is_none_and_outputs_that_are_known_have_no_ids() {
    for length in 0..RESOLVED.len() {
        assert_eq!(
            Derivation::parse(&RESOLVED.as_bytes()[..length]),
            None,
            "{length}"
        );
    }
    assert_eq!(Derivation::parse(format!("{RESOLVED}x").as_bytes()), None);
    assert_eq!(Derivation::parse(b"DrvWithVersion(\"xp-dyn-drv\",[])"), None);
    for output in [
        r#""/nix/store/x","","""#,
        r#""/nix/store/x","sha256","ab""#,
        r#""","r:sha256","impure""#,
    ] {
        let text = format!(r#"Derive([("out",{output})],[],[],"x","/bin/sh",[],[("out","/nix/store/x")])"#);
        let derivation = Derivation::parse(text.as_bytes()).unwrap();
        assert!(
            !derivation.is_open() && derivation.realisation_ids().is_empty(),
            "{text}"
        );
    }
}
