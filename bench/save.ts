import { createHash } from "node:crypto";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { zstdCompressSync } from "node:zlib";
import Database from "better-sqlite3";
import { redactJson } from "../src/redaction/redact.ts";
import { ms, ratio, sample, timed, type Row, type Sample } from "./figures.ts";
import { scaled } from "./size.ts";
import { connect, type Stdio } from "./stdio-client.ts";
import { generator, lines } from "./texts.ts";

const sizes = [2_000, 20_000, 100_000];
/** Entries that server-memory keeps. */
const kept = scaled(200);
const rounds = scaled(300);
const warmUp = scaled(20);
/** Before each measured call, in ms: what follows another call at once finds a warm processor. */
const pauseMs = 5;

interface Floors {
  readonly bare: Sample;
  readonly cpu: Record<"redact" | "hash" | "compress" | "index", Sample>;
}

/** Saves over MCP stdio against: an empty MCP call, a bare durable insert, the CPU's steps alone, and server-memory. All interleaved. */
export async function benchSave(folder: string, emptyServer: string, memoryServer: string): Promise<Row[]> {
  const rows: Row[] = [];
  for (const size of sizes) rows.push(...(await benchSize(folder, size, emptyServer, memoryServer)));
  return rows;
}

async function benchSize(folder: string, size: number, emptyServer: string, memoryServer: string): Promise<Row[]> {
  const random = generator(size);
  const shim = await connect(["dist/mcp.cjs"], { SHIM_HOME: join(folder, `shim-${size}`) });
  const empty = await connect([emptyServer], {});
  const memory = await connect([memoryServer], { MEMORY_FILE_PATH: join(folder, `memory-${size}.jsonl`) });
  const bare = bareTable(join(folder, `bare-${size}.db`));
  const index = indexTable();
  await fillMemory(memory, size, random);
  const times: Record<string, number[]> = {};
  for (let round = -warmUp; round < rounds; round++) {
    const done = lines(size, random);
    const content = JSON.stringify({ done });
    const keep = async (name: string, work: () => unknown): Promise<void> => {
      await pause(pauseMs);
      const time = await timed(work);
      if (round >= 0) (times[name] ??= []).push(time);
    };
    await keep("empty", () => empty.call("empty", {}));
    // What was done before is not saved again: the state has the size that the floor stores.
    await keep("save", () => shim.call("shim_force_checkpoint", { done, replace: true }));
    await keep("memory", () => memory.call("create_entities", { entities: [entity(`e${round}`, done)] }));
    await memory.call("delete_entities", { entityNames: [`e${round}`] });
    await keep("bare", () => bare(content));
    await keep("redact", () => redactJson({ done }));
    await keep("hash", () => createHash("sha256").update(content).digest("hex"));
    await keep("compress", () => zstdCompressSync(content));
    await keep("index", () => index(content.slice(0, 2_048)));
  }
  await Promise.all([shim.close(), empty.close(), memory.close()]);
  return rowsOf(size, Object.fromEntries(Object.entries(times).map(([name, list]) => [name, sample(list)])));
}

function rowsOf(size: number, samples: Record<string, Sample>): Row[] {
  const of = (name: string): Sample => samples[name] ?? sample([]);
  const { save, memory, empty } = { save: of("save"), memory: of("memory"), empty: of("empty") };
  const floors: Floors = {
    bare: of("bare"),
    cpu: { redact: of("redact"), hash: of("hash"), compress: of("compress"), index: of("index") },
  };
  const cpu50 = Object.values(floors.cpu).reduce((sum, step) => sum + step.p50, 0);
  const limit50 = 1.5 * (floors.bare.p50 + cpu50) + empty.p50;
  const limit99 = 2 * floors.bare.p99 + Object.values(floors.cpu).reduce((sum, step) => sum + step.p99, 0);
  const group = `save ${size / 1_000} KB`;
  const steps = Object.entries(floors.cpu).map(([name, step]) => `${name} ${ms(step.p50)}`);
  const wanted = size === 2_000 ? 1 : size === 20_000 ? 4 : null;
  const gain = memory.p50 / save.p50;
  const { n } = save;
  return [
    { group, n, name: "CPU steps p50", figure: ms(cpu50), against: steps.join(", ") },
    { group, n, name: "bare durable insert p50 / p99", figure: `${ms(floors.bare.p50)} / ${ms(floors.bare.p99)}` },
    { group, n, name: "empty MCP call p50 / p99", figure: `${ms(empty.p50)} / ${ms(empty.p99)}` },
    {
      group,
      n,
      name: "checkpoint p50",
      figure: ms(save.p50),
      against: `1.5 x (insert + CPU) + empty call = ${ms(limit50)}`,
      goal: "at most that",
      isReached: save.p50 <= limit50,
    },
    {
      group,
      n,
      name: "checkpoint p99",
      figure: ms(save.p99),
      against: `2 x insert p99 + CPU p99 = ${ms(limit99)}`,
      goal: "at most that",
      isReached: save.p99 <= limit99,
    },
    {
      group,
      n,
      name: `faster than server-memory (${kept} entries), p50`,
      figure: ratio(gain),
      against: `${ms(memory.p50)} / p99 ${ms(memory.p99)}`,
      ...(wanted === null ? {} : { goal: `at least ${wanted} x`, isReached: gain >= wanted }),
    },
  ];
}

/** One row per content, on the disk when it answers: what any durable store on SQLite has to do. */
function bareTable(path: string): (content: string) => void {
  const db = new Database(path);
  db.pragma("journal_mode = WAL");
  db.pragma("synchronous = FULL");
  db.exec("CREATE TABLE notes (id INTEGER PRIMARY KEY, content TEXT NOT NULL)");
  const insert = db.prepare<[string]>("INSERT INTO notes (content) VALUES (?)");
  return (content) => void insert.run(content);
}

function indexTable(): (text: string) => void {
  const db = new Database(":memory:");
  db.exec("CREATE VIRTUAL TABLE texts USING fts5 (text)");
  const insert = db.prepare<[string]>("INSERT INTO texts (text) VALUES (?)");
  return (text) => void insert.run(text);
}

function entity(name: string, observations: readonly string[]): Record<string, unknown> {
  return { name, entityType: "checkpoint", observations };
}

async function fillMemory(memory: Stdio, size: number, random: () => number): Promise<void> {
  for (let i = 0; i < kept; i++)
    await memory.call("create_entities", { entities: [entity(`kept${i}`, lines(size, random))] });
}
