//! Lists the files of `presets/` and of `samples/`, so that adding a provider touches its own files and no other.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    list("presets")?;
    list("samples")
}

/// Writes a slice of names and texts of a folder's files.
fn list(name: &str) -> io::Result<()> {
    println!("cargo::rerun-if-changed={name}");
    let folder = PathBuf::from(required("CARGO_MANIFEST_DIR")?).join(name);
    let mut files: Vec<PathBuf> = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    let mut code = String::from("&[\n");
    for file in files {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        writeln!(code, "({name:?}, include_str!({file:?})),").map_err(io::Error::other)?;
    }
    code.push(']');
    fs::write(Path::new(&required("OUT_DIR")?).join(format!("{name}.rs")), code)
}

fn required(name: &str) -> io::Result<String> {
    env::var(name).map_err(io::Error::other)
}
