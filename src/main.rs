//! The `crosstalk` binary; everything it does is in the library.

fn main() -> std::process::ExitCode {
    crosstalk::cli::main()
}
