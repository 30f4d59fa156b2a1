//! What a row relates to, as bytes: the differences to its own number, each as a varint.

use crate::space::Id;

/// The bytes of a list of rows below `id`.
pub(super) fn encode(id: Id, deps: &[Id]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(deps.len() * 3);
    for dep in deps {
        let mut rest = id.abs_diff(*dep);
        while rest >= 0x80 {
            bytes.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        bytes.push(rest as u8);
    }
    bytes
}

/// The rows that the bytes list; none where they are not what [`encode`] gives, or name a row
/// that is not below `id`.
pub(super) fn decode(id: Id, bytes: &[u8]) -> Option<Vec<Id>> {
    let mut deps = Vec::new();
    let mut bytes = bytes.iter();
    while let Some(first) = bytes.next() {
        let mut byte = *first;
        let mut below = u64::from(byte & 0x7f);
        let mut shift = 7;
        while byte & 0x80 != 0 {
            byte = *bytes.next()?;
            if shift > 56 {
                return None;
            }
            below |= u64::from(byte & 0x7f) << shift;
            shift += 7;
        }
        let dep = id.checked_sub_unsigned(below)?;
        if dep < 1 || below == 0 {
            return None;
        }
        deps.push(dep);
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
    fn what_is_no_list_is_refused() {
        assert_eq!(decode(5, &[0x80]), None, "cut off");
        assert_eq!(decode(5, &[0]), None, "relates to itself");
        assert_eq!(decode(5, &[5]), None, "below the first row");
        assert_eq!(decode(5, &[0xff; 12]), None, "longer than a number");
    }
}
