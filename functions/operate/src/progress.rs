//! How far a long command has come, as an opaque text that the operator hands back.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use delivery::Deadline;
use payload::Clock;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use store::{Found, Segment};

use crate::{FailedRecords, Operate, OperateError, Store};

/// The longest text that is taken for one of ours.
const MAX_CHARS: usize = 8 * 1024;

/// A place to go on from, as a text. It names its command: that of another is refused.
pub(crate) fn write(action: &str, place: &impl Serialize) -> Result<String, OperateError> {
    let json = serde_json::to_vec(&(action, place)).map_err(|error| OperateError::invalid("next", error))?;
    Ok(URL_SAFE_NO_PAD.encode(json))
}

/// Reads what [`write`] wrote for this action; the beginning where there is none.
pub(crate) fn read<T: DeserializeOwned + Default>(action: &str, text: Option<&str>) -> Result<T, OperateError> {
    let Some(text) = text else { return Ok(T::default()) };
    let decoded = Some(text)
        .filter(|text| text.len() <= MAX_CHARS)
        .and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    let read: Option<(String, T)> = decoded.and_then(|json| serde_json::from_slice(&json).ok());
    match read {
        Some((written_for, place)) if written_for == action => Ok(place),
        _ => Err(OperateError::invalid("next", "is not what this command answered")),
    }
}

/// Where in one segment of a table to go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Place {
    /// At its beginning.
    Start,
    /// Behind that item.
    After(String),
    /// Nowhere: all of it is done.
    Done,
}

/// Where in a table that is read as a whole to go on: one place for each segment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ScanPlace(Vec<Place>);

impl ScanPlace {
    /// The segments that are not done. At the beginning there are `segments` of them.
    pub(crate) fn open(&mut self, segments: u8) -> Vec<Segment> {
        if self.0.is_empty() {
            self.0 = vec![Place::Start; usize::from(segments.max(1))];
        }
        let of = u8::try_from(self.0.len()).unwrap_or(u8::MAX);
        let places = (0..of).zip(&self.0);
        places
            .filter_map(|(number, place)| {
                let after = match place {
                    Place::Start => None,
                    Place::After(after) => Some(after.clone()),
                    Place::Done => return None,
                };
                Some(Segment { number, of, after })
            })
            .collect()
    }

    /// Notes how far a segment has come.
    pub(crate) fn advance(&mut self, segment: &Segment, next: Option<String>) {
        if let Some(place) = self.0.get_mut(usize::from(segment.number)) {
            *place = next.map_or(Place::Done, Place::After);
        }
    }

    /// Whether all of the table is done.
    pub(crate) fn is_done(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(|place| *place == Place::Done)
    }
}

impl<S: Store, F: FailedRecords, C: Clock> Operate<S, F, C> {
    /// Reads a table page by page, its segments side by side, until it is done or no time is left for another page. At least one page of
    /// each segment is worked on, so that each invocation comes further. What a page holds is handed to `work`; where the page ends is noted
    /// when that has succeeded.
    pub(crate) async fn scan<T, P, W>(
        &self,
        place: &mut ScanPlace,
        deadline: &Deadline,
        page: P,
        work: W,
    ) -> Result<u64, OperateError>
    where
        P: AsyncFn(Segment) -> Result<Found<T>, OperateError>,
        W: AsyncFn(Vec<T>) -> Result<(), OperateError>,
    {
        let mut examined = 0;
        loop {
            let open = place.open(self.settings.segments);
            let pages = open.iter().map(async |segment| {
                let Found { items, examined, next } = page(segment.clone()).await?;
                work(items).await?;
                Ok::<_, OperateError>((examined, next))
            });
            let pages = futures::future::join_all(pages).await;
            for (segment, worked) in open.iter().zip(pages) {
                let (read, next) = worked?;
                examined += read;
                place.advance(segment, next);
            }
            if place.is_done() || !self.may_go_on(deadline) {
                return Ok(examined);
            }
        }
    }
}
