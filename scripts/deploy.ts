// `npm run deploy`: deploys, then sets the secrets that are missing, from the environment or random. Needs `wrangler login`, or CLOUDFLARE_API_TOKEN.
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { secretNames, secretProblem } from "../src/contract/secrets.ts";
import { messageOf } from "../src/shared/error.ts";
import { isThere } from "./deploy-answers.ts";

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

/** Asks about the account; ends the program where it gets no answer. */
function ask(args: readonly string[], absent: RegExp | null): string | null {
  const { status, stdout, stderr } = spawnSync(process.execPath, [wrangler, ...args], {
    cwd: root,
    env,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
  try {
    return isThere({ status, output: `${stdout}${stderr}` }, absent) ? stdout : null;
  } catch (error) {
    console.error(messageOf(error));
    process.exit(1);
  }
}

for (const name of secretNames) {
  const problem = process.env[name] === undefined ? null : secretProblem(name, process.env[name]);
  if (problem) {
    console.error(`${problem}. Nothing was deployed: unset it, and a random one is made, or choose another.`);
    process.exit(1);
  }
}
// A worker that names a queue which is not there cannot be deployed.
for (const queue of ["shim-dispatch", "shim-dispatch-dead"])
  if (ask(["queues", "info", queue], /Queue ".*" does not exist/) === null) run(["queues", "create", queue]);
run(["deploy"]);
const listed = ask(["secret", "list", "--format", "json"], null);
const known = new Set((JSON.parse(listed ?? "[]") as { name: string }[]).map(({ name }) => name));
for (const name of secretNames.filter((name) => !known.has(name))) {
  const given = process.env[name];
  const value = given ?? randomBytes(32).toString("base64url");
  run(["secret", "put", name], value);
  if (name === "SHIM_ADMIN_SECRET" && given === undefined) {
    console.error("Keep this; it makes workspaces, and it is shown only now:");
    console.log(`SHIM_ADMIN_SECRET=${value}`);
  }
}
