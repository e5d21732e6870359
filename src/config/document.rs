//! The configuration as text: the default file and the reference page, both from the declaration.

use super::Config;
use super::schema::{GROUPS, Group, SECTIONS, SETTINGS, Setting};

/// The environment variable of a setting.
pub(super) fn environment_name(section: &str, key: &str) -> String {
    format!("CROSSTALK_{}_{}", section.to_uppercase(), key.to_uppercase())
}

/// The whole default configuration as a commented TOML file.
pub fn default_file() -> String {
    let mut text = String::from("# Crosstalk's configuration; every value here is the default.\n");
    for (section, about) in SECTIONS {
        text.push_str(&format!("\n{}[{section}]\n", comment(about)));
        for setting in SETTINGS.iter().filter(|setting| setting.section == *section) {
            text.push_str(&comment(setting.doc));
            text.push_str(&format!("{} = {}\n", setting.key, default_value(section, setting.key)));
        }
        groups_of(section).for_each(|group| text.push_str(&default_group(group)));
    }
    text
}

/// A section of a group, commented out, because by default there is none.
fn default_group(group: &Group) -> String {
    let mut text = format!("\n{}# [{}.{}.NAME]\n", comment(&[group.doc]), group.section, group.map);
    let defaults = (group.defaults)();
    for setting in group.settings {
        text.push_str(&comment(setting.doc));
        text.push_str(&format!("# {} = {}\n", setting.key, defaults[setting.key]));
    }
    text
}

fn groups_of(section: &str) -> impl Iterator<Item = &'static Group> {
    GROUPS.iter().filter(move |group| group.section == section)
}

/// `docs/CONFIG.md`: every setting with its default, its environment variable and its meaning.
pub fn reference_page() -> String {
    let mut page = String::from(
        "# Configuration\n\n\
         Flags win over environment variables, these over the file (`--config FILE`, TOML), the file over the defaults. Unknown keys\n\
         and unknown `CROSSTALK_` variables are refused. Any setting can be given as a flag: `--set section.key=value`.\n\
         `crosstalk config default` prints the default file, `crosstalk config check` says whether a configuration is good.\n\n\
         Generated from `src/config/schema.rs`; a test holds this page true.\n",
    );
    for (section, about) in SECTIONS {
        page.push_str(&format!("\n## `[{section}]`\n\n{}\n\n", joined(about)));
        page.push_str(TABLE_HEAD);
        for setting in SETTINGS.iter().filter(|setting| setting.section == *section) {
            let variable = environment_name(section, setting.key);
            page.push_str(&row(setting, &default_value(section, setting.key), &variable));
        }
        groups_of(section).for_each(|group| page.push_str(&group_page(group)));
    }
    page
}

const TABLE_HEAD: &str = "| key | default | environment | meaning |\n|---|---|---|---|\n";

fn row(setting: &Setting, default: &str, variable: &str) -> String {
    format!("| `{}` | `{default}` | `{variable}` | {} |\n", setting.key, joined(setting.doc))
}

fn group_page(group: &Group) -> String {
    let mut page = format!(
        "\n## `[{}.{}.NAME]`\n\n{} In environment variables NAME is written in capitals, with `_` for `-`.\n\n{TABLE_HEAD}",
        group.section, group.map, group.doc
    );
    let (prefix, defaults) = (environment_name(group.section, group.map), (group.defaults)());
    for setting in group.settings {
        let variable = format!("{prefix}_NAME_{}", setting.key.to_uppercase());
        page.push_str(&row(setting, &defaults[setting.key].to_string(), &variable));
    }
    page
}

fn joined(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

fn comment(lines: &[&str]) -> String {
    lines.iter().map(|line| format!("# {}\n", line.trim())).collect()
}

fn default_value(section: &str, key: &str) -> String {
    let defaults = serde_json::to_value(Config::default()).unwrap_or_default();
    // JSON strings, numbers and booleans of our defaults are written alike in TOML.
    defaults[section][key].to_string()
}
