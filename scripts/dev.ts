// `npm run dev`: the coordinator on this machine, under wrangler dev, with its state kept in .wrangler/state.
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const secrets = join(root, ".dev.vars");
const port = Number(process.env["SHIM_DEV_PORT"] ?? "8787");

const problem = await portProblem(port);
if (problem !== null) {
  console.error(problem);
  process.exit(1);
}

if (!existsSync(secrets)) {
  const made = ["SHIM_SIGNING_SECRET", "SHIM_ADMIN_SECRET"].map(
    (name) => `${name}=${randomBytes(32).toString("base64url")}`,
  );
  writeFileSync(secrets, `${made.join("\n")}\n`, { mode: 0o600 });
  console.error("Made .dev.vars with random secrets, readable by you only.");
}

console.error(`The coordinator will be at http://127.0.0.1:${port}. In another terminal: ${createCommand()}`);

const wrangler = join(root, "node_modules", "wrangler", "bin", "wrangler.js");
const child = spawn(
  process.execPath,
  [
    wrangler,
    "dev",
    "--ip",
    "127.0.0.1",
    "--port",
    String(port),
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

/** The command looks at the usual port; for another one it needs the address, and the variable to accept it. */
function createCommand(): string {
  const command = "node bin/shim.mjs edge workspace create my-team";
  return port === 8787 ? command : `SHIM_DEV_PORT=${port} ${command} --url http://127.0.0.1:${port}`;
}

/** Wrangler's own advice, --port, would move the server where the command line does not look for it. */
async function portProblem(wanted: number): Promise<string | null> {
  if (!Number.isInteger(wanted) || wanted < 1 || wanted > 65_535) return "SHIM_DEV_PORT must be a port: 1 to 65535.";
  const { promise, resolve } = Promise.withResolvers<string | null>();
  const server = createServer();
  server.once("error", (error: NodeJS.ErrnoException) => resolve(textOf(error, wanted)));
  server.listen(wanted, "127.0.0.1", () => server.close(() => resolve(null)));
  return promise;
}

function textOf({ code, message }: NodeJS.ErrnoException, wanted: number): string {
  const advice = `Choose another port: SHIM_DEV_PORT=${wanted + 1} npm run dev`;
  if (code !== "EADDRINUSE") return `Port ${wanted} cannot be used: ${message}. ${advice}`;
  return `Port ${wanted} is in use, perhaps by another \`npm run dev\`. ${advice}`;
}
