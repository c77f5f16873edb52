// `npm run deploy`: deploys, then sets the secrets that are missing, from the environment or random. Needs `wrangler login`, or CLOUDFLARE_API_TOKEN.
import { execFileSync, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { secretNames, secretProblem } from "../src/contract/secrets.ts";

const root = join(import.meta.dirname, "..");
const wrangler = join(root, "node_modules", "wrangler", "bin", "wrangler.js");
const env = { ...process.env, WRANGLER_SEND_METRICS: "false" };

function run(args: readonly string[], input?: string): void {
  const done = spawnSync(process.execPath, [wrangler, ...args], {
    cwd: root,
    env,
    ...(input === undefined
      ? { stdio: "inherit" as const }
      : { input, stdio: ["pipe", "inherit", "inherit"] as const }),
  });
  if (done.status !== 0) process.exit(done.status ?? 1);
}

/** Null before the first deployment: there is no worker to ask. */
function knownSecrets(): string[] | null {
  try {
    const text = execFileSync(process.execPath, [wrangler, "secret", "list", "--format", "json"], {
      cwd: root,
      env,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    });
    return (JSON.parse(text) as { name: string }[]).map(({ name }) => name);
  } catch {
    return null;
  }
}

/** A worker that names a queue which is not there cannot be deployed. */
function hasQueue(name: string): boolean {
  const asked = spawnSync(process.execPath, [wrangler, "queues", "info", name], { cwd: root, stdio: "ignore" });
  return asked.status === 0;
}

for (const name of secretNames) {
  const problem = process.env[name] === undefined ? null : secretProblem(name, process.env[name]);
  if (problem) {
    console.error(`${problem}. Nothing was deployed: unset it, and a random one is made, or choose another.`);
    process.exit(1);
  }
}
for (const queue of ["shim-dispatch", "shim-dispatch-dead"]) if (!hasQueue(queue)) run(["queues", "create", queue]);
run(["deploy"]);
const known = knownSecrets();
if (known === null) {
  console.error("The secrets of the worker cannot be listed; run `npm run deploy` again.");
  process.exit(1);
}
for (const name of secretNames.filter((name) => !known.includes(name))) {
  const given = process.env[name];
  const value = given ?? randomBytes(32).toString("base64url");
  run(["secret", "put", name], value);
  if (name === "SHIM_ADMIN_SECRET" && given === undefined) {
    console.error("Keep this; it makes workspaces, and it is shown only now:");
    console.log(`SHIM_ADMIN_SECRET=${value}`);
  }
}
