//! Log lines as they stand in the sources and in `docs/LOGGING.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms whose lines there are.
const ROOMS: &[&str] = &[
    "functions/receive",
    "functions/verify",
    "functions/fan-out",
    "functions/retry",
    "functions/manage",
    "functions/operate",
    "shared/payload",
    "shared/store",
    "shared/delivery",
    "shared/telemetry",
    "local",
];

/// The macros that make a line.
const LEVELS: &[&str] = &["error", "warn", "info", "debug", "trace"];

/// What tells one kind of line from others: the package that it is made in, its level, its message.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    /// The package.
    pub package: String,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
    /// The message.
    pub message: String,
}

/// Kinds of lines, with all fields that lines of the kind may have.
pub type Lines = BTreeMap<Kind, BTreeSet<String>>;

/// The folder of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the repository")
        .to_owned()
}

/// The lines of the sources, without those of tests.
#[must_use]
pub fn of_sources() -> Lines {
    let mut lines = Lines::new();
    for room in ROOMS {
        let package = room.rsplit('/').next().expect("a name");
        for file in sources(&repository().join(room).join("src")) {
            let text = fs::read_to_string(&file).expect("a source");
            // Tests stand at the end of a file.
            let text = text.split("#[cfg(test)]\nmod tests {").next().expect("a start");
            for (level, arguments) in calls(text) {
                let (message, fields) = read(&arguments).unwrap_or_else(|| panic!("{}: {arguments}", file.display()));
                let kind = Kind {
                    package: package.to_owned(),
                    level: level.to_owned(),
                    message,
                };
                lines.entry(kind).or_default().extend(fields);
            }
        }
    }
    lines
}

/// The lines of the page: the rows of its tables whose second cell is a level.
#[must_use]
pub fn of_page(page: &str) -> Lines {
    let mut lines = Lines::new();
    for row in page.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [packages, level, message, fields, _when] = cells.as_slice() else {
            continue;
        };
        if !LEVELS.contains(level) {
            continue;
        }
        for package in quoted(packages) {
            let kind = Kind {
                package,
                level: (*level).to_owned(),
                message: quoted(message).concat(),
            };
            assert!(
                lines.insert(kind, quoted(fields).into_iter().collect()).is_none(),
                "twice: {row}"
            );
        }
    }
    lines
}

/// The texts between backticks.
fn quoted(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && name != "tests" {
            found.extend(sources(&path));
        } else if name.ends_with(".rs") && name != "tests.rs" {
            found.push(path);
        }
    }
    found
}

/// The calls of the macros: the level, and what stands between the parentheses.
fn calls(text: &str) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    for level in LEVELS {
        let name = format!("tracing::{level}!(");
        for (at, _) in text.match_indices(&name) {
            let rest = &text[at + name.len()..];
            let end = top_level(rest).last().expect("an end").1;
            found.push((*level, rest[..end].to_owned()));
        }
    }
    found
}

/// The arguments up to the parenthesis that closes them, as ranges: commas within strings and parentheses part nothing.
fn top_level(text: &str) -> Vec<(usize, usize)> {
    let (mut ranges, mut start, mut depth, mut in_string) = (Vec::new(), 0, 0_u32, false);
    let mut before = '\0';
    for (at, c) in text.char_indices() {
        match c {
            '"' if before != '\\' => in_string = !in_string,
            _ if in_string => {}
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth > 0 => depth -= 1,
            ')' | ']' | '}' => {
                ranges.push((start, at));
                return ranges;
            }
            ',' if depth == 0 => {
                ranges.push((start, at));
                start = at + 1;
            }
            _ => {}
        }
        before = c;
    }
    panic!("no end in {text}");
}

/// The message of a call and the names of its fields.
fn read(arguments: &str) -> Option<(String, BTreeSet<String>)> {
    let closed = format!("{arguments})");
    let mut parts: Vec<&str> = top_level(&closed)
        .into_iter()
        .map(|(start, end)| closed[start..end].trim())
        .filter(|part| !part.is_empty())
        .collect();
    let message = parts.pop()?.strip_prefix('"')?.strip_suffix('"')?.to_owned();
    let name = |part: &str| {
        let name = part.split_once(" = ").map_or(part, |(name, _)| name);
        name.trim_start_matches(['%', '?']).to_owned()
    };
    Some((message, parts.into_iter().map(name).collect()))
}
