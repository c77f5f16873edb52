import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { aCliHome, addSession, printed, type CliHome } from "#harness/machine/cli-home.ts";
import * as breaks from "#harness/clients/invented-sessions.ts";
import {
  cut,
  edit,
  filesOf,
  folder,
  invented,
  known,
  lines,
  refuse,
  writeSession,
  type Break,
  type InventedSession,
} from "#harness/clients/invented-sessions.ts";

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

interface Done {
  readonly done: { readonly copy: { readonly session: string; readonly file: string; readonly start: object } };
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

/** A client, what is wrong, the reason, what is offered, and what a copy holds and lacks. */
type Kind = [
  client: string,
  what: string,
  change: Break,
  reason: string,
  offers: string,
  holds?: string,
  lacks?: string,
];

const kinds: Kind[] = [
  ...withRows.flatMap((client): Kind[] => [
    [client, "prompts refused with 400, 400", refuse(400, 400), "poisoned", "copy brief", "pear", "Ran one."],
    [
      client,
      "prompts refused with 413, 529, 413",
      refuse(413, 529, 413),
      "too_large",
      "copy brief",
      "pear",
      "Ran one.",
    ],
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
  ["claude-code", "a folder instead of it", folder, "unreadable", "brief"],
  ["qwen", "a row after one that is lost", lostParent, "cut_off", "copy brief", "Ran one.", '"lost"'],
  ["qwen", "a last line that is cut", cut, "cut_off", "copy brief", "pear", "Ran one."],
  ["copilot", "a prompt without its time", noTime, "unreadable", "copy brief", "Ran one.", "pear"],
  ["copilot", "an answer without text", noText, "unreadable", "copy brief", "pear", "null,"],
  ["copilot", "an event without its id", noId, "unreadable", "copy brief", "pear", "Ran one."],
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

function answerAfterRefusals(path: string, session: InventedSession): void {
  refuse(400, 400)(path, session);
  const answer = lines(path).findLast((line) => line.includes("Ran one.") && !line.includes("event_msg"));
  appendFileSync(path, `${answer?.replace("msg_2", "msg_3").replace(/"messageId":"0/, '"messageId":"1')}\n`);
}

const noJson = edit((all) => [...all.slice(0, 2), '{"type":', ...all.slice(2)]);
const zeros: Break = (path) => appendFileSync(path, Buffer.alloc(64));

const harmless: [client: string, what: string, change: Break, lost?: 1][] = [
  ...clients.flatMap((client): typeof harmless => [
    [client, "nothing", () => undefined],
    [client, "a line that is no JSON", noJson, 1],
    [client, "zeros at its end", zeros, 1],
  ]),
  ...clients
    .filter((client) => client !== "qwen")
    .map((client): (typeof harmless)[number] => [client, "a last line that is cut", cut, 1]),
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
  const first = lost ? "without what is lost: 1 part of its file holds no row" : "Nothing is wrong with";
  expect(await home.shim(`rescue ${session.id}`)).toMatchObject(printed(first, /its \d+ rows were read/, path));
  const none = `Nothing was found that stops the newest session of ${home.project}:`;
  expect(await home.shim("rescue")).toMatchObject(printed(none));
});

it.each(withRows)(
  "the copy of a session of %s whose last prompt was refused lacks that prompt alone",
  async (client) => {
    const { home, session } = aBroken(client, refuse(400));
    const call = ["call", "recovery.rescue", `session=${session.id}`, `folder=${home.project}`, "offer=copy"];
    const { copy } = (await home.shim("", ...call)).json() as Done["done"];
    const text = readFileSync(copy.file, "utf8");
    expect(text).toContain("Ran one.");
    expect(text).not.toContain("refused 0");
  },
);

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

it.each(["claude-code", "qwen"])(
  "a session of %s whose folder is gone continues as a copy in this one",
  async (client) => {
    const home = aCliHome();
    const old = join(home.folder, "old-name");
    const session = invented(client, old);
    const transcriptPath = writeSession(home.folder, session);
    addSession(home, { id: session.id, client, pid: 77, project: old, transcriptPath });
    const offers = [{ kind: "copy" }, { kind: "brief" }];
    const expected = { reason: "invisible", why: `its folder ${old} is gone`, offers };
    expect(await home.json(`rescue ${session.id}`)).toMatchObject(expected);
    const { file, start } = ((await home.json(`rescue ${session.id} --yes`)) as unknown as Done).done.copy;
    expect(file).toContain(home.project.replaceAll(/[^a-zA-Z0-9]/g, "-"));
    expect(start).toMatchObject({ cwd: home.project });
    expect(readFileSync(file, "utf8")).not.toContain(JSON.stringify(old));
  },
);
