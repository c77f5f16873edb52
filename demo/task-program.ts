/** What the workers of the demo run for each task: edits files, or runs tests; see docs/guide/worker.md for what it is told and how it answers. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { messageOf } from "../src/shared/error.ts";
import type { Edit } from "./shop.ts";

export interface RefactorPayload {
  readonly edits: readonly Edit[];
  /** Waits after so many edits until the demo lets it continue. */
  readonly pauses: readonly number[];
}

export interface TestPayload {
  readonly folders: readonly string[];
}

/** What `shim worker` writes to stdin. */
interface Told {
  readonly task: number;
  readonly type: string;
  readonly payload: unknown;
  readonly checkpoint: { readonly done?: number } | null;
}

/** What a refactoring answers. */
export interface Refactored {
  /** The first edit of this attempt, from 1 on. */
  readonly began: number;
  readonly edits: number;
}

export interface Tested {
  readonly passed: number;
}

const [signals = "."] = process.argv.slice(2);
const pollMs = 20;
/** An edit takes as long as somebody needs to see it. */
const editMs = 300;

function say(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

async function refactor({ task, payload, checkpoint }: Told): Promise<Refactored> {
  const { edits, pauses } = payload as RefactorPayload;
  const before = checkpoint?.done ?? 0;
  for (const [n, edit] of edits.slice(before).entries()) {
    const done = before + n + 1;
    apply(edit);
    say({ shim: "progress", percent: (100 * done) / edits.length, note: `${done} of ${edits.length}: ${edit.file}` });
    say({ shim: "checkpoint", done });
    if (pauses.includes(done)) await waitForSignal(`${task}-${done}`);
    else await pause(editMs);
  }
  return { began: before + 1, edits: edits.length };
}

/** An edit that is there already is not found: work that begins again at its first step fails. */
function apply({ file, from, to }: Edit): void {
  const text = readFileSync(file, "utf8");
  if (!text.includes(from)) throw new Error(`${file} does not hold what is to be replaced: ${from}`);
  writeFileSync(
    file,
    text.replace(from, () => to),
  );
}

async function waitForSignal(name: string): Promise<void> {
  while (!existsSync(join(signals, name))) await pause(pollMs);
}

/** Runs tests on the work of the tasks before, which its worker has merged here. */
function test({ payload }: Told): Tested {
  const { folders } = payload as TestPayload;
  const found = folders.map((folder) => `${folder}/${folder}.test.mjs`);
  const { status, stdout } = spawnSync(process.execPath, ["--test", "--test-reporter=tap", ...found], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`tests fail: ${/^not ok .*/m.exec(stdout)?.[0] ?? `exit code ${status}`}`);
  return { passed: Number(/^# pass (\d+)$/m.exec(stdout)?.[1]) };
}

const told = JSON.parse(readFileSync(0, "utf8")) as Told;
try {
  say(told.type === "refactor" ? await refactor(told) : test(told));
} catch (error) {
  // The last line on stderr is the reason that the coordinator keeps.
  process.stderr.write(`${messageOf(error)}\n`);
  process.exitCode = 1;
}
