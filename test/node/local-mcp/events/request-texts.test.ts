import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, it, vi } from "vitest";
import { aRequestRig, decided, printed, undecided } from "#harness/machine/request-rig.ts";

afterEach(() => void vi.useRealTimers());

const secret = `ghp_${"a1B2".repeat(9)}`;

it("the text says all that a call would do, with each of its arguments, without secrets", async () => {
  const { event, open } = await aRequestRig();
  for (const [tool_name, input] of Object.entries({
    Edit: { file_path: "/p/a.ts", old_string: "let a = 1;", new_string: `let a = "${secret}";`, replace_all: false },
    Bash: { command: "make", description: "Builds it", dangerouslyDisableSandbox: true },
    WebFetch: { url: "https://example.com/x", prompt: "Read it" },
    mcp__db__query: { sql: "drop table users" },
    mcp__x__y: { command: "ls", url: "http://evil", description: "pay", content: "a\nb" },
    MultiEdit: { file_path: "/p/a\nb", edits: [{ old_string: "a", new_string: "b" }, { old_string: "c" }] },
    mcp__x__z: { file_path: "/p/a", edits: ["rm -rf ~", { old_string: "c", also: "d" }], empty: "" },
    mcp__x__list: ["a", "b"],
    mcp__x__ask: { questions: [{ question: "Go on?", sql: "drop table users" }, "rm -rf ~"] },
  }))
    void event("PermissionRequest", { tool_name, tool_input: JSON.stringify(input) });
  const all = await open(9);
  expect(all.every(({ reason, folded }) => reason === null && folded === null)).toBe(true);
  expect(all.map(({ text }) => text)).toEqual([
    '/p/a.ts\n- let a = 1;\n+ let a = "[redacted:github-token]";',
    'make\n{"dangerouslyDisableSandbox":true}\nin /p',
    "https://example.com/x\nRead it",
    '{"sql":"drop table users"}',
    'ls\nhttp://evil\n+ a\n+ b\n{"description":"pay"}\nin /p',
    "/p/a\\nb\n- a\n+ b\n- c",
    '/p/a\n{"edits":["rm -rf ~",{"old_string":"c","also":"d"}],"empty":""}',
    '["a","b"]',
    '{"questions":[{"question":"Go on?","sql":"drop table users"},"rm -rf ~"]}',
  ]);
});

it("what is not seen in a text has a sign, and long blanks are counted", async () => {
  const { event, open } = await aRequestRig();
  const commands = [
    `ls -la${" ".repeat(3_000)}; rm -rf ~`,
    `ls -la${"\n".repeat(201)}rm -rf ~`,
    `ls -la\n${" \t \n".repeat(9)}rm -rf ~`,
    "rm -f \u202Egnp.exe \u200B\u200B\u200B\u2066",
    "echo a\u001B[2K\rb\u0000\u00A0\u2800\u{E0041}",
    "echo ⟨U+202E⟩ ❤️ 👩‍👩‍👧",
  ];
  for (const command of commands)
    void event("PermissionRequest", { tool_name: "Bash", tool_input: JSON.stringify({ command }) });
  expect((await open(6)).map(({ text }) => text.replace("\nin /p", ""))).toEqual([
    "ls -la⟨3,000 blanks⟩; rm -rf ~",
    "ls -la\n⟨200 empty lines⟩\nrm -rf ~",
    "ls -la\n⟨9 empty lines⟩\nrm -rf ~",
    "rm -f ⟨U+202E⟩gnp.exe ⟨U+200B 3 times⟩⟨U+2066⟩",
    "echo a⟨U+001B⟩[2K⟨U+000D⟩b⟨U+0000⟩⟨U+00A0⟩⟨U+2800⟩⟨U+E0041⟩",
    "echo ⟨U+27E8⟩U+202E⟩ ❤️ 👩‍👩‍👧",
  ]);
});

it.skipIf(process.platform === "win32")(
  "the text says where a path leads through links, and what a written file replaces",
  async () => {
    const { event, open } = await aRequestRig();
    const top = realpathSync(mkdtempSync(join(tmpdir(), "shim-asks-")));
    const [cwd, out] = [join(top, "work"), join(top, "out")];
    for (const folder of [cwd, out]) mkdirSync(folder);
    symlinkSync("../out", join(cwd, "inner"));
    symlinkSync("../gone", join(cwd, "dangling"));
    symlinkSync("work", join(top, "link"));
    writeFileSync(join(cwd, "notes"), "one\ntwo\n");
    const facts = {
      [join(cwd, "inner", "new")]: [`⟨leads to ${join(out, "new")}⟩`],
      "inner/../notes": ["⟨replaces all that the file has: 8 bytes⟩"],
      dangling: [`⟨leads to ${join(top, "gone")}⟩`],
      fresh: [],
    };
    const write = (file_path: string, at = cwd) =>
      event("PermissionRequest", {
        tool_name: "Write",
        tool_input: JSON.stringify({ file_path, content: "" }),
        cwd: at,
      });
    for (const path of Object.keys(facts)) void write(path);
    // The chat's own folder is entered through a link: that is no news.
    void write("notes", join(top, "link"));
    const texts = (await open(5)).map(({ text }) => text);
    rmSync(top, { recursive: true });
    expect(texts).toEqual([
      ...Object.entries(facts).map(([path, marks]) => [path, ...marks].join("\n")),
      "notes\n⟨replaces all that the file has: 8 bytes⟩",
    ]);
  },
);

const long = { command: `ls ${"x".repeat(21_400)} && rm -rf ~/important` };
const file = { file_path: "/p/b", content: Array.from({ length: 2_000 }, (_, at) => `line ${at}`).join("\n") };

it.each([
  ["a command", "Bash", long, { chars: 19_931, lines: 1 }, "&& rm -rf ~/important\nin /p"],
  ["a written file", "Write", file, { chars: 22_655, lines: 1_977 }, "+ line 1998\n+ line 1999"],
])(
  "a long request is listed with both its ends and what is folded, and is allowed once all of it was shown: %s",
  async (_what, tool_name, input, folded, end) => {
    const { event, first, call, answer } = await aRequestRig();
    const asked = event("PermissionRequest", { tool_name, tool_input: JSON.stringify(input) });
    const request = await first();
    expect([request.reason, request.folded]).toEqual([null, folded]);
    expect(request.text).toContain(`⟨${folded.chars} characters in ${folded.lines} line`);
    expect(request.text.endsWith(end)).toBe(true);
    const refused = {
      code: "not_shown",
      message: expect.stringContaining(`shim requests show ${request.id}`) as string,
    };
    for (const more of [{}, { shown: "no" }])
      expect(await answer(request.id, "allow", more)).toMatchObject({ error: refused });
    const { value } = (await call("requests.show", { request: request.id })) as {
      value: { text: string; shown: string };
    };
    const given = Object.values(input)
      .join("\n")
      .replaceAll(/^(?=line)/gm, "+ ");
    expect(value.text.startsWith(given)).toBe(true);
    expect(await answer(request.id, "allow", { shown: value.shown })).toMatchObject({ ok: true });
    expect(printed(await asked)).toEqual(decided({ behavior: "allow" }));
  },
);

it("a long request is denied unread", async () => {
  const { event, first, answer } = await aRequestRig();
  const asked = event("PermissionRequest", { tool_name: "Bash", tool_input: JSON.stringify(long) });
  await answer((await first()).id, "deny");
  expect(printed(await asked)).toEqual(decided({ behavior: "deny" }));
});

const key = `-----BEGIN RSA PRIVATE KEY-----\n${`${"MIIEowIBAAKCAQEA".repeat(4)}\n`.repeat(3)}-----END RSA PRIVATE KEY-----`;

it.each([
  ["too long", { command: `echo ${"x".repeat(100_000)}; rm -rf ~` }, "it has 100021 characters"],
  ["too long with its signs", { command: "\u202E\u200B".repeat(10_000) }, "it has 20006 characters"],
  ["private in a part", { command: "echo <private>; rm -rf ~</private>" }, "marked as private"],
  ["more than a word where a secret was", { command: "psql postgres://ann:pass$word;rm@localhost/db" }, "as a secret"],
  ["a value with a telling name", { password: "hunter2 abc", command: "ls" }, "as a secret"],
  ["a key of many lines", { file_path: "/p/k", content: key }, "as a secret"],
  ["not said", undefined, "does not say"],
])("what cannot be shown whole is its terminal's alone, and that is said: %s", async (_what, input, why) => {
  const { event, first, answer } = await aRequestRig();
  const fields = input === undefined ? {} : { tool_input: JSON.stringify(input) };
  expect(await event("PermissionRequest", { tool_name: "Bash", ...fields })).toEqual(undecided);
  const { id, decisions, reason, text } = await first();
  expect([decisions, reason]).toEqual([[], expect.stringContaining(why)]);
  expect(text.length).toBeLessThan(2_000);
  expect(await answer(id, "allow")).toMatchObject({ error: { code: "not_released" } });
});
