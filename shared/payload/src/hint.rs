//! What a person should look at when a receipt was rejected: one sentence, found by trying what usually goes wrong.
//!
//! A hint is a text and nothing more. Whatever is found here, the receipt stays rejected: what fits only under another secret, another
//! body or another scheme is not verified. The text holds no secret, no signature, and of the request nothing but names of headers.

mod credential;
mod elsewhere;
mod key;
mod sent;
#[cfg(test)]
mod tests;
mod time;

use secrecy::SecretString;

use crate::Receipt;
use crate::key::Key;
use crate::receipt::MAX_BODY_BYTES;
use crate::scheme::{Context, Rejection, Scheme, Signed};
use crate::source::Effective;

/// How many signatures are computed for one hint, at most: so much work costs a receipt that somebody forged.
pub const MAX_TRIALS: usize = 25;

/// Why a receipt was rejected, as far as trying tells: one or two sentences for people. `secrets` are the stored texts of those secrets
/// that the receipt was held against.
#[must_use]
pub fn hint(
    source: &Effective<'_>,
    receipt: &Receipt,
    secrets: &[&SecretString],
    rejection: &Rejection,
) -> Option<String> {
    if receipt.body.len() > MAX_BODY_BYTES {
        return None;
    }
    let mut trials = Trials::new(source, receipt, secrets);
    match rejection {
        Rejection::SignatureMismatch => trials.mismatch(source.scheme),
        Rejection::NoSignature(header) => sent::unread_signature(&mut trials, source.scheme, header),
        Rejection::MalformedTimestamp => time::other_unit(&mut trials, source.scheme),
        Rejection::TooOld { seconds, .. } => time::outside(&mut trials, source.scheme, *seconds, false),
        Rejection::InFuture { seconds, .. } => time::outside(&mut trials, source.scheme, *seconds, true),
        Rejection::MissingHeader(name) => elsewhere::missing(&mut trials, source, name),
        Rejection::CredentialMismatch => credential::mismatch(&mut trials, source.scheme),
        Rejection::Repeated(_) => {
            Some("Something between the provider and here may add a second one, or the URL holds it twice.".into())
        }
        // What happened says all there is to say.
        Rejection::NoSecret | Rejection::Ambiguous | Rejection::NoPublicUrl => None,
    }
}

/// Holds a receipt against other secrets, bodies and schemes than its own, so many times and no more.
struct Trials<'a> {
    receipt: &'a Receipt,
    context: Context<'a>,
    secrets: &'a [&'a SecretString],
    /// The keys that the receipt was held against.
    keys: Vec<Key>,
    left: usize,
}

impl<'a> Trials<'a> {
    fn new(source: &Effective<'a>, receipt: &'a Receipt, secrets: &'a [&'a SecretString]) -> Self {
        Self {
            receipt,
            context: source.context(),
            secrets,
            keys: keys(source.scheme, secrets),
            left: MAX_TRIALS,
        }
    }

    /// Counts a trial; `None` when there were enough.
    fn count(&mut self, signatures: usize) -> Option<()> {
        self.left = self.left.checked_sub(signatures.max(1))?;
        Some(())
    }

    /// What another scheme says of the receipt.
    fn under(&mut self, scheme: &Scheme) -> Option<Result<(), Rejection>> {
        self.count(self.keys.len())?;
        Some(scheme.verify(self.receipt, &self.keys, &self.context).map(|_| ()))
    }

    fn fits_under(&mut self, scheme: &Scheme) -> bool {
        self.under(scheme) == Some(Ok(()))
    }

    /// Whether the signature fits with this key.
    fn fits_key(&mut self, scheme: &Scheme, key: Key) -> bool {
        self.count(1).is_some() && scheme.verify(self.receipt, &[key], &self.context).is_ok()
    }

    /// Whether the signature fits this body.
    fn fits_body(&mut self, scheme: &Scheme, body: Vec<u8>) -> bool {
        let receipt = Receipt {
            body: body.into(),
            ..self.receipt.clone()
        };
        self.count(self.keys.len()).is_some() && scheme.verify(&receipt, &self.keys, &self.context).is_ok()
    }

    /// Whether the signature fits when the source had this public URL.
    fn fits_url(&mut self, scheme: &Scheme, url: &str) -> bool {
        let context = Context {
            public_url: Some(url),
            ..self.context
        };
        self.count(self.keys.len()).is_some() && scheme.verify(self.receipt, &self.keys, &context).is_ok()
    }

    /// Why no signature fits: the secret, then what was sent, from the likeliest to the rarest.
    fn mismatch(&mut self, scheme: &Scheme) -> Option<String> {
        let found = key::other_reading(self, scheme)
            .or_else(|| sent::other_body(self, scheme))
            .or_else(|| key::other_algorithm(self, scheme))
            .or_else(|| sent::other_form(self, scheme))
            .or_else(|| sent::other_url(self, scheme));
        found.or_else(|| sent::suspicion(self, scheme)).map(str::to_owned)
    }
}

/// The keys of all secrets that the scheme can read.
fn keys(scheme: &Scheme, secrets: &[&SecretString]) -> Vec<Key> {
    secrets
        .iter()
        .filter_map(|secret| scheme.keys(secret).ok())
        .flatten()
        .collect()
}

/// The same scheme with another setting; nothing where it does not sign parts of the request.
fn with_signed(scheme: &Scheme, change: impl FnOnce(&mut Signed)) -> Option<Scheme> {
    let mut scheme = scheme.clone();
    match &mut scheme {
        Scheme::Hmac(signed) | Scheme::Ed25519(signed) | Scheme::EcdsaP256(signed) => change(signed),
        _ => return None,
    }
    Some(scheme)
}
