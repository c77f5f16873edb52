import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { damageNames, effectsOf, type DamageEffect, type RowDamage } from "#src/clients/damage-effects.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { aCliHome, addSession, printed, type CliHome, known } from "#harness/machine/cli-home.ts";
import * as breaks from "#harness/clients/invented-sessions.ts";
import { edit, filesOf, invented, lines, refuse, writeSession } from "#harness/clients/invented-sessions.ts";
import type { Break, InventedSession } from "#harness/clients/invented-sessions.ts";

const withRows = ["claude-code", "codex", "copilot", "qwen"];
const clients = [...withRows, "gemini"];

/** A session of a client whose process is gone, with this break in its file. */
function aBroken(client: string, change: Break) {
  const home = aCliHome();
  const session = invented(client, home.project);
  const path = writeSession(home.folder, session);
  known(home, session);
  change(path, session);
  return { home, session, path };
}

type Done = Readonly<{ done: { copy: { session: string; file: string; start: object } } }>;

async function copyOf(home: CliHome, id: string): Promise<Done["done"]["copy"]> {
  return ((await home.json(`rescue ${id} --yes`)) as unknown as Done).done.copy;
}

/** The text of the copy, which is whole. */
async function copied(home: CliHome, client: string, answer: object): Promise<string> {
  const { copy } = (answer as Done).done;
  const text = readFileSync(copy.file, "utf8");
  expect(text).toContain(copy.session.slice(0, 8));
  for (const line of text.trimEnd().split("\n")) expect(typeof JSON.parse(line)).toBe("object");
  addSession(home, { id: copy.session, client, transcriptPath: copy.file, pid: 78 });
  expect(await home.json(`rescue ${copy.session}`)).toMatchObject({ reason: null });
  return text;
}

const lastAnswer = (change: (line: string) => string): Break =>
  edit((all) => all.map((line) => (line.includes("Ran one.") && line.includes('"data"') ? change(line) : line)));
const lostParent = breaks.rows((row, at) => (at === 2 ? { ...row, parentUuid: "lost" } : row));
const noTime = breaks.rows((row, at) => (at === 1 ? { ...row, timestamp: "now" } : row));
const noText = lastAnswer((line) => line.replace('"Ran one."', "null"));
const noId = lastAnswer((line) => line.replace(/"id":"[^"]+","timestamp"/, '"id":"x","timestamp"'));

const cutFirst = edit(([first = "", ...others]) => [first.slice(0, 40), ...others]);
const secondFirst = edit(([first = "", second = "", ...others]) => [second, first, ...others]);

/** A client, what is wrong, the reason, what is offered, and what a copy holds and lacks. */
type Kind = [string, string, change: Break, reason: string, offers: string, holds?: string, lacks?: string];

const kinds: Kind[] = [
  ...withRows.flatMap((client): Kind[] => [
    [client, "prompts refused with 400, 400", refuse(400, 400), "poisoned", "copy brief", "pear", "Ran one."],
    [client, "prompts that are too large", refuse(413, 529, 413), "too_large", "copy brief", "pear", "Ran one."],
    [client, "one refusal", refuse(400), "refused", "brief copy"],
    [client, "a refusal before a limit", refuse(400, 429), "refused", "brief copy"],
  ]),
  ["claude-code", "refusals among failures", refuse(400, 500, 529, 400, 529), "poisoned", "copy brief", "pear"],
  ["claude-code", "a refusal as too large among others", refuse(413, 400, 400), "poisoned", "copy brief", "pear"],
  ["claude-code", "two different refusals", refuse(400, 413), "refused", "brief copy"],
  ...clients.flatMap((client): Kind[] => [
    [client, "a link to nothing", breaks.deadLink, "unreadable", "brief"],
    [client, "zeros instead of rows", breaks.zeroed, "unreadable", "brief"],
    [client, "an empty file", breaks.empty, "unreadable", "brief"],
    [client, "its file is gone", breaks.gone, "deleted", "brief"],
  ]),
  ["claude-code", "a folder instead of it", breaks.folder, "unreadable", "brief"],
  ["qwen", "a row after one that is lost", lostParent, "cut_off", "copy brief", "Ran one.", '"lost"'],
  ["qwen", "a last line that is cut", breaks.cut, "cut_off", "copy brief", "pear", "Ran one."],
  ["copilot", "a prompt without its time", noTime, "unreadable", "copy brief", "Ran one.", "pear"],
  ["copilot", "an answer without text", noText, "unreadable", "copy brief", "pear", "null,"],
  ["copilot", "an event without its id", noId, "unreadable", "copy brief", "pear", "Ran one."],
  ["copilot", "its first row is lost", edit((all) => all.slice(1)), "unreadable", "copy brief", "Ran one."],
  ["copilot", "a first row that is cut", cutFirst, "unreadable", "copy brief", "Ran one."],
];

it.each(kinds)("%s, %s: named, and what works is offered", async (client, _, change, reason, offers, holds, lacks) => {
  const { home, session } = aBroken(client, change);
  const before = filesOf(home);
  const diagnosis = await home.json(`rescue ${session.id}`);
  expect(diagnosis).toMatchObject({ reason, offers: offers.split(" ").map((kind) => ({ kind })) });
  expect(await home.json("rescue")).toEqual(diagnosis);
  expect(filesOf(home)).toEqual(before);
  const done = await home.json(`rescue ${session.id} --yes`);
  // Only files that did not exist were written.
  expect(new Map([...filesOf(home)].filter(([name]) => before.has(name)))).toEqual(before);
  if (holds === undefined) return expect(done).toMatchObject({ start: { kind: "new" } });
  const text = await copied(home, client, done);
  expect(text).toContain(holds);
  for (const absent of [session.id, lacks ?? session.id]) expect(text).not.toContain(absent);
});

const bytes =
  (change: (all: Buffer, session: InventedSession) => Buffer): Break =>
  (path, session) =>
    writeFileSync(path, change(readFileSync(path), session));
const words = (text: string): Break =>
  bytes((all) => Buffer.from(all.toString("latin1").replaceAll("pear", text), "latin1"));
const damagedBy: Readonly<Record<RowDamage, Break>> = {
  not_utf8: words("\xffpear"),
  half_character: words(String.raw`\ud83d pear`),
  byte_order_mark: bytes((all) => Buffer.concat([Buffer.from("\u{FEFF}"), all])),
  fused: edit((all) => all.toSpliced(1, 2, `${all[1]}${all[2]}`)),
  other_session: bytes((all, { id }) =>
    Buffer.from(all.toString().replaceAll(id, "0b000000-0000-4000-8000-000000000001")),
  ),
};
const reasons: Readonly<Record<DamageEffect, string | null>> = {
  read: null,
  left_out: "cut_off",
  cut_off: "cut_off",
  refused: "unreadable",
};
const cells = clients.flatMap((client) =>
  Object.entries(damagedBy).map(([damage, change]) => [client, damage as RowDamage, change] as const),
);

it.each(cells)(
  "%s with %s: rescue says what the client was seen to do, and makes a copy that it reads",
  async (client, damage, change) => {
    const { home, session } = aBroken(client, change);
    const [version, effects] = effectsOf(client, null) ?? ["", null];
    const reason = reasons[effects?.[damage] ?? "read"];
    const diagnosis = await home.json(`rescue ${session.id}`);
    if (reason === null || (reason === "cut_off" && diagnosis["reason"] === null))
      return expect(diagnosis).toMatchObject({ reason: null });
    expect(diagnosis).toMatchObject({ reason, offers: [{ kind: "copy" }, { kind: "brief" }] });
    expect(await home.json(`resume ${session.id}`)).toMatchObject({ start: { kind: "new" } });
    if (!/what stands (?:before|from)/.test(String(diagnosis["why"])))
      expect(diagnosis["why"]).toContain(`which holds ${damageNames[damage]} (seen with ${version})`);
    const text = await copied(home, client, await home.json(`rescue ${session.id} --yes`));
    for (const word of ["pear", "Ran one."]) expect(text).toContain(word);
  },
);

it("the version that wrote a session decides what its client is said to do with it", async () => {
  for (const [clientVersion, reason] of [
    ["0.150.0", "unreadable"],
    ["0.169.0", "unreadable"],
    ["0.171.0", "cut_off"],
    ["0.172.0-alpha.1", "cut_off"],
  ] as const) {
    const { home, session } = aBroken("codex", damagedBy.not_utf8);
    home.runtime.store.write((sql) => sessions.update(sql, session.id, { clientVersion }));
    expect(await home.json(`rescue ${session.id}`)).toMatchObject({ reason });
  }
});

function answerAfterRefusals(path: string, session: InventedSession): void {
  refuse(400, 400)(path, session);
  const answer = lines(path).findLast((line) => line.includes("Ran one.") && !line.includes("event_msg"));
  appendFileSync(path, `${answer?.replace("msg_2", "msg_3").replace(/"messageId":"0/, '"messageId":"1')}\n`);
}

const noCredentials: Break = (path, session) => {
  refuse(400, 400)(path, session);
  edit((all) =>
    all.map((line) => line.replace('"apiErrorStatus"', '"error":"cloud_credential_error","apiErrorStatus"')),
  )(path, session);
};
const noJson = edit((all) => [...all.slice(0, 2), '{"type":', ...all.slice(2)]);
const noCall = edit((all) =>
  all.map((line) => line.replace(/(?<="toolRequests".*)"c1"|(?<="function_call".*)"c1"/, '"c2"')),
);
const zeros: Break = (path) => appendFileSync(path, Buffer.alloc(64));

const harmless: [client: string, what: string, change: Break, lost?: 1][] = [
  ...clients.flatMap((client): typeof harmless => [
    [client, "nothing", () => undefined],
    [client, "a line that is no JSON", noJson, 1],
    [client, "zeros at its end", zeros, 1],
  ]),
  ...clients
    .filter((client) => client !== "qwen")
    .map((client): (typeof harmless)[number] => [client, "a last line that is cut", breaks.cut, 1]),
  ...["codex", "copilot"].map((client): (typeof harmless)[number] => [client, "a call whose row is lost", noCall, 1]),
  ["copilot", "its first row behind another", secondFirst],
  ["claude-code", "credentials of a cloud that were refused twice", noCredentials],
  ["copilot", "a row of an unknown kind", edit((all) => [...all, '{"type":"hologram","id":"x"}'])],
  ...withRows.flatMap((client): typeof harmless => [
    [client, "a limit, met twice", refuse(429, 429)],
    [client, "refusals before an answer", answerAfterRefusals],
  ]),
];

it.each(harmless)("%s with %s: its client continues it, and what is lost is said", async (client, _, change, lost) => {
  const { home, session, path } = aBroken(client, change);
  const offers = [{ kind: "brief" }];
  expect(await home.json(`rescue ${session.id}`)).toMatchObject({ reason: null, offers, file: path });
  const first = lost ? "without what is lost: 1 part of its file is damaged or missing" : "Nothing is wrong with";
  expect(await home.shim(`rescue ${session.id}`)).toMatchObject(printed(first, /its \d+ rows were read/, path));
  if (change === noCall)
    expect(await home.shim(`rescue ${session.id}`)).toMatchObject(printed("1 row is missing, which others"));
  const none = `Nothing was found that stops the newest session of ${home.project}:`;
  expect(await home.shim("rescue")).toMatchObject(printed(none));
});

it.each(withRows)("the copy of a session of %s whose last prompt was refused lacks that alone", async (client) => {
  const { home, session } = aBroken(client, refuse(400));
  const call = ["call", "recovery.rescue", `session=${session.id}`, `folder=${home.project}`, "offer=copy"];
  const { copy } = (await home.shim("", ...call)).json() as unknown as Done["done"];
  const text = readFileSync(copy.file, "utf8");
  expect([text.includes("Ran one."), text.includes("refused 0")]).toEqual([true, false]);
});

const thinking = { type: "thinking", thinking: "hm", signature: "old" };
const reasoning = { type: "reasoning", encrypted_content: "old" };

it.each([
  ["claude-code", { type: "assistant", uuid: "t", message: { id: "msg_0", content: [thinking] } }],
  ["codex", { timestamp: "2026-11-25T10:00:00.000Z", type: "response_item", payload: reasoning }],
])("the copy of a poisoned session of %s has no thoughts of its model", async (client, thought) => {
  const home = aCliHome();
  const session = invented(client, home.project);
  const [first = {}, second = {}, ...others] = session.rows;
  const next = client === "codex" ? second : { ...second, parentUuid: "t" };
  const refused = [...session.refused(1, 400), ...session.refused(2, 400)];
  const rows = [first, { ...thought, parentUuid: first["uuid"] }, next, ...others, ...refused];
  writeSession(home.folder, session, rows);
  known(home, session);
  const text = await copied(home, client, await home.json(`rescue ${session.id} --yes`));
  for (const absent of ['"old"', '"t"']) expect(text).not.toContain(absent);
  expect(text).toContain("pear");
});

it.each(["claude-code", "qwen"])("a session of %s whose folder is gone continues as a copy here", async (client) => {
  const home = aCliHome();
  const old = join(home.folder, "old-name");
  const session = invented(client, old);
  const transcriptPath = writeSession(home.folder, session);
  addSession(home, { id: session.id, client, pid: 77, project: old, transcriptPath });
  const offers = [{ kind: "copy" }, { kind: "brief" }];
  const expected = { reason: "invisible", why: `its folder ${old} is gone`, offers };
  expect(await home.json(`rescue ${session.id}`)).toMatchObject(expected);
  const { file, start } = await copyOf(home, session.id);
  expect(file).toContain(home.project.replaceAll(/[^a-zA-Z0-9]/g, "-"));
  expect(start).toMatchObject({ cwd: home.project });
  expect(readFileSync(file, "utf8")).not.toContain(JSON.stringify(old));
});

type Row = Record<string, unknown> & { uuid?: string | undefined; parentUuid?: string | null };
type TreeBreak = (rows: Row[], home: CliHome) => (Row | string)[];

const uuidOf = (number: number | string): string => `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`;
const joined = (...rows: readonly unknown[]): string => rows.map((row) => JSON.stringify(row)).join("");
const at = (minute: number, second = 0) => ({ timestamp: `2026-11-25T10:0${minute}:0${second}.000Z` });
const user = (content: string) => ({ type: "user", message: { role: "user", content } });
const prompts = [0, 1, 2, 3].map((number) => `prompt ${number}`);

function said(number: number): Row {
  const answer = { id: `msg_${number}`, role: "assistant", model: "m", content: [{ type: "text", text: "Done." }] };
  return number % 2 === 0 ? user(`prompt ${number / 2}`) : { type: "assistant", message: answer };
}

/** Four prompts of Claude Code with an answer each, rows 0 to 7, a minute apart. */
function eightRows(sessionId: string, cwd: string): Row[] {
  return [0, 1, 2, 3, 4, 5, 6, 7].map((number) => {
    const parentUuid = number === 0 ? null : uuidOf(number - 1);
    const link = { parentUuid, isSidechain: false, uuid: uuidOf(number), ...at(number) };
    return Object.assign(said(number), link, { sessionId, cwd, version: "2.1.328" });
  });
}

const withParents =
  (changed: Readonly<Record<number, number | string>>): TreeBreak =>
  (rows) =>
    rows.map((row, index) => (index in changed ? { ...row, parentUuid: uuidOf(changed[index] ?? "") } : row));
/** Rows after the first ones, and of these some with other parents. */
const between =
  (count: number, rows: readonly Row[], parents: Readonly<Record<number, number | string>>): TreeBreak =>
  (all, home) => [...all.slice(0, count), ...rows, ...withParents(parents)(all, home).slice(count)];

const checkpoint: Row = { type: "last-prompt", lastPrompt: "x", leafUuid: uuidOf(5) };
const progress: Row = { type: "progress", uuid: uuidOf(40), parentUuid: uuidOf(3), ...at(3), isSidechain: false };
const aside = (isSidechain: boolean): Row => {
  return { ...user("look into it"), uuid: uuidOf(50), parentUuid: uuidOf("lost"), isSidechain, ...at(8) };
};
/** They end a turn, or reject a call, of rows that stand elsewhere. */
const rowsOfOther = (type: string): Row[] => {
  const first = { ...user(""), type, uuid: uuidOf(50), parentUuid: uuidOf("lost"), ...at(0) };
  const second = { ...user("[Request interrupted by user for tool use]"), type, parentUuid: uuidOf(50), ...at(0) };
  return [
    { ...first, toolUseResult: "User rejected tool use" },
    { ...second, uuid: uuidOf(51) },
  ];
};
const compacted: Row[] = [
  { type: "system", subtype: "compact_boundary", uuid: uuidOf(60), parentUuid: null, ...at(3, 3) },
  { ...user("What was done so far."), isCompactSummary: true, uuid: uuidOf(61), parentUuid: uuidOf(60), ...at(3, 4) },
];

function aBrokenTree(change: TreeBreak) {
  const home = aCliHome();
  const session = invented("claude-code", home.project);
  const path = writeSession(home.folder, session, []);
  const rows = change(eightRows(session.id, home.project), home);
  writeFileSync(path, rows.map((row) => `${typeof row === "string" ? row : JSON.stringify(row)}\n`).join(""));
  known(home, session);
  return { home, id: session.id, path };
}

const everyParent = { 1: "a", 2: "b", 3: "c", 4: "d", 5: "e", 6: "f", 7: "0a" };
const cutBefore: TreeBreak = (all) => all.toSpliced(3, 2, `${joined(all[3]).slice(0, 150)}${joined(all[4])}` as never);
const noParents: TreeBreak = (rows) => rows.map(({ parentUuid: _parent, ...row }) => row);
const promptWithoutId: TreeBreak = (rows) => rows.map((row, at) => (at === 4 ? { ...row, uuid: undefined } : row));

/** As seen with the real Claude Code 2.1.197 and 2.1.328: what is broken, why, and a prompt that the copy lacks. */
const damages: [what: string, change: TreeBreak, why: string, lacks?: string][] = [
  ["a parent that was never written", withParents({ 4: "lost" }), "what stands before its line 5"],
  ["two such parents", withParents({ 2: "lost", 6: "gone" }), "what stands before its line 7"],
  ["such a parent in each row", withParents(everyParent), "its line 8"],
  ["a loop", withParents({ 2: 5 }), "what stands before its line 3"],
  ["a row that names itself", withParents({ 4: 4 }), "what stands before its line 5"],
  ["a lost prompt", (rows) => rows.toSpliced(4, 1), "what stands before its line 5", "prompt 2"],
  ["two rows in one line", (rows) => rows.toSpliced(3, 2, joined(rows[3], rows[4]) as never), "before its line 5"],
  ["a cut row before a whole one", cutBefore, "before its line 5"],
  ["the last two rows in one line", (rows) => [...rows.slice(0, 6), joined(rows[6], rows[7])], "in its line 7"],
  ["no parents at all", noParents, "what stands before its line 8"],
  ["a prompt without its id", promptWithoutId, "before its line 6"],
  ["a row that says less than the client wrote down", between(6, [checkpoint], { 6: "lost" }), "from its line 8 on"],
  ["a parent that only a later row has", (rows, home) => [...withParents({ 4: 40 })(rows, home), progress], "line 5"],
  ["such a parent behind a compaction", between(4, compacted, { 4: 61, 6: "lost" }), "what stands before its line 9"],
];

/** Prompts that are found from the last row, each by the row after it, whatever their order. */
function promptsFound(file: string): string[] {
  const lines = readFileSync(file, "utf8").trimEnd().split("\n");
  const rows = lines.map((line) => JSON.parse(line) as Row);
  const byId = new Map(rows.map((row) => [row.uuid, row]));
  const found = new Set<Row>();
  const last = rows.findLast(({ type }) => type === "user" || type === "assistant");
  for (let row = last; row && !found.has(row); row = byId.get(row.parentUuid ?? "")) found.add(row);
  return [...found].flatMap(({ message }) => (message as { content?: unknown } | undefined)?.content ?? []) as string[];
}

it.each(damages)("%s: cut off, and each prompt is found in the copy", async (what, change, why, lacks) => {
  const { home, id, path } = aBrokenTree(change);
  const before = filesOf(home);
  const diagnosis = await home.json(`rescue ${id}`);
  expect(diagnosis).toMatchObject({ reason: "cut_off", file: path, offers: [{ kind: "copy" }, { kind: "brief" }] });
  expect(diagnosis["why"]).toContain(why);
  const { session, file } = await copyOf(home, id);
  expect(new Map([...filesOf(home)].filter(([name]) => before.has(name)))).toEqual(before);
  const found = promptsFound(file);
  const isCompacted = what.includes("compaction");
  const wanted = (isCompacted ? prompts.slice(2) : prompts).filter((prompt) => prompt !== lacks);
  expect(found.filter((text) => prompts.includes(text)).toReversed()).toEqual(wanted);
  if (isCompacted) expect(found).toContain("What was done so far.");
  addSession(home, { id: session, client: "claude-code", transcriptPath: file, pid: 78 });
  expect(await home.json(`rescue ${session}`)).toMatchObject({ reason: null });
});

const withoutIds: Row[] = [{ type: "summary", summary: "x", leafUuid: uuidOf(9) }, { type: "file-history-snapshot" }];
const soon: TreeBreak = (rows, home) =>
  withParents({ 4: "lost" })(rows, home).map((row, index) => Object.assign(row as Row, at(0, index)));

/** What is unusual and no damage, and the prompts that Claude Code sends. */
const unusual: [what: string, change: TreeBreak, sends: string][] = [
  ["nothing", (rows) => rows, "each of the conversation names one that is there, and Claude Code sends all 4 prompts"],
  ["parents that stand later in the file", ([a, b, c, ...rest]) => [c!, b!, a!, ...rest], "all 4"],
  [
    "a parent that is lost within five seconds",
    soon,
    "1 row is missing, which others name (the first one in line 5), and Claude Code sends all 4 prompts",
  ],
  ["a row of a sub-agent at the end whose parent is lost", (rows) => [...rows, aside(true)], "all 4"],
  ["progress between two rows", between(4, [progress], { 4: 40 }), "all 4"],
  ["rows that stand twice", (rows) => [...rows.slice(0, 5), rows[2]!, ...rows.slice(5), rows[3]!], "all 4"],
  ["rows without an id", (rows) => [...withoutIds, ...rows], "all 4"],
  ["a parent that is lost, in a prompt that was edited", between(2, [aside(false)], {}), "1 row is missing, which"],
  ["an edited prompt", withParents({ 4: 1 }), "3 of 4 prompts (the others stand before a compaction, or"],
  ["a compaction", between(4, compacted, { 4: 61 }), "2 of 4 prompts"],
  ["a first row that names one of another file", withParents({ 0: "other" }), "1 row is missing, which"],
  [
    "the client's row first, after one of another file",
    between(0, rowsOfOther("system"), { 0: 51 }),
    "1 row is missing",
  ],
  ["a rejected plan of the session before", between(0, rowsOfOther("user"), {}), "all 4"],
  ["a checkpoint before the last turn", between(6, [checkpoint], {}), "all 4"],
];

it.each(unusual)("%s: nothing that stops its client", async (_, change, sends) => {
  const { home, id } = aBrokenTree(change);
  expect(await home.json(`rescue ${id}`)).toMatchObject({ reason: null, why: expect.stringContaining(sends) });
  const first = sends.startsWith("1 row") ? "can be continued without what is lost" : "Nothing is wrong with";
  expect(await home.shim(`rescue ${id}`)).toMatchObject(printed(first, sends));
});

it("thousands of rows that name themselves, the next one or none are linked again", async () => {
  const count = 6_000;
  const { home, id } = aBrokenTree(([first]) =>
    Array.from({ length: count }, (_, n) => {
      const parentUuid = uuidOf([n, n + 1, 900_000 + n][n % 3] ?? 0);
      const timestamp = new Date(1_795_000_000_000 + n * 60_000).toISOString();
      return { ...first, uuid: uuidOf(n), parentUuid, timestamp };
    }),
  );
  expect(await home.json(`rescue ${id}`)).toMatchObject({ reason: "cut_off" });
  expect(promptsFound((await copyOf(home, id)).file)).toHaveLength((count / 3) * 2);
});
