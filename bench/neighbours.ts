import { execFile, execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { McpConnection } from "../src/platform/mcp-connection.ts";
import { pathsIn } from "../src/platform/paths.ts";
import { openBetterSqlite3 } from "../src/store/driver-better-sqlite3.ts";
import { Store } from "../src/store/store.ts";
import { addJournal, addSession } from "../test/harness/store/store-rows.ts";
import { hostsOf } from "../test/harness/machine/process-tree.ts";
import { ms, perSecond, sample, timed, type Row } from "./figures.ts";
import { scaled } from "./size.ts";

const events = scaled(1_000, 4);
const transcriptBytes = scaled(100e6, 1e6);
const files = scaled(200_000, 1_000);
const storeBytes = scaled(300e6, 1e6);
const wantedPerSecond = 5_000;
/** A chat that works sends some events a second, not as many as it can. */
const restMs = 5;
const counts = [scaled(10_000, 10), scaled(50_000, 20), scaled(100_000, 30)];
const warmUp = scaled(50);
const settleMs = scaled(2_000);
const senders = 8;

/** The host's processor profile is written into this folder when it ends. */
const profiles = process.env["SHIM_BENCH_PROFILE"];

interface Progress {
  isOver: boolean;
  /** Pieces of work that are done: before the first there is no neighbour. */
  done: number;
}

/** Work of another chat on the same host, until that is over. @returns what it got done */
type Neighbour = (progress: Progress) => Promise<string>;

function chatOf(home: string, cwd: string): McpConnection {
  const env = {
    PATH: process.env["PATH"] ?? "",
    HOME: join(home, ".."),
    SHIM_HOME: home,
    CLAUDECODE: "1",
    ...(profiles === undefined ? {} : { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${profiles}` }),
  };
  return new McpConnection({ command: process.execPath, args: [join(process.cwd(), "dist/mcp.cjs")], env, cwd });
}

function hook(chat: McpConnection, session: string, event: string, more: object = {}): Promise<unknown> {
  const fields = { session_id: session, prompt_id: "p1", event, ...more };
  return chat.request("tools/call", { name: "shim_hook", arguments: fields });
}

function tool(chat: McpConnection, session: string, event: string, n: number): Promise<unknown> {
  return hook(chat, session, event, { tool_name: "Bash", tool_use_id: `t${n}`, "tool_input.command": `echo ${n}` });
}

/** Hook events of one chat through its front, beside other chats of the machine. */
export async function benchNeighbours(folder: string): Promise<Row[]> {
  const neighbours: readonly [name: string, prepare: (folder: string, home: string) => Neighbour | null][] = [
    ["an idle machine", () => null],
    [`a chat with a transcript of ${transcriptBytes / 1e6} MB that is read`, readingChat],
    ["a chat that sends events as fast as they are answered", floodingChat],
    [`sessions of a store of ${storeBytes / 1e6} MB that are forgotten`, forgettingChat],
    [`a repository of ${files.toLocaleString("en")} files whose snapshot is taken`, snapshotChat],
  ];
  const rows: Row[] = [];
  for (const [n, [name, prepare]] of neighbours.entries()) {
    const own = join(folder, `neighbours-${n}`);
    mkdirSync(own, { recursive: true });
    const home = join(own, "home");
    const neighbour = prepare(own, home);
    const chat = chatOf(home, own);
    await chat.initialize("bench");
    for (let warm = 0; warm < warmUp; warm++) await tool(chat, "measured", "PostToolUse", -warm);
    const progress: Progress = { isOver: false, done: 0 };
    const work = neighbour?.(progress);
    if (work === undefined) progress.done = 1;
    const times: number[] = [];
    for (let event = 0; event < events || progress.done === 0; event++) {
      times.push(await timed(() => tool(chat, "measured", event % 2 === 0 ? "PreToolUse" : "PostToolUse", event >> 1)));
      await pause(restMs);
    }
    progress.isOver = true;
    const done = await work;
    const { p50, p99, n: measured } = sample(times);
    const most = Math.max(...times);
    rows.push({
      group: "neighbours",
      n: measured,
      name: `hook event beside ${name}, p50 / p99 / most`,
      figure: `${ms(p50)} / ${ms(p99)} / ${ms(most)}`,
      ...(done === undefined ? {} : { against: done }),
      goal: "p99 under 10 ms",
      isReached: p99 < 10,
    });
    console.error(rows.at(-1)?.name, rows.at(-1)?.figure, done ?? "");
    await end(chat, home);
  }
  return rows;
}

async function end(chat: McpConnection, home: string): Promise<void> {
  chat.process.stdin.end();
  await chat.ended;
  for (const { pid } of hostsOf(home)) process.kill(pid, "SIGTERM");
  while (hostsOf(home).length > 0) await pause(20);
}

function readingChat(folder: string, home: string): Neighbour {
  const path = join(folder, "transcript.jsonl");
  const text = "A line of an answer that the model gave in a long session. ".repeat(30);
  const line = (n: number): string =>
    `${JSON.stringify({
      type: n % 2 === 0 ? "assistant" : "user",
      uuid: `u${n}`,
      timestamp: new Date(1_700_000_000_000 + n).toISOString(),
      message: { id: `m${n}`, content: [{ type: "text", text }], usage: { input_tokens: n, output_tokens: 9 } },
    })}\n`;
  writeFileSync(path, "");
  for (let bytes = 0, n = 0; bytes < transcriptBytes; n += 500) {
    const part = Array.from({ length: 500 }, (_, one) => line(n + one)).join("");
    bytes += part.length;
    appendFileSync(path, part);
  }
  return async (progress) => {
    const chat = chatOf(home, folder);
    await chat.initialize("bench");
    while (!progress.isOver) {
      // Each turn is of a chat that SHIM sees for the first time, so that all is read.
      const session = `reader-${progress.done}`;
      const more = { transcript_path: path, cwd: folder };
      await hook(chat, session, "UserPromptSubmit", { ...more, prompt: "Continue." });
      await hook(chat, session, "PostToolUse", {
        ...more,
        tool_name: "Bash",
        tool_use_id: "t",
        "tool_input.command": "x",
      });
      await hook(chat, session, "Stop", { ...more, last_assistant_message: "Done." });
      progress.done += 1;
      await pause(200);
    }
    chat.process.kill("SIGKILL");
    return `${progress.done} chats began with it`;
  };
}

function floodingChat(folder: string, home: string): Neighbour {
  return async (progress) => {
    const chat = chatOf(home, folder);
    await chat.initialize("bench");
    const startedAt = performance.now();
    const send = async (sender: number): Promise<void> => {
      for (let n = sender; !progress.isOver; n += senders) {
        await tool(chat, "flood", "PostToolUse", n);
        progress.done += 1;
      }
    };
    await Promise.all(Array.from({ length: senders }, (_, sender) => send(sender)));
    chat.process.kill("SIGKILL");
    return `${perSecond((1_000 * progress.done) / (performance.now() - startedAt))} of ${wantedPerSecond} wanted`;
  };
}

function idOf(n: number): string {
  return `${String(n).padStart(8, "0")}-0000-4000-8000-000000000000`;
}

function forgettingChat(folder: string, home: string): Neighbour {
  mkdirSync(home, { mode: 0o700 });
  const store = new Store({ path: pathsIn(home).database, driver: openBetterSqlite3, now: Date.now });
  const rows = 200;
  const rowBytes = 4_000;
  for (let n = 0; n * rows * rowBytes < storeBytes; n++) {
    store.write((sql) => {
      addSession(sql, { id: idOf(n), lastSeenAt: Date.now(), endedAt: Date.now() });
      for (let row = 0; row < rows; row++) {
        const text = randomBytes(rowBytes / 2).toString("hex");
        addJournal(sql, { session: idOf(n), key: `k${row}`, at: Date.now(), text });
      }
    });
  }
  store.close();
  return async (progress) => {
    const env = { PATH: process.env["PATH"], HOME: folder, SHIM_HOME: home };
    const forget = (): string[] => ["dist/cli.cjs", "forget", idOf(progress.done), "--yes"];
    for (; !progress.isOver; progress.done++) await promisify(execFile)(process.execPath, forget(), { env });
    return `${progress.done} sessions`;
  };
}

function snapshotChat(folder: string, home: string): Neighbour {
  const project = join(folder, "project");
  const perFolder = 500;
  for (let n = 0; n < files; n++) {
    const at = join(project, `f${Math.floor(n / perFolder)}`);
    if (n % perFolder === 0) mkdirSync(at, { recursive: true });
    writeFileSync(join(at, `${n}.txt`), `file ${n}\n`);
  }
  const git = (...args: string[]): unknown =>
    execFileSync("git", ["-c", "user.name=b", "-c", "user.email=b@b", ...args], { cwd: project, stdio: "ignore" });
  git("init", "-q");
  git("add", ".");
  git("commit", "-qm", "all");
  return async (progress) => {
    const chat = chatOf(home, project);
    await chat.initialize("bench");
    const folders = Math.min(200, Math.ceil(files / perFolder));
    while (!progress.isOver) {
      const saves = progress.done;
      for (let n = 0; n < folders; n++) await writeFile(join(project, `f${n}`, `new-${saves}.txt`), `save ${saves}\n`);
      await chat.callTool("shim_force_checkpoint", { goal: `save ${saves}`, project });
      progress.done += 1;
      await pause(500);
    }
    chat.process.kill("SIGKILL");
    return `${progress.done} saves`;
  };
}

/** Memory of the host while one chat sends events. */
export async function benchGrowth(folder: string): Promise<Row[]> {
  const home = join(folder, "growth");
  const chat = chatOf(home, folder);
  await chat.initialize("bench");
  const rows: Row[] = [];
  let sent = 0;
  let first = Number.NaN;
  const send = async (until: number): Promise<void> => {
    while (sent < until) {
      const n = (sent += 1);
      await tool(chat, "growth", n % 2 === 0 ? "PostToolUse" : "PreToolUse", n >> 1);
    }
  };
  for (const count of counts) {
    await Promise.all(Array.from({ length: senders }, () => send(count)));
    await pause(settleMs);
    const [host] = hostsOf(home);
    const { pss, rss } = memoryOf(host?.pid ?? -1);
    if (Number.isNaN(first)) first = pss;
    rows.push({
      group: "growth",
      n: sent,
      name: `memory of the host after ${count.toLocaleString("en")} events, PSS / RSS`,
      figure: `${(pss / 1e6).toFixed(0)} MB / ${(rss / 1e6).toFixed(0)} MB`,
      against: `${(pss / first).toFixed(2)} x the first`,
      goal: "at most 1.1 x the first",
      isReached: pss <= 1.1 * first,
    });
    console.error(rows.at(-1)?.name, rows.at(-1)?.figure);
  }
  await end(chat, home);
  return rows;
}

/** proc(5). */
function memoryOf(pid: number): { readonly pss: number; readonly rss: number } {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  const bytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1]) * 1_024;
  return { pss: bytes("Pss"), rss: bytes("Rss") };
}
