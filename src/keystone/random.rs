//! Unguessable choices, from the system's random source.

use crate::ibgib::addr::lower_hex;

/// How many characters a challenge id has.
pub(crate) const ID_LEN: usize = 16;

/// `bytes` random bytes as lowercase hex.
pub(crate) fn hex(bytes: usize) -> Result<String, getrandom::Error> {
    let mut random = vec![0u8; bytes];
    getrandom::fill(&mut random)?;
    Ok(lower_hex(&random))
}

/// A new challenge id whose first character is the hex digit `bucket`.
pub(crate) fn challenge_id(bucket: u8) -> Result<String, getrandom::Error> {
    let mut random = [0u8; ID_LEN / 2];
    getrandom::fill(&mut random)?;
    random[0] = (random[0] & 15) | (bucket << 4);
    Ok(lower_hex(&random))
}

/// Puts the first `count` items in random order, chosen from all with equal chances.
pub(crate) fn choose<T>(items: &mut [T], count: usize) -> Result<(), getrandom::Error> {
    let len = items.len();
    for at in 0..count.min(len) {
        let other = at + below(len - at)?;
        items.swap(at, other);
    }
    Ok(())
}

/// A number below `bound` (at least 1), each with the same chance.
fn below(bound: usize) -> Result<usize, getrandom::Error> {
    let bound = bound as u64;
    // What lies past the last whole multiple of the bound would favour small numbers.
    let fair = u64::MAX - u64::MAX % bound;
    loop {
        let number = getrandom::u64()?;
        if number < fair {
            return Ok((number % bound) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_starts_with_its_bucket() {
        for bucket in 0..16u8 {
            let id = challenge_id(bucket).unwrap();
            assert_eq!(id.len(), ID_LEN);
            assert_eq!(u8::from_str_radix(&id[..1], 16).unwrap(), bucket);
        }
    }

    #[test]
    fn a_choice_loses_nothing_and_takes_any() {
        let mut firsts = [0usize; 4];
        for _ in 0..400 {
            let mut items = [0, 1, 2, 3];
            choose(&mut items, 2).unwrap();
            firsts[items[0]] += 1;
            items.sort_unstable();
            assert_eq!(items, [0, 1, 2, 3]);
        }
        assert!(firsts.iter().all(|count| *count > 0), "{firsts:?}");
    }
}
