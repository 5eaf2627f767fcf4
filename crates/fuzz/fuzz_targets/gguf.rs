#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| pair2score_fuzz::run("gguf", input));
