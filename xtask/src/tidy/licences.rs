//! Licences of all dependencies: permissive, by at least one of the choices that each offers.

use super::Finding;
use crate::metadata::Package;

/// SPDX names that we accept.
const PERMISSIVE: [&str; 13] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

pub(super) fn check(packages: &[Package]) -> Vec<Finding> {
    packages
        .iter()
        .filter_map(|package| {
            let place = format!("{} {}", package.name, package.version);
            match &package.license {
                None => Some(Finding::new(place, "states no licence")),
                Some(text) if is_permissive(text) => None,
                Some(text) => {
                    Some(Finding::new(place, format!("licence {text} is not permissive")))
                }
            }
        })
        .collect()
}

/// Evaluates an SPDX expression: OR needs one side, AND both; `/` is the old way to write OR.
fn is_permissive(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let value = either(&words, &mut at);
    value == Some(true) && at == words.len()
}

/// both OR both OR …; None where the expression is malformed.
fn either(words: &[&str], at: &mut usize) -> Option<bool> {
    let mut value = both(words, at)?;
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        value |= both(words, at)?;
    }
    Some(value)
}

/// one AND one AND …
fn both(words: &[&str], at: &mut usize) -> Option<bool> {
    let mut value = one(words, at)?;
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        value &= one(words, at)?;
    }
    Some(value)
}

/// A name, a name WITH an exception, or an expression in parentheses.
fn one(words: &[&str], at: &mut usize) -> Option<bool> {
    let word = *words.get(*at)?;
    *at += 1;
    if word == "(" {
        let value = either(words, at)?;
        let closed = words.get(*at) == Some(&")");
        *at += 1;
        return closed.then_some(value);
    }
    if words.get(*at) == Some(&"WITH") {
        let exception = words.get(*at + 1)?;
        *at += 2;
        return Some(PERMISSIVE.contains(&format!("{word} WITH {exception}").as_str()));
    }
    Some(PERMISSIVE.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_evaluate() {
        for (expression, want) in [
            ("MIT", true),
            ("MIT OR Apache-2.0", true),
            ("MIT/Apache-2.0", true),
            ("Apache-2.0 / MIT", true),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
            ("Apache-2.0 WITH LLVM-exception OR MIT", true),
            ("GPL-3.0-only OR MIT", true),
            ("GPL-3.0-only", false),
            ("MIT AND GPL-3.0-only", false),
            ("(MIT OR GPL-3.0-only) AND MPL-2.0", false),
            ("GPL-2.0-only WITH Classpath-exception-2.0", false),
            ("MIT MIT", false),
            ("(MIT", false),
            ("OR MIT", false),
            ("", false),
        ] {
            assert_eq!(is_permissive(expression), want, "{expression}");
        }
    }

    #[test]
    fn packages_without_or_with_a_strict_licence_fail() {
        let package = |name: &str, license: Option<&str>| Package {
            name: name.into(),
            version: "1.0.0".into(),
            license: license.map(String::from),
            ..Package::default()
        };
        let packages =
            [package("a", Some("MIT")), package("b", None), package("c", Some("AGPL-3.0-only"))];
        let found: Vec<_> = check(&packages).iter().map(Finding::to_string).collect();
        let want =
            ["b 1.0.0: states no licence", "c 1.0.0: licence AGPL-3.0-only is not permissive"];
        assert_eq!(found, want);
    }
}
