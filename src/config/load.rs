//! Reads the configuration: flags over environment over file over defaults, unknown keys refused with the nearest known one.

use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Format, Serialized, Toml};

use super::Config;
use super::document::environment_name;
use super::schema::SETTINGS;
use crate::telemetry::logs;

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("configuration file {path}: {reason}")]
    File { path: String, reason: String },
    #[error("unknown setting `{key}` in {origin}; did you mean `{nearest}`?")]
    UnknownKey { key: String, origin: String, nearest: String },
    #[error("--set {0:?} is not of the form section.key=value")]
    BadSet(String),
    #[error("{0}")]
    Value(String),
}

/// Settings given on the command line.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// The configuration file.
    pub file: Option<PathBuf>,
    /// (dotted key, value as text), later ones win.
    pub sets: Vec<(String, String)>,
}

/// Reads and checks the configuration.
///
/// # Errors
/// A missing or unreadable file, an unknown key or variable, a value that does not fit; the text names the key.
pub fn load(overrides: &Overrides, environment: impl Iterator<Item = (String, String)>) -> Result<Config, ConfigError> {
    let mut figment = Figment::from(Serialized::defaults(Config::default()));
    if let Some(path) = &overrides.file {
        let text = std::fs::read_to_string(path).map_err(|error| file_error(path, &error))?;
        refuse_unknown_file_keys(&text, path)?;
        figment = figment.merge(Toml::string(&text));
    }
    for (name, value) in environment.filter(|(name, _)| name.starts_with("CROSSTALK_")) {
        let key = key_of_variable(&name)?;
        figment = merge_text(figment, &key, &value);
    }
    for (key, value) in &overrides.sets {
        refuse_unknown(key, "--set")?;
        figment = merge_text(figment, key, value);
    }
    let config: Config = figment.extract().map_err(|error| ConfigError::Value(describe(&error)))?;
    check(config)
}

/// Merges one value given as text. String settings take the text as it is, so that a password of digits stays one.
fn merge_text(figment: Figment, key: &str, value: &str) -> Figment {
    let is_text = figment.find_value(key).is_ok_and(|known| known.as_str().is_some());
    if is_text {
        return figment.merge(Serialized::default(key, value));
    }
    // What is neither stays text, and is refused with the setting's name when the whole is read.
    if let Ok(integer) = value.parse::<u64>() {
        figment.merge(Serialized::default(key, integer))
    } else if let Ok(number) = value.parse::<f64>() {
        figment.merge(Serialized::default(key, number))
    } else {
        figment.merge(Serialized::default(key, value))
    }
}

fn key_of_variable(name: &str) -> Result<String, ConfigError> {
    let known = SETTINGS.iter().find(|setting| environment_name(setting.section, setting.key) == name);
    if let Some(setting) = known {
        return Ok(format!("{}.{}", setting.section, setting.key));
    }
    let names = SETTINGS.iter().map(|setting| environment_name(setting.section, setting.key));
    Err(ConfigError::UnknownKey {
        key: name.to_owned(),
        origin: "the environment".into(),
        nearest: nearest(name, names),
    })
}

fn refuse_unknown_file_keys(text: &str, path: &Path) -> Result<(), ConfigError> {
    let table: figment::value::Dict =
        Figment::from(Toml::string(text)).extract().map_err(|error| file_error(path, &error))?;
    let origin = path.display().to_string();
    for (section, value) in &table {
        match value.as_dict() {
            Some(keys) if !keys.is_empty() => {
                for key in keys.keys() {
                    refuse_unknown(&format!("{section}.{key}"), &origin)?;
                }
            }
            _ if SETTINGS.iter().any(|setting| setting.section == section) => {}
            _ => refuse_unknown(section, &origin)?,
        }
    }
    Ok(())
}

fn refuse_unknown(key: &str, origin: &str) -> Result<(), ConfigError> {
    let known = || SETTINGS.iter().map(|setting| format!("{}.{}", setting.section, setting.key));
    if known().any(|candidate| candidate == key) {
        return Ok(());
    }
    Err(ConfigError::UnknownKey { key: key.to_owned(), origin: origin.to_owned(), nearest: nearest(key, known()) })
}

fn nearest(key: &str, candidates: impl Iterator<Item = String>) -> String {
    candidates.min_by_key(|candidate| strsim::damerau_levenshtein(candidate, key)).unwrap_or_default()
}

fn file_error(path: &Path, error: &dyn std::fmt::Display) -> ConfigError {
    ConfigError::File { path: path.display().to_string(), reason: error.to_string() }
}

fn describe(error: &figment::Error) -> String {
    let key = error.path.join(".");
    format!("{key}: {}", error.kind)
}

/// Values that each fit their type, but not one another or the world.
fn check(config: Config) -> Result<Config, ConfigError> {
    let wrong = |key: &str, reason: &str| Err(ConfigError::Value(format!("{key}: {reason}")));
    if config.cluster.heartbeat_ms == 0 || config.cluster.heartbeat_ms * 2 > config.cluster.lease_ms {
        return wrong("cluster.heartbeat_ms", "must be above 0 and at most half of cluster.lease_ms");
    }
    if config.cluster.sweep_ms == 0 {
        return wrong("cluster.sweep_ms", "must be above 0");
    }
    if config.limits.text_bytes > config.limits.frame_bytes {
        return wrong("limits.text_bytes", "cannot be above limits.frame_bytes");
    }
    if config.limits.mailbox_bytes < config.limits.frame_bytes {
        return wrong("limits.mailbox_bytes", "must hold at least a frame (limits.frame_bytes)");
    }
    if config.session.keepalive_s == 0 {
        return wrong("session.keepalive_s", "must be above 0");
    }
    if config.redis.pool_size == 0 {
        return wrong("redis.pool_size", "must be above 0");
    }
    if config.storage.history_count == 0 {
        return wrong("storage.history_count", "must be above 0");
    }
    if !(0.0..=1.0).contains(&config.telemetry.sample_ratio) {
        return wrong("telemetry.sample_ratio", "must be between 0 and 1");
    }
    if let Err(reason) = logs::check_filter(&config.log.level) {
        return wrong("log.level", &reason);
    }
    let mut config = config;
    if config.storage.redis.is_empty() && !config.storage.redis_file.is_empty() {
        let path = PathBuf::from(&config.storage.redis_file);
        let url = std::fs::read_to_string(&path)
            .map_err(|error| ConfigError::Value(format!("storage.redis_file: {}: {error}", path.display())))?;
        config.storage.redis = url.trim().to_owned();
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sets(pairs: &[(&str, &str)]) -> Overrides {
        let sets = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Overrides { file: None, sets }
    }

    fn variables(pairs: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Vec<_>>().into_iter()
    }

    #[test]
    fn flags_win_over_the_environment_and_this_over_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.toml");
        std::fs::write(&path, "[limits]\nstrikes = 3\ntext_bytes = 10\n[log]\nlevel = 'warn'\n").unwrap();
        let overrides = Overrides { file: Some(path), ..sets(&[("limits.strikes", "5")]) };
        let environment =
            variables(&[("CROSSTALK_LIMITS_STRIKES", "4"), ("CROSSTALK_LIMITS_TEXT_BYTES", "11"), ("HOME", "/")]);
        let config = load(&overrides, environment).unwrap();
        assert_eq!((config.limits.strikes, config.limits.text_bytes, config.log.level.as_str()), (5, 11, "warn"));
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest_known_one() {
        let error = load(&sets(&[("limits.strike", "5")]), variables(&[])).unwrap_err().to_string();
        assert!(error.contains("`limits.strike`") && error.contains("`limits.strikes`"), "{error}");
        let error = load(&sets(&[]), variables(&[("CROSSTALK_LISTEN_HTPP", "off")])).unwrap_err().to_string();
        assert!(error.contains("CROSSTALK_LISTEN_HTTP"), "{error}");
    }

    #[test]
    fn a_value_that_does_not_fit_names_its_key() {
        for (key, value) in [
            ("listen.http", "8080"),
            ("limits.strikes", "many"),
            ("cluster.heartbeat_ms", "9000"),
            ("log.level", "a=b=c"),
        ] {
            let error = load(&sets(&[(key, value)]), variables(&[])).unwrap_err().to_string();
            assert!(error.contains(key), "{error}");
        }
    }

    #[test]
    fn text_settings_take_digits_as_text() {
        let config = load(&sets(&[("redis.key_prefix", "123"), ("storage.data_dir", "true")]), variables(&[])).unwrap();
        assert_eq!((config.redis.key_prefix.as_str(), config.storage.data_dir.as_str()), ("123", "true"));
    }

    #[test]
    fn the_default_file_reads_as_the_defaults() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("default.toml");
        std::fs::write(&path, super::super::default_file()).unwrap();
        let overrides = Overrides { file: Some(path), sets: Vec::new() };
        assert_eq!(load(&overrides, variables(&[])).unwrap(), Config::default());
    }
}
