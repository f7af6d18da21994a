//! Renders docs/openapi.json as the reference page that is served at `/docs`.

mod reference;

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let here = PathBuf::from(required("CARGO_MANIFEST_DIR")?);
    let document = here.join("../../docs/openapi.json");
    let style = here.join("reference/style.css");
    for file in [&document, &style] {
        println!("cargo::rerun-if-changed={}", file.display());
    }
    let api = serde_json::from_str(&fs::read_to_string(document)?).map_err(io::Error::other)?;
    let page = reference::page(&api, &fs::read_to_string(style)?);
    fs::write(
        Path::new(&required("OUT_DIR")?).join("reference.html"),
        page.into_string(),
    )
}

fn required(name: &str) -> io::Result<String> {
    env::var(name).map_err(io::Error::other)
}
