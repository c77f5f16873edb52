import * as fs from "node:fs";
import { appendFileSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import Database from "better-sqlite3";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { filesOf, invented, writeSession, type InventedSession } from "#harness/clients/invented-sessions.ts";
import { aCliHome, failed, holding, printed, type CliHome } from "#harness/machine/cli-home.ts";
import type { CheckedSession } from "#src/contract/machine/stores.ts";
import { parseObject, textAt, type JsonObject } from "#src/shared/json-fields.ts";

const clients = ["claude-code", "codex", "copilot", "qwen", "gemini"];
const dayMs = 86_400_000;

/** Old enough that no chat is in the middle of a row. */
function settle(home: CliHome, path: string, ageMs = dayMs): void {
  fs.utimesSync(path, (home.now - ageMs) / 1_000, (home.now - ageMs) / 1_000);
}

function write(home: CliHome, session: InventedSession, rows = session.rows): string {
  const path = writeSession(home.folder, session, rows);
  settle(home, path);
  return path;
}

function put(path: string, text: string): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return path;
}

/** A home with one whole session, and its file. */
function withOne(client: string, ageMs = dayMs) {
  const home = aCliHome();
  const session = invented(client, home.project);
  const path = write(home, session);
  settle(home, path, ageMs);
  const subagent = join(dirname(path), session.id, "subagents", "agent-a1.jsonl");
  return { home, session, path, subagent, first: `${JSON.stringify(session.rows[0])}\n` };
}

async function check(home: CliHome, options = ""): Promise<CheckedSession[]> {
  return (await home.json(`sessions check ${options}`))["sessions"] as CheckedSession[];
}

it.each(clients)("a whole session of %s is whole: each byte is a row's, or blank", async (client) => {
  const { home, path } = withOne(client);
  const before = filesOf(home);
  const [one] = await check(home);
  const expected = { client, file: path, state: "whole", findings: [], prompts: 1, title: "the word is pear" };
  expect(one).toMatchObject(expected);
  const { rows = 0, damaged, blank = 0 } = one?.read ?? {};
  expect([damaged, rows + blank]).toEqual([0, statSync(path).size]);
  expect([filesOf(home), existsSync(home.paths.database)]).toEqual([before, false]);
});

const breaks: Readonly<Record<string, (bytes: Buffer, at: number) => Buffer>> = {
  "a cut end": (bytes, at) => bytes.subarray(0, Math.max(1, at)),
  zeros: (bytes, at) => Buffer.from(bytes).fill(0, at, Math.min(bytes.length, at + 24)),
  "bytes that are no text": (bytes, at) => Buffer.from(bytes).fill(0xff, at, at + 2),
  "a hole": (bytes, at) => Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.min(bytes.length, at + 40))]),
  "a cut beginning": (bytes, at) => bytes.subarray(Math.max(1, at)),
};

/** A row that could be as its client wrote it. */
function isTimed(row: JsonObject | null): boolean {
  const time = textAt(row, "timestamp");
  return row !== null && (time === null || !Number.isNaN(Date.parse(time)));
}

it("a row whose time is another text has lost a part, and says where", async () => {
  const { home, path } = withOne("claude-code");
  const bytes = readFileSync(path, "utf8");
  writeFileSync(path, bytes.replace(/(?<="timestamp":"2026)-11.*?"sessionId":"/, ""));
  settle(home, path);
  const text = "1 row has another text as its time (the first one in line 1): a part is lost";
  expect(await check(home)).toMatchObject([{ state: "damaged", findings: [{ state: "damaged", text }] }]);
});

it.each(["codex", "copilot", "qwen"])(
  "of %s a result whose call is nowhere shows that a row is missing",
  async (client) => {
    const { home, session, path } = withOne(client);
    const find = async (change: (row: string) => string): Promise<unknown> => {
      writeFileSync(path, session.rows.map((row) => `${change(JSON.stringify(row))}\n`).join(""));
      settle(home, path);
      return (await check(home))[0]?.findings.map(({ text }) => text);
    };
    const isCall = /toolRequests":\[\{|"function_?call"/i;
    const text = expect.stringMatching(/^1 row is missing, which others name \(the first one in line \d\)$/);
    expect(await find((row) => (isCall.test(row) ? row.replace('"c1"', '"c2"') : row))).toEqual([text]);
    // A client that gives calls no ids makes them up for the results.
    if (client === "qwen")
      expect(await find((row) => (isCall.test(row) ? row.replace('"id":"c1",', "") : row))).toEqual([]);
  },
);

it("a secret in the first words is not shown", async () => {
  const { home, path } = withOne("claude-code");
  writeFileSync(path, readFileSync(path, "utf8").replace("the word is pear", "use DB_PASSWORD=sup3rS3cret99x"));
  expect(await check(home)).toMatchObject([{ title: "use DB_PASSWORD=[redacted:password]" }]);
});

it("no damaged session is called whole, and its bytes are all accounted for", async () => {
  const home = aCliHome();
  const damages = fc.record({
    client: fc.constantFrom(...clients.filter((one) => one !== "gemini")),
    name: fc.constantFrom(...Object.keys(breaks)),
    share: fc.double({ min: 0, max: 0.98, noNaN: true }),
  });
  const property = fc.asyncProperty(damages, async ({ client, name, share }) => {
    const path = write(home, invented(client, home.project));
    const bytes = readFileSync(path);
    const broken = breaks[name]?.(bytes, Math.floor(share * bytes.length)) ?? bytes;
    writeFileSync(path, broken);
    settle(home, path);
    const one = (await check(home, `--client ${client}`)).find(({ file }) => file === path);
    const { rows = 0, damaged = 0, blank = 0 } = one?.read ?? {};
    expect(rows + damaged + blank).toBe(broken.length);
    // A cut, or a hole, from one line break to another leaves no trace but in the rows that name others. Nor does
    // a hole within a row that joins to another value.
    const lines = new Set(bytes.toString().split("\n"));
    const isWhole = (line: string): boolean => lines.has(line) || isTimed(parseObject(line));
    const isOfRows = broken.toString().split("\n").every(isWhole);
    if (!isOfRows || !broken.equals(Buffer.from(broken.toString()))) expect(one?.state).toMatch(/damaged/);
  });
  await fc.assert(property, { numRuns: 60 });
});

it("where a damage is, its length and its time are said; a row that is being written now is none", async () => {
  const { home, path, first } = withOne("codex");
  const position = statSync(path).size;
  appendFileSync(path, '{"timestamp":"2026-11-25T10:00:01.000Z","type":"response_it');
  settle(home, path, 1_000);
  expect(await check(home)).toMatchObject([{ state: "whole" }]);
  const torn = readFileSync(path);
  appendFileSync(path, `\n${first}`);
  settle(home, path, 1_000);
  expect(await check(home)).toMatchObject([{ state: "damaged" }]);
  writeFileSync(path, torn);
  settle(home, path);
  const what = `a row is cut: 59 bytes at byte ${position.toLocaleString("en")} (line 10, after 2026-11-25 10:00 UTC)`;
  expect(await home.shim("sessions check")).toMatchObject({ code: 1, out: holding(what, "1 damaged.") });
  expect(await check(home)).toMatchObject([{ findings: [{ state: "damaged", position, bytes: 59 }] }]);
});

it("what its client does not list is invisible, with what shows it", async () => {
  const home = aCliHome();
  const [claude, codex, headless] = ["claude-code", "codex", "codex"].map((client) => invented(client, home.project));
  if (!claude || !codex || !headless) throw new Error("no sessions");
  const printing = claude.rows.map((row) => Object.assign({}, row, { entrypoint: "sdk-cli" }));
  write(home, claude, printing);
  const [head, ...rest] = codex.rows;
  write(home, codex, [{ ...head, payload: { ...(head?.["payload"] as object), source: "exec" } }, ...rest]);
  write(home, headless, headless.rows.slice(1));
  const texts = (await check(home)).map(({ state, findings }) => [state, findings.map(({ text }) => text).join("; ")]);
  expect(texts).toEqual([
    ["invisible", holding("`claude -p`", `claude --resume ${claude.id}`)],
    ["invisible", holding("codex resume --include-non-interactive")],
    ["damaged", holding("its first row, which names the session, is lost")],
  ]);
});

it("of Codex a sub-agent's chat and one with a late first prompt are invisible, and its list of prompts, which may have unsent ones, shows no loss", async () => {
  const { home, session } = withOne("codex");
  const [head, ...rest] = session.rows;
  const payload = head?.["payload"] as JsonObject;
  const text = async (rows: readonly JsonObject[]): Promise<unknown> => {
    write(home, session, rows);
    const [one] = await check(home);
    return [one?.state, one?.findings.map((finding) => finding.text).join("; ")];
  };
  const ofAgent = { ...head, payload: { ...payload, source: { subagent: { other: "review" } } } };
  const ofOther = "Codex does not list it (it is of a sub-agent): the chat that started it has its results";
  expect(await text([ofAgent, ...rest])).toEqual(["invisible", ofOther]);
  const many = Array.from({ length: 400 }, () => ({ ...head, type: "compacted", payload: { message: "so far" } }));
  const late =
    "Codex may not list it (its first prompt stands in its line 404) until `codex exec resume` has opened it once";
  expect(await text([...session.rows.slice(0, 1), ...many, ...rest])).toEqual(["invisible", late]);
  const typed = ["2026", Date.parse("2026-11-25T11:00:00Z") / 1_000].map((ts) => ({ session_id: session.id, ts }));
  const list = put(
    join(home.folder, ".codex", "history.jsonl"),
    typed.map((row) => `${JSON.stringify(row)}\n`).join(""),
  );
  expect(await text(session.rows)).toEqual(["whole", ""]);
  expect((await home.shim("sessions check")).out).toContain(`${list}: 1 prompt, all read`);
});

it("what its client is about to delete is expiring, and --keep copies it with its sub-agents", async () => {
  const { home, session, path, subagent, first } = withOne("claude-code", 25 * dayMs);
  put(subagent, first);
  settle(home, path, 25 * dayMs);
  const text = "deletes it on 2023-11-19 (cleanupPeriodDays 30, as usual)";
  expect(await home.shim("sessions check")).toMatchObject(printed(text, "--keep"));
  const [kept] = await check(home, "--keep");
  expect(kept).toMatchObject({ state: "expiring", subagents: 1, kept: holding(session.id) });
  expect(readFileSync(kept?.kept ?? "")).toEqual(readFileSync(path));
  // What is kept outlives its original.
  fs.rmSync(subagent);
  await check(home, "--keep");
  const keptSubagent = join(dirname(kept?.kept ?? ""), session.id, "subagents", "agent-a1.jsonl");
  expect(readFileSync(keptSubagent, "utf8")).toBe(first);
  await home.shim("sessions import --all");
  expect(await home.shim(`forget ${session.id} --yes`)).toMatchObject({ code: 0 });
  expect(existsSync(kept?.kept ?? "")).toBe(false);
  put(join(home.folder, ".claude", "settings.json"), JSON.stringify({ cleanupPeriodDays: 90 }));
  expect(await check(home)).toMatchObject([{ state: "whole" }]);
});

it("--keep copies each of two files of one name", async () => {
  const { home, path } = withOne("claude-code", 25 * dayMs);
  const other = put(join(dirname(dirname(path)), "other", basename(path)), `${readFileSync(path, "utf8")}\n`);
  settle(home, other, 25 * dayMs);
  const found = await check(home, "--keep");
  expect(found).toHaveLength(2);
  for (const { file, kept } of found) expect(readFileSync(kept ?? "")).toEqual(readFileSync(file));
});

it("backups of files that are gone are counted, and the session is whole all the same", async () => {
  const { home, session, path } = withOne("claude-code");
  const backups = [{ backupFileName: "a1@v1" }, { backupFileName: "b2@v1" }];
  write(home, session, [...session.rows, ...backups.map((backup) => ({ type: "file-history-delta", backup }))]);
  put(join(dirname(dirname(dirname(path))), "file-history", session.id, "a1@v1"), "");
  const text = holding("1 of 2 backups of files are gone");
  expect(await check(home)).toMatchObject([{ state: "whole", findings: [{ state: "whole", text }] }]);
});

it("a prompt of Gemini CLI is what the user said, not the result of a call or the client's context", async () => {
  const { home, session } = withOne("gemini");
  const functionResponse = { id: "c1", response: { output: "one" } };
  const others = [{ functionResponse }, { text: "<session_context>x</session_context>" }];
  const rows = others.map((part, at) => Object.assign({}, session.rows[1], { id: `other-${at}`, content: [part] }));
  write(home, session, [...session.rows, ...rows]);
  expect(await check(home)).toMatchObject([{ state: "whole", prompts: 1 }]);
});

it("Gemini CLI deletes a broken file with all whose names end alike: --keep copies each of them", async () => {
  const { home, path } = withOne("gemini");
  const beside = (end: string): string => join(dirname(path), `session-2026-11-24T09-00-${end}`);
  const broken = put(beside(path.slice(-14)), "no row\n");
  const elsewhere = put(beside("ffffffff.jsonl"), readFileSync(path, "utf8"));
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

it("a damaged or looped sub-agent, rows in a loop, and a session that the API refuses, are found", async () => {
  const { home, session, subagent } = withOne("claude-code");
  const found = async (text: string) => {
    const findings = [{ text: holding(text) }];
    expect(await check(home, "--client claude-code")).toMatchObject([{ state: "damaged", findings }]);
  };
  put(subagent, '{"type":"user","mess');
  await found("sub-agent agent-a1.jsonl: a row is cut");
  expect(await check(home, "--client claude-code")).toMatchObject([{ read: { damaged: 20 } }]);
  const [first] = session.rows;
  put(subagent, `${JSON.stringify({ ...first, parentUuid: first?.["uuid"], isSidechain: true })}\n`);
  await found("agent-a1.jsonl: a row names itself");
  fs.rmSync(subagent);
  const looped = { ...first, parentUuid: session.rows[2]?.["uuid"] };
  write(home, session, [looped, ...session.rows.slice(1)]);
  await found("3 rows name each other in a loop");
  // A row that names a later one is in no loop, and one that leads into a loop makes no second one.
  const into = { ...first, uuid: "5f0e0e5e-0000-4000-8000-00000000000a", parentUuid: session.rows[2]?.["uuid"] };
  write(home, session, [into, ...session.rows]);
  expect(await check(home, "--client claude-code")).toMatchObject([{ state: "whole", findings: [] }]);
  write(home, session, [looped, into, ...session.rows.slice(1)]);
  const findings = [{ text: holding("3 rows name each other in a loop") }];
  expect(await check(home, "--client claude-code")).toMatchObject([{ state: "damaged", findings }]);
  const poisoned = invented("codex", home.project);
  write(home, poisoned, [...poisoned.rows, ...poisoned.refused(1, 400), ...poisoned.refused(2, 400)]);
  expect(await check(home, "--client codex")).toMatchObject([{ state: "poisoned" }]);
});

it("prompts that the client's own list has later than the file show that the end is missing", async () => {
  const { home, session } = withOne("claude-code");
  const typed = (display: string): void => {
    const timestamp = Date.parse("2026-11-25T11:00:00Z");
    const row = { display, pastedContents: {}, timestamp, project: home.project, sessionId: session.id };
    appendFileSync(join(home.folder, ".claude", "history.jsonl"), `${JSON.stringify(row)}\n`);
  };
  for (const command of ["/exit", " exit "]) typed(command);
  expect(await check(home)).toMatchObject([{ state: "whole" }]);
  typed("and now the oars");
  const findings = [{ text: holding("1 later prompt of it, which the file lacks") }];
  expect(await check(home)).toMatchObject([{ state: "damaged", findings }]);
});

it("of two rows with one id the one that Claude Code does not read is a damage, a row that stands twice is none", async () => {
  const { home, session } = withOne("claude-code");
  const { rows } = session;
  write(home, session, [...rows, ...rows.slice(0, 2)]);
  const twice = "2 rows stand twice, which changes nothing";
  expect(await check(home)).toMatchObject([
    { state: "whole", findings: [{ state: "whole", text: twice }], prompts: 1 },
  ]);
  write(home, session, [...rows, { ...rows[1], timestamp: "2026-11-25T10:00:02.000Z" }]);
  const text = holding("a row has the id of another one, and other content", "Claude Code reads the one in line 5");
  expect(await check(home)).toMatchObject([{ state: "damaged", findings: [{ text }] }]);
});

it("a file that cannot be read is named with the reason, and the others are checked", async () => {
  const { home, path, first } = withOne("claude-code");
  mkdirSync(join(dirname(path), "5f0e0e5e-0000-4000-8000-000000000001.jsonl"));
  put(join(dirname(path), "agent-a1.jsonl"), first);
  expect((await check(home)).map(({ state }) => state)).toEqual(["whole", "whole"]);
  const locked = invented("codex", home.project);
  fs.symlinkSync("/proc/self/mem", write(home, locked).replace(locked.id, "5f0e0e5e-0000-4000-8000-000000000002"));
  const loop = write(home, locked).replace(locked.id, "5f0e0e5e-0000-4000-8000-000000000003");
  fs.symlinkSync(loop, loop);
  // A folder of a day, which may have other files, and a link.
  const days = dirname(dirname(loop));
  fs.symlinkSync("09", join(days, "09"));
  fs.symlinkSync("/nowhere", loop.replace(/.{6}$/, "4.jsonl"));
  const what = holding(
    `${join(days, "09")}: it cannot be read (ELOOP)`,
    "it is a link to nothing",
    "4 paths could not be read",
    "1 session: 1 whole",
  );
  expect(await home.shim("sessions check --client codex")).toMatchObject({ code: 1, out: what });
  const notRead = holding("4 could not be read", `${join(days, "09")} (it cannot be read (ELOOP))`);
  expect(await home.shim("sessions import --all --client codex")).toMatchObject({ out: notRead });
});

const openCode = ({ folder }: CliHome): string => join(folder, ".local", "share", "opencode");

function openCodeStore(home: CliHome, sql: string): void {
  mkdirSync(openCode(home), { recursive: true });
  const db = new Database(join(openCode(home), "opencode.db"));
  db.exec(`CREATE TABLE session (id TEXT, parent_id TEXT, directory TEXT, title TEXT, time_updated INTEGER);
    CREATE TABLE message (id TEXT, session_id TEXT, time_created INTEGER, data TEXT);
    CREATE TABLE part (id TEXT, message_id TEXT, session_id TEXT, data TEXT); ${sql}`);
  db.close();
}

it("a database of OpenCode is read session by session, with sub-agents, also where those name each other", async () => {
  const home = aCliHome();
  openCodeStore(
    home,
    `INSERT INTO session VALUES ('ses_1', NULL, '/p', 'paint', 5), ('ses_2', NULL, '/p', 'oars', 6), ('ses_3', 'ses_1', '/p', 'sub', 7),
      ('ses_4', 'ses_3', '/p', 'sub of sub', 8), ('ses_5', 'ses_6', '/p', 'ring', 9), ('ses_6', 'ses_5', '/p', 'ring', 10);
    INSERT INTO message VALUES ('m1', 'ses_1', 1, '{"role":"user"}'), ('m2', 'ses_2', 1, '{"role":"us'), ('m4', 'ses_4', 2, '{"ro');
    INSERT INTO part VALUES ('p1', 'm1', 'ses_1', '{"type":"text","text":"paint"}');`,
  );
  const ofSubagent = { bytes: 4, text: holding("sub-agent ses_4: row m4 of message") };
  const own = { bytes: 11, text: holding("row m2 of message") };
  expect(await check(home, "--client opencode")).toMatchObject([
    { session: "ses_1", state: "damaged", subagents: 2, prompts: 1, findings: [ofSubagent] },
    { session: "ses_2", state: "damaged", findings: [own] },
    { session: "ses_5", state: "whole", subagents: 1 },
  ]);
});

it("what OpenCode 1 kept in folders, and no database has, is invisible and read file by file", async () => {
  const home = aCliHome();
  const keep = (path: string, text: string): string => put(join(openCode(home), "storage", path), text);
  for (const id of ["ses_1", "ses_2", "ses_3"])
    keep(`session/global/${id}.json`, `{"id":"${id}","title":"oars","directory":"/p","time":{"updated":5}}`);
  keep("message/ses_1/msg_1.json", '{"role":"user"}');
  keep("part/msg_1/prt_1.json", '{"type":"text","text":"paint"}');
  keep("message/ses_2/msg_2.json", '{"role":"us');
  keep("message/ses_4/msg_4.json", '{"role":"user"}');
  openCodeStore(home, "INSERT INTO session VALUES ('ses_0', NULL, '/p', '', 5), ('ses_3', 'ses_0', '/p', '', 7);");
  const invisible = { state: "invisible", text: holding("`opencode import` takes it") };
  const cut = { state: "damaged", bytes: 11, position: 0, text: "msg_2.json: 11 bytes that are no JSON" };
  const nameless = { text: "the file that names the session is gone" };
  expect(await check(home, "--client opencode")).toMatchObject([
    { session: "ses_0", state: "whole" },
    { session: "ses_1", state: "invisible", prompts: 1, title: "oars", findings: [invisible], bytes: 112, lines: 3 },
    { session: "ses_2", state: "damaged", findings: [cut, invisible], bytes: 78, read: { rows: 67, damaged: 11 } },
    { session: "ses_4", state: "damaged", findings: [nameless, invisible] },
  ]);
  // The database may have each of them.
  writeFileSync(join(openCode(home), "opencode.db"), "no database");
  expect(await check(home, "--client opencode")).toEqual([]);
});

it("Copilot CLI opens no session whose workspace.yaml is damaged: the check and rescue say so", async () => {
  const { home, session, path } = withOne("copilot");
  const workspace = join(dirname(path), "workspace.yaml");
  put(workspace, `id: ${session.id}\ncwd: ${home.project}\nname: |-\n  the word\n  is pear\n`);
  expect(await check(home)).toMatchObject([{ state: "whole" }]);
  const damages = { "names no session": ["", "cwd: /p\n"], "is no YAML": ["\0", "id: a\ncwd: /p\ncrea"] };
  for (const [why, texts] of Object.entries(damages))
    for (const text of texts) {
      put(workspace, text);
      const findings = [{ text: holding(`${workspace} ${why}`) }];
      expect(await check(home)).toMatchObject([{ state: "damaged", findings }]);
    }
  expect(await home.shim(`rescue ${session.id}`)).toMatchObject(printed("rename that file"));
});

it("import --all adds what clients keep and SHIM has not, and says what it could not read", async () => {
  const home = aCliHome();
  for (const client of clients) write(home, invented(client, home.project));
  writeFileSync(write(home, invented("codex", home.project)), "no row\n");
  const counts = "Of 6 sessions 5 were added, 0 read again, 0 left";
  const first = await home.shim("sessions import --all");
  expect(first).toMatchObject(printed(counts, "1 could not be read", "no row of a client that SHIM knows"));
  expect(await home.shim("sessions import --all --client codex")).toMatchObject(printed("0 were added, 1 read again"));
  expect((await home.shim("sessions")).out.match(/\b(?:died|ended {2}closed with nothing open)\b/g)).toHaveLength(5);
  expect((await home.shim("sessions")).out).not.toContain("died");
  expect(await home.shim("sessions import")).toMatchObject(failed(2, "give a file, or --all."));
});

it("import --all: of two files of one session that with the later end is stored, and the other one is named", async () => {
  for (const name of ["-a", "z"]) {
    const home = aCliHome();
    const session = invented("claude-code", home.project);
    const whole = write(home, session);
    const shorter = put(
      join(dirname(dirname(whole)), name, basename(whole)),
      readFileSync(whole, "utf8").split("\n")[0]!,
    );
    const left = `Left out, since another file of the session goes on for longer: ${shorter}`;
    expect(await home.shim("sessions import --all")).toMatchObject(printed("1 were added, 1 read again", left));
    expect(await home.shim(`resume ${session.id} --print`)).toMatchObject(
      printed("the end of the conversation is there"),
    );
  }
});
