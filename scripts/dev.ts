// `npm run dev`: the coordinator on this machine, under workerd, with its state kept in .wrangler/state.
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { stop as stopBundler } from "esbuild";
import { codeOf, messageOf } from "../src/shared/error.ts";
import { checkUnused, lock, makePrivate, secretsIn } from "./dev-folder.ts";
import { keepRunning } from "./keep-running.ts";
import { bundle, LocalRuntime, type LocalRuntimeOptions } from "./local-runtime.ts";

const root = join(import.meta.dirname, "..");
/** Where .dev.vars and .wrangler are; this clone, but for tests. */
const folder = resolve(process.env["SHIM_DEV_FOLDER"] ?? root);
const usualPort = 8787;
const everyMs = 1_000;
const answerWithinMs = 10_000;

/** The command looks at the usual port; for another one it needs the address, and the variable to accept it. */
function createCommand(port: number): string {
  const command = "node bin/shim.mjs workspace create my-team";
  return port === usualPort ? command : `SHIM_DEV_PORT=${port} ${command} --url http://127.0.0.1:${port}`;
}

/** @throws {Error} where the text is no port */
function portOf(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new Error("SHIM_DEV_PORT must be a port: 1 to 65535.");
  return port;
}

/** Miniflare's own advice is an option that this program does not have. */
function portProblem(port: number, error: NodeJS.ErrnoException): Error {
  const isInUse = error.code === "EADDRINUSE" || error.code === "ERR_ADDRESS_IN_USE";
  const problem = isInUse ? "is in use" : `cannot be used: ${error.message}`;
  const other = port === 65_535 ? usualPort : port + 1;
  return new Error(`Port ${port} ${problem}. Choose another port: SHIM_DEV_PORT=${other} npm run dev`);
}

/** @throws {Error} where the port cannot be used */
async function checkFree(port: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const server = createServer();
  server.once("error", (error) => reject(portProblem(port, error)));
  server.listen(port, "127.0.0.1", () => server.close(() => resolve()));
  return promise;
}

async function start(options: LocalRuntimeOptions & { readonly port: number }): Promise<LocalRuntime> {
  try {
    return await LocalRuntime.start(options);
  } catch (error) {
    throw error instanceof Error && codeOf(error) === "ERR_ADDRESS_IN_USE" ? portProblem(options.port, error) : error;
  }
}

async function isAnswering(url: string, end: AbortSignal): Promise<boolean> {
  try {
    return (await fetch(`${url}/health`, { signal: AbortSignal.any([end, AbortSignal.timeout(answerWithinMs)]) })).ok;
  } catch {
    return false;
  }
}

async function run(signal: AbortSignal): Promise<void> {
  if (process.argv.length > 2) throw new Error("`npm run dev` takes no options; SHIM_DEV_PORT chooses the port.");
  const port = portOf(process.env["SHIM_DEV_PORT"] ?? String(usualPort));
  const files = join(folder, ".wrangler");
  makePrivate(files);
  const release = lock(files);
  try {
    await checkUnused(files);
    await checkFree(port);
    const secrets = secretsIn(join(folder, ".dev.vars"));
    const script = join(files, "dev", "worker.mjs");
    await bundle(join(root, "src", "worker", "worker-entry.ts"), script);
    await stopBundler();
    const state = join(files, "state", "v3");
    await keepRunning({
      start: () => start({ script, state, port, secrets, isLimited: true, page: join(root, "dist", "web") }),
      isAnswering: (url) => isAnswering(url, signal),
      everyMs,
      now: Date.now,
      pause: (ms, signal) => pause(ms, undefined, { signal }),
      onStart: (url) => console.error(`The coordinator is at ${url}. In another terminal: ${createCommand(port)}`),
      tell: console.error,
      signal,
    });
  } finally {
    release();
  }
}

process.umask(0o077);
const end = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => end.abort());
try {
  await run(end.signal);
} catch (error) {
  console.error(messageOf(error));
  process.exitCode = 1;
}
// Whatever is left, it must not keep this process alive.
process.exit();
