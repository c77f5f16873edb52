import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { spawn } from "node:child_process";
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { damageEffects, effectsOf, type DamageEffect, type FileDamage } from "#src/clients/damage-effects.ts";
import { detailsOf } from "#src/clients/details.ts";
import type { SessionDatabase } from "#src/clients/adapter/client-details.ts";
import { copyTranscript } from "#src/machine/recovery/rescue/copy-transcript.ts";
import { readSessionFacts } from "#src/machine/recovery/rescue/session-facts.ts";
import { parseObject } from "#src/shared/json-fields.ts";
import { withConnection } from "#src/store/driver.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { cleanEnv } from "#harness/claude/claude-code.ts";
import type { Step } from "#harness/claude/scripted-model.ts";
import { aModel, fail } from "#harness/clients/chat-rig.ts";
import {
  codex,
  copilot,
  environmentOf,
  gemini,
  opencode,
  qwen,
  type RealClient,
} from "#harness/clients/real-clients.ts";
import { write } from "#harness/machine/git-project.ts";
import { claudeBinary, CLAUDE_VERSION } from "../../scripts/install-claude.ts";

type Driven = Pick<RealClient, "command" | "files" | "conversations"> & { readonly version: string };

const drivers: Readonly<Record<string, RealClient>> = { codex, copilot, gemini, opencode, qwen };
const claude: Driven = {
  version: CLAUDE_VERSION,
  command: (prompt, session) =>
    [claudeBinary(), "-p", prompt, "--strict-mcp-config"].concat(session === null ? [] : ["--resume", session]),
  files: {},
  conversations: ".claude/projects",
};

const turns = [
  ["the first is pear-1", "Noted one-2."],
  ["the second is plum-3", "Noted two-4."],
  ["the third is fig-5", "Noted three-6."],
] as const;
const first = ["pear-1", "one-2"];
const newline = Buffer.from("\n");
const joined = (rows: readonly Buffer[]): Buffer => Buffer.concat(rows.flatMap((row) => [row, newline]));

/** A machine with a client, without SHIM, and three turns that the client itself has written. */
class WrittenSession {
  readonly #root = realpathSync(mkdtempSync(join(tmpdir(), "shim-damages-")));
  readonly #home = join(this.#root, "home");
  readonly #project = join(this.#root, "project");
  readonly #name: string;
  readonly #client: Driven;
  #id: string | null = null;
  path = "";

  constructor(name: string) {
    const other = drivers[name];
    this.#name = name;
    this.#client = other ? { ...other, version: other.pinned.version } : claude;
    mkdirSync(this.#project, { recursive: true });
    mkdirSync(dirname(join(this.#home, this.#client.conversations)), { recursive: true });
    const texts = Object.entries(this.#client.files).map(([file, content]) => [file, JSON.stringify(content)]);
    write(this.#home, Object.fromEntries(texts) as Record<string, string>);
    onTestFinished(() => rmSync(this.#root, { recursive: true, force: true, maxRetries: 5 }));
  }

  get version(): string {
    return this.#client.version;
  }

  get id(): string {
    return this.#id ?? fail("no session was written");
  }

  /** @returns its rows; none where they stand in a database */
  async write(): Promise<Buffer[]> {
    for (const [prompt, text] of turns) {
      await this.says(prompt, [{ text }]);
      if (this.#id === null) this.#find();
    }
    // What its log holds belongs to the file.
    if (this.#isDatabase) this.change("PRAGMA wal_checkpoint(TRUNCATE)");
    cpSync(this.#conversations, this.#before, { recursive: true });
    if (this.#isDatabase) return [];
    const rows = readFileSync(this.path, "utf8").trimEnd().split("\n");
    return rows.filter((row, at) => this.#isWrittenOnce(row, at)).map((row, at) => Buffer.from(this.#apart(row, at)));
  }

  get #conversations(): string {
    return join(this.#home, this.#client.conversations);
  }

  get #before(): string {
    return join(this.#root, "before");
  }

  get #isDatabase(): boolean {
    return detailsOf(this.#name)?.database !== undefined;
  }

  /** Changes its database as a broken disk, a tool or a person does. */
  change(query: string, ...values: string[]): void {
    withConnection(openBetterSqlite3({ path: this.path, readOnly: false, busyMs: 5_000 }), (db) => {
      db.script("PRAGMA foreign_keys = OFF");
      if (query.startsWith("PRAGMA")) db.script(query);
      else db.run(query, ...values);
    });
  }

  #findInDatabase(database: SessionDatabase): void {
    this.path = join(this.#conversations, "opencode.db");
    const listed = database.list(this.path, openBetterSqlite3);
    this.#id = listed.ok ? (listed.value.ids[0] ?? null) : fail(listed.error);
  }

  #find(): void {
    const { database } = detailsOf(this.#name) ?? {};
    if (database) return this.#findInDatabase(database);
    const names = readdirSync(this.#conversations, { recursive: true, encoding: "utf8" });
    const name = names.find((one) => one.endsWith(".jsonl") && !/ledger|subagents/.test(one)) ?? fail("no transcript");
    this.path = join(this.#conversations, name);
    const rows = readFileSync(this.path, "utf8").trimEnd().split("\n");
    const head = rows.map((row) => detailsOf(this.#name)?.headOf?.(parseObject(row) ?? {})).find(Boolean);
    this.#id = head?.session ?? fail("no row names the session");
  }

  /** Gemini CLI writes all messages again when it opens a session, which hides what happened to a row. */
  #isWrittenOnce(row: string, at: number): boolean {
    return this.#name !== "gemini" || at < 3 || !/^\{"(?:\$set":\{"(?:messages|sessionId)|sessionId)"/.test(row);
  }

  /** Claude Code takes rows that are near in time for each other. */
  #apart(row: string, at: number): string {
    if (this.#name !== "claude-code") return row;
    const read = parseObject(row) ?? fail(row);
    if (!("timestamp" in read)) return row;
    return JSON.stringify({ ...read, timestamp: new Date(Date.now() - 7_200_000 + at * 60_000).toISOString() });
  }

  /** Goes on with a copy, as rescue makes it. @returns the first request; null: there was none */
  async saysInCopy(): Promise<string | null> {
    const files = detailsOf(this.#name)?.sessions ?? fail(this.#name);
    const facts = await readSessionFacts(this.path, { name: this.#name, version: null, files, session: this.id });
    const [id, newId] = [this.id, randomUUID()];
    const head = facts.isHeadless ? { cwd: this.#project, at: facts.oldestAt ?? Date.now() } : null;
    const { otherSession: otherId } = facts;
    await copyTranscript(files, { file: this.path, id, otherId, newId, until: null, head, moved: null });
    return this.says("go on", [{ text: "Gone on." }], newId);
  }

  /** Puts the file in the place of the one that the client has written. */
  replace(bytes: Buffer): void {
    this.restore();
    writeFileSync(this.path, bytes);
  }

  restore(): void {
    rmSync(this.#conversations, { recursive: true });
    cpSync(this.#before, this.#conversations, { recursive: true });
  }

  /** @returns the first request; null: there was none */
  async says(prompt: string, steps: readonly Step[], id = this.#id): Promise<string | null> {
    const model = await aModel({ steps });
    const [program = "", ...args] = this.#client.command(prompt, id, model.url);
    const place = { home: this.#home, paths: { home: join(this.#root, "shim") } } as Parameters<
      typeof environmentOf
    >[1];
    const other = drivers[this.#name];
    const env = other
      ? environmentOf(other, place, model.url)
      : cleanEnv({ home: this.#home, modelUrl: model.url, env: { CLAUDE_CODE_MAX_RETRIES: "0" } });
    await once(spawn(program, args, { cwd: this.#project, env, stdio: "ignore" }), "close");
    const request = model.requests.find(({ kind }) => kind === "loop");
    return request ? JSON.stringify(request.body) : null;
  }
}

const isOfModel = (row: Buffer, word: string): boolean =>
  row.includes(word) &&
  !/"type":"(?:event_msg|queue-operation|last-prompt|hook\.\w+)"|"lastPrompt"/.test(row.toString());

type Damaging = (rows: readonly Buffer[], at: number, id: string) => Buffer;

const inText = (row: Buffer, bytes: Buffer): Buffer => {
  const from = row.indexOf("plum-3");
  return Buffer.concat([row.subarray(0, from), bytes, row.subarray(from)]);
};
const damaging: Readonly<Record<FileDamage, Damaging>> = {
  row: (rows, at) => joined(rows.toSpliced(at, 1)),
  end: (rows) => {
    const last = rows.findLastIndex((row) => isOfModel(row, "three-6"));
    return Buffer.concat([joined(rows.slice(0, last)), (rows[last] ?? newline).subarray(0, -20)]);
  },
  head: (rows) => joined(rows.slice(1)),
  not_utf8: (rows, at) => joined(rows.with(at, inText(rows[at] ?? newline, Buffer.from([0xff])))),
  half_character: (rows, at) => joined(rows.with(at, inText(rows[at] ?? newline, Buffer.from(String.raw`\ud83d `)))),
  fused: (rows, at) => {
    const next = rows.findIndex((row) => isOfModel(row, "two-4"));
    return joined(rows.with(at, Buffer.concat([rows[at] ?? newline, rows[next] ?? newline])).toSpliced(next, 1));
  },
  other_session: (rows, _at, id) =>
    joined(rows.map((row) => Buffer.from(row.toString().replaceAll(id, "0b000000-0000-4000-8000-000000000001")))),
  byte_order_mark: (rows) => Buffer.concat([Buffer.from("\u{FEFF}"), joined(rows)]),
  crlf: (rows) => Buffer.from(joined(rows).toString().replaceAll("\n", "\r\n")),
  doubled: (rows, at) => joined(rows.toSpliced(at, 0, rows[at] ?? newline)),
  unknown_row: (rows, at) => joined(rows.toSpliced(at, 0, Buffer.from('{"type":"hologram","id":"x"}'))),
  zeros_at_end: (rows) => Buffer.concat([joined(rows), Buffer.alloc(4_096)]),
  empty: () => Buffer.alloc(0),
  huge_row: (rows, at) => joined(rows.with(at, inText(rows[at] ?? newline, Buffer.alloc(hugeBytes, "x")))),
  two_writers: (rows, _at, id) => {
    const from = rows.findIndex((row) => row.includes("fig-5"));
    return joined([...rows, ...byOtherWriter(rows, from, id)]);
  },
};

const hugeBytes = 8_388_608;
const rowId = /[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}/g;

/** Rows from one on, as another process writes them that has not seen those: with ids and words of its own. */
function byOtherWriter(rows: readonly Buffer[], from: number, session: string): Buffer[] {
  const known = new Set([session, ...(rows.slice(0, from).join("\n").match(rowId) ?? [])]);
  return rows.slice(from).map((row) => {
    const own = row.toString().replaceAll(rowId, (one) => (known.has(one) ? one : `ffff${one.slice(4)}`));
    return Buffer.from(
      own.replaceAll("fig-5", "date-7").replaceAll("three-6", "three-8").replaceAll('"msg_', '"msg_w'),
    );
  });
}

type Changing = (session: WrittenSession) => void | Promise<void>;

const ofSecond = "data LIKE '%plum-3%'";
const partWith =
  (data: string): Changing =>
  (session) =>
    session.change(`UPDATE part SET data = ${data} WHERE ${ofSecond}`);

/** The same in a database, each of whose rows holds a text. */
const changing: Readonly<Record<FileDamage, Changing>> = {
  row: (session) => session.change(`DELETE FROM part WHERE ${ofSecond}`),
  end: (session) =>
    session.change("UPDATE part SET data = substr(data, 1, length(data) - 20) WHERE data LIKE '%three-6%'"),
  head: (session) => session.change("DELETE FROM session"),
  not_utf8: partWith(
    "CAST(replace(CAST(data AS BLOB), CAST('plum-3' AS BLOB), x'ff' || CAST('plum-3' AS BLOB)) AS TEXT)",
  ),
  half_character: partWith(String.raw`replace(data, 'plum-3', '\ud83d plum-3')`),
  fused: partWith("data || data"),
  other_session: (session) => session.change(`UPDATE part SET session_id = 'ses_other' WHERE ${ofSecond}`),
  byte_order_mark: partWith("char(65279) || data"),
  crlf: partWith("replace(data, ',\"', ',' || char(13, 10) || '\"')"),
  doubled: (session) =>
    session.change(
      `INSERT INTO part SELECT 'prt_zz' || substr(id, 7), message_id, session_id, time_created, time_updated, data FROM part WHERE ${ofSecond}`,
    ),
  unknown_row: (session) =>
    session.change(
      `INSERT INTO part SELECT 'prt_zz' || substr(id, 7), message_id, session_id, time_created, time_updated, '{"type":"hologram"}' FROM part WHERE ${ofSecond}`,
    ),
  zeros_at_end: (session) => appendFileSync(session.path, Buffer.alloc(4_096)),
  empty: (session) => writeFileSync(session.path, ""),
  huge_row: partWith(`replace(data, 'plum-3', hex(zeroblob(${hugeBytes / 2})) || ' plum-3')`),
  two_writers: async (session) => {
    await Promise.all([
      session.says("the other is date-7", [{ text: "Noted three-8." }]),
      session.says("and another", [{ text: "Noted." }]),
    ]);
  },
};

const words = ["pear-1", "plum-3", "two-4", "fig-5", "three-6"];
const lacks = (request: string, wanted: readonly string[]): boolean => wanted.some((word) => !request.includes(word));
/** No copy has what stood there, or what its client sees no way to. */
const lost: ReadonlySet<FileDamage> = new Set(["row", "end", "empty", "huge_row", "two_writers"]);

/** Words of whole turns that the damage does not touch, and those in front of it. */
async function effectOf(session: WrittenSession, damage: FileDamage): Promise<DamageEffect> {
  const one = await session.says("go on", [{ text: "Gone on." }]);
  // What is written behind a cut row may be lost with it; a client may name a session otherwise from then on.
  const isLate = damage === "end" || damage === "other_session";
  const request = one !== null && isLate ? await session.says("and on", [{ text: "Gone on." }]) : one;
  if (request === null) return "refused";
  if (damage !== "head" && lacks(request, first)) return "cut_off";
  return lacks(request, damage === "two_writers" ? [...words, "date-7", "three-8"] : words) ? "left_out" : "read";
}

/** These start within a second. */
const fast = new Set(["claude-code", "codex"]);
const clients = Object.keys(damageEffects).map((name) => [name, fast.has(name) ? "" : " @night"] as const);

it.each(clients)(
  "%s does with each kind of damage what rescue says of it, and reads the copy that rescue makes%s",
  async (name) => {
    const session = new WrittenSession(name);
    const rows = await session.write();
    const at = rows.findIndex((row) => isOfModel(row, "plum-3"));
    const [version, effects] = effectsOf(name, null) ?? fail(name);
    /** Damages whose copy the client does not read whole. */
    const unread: FileDamage[] = [];
    const seen: Partial<Record<FileDamage, DamageEffect>> = {};
    for (const damage of Object.keys(effects) as FileDamage[]) {
      const damageIt = async (): Promise<void> => {
        if (rows.length > 0) session.replace(damaging[damage](rows, at, session.id));
        else {
          session.restore();
          await changing[damage](session);
        }
      };
      await damageIt();
      seen[damage] = await effectOf(session, damage);
      if (seen[damage] === "read" || lost.has(damage) || rows.length === 0) continue;
      await damageIt();
      const request = await session.saysInCopy();
      const first = damage === "head" ? words.slice(1) : words;
      if (request === null || lacks(request, first)) unread.push(damage);
    }
    expect([session.version, seen, unread]).toEqual([version, effects, []]);
  },
  900_000,
);
