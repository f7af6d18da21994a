//! List prices, and what a use of things costs by them. They stand in `docs/cost/prices.json`, each with its page and where it was seen.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::log_lines::repository;

/// Bytes of what AWS calls a GB.
pub const GB: f64 = 1_073_741_824.0;

/// A region of AWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Region {
    /// us-east-1, N. Virginia.
    UsEast1,
    /// eu-central-1, Frankfurt.
    EuCentral1,
}

impl Region {
    /// Both.
    pub const ALL: [Self; 2] = [Self::UsEast1, Self::EuCentral1];

    /// As AWS names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::UsEast1 => "us-east-1",
            Self::EuCentral1 => "eu-central-1",
        }
    }
}

/// A price of AWS.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Price {
    /// What [`Usage`] names it by.
    pub id: String,
    /// What is paid for.
    pub what: String,
    /// By how many of it: a number, or a word for one.
    pub unit: String,
    /// Dollars in us-east-1.
    pub us_east1: f64,
    /// Dollars in eu-central-1.
    pub eu_central1: f64,
    /// How many units of a month are free for every account and without end.
    pub free: f64,
    /// The page with the price.
    pub source: String,
    /// Where the price of us-east-1 was seen, and when.
    pub us_east1_seen: String,
    /// Where the price of eu-central-1 was seen, and when.
    pub eu_central1_seen: String,
}

impl Price {
    /// Dollars in that region.
    #[must_use]
    pub fn in_region(&self, region: Region) -> f64 {
        match region {
            Region::UsEast1 => self.us_east1,
            Region::EuCentral1 => self.eu_central1,
        }
    }

    fn divisor(&self) -> f64 {
        match self.unit.as_str() {
            "million" => 1e6,
            "100,000" => 1e5,
            "10,000" => 1e4,
            _ => 1.0,
        }
    }
}

/// What a hosted gateway asks for.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hosted {
    /// What it is named by here.
    pub id: String,
    /// The service and its plan.
    pub what: String,
    /// Dollars a month.
    pub monthly: f64,
    /// Events of a month that this includes.
    pub included: f64,
    /// Dollars for a million further ones, where the page says.
    pub per_million: Option<f64>,
    /// What bounds it.
    pub limit: String,
    /// The page with the price.
    pub source: String,
    /// Where it was seen, and when.
    pub seen: String,
}

/// All prices.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// When they were looked up.
    pub seen: String,
    /// Always `USD`.
    pub currency: String,
    /// Those of AWS.
    pub aws: Vec<Price>,
    /// Those of hosted gateways.
    pub hosted: Vec<Hosted>,
}

/// How much of what is used, by the id of its price: single requests, units, GB-seconds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Usage(pub BTreeMap<&'static str, f64>);

impl Usage {
    /// So much of one thing.
    #[must_use]
    pub fn of(id: &'static str, quantity: f64) -> Self {
        Self(BTreeMap::from([(id, quantity)]))
    }

    /// So much more of one thing.
    #[must_use]
    pub fn and(mut self, id: &'static str, quantity: f64) -> Self {
        *self.0.entry(id).or_default() += quantity;
        self
    }

    /// All of both.
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        for (id, quantity) in &other.0 {
            *self.0.entry(id).or_default() += quantity;
        }
        self
    }

    /// So many times this.
    #[must_use]
    pub fn times(mut self, factor: f64) -> Self {
        self.0.values_mut().for_each(|quantity| *quantity *= factor);
        self
    }

    /// How much of one thing.
    #[must_use]
    pub fn get(&self, id: &str) -> f64 {
        self.0.get(id).copied().unwrap_or_default()
    }
}

impl Prices {
    /// Those of the repository.
    #[must_use]
    pub fn read() -> Self {
        let text = std::fs::read_to_string(repository().join("docs/cost/prices.json")).expect("docs/cost/prices.json");
        serde_json::from_str(&text).expect("docs/cost/prices.json is as it should be")
    }

    /// The price of this id.
    #[must_use]
    pub fn of(&self, id: &str) -> &Price {
        let found = self.aws.iter().find(|price| price.id == id);
        found.unwrap_or_else(|| panic!("docs/cost/prices.json has no {id}"))
    }

    /// Dollars for so much of one thing, without what is free.
    #[must_use]
    pub fn line(&self, id: &str, quantity: f64, region: Region) -> f64 {
        let price = self.of(id);
        quantity / price.divisor() * price.in_region(region)
    }

    /// Dollars for a use, without what is free.
    #[must_use]
    pub fn cost(&self, usage: &Usage, region: Region) -> f64 {
        usage
            .0
            .iter()
            .map(|(id, quantity)| self.line(id, *quantity, region))
            .sum()
    }

    /// Dollars for the use of a month, in an account that uses nothing else, with what is free for everybody and for ever.
    #[must_use]
    pub fn cost_beyond_free(&self, usage: &Usage, region: Region) -> f64 {
        let line = |(id, quantity): (&&'static str, &f64)| {
            let price = self.of(id);
            (quantity / price.divisor() - price.free).max(0.0) * price.in_region(region)
        };
        usage.0.iter().map(line).sum()
    }

    /// The hosted gateway of this id.
    #[must_use]
    pub fn hosted(&self, id: &str) -> &Hosted {
        let found = self.hosted.iter().find(|hosted| hosted.id == id);
        found.unwrap_or_else(|| panic!("docs/cost/prices.json has no {id}"))
    }
}

impl Hosted {
    /// Dollars of a month with so many events, where the page says.
    #[must_use]
    pub fn month(&self, events: f64) -> Option<f64> {
        let more = (events - self.included).max(0.0);
        match self.per_million {
            Some(price) => Some(self.monthly + more / 1e6 * price),
            None => (more == 0.0).then_some(self.monthly),
        }
    }
}
