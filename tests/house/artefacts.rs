//! Documents that are made from the code, and files that name what the code has. `BLESS=1` writes the made ones anew.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crosstalk::telemetry::{Metrics, metrics};

#[test]
fn the_configuration_reference_is_what_the_schema_says() {
    hold("docs/CONFIG.md", &crosstalk::config::reference_page());
}

#[test]
fn the_list_of_metrics_is_what_the_catalogue_says() {
    hold("docs/METRICS.md", &metrics::catalogue_page());
}

#[test]
fn every_metric_is_rendered_under_its_name() {
    let metrics = Metrics::new();
    let families: Vec<String> = metrics
        .render()
        .lines()
        .filter_map(|line| Some(line.strip_prefix("# TYPE ")?.split(' ').next()?.to_owned()))
        .collect();
    // A metric with labels shows up with its first value; one without is there from the start.
    for line in Metrics::CATALOGUE.iter().filter(|line| line.labels.is_empty()) {
        assert!(families.iter().any(|family| family == line.name), "{} is not rendered", line.name);
    }
}

/// A panel that asks for a metric that no longer exists is empty for ever, and nobody notices until it is needed. A metric
/// that no panel shows is seen by nobody.
#[test]
fn dashboards_ask_for_every_metric_and_for_no_other() {
    let mut asked = BTreeSet::new();
    for entry in fs::read_dir(root().join("dashboards")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let dashboard: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let mut queries = Vec::new();
        collect_queries(&dashboard, &mut queries);
        for query in &queries {
            for name in query
                .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .filter(|word| word.starts_with("crosstalk_"))
            {
                let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
                let known = Metrics::CATALOGUE.iter().find(|line| line.name == name || line.name == base);
                let known = known.unwrap_or_else(|| panic!("{}: {name} in {query:?} is no metric", path.display()));
                asked.insert(known.name);
            }
        }
    }
    let unseen: Vec<_> = Metrics::CATALOGUE.iter().map(|line| line.name).filter(|name| !asked.contains(name)).collect();
    assert!(unseen.is_empty(), "no panel shows {unseen:?}");
}

fn collect_queries(value: &serde_json::Value, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(fields) => {
            found.extend(fields.get("expr").and_then(|expr| expr.as_str()).map(str::to_owned));
            fields.values().for_each(|field| collect_queries(field, found));
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| collect_queries(item, found)),
        _ => {}
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn hold(file: &str, made: &str) {
    let path = root().join(file);
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, made).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == made, "{file} is not what the code says; run the tests with BLESS=1 and commit it");
}
