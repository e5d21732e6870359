//! The `crosstalk` binary; everything it does is in the library.

/// glibc's keeps what hashing passwords took, for each thread that ever hashed one (decision 0019).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    crosstalk::cli::main()
}
