// What `npm run dev` stores: readable by its user only, and used by one `npm run dev` at a time.
import {
  appendFileSync,
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
} from "node:fs";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { secretNames, secretProblem } from "../src/contract/secrets.ts";
import { pollUntil } from "../src/platform/run-program.ts";
import { openBetterSqlite3 } from "../src/store/driver-better-sqlite3.ts";
import { createPrivateFile } from "../src/platform/private-files.ts";
import { systemProcesses } from "../src/platform/processes.ts";
import { codeOf, messageOf } from "../src/shared/error.ts";
import { randomSecrets, type Secrets } from "./local-runtime.ts";

/**
 * Makes the folder where it is missing; whatever is in it gets 0700 or 0600.
 *
 * @throws {Error} where something in it belongs to another user
 */
export function makePrivate(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  try {
    restrict(realpathSync(folder));
  } catch (error) {
    throw new Error(
      `${messageOf(error)}. Everything in ${folder} must belong to you: take it over (chown), or remove it.`,
      {
        cause: error,
      },
    );
  }
}

function restrict(path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  // What a link leads to was not made by this program.
  if (!found || found.isSymbolicLink()) return;
  chmodSync(path, found.isDirectory() ? 0o700 : 0o600);
  if (found.isDirectory()) for (const name of readdirSync(path)) restrict(join(path, name));
}

/**
 * Makes this process the only one that uses the folder. The lock is SQLite's own on an empty file, so the system gives it back when its
 * holder ends, however it ends.
 *
 * @returns what releases it
 * @throws {Error} where another process has it
 */
export function lock(folder: string): () => void {
  const path = join(folder, "dev.lock");
  createPrivateFile(path);
  const connection = openBetterSqlite3({ path, readOnly: false, busyMs: 0 });
  try {
    connection.run("BEGIN EXCLUSIVE");
    return () => connection.close();
  } catch (error) {
    connection.close();
    if (codeOf(error) !== "SQLITE_BUSY")
      throw new Error(`${path} cannot be locked: ${messageOf(error)}`, { cause: error });
    throw new Error(
      `Another \`npm run dev\` uses ${folder}, which is made for one. Use the coordinator that it runs, or end it first (Ctrl-C in its terminal).`,
      { cause: error },
    );
  }
}

/** One that was just killed may need a moment to end, in ms. */
const endsWithinMs = 2_000;

/**
 * For the process that has the lock.
 *
 * @throws {Error} where a runtime uses the folder without the lock
 */
export async function checkUnused(folder: string): Promise<void> {
  const path = realpathSync(folder);
  const isUnused = (): boolean => runtimeIn(path) === undefined;
  if (isUnused() || (await pollUntil(isUnused, endsWithinMs))) return;
  const pid = runtimeIn(path);
  throw new Error(
    `A runtime (process ${pid}) still uses ${folder}: one that a killed \`npm run dev\` has left, or that of \`wrangler dev\`. End it first: kill ${pid}`,
  );
}

/** A workerd that has files of the folder open; read by proc(5), so on Linux only. */
function runtimeIn(folder: string): number | undefined {
  if (process.platform !== "linux") return undefined;
  const pids = readdirSync("/proc").map(Number).filter(Number.isInteger);
  return pids.find((pid) => systemProcesses.facts(pid)?.command === "workerd" && hasOpen(pid, `${folder}/`));
}

function hasOpen(pid: number, start: string): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith(start));
  } catch {
    // It has ended, or is another user's.
    return false;
  }
}

/**
 * The secrets in `.dev.vars`; makes those that are missing.
 *
 * @throws {Error} where one could be guessed
 */
export function secretsIn(path: string): Secrets {
  const isThere = existsSync(path);
  if (isThere) chmodSync(path, 0o600);
  const text = isThere ? readFileSync(path, "utf8") : "";
  const known = parseEnv(text);
  const secrets = randomSecrets();
  for (const name of secretNames) {
    const value = known[name];
    if (!value) continue;
    const problem = secretProblem(name, value);
    if (problem)
      throw new Error(`${problem}. Delete its line in ${path}: the next \`npm run dev\` makes a random one.`);
    secrets[name] = value;
  }
  const missing = secretNames.filter((name) => !known[name]);
  if (missing.length > 0) {
    const lines = missing.map((name) => `${name}=${secrets[name]}\n`).join("");
    appendFileSync(path, text === "" || text.endsWith("\n") ? lines : `\n${lines}`, { mode: 0o600 });
    console.error(`Made random secrets in ${path}, readable by you only: ${missing.join(", ")}.`);
  }
  return secrets;
}
