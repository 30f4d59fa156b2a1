//! A block of a space's file, in which texts are packed.

use sync_gib::space::unpack;

use super::input::Input;

/// Whatever bytes a file has for a block, they unpack to no more than they may, and the same each
/// time; what is unpacked with less room is the beginning of what is unpacked with more.
pub fn block(data: &[u8]) {
    let input = &mut Input::new(data);
    let size = usize::from(input.word()) << (input.byte() % 8);
    let body = &data[data.len().min(3)..];
    let texts = unpack(body, size);
    assert!(texts.len() <= size);
    assert_eq!(unpack(body, size), texts);
    let all = unpack(body, usize::MAX);
    assert!(all.starts_with(&texts), "less room shows other texts");
}
