//! What a row relates to, as bytes: the differences to its own number, each as a varint.

use integer_encoding::VarInt;

use crate::space::Id;

/// The bytes of a list of rows below `id`.
pub(super) fn encode(id: Id, deps: &[Id]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(deps.len() * 3);
    for below in deps.iter().map(|dep| id.abs_diff(*dep)) {
        let at = bytes.len();
        bytes.resize(at + below.required_space(), 0);
        below.encode_var(&mut bytes[at..]);
    }
    bytes
}

/// The rows that the bytes list; none where they are not what [`encode`] gives, or name a row
/// that is not below `id`.
pub(super) fn decode(id: Id, mut bytes: &[u8]) -> Option<Vec<Id>> {
    let mut deps = Vec::new();
    while !bytes.is_empty() {
        let (below, len) = u64::decode_var(bytes)?;
        deps.push(id.checked_sub_unsigned(below).filter(|dep| (1..id).contains(dep))?);
        bytes = &bytes[len..];
    }
    Some(deps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_reads_back() {
        let id = 1 << 40;
        let deps = vec![id - 1, 1, id - 127, id - 128, id - 70_000];
        assert_eq!(decode(id, &encode(id, &deps)), Some(deps));
        assert_eq!(decode(5, &[]), Some(vec![]));
    }

    #[test]
    fn a_list_stands_in_the_file_as_it_always_did() {
        assert_eq!(encode(300, &[299, 173, 172, 1]), [1, 127, 0x80, 1, 0xab, 2]);
        assert_eq!(encode(Id::MAX, &[0]), [[0xff; 8].as_slice(), &[0x7f]].concat());
    }

    #[test]
    fn what_is_no_list_is_refused() {
        assert_eq!(decode(5, &[0x80]), None, "cut off");
        assert_eq!(decode(5, &[0]), None, "relates to itself");
        assert_eq!(decode(5, &[5]), None, "below the first row");
        assert_eq!(decode(5, &[0xff; 12]), None, "longer than a number");
    }
}
