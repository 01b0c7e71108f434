//! What the engine tells an operator's log, with the feature `tracing`; without it, nothing and at
//! no cost. Target and fields are stable; the crate's documentation lists them.

/// Emits an event with the target `quorate::engine`.
#[cfg(feature = "tracing")]
macro_rules! tell {
    ($level:ident, $($fields:tt)*) => {
        tracing::event!(target: "quorate::engine", tracing::Level::$level, $($fields)*)
    };
}

/// Emits nothing: the feature `tracing` is off.
#[cfg(not(feature = "tracing"))]
macro_rules! tell {
    ($level:ident, $($fields:tt)*) => {};
}

pub(crate) use tell;
