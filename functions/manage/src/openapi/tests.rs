//! The document is true: it is the committed one, and it says what the handlers do.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::path::Path;
use std::{env, fs};

use super::document::document;

/// The variable that has the committed document written anew.
const UPDATE: &str = "UPDATE_OPENAPI";

#[test]
fn the_committed_document_is_that_of_the_code() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let made = document().to_pretty_json().unwrap() + "\n";
    if env::var_os(UPDATE).is_some() {
        fs::write(&file, &made).unwrap();
        return;
    }
    let committed = fs::read_to_string(&file).unwrap();
    assert!(
        committed == made,
        "docs/openapi.json is not what the code says any more: `{UPDATE}=1 cargo test -p manage --lib openapi` writes it anew"
    );
}
