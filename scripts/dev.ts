// `npm run dev`: the coordinator on this machine, under wrangler dev, with its state kept in .wrangler/state.
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const secrets = join(root, ".dev.vars");

if (!existsSync(secrets)) {
  const made = ["SHIM_SIGNING_SECRET", "SHIM_ADMIN_SECRET"].map(
    (name) => `${name}=${randomBytes(32).toString("base64url")}`,
  );
  writeFileSync(secrets, `${made.join("\n")}\n`, { mode: 0o600 });
  console.error("Made .dev.vars with random secrets, readable by you only.");
}

const port = process.env["SHIM_DEV_PORT"] ?? "8787";
console.error(
  `The coordinator will be at http://127.0.0.1:${port}. In another terminal: npx shim edge workspace create my-team`,
);

const wrangler = join(root, "node_modules", "wrangler", "bin", "wrangler.js");
const child = spawn(
  process.execPath,
  [
    wrangler,
    "dev",
    "--ip",
    "127.0.0.1",
    "--port",
    port,
    "--persist-to",
    join(root, ".wrangler", "state"),
    "--inspector-port",
    "0",
    ...(process.stdin.isTTY ? [] : ["--show-interactive-dev-session=false"]),
    ...process.argv.slice(2),
  ],
  {
    cwd: root,
    stdio: "inherit",
    env: {
      ...process.env,
      // A trace of each request in SQLite makes it two to three times slower.
      X_LOCAL_OBSERVABILITY: "false",
      WRANGLER_SEND_METRICS: "false",
      // Its banner asks the npm registry for a newer version.
      WRANGLER_HIDE_BANNER: "true",
      // Nothing of it needs the network.
      CLOUDFLARE_CF_FETCH_ENABLED: "false",
    },
  },
);
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => child.kill(signal));
child.on("exit", (code, signal) => process.exit(code ?? (signal ? 1 : 0)));
