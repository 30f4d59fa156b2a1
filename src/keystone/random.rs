//! Unguessable choices, from the random bytes that are passed in.

use crate::ibgib::addr::lower_hex;
use crate::ibgib::{Environment, RandomError};

/// How many characters a challenge id has.
pub(crate) const ID_LEN: usize = 16;

/// A new challenge id whose first character is the hex digit `bucket`.
pub(crate) fn challenge_id(env: &dyn Environment, bucket: u8) -> Result<String, RandomError> {
    let mut random = [0u8; ID_LEN / 2];
    env.fill(&mut random)?;
    random[0] = (random[0] & 15) | (bucket << 4);
    Ok(lower_hex(&random))
}

/// Puts the first `count` items in random order, chosen from all with equal chances.
pub(crate) fn choose<T>(
    env: &dyn Environment,
    items: &mut [T],
    count: usize,
) -> Result<(), RandomError> {
    let len = items.len();
    for at in 0..count.min(len) {
        let other = at + below(env, len - at)?;
        items.swap(at, other);
    }
    Ok(())
}

/// A number below `bound` (at least 1), each with the same chance.
fn below(env: &dyn Environment, bound: usize) -> Result<usize, RandomError> {
    let bound = bound as u64;
    // What lies past the last whole multiple of the bound would favour small numbers.
    let fair = u64::MAX - u64::MAX % bound;
    loop {
        let mut bytes = [0u8; 8];
        env.fill(&mut bytes)?;
        let number = u64::from_le_bytes(bytes);
        if number < fair {
            return Ok((number % bound) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ibgib::System;

    #[test]
    fn an_id_starts_with_its_bucket() {
        for bucket in 0..16u8 {
            let id = challenge_id(&System::new(), bucket).unwrap();
            assert_eq!(id.len(), ID_LEN);
            assert_eq!(u8::from_str_radix(&id[..1], 16).unwrap(), bucket);
        }
    }

    #[test]
    fn a_choice_loses_nothing_and_takes_any() {
        let mut firsts = [0usize; 4];
        for _ in 0..400 {
            let mut items = [0, 1, 2, 3];
            choose(&System::new(), &mut items, 2).unwrap();
            firsts[items[0]] += 1;
            items.sort_unstable();
            assert_eq!(items, [0, 1, 2, 3]);
        }
        assert!(firsts.iter().all(|count| *count > 0), "{firsts:?}");
    }
}
