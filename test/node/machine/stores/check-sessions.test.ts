import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import Database from "better-sqlite3";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { invented, writeSession, type InventedSession } from "#harness/clients/broken-sessions.ts";
import { filesOf } from "#harness/clients/breaks.ts";
import { aCliHome, failed, holding, printed, type CliHome } from "#harness/machine/cli-home.ts";
import type { CheckedSession } from "#src/contract/machine/stores.ts";

const clients = ["claude-code", "codex", "copilot", "qwen", "gemini"];
const dayMs = 86_400_000;

/** Old enough that no chat is in the middle of a row. */
function settle(home: CliHome, path: string, ageMs = dayMs): void {
  const at = (home.now - ageMs) / 1_000;
  utimesSync(path, at, at);
}

function write(home: CliHome, session: InventedSession, rows = session.rows): string {
  const path = writeSession(home.folder, session, rows);
  settle(home, path);
  return path;
}

async function check(home: CliHome, options = ""): Promise<CheckedSession[]> {
  const { out } = await home.shim(`sessions check --json ${options}`);
  return (JSON.parse(out) as { readonly sessions: CheckedSession[] }).sessions;
}

it.each(clients)("a whole session of %s is whole: each byte is a row's, or blank", async (client) => {
  const home = aCliHome();
  const path = write(home, invented(client, home.project));
  const before = filesOf(home);
  const [one] = await check(home);
  expect(one).toMatchObject({
    client,
    file: path,
    state: "whole",
    findings: [],
    prompts: 1,
    title: "the word is pear",
  });
  const { rows, damaged, blank } = one?.read ?? { rows: 0, damaged: 0, blank: 0 };
  expect({ damaged, all: rows + blank }).toEqual({ damaged: 0, all: statSync(path).size });
  expect(filesOf(home)).toEqual(before);
  expect(existsSync(home.paths.database)).toBe(false);
});

const breaks: Readonly<Record<string, (bytes: Buffer, at: number) => Buffer>> = {
  "a cut end": (bytes, at) => bytes.subarray(0, Math.max(1, at)),
  zeros: (bytes, at) => Buffer.from(bytes).fill(0, at, Math.min(bytes.length, at + 24)),
  "bytes that are no text": (bytes, at) => Buffer.from(bytes).fill(0xff, at, at + 2),
  "a hole": (bytes, at) => Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.min(bytes.length, at + 40))]),
  "a cut beginning": (bytes, at) => bytes.subarray(Math.max(1, at)),
};

it("no damaged session is called whole, and its bytes are all accounted for", async () => {
  const home = aCliHome();
  const damages = fc.record({
    client: fc.constantFrom(...clients.filter((one) => one !== "gemini")),
    name: fc.constantFrom(...Object.keys(breaks)),
    share: fc.double({ min: 0, max: 0.98, noNaN: true }),
  });
  await fc.assert(
    fc.asyncProperty(damages, async ({ client, name, share }) => {
      const session = invented(client, home.project);
      const path = write(home, session);
      const bytes = readFileSync(path);
      const broken = breaks[name]?.(bytes, Math.floor(share * bytes.length)) ?? bytes;
      writeFileSync(path, broken);
      settle(home, path);
      const found = await check(home, `--client ${client}`);
      const one = found.find(({ file }) => file === path);
      const { rows = 0, damaged = 0, blank = 0 } = one?.read ?? {};
      expect(rows + damaged + blank).toBe(broken.length);
      // A cut, or a hole, from one line break to another leaves no trace but in the rows that name others.
      const isOfRows = broken.equals(Buffer.from(broken.toString())) && isRows(broken, bytes);
      if (!isOfRows) expect(one?.state).toMatch(/damaged/);
    }),
    { numRuns: 60 },
  );
});

/** Whether each line is one that was written. */
function isRows(broken: Buffer, whole: Buffer): boolean {
  const lines = new Set(whole.toString().split("\n"));
  return broken
    .toString()
    .split("\n")
    .every((line) => lines.has(line));
}

it("the place, the length and the time of a damage are said", async () => {
  const home = aCliHome();
  const session = invented("codex", home.project);
  const path = write(home, session);
  appendFileSync(path, '{"timestamp":"2026-11-25T10:00:01.000Z","type":"response_it');
  settle(home, path);
  const position = statSync(path).size - 59;
  const ran = await home.shim("sessions check");
  expect(ran.code).toBe(1);
  expect(ran.out).toContain(
    `a row is cut: 59 bytes at byte ${position.toLocaleString("en")} (line 9, after 2026-11-25 10:00 UTC)`,
  );
  expect(ran.out).toContain("1 session: 0 whole, 0 expiring, 0 invisible, 0 poisoned, 1 damaged.");
  expect(await check(home)).toMatchObject([{ findings: [{ state: "damaged", position, bytes: 59 }] }]);
});

it("a row that is being written now is no damage", async () => {
  const home = aCliHome();
  const path = write(home, invented("codex", home.project));
  appendFileSync(path, '{"timestamp":');
  settle(home, path, 1_000);
  expect(await check(home)).toMatchObject([{ state: "whole" }]);
});

it("what its client does not list is invisible, with what shows it", async () => {
  const home = aCliHome();
  const claude = invented("claude-code", home.project);
  write(
    home,
    claude,
    claude.rows.map((row) => Object.assign({}, row, { entrypoint: "sdk-cli" })),
  );
  const codex = invented("codex", home.project);
  const [head, ...rest] = codex.rows;
  write(home, codex, [{ ...head, payload: { ...(head?.["payload"] as object), source: "exec" } }, ...rest]);
  const headless = invented("codex", home.project);
  write(home, headless, headless.rows.slice(1));
  const texts = (await check(home)).map(({ state, findings }) => [state, findings.map(({ text }) => text).join("; ")]);
  expect(texts).toEqual([
    ["invisible", holding("`claude -p`", `claude --resume ${claude.id}`)],
    ["invisible", holding("codex resume --include-non-interactive")],
    ["damaged", holding("its first row, which names the session, is lost")],
  ]);
});

it("what its client is about to delete is expiring, and --keep copies it with its sub-agents", async () => {
  const home = aCliHome();
  const session = invented("claude-code", home.project);
  const path = write(home, session);
  const subagent = join(dirname(path), session.id, "subagents", "agent-a1.jsonl");
  mkdirSync(dirname(subagent), { recursive: true });
  writeFileSync(subagent, `${JSON.stringify(session.rows[0])}\n`);
  settle(home, path, 25 * dayMs);
  expect(await home.shim("sessions check")).toMatchObject(
    printed("deletes it on 2023-11-19 (cleanupPeriodDays 30, as usual)", "--keep"),
  );
  const [kept] = await check(home, "--keep");
  expect(kept).toMatchObject({ state: "expiring", subagents: 1, kept: holding(session.id) });
  expect(readFileSync(kept?.kept ?? "")).toEqual(readFileSync(path));
  const keptSubagent = join(dirname(kept?.kept ?? ""), session.id, "subagents", "agent-a1.jsonl");
  expect(existsSync(keptSubagent)).toBe(true);
  rmSync(subagent);
  await check(home, "--keep");
  expect(readFileSync(keptSubagent, "utf8")).toBe(`${JSON.stringify(session.rows[0])}\n`);
  await home.shim("sessions import --all");
  expect(await home.shim(`forget ${session.id} --yes`)).toMatchObject({ code: 0 });
  expect(existsSync(kept?.kept ?? "")).toBe(false);
  writeFileSync(join(home.folder, ".claude", "settings.json"), JSON.stringify({ cleanupPeriodDays: 90 }));
  expect(await check(home)).toMatchObject([{ state: "whole" }]);
});

it("Gemini CLI deletes a broken file with all whose names end alike: --keep copies each of them", async () => {
  const home = aCliHome();
  const session = invented("gemini", home.project);
  const path = write(home, session);
  const [broken, elsewhere] = [
    join(dirname(path), `session-2026-11-24T09-00-${path.slice(-14)}`),
    join(dirname(path), "session-2026-11-24T09-00-ffffffff.jsonl"),
  ];
  writeFileSync(broken, "no row\n");
  writeFileSync(elsewhere, readFileSync(path));
  const found = await check(home, "--keep");
  expect(Object.fromEntries(found.map(({ file, findings }) => [file, findings.map(({ state }) => state)]))).toEqual({
    [broken]: ["damaged", "damaged", "expiring"],
    [elsewhere]: [],
    [path]: ["expiring"],
  });
  const whole = found.find(({ file }) => file === path);
  expect(whole?.findings[0]?.text).toContain(`deletes it together with ${basename(broken)}`);
  for (const { file, kept } of found)
    expect(kept === null ? null : readFileSync(kept)).toEqual(file === elsewhere ? null : readFileSync(file));
});

it("a damaged sub-agent, and one that the API refuses, are found", async () => {
  const home = aCliHome();
  const session = invented("claude-code", home.project);
  const path = write(home, session);
  const subagent = join(dirname(path), session.id, "subagents", "agent-a1.jsonl");
  mkdirSync(dirname(subagent), { recursive: true });
  writeFileSync(subagent, '{"type":"user","mess');
  expect(await check(home)).toMatchObject([
    { state: "damaged", findings: [{ file: subagent, text: holding("sub-agent agent-a1.jsonl: a row is cut") }] },
  ]);
  const poisoned = invented("codex", home.project);
  write(home, poisoned, [...poisoned.rows, ...poisoned.refused(1, 400), ...poisoned.refused(2, 400)]);
  expect(await check(home, "--client codex")).toMatchObject([{ state: "poisoned" }]);
});

it("rows that name each other in a loop are a damage, also in a sub-agent", async () => {
  const home = aCliHome();
  const { rows, ...session } = invented("claude-code", home.project);
  const looped = rows.map((row, at) => (at === 0 ? { ...row, parentUuid: rows[2]?.["uuid"] } : row));
  const path = write(home, { ...session, rows }, looped);
  const text = `3 rows name each other in a loop: ${Buffer.byteLength(JSON.stringify(looped[0]))} bytes at byte 0 (line 1)`;
  expect(await check(home)).toMatchObject([{ state: "damaged", findings: [{ text: holding(text), position: 0 }] }]);
  write(home, { ...session, rows });
  const subagent = join(dirname(path), session.id, "subagents", "agent-a1.jsonl");
  mkdirSync(dirname(subagent), { recursive: true });
  writeFileSync(subagent, `${JSON.stringify({ ...rows[0], parentUuid: rows[0]?.["uuid"], isSidechain: true })}\n`);
  expect(await check(home)).toMatchObject([
    { state: "damaged", findings: [{ file: subagent, text: holding("agent-a1.jsonl: a row names itself") }] },
  ]);
});

it("a file that cannot be read is named with the reason, and the others are checked", async () => {
  const home = aCliHome();
  const session = invented("claude-code", home.project);
  const path = write(home, session);
  mkdirSync(join(dirname(path), "5f0e0e5e-0000-4000-8000-000000000001.jsonl"));
  writeFileSync(join(dirname(path), "agent-a1.jsonl"), `${JSON.stringify(session.rows[0])}\n`);
  const found = await check(home);
  expect(found.map(({ session: id, state }) => [id, state])).toEqual([
    [session.id, "whole"],
    ["agent-a1", "whole"],
  ]);
  const locked = invented("codex", home.project);
  symlinkSync("/proc/self/mem", write(home, locked).replace(locked.id, "5f0e0e5e-0000-4000-8000-000000000002"));
  const ran = await home.shim("sessions check --client codex");
  expect(ran).toMatchObject({ code: 1, out: holding("not read", "it cannot be read (E", "1 file could not be read") });
  expect(ran.out).toContain("1 session: 1 whole");
});

it("a database of OpenCode is read session by session", async () => {
  const home = aCliHome();
  const folder = join(home.folder, ".local", "share", "opencode");
  mkdirSync(folder, { recursive: true });
  const db = new Database(join(folder, "opencode.db"));
  db.exec(`CREATE TABLE session (id TEXT, parent_id TEXT, directory TEXT, title TEXT, time_updated INTEGER);
    CREATE TABLE message (id TEXT, session_id TEXT, time_created INTEGER, data TEXT);
    CREATE TABLE part (id TEXT, message_id TEXT, session_id TEXT, data TEXT);
    INSERT INTO session VALUES ('ses_1', NULL, '/p', 'paint', 5), ('ses_2', NULL, '/p', 'oars', 6), ('ses_3', 'ses_1', '/p', 'sub', 7),
      ('ses_4', 'ses_3', '/p', 'sub of sub', 8), ('ses_5', 'ses_6', '/p', 'ring', 9), ('ses_6', 'ses_5', '/p', 'ring', 10);
    INSERT INTO message VALUES ('m1', 'ses_1', 1, '{"role":"user"}'), ('m2', 'ses_2', 1, '{"role":"us'), ('m3', 'ses_4', 1, '{"role":"user"}'),
      ('m4', 'ses_4', 2, '{"ro');
    INSERT INTO part VALUES ('p1', 'm1', 'ses_1', '{"type":"text","text":"paint"}');`);
  db.close();
  expect(await check(home, "--client opencode")).toMatchObject([
    {
      session: "ses_1",
      state: "damaged",
      subagents: 2,
      prompts: 1,
      lines: 4,
      findings: [{ bytes: 4, text: holding("sub-agent ses_4: row m4 of message") }],
    },
    { session: "ses_2", state: "damaged", findings: [{ bytes: 11, text: holding("row m2 of message") }] },
    { session: "ses_5", state: "whole", subagents: 1 },
  ]);
});

it("what OpenCode 1 kept in folders, and no database has, is invisible and read file by file", async () => {
  const home = aCliHome();
  const root = join(home.folder, ".local", "share", "opencode");
  const put = (path: string, text: string): void => {
    mkdirSync(dirname(join(root, "storage", path)), { recursive: true });
    writeFileSync(join(root, "storage", path), text);
  };
  for (const id of ["ses_1", "ses_2", "ses_3"])
    put(`session/global/${id}.json`, `{"id":"${id}","title":"oars","directory":"/p","time":{"updated":5}}`);
  put("message/ses_1/msg_1.json", '{"role":"user"}');
  put("part/msg_1/prt_1.json", '{"type":"text","text":"paint"}');
  put("message/ses_2/msg_2.json", '{"role":"us');
  put("message/ses_4/msg_4.json", '{"role":"user"}');
  const db = new Database(join(root, "opencode.db"));
  db.exec(`CREATE TABLE session (id TEXT, parent_id TEXT, directory TEXT, title TEXT, time_updated INTEGER);
    CREATE TABLE message (id TEXT, session_id TEXT, time_created INTEGER, data TEXT);
    INSERT INTO session VALUES ('ses_0', NULL, '/p', 'paint', 5), ('ses_3', 'ses_0', '/p', 'sub', 7);`);
  db.close();
  const invisible = { state: "invisible", text: holding("`opencode import` takes it") };
  const cut = { state: "damaged", bytes: 11, position: 0, text: "msg_2.json: 11 bytes that are no JSON" };
  expect(await check(home, "--client opencode")).toMatchObject([
    { session: "ses_0", state: "whole" },
    { session: "ses_1", state: "invisible", prompts: 1, lines: 3, title: "oars", findings: [invisible] },
    { session: "ses_2", state: "damaged", findings: [{ ...cut, file: holding("msg_2.json") }, invisible] },
    { session: "ses_4", state: "damaged", findings: [{ text: "the file that names the session is gone" }, invisible] },
  ]);
});

it.each([
  ["empty", "", "names no session"],
  ["of zeros", "\0".repeat(80), "is no YAML"],
  ["cut within a key", "id: a\ncwd: /p\ncrea", "is no YAML"],
  ["without an id", "cwd: /p\n", "names no session"],
])("Copilot CLI opens no session whose workspace.yaml is %s: the check and rescue say so", async (_, text, why) => {
  const home = aCliHome();
  const session = invented("copilot", home.project);
  const workspace = join(dirname(write(home, session)), "workspace.yaml");
  writeFileSync(workspace, `id: ${session.id}\ncwd: ${home.project}\nname: |-\n  the word\n  is pear\n`);
  expect(await check(home)).toMatchObject([{ state: "whole" }]);
  writeFileSync(workspace, text);
  expect(await check(home)).toMatchObject([{ state: "damaged", findings: [{ text: holding(`${workspace} ${why}`) }] }]);
  const rescued = await home.shim(`rescue ${session.id}`);
  expect(rescued.out).toContain("rename that file, which takes it out of the way");
});

it("import --all adds what clients keep and SHIM has not, and says what it could not read", async () => {
  const home = aCliHome();
  for (const client of clients) write(home, invented(client, home.project));
  const broken = invented("codex", home.project);
  writeFileSync(write(home, broken), "no row\n");
  expect(await home.shim("sessions import --all")).toMatchObject(
    printed("Of 6 sessions 5 were added, 0 read again, 0 left", "1 could not be read", "not a transcript of a client"),
  );
  expect(await home.shim("sessions import --all --client codex")).toMatchObject(printed("0 were added, 1 read again"));
  expect(await home.shim("sessions import")).toMatchObject(failed(2, "give a file, or --all."));
});
