//! Which settings there are, by every way of naming them; a name that is none is refused with the nearest that is.

use std::path::Path;

use figment::Figment;
use figment::providers::{Format, Toml};

use super::document::environment_name;
use super::load::{ConfigError, file_error};
use super::schema::{GROUPS, Group, SETTINGS};

pub fn key_of_variable(name: &str) -> Result<String, ConfigError> {
    let known = SETTINGS.iter().find(|setting| environment_name(setting.section, setting.key) == name);
    if let Some(setting) = known {
        return Ok(format!("{}.{}", setting.section, setting.key));
    }
    if let Some(key) = GROUPS.iter().find_map(|group| key_in_group(group, name)) {
        return Ok(key);
    }
    let names = SETTINGS.iter().map(|setting| environment_name(setting.section, setting.key));
    let in_groups = GROUPS.iter().flat_map(|group| {
        let prefix = environment_name(group.section, group.map);
        // A stranger in a group is told the group's keys under the name that it seems to mean.
        let named =
            name.strip_prefix(&prefix).and_then(|rest| rest.strip_prefix('_')?.split('_').next()).unwrap_or("NAME");
        let named = named.to_owned();
        group.settings.iter().map(move |setting| format!("{prefix}_{named}_{}", setting.key.to_uppercase()))
    });
    Err(ConfigError::UnknownKey {
        key: name.to_owned(),
        origin: "the environment".into(),
        nearest: nearest(name, names.chain(in_groups)),
    })
}

/// `CROSSTALK_AUTH_PROVIDERS_MY_IDP_CLIENT_ID` is `auth.providers.my-idp.client_id`: the longest key that fits the end, and
/// before it the name, in which `_` stands for `-`.
fn key_in_group(group: &Group, variable: &str) -> Option<String> {
    let rest = variable.strip_prefix(&environment_name(group.section, group.map))?.strip_prefix('_')?;
    let fits = |key: &str| rest.strip_suffix(&key.to_uppercase())?.strip_suffix('_').filter(|name| !name.is_empty());
    let keys = group.settings.iter().map(|setting| setting.key);
    let (name, key) = keys.filter_map(|key| Some((fits(key)?, key))).max_by_key(|(_, key)| key.len())?;
    Some(format!("{}.{}.{}.{key}", group.section, group.map, name.to_lowercase().replace('_', "-")))
}

/// The group of a dotted key, with the name and the key in it.
pub fn group_of(key: &str) -> Option<(&'static Group, &str, &str)> {
    let mut parts = key.splitn(4, '.');
    let (section, map, name, key) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let group = GROUPS.iter().find(|group| group.section == section && group.map == map)?;
    Some((group, name, key))
}

pub fn refuse_unknown_file_keys(text: &str, path: &Path) -> Result<(), ConfigError> {
    let table: figment::value::Dict =
        Figment::from(Toml::string(text)).extract().map_err(|error| file_error(path, &error))?;
    let mut keys = Vec::new();
    for (section, value) in &table {
        collect_keys(section, value, &mut keys);
    }
    let origin = path.display().to_string();
    keys.iter().try_for_each(|key| refuse_unknown(key, &origin))
}

/// The dotted keys of everything in a table. An empty table counts where no section or group is so called.
fn collect_keys(path: &str, value: &figment::value::Value, keys: &mut Vec<String>) {
    let is_section = SETTINGS.iter().any(|setting| setting.section == path)
        || GROUPS.iter().any(|group| path.starts_with(&format!("{}.{}", group.section, group.map)));
    match value.as_dict() {
        Some(table) if !table.is_empty() => {
            table.iter().for_each(|(key, value)| collect_keys(&format!("{path}.{key}"), value, keys));
        }
        Some(_) if is_section => {}
        _ => keys.push(path.to_owned()),
    }
}

pub fn refuse_unknown(key: &str, origin: &str) -> Result<(), ConfigError> {
    let settings = SETTINGS.iter().map(|setting| format!("{}.{}", setting.section, setting.key));
    let in_group = group_of(key).into_iter().flat_map(|(group, name, _)| {
        group.settings.iter().map(move |setting| format!("{}.{name}.{}", setting.section, setting.key))
    });
    let known: Vec<String> = settings.chain(in_group).collect();
    if known.iter().any(|candidate| candidate == key) {
        return Ok(());
    }
    let nearest = nearest(key, known.into_iter());
    Err(ConfigError::UnknownKey { key: key.to_owned(), origin: origin.to_owned(), nearest })
}

fn nearest(key: &str, candidates: impl Iterator<Item = String>) -> String {
    candidates.min_by_key(|candidate| strsim::damerau_levenshtein(candidate, key)).unwrap_or_default()
}
