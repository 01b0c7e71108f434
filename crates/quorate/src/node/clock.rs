//! The clock and the randomness of the system, as the driver sees them: nothing else reads
//! either on its behalf. Transports time their own connections.

use std::io;

use quorate_core::Time;
use rustix::time::{ClockId, clock_gettime};

/// Now, on a clock that never jumps and counts time in which the machine was suspended: a lease
/// must not outlive a sleep (scenario E11).
pub(super) fn now() -> Time {
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    let nanos = u64::try_from(now.tv_nsec).unwrap_or_default();
    Time::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
}

/// A fresh unpredictable number: lives and directories must differ between machines that start
/// at the same time, so the process's own state is not enough.
pub(super) fn random() -> io::Result<u128> {
    let mut bytes = [0u8; 16];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..)
        && !rest.is_empty()
    {
        filled += rustix::rand::getrandom(rest, rustix::rand::GetRandomFlags::empty())?;
    }
    Ok(u128::from_ne_bytes(bytes))
}
