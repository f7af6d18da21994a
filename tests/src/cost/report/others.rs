//! The same load elsewhere.

use std::fmt::Write as _;

use super::super::model::{MONTH_SECONDS, USUAL_BYTES};
use super::super::prices::{GB, Prices, Region, Usage};
use super::{Sources, dollars, grouped, line, units};

/// Events of a month.
const LOADS: [f64; 5] = [0.0, 1e5, 1e6, 1e7, 1e8];

/// Hours of a month, as AWS's calculator has them.
const HOURS: f64 = 730.0;

/// An assumption: what svix-server keeps of an event with its attempt in Postgres, indexes included, in bytes.
const SVIX_STORED: f64 = 3.0 * 1024.0;

/// GB of storage that the smallest setup has.
const SVIX_STORAGE: f64 = 20.0;

/// svix-server on the smallest always-on setup: what it costs before the first event.
fn always_on() -> Usage {
    Usage::of("fargateVcpu", 0.25 * HOURS)
        .and("fargateGb", 0.5 * HOURS)
        .and("rdsMicro", HOURS)
        .and("rdsStorage", SVIX_STORAGE)
        .and("cacheMicro", HOURS)
        .and("alb", HOURS)
        // Two of the load balancer, which needs two zones, and the task's own.
        .and("ipv4", 3.0 * HOURS)
}

/// A month of it with so many events.
fn svix(events: f64, sent: f64) -> Usage {
    let stored = events * SVIX_STORED / GB;
    // A capacity unit is a GB an hour, or 25 new connections a second.
    let capacity = (events * (USUAL_BYTES as f64) / GB / HOURS).max(events / MONTH_SECONDS / 25.0);
    always_on()
        .and("rdsStorage", (stored - SVIX_STORAGE).max(0.0))
        .and("albUnits", capacity * HOURS)
        .and("egress", events * sent / GB)
}

/// API Gateway, an event bus and an API destination.
fn bus(events: f64, sent: f64) -> Usage {
    Usage::of("apiRequests", events)
        .and("busEvents", events)
        .and("apiDestinations", events)
        .and("egress", events * sent / GB)
}

/// Where two costs meet, by halving: the first is the cheaper one below.
fn break_even(below: impl Fn(f64) -> f64, above: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (0.0, 1e9);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if below(middle) < above(middle) {
            low = middle
        } else {
            high = middle
        }
    }
    low
}

/// The section about others.
pub(super) fn write(text: &mut String, sources: &Sources<'_>) {
    let Sources { found, model, prices } = sources;
    let sent = found.usual().alone.sent as f64;
    let ours = |events: f64, is_traced: bool| {
        let mut usage = model.month(found.usual(), &found.tick, events);
        if !is_traced {
            usage.0.remove("traces");
        }
        usage
    };
    line!(text, "## Next to others");
    line!(text);
    line!(
        text,
        "A month of events of 1 KB with one webhook each, evenly spread, list prices, us-east-1, nothing free counted. In how large batches Hookline works follows from the rate."
    );
    line!(text);
    let head: Vec<String> = LOADS.iter().map(|events| grouped(*events)).collect();
    line!(text, "| events a month | {} |", head.join(" | "));
    line!(text, "|---|{}", "---:|".repeat(LOADS.len()));
    let mut row = |what: &str, sum: &dyn Fn(f64) -> Option<f64>| {
        let cells = LOADS.map(|events| sum(events).map_or_else(|| "?".to_owned(), dollars));
        line!(text, "| {what} | {} |", cells.join(" | "));
    };
    let cost = |usage: &Usage| Some(prices.cost(usage, Region::UsEast1));
    row("Hookline, X-Ray on", &|events| cost(&ours(events, true)));
    row("Hookline, without X-Ray", &|events| cost(&ours(events, false)));
    row("Hookline, without X-Ray, beyond what is free for ever", &|events| {
        Some(prices.cost_beyond_free(&ours(events, false), Region::UsEast1))
    });
    row("Svix server, self-hosted, the smallest always-on setup", &|events| {
        cost(&svix(events, sent))
    });
    row("API Gateway + EventBridge + API destination", &|events| {
        cost(&bus(events, sent))
    });
    for hosted in &prices.hosted {
        row(&hosted.what, &|events| hosted.month(events));
    }
    line!(text);
    let against_svix = [true, false].map(|is_traced| {
        break_even(
            |events| prices.cost(&ours(events, is_traced), Region::UsEast1),
            |events| prices.cost(&svix(events, sent), Region::UsEast1),
        )
    });
    line!(
        text,
        "**Where Hookline is dearer.** The always-on setup costs {} a month before its first event. From about {} events a month on ({} with X-Ray) it is the cheaper one: Hookline pays for each event what a machine that runs anyway does not. Hookline is for loads below that, for loads that come in bursts, and for teams that want nothing to run.",
        dollars(prices.cost(&always_on(), Region::UsEast1)),
        grouped(round(against_svix[1])),
        grouped(round(against_svix[0]))
    );
    line!(text);
    notes(text, prices);
}

/// Two digits that say something.
fn round(number: f64) -> f64 {
    let unit = 10_f64.powf(number.log10().floor() - 1.0);
    (number / unit).round() * unit
}

fn notes(text: &mut String, prices: &Prices) {
    line!(text, "What the rows are:");
    line!(text);
    line!(
        text,
        "- **Svix server**: one Fargate task (arm64, 0.25 vCPU, 0.5 GB), RDS for PostgreSQL (db.t4g.micro, one zone, {} GB), ElastiCache (cache.t4g.micro, one node), a load balancer, three public addresses; {} KB kept of an event, an assumption. One zone and one of each: a failure of any stops it, where all that Hookline uses is in three zones. What it can do: svix-server took 2 CPU milliseconds an event with its database on a machine of our own ([BENCHMARKS.md](BENCHMARKS.md)), so a quarter of a processor takes some 200 events a second in bursts, and the database's two tenths of a processor about 100 without end: the last column, 39 a second, fits, if it comes evenly. It sends webhooks; receiving, verifying and mapping what providers send is not in it. Somebody has to keep it patched.",
        units(SVIX_STORAGE),
        units(SVIX_STORED / 1024.0)
    );
    line!(
        text,
        "- **EventBridge**: cheaper than Hookline at any load, and less: no verification of signatures (API Gateway takes what comes, unless a Lambda authorizer is added, which cannot see the body), no duplicates found, no order by time of what came in, no list of deliveries with their answers, 5 seconds for an answer, 24 hours of retries, no signature on what goes out, 256 KB a message and a request for each 64 KB of it. What it lacks is what Hookline is."
    );
    for hosted in &prices.hosted {
        line!(
            text,
            "- **{}**: ${} a month with {} events; {} ([page]({}), seen in {}).",
            hosted.what,
            units(hosted.monthly),
            grouped(hosted.included),
            hosted.limit,
            hosted.source,
            hosted.seen
        );
    }
    line!(text, "- Convoy's cloud has no price that could be looked up here.");
    line!(text);
}
