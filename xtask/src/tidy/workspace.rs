//! Rules for our own packages: what each must have, and that dependencies point downward.

use super::Finding;
use crate::metadata::Package;
use std::path::Path;

/// Which of our crates a crate may depend on (names without `pullback-`), from the bottom up.
const MAY_USE: [(&str, &[&str]); 9] = [
    ("linalg", &[]),
    ("core-graph", &["linalg"]),
    ("graph", &["core-graph"]),
    ("nn", &["core-graph"]),
    ("diffopt", &["core-graph", "graph"]),
    ("diffphys", &["core-graph", "graph", "diffopt"]),
    ("vin", &["core-graph", "graph", "nn"]),
    ("dan", &["core-graph", "vin", "diffopt", "nn"]),
    ("tossingbot", &["core-graph", "diffphys", "diffopt", "nn"]),
];

/// Packages that use everything and that nothing uses; they are not published.
pub(crate) const TOOLS: [&str; 4] = ["examples", "benches", "candle-peer", "xtask"];

pub(super) fn check(packages: &[Package]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in packages {
        findings.extend(form(package, |file| package.folder().join(file).is_file()));
        findings.extend(direction(package));
    }
    findings
}

/// What a package must have. `has` tells whether its folder has a file.
fn form(package: &Package, has: impl Fn(&Path) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut miss = |message: String| findings.push(Finding::new(&package.name, message));
    if package.license.as_deref().is_none_or(str::is_empty) {
        miss("no licence in Cargo.toml".into());
    }
    if TOOLS.contains(&package.name.as_str()) {
        if package.publish != Some(Vec::new()) {
            miss("publish = false is missing".into());
        }
        return findings;
    }
    let folder = package.folder().file_name().unwrap_or_default().to_string_lossy().into_owned();
    if package.name != format!("pullback-{folder}") {
        miss(format!("the package of the folder {folder} must be named pullback-{folder}"));
    }
    if package.description.as_deref().is_none_or(|d| d.trim().is_empty()) {
        miss("no description in Cargo.toml".into());
    }
    if !has(Path::new("README.md")) {
        miss("no README.md".into());
    }
    findings
}

fn direction(package: &Package) -> Vec<Finding> {
    let Some(name) = package.name.strip_prefix("pullback-") else { return Vec::new() };
    let mut findings = Vec::new();
    for dependency in &package.dependencies {
        let used = dependency.name.as_str();
        if TOOLS.contains(&used) {
            findings.push(Finding::new(&package.name, format!("depends on the tool {used}")));
        }
    }
    let ours = package
        .dependencies
        .iter()
        .filter(|d| d.kind.as_deref() != Some("dev"))
        .filter_map(|d| d.name.strip_prefix("pullback-"));
    match MAY_USE.iter().find(|(known, _)| *known == name) {
        None => findings.push(Finding::new(
            &package.name,
            "is not in the table MAY_USE of xtask/src/tidy/workspace.rs",
        )),
        Some((_, allowed)) => {
            for used in ours.filter(|used| !allowed.contains(used)) {
                let message = format!("depends on pullback-{used}, which is not below it");
                findings.push(Finding::new(&package.name, message));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::Dependency;

    fn package(name: &str, dependencies: &[(&str, Option<&str>)]) -> Package {
        let folder = name.strip_prefix("pullback-").unwrap_or(name);
        Package {
            name: name.into(),
            version: "0.1.0".into(),
            manifest_path: format!("crates/{folder}/Cargo.toml").into(),
            description: Some("A crate.".into()),
            license: Some("MIT OR Apache-2.0".into()),
            dependencies: dependencies
                .iter()
                .map(|(name, kind)| Dependency {
                    name: (*name).into(),
                    kind: kind.map(String::from),
                })
                .collect(),
            ..Package::default()
        }
    }

    fn messages(findings: Vec<Finding>) -> Vec<String> {
        findings.iter().map(Finding::to_string).collect()
    }

    #[test]
    fn dependencies_downward_pass() {
        for good in [
            package("pullback-core-graph", &[("candle-core", None)]),
            package("pullback-nn", &[("pullback-core-graph", None)]),
            package("pullback-core-graph", &[("pullback-nn", Some("dev"))]),
            package("benches", &[("pullback-tossingbot", None)]),
        ] {
            assert!(direction(&good).is_empty(), "{good:?}");
        }
    }

    #[test]
    fn dependencies_upward_fail() {
        let upward = package("pullback-core-graph", &[("pullback-nn", None)]);
        let want = "pullback-core-graph: depends on pullback-nn, which is not below it";
        assert_eq!(messages(direction(&upward)), [want]);
        let sideways = package("pullback-nn", &[("pullback-diffopt", Some("build"))]);
        assert_eq!(direction(&sideways).len(), 1);
        let tool = package("pullback-nn", &[("benches", Some("dev"))]);
        assert_eq!(messages(direction(&tool)), ["pullback-nn: depends on the tool benches"]);
        assert_eq!(direction(&package("pullback-new", &[])).len(), 1);
    }

    #[test]
    fn the_table_itself_has_no_cycle() {
        for (place, (name, allowed)) in MAY_USE.iter().enumerate() {
            for used in *allowed {
                let below = MAY_USE.iter().position(|(other, _)| other == used);
                assert!(below.is_some_and(|b| b < place), "{name} uses {used}");
            }
        }
    }

    #[test]
    fn missing_parts_fail() {
        let good = package("pullback-nn", &[]);
        assert!(form(&good, |_| true).is_empty());
        assert_eq!(messages(form(&good, |_| false)), ["pullback-nn: no README.md"]);
        let bare = Package { description: Some(" ".into()), license: None, ..good.clone() };
        let want =
            ["pullback-nn: no licence in Cargo.toml", "pullback-nn: no description in Cargo.toml"];
        assert_eq!(messages(form(&bare, |_| true)), want);
        let misnamed = Package { name: "networks".into(), ..good };
        assert!(messages(form(&misnamed, |_| true))[0].contains("must be named pullback-nn"));
    }

    #[test]
    fn tools_must_not_be_published() {
        let mut tool = package("examples", &[]);
        assert_eq!(messages(form(&tool, |_| false)), ["examples: publish = false is missing"]);
        tool.publish = Some(Vec::new());
        assert!(form(&tool, |_| false).is_empty());
    }
}
