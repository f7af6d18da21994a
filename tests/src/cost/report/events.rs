//! What happens to events.

use std::fmt::Write as _;

use super::super::findings::{SIZES, WEBHOOKS};
use super::super::model::{ACCESS_LOG_BYTES, PLATFORM_LOG_BYTES, USUAL_BYTES, logs};
use super::super::prices::{GB, Region, Usage};
use super::super::time::Invocation;
use super::super::units::Measured;
use super::{Sources, by_table, dollars, grouped, kilobytes, line, units};

/// The section about one event.
pub(super) fn write(text: &mut String, sources: &Sources<'_>) {
    line!(text, "## One event");
    line!(text);
    units_of_events(text, sources);
    billed_times(text, sources);
    by_kind(text, sources);
    sums(text, sources);
}

fn units_of_events(text: &mut String, Sources { found, model, .. }: &Sources<'_>) {
    let batch = model.full_batch();
    line!(
        text,
        "Write and read request units of a received and delivered event, all indexes included: each list and each search that the API promises works on them. A quiet hub wakes"
    );
    line!(
        text,
        "`verify` and `fan-out` for each event, a busy one for up to {batch}; what they read of sources, webhooks and secrets is shared by those. Reading the streams is not billed to Lambda."
    );
    line!(text);
    line!(
        text,
        "| body KB | webhooks | write units | of these | read units alone | of these | in a batch of {batch} |"
    );
    line!(text, "|---:|---:|---:|---|---:|---|---:|");
    for webhooks in WEBHOOKS {
        for bytes in SIZES {
            let event = found.event(bytes, webhooks);
            line!(
                text,
                "| {} | {webhooks} | {} | {} | {} | {} | {} |",
                kilobytes(bytes),
                units(event.alone.writes()),
                by_table(&event.alone.written),
                units(event.alone.reads()),
                by_table(&event.alone.read),
                units(event.in_batch.reads()),
            );
        }
    }
    line!(text);
    line!(
        text,
        "The bodies are JSON as webhooks are, of ids, names, times and words; compressed, 1 KB of it is some 0.4 KB, and 64 KB some 14. What cannot be compressed, a text of random letters, costs with one webhook:"
    );
    line!(text);
    let (head, sums): (Vec<String>, Vec<String>) = found
        .noise
        .iter()
        .map(|(bytes, measured)| (format!("{} KB", kilobytes(*bytes)), units(measured.writes())))
        .unzip();
    line!(text, "| | {} |", head.join(" | "));
    line!(text, "|---|{}", "---:|".repeat(head.len()));
    line!(text, "| write units | {} |", sums.join(" | "));
    line!(text);
    line!(
        text,
        "Once a minute at most, for each source and process, it is noted that a source is well: {} write unit more. An event without an id of its provider's is in one index less, and costs one write unit less.",
        units(found.noted.writes())
    );
    line!(text);
}

fn billed_times(text: &mut String, Sources { model, .. }: &Sources<'_>) {
    let batch = model.full_batch();
    let memory = |binary: &str| model.function(binary).memory_mb;
    line!(
        text,
        "Billed milliseconds of each invocation, at {} MB: processor time as measured, at the share of a processor that so much memory has, and the answers that are waited for (see [what is assumed](#what-is-assumed)).",
        memory("receive")
    );
    line!(text);
    line!(
        text,
        "| body KB | `receive` | `verify` | {batch} in `verify` | `fan-out`, 0 webhooks | 1 | 10 | {batch} in `fan-out`, 0 webhooks | 1 | 10 |"
    );
    line!(text, "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    for bytes in SIZES {
        let receive = model.times.receive(bytes).billed_ms(memory("receive"));
        let verify = [1, batch].map(|size| model.times.verify(bytes, size).billed_ms(memory("verify")));
        let fan_out = [1, batch].map(|size| {
            WEBHOOKS.map(|webhooks| {
                model
                    .times
                    .fan_out(bytes, webhooks, size)
                    .billed_ms(memory("fan-out"))
                    .to_string()
            })
        });
        line!(
            text,
            "| {} | {receive} | {} | {} | {} | {} |",
            kilobytes(bytes),
            verify[0],
            verify[1],
            fan_out[0].join(" | "),
            fan_out[1].join(" | ")
        );
    }
    line!(text);
    let init: Vec<String> = model
        .times
        .init_cpu_ms
        .iter()
        .map(|(function, ms)| format!("`{}` {ms}", function.trim_end_matches("Function")))
        .collect();
    line!(
        text,
        "A cold start is billed too: starting and the first invocation together take these milliseconds of a whole processor ({}), and at init a function has one. A thousand cold starts cost less than a cent.",
        init.join(", ")
    );
    line!(text);
}

/// Where the money goes for one kind of event.
fn by_kind(text: &mut String, Sources { found, model, prices }: &Sources<'_>) {
    let full = model.full_batch();
    let quiet = model.event(found.usual(), 1.0, 1.0);
    let busy = model.event(found.usual(), full as f64, 0.0);
    line!(
        text,
        "A million events of 1 KB with one webhook, by what is billed, in us-east-1. X-Ray records the first invocation of each second and a twentieth of the others, so nearly each on a quiet hub."
    );
    line!(text);
    line!(text, "| | each alone | | in batches of {full} | |");
    line!(text, "|---|---:|---:|---:|---:|");
    let amount = |id: &str, quantity: f64| match id {
        "dynamoStorage" | "dynamoPitr" | "logsIngested" | "logsStored" | "egress" => {
            format!("{} KB", units(quantity * GB / 1024.0))
        }
        "lambdaX86" => format!("{:.4} GB-s", quantity),
        _ => units(quantity),
    };
    for id in quiet.0.keys() {
        let what = prices.of(id).what.split(" (").next().unwrap_or_default();
        let cells = [&quiet, &busy].map(|usage| {
            let quantity = usage.get(id);
            format!(
                "{} | {}",
                amount(id, quantity),
                dollars(prices.line(id, quantity * 1e6, Region::UsEast1))
            )
        });
        line!(text, "| {what} | {} |", cells.join(" | "));
    }
    let all = [&quiet, &busy].map(|usage| dollars(prices.cost(usage, Region::UsEast1) * 1e6));
    line!(text, "| **all** | | **{}** | | **{}** |", all[0], all[1]);
    line!(text);
    let arm = prices.line("lambdaX86", quiet.get("lambdaX86") * 1e6, Region::UsEast1)
        - prices.line("lambdaArm", quiet.get("lambdaX86") * 1e6, Region::UsEast1);
    line!(
        text,
        "Quantities are those of one event. Of the log, {} bytes an invocation and {} a request are Lambda's and API Gateway's own lines. On arm64 (parameter `Architecture`) a million events alone cost {} less, if its processors are as fast.",
        grouped(PLATFORM_LOG_BYTES),
        grouped(ACCESS_LOG_BYTES),
        dollars(arm)
    );
    line!(text);
}

fn sums(text: &mut String, Sources { found, model, prices }: &Sources<'_>) {
    let full = model.full_batch() as f64;
    line!(text, "A million events, everything included but X-Ray:");
    line!(text);
    line!(
        text,
        "| body KB | webhooks | alone, us-east-1 | eu-central-1 | in full batches, us-east-1 | eu-central-1 |"
    );
    line!(text, "|---:|---:|---:|---:|---:|---:|");
    for webhooks in WEBHOOKS {
        for bytes in SIZES {
            let event = found.event(bytes, webhooks);
            let cells = [1.0, full].map(|batch| {
                let usage = model.event(event, batch, 0.0);
                Region::ALL
                    .map(|region| dollars(prices.cost(&usage, region) * 1e6))
                    .join(" | ")
            });
            line!(text, "| {} | {webhooks} | {} |", kilobytes(bytes), cells.join(" | "));
        }
    }
    line!(text);
}

/// The section about all else that happens to requests and deliveries.
pub(super) fn write_others(text: &mut String, Sources { found, model, prices }: &Sources<'_>) {
    let times = &model.times;
    let receive = || {
        model
            .invocation("receive", times.receive(USUAL_BYTES), 0.0)
            .plus(&model.request(USUAL_BYTES))
    };
    let verify = || model.invocation("verify", times.verify(USUAL_BYTES, 1), 0.0);
    let fan_out = |webhooks| model.invocation("fan-out", times.fan_out(USUAL_BYTES, webhooks, 1), 0.0);
    let retry = model
        .invocation("retry", &times.retry, 0.0)
        .times(1.0 / times.retry.attempts as f64);
    // A tick as any, and what one of many attempts takes; it waits for no more answers than the tick with many.
    let share = 1.0 / times.retry.attempts as f64;
    let alone = Invocation {
        cpu_ms: times.idle_tick.cpu_ms + times.retry.cpu_ms * share,
        log_bytes: times.retry.log_bytes * share,
        destination_rounds: 1,
        ..times.retry
    };
    let failing = &found.failing;
    let count = failing.count;
    let caught_up = format!("one of {count} that a tick makes, after a failure");
    let rows: [(&str, &Measured, Usage); 9] = [
        ("a duplicate", &found.duplicate, receive().plus(&verify())),
        (
            "forged: the headers of a signature, and not its source's",
            &found.forged,
            receive().plus(&verify()),
        ),
        ("without the headers of a signature: 400", &found.unsigned, receive()),
        ("an address that there is not: 404", &found.unknown, receive()),
        (
            "published through the API",
            &found.published,
            receive().plus(&fan_out(1)),
        ),
        (
            "an event whose webhook fails for the first time",
            &failing.first,
            receive().plus(&verify()).plus(&fan_out(1)),
        ),
        (
            "an event whose webhook is known to fail: left to the schedule",
            &failing.parked,
            receive().plus(&verify()).plus(&fan_out(0)),
        ),
        (
            "one attempt that fails again, alone in its tick",
            &failing.again,
            model.invocation("retry", &alone, 0.0),
        ),
        (&caught_up, &failing.caught_up, retry),
    ];
    line!(text, "## What else happens");
    line!(text);
    line!(
        text,
        "Bodies of 1 KB, each alone, without X-Ray. `manage`, which takes what is published, is counted with the time of `receive`."
    );
    line!(text);
    line!(
        text,
        "| | write units | of these | read units | a million, us-east-1 | eu-central-1 |"
    );
    line!(text, "|---|---:|---|---:|---:|---:|");
    for (what, measured, functions) in rows {
        let usage = functions.plus(&model.database(measured));
        let sums = Region::ALL.map(|region| dollars(prices.cost(&usage, region) * 1e6));
        line!(
            text,
            "| {what} | {} | {} | {} | {} |",
            units(measured.writes()),
            by_table(&measured.written),
            units(measured.reads()),
            sums.join(" | ")
        );
    }
    line!(text);
    let refused = logs(ACCESS_LOG_BYTES);
    line!(
        text,
        "A first failure writes more than the delivery: that the webhook fails, and the event that tells of it, in one transaction, which is billed twice. Each further change of a delivery that waits is a write in up to four places: itself, its webhook's list, what is due, what is not settled. A request that API Gateway refuses (429) reaches nothing of Hookline, and by all that AWS's people have said is not billed: they point to a page of the documentation that is gone by now ([re:Post](https://repost.aws/questions/QUY2x146iORPmsJHpff8u0eA/will-i-get-charged-for-these-invalid-api-key-quota-exceeded-or-throttled-request-errors)); its line in the access log is, {} a million in us-east-1.",
        dollars(prices.cost(&refused, Region::UsEast1) * 1e6)
    );
    line!(text);
}
