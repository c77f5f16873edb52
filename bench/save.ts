import { createHash } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { zstdCompressSync } from "node:zlib";
import Database from "better-sqlite3";
import { redactJson } from "../src/redaction/redact-json.ts";
import { sample, scaled, timed, type Sample, generator, lines } from "./measure.ts";
import { emptyServer, connect } from "./mcp-server.ts";

const size = 2_000;
const rounds = scaled(300);
const warmUp = scaled(20);
/** Before each measured call, in ms: what follows another call at once finds a warm processor. */
const pauseMs = 5;

/** Saves over MCP stdio beside an empty MCP call, a bare durable insert and the processor's steps alone; all in turn. In ms. */
export async function save() {
  const folder = tmpdir();
  const random = generator(size);
  const shim = await connect(["dist/mcp.cjs"], { SHIM_HOME: join(folder, "save") });
  const empty = await connect([await emptyServer()], {});
  const bare = bareTable(join(folder, "bare.db"));
  const index = indexTable();
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
    await keep("bare", () => bare(content));
    await keep("redact", () => redactJson({ done }));
    await keep("hash", () => createHash("sha256").update(content).digest("hex"));
    await keep("compress", () => zstdCompressSync(content));
    await keep("index", () => index(content.slice(0, 2_048)));
  }
  await Promise.all([shim.close(), empty.close()]);
  const of = (name: string): Sample => sample(times[name]);
  const steps = ["redact", "hash", "compress", "index"].map(of);
  const sum = (part: "p50" | "p99"): number => steps.reduce((total, step) => total + step[part], 0);
  return {
    p50: of("save").p50,
    p99: of("save").p99,
    bound50: 1.5 * (of("bare").p50 + sum("p50")) + of("empty").p50,
    bound99: 2 * of("bare").p99 + sum("p99"),
  };
}

/** One row for each content, on the disk when it answers: what any durable store on SQLite has to do. */
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
