//! The address of a row whose text is packed, in as few bytes as tell it: its own hash and its ib.
//! The rest of a frame's gib is that of its timeline's tjp.

use crate::ibgib::Addr;

const HASH: usize = 32;

/// The bytes of an address, of a frame whose timeline begins elsewhere where `is_frame`; none where
/// the address is not of the form that these bytes tell.
pub(in crate::space::sqlite) fn encode(addr: &Addr, is_frame: bool) -> Option<Vec<u8>> {
    let (own, tjp) = match addr.gib().split_once('.') {
        Some((own, tjp)) => (own, Some(tjp)),
        None => (addr.gib(), None),
    };
    if tjp.is_some() != is_frame {
        return None;
    }
    let mut bytes = vec![0; HASH];
    base16ct::upper::decode(own, &mut bytes).ok().filter(|hash| hash.len() == HASH)?;
    bytes.extend_from_slice(addr.ib().as_bytes());
    Some(bytes)
}

/// The address that bytes tell; `tjp_gib` is the gib of the timeline's tjp, for a frame. Whether it is
/// that of the row is told by the row's key.
pub(in crate::space::sqlite) fn decode(bytes: &[u8], tjp_gib: Option<&str>) -> Option<Addr> {
    let (hash, ib) = bytes.split_at_checked(HASH)?;
    let mut gib = base16ct::upper::encode_string(hash);
    if let Some(tjp) = tjp_gib {
        gib.push('.');
        gib.push_str(tjp);
    }
    Addr::from_parts(std::str::from_utf8(ib).ok()?, &gib).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "E975776B1A3E4468086E1D8C409116F6E098D13BEEDFE17AF668071B5D11CD55";
    const TWO: &str = "0975776B1A3E4468086E1D8C409116F6E098D13BEEDFE17AF668071B5D11CD5F";

    #[test]
    fn an_address_reads_back() {
        let stone = Addr::parse(&format!("a^é^{ONE}")).unwrap();
        let bytes = encode(&stone, false).unwrap();
        assert_eq!(bytes.len(), HASH + "a^é".len());
        assert_eq!(decode(&bytes, None), Some(stone));
        let frame = Addr::parse(&format!("x^{ONE}.{TWO}")).unwrap();
        assert_eq!(decode(&encode(&frame, true).unwrap(), Some(TWO)), Some(frame));
    }

    #[test]
    fn what_these_bytes_do_not_tell_is_left_out() {
        assert_eq!(encode(&Addr::parse("a^gib").unwrap(), false), None);
        assert_eq!(encode(&Addr::parse(&format!("x^{ONE}.{TWO}")).unwrap(), false), None);
        assert_eq!(encode(&Addr::parse(&format!("x^{ONE}")).unwrap(), true), None);
        assert_eq!(decode(b"short", None), None);
        assert_eq!(decode(&[0xff; HASH + 1], None), None, "no text");
        assert_eq!(decode(&[0; HASH], None), None, "no ib");
    }
}
