"""The chart itself: what is made is made anew, what is linked is there, and Helm finds nothing to say."""

import re
import shlex
import tarfile

import pytest
import yaml
from generate import CHART, ROOT, made
from helm import CI, VERSIONS, archive, helm, template


def test_schema_and_readme_are_what_values_and_settings_say():
    for path, text in made().items():
        assert path.read_text() == text, f"{path.relative_to(ROOT)}: run `tests/chart/run --bless` and commit it"


@pytest.mark.parametrize("version", VERSIONS)
def test_lint_finds_nothing(version):
    for values in CI:
        said = helm(version, "lint", "--strict", str(CHART), "--values", str(values))
        assert "[WARNING]" not in said and "[ERROR]" not in said, said


@pytest.mark.parametrize("version", VERSIONS)
def test_the_archive_has_dashboards_and_rules_and_nothing_else_of_them(version):
    with tarfile.open(archive(version)) as packed:
        files = {name.removeprefix("crosstalk/files/dashboards/") for name in packed.getnames() if "/dashboards/" in name}
        assert not any("/ci/" in name for name in packed.getnames())
    kept = {path.name for path in (ROOT / "dashboards").iterdir() if path.is_file()}
    assert files == kept
    # The release is kept in a Secret, which holds a mebibyte; the archive is about what it takes, a third less than in base64.
    assert archive(version).stat().st_size < 300_000


def test_what_the_readme_tells_to_do_can_be_done():
    readme = (CHART / "README.md").read_text()
    told = re.findall(r"^ {4}helm install crosstalk helm/crosstalk(.*)$", readme, re.MULTILINE)
    told += re.findall(r"`(--set .*?)`", readme)
    assert len(told) >= 4
    for options in told:
        helm("4", "template", "crosstalk", str(archive("4")), *shlex.split(options))
    blocks = [yaml.safe_load(block) for block in re.findall(r"\n\n((?: {4}[a-zA-Z ]+:.*\n)+)\n", readme)]
    assert {"config", "serviceMonitor"} <= {key for block in blocks for key in block}
    for block in blocks:
        # The rules have a test of their own, which knows whether there are any.
        template({**block, "prometheusRule": {"enabled": False}})


def test_the_image_and_the_chart_are_of_one_version():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    cargo = (ROOT / "Cargo.toml").read_text()
    assert f'version = "{chart["appVersion"]}"' in cargo


def test_each_way_of_use_says_what_it_is():
    for path in CI:
        assert path.read_text().startswith("# "), path.name
