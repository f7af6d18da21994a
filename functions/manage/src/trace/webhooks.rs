//! Which webhooks an event went to and which not, by what they were at that time.

use std::collections::BTreeMap;

use jiff::Timestamp;
use payload::filter::{Matcher, StoredFilter, UnreadablePayload};
use payload::own;
use payload::webhook::{Disabled, Webhook};
use payload::{Event, OrganizationId, WebhookId};
use serde::Serialize;
use store::WebhookSet;
use store::history::{History, WebhookWas};

use super::sent::Sent;
use crate::Store;
use crate::deliveries::DeliveryView;
use crate::page::Page;
use crate::problem::ApiError;

/// The most webhooks that are shown with their deliveries.
pub(super) const MAX_MATCHED: usize = 100;

/// The most changes of webhooks since an event that are taken into account.
const MAX_CHANGES: usize = 10_000;

/// The most changes before an event among which deletions are looked for.
const MAX_EARLIER_CHANGES: usize = 1_000;

/// A webhook that an event was, or is, delivered to.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MatchedWebhook {
    /// The webhook.
    webhook: WebhookId,
    /// Its name then; `null` when nothing is known of it any more.
    #[schema(required)]
    name: Option<String>,
    /// When it was deleted since.
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_at: Option<Timestamp>,
    /// Whether it wanted the event by what it was then. A delivery that it did not want was asked for in another way.
    wanted: bool,
    /// The delivery with its attempts; `null` while none is recorded.
    #[schema(required)]
    delivery: Option<DeliveryView>,
}

/// A webhook that an event is not delivered to.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UnmatchedWebhook {
    /// The webhook.
    webhook: WebhookId,
    /// Its name then.
    name: String,
    /// When it was deleted since, or before.
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_at: Option<Timestamp>,
    /// Why, each of them reason enough.
    reasons: Vec<Reason>,
}

/// Why a webhook was not sent an event.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Reason {
    /// What kind of reason.
    code: ReasonCode,
    /// The reason as a sentence.
    detail: String,
    /// The condition of its filter, as a JSON Pointer into the filter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<String>,
    /// Since when it was so, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
}

/// The kinds of reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReasonCode {
    /// A condition of its filter did not hold.
    Filter,
    /// Its team had disabled it.
    Disabled,
    /// Hookline had disabled it.
    DisabledByHookline,
    /// It was made later.
    CreatedLater,
    /// It was deleted by then.
    Deleted,
    /// The event tells of this very webhook, which is never sent that.
    AboutItself,
}

/// An organization's webhooks as they are now, and what they were since a time.
pub(super) struct Registered {
    set: WebhookSet,
    /// What they were since then.
    history: History,
    /// Those that were deleted before, the last first.
    deleted_before: Vec<WebhookWas>,
}

/// What a webhook was at a time.
struct State {
    name: String,
    filter: StoredFilter,
    enabled: bool,
    created_at: Timestamp,
    disabled: Option<Disabled>,
    deleted_at: Option<Timestamp>,
}

impl From<WebhookWas> for State {
    fn from(was: WebhookWas) -> Self {
        Self {
            name: was.name,
            filter: was.filter,
            enabled: was.enabled,
            created_at: was.created_at,
            disabled: was.disabled,
            deleted_at: was.deleted.then_some(was.until),
        }
    }
}

/// Where an event went.
pub(super) struct WentTo {
    pub(super) as_of: Timestamp,
    pub(super) history_complete: bool,
    pub(super) matched: Vec<MatchedWebhook>,
    pub(super) matched_count: usize,
    pub(super) unmatched: Page<UnmatchedWebhook>,
}

impl Registered {
    /// The webhooks of an organization, and how they do, with what they were since that time.
    pub(super) async fn read<S: Store>(
        store: &S,
        organization: &OrganizationId,
        since: Timestamp,
    ) -> Result<Self, ApiError> {
        Ok(Self {
            set: store.webhook_set(organization).await?,
            history: store.webhooks_were(organization, since, MAX_CHANGES).await?,
            deleted_before: (store.webhooks_deleted(organization, since, MAX_EARLIER_CHANGES)).await?,
        })
    }

    /// Where an event went, and where not, of the latter at most `limit` behind `after`.
    pub(super) fn went_to(
        &self,
        event: &Event,
        mut sent: Sent,
        after: Option<&WebhookId>,
        limit: usize,
    ) -> Result<WentTo, ApiError> {
        let as_of = sent.as_of;
        let mut states = self.states(as_of);
        let wanted = wanted(&states, event, as_of)?;
        // What was delivered was, whatever is known of the webhook; what was wanted and is not yet, will be.
        let mut ids: Vec<WebhookId> = wanted.iter().chain(&sent.webhooks).cloned().collect();
        ids.sort_unstable();
        ids.dedup();
        let matched_count = ids.len();
        let mut matched = Vec::new();
        for (number, webhook) in ids.into_iter().enumerate() {
            let state = states.remove(&webhook);
            if number < MAX_MATCHED {
                matched.push(MatchedWebhook {
                    name: state.as_ref().map(|state| state.name.clone()),
                    deleted_at: state.and_then(|state| state.deleted_at),
                    wanted: wanted.binary_search(&webhook).is_ok(),
                    delivery: sent.shown.remove(&webhook).map(DeliveryView::from),
                    webhook,
                });
            }
        }
        for was in self.deleted_until(as_of) {
            states.entry(was.webhook.clone()).or_insert_with(|| was.clone().into());
        }
        let unmatched = unmatched(states, event, as_of, after, limit)?;
        Ok(WentTo {
            as_of,
            history_complete: self.history.complete,
            matched,
            matched_count,
            unmatched,
        })
    }

    /// What the webhooks were at a time, of which each change since is known in its order.
    fn states(&self, as_of: Timestamp) -> BTreeMap<WebhookId, State> {
        let mut states: BTreeMap<WebhookId, State> = BTreeMap::new();
        for was in self.history.were.iter().filter(|was| was.until > as_of) {
            let deleted_at = was.deleted.then_some(was.until);
            let state = states.entry(was.webhook.clone()).or_insert_with(|| was.clone().into());
            state.deleted_at = state.deleted_at.or(deleted_at);
        }
        for webhook in self.set.webhooks.iter() {
            states
                .entry(webhook.id.clone())
                .or_insert_with(|| self.current(webhook));
        }
        states
    }

    /// The webhooks that were deleted until a time, the last first.
    fn deleted_until(&self, as_of: Timestamp) -> impl Iterator<Item = &WebhookWas> {
        let since = self.history.were.iter().rev();
        let since = since.filter(move |was| was.deleted && was.until <= as_of);
        since.chain(&self.deleted_before)
    }

    fn current(&self, webhook: &Webhook) -> State {
        let health = self.set.health.get(&webhook.id);
        State {
            name: webhook.name.clone(),
            filter: webhook.filter.clone(),
            enabled: webhook.enabled,
            created_at: webhook.created_at,
            disabled: health.and_then(|health| health.disabled.clone()),
            deleted_at: None,
        }
    }
}

/// The webhooks that want an event and may be sent it, by their ids.
fn wanted(states: &BTreeMap<WebhookId, State>, event: &Event, as_of: Timestamp) -> Result<Vec<WebhookId>, ApiError> {
    let all: Vec<(&WebhookId, &State)> = states.iter().collect();
    let filters = all.iter().enumerate();
    let (matcher, _) = Matcher::compile(filters.map(|(number, (_, state))| (number, &state.filter)));
    let matching = matcher
        .matching(event)?
        .into_iter()
        .filter_map(|number| all.get(number));
    let live = matching.filter(|(webhook, state)| state.hindrances(event, webhook, as_of).is_empty());
    Ok(live.map(|(webhook, _)| (*webhook).clone()).collect())
}

/// A page of those that an event did not go to.
fn unmatched(
    states: BTreeMap<WebhookId, State>,
    event: &Event,
    as_of: Timestamp,
    after: Option<&WebhookId>,
    limit: usize,
) -> Result<Page<UnmatchedWebhook>, ApiError> {
    let json = event.to_json()?;
    let mut behind = states
        .into_iter()
        .filter(|(webhook, _)| after.is_none_or(|after| webhook > after));
    let mut rows: Vec<UnmatchedWebhook> = Vec::new();
    for (webhook, state) in behind.by_ref().take(limit) {
        rows.push(UnmatchedWebhook {
            reasons: state.reasons(event, &json, &webhook, as_of)?,
            name: state.name,
            deleted_at: state.deleted_at,
            webhook,
        });
    }
    let next = (behind.next().is_some()).then(|| rows.last().map(|row| row.webhook.clone()));
    Ok(Page::new(rows, next.flatten()))
}

impl State {
    /// Why it was sent nothing, or not this, whatever its filter.
    fn hindrances(&self, event: &Event, webhook: &WebhookId, as_of: Timestamp) -> Vec<Reason> {
        let reason = |code, detail: String, since| Reason {
            code,
            detail,
            pointer: None,
            since,
        };
        if self.created_at > as_of {
            let detail = "it was made after the event".to_owned();
            return vec![reason(ReasonCode::CreatedLater, detail, Some(self.created_at))];
        }
        if let Some(at) = self.deleted_at.filter(|at| *at <= as_of) {
            return vec![reason(
                ReasonCode::Deleted,
                "it was deleted before the event".to_owned(),
                Some(at),
            )];
        }
        let mut reasons = Vec::new();
        if !self.enabled {
            reasons.push(reason(
                ReasonCode::Disabled,
                "its team had disabled it".to_owned(),
                None,
            ));
        }
        if let Some(disabled) = self.disabled.as_ref().filter(|disabled| disabled.at <= as_of) {
            let detail = format!("Hookline had disabled it: {}", disabled.reason.as_str());
            reasons.push(reason(ReasonCode::DisabledByHookline, detail, Some(disabled.at)));
        }
        if own::is_about(event, webhook) {
            let detail = "the event tells of this very webhook, which is never sent that".to_owned();
            reasons.push(reason(ReasonCode::AboutItself, detail, None));
        }
        reasons
    }

    /// All that kept it from being sent the event.
    fn reasons(
        &self,
        event: &Event,
        json: &[u8],
        webhook: &WebhookId,
        as_of: Timestamp,
    ) -> Result<Vec<Reason>, ApiError> {
        let mut reasons = self.hindrances(event, webhook, as_of);
        if matches!(
            reasons.as_slice(),
            [Reason {
                code: ReasonCode::CreatedLater | ReasonCode::Deleted,
                ..
            }]
        ) {
            return Ok(reasons);
        }
        let unmet = self.filter.unmet(&event.meta, json);
        let unmet = unmet.map_err(|UnreadablePayload| payload::event::BrokenEvent::Span)?;
        reasons.extend(unmet.into_iter().map(|unmet| Reason {
            code: ReasonCode::Filter,
            detail: unmet.sentence,
            pointer: Some(unmet.pointer),
            since: None,
        }));
        Ok(reasons)
    }
}
