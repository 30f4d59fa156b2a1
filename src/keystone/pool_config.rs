//! What a pool is set to, as its frames carry it.

use serde_json::{Map, Value, json};

use super::error::ShapeError;
use super::{MAX_CHALLENGES, MAX_NAME_BYTES, MAX_POOLS, MAX_ROUNDS};

/// The one kind of challenge there is.
pub const HASH_REVEAL: &str = "hash-reveal-v1";

/// The hash of a pool's challenges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algo {
    /// 64 hex characters.
    Sha256,
    /// 128 hex characters.
    Sha512,
}

impl Algo {
    /// The name in a config.
    pub fn name(self) -> &'static str {
        match self {
            Algo::Sha256 => "SHA-256",
            Algo::Sha512 => "SHA-512",
        }
    }

    /// How many hex characters a digest has.
    pub fn hex_len(self) -> usize {
        match self {
            Algo::Sha256 => 64,
            Algo::Sha512 => 128,
        }
    }

    fn from_name(name: &str) -> Option<Algo> {
        [Algo::Sha256, Algo::Sha512].into_iter().find(|algo| algo.name() == name)
    }
}

/// What becomes of a pool when it signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replenish {
    /// As many new challenges as were revealed.
    TopUp,
    /// All challenges anew.
    ReplaceAll,
    /// The revealed ones go, none comes.
    Consume,
    /// Nothing stays.
    ScorchedEarth,
}

impl Replenish {
    /// The name in a config.
    pub fn name(self) -> &'static str {
        match self {
            Replenish::TopUp => "top-up",
            Replenish::ReplaceAll => "replace-all",
            Replenish::Consume => "consume",
            Replenish::ScorchedEarth => "scorched-earth",
        }
    }

    fn from_name(name: &str) -> Option<Replenish> {
        use Replenish::{Consume, ReplaceAll, ScorchedEarth, TopUp};
        [TopUp, ReplaceAll, Consume, ScorchedEarth].into_iter().find(|one| one.name() == name)
    }
}

/// How many challenges a pool holds and a signature takes; each number at most
/// [`MAX_CHALLENGES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behavior {
    /// Challenges in a full pool.
    pub size: usize,
    /// What follows a signature.
    pub replenish: Replenish,
    /// How many of the oldest a signature takes.
    pub select_sequentially: usize,
    /// How many others a signature takes at random.
    pub select_randomly: usize,
    /// How many characters of the target's gib choose a challenge each.
    pub target_binding_chars: usize,
}

/// A pool's id and config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolConfig {
    /// The pool's name in its keystone.
    pub id: String,
    /// What tells this pool's secret from that of other pools with the same master secret.
    pub salt: String,
    /// The verbs that it signs; none listed means any.
    pub allowed_verbs: Vec<String>,
    /// Its numbers.
    pub behavior: Behavior,
    /// Its hash.
    pub algo: Algo,
    /// How often each hash is repeated, at least once.
    pub rounds: u32,
}

impl PoolConfig {
    /// Reads a pool's `config`, given the pool's id. Keys that are not known are let be.
    pub fn from_value(id: &str, config: &Value) -> Result<PoolConfig, ShapeError> {
        let config = config.as_object().ok_or(ShapeError::new("config", "is no object"))?;
        let behavior = config.get("behavior").and_then(Value::as_object);
        let behavior = behavior.ok_or(ShapeError::new("config.behavior", "is no object"))?;
        if text(config, "type")? != HASH_REVEAL {
            return Err(ShapeError::new("config.type", "is not \"hash-reveal-v1\""));
        }
        let algo = Algo::from_name(text(config, "algo")?)
            .ok_or(ShapeError::new("config.algo", "is neither \"SHA-256\" nor \"SHA-512\""))?;
        let replenish = Replenish::from_name(text(behavior, "replenish")?)
            .ok_or(ShapeError::new("config.behavior.replenish", "is no known strategy"))?;
        let rounds = config.get("rounds").and_then(Value::as_u64);
        let rounds = rounds.filter(|rounds| (1..=u64::from(MAX_ROUNDS)).contains(rounds));
        let rounds = rounds.and_then(|rounds| u32::try_from(rounds).ok());
        Ok(PoolConfig {
            id: id.to_owned(),
            salt: text(config, "salt")?.to_owned(),
            allowed_verbs: verbs(config)?,
            behavior: Behavior {
                size: count(behavior, "size")?,
                replenish,
                select_sequentially: count(behavior, "selectSequentially")?,
                select_randomly: count(behavior, "selectRandomly")?,
                target_binding_chars: count(behavior, "targetBindingChars")?,
            },
            algo,
            rounds: rounds.ok_or(ShapeError::new("config.rounds", "is not within 1 to 10000"))?,
        })
    }

    /// The `config` as frames carry it, in the reference's key order: pools stand in an array, so
    /// the order is hashed.
    pub fn to_value(&self) -> Value {
        json!({
            "type": HASH_REVEAL,
            "salt": self.salt,
            "allowedVerbs": self.allowed_verbs,
            "behavior": {
                "size": self.behavior.size,
                "replenish": self.behavior.replenish.name(),
                "selectSequentially": self.behavior.select_sequentially,
                "selectRandomly": self.behavior.select_randomly,
                "targetBindingChars": self.behavior.target_binding_chars,
            },
            "algo": self.algo.name(),
            "rounds": self.rounds,
        })
    }

    /// Whether the pool signs `verb`.
    pub fn allows(&self, verb: &str) -> bool {
        self.allowed_verbs.is_empty() || self.names(verb)
    }

    /// Whether the pool lists `verb`.
    pub fn names(&self, verb: &str) -> bool {
        self.allowed_verbs.iter().any(|allowed| allowed == verb)
    }

    /// Fails where reading what [`PoolConfig::to_value`] gives would.
    pub(crate) fn check(&self) -> Result<(), ShapeError> {
        check_name("id", &self.id)?;
        PoolConfig::from_value(&self.id, &self.to_value()).map(drop)
    }
}

/// A name is text of 1 to [`MAX_NAME_BYTES`] bytes.
pub(crate) fn check_name(at: &str, name: &str) -> Result<(), ShapeError> {
    if name.is_empty() || name.len() > MAX_NAME_BYTES {
        return Err(ShapeError::new(at, "is empty or longer than 256 bytes"));
    }
    Ok(())
}

fn text<'a>(map: &'a Map<String, Value>, key: &str) -> Result<&'a str, ShapeError> {
    let at = format!("config.{key}");
    let text = map.get(key).and_then(Value::as_str);
    let text = text.ok_or_else(|| ShapeError::new(at.clone(), "is no text"))?;
    check_name(&at, text)?;
    Ok(text)
}

fn count(behavior: &Map<String, Value>, key: &str) -> Result<usize, ShapeError> {
    let count = behavior.get(key).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
    count.filter(|count| *count <= MAX_CHALLENGES).ok_or_else(|| {
        ShapeError::new(format!("config.behavior.{key}"), "is no whole number of at most 4096")
    })
}

/// The reference takes an absent list for an empty one.
fn verbs(config: &Map<String, Value>) -> Result<Vec<String>, ShapeError> {
    let fault = |what| ShapeError::new("config.allowedVerbs", what);
    let verbs = match config.get("allowedVerbs") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(verbs) => verbs.as_array().ok_or(fault("is no list"))?,
    };
    if verbs.len() > MAX_POOLS {
        return Err(fault("lists more than 32 verbs"));
    }
    let names = verbs.iter().map(|verb| {
        let verb = verb.as_str().ok_or(fault("holds what is no text"))?;
        check_name("config.allowedVerbs", verb)?;
        Ok(verb.to_owned())
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keystone::testing;

    fn broken(path: &[&str], value: Value) -> ShapeError {
        let mut config = testing::pool("p", Replenish::TopUp).to_value();
        let slot = path.iter().fold(&mut config, |at, key| &mut at[*key]);
        *slot = value;
        PoolConfig::from_value("p", &config).unwrap_err()
    }

    #[test]
    fn a_config_reads_back() {
        let config = testing::pool("p", Replenish::Consume);
        assert_eq!(PoolConfig::from_value("p", &config.to_value()).unwrap(), config);
    }

    #[test]
    fn numbers_out_of_bounds_are_refused() {
        assert_eq!(broken(&["rounds"], json!(0)).at, "config.rounds");
        assert_eq!(broken(&["rounds"], json!(10_001)).at, "config.rounds");
        assert_eq!(broken(&["behavior", "size"], json!(4097)).at, "config.behavior.size");
        assert_eq!(broken(&["behavior", "size"], json!(1.5)).at, "config.behavior.size");
        let at = "config.behavior.selectRandomly";
        assert_eq!(broken(&["behavior", "selectRandomly"], json!(-1)).at, at);
    }

    #[test]
    fn unknown_names_are_refused() {
        assert_eq!(broken(&["algo"], json!("MD5")).at, "config.algo");
        assert_eq!(broken(&["type"], json!("other")).at, "config.type");
        assert_eq!(broken(&["salt"], json!("")).at, "config.salt");
        assert_eq!(broken(&["salt"], json!("x".repeat(257))).at, "config.salt");
        assert_eq!(broken(&["allowedVerbs"], json!([1])).at, "config.allowedVerbs");
        let at = "config.behavior.replenish";
        assert_eq!(broken(&["behavior", "replenish"], json!("never")).at, at);
    }

    #[test]
    fn no_listed_verb_means_any() {
        let mut config = testing::pool("p", Replenish::TopUp);
        config.allowed_verbs.clear();
        assert!(config.allows("anything") && !config.names("anything"));
    }
}
