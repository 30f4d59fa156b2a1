//! Texts that are not alike.

/// A text of so many bytes that no other seed gives, and that hardly gets shorter when it is packed.
pub fn unlike_text(seed: usize, bytes: usize) -> String {
    let mut state = seed as u64 + 1;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b'#' + (state >> 58) as u8)
    })
    .filter(|c| *c != '\\')
    .take(bytes)
    .collect()
}
