//! What finding the webhooks of one event costs, with ten of them and with ten thousand of which the same number match.
//!
//! `cargo bench -p payload --bench filter` prints the tables of docs/BENCHMARKS.md. The sizes of a row are measured in turn, again and
//! again, so that what disturbs the machine disturbs them all; each number is the median of its turns.
#![allow(
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement"
)]

use std::hint::black_box;
use std::panic::catch_unwind;
use std::time::{Duration, Instant};

use payload::event::EventMeta;
use payload::filter::{Filter, Matcher, StoredFilter};
use payload::id::Identity;
use payload::{EventId, SourceId};
use quamina::Quamina;
use serde_json::{Value, json};

const FEW: usize = 10;
const MANY: usize = 10_000;

/// How many filters of each set match the event.
const MATCHING: usize = 5;

/// How often each size has its turn, and how long one turn is to last at least.
const TURNS: usize = 1001;
const TURN: Duration = Duration::from_micros(50);

/// Filters of one kind: the first few match the event, the others ask for something else in the same place.
struct Kind {
    name: &'static str,
    filter: fn(usize) -> Value,
}

const KINDS: [Kind; 14] = [
    Kind {
        name: "exact type",
        filter: |i| json!({"types": [word(i, "live.audio", ".updated")]}),
    },
    Kind {
        name: "100 exact types each",
        filter: |i| json!({"types": (0..100).map(|j| word(i, "live.audio", &format!(".updated{}", if j == 50 { String::new() } else { j.to_string() }))).collect::<Vec<_>>()}),
    },
    Kind {
        name: "type `live.x.*`",
        filter: |i| json!({"types": [word(i, "live.audio", ".*")]}),
    },
    Kind {
        name: "type `*.x.updated`",
        filter: |i| json!({"types": [word(i, "*.audio", ".updated")]}),
    },
    Kind {
        name: "type `live.*x*`",
        filter: |i| json!({"types": [word(i, "live.*udio", ".*")]}),
    },
    Kind {
        name: "type `live.*` and one pool",
        filter: |i| json!({"types": ["live.*"], "pools": [word(i, "pool", "")]}),
    },
    Kind {
        name: "pattern: exact",
        filter: |i| pattern(json!({"customer": [word(i, "cus_", "")]})),
    },
    Kind {
        name: "pattern: two fields, selective together",
        filter: |i| {
            let other = if i < MATCHING { 0 } else { i };
            pattern(json!({"shelf": [other % 100], "row": [other / 100]}))
        },
    },
    Kind {
        name: "pattern: prefix",
        filter: |i| pattern(json!({"customer": [{"prefix": word(i, "cus_", "")}]})),
    },
    Kind {
        name: "pattern: wildcard",
        filter: |i| pattern(json!({"path": [{"wildcard": word(i, "*/dir", "/*.png")}]})),
    },
    Kind {
        name: "pattern: numeric range",
        filter: |i| {
            let other = if i < MATCHING { 0 } else { i };
            pattern(json!({"amount": [{"numeric": [">=", other, "<", other + 1]}]}))
        },
    },
    Kind {
        name: "pattern: numeric `>`",
        filter: |i| {
            let other = if i < MATCHING { 0 } else { i };
            pattern(json!({"amount": [{"numeric": [">", other]}]}))
        },
    },
    Kind {
        name: "pattern: cidr",
        filter: |i| {
            let other = if i < MATCHING { 0 } else { i };
            pattern(json!({"address": [{"cidr": format!("10.{}.{}.0/24", other / 256, other % 256)}]}))
        },
    },
    Kind {
        name: "pattern: `$or`, anything-but, exists",
        filter: |i| {
            pattern(json!({
                "state": [{"anything-but": "closed"}], "gone": [{"exists": false}],
                "$or": [{"customer": [word(i, "cus_", "")]}, {"customer": [{"equals-ignore-case": word(i, "CUS_X", "")}]}],
            }))
        },
    },
];

/// The word of the event, or another with a number in it.
fn word(i: usize, head: &str, tail: &str) -> String {
    if i < MATCHING {
        format!("{head}{tail}")
    } else {
        format!("{head}{i}{tail}")
    }
}

fn pattern(data: Value) -> Value {
    json!({"pattern": {"data": data}})
}

/// An event of about 1 KB.
fn event() -> (EventMeta, Vec<u8>) {
    let text = "quarter earnings call of the year 2025 ".repeat(16);
    let event = json!({
        "id": EventId::compute("src_1", Identity::ProviderId("1"), 0), "type": "live.audio.updated", "timestamp": "2025-03-25T13:31:00Z",
        "source": {"id": SourceId::generate(jiff::Timestamp::UNIX_EPOCH), "name": "prod", "provider": "quartr"},
        "entity": {"type": "live.audio", "id": "328350"}, "action": "updated", "scope": {"pool": "pool"},
        "data": {
            "id": 328_350, "state": "live", "text": text, "customer": "cus_", "shelf": 0, "row": 0, "path": "a/dir/b.png",
            "amount": 0.5, "address": "10.0.0.7", "tags": ["one", "two"],
        },
    });
    (
        serde_json::from_value(event.clone()).unwrap(),
        event.to_string().into_bytes(),
    )
}

fn filters(kind: &Kind, count: usize) -> Vec<StoredFilter> {
    (0..count)
        .map(|i| Filter::parse(&(kind.filter)(i).to_string()).unwrap().into())
        .collect()
}

fn compile(filters: &[StoredFilter]) -> Matcher {
    Matcher::compile(filters.iter().enumerate()).0
}

/// The median time of each column, in microseconds.
fn measure(columns: &mut [&mut dyn FnMut()]) -> Vec<f64> {
    let calls: Vec<u32> = columns
        .iter_mut()
        .map(|column| {
            let started = Instant::now();
            let mut calls = 0;
            while started.elapsed() < TURN {
                column();
                calls += 1;
            }
            calls
        })
        .collect();
    let mut times = vec![Vec::with_capacity(TURNS); columns.len()];
    for turn in 0..TURNS {
        for position in 0..columns.len() {
            let column = (turn + position) % columns.len();
            let started = Instant::now();
            for _ in 0..calls[column] {
                columns[column]();
            }
            times[column].push(started.elapsed().as_secs_f64() * 1e6 / f64::from(calls[column]));
        }
    }
    times.iter_mut().map(|times| median(times)).collect()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The memory of this process in MiB, as Linux says.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}

/// The median of five, in milliseconds.
fn compiling(filters: &[StoredFilter]) -> f64 {
    let mut times: Vec<f64> = (0..5)
        .map(|_| {
            let started = Instant::now();
            drop(black_box(compile(black_box(filters))));
            started.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    median(&mut times)
}

/// What [`MANY`] filters of one kind and what the matcher that is made of them take in memory, in MiB: measured in a process of its own,
/// which [`memory_of`] is called in.
fn memory(kind: usize) -> String {
    let program = std::env::current_exe().unwrap();
    let output = std::process::Command::new(program)
        .arg("--memory")
        .arg(kind.to_string())
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn memory_of(kind: &Kind) {
    let before = resident();
    let filters = filters(kind, MANY);
    let between = resident();
    let matcher = compile(&filters);
    println!("{:.1} | {:.1}", between - before, resident() - between);
    drop(black_box(matcher));
}

fn sizes() {
    let (meta, json) = event();
    println!(
        "\n| filters | {FEW} webhooks µs | {MANY} webhooks µs | ratio | compile {MANY} ms | filters MiB | matcher MiB |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|");
    for (number, kind) in KINDS.iter().enumerate() {
        let (few, many) = (filters(kind, FEW), filters(kind, MANY));
        let time = compiling(&many);
        let (few, many) = (compile(&few), compile(&many));
        for matcher in [&few, &many] {
            assert_eq!(matcher.matches(&meta, &json).unwrap(), [0, 1, 2, 3, 4], "{}", kind.name);
        }
        let medians = measure(&mut [
            &mut || drop(black_box(few.matches(&meta, black_box(&json)))),
            &mut || drop(black_box(many.matches(&meta, black_box(&json)))),
        ]);
        let (few, many) = (medians[0], medians[1]);
        println!(
            "| {} | {few:.2} | {many:.2} | {:.2} | {time:.0} | {} |",
            kind.name,
            many / few,
            memory(number),
        );
    }
}

/// The patterns alone, beside the `quamina` crate as it comes.
fn beside_quamina() {
    const COUNT: usize = 1000;
    let (meta, json) = event();
    println!("\n| {COUNT} patterns | compile ms | match µs | quamina: compile ms | match µs | MiB |");
    println!("|---|---:|---:|---:|---:|---:|");
    std::panic::set_hook(Box::new(|_| {}));
    for kind in KINDS
        .iter()
        .filter(|kind| kind.name.starts_with("pattern") && !kind.name.contains("$or"))
    {
        let own = filters(kind, COUNT);
        let own_time = compiling(&own);
        let own = compile(&own);
        let own_match = measure(&mut [&mut || drop(black_box(own.matches(&meta, black_box(&json))))])[0];
        let other = catch_unwind(|| {
            let started = Instant::now();
            let mut quamina = Quamina::new();
            for i in 0..COUNT {
                if quamina
                    .add_pattern(i, &(kind.filter)(i)["pattern"].to_string())
                    .is_err()
                {
                    return format!("refuses number {i} | | ");
                }
            }
            // The first match does the rest of the compiling.
            let matching = quamina.count_matches(&json).unwrap();
            if matching != MATCHING {
                return format!("finds {matching} | | ");
            }
            let compile = started.elapsed().as_secs_f64() * 1e3;
            let time = measure(&mut [&mut || drop(black_box(quamina.matches_for_event(black_box(&json))))])[0];
            format!(
                "{compile:.0} | {time:.2} | {:.0}",
                quamina.matcher_stats().bytes as f64 / (1024.0 * 1024.0)
            )
        });
        let other = other.unwrap_or_else(|_| "panics | | ".to_owned());
        println!("| {} | {own_time:.1} | {own_match:.2} | {other} |", kind.name);
    }
}

fn main() {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--memory").skip(1);
    if let Some(kind) = arguments.next() {
        return memory_of(&KINDS[kind.parse::<usize>().unwrap()]);
    }
    // `cargo test --all-targets` runs benches too, as a check that they start: only `cargo bench` measures.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    sizes();
    beside_quamina();
}
