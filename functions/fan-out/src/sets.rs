//! An organization's webhooks with the matcher of their filters, made ready once for each version of the set.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use payload::OrganizationId;
use payload::filter::{InvalidFilter, Matcher};
use payload::webhook::Webhook;
use store::WebhookSet;

/// Of how many organizations the matchers are kept.
const MAX_ORGANIZATIONS: usize = 1000;

/// An organization's webhooks as one consistent reading.
#[derive(Debug)]
pub(crate) struct OrganizationSet {
    pub(crate) registered: WebhookSet,
    pub(crate) matcher: Arc<Matcher>,
    /// Those whose filter cannot be read, found when the matcher was made: they are told of once.
    pub(crate) unreadable: Vec<(usize, InvalidFilter)>,
}

/// A matcher with the registrations that it was made of.
#[derive(Debug)]
struct Made {
    of: Arc<Vec<Webhook>>,
    matcher: Arc<Matcher>,
}

/// The matchers by organization.
#[derive(Debug, Default)]
pub(crate) struct Matchers(Mutex<HashMap<OrganizationId, Made>>);

impl Matchers {
    /// The set with its matcher, which is made anew only when the registrations have changed.
    pub(crate) fn ready(&self, organization: &OrganizationId, registered: WebhookSet) -> OrganizationSet {
        let webhooks = &registered.webhooks;
        let known = {
            let matchers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            matchers
                .get(organization)
                .filter(|made| Arc::ptr_eq(&made.of, webhooks))
                .map(|made| Arc::clone(&made.matcher))
        };
        if let Some(matcher) = known {
            return OrganizationSet {
                registered,
                matcher,
                unreadable: Vec::new(),
            };
        }
        let filters = webhooks
            .iter()
            .enumerate()
            .map(|(position, webhook)| (position, &webhook.filter));
        let (matcher, unreadable) = Matcher::compile(filters);
        let matcher = Arc::new(matcher);
        let mut matchers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if matchers.len() >= MAX_ORGANIZATIONS {
            matchers.clear();
        }
        let made = Made {
            of: Arc::clone(webhooks),
            matcher: Arc::clone(&matcher),
        };
        matchers.insert(organization.clone(), made);
        OrganizationSet {
            registered,
            matcher,
            unreadable,
        }
    }
}
