//! The parameters of a query string, read without changing a byte of it.
//!
//! What is kept of a query, and what is compared with a secret, are bytes: a reader that replaces what is no UTF-8 would make two
//! different values equal.

use std::borrow::Cow;

use percent_encoding::percent_decode;

/// One parameter of a query string.
#[derive(Clone, PartialEq, Eq)]
pub struct Parameter<'a> {
    /// As it stands in the query, between two `&`.
    pub text: &'a str,
    /// Its name, decoded.
    pub name: Cow<'a, [u8]>,
    /// Its value, decoded; empty where there is no `=`.
    pub value: Cow<'a, [u8]>,
}

/// The parameters in their order, decoded as forms are
/// (<https://url.spec.whatwg.org/#urlencoded-parsing>). Joined by `&`, their texts are the query again: also empty ones are among them.
pub fn parameters(query: &str) -> impl Iterator<Item = Parameter<'_>> {
    query.split('&').map(|text| {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        Parameter {
            text,
            name: decode(name),
            value: decode(value),
        }
    })
}

fn decode(text: &str) -> Cow<'_, [u8]> {
    if text.contains('+') {
        let spaced = text.replace('+', " ");
        return Cow::Owned(percent_decode(spaced.as_bytes()).collect());
    }
    percent_decode(text.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;
    use proptest::prelude::*;
    use url::form_urlencoded;

    #[test]
    fn names_and_values_are_decoded_and_texts_are_not() {
        let query = "a=1&%61=x+%2B%ff&&b&=c&d=e=f%";
        let found: Vec<_> = parameters(query)
            .map(|p| (p.text, p.name.into_owned(), p.value.into_owned()))
            .collect();
        let expected: [(&str, &[u8], &[u8]); 6] = [
            ("a=1", b"a", b"1"),
            ("%61=x+%2B%ff", b"a", b"x +\xff"),
            ("", b"", b""),
            ("b", b"b", b""),
            ("=c", b"", b"c"),
            ("d=e=f%", b"d", b"e=f%"),
        ];
        let expected = expected.map(|(text, name, value)| (text, name.to_vec(), value.to_vec()));
        assert_eq!(found, expected);
    }

    proptest! {
        #[test]
        fn it_reads_as_forms_are_read_and_loses_nothing(query in "[ab=&+%0-9a-fé]{0,60}") {
            let texts: Vec<_> = parameters(&query).map(|parameter| parameter.text).collect();
            prop_assert_eq!(texts.join("&"), query.clone());
            let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let found = parameters(&query).filter(|parameter| !parameter.text.is_empty());
            let found: Vec<_> = found.map(|parameter| (lossy(&parameter.name), lossy(&parameter.value))).collect();
            prop_assert_eq!(found, form_urlencoded::parse(query.as_bytes()).into_owned().collect::<Vec<_>>());
        }
    }
}
