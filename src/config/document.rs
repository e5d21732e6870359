//! The configuration as text: the default file and the reference page, both from the declaration.

use super::Config;
use super::schema::{SECTIONS, SETTINGS};

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
    }
    text
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
        page.push_str("| key | default | environment | meaning |\n|---|---|---|---|\n");
        for setting in SETTINGS.iter().filter(|setting| setting.section == *section) {
            page.push_str(&format!(
                "| `{}` | `{}` | `{}` | {} |\n",
                setting.key,
                default_value(section, setting.key),
                environment_name(section, setting.key),
                joined(setting.doc)
            ));
        }
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
