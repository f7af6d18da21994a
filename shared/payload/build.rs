//! Lists the files of `presets/`, so that adding a provider touches its own file and no other.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=presets");
    let folder = PathBuf::from(required("CARGO_MANIFEST_DIR")?).join("presets");
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
    fs::write(Path::new(&required("OUT_DIR")?).join("presets.rs"), code)
}

fn required(name: &str) -> io::Result<String> {
    env::var(name).map_err(io::Error::other)
}
