//! What the system's allocator keeps of memory that was given back.

/// Lets memory return to the system when it is given back. Left alone, glibc raises the size of what it takes from the system
/// alone up to 32 MB as it meets such bodies, and has eight arenas for each processor, each of which keeps the room of the
/// most that its threads ever held (mallopt(3)).
#[allow(unsafe_code)]
pub fn return_what_is_free() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        /// Allocations from this size on, in bytes, are the system's own.
        const LARGE: libc::c_int = 1024 * 1024;
        let processors = std::thread::available_parallelism().map_or(2, |count| count.get().clamp(2, 4));
        // SAFETY: both set a number, before there are other threads. Where that fails, memory is kept longer.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
            libc::mallopt(libc::M_ARENA_MAX, processors as libc::c_int);
        }
    }
}
