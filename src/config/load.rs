//! Reads the configuration: flags over environment over file over defaults, unknown keys refused with the nearest known one.

use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Format, Serialized, Toml};

use super::known::{group_of, key_of_variable, refuse_unknown, refuse_unknown_file_keys};
use super::{Config, auth};
use crate::telemetry::logs;

/// Longest name and description of a server (scrp, section 1.2).
const SERVER_NICKNAME_CHARS_MAX: usize = 32;
const SERVER_DESCRIPTION_CHARS_MAX: usize = 256;

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
    let is_text = figment.find_value(key).is_ok_and(|known| known.as_str().is_some() || known.as_array().is_some());
    if is_text || group_of(key).is_some() {
        return figment.merge(Serialized::default(key, value));
    }
    // What is neither stays text, and is refused with the setting's name when the whole is read.
    if let Ok(integer) = value.parse::<u64>() {
        figment.merge(Serialized::default(key, integer))
    } else if let Ok(flag) = value.parse::<bool>() {
        figment.merge(Serialized::default(key, flag))
    } else if let Ok(number) = value.parse::<f64>() {
        figment.merge(Serialized::default(key, number))
    } else {
        figment.merge(Serialized::default(key, value))
    }
}

pub(super) fn file_error(path: &Path, error: &dyn std::fmt::Display) -> ConfigError {
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
    let listen = &config.listen;
    let through_tls = [
        ("https", listen.https),
        ("pychat_tls", listen.pychat_tls),
        ("scrp_tls", listen.scrp_tls),
        ("detect_tls", listen.detect_tls),
    ];
    if let Some(name) = through_tls.into_iter().find_map(|(name, address)| address.0.map(|_| name)) {
        for (key, value) in [("tls.certificate", &config.tls.certificate), ("tls.key", &config.tls.key)] {
            if value.is_empty() {
                return wrong(key, &format!("is needed, because listen.{name} is on"));
            }
        }
    }
    for (key, text, chars_max) in [
        ("server.nickname", &config.server.nickname, SERVER_NICKNAME_CHARS_MAX),
        ("server.description", &config.server.description, SERVER_DESCRIPTION_CHARS_MAX),
    ] {
        if text.chars().count() > chars_max || text.chars().any(char::is_control) {
            return wrong(key, &format!("must be at most {chars_max} characters, without control characters"));
        }
    }
    if config.tls.follow_ms == 0 {
        return wrong("tls.follow_ms", "must be above 0");
    }
    if config.redis.key_prefix.contains(['{', '}']) {
        return wrong("redis.key_prefix", "must not contain braces, which say where in a cluster a key is");
    }
    if config.redis.certificate.is_empty() != config.redis.key.is_empty() {
        return wrong("redis.certificate", "needs redis.key, and the other way round");
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
    auth::take_file(&mut config.storage.redis, &config.storage.redis_file, "storage.redis_file")?;
    let redis = &mut config.redis;
    auth::take_file(&mut redis.sentinel_password, &redis.sentinel_password_file, "redis.sentinel_password_file")?;
    auth::read_secrets(&mut config.auth)?;
    auth::check(&config.auth)?;
    Ok(config)
}

#[cfg(test)]
mod tests;
