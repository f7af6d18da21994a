//! The functions, wired as their own `main.rs` wires them: each with the tables that its environment names, and no other.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Response;
use delivery::client::ClientBuilder;
use delivery::{Client, Deadline, Destinations, Guard, HttpSender};
use fan_out::FanOut;
use futures::future::BoxFuture;
use jiff::Timestamp;
use manage::{PublicUrl, Settings};
use operate::Operate;
use payload::Clock;
use receive::Receive;
use retry::Retry;
use store::connect::Retention;
use store::{Dynamo, Tables};
use tower::ServiceExt;
use verify::Verify;

use super::{HubError, HubOptions};
use crate::engine::Engine;
use crate::front::{HttpHandler, Integration};
use crate::pump::{FailureDestination, Handler, HandlerError};
use crate::template::Template;

/// The hub's clock as a type with a name: a function over `Arc<dyn Clock>` itself is beyond what the compiler can prove to be `Send`.
#[derive(Clone)]
pub(super) struct SharedClock(Arc<dyn Clock>);

impl Clock for SharedClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
}

impl std::fmt::Debug for SharedClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SharedClock")
    }
}

/// A function that a schedule wakes: it gets its deadline.
pub(super) type ScheduledHandler = Arc<dyn Fn(Deadline) -> BoxFuture<'static, ()> + Send + Sync>;

/// All functions, by what wakes them.
pub(super) struct Functions {
    /// Behind routes.
    pub(super) integrations: Vec<Integration>,
    /// Behind streams, by the name of their binary.
    pub(super) streams: BTreeMap<&'static str, Handler>,
    /// Behind the schedule, by the name of its binary.
    pub(super) scheduled: BTreeMap<&'static str, ScheduledHandler>,
    /// Invoked directly.
    pub(super) operate: Operate<Dynamo, FailureDestination, SharedClock>,
    /// How long an invocation of `operate` may take.
    pub(super) operate_timeout: Duration,
}

/// Wires all functions of the template.
pub(super) fn wire(
    engine: &Engine,
    template: &Template,
    options: &HubOptions,
    url: &str,
    failed: &Path,
) -> Result<Functions, HubError> {
    let clock = || SharedClock(Arc::clone(&options.clock));
    let metrics = || options.metrics.clone();
    let function = |binary: &'static str| template.function(binary).ok_or(HubError::NoFunction(binary));
    let store = |binary| Ok::<_, HubError>(store(engine, &function(binary)?.environment));
    let timeout = |binary| Ok::<_, HubError>(function(binary)?.timeout);
    let guard = Guard::new(if options.allow_private {
        Destinations::AllowPrivate
    } else {
        Destinations::PublicOnly
    });
    // Where private destinations are allowed, this machine is not our own receiving host alone: the sink is here too.
    let guard = if options.allow_private {
        guard
    } else {
        guard.without_host_of(url)
    };
    let client = options
        .authorities
        .iter()
        .cloned()
        .fold(Client::builder(guard.clone()), ClientBuilder::trust);
    let sender = HttpSender::new(client.build()?, clock());
    let public_url: PublicUrl = url.parse()?;

    let receive = receive_handler(Receive::new(store("receive")?, clock()).with_metrics(metrics()));
    let router = manage::router(
        store("manage")?,
        clock(),
        Settings {
            public_url: Some(public_url),
            guard,
        },
    );
    let integration = |binary, handler| {
        let function = function(binary)?;
        Ok::<_, HubError>(Integration {
            routes: function.routes.clone(),
            handler,
            timeout: function.timeout,
        })
    };
    let verify = Arc::new(Verify::new(store("verify")?, clock()).with_metrics(metrics()));
    let fan_out =
        FanOut::new(store("fan-out")?, sender.clone(), clock(), options.fan_out.clone()).with_metrics(metrics());
    let retry = Retry::new(store("retry")?, sender, clock(), options.retry.clone());
    let retry = Arc::new(retry.with_metrics(metrics()));
    let (verify_handler, fan_out_handler): (Handler, Handler) = (
        Arc::new(move |event| {
            let verify = Arc::clone(&verify);
            Box::pin(async move { Ok(verify.handle(event).await) })
        }),
        stream_handler(timeout("fan-out")?, move |event, deadline| {
            let fan_out = fan_out.clone();
            async move { fan_out.handle(event, deadline).await }
        }),
    );
    let retry_handler: ScheduledHandler = Arc::new(move |deadline| {
        let retry = Arc::clone(&retry);
        Box::pin(async move {
            retry.handle(deadline).await;
        })
    });
    Ok(Functions {
        integrations: vec![
            integration("receive", receive)?,
            integration("manage", service_handler(router))?,
        ],
        streams: BTreeMap::from([("verify", verify_handler), ("fan-out", fan_out_handler)]),
        scheduled: BTreeMap::from([("retry", retry_handler)]),
        operate: Operate::new(store("operate")?, FailureDestination::new(failed), clock())
            .with_settings(options.operate.clone()),
        operate_timeout: timeout("operate")?,
    })
}

fn receive_handler(receive: Receive<Dynamo, SharedClock>) -> HttpHandler {
    let receive = Arc::new(receive);
    Arc::new(move |request| {
        let receive = Arc::clone(&receive);
        Box::pin(async move {
            let response = receive.handle(request).await?;
            Ok(response.map(|body| match body {
                lambda_http::Body::Text(text) => Body::from(text),
                lambda_http::Body::Binary(bytes) => Body::from(bytes),
                _ => Body::empty(),
            }))
        })
    })
}

fn service_handler(router: axum::Router) -> HttpHandler {
    Arc::new(move |request| {
        let router = router.clone();
        Box::pin(async move {
            let response: Result<Response<Body>, _> = router.oneshot(request).await;
            response.map_err(HandlerError::from)
        })
    })
}

fn stream_handler<F>(
    timeout: Duration,
    handle: impl Fn(aws_lambda_events::event::dynamodb::Event, Deadline) -> F + Send + Sync + 'static,
) -> Handler
where
    F: Future<Output = aws_lambda_events::event::streams::DynamoDbEventResponse> + Send + 'static,
{
    Arc::new(move |event| {
        let handled = handle(event, Deadline::after(timeout));
        Box::pin(async move { Ok(handled.await) })
    })
}

/// The store with all tables that any function has: for tests, and for looking.
pub(super) fn store_of_all(engine: &Engine, template: &Template) -> Dynamo {
    let all = template
        .functions
        .iter()
        .flat_map(|function| function.environment.clone());
    store(engine, &all.collect())
}

/// The store with those tables that a function's environment names.
pub(super) fn store(engine: &Engine, environment: &BTreeMap<String, String>) -> Dynamo {
    let table = |variable: &str| {
        let logical_id = environment.get(variable);
        logical_id
            .and_then(|id| engine.table_name(id))
            .unwrap_or_default()
            .to_owned()
    };
    let tables = Tables {
        inbox: table("INBOX_TABLE"),
        receipts: table("RECEIPTS_TABLE"),
        events: table("EVENTS_TABLE"),
        deliveries: table("DELIVERIES_TABLE"),
        webhooks: table("WEBHOOKS_TABLE"),
        sources: table("SOURCES_TABLE"),
        secrets: table("SECRETS_TABLE"),
        registry: table("REGISTRY_TABLE"),
    };
    let days = |variable: &str, default| {
        environment
            .get(variable)
            .and_then(|days| days.parse().ok())
            .unwrap_or(default)
    };
    let defaults = Retention::default();
    let retention = Retention {
        inbox_days: days("INBOX_RETENTION_DAYS", defaults.inbox_days),
        event_days: days("EVENT_RETENTION_DAYS", defaults.event_days),
    };
    Dynamo::new(engine.client(), tables, retention)
}
