"""What checkov, which knows the usual recommendations, finds in the objects is what was looked at and let be."""

import json
import os
import re
import subprocess

import yaml
from generate import HERE, ROOT
from helm import CI, of_ci

CHECKOV = ROOT / "target" / "chart" / "checkov" / "bin" / "checkov"
EXCEPTIONS = yaml.safe_load((HERE / "exceptions.yaml").read_text())


def findings(folder):
    arguments = ["--directory", str(folder), "--framework", "kubernetes", "--skip-download", "--quiet", "--compact", "--output", "json"]
    done = subprocess.run([CHECKOV, *arguments], capture_output=True, text=True, env={**os.environ, "LOG_LEVEL": "ERROR"})
    report = json.loads(done.stdout)
    assert report["summary"]["parsing_errors"] == 0
    assert report["summary"]["passed"] > 100 * len(CI), report["summary"]
    for found in report["results"]["failed_checks"]:
        kind, _, name = found["resource"].split(".", 2)
        yield found["check_id"], f"{kind} {name}", f"{found['file_path']}: {found['check_name']}"


def test_every_finding_is_an_exception_and_every_exception_a_finding(tmp_path):
    for path in CI:
        (tmp_path / f"{path.stem}.yaml").write_text(yaml.safe_dump_all(of_ci(path)))
    unused = {exception["check"] for exception in EXCEPTIONS}
    wrong = []
    for check, what, told in findings(tmp_path):
        fitting = [each for each in EXCEPTIONS if each["check"] == check and re.fullmatch(each["objects"], what)]
        unused -= {each["check"] for each in fitting}
        if not fitting:
            wrong.append(f"{check} {what} in {told}")
    assert not wrong, "\n".join(wrong)
    assert not unused, f"exceptions.yaml: {unused} are found no more"
