//! Tells cargo which folders are embedded, because `include_dir!` does not notice new files.

fn main() {
    for dir in ["schema", "fixtures"] {
        println!("cargo::rerun-if-changed={dir}");
    }
}
