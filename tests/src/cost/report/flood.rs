//! What a flood of requests costs that nobody signed.

use std::fmt::Write as _;

use super::super::findings::SIZES;
use super::super::model::{ACCESS_LOG_BYTES, Model, USUAL_BYTES, logs, sampled};
use super::super::prices::{Region, Usage};
use super::super::time::Invocation;
use super::super::units::Measured;
use super::{Sources, dollars, grouped, line, units};

const HOUR: f64 = 3600.0;

/// The longest request that an HTTP API takes (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html>).
const LONGEST_REQUEST: usize = 10 * 1024 * 1024;

/// The longest body that is stored.
const LONGEST_STORED: usize = 350 * 1024;

/// An assumption: how long `receive` waits when the inbox takes no more, while the SDK tries three times, in milliseconds.
const THROTTLED_MS: f64 = 300.0;

/// One kind of flood, an hour of it.
struct Flood {
    what: String,
    usage: Usage,
    bound: &'static str,
}

/// What a body costs of processor time that is longer than those that were measured: as much more as from the one before the longest to the
/// longest.
fn receive(model: &Model, bytes: usize) -> Invocation {
    let [.., before, longest] = SIZES;
    let (a, b) = (model.times.receive(before), model.times.receive(longest));
    let slope = (b.cpu_ms - a.cpu_ms) / (longest - before) as f64;
    Invocation {
        cpu_ms: b.cpu_ms + slope * bytes.saturating_sub(longest) as f64,
        ..*b
    }
}

/// An hour of requests that each reach `receive`.
fn at_the_door(model: &Model, rate: f64, bytes: usize, measured: &Measured) -> Usage {
    let invocation = if bytes > *SIZES.last().expect("some") {
        receive(model, bytes)
    } else {
        *model.times.receive(bytes)
    };
    model
        .invocation("receive", &invocation, sampled(rate))
        .plus(&model.request(bytes))
        .plus(&model.database(measured))
        .times(rate * HOUR)
}

/// An hour of receipts that are verified, in full batches.
fn verified(model: &Model, a_second: f64, bytes: usize) -> Usage {
    let batch = model.full_batch();
    let invocations = a_second / batch as f64;
    model
        .invocation("verify", model.times.verify(bytes, batch), sampled(invocations))
        .times(invocations * HOUR)
}

fn floods(Sources { found, model, .. }: &Sources<'_>) -> Vec<Flood> {
    let rate = model.parameter("ThrottlingRate");
    let most = model.parameter("InboxMaxWriteRequestUnits");
    let stored_units = LONGEST_STORED as f64 / 1024.0;
    let stored = most / stored_units;
    // What a forged request writes beside its receipt, and leaves there.
    let mut large = found.forged_large.clone();
    large.written.insert("InboxTable".into(), stored_units);
    large
        .left
        .entry("InboxTable".into())
        .and_modify(|held| held.items = LONGEST_STORED);
    let waiting = Usage::of(
        "lambdaX86",
        THROTTLED_MS / 1000.0 * f64::from(model.function("receive").memory_mb) / 1024.0,
    );
    let nothing = Measured::default();
    vec![
        Flood {
            what: "addresses that there are not, 1 KB".into(),
            usage: at_the_door(model, rate, USUAL_BYTES, &found.unknown),
            bound: "`ThrottlingRate`",
        },
        Flood {
            what: "a known address, without a signature, 1 KB".into(),
            usage: at_the_door(model, rate, USUAL_BYTES, &found.unsigned),
            bound: "`ThrottlingRate`",
        },
        Flood {
            what: "a known address, a forged signature, 1 KB".into(),
            usage: at_the_door(model, rate, USUAL_BYTES, &found.forged).plus(&verified(model, rate, USUAL_BYTES)),
            bound: "`ThrottlingRate`",
        },
        Flood {
            what: format!(
                "the same with 350 KB that cannot be compressed: {} a second are stored, the others get 503",
                units(stored)
            ),
            usage: at_the_door(model, rate, LONGEST_STORED, &nothing)
                .plus(&waiting.times((rate - stored) * HOUR))
                .plus(&model.database(&large).times(stored * HOUR))
                .plus(&verified(model, stored, *SIZES.last().expect("some"))),
            bound: "`InboxMaxWriteRequestUnits`, `ThrottlingRate`",
        },
        Flood {
            what: "10 MB each, which API Gateway counts as 20 requests (an assumption: Lambda takes 6 MB, so that each is refused)".into(),
            usage: model.request(LONGEST_REQUEST).times(rate * HOUR),
            bound: "`ThrottlingRate`",
        },
    ]
}

/// The section about floods.
pub(super) fn write(text: &mut String, sources: &Sources<'_>) {
    let Sources { model, prices, .. } = sources;
    let (rate, burst) = (model.parameter("ThrottlingRate"), model.parameter("ThrottlingBurst"));
    line!(text, "## A flood of forged requests");
    line!(text);
    line!(
        text,
        "Anybody can send. What a request costs that proves nothing depends on how far it comes: an address that there is not is one read; one without the headers that its source's scheme needs is refused before anything is written; only one that has them, to an address that somebody has learnt, is stored and verified. At the defaults, {} requests a second for each route without end ({} at once in the beginning), X-Ray on:",
        grouped(rate),
        grouped(burst)
    );
    line!(text);
    line!(
        text,
        "| {} requests a second of | an hour, us-east-1 | eu-central-1 | a day, us-east-1 | bounded by |",
        grouped(rate)
    );
    line!(text, "|---|---:|---:|---:|---|");
    for flood in floods(sources) {
        let [us, eu] = Region::ALL.map(|region| prices.cost(&flood.usage, region));
        line!(
            text,
            "| {} | {} | {} | {} | {} |",
            flood.what,
            dollars(us),
            dollars(eu),
            dollars(us * 24.0),
            flood.bound
        );
    }
    line!(text);
    let most = floods(sources)
        .iter()
        .map(|flood| prices.cost(&flood.usage, Region::EuCentral1))
        .fold(0.0, f64::max);
    line!(
        text,
        "So at the defaults a flood through one route costs at most {} an hour and {} a day, in the dearer of the two regions. What bounds it:",
        dollars(most),
        dollars(most * 24.0)
    );
    line!(text);
    line!(
        text,
        "- `ThrottlingRate` and `ThrottlingBurst` hold for each route and not for each sender or source: the rate is the bill's bound, and a flood at one address keeps others' requests out with 429. Set them to a few times of what you expect."
    );
    line!(
        text,
        "- `InboxMaxWriteRequestUnits` bounds what is stored, by size: 2000 is 2000 requests of 1 KB a second, or six of 350 KB. Writes that it refuses are not billed; their senders get 503 and come again."
    );
    line!(
        text,
        "- Reserved concurrency of `receive`, where it is set, bounds how many run at once, and so the GB-seconds: {} MB for an hour cost {}.",
        model.function("receive").memory_mb,
        dollars(prices.line(
            "lambdaX86",
            HOUR * f64::from(model.function("receive").memory_mb) / 1024.0,
            Region::UsEast1
        ))
    );
    line!(
        text,
        "- What is above the rate gets 429 and reaches no function; only its line in the access log is billed (see above), and that no parameter bounds: at the 10,000 requests a second that an account's API Gateway takes by default, {} an hour.",
        dollars(prices.cost(&logs(ACCESS_LOG_BYTES * 10_000.0 * HOUR), Region::EuCentral1))
    );
    line!(
        text,
        "- What is refused or rejected is never delivered, and its health is written once a batch, not once a request."
    );
    line!(text);
    line!(text, "What a team can do, the cheapest first:");
    line!(text);
    line!(
        text,
        "1. Rotate the receiving URL with an overlap (`POST /v1/sources/{{id}}/rotate-token`, [API.md](API.md)) and tell the provider: what goes to the old one is then one read each."
    );
    line!(
        text,
        "2. Disable the source: the same at once, without its good requests."
    );
    line!(text, "3. Lower `ThrottlingRate`: a parameter, a minute.");
    let waf = Region::UsEast1;
    line!(
        text,
        "4. CloudFront with WAF in front, with a rate limit for each sender's address ({} a month and {} for a million requests; WAF does not attach to HTTP APIs by itself). Then set `PublicUrl`, and let only CloudFront through, by a header that a rule of its own adds and whose absence an authorizer refuses.",
        dollars(prices.line("wafAcl", 1.0, waf)),
        dollars(prices.line("wafRequests", 1e6, waf))
    );
    line!(text);
}
