//! The libFuzzer target `events`. What it does is `quorate_fuzz::run`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    quorate_fuzz::run(bytes);
});
