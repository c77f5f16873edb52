import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { invented, writeSession, type InventedSession } from "#harness/clients/broken-sessions.ts";
import { aCliHome, addSession, printed } from "#harness/machine/cli-home.ts";
import {
  filesOf,
  known,
  type Break,
  lines,
  edit,
  refuse,
  zeroed,
  empty,
  gone,
  folder,
  deadLink,
  cut,
  rows,
} from "#harness/clients/breaks.ts";

const lastAnswer = (change: (line: string) => string): Break =>
  edit((all) => all.map((line) => (line.includes("Ran one.") && line.includes('"data"') ? change(line) : line)));
/** A client, what is wrong, the reason, what is offered, and what a copy holds and lacks. */
type Kind = [
  client: string,
  what: string,
  breaks: Break,
  reason: string,
  offers: readonly string[],
  holds?: string,
  lacks?: string,
];

const poison: (readonly [reason: string, ...statuses: number[]])[] = [
  ["poisoned", 400, 400],
  ["poisoned", 400, 529, 400],
  ["poisoned", 400, 400, 429],
  ["poisoned", 400, 500, 529, 400, 529],
  ["poisoned", 413, 400, 400],
  ["too_large", 413, 413, 413],
  ["too_large", 413, 529, 413],
];

const poisonKinds: Kind[] = ["claude-code", "codex", "copilot", "qwen"].flatMap((client) =>
  poison.map(([reason, ...statuses]): Kind => {
    const what = `prompts refused with ${statuses.join(", ")}`;
    return [client, what, refuse(...statuses), reason, ["copy", "brief"], "pear", "Ran one."];
  }),
);

const anyClientKinds: Kind[] = ["claude-code", "codex", "copilot", "qwen", "gemini"].flatMap((client): Kind[] => [
  [client, "a link to nothing", deadLink, "unreadable", ["brief"]],
  [client, "zeros instead of rows", zeroed, "unreadable", ["brief"]],
  [client, "an empty file", empty, "unreadable", ["brief"]],
  [client, "its file is gone", gone, "deleted", ["brief"]],
]);

const kinds: Kind[] = [
  ...poisonKinds,
  ...anyClientKinds,
  [
    "qwen",
    "a row after one that is lost",
    rows((row, at) => (at === 2 ? { ...row, parentUuid: "lost" } : row)),
    "cut_off",
    ["copy", "brief"],
    "Ran one.",
    '"lost"',
  ],
  ["qwen", "a last line that is cut", cut, "cut_off", ["copy", "brief"], "pear", "Ran one."],
  [
    "copilot",
    "a prompt without its time",
    rows((row, at) => (at === 1 ? { ...row, timestamp: "now" } : row)),
    "unreadable",
    ["copy", "brief"],
    "Ran one.",
    "pear",
  ],
  ["claude-code", "a folder in its place", folder, "unreadable", ["brief"]],
  ["codex", "a folder in its place", folder, "unreadable", ["brief"]],
  [
    "copilot",
    "an answer without text",
    lastAnswer((line) => line.replace('"Ran one."', "null")),
    "unreadable",
    ["copy", "brief"],
    "pear",
    "null,",
  ],
  [
    "copilot",
    "an event without its id",
    lastAnswer((line) => line.replace(/"id":"[^"]+","timestamp"/, '"id":"x","timestamp"')),
    "unreadable",
    ["copy", "brief"],
    "pear",
    "Ran one.",
  ],
  ["qwen", "a folder in its place", folder, "unreadable", ["brief"]],
  ...["claude-code", "codex", "copilot", "qwen"].flatMap((client): Kind[] => [
    [client, "one refusal", refuse(400), "refused", ["brief", "copy"]],
    [client, "two different refusals", refuse(400, 413), "refused", ["brief", "copy"]],
    [client, "a refusal before a limit", refuse(400, 429), "refused", ["brief", "copy"]],
  ]),
];

it.each(kinds)(
  "%s, %s: named, and what works is offered",
  async (client, _what, breaks, reason, offers, holds, lacks) => {
    const home = aCliHome();
    const session = invented(client, home.project);
    const path = writeSession(home.folder, session);
    known(home, session);
    breaks(path, session);
    const before = filesOf(home);
    const diagnosis = await home.json(`rescue ${session.id}`);
    expect(diagnosis).toMatchObject({ session: session.id, reason, offers: offers.map((one) => ({ kind: one })) });
    expect(await home.json("rescue")).toEqual(diagnosis);
    expect(filesOf(home)).toEqual(before);
    const done = await home.json(`rescue ${session.id} --yes`);
    const after = filesOf(home);
    expect(new Map([...after].filter(([name]) => before.has(name)))).toEqual(before);
    if (holds === undefined) return expect(done).toMatchObject({ start: { kind: "new" } });
    const { copy } = (done as { done: { copy: { session: string; file: string; start: object } } }).done;
    const text = readFileSync(copy.file, "utf8");
    expect(text).toContain(holds);
    expect(text).toContain(copy.session.slice(0, 8));
    expect(text).not.toContain(session.id);
    if (lacks !== undefined) expect(text).not.toContain(lacks);
    expect(
      text
        .trimEnd()
        .split("\n")
        .map((line) => typeof JSON.parse(line)),
    ).not.toContain("string");
    // The copy is whole, and only files that did not exist were written.
    addSession(home, { id: copy.session, client, transcriptPath: copy.file, pid: 78 });
    expect(await home.json(`rescue ${copy.session}`)).toMatchObject({ reason: null });
  },
);

const harmless: [client: string, what: string, breaks: Break, lost?: 1][] = [
  ...["claude-code", "codex", "copilot", "qwen", "gemini"].flatMap((client): typeof harmless => [
    [client, "nothing", () => undefined],
    [client, "a line that is no JSON", edit((all) => [...all.slice(0, 2), '{"type":', ...all.slice(2)]), 1],
    [client, "zeros at its end", (path: string) => appendFileSync(path, Buffer.alloc(64)), 1],
  ]),
  ...["claude-code", "codex", "copilot", "gemini"].map((client): (typeof harmless)[number] => [
    client,
    "a last line that is cut",
    cut,
    1,
  ]),
  ["copilot", "a row of an unknown kind", edit((all) => [...all, '{"type":"hologram","id":"x"}'])],
  ...["claude-code", "codex", "copilot", "qwen"].flatMap((client): typeof harmless => [
    [client, "a limit, met twice", refuse(429, 429)],
    [
      client,
      "refusals before an answer",
      (path: string, session: InventedSession) => {
        refuse(400, 400)(path, session);
        const answer = lines(path).findLast((line) => line.includes("Ran one.") && !line.includes("event_msg"));
        const other = answer?.replace("msg_2", "msg_3").replace(/"messageId":"0/, '"messageId":"1');
        appendFileSync(path, `${other}\n`);
      },
    ],
  ]),
];

it.each(harmless)(
  "%s with %s: its client continues it, and what is lost is said",
  async (client, _what, breaks, lost) => {
    const home = aCliHome();
    const session = invented(client, home.project);
    const path = writeSession(home.folder, session);
    known(home, session);
    breaks(path, session);
    expect(await home.json(`rescue ${session.id}`)).toMatchObject({
      reason: null,
      offers: [{ kind: "brief" }],
      file: path,
    });
    const shown = await home.shim(`rescue ${session.id}`);
    const first = lost
      ? "can be continued without what is lost: 1 part of its file holds no row"
      : "Nothing is wrong with";
    expect(shown).toMatchObject(printed(first, /its \d+ rows were read/, "shim resume", path));
    expect(shown).toMatchObject(printed("1  a new chat with its brief"));
    expect(await home.shim("rescue")).toMatchObject(
      printed(`Nothing was found that stops the newest session of ${home.project}:`, "rows were read"),
    );
  },
);

it.each(["claude-code", "codex", "copilot", "qwen"])(
  "the copy of a session of %s whose last prompt was refused lacks that prompt alone",
  async (client) => {
    const home = aCliHome();
    const session = invented(client, home.project);
    const path = writeSession(home.folder, session);
    known(home, session);
    refuse(400)(path, session);
    expect(await home.shim(`rescue ${session.id}`)).toMatchObject(
      printed(
        "may be refused again: the API has refused its last prompt (",
        "1  a new chat",
        "2  a copy without the last",
      ),
    );
    const call = ["call", "recovery.rescue", `session=${session.id}`, `folder=${home.project}`, "offer=copy"];
    const { copy } = (await home.shim("", ...call)).json() as { copy: { file: string } };
    const text = readFileSync(copy.file, "utf8");
    expect(text).toContain("Ran one.");
    expect(text).not.toContain("refused 0");
  },
);

it.each([
  [
    "claude-code",
    {
      type: "assistant",
      uuid: "t",
      parentUuid: "p",
      message: { id: "msg_0", content: [{ type: "thinking", thinking: "hm", signature: "old" }] },
    },
  ],
  [
    "codex",
    {
      timestamp: "2026-11-25T10:00:00.000Z",
      type: "response_item",
      payload: { type: "reasoning", encrypted_content: "old" },
    },
  ],
] as const)("the copy of a poisoned session of %s has no thoughts of its model", async (client, thought) => {
  const home = aCliHome();
  const session = invented(client, home.project);
  const [first, second, ...others] = session.rows;
  const parent = { ...thought, parentUuid: first?.["uuid"] };
  const rest = client === "codex" ? [second ?? {}] : [{ ...second, parentUuid: "t" }];
  writeSession(home.folder, session, [
    first ?? {},
    parent,
    ...rest,
    ...others,
    ...session.refused(1, 400),
    ...session.refused(2, 400),
  ]);
  known(home, session);
  const { done } = await home.json(`rescue ${session.id} --yes`);
  const { copy } = done as { copy: { session: string; file: string } };
  const text = readFileSync(copy.file, "utf8");
  expect(text).not.toContain('"old"');
  expect(text).not.toContain('"t"');
  expect(text).toContain("pear");
  addSession(home, { id: copy.session, client, transcriptPath: copy.file, pid: 78 });
  expect(await home.json(`rescue ${copy.session}`)).toMatchObject({ reason: null });
});

it.each(["claude-code", "qwen"])(
  "a session of %s whose folder is gone continues as a copy in this one",
  async (client) => {
    const home = aCliHome();
    const old = join(home.folder, "old-name");
    const session = invented(client, old);
    writeSession(home.folder, session);
    addSession(home, {
      id: session.id,
      client,
      pid: 77,
      project: old,
      transcriptPath: join(home.folder, session.file),
    });
    expect(await home.json(`rescue ${session.id}`)).toMatchObject({
      reason: "invisible",
      why: `its folder ${old} is gone`,
      offers: [{ kind: "copy" }, { kind: "brief" }],
    });
    const { done } = await home.json(`rescue ${session.id} --yes`);
    const { file, start } = (done as { copy: { file: string; start: object } }).copy;
    expect(file).toContain(home.project.replaceAll(/[^a-zA-Z0-9]/g, "-"));
    expect(start).toMatchObject({ cwd: home.project });
    expect(readFileSync(file, "utf8")).not.toContain(JSON.stringify(old));
  },
);
