"""Has the TypeScript compiler look whether dashboards/*.json are what Grafana's schema says. Needs `npm ci` here."""

import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
OPTIONS = "--noEmit --strict --skipLibCheck --module esnext --moduleResolution bundler --target es2022"


def main():
    made = 'import type { Ours } from "./types";\n'
    for number, path in enumerate(sorted((HERE.parents[2] / "dashboards").glob("*.json"))):
        # Literals: of those the compiler refuses what the type has not.
        made += f"/* {path.name} */ export const dashboard{number}: Ours = {path.read_text()};\n"
    # In this folder, so that modules are found.
    with tempfile.NamedTemporaryFile("w", dir=HERE, prefix="checked-", suffix=".ts") as file:
        file.write(made)
        file.flush()
        tsc = [HERE / "node_modules/.bin/tsc", *OPTIONS.split(), file.name]
        sys.exit(subprocess.run(tsc, check=False).returncode)


if __name__ == "__main__":
    main()
