// Judges custom resources, a JSON array on the standard input, by the schemas of their operators, as two generations of tools
// have them: the validator finds what is missing or out of range, the type checker the fields that do not exist (a cluster
// would drop them without a word). Prints what is wrong, and ends with 1 then.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const packages = {
  "monitoring.coreos.com": "@kubernetes-models/prometheus-operator",
  "gateway.networking.k8s.io": "@kubernetes-models/gateway-api",
  "keda.sh": "@kubernetes-models/keda",
};
const here = dirname(fileURLToPath(import.meta.url));
const resources = JSON.parse(readFileSync(0, "utf8"));
const wrong = [];
const typed = [];

for (const [index, resource] of resources.entries()) {
  const name = `${resource.kind}/${resource.metadata.name}`;
  const module = `${packages[resource.apiVersion.split("/")[0]]}/${resource.apiVersion}/${resource.kind}`;
  if (!existsSync(join(here, "node_modules", `${module}.js`))) {
    wrong.push(`${name}: there is no ${resource.kind} in ${resource.apiVersion}`);
    continue;
  }
  const { [resource.kind]: Model } = await import(module);
  try {
    new Model(resource).validate();
  } catch (error) {
    wrong.push(`${name}: ${error.message}`);
  }
  typed.push(
    `import type { I${resource.kind} as T${index} } from "${module}";`,
    `export const r${index}: T${index} = ${JSON.stringify(resource)};`,
  );
}

// Beside node_modules, because that is where the types are looked for.
const folder = mkdtempSync(join(here, "node_modules", ".judged-"));
try {
  const file = join(folder, "resources.ts");
  writeFileSync(file, typed.join("\n") + "\n");
  const flags = ["--noEmit", "--strict", "--skipLibCheck", "--ignoreConfig", "--module", "nodenext", "--moduleResolution", "nodenext"];
  const checked = spawnSync(join(here, "node_modules", ".bin", "tsc"), [...flags, file], { encoding: "utf8" });
  if (checked.error) throw checked.error;
  if (checked.status !== 0) wrong.push(checked.stdout.trim() || checked.stderr.trim());
} finally {
  rmSync(folder, { recursive: true });
}

if (wrong.length) {
  console.log(wrong.join("\n"));
  process.exitCode = 1;
}
