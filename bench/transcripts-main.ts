/** `npm run bench -- transcripts`: the reader of transcripts beside JSON.parse of the same lines, and the check of a large file. */
import { spawn } from "node:child_process";
import { createReadStream, createWriteStream, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { once } from "node:events";
import { sessionFilesOf } from "../src/clients/details.ts";
import { TranscriptBytes } from "../src/clients/transcript/transcript-bytes.ts";
import { readSessionFacts } from "../src/machine/rescue/session-facts.ts";
import { CannotMeasureError } from "./cannot-measure.ts";
import { printTable, ratio, sample, type Row } from "./figures.ts";
import { scaled } from "./size.ts";

const megabytes = scaled(500, 2);
const rounds = scaled(5);
const maxMegabytes = 150;

const folder = mkdtempSync(join(tmpdir(), "shim-bench-"));
try {
  const id = "5f0e0e5e-0000-4000-8000-000000000001";
  const path = join(folder, ".claude", "projects", "-p", `${id}.jsonl`);
  await writeSession(path, id);
  const size = statSync(path).size;
  const claude = sessionFilesOf("claude-code");
  if (claude === null) throw new CannotMeasureError("no reader of Claude Code's files");
  const ways: Record<string, () => Promise<unknown>> = {
    parse: () => parseLines(path),
    rows: () => countRows(path),
    conversation: () => readSessionFacts(path, claude),
  };
  const times: Record<string, number[]> = {};
  for (let round = 0; round < rounds; round++)
    for (const [name, way] of Object.entries(ways)) (times[name] ??= []).push(await cpuSeconds(way));
  const speed = (name: string): number => size / 1e6 / sample(times[name] ?? []).p50;
  const group = `a file of Claude Code of ${Math.round(size / 1e6)} MB`;
  const against = (name: string): Pick<Row, "figure" | "against"> => ({
    figure: `${speed(name).toFixed(0)} MB a second of the processor`,
    against: `${ratio(speed(name) / speed("parse"))} JSON.parse`,
  });
  const checked = await checkByCommand(path, id);
  printTable([
    { group, n: rounds, name: "JSON.parse of its lines", figure: `${speed("parse").toFixed(0)} MB a second` },
    {
      group,
      n: rounds,
      name: "rows with place, length and damage",
      ...against("rows"),
      goal: "150 MB a second",
      isReached: speed("rows") >= 150,
    },
    { group, n: rounds, name: "rows and what its client sends", ...against("conversation") },
    {
      group,
      n: 1,
      name: "`shim sessions check`, most memory",
      figure: `${checked.megabytes.toFixed(0)} MB`,
      goal: `under ${maxMegabytes} MB`,
      isReached: checked.megabytes < maxMegabytes,
    },
  ]);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** Turns as Claude Code writes them: prompts, calls with results of up to 8 kB, answers. */
async function writeSession(path: string, id: string): Promise<void> {
  mkdirSync(dirname(path), { recursive: true });
  const out = createWriteStream(path);
  let [parent, at, written]: [string | null, number, number] = [null, Date.parse("2026-11-01T00:00:00Z"), 0];
  const row = (type: string, message: object): string => {
    const uuid = `00000000-0000-4000-8000-${String((at += 1_000)).slice(-12)}`;
    const common = {
      parentUuid: parent,
      isSidechain: false,
      type,
      message,
      uuid,
      timestamp: new Date(at).toISOString(),
    };
    parent = uuid;
    return `${JSON.stringify({ ...common, sessionId: id, cwd: "/p", version: "2.1.328", gitBranch: "main" })}\n`;
  };
  for (let turn = 0; written < megabytes * 1e6; turn++) {
    const output = `line ${turn} of the build — "quoted", \\escaped\n`.repeat(turn % 190);
    const call = { type: "tool_use", id: `toolu_${turn}`, name: "Bash", input: { command: `make part-${turn}` } };
    const result = { type: "tool_result", tool_use_id: `toolu_${turn}`, content: output };
    const text = [
      ...(turn % 10 === 0 ? [row("user", { role: "user", content: `Build part ${turn}, and say what is left.` })] : []),
      row("assistant", { id: `msg_${turn}`, role: "assistant", model: "claude-opus-5-5", content: [call] }),
      row("user", { role: "user", content: [result] }),
    ].join("");
    written += Buffer.byteLength(text);
    if (!out.write(text)) await once(out, "drain");
  }
  out.end(row("assistant", { id: "msg_end", role: "assistant", content: [{ type: "text", text: "All built." }] }));
  await once(out, "finish");
}

async function parseLines(path: string): Promise<number> {
  let count = 0;
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of createReadStream(path, { highWaterMark: 131_072 })) {
    const bytes: Buffer = rest.length === 0 ? (chunk as Buffer) : Buffer.concat([rest, chunk as Buffer]);
    let from = 0;
    for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, from)) {
      JSON.parse(bytes.toString("utf8", from, at));
      count += 1;
      from = at + 1;
    }
    rest = Buffer.from(bytes.subarray(from));
  }
  return count;
}

async function countRows(path: string): Promise<number> {
  let count = 0;
  for await (const rows of TranscriptBytes.open(path).rows()) for (const { row } of rows) if (row !== null) count += 1;
  return count;
}

async function cpuSeconds(work: () => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

/** The built program. @returns the most memory that it has had, as the kernel counts it (VmHWM) */
async function checkByCommand(path: string, id: string): Promise<{ readonly megabytes: number }> {
  const env = { PATH: process.env["PATH"] ?? "", HOME: folder, SHIM_HOME: join(folder, "shim") };
  const program = resolve("bin/shim.mjs");
  const child = spawn(process.execPath, [program, "sessions", "check", "--json"], { env, cwd: folder });
  let [out, most] = ["", 0];
  child.stdout.on("data", (data: Buffer) => (out += data.toString()));
  const watch = setInterval(() => (most = Math.max(most, highWater(child.pid ?? 0))), 20);
  await once(child, "close");
  clearInterval(watch);
  const { sessions } = JSON.parse(out) as { readonly sessions: readonly { session: string; read: object }[] };
  if (sessions[0]?.session !== id) throw new Error(`the check has not read ${path}`);
  return { megabytes: most };
}

/** proc(5): "VmHWM", in kB. */
function highWater(pid: number): number {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1_000;
  } catch {
    return 0;
  }
}
