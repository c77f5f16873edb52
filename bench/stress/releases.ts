import { execFile, execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";
import { callWorkspace, madeWorkspace } from "../../scripts/local-edge.ts";
import { bundle, randomSecrets, startMixed } from "../../scripts/local-runtime.ts";
import type { Acknowledged, LoadOptions } from "./release-load.ts";

/**
 * A gradual deployment: for a while Workers and objects of two versions serve clients of both. Each
 * pair of a Worker and an object, with clients of either version at once, is one run.
 */

const run = promisify(execFile);
const root = join(import.meta.dirname, "..", "..");
const versions = ["base", "this"] as const;
type Version = (typeof versions)[number];
type Trees = Readonly<Record<Version, string>>;

interface Chosen {
  /** Commit of the version before. */
  readonly base: string;
  readonly ms: number;
  readonly chats: number;
}

/** @throws {Error} for an unusable option */
export function chooseReleases(args: string[]): Chosen {
  const options = {
    base: { type: "string" },
    seconds: { type: "string", default: "20" },
    chats: { type: "string", default: "8" },
  } as const;
  const { base, seconds, chats } = parseArgs({ args, options }).values;
  if (base === undefined) throw new Error("--base is the commit of the version before this one.");
  for (const [name, value] of Object.entries({ seconds, chats }))
    if (!/^[1-9]\d{0,3}$/.test(value)) throw new Error(`--${name} is a number from 1 on.`);
  return { base, ms: Number(seconds) * 1_000, chats: Number(chats) };
}

/** Prints what was acknowledged and what was lost. Ends the process. */
export async function mixReleases({ base, ms, chats }: Chosen): Promise<void> {
  mkdirSync(join(root, ".scratch"), { recursive: true });
  const folder = mkdtempSync(join(root, ".scratch", "releases-"));
  const rows: string[] = [];
  let lost = 0;
  try {
    const trees = { this: root, base: treeOf(base, join(folder, "base")) };
    for (const object of versions) {
      const { losses, rows: more } = await mix({ trees, object, folder: join(folder, object), ms, chats });
      rows.push(...more);
      lost += losses;
    }
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
  console.log(
    [
      "| object | worker | clients | calls | failed | acknowledged | lost or doubled |",
      "| --- | --- | --- | --- | --- | --- | --- |",
      ...rows,
    ].join("\n"),
  );
  process.exit(lost > 0 ? 1 : 0);
}

/** The files of a commit, with the packages of this one. */
function treeOf(commit: string, folder: string): string {
  mkdirSync(folder);
  const archive = execFileSync("git", ["archive", commit], { cwd: root, maxBuffer: 1e9 });
  execFileSync("tar", ["-x", "-C", folder], { input: archive });
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  copyFileSync(join(import.meta.dirname, "release-load.ts"), join(folder, "bench", "stress", "release-load.ts"));
  return folder;
}

interface Mix {
  readonly trees: Trees;
  /** Version of the object. */
  readonly object: Version;
  readonly folder: string;
  readonly ms: number;
  readonly chats: number;
}

/** One object, before it a Worker of each version, before each clients of both. */
async function mix({ trees, object, folder, ms, chats }: Mix): Promise<{ losses: number; rows: string[] }> {
  const secrets = randomSecrets();
  const scripts = { base: join(folder, "base.mjs"), this: join(folder, "this.mjs") };
  for (const one of versions) await bundle(join(trees[one], "src", "worker", "worker-entry.ts"), scripts[one]);
  const edge = await startMixed({ folder, scripts, object, secrets });
  try {
    const urls = edge.urls;
    const admin = await madeWorkspace({ url: urls.base, secrets }, workspace);
    const all = versions.flatMap((worker) => versions.map((client) => ({ worker, client })));
    const loads = all.map(async ({ worker, client }, at) => {
      const name = `${client}-by-${worker}`;
      // A token that one Worker has made is used at both.
      const maker = urls[versions[at % 2] ?? "base"];
      const { token } = await callWorkspace(workspaceAt(maker), admin, "tokens.create", { machine: name });
      const options: LoadOptions = { edge: urls[worker], workspace, token, name, chats, ms };
      const program = join(trees[client], "bench", "stress", "release-load.ts");
      const { stdout } = await run(process.execPath, [program, JSON.stringify(options)], { maxBuffer: 1e9 });
      return { worker, client, facts: JSON.parse(stdout) as Acknowledged };
    });
    const done = await Promise.all(loads);
    const rows: string[] = [];
    let losses = 0;
    for (const { worker, client, facts } of done) {
      const lost = await lossesOf(workspaceAt(urls.this), admin, facts);
      losses += lost.length;
      const failed = Object.entries(facts.failed).map(([what, count]) => `${what} ${count}`);
      rows.push(
        `| ${object} | ${worker} | ${client} | ${facts.calls} | ${failed.join(", ") || 0} | ${facts.submitted.length} tasks, ${facts.done.length} done, ${facts.sent} messages, ${facts.received} received | ${lost.join(", ") || 0} |`,
      );
    }
    return { losses, rows };
  } finally {
    await edge.close();
  }
}

const workspace = "team";

function workspaceAt(url: string): string {
  return `${url}/v1/workspaces/${workspace}`;
}

/** What was acknowledged and is not so. */
async function lossesOf(url: string, admin: string, facts: Acknowledged): Promise<string[]> {
  const lost: string[] = [];
  if (new Set(facts.done).size < facts.done.length) lost.push("a task was done twice");
  if (facts.tokensFell > 0) lost.push(`${facts.tokensFell} fencing tokens fell`);
  const done = new Set(facts.done);
  for (const task of facts.submitted) {
    const { state } = await callWorkspace(url, admin, "tasks.get", { task });
    if (done.has(task) && state !== "done") lost.push(`task ${task} is ${state}`);
  }
  for (const [key, value] of Object.entries(facts.state)) {
    const { entry } = await callWorkspace(url, admin, "state.get", { key });
    if (entry?.value !== value) lost.push(`${key} is ${JSON.stringify(entry?.value)}, not ${value}`);
  }
  return lost;
}
