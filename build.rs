//! Gives the web page's files a common hash, so that browsers take a changed page and keep an unchanged one.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::{env, fs};

fn main() -> std::io::Result<()> {
    println!("cargo::rerun-if-changed=web");
    let root = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    let mut files =
        fs::read_dir(format!("{root}/web"))?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    files.sort();
    let mut hasher = DefaultHasher::new();
    for file in files {
        fs::read(file)?.hash(&mut hasher);
    }
    println!("cargo::rustc-env=WEB_PAGE_HASH={:016x}", hasher.finish());
    Ok(())
}
