//! Rules for a file's text: length, module comment, left-overs, paths of one machine, blanks, rows of tables.

use super::Finding;

const LINES: usize = 450;

/// Words that stand for unfinished work. Written in parts, so that this file passes its own rule.
const UNFINISHED: [&str; 4] = [
    concat!("#[", "ignore"),
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("dbg", "!("),
];

/// A test that another test starts as a process of its own: cargo must not run it, and it is run.
const CHILD: &str = concat!("#[", "ignore = \"child process: ");

/// Hosts of package registries and places of one machine: neither means anything to a reader elsewhere.
const HOSTS: [&str; 6] = [
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("npmjs", ".org"),
    concat!("npmjs", ".com"),
    concat!("deb.debian", ".org"),
];
const FOLDERS: [&str; 5] = [
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/Us", "ers/"),
    concat!("/wo", "rk/"),
    concat!("C:\\Us", "ers"),
];

pub(super) fn check(path: &str, text: &str) -> Vec<Finding> {
    // Cargo writes its registry's address into the lock file.
    if path == "Cargo.lock" {
        return Vec::new();
    }
    let mut findings = blanks(path, text);
    findings.extend(places(path, text));
    if path.ends_with(".rs") {
        findings.extend(length(path, text));
        findings.extend(module_comment(path, text));
        findings.extend(unfinished(path, text));
    }
    if path.ends_with(".md") {
        findings.extend(rows(path, text));
    }
    findings
}

/// A table's row that breaks off: the rest of the file may be gone with it.
fn rows<'a>(path: &'a str, text: &'a str) -> impl Iterator<Item = Finding> {
    let broken = |line: &str| line.starts_with("| ") && !line.ends_with(" |");
    let lines = numbered(path, text).filter(move |(_, line)| broken(line));
    lines.map(|(place, _)| Finding::new(place, "a table's row that does not end in ` |`"))
}

fn numbered<'a>(path: &'a str, text: &'a str) -> impl Iterator<Item = (String, &'a str)> {
    text.lines().enumerate().map(move |(k, line)| (format!("{path}:{}", k + 1), line))
}

fn length(path: &str, text: &str) -> Option<Finding> {
    let count = text.lines().count();
    let message = format!("{count} lines, at most {LINES}: a file is about one thing");
    (count > LINES).then(|| Finding::new(path, message))
}

/// A `//!` comment before the first item; only attributes, plain comments and empty lines may come first.
fn module_comment(path: &str, text: &str) -> Option<Finding> {
    let mut in_attribute = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with("//!") {
            return None;
        }
        in_attribute |= line.starts_with("#![");
        if in_attribute {
            in_attribute = !line.ends_with(']');
        } else if !line.is_empty() && !line.starts_with("//") {
            break;
        }
    }
    Some(Finding::new(path, "no module comment (//!) at the top"))
}

fn unfinished(path: &str, text: &str) -> Vec<Finding> {
    let is_code = |line: &str| {
        let line = line.trim_start();
        !line.starts_with("//") && !line.starts_with(CHILD)
    };
    let mut findings = Vec::new();
    for (place, line) in numbered(path, text).filter(|(_, line)| is_code(line)) {
        for word in UNFINISHED.iter().filter(|word| line.contains(*word)) {
            findings.push(Finding::new(&place, format!("{word} is unfinished work")));
        }
    }
    findings
}

fn places(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (place, line) in numbered(path, text) {
        for host in HOSTS.iter().filter(|host| line.contains(*host)) {
            findings.push(Finding::new(&place, format!("names the registry host {host}")));
        }
        for folder in FOLDERS.iter().filter(|folder| starts_a_path(line, folder)) {
            findings.push(Finding::new(&place, format!("names a place on one machine ({folder})")));
        }
    }
    findings
}

/// Whether `folder` begins a path in the line, and is not the middle of a longer, relative one.
fn starts_a_path(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !(c.is_alphanumeric() || "._-/)}>*~".contains(c)))
    })
}

fn blanks(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (place, line) in numbered(path, text) {
        if line.ends_with([' ', '\t']) {
            findings.push(Finding::new(place, "blanks at the end of the line"));
        } else if path.ends_with(".rs") && line.contains('\t') {
            findings.push(Finding::new(place, "a tab"));
        }
    }
    if text.contains('\r') {
        findings.push(Finding::new(path, "carriage returns"));
    }
    if !text.is_empty() && (!text.ends_with('\n') || text.ends_with("\n\n")) {
        findings.push(Finding::new(path, "must end in exactly one line break"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(path: &str, text: &str) -> Vec<String> {
        check(path, text).iter().map(Finding::to_string).collect()
    }

    fn assert_one(path: &str, text: &str, want: &str) {
        let found = messages(path, text);
        assert!(found.len() == 1 && found[0].contains(want), "{text:?} gave {found:?}");
    }

    #[test]
    fn good_files_pass() {
        for text in [
            "//! A module.\n\nfn f() {}\n",
            "#![allow(clippy::unwrap_used)]\n// Tests may.\n\n//! Laws.\nfn f() {}\n",
            "#![allow(\n    clippy::unwrap_used,\n    clippy::panic\n)]\n//! Laws.\n",
        ] {
            assert_eq!(messages("src/a.rs", text), Vec::<String>::new(), "{text:?}");
        }
        assert!(messages("data.json", "{}\n").is_empty());
        assert!(messages("empty", "").is_empty());
    }

    #[test]
    fn long_files_fail() {
        let lines = |n: usize| format!("//! A module.\n{}", "fn f() {}\n".repeat(n - 1));
        assert!(messages("src/a.rs", &lines(450)).is_empty());
        assert_one("src/a.rs", &lines(451), "451 lines");
        assert!(messages("notes.md", &lines(451)).is_empty());
    }

    #[test]
    fn missing_module_comments_fail() {
        assert_one("src/a.rs", "fn f() {}\n", "no module comment");
        assert_one("src/a.rs", "use std::fmt;\n//! Too late.\n", "no module comment");
        assert_one("src/a.rs", "// Only a remark.\n", "no module comment");
    }

    #[test]
    fn unfinished_work_fails() {
        for word in UNFINISHED {
            assert_one("src/a.rs", &format!("//! A.\nfn f() {{ {word}) }}\n"), "unfinished");
            let remark = format!("//! A.\n// Without {word}).\n");
            assert!(messages("src/a.rs", &remark).is_empty(), "{word} in a comment");
        }
    }

    #[test]
    fn a_child_process_is_no_ignored_test() {
        let text = format!("//! A.\n{CHILD}started below\"]\nfn f() {{}}\n");
        assert!(messages("src/a.rs", &text).is_empty());
    }

    #[test]
    fn hosts_and_machine_paths_fail() {
        for host in HOSTS {
            assert_one("README.md", &format!("see https://{host}/x\n"), "registry host");
        }
        for folder in FOLDERS {
            assert_one("README.md", &format!("cd {folder}x\n"), "one machine");
            assert!(messages("README.md", &format!("see docs{folder}x\n")).is_empty());
        }
        assert!(messages("Cargo.lock", &format!("{}\n", HOSTS[0])).is_empty());
    }

    #[test]
    fn broken_rows_fail() {
        assert_one("a.md", "| a | b |\n|---|---|\n| `\n", "a table's row");
        assert!(messages("a.md", "| a | b |\n|---|---|\n| `a` | b |\n\n|x| > 0\n").is_empty());
        assert!(messages("a.json", "| `\n").is_empty());
    }

    #[test]
    fn stray_blanks_fail() {
        assert_one("a.md", "text \n", "blanks");
        assert_one("a.md", "text", "line break");
        assert_one("a.md", "text\n\n", "line break");
        assert_one("src/a.rs", "//! A.\n\tfn\n", "a tab");
        assert_one("a.md", "text\r\nmore\n", "carriage");
    }
}
