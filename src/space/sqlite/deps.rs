//! What a row relates to, as bytes: the differences to its own number, each as a varint.

use integer_encoding::VarInt;

use crate::space::RowId;

/// The bytes of a list of rows below `id`.
pub(super) fn encode(id: RowId, deps: &[RowId]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(deps.len() * 3);
    for below in deps.iter().map(|dep| id.distance(*dep)) {
        let at = bytes.len();
        bytes.resize(at + below.required_space(), 0);
        below.encode_var(&mut bytes[at..]);
    }
    bytes
}

/// The rows that the bytes list; none where they are not what [`encode`] gives, or name a row
/// that is not below `id`.
pub(super) fn decode(id: RowId, mut bytes: &[u8]) -> Option<Vec<RowId>> {
    let mut deps = Vec::new();
    while !bytes.is_empty() {
        let (below, len) = u64::decode_var(bytes)?;
        deps.push(id.below(below)?);
        bytes = &bytes[len..];
    }
    Some(deps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_reads_back() {
        let id = RowId(1 << 40);
        let below = |distance| id.below(distance).unwrap();
        let deps = vec![below(1), RowId(1), below(127), below(128), below(70_000)];
        assert_eq!(decode(id, &encode(id, &deps)), Some(deps));
        assert_eq!(decode(RowId(5), &[]), Some(vec![]));
    }

    #[test]
    fn a_list_stands_in_the_file_as_it_always_did() {
        let deps = [299, 173, 172, 1].map(RowId);
        assert_eq!(encode(RowId(300), &deps), [1, 127, 0x80, 1, 0xab, 2]);
        let widest = encode(RowId::AFTER_ALL, &[RowId::BEFORE_ALL]);
        assert_eq!(widest, [[0xff; 8].as_slice(), &[0x7f]].concat());
    }

    #[test]
    fn what_is_no_list_is_refused() {
        assert_eq!(decode(RowId(5), &[0x80]), None, "cut off");
        assert_eq!(decode(RowId(5), &[0]), None, "relates to itself");
        assert_eq!(decode(RowId(5), &[5]), None, "below the first row");
        assert_eq!(decode(RowId(5), &[0xff; 12]), None, "longer than a number");
    }
}
