import { expect, it } from "vitest";
import { expressionsOf, faultOf } from "../../../scripts/check-expressions.ts";
import { arrowFaults, clientFaults, commentFaults, cutFaults } from "../../../scripts/check-source.ts";
import { fileCycles, folderCycles, namingFaults, runningFaults, waitFaults } from "../../../scripts/check-source.ts";

it("a name with a word that says nothing is a fault, with the word to use; comments, strings and columns are not read", () => {
  const source = [
    "// told",
    'const lookup = "told";',
    "class A { constructor() {} }; const row = { told_at: `told` };",
    "const isTold = row;",
    "const deskOf = 1;",
  ];
  expect(namingFaults("src/a.ts", source.join("\n"))).toEqual([
    expect.stringContaining('src/a.ts:4: the name isTold has the word "told"'),
    expect.stringContaining('src/a.ts:5: the name deskOf has the word "desk"'),
  ]);
});

it("folders that import each other are a cycle, also over a third one; an entry is none of it", () => {
  const imports = new Map([
    ["a/one.ts", ["b/two.ts"]],
    ["b/two.ts", ["c/three.ts", "b/other.ts"]],
    ["c/three.ts", ["a/four.ts"]],
    ["d/five.ts", ["a/one.ts"]],
    ["a/x-entry.ts", ["d/five.ts"]],
  ]);
  expect(folderCycles(imports)).toEqual([["a", "b", "c"]]);
  expect(folderCycles(new Map([["d/five.ts", ["a/one.ts"]]]))).toEqual([]);
});

it("files that import each other are a cycle, types too", () => {
  const imports = new Map([
    ["a/one.ts", ["a/two.ts"]],
    ["a/two.ts", ["b/three.ts"]],
    ["b/three.ts", ["a/one.ts", "b/four.ts"]],
    ["b/four.ts", ["b/five.ts"]],
    ["b/five.ts", ["b/four.ts"]],
  ]);
  const cycles = fileCycles(imports);
  expect(cycles).toEqual([
    ["a/one.ts", "a/two.ts", "b/three.ts"],
    ["b/five.ts", "b/four.ts"],
  ]);
});

it("a comment that is too wide, begins with a pronoun or has a banned word is a fault; code and directives are none", () => {
  const source = [
    "/** Returns the lease. */",
    "/** What it was told. */",
    `// ${"x".repeat(100)}`,
    "/**",
    " * Ends the wait.",
    " * It may stand in the second line, but nobody may.",
    " */",
    'const text = "told";',
    "// oxlint-disable-next-line told",
    "/**",
    " * Of the first line of several.",
    " * Of the second, none.",
    " */",
  ];
  expect(commentFaults("src/a.ts", source.join("\n"))).toEqual([
    'src/a.ts:2: the comment begins with "What": name its noun',
    'src/a.ts:2: the comment has the word "told": name the noun',
    "src/a.ts:3: the comment has 103 columns, at most 100",
    'src/a.ts:6: the comment has the word "nobody": name the noun',
    'src/a.ts:11: the comment begins with "Of": name its noun',
  ]);
});

it("an import that points upward is a fault, and one between rooms beside each other too", () => {
  const imports = new Map([
    ["src/machine/sessions/news.ts", ["src/store/store.ts", "src/machine/sessions/text/excerpt.ts"]],
    ["src/machine/sessions/sessions.ts", ["src/local-mcp/host/machine-work.ts"]],
    ["src/machine/sharing/pull.ts", ["src/machine/sessions/news.ts", "src/machine/team/team.ts"]],
    ["src/web/page.ts", ["src/shared/text.ts"]],
  ]);
  expect(arrowFaults(imports)).toEqual([
    expect.stringContaining(
      "src/machine/sessions/sessions.ts: imports src/local-mcp/host/machine-work.ts; machine/sessions may import",
    ),
    expect.stringContaining("src/machine/sharing/pull.ts: imports src/machine/team/team.ts; machine/sharing may"),
    "src/web/page.ts: imports src/shared/text.ts; web may import contract, pairing",
  ]);
});

it("a client's name outside the folders of clients is a fault; comments and imports are not read", () => {
  const source =
    'import { codex } from "../../../src/clients/codex/codex.ts";\n/** Gemini CLI has none. */\nconst a = "qwen-code";\n';
  expect(clientFaults("src/machine/team/news.ts", source)).toEqual([
    "src/machine/team/news.ts:3: names the client qwen; what is of one client is in src/clients",
  ]);
  expect(clientFaults("src/clients/qwen/qwen.ts", source)).toEqual([]);
  expect(clientFaults("src/a/b.ts", 'const isOpenCodeId = "";')).toHaveLength(1);
  expect(clientFaults("src/a/b.ts", "const copilots = 1; const decodeX = 2;")).toHaveLength(1);
});

it("a wait that ends after a second is a fault; one with the patience of tests is none", () => {
  const hasty = ["vi.waitFor(() => f(patience))", "vi.waitUntil(f, { interval: 5 })", "expect\n  .poll(f)"];
  for (const call of hasty) expect(waitFaults("test/a.test.ts", `\nawait ${call};`)).toHaveLength(1);
  const patient = [
    "vi.waitFor(() => f(1), patience)",
    "vi.waitUntil(f, { ...patience, interval: 5 })",
    "page.waitFor(f)",
  ];
  for (const call of patient) expect(waitFaults("test/a.test.ts", `await ${call};`)).toEqual([]);
});

const fault = ({ source, flags }: RegExp, bound: number | null = null): string | null =>
  faultOf({ path: "src/a.ts", line: 1, source, flags, bound });

it("an expression of more than linear time is a fault unless what it reads is short; an exponential one always is @night", () => {
  for (const exponential of [/^(?:a|嗯+|的)+$/, /^(?:s|\d{1,3}|old)*$/, /^(\w+\s?)*$/]) {
    expect(fault(exponential)).toMatch(/time/);
    expect(fault(exponential, 400)).toMatch(/time|takes over/);
  }
  for (const slow of [/(\d+)\.(\d+)/, /"auths"[^]*?"auth"/, /from\s+([^,]{1,80}?)\s+to/]) {
    expect([fault(slow), fault(slow, 200)]).toEqual([expect.stringContaining("more than linear time"), null]);
    expect(fault(slow, 1_000_000)).toContain("reads up to 1000000 characters");
  }
  const linear = [/^\s+/, /(?<!\/)\/+$/, /\b(?:one|two) \w+/iu, /"(?:\\.|[^"\\])*"?/];
  expect(linear.filter((one) => fault(one) !== null)).toEqual([]);
});

it("the check sees literal and composed expressions, and what bounds them @night", async () => {
  const { expressions, faults } = await expressionsOf();
  expect(faults).toEqual([]);
  const names = expressions.filter((one) => one.path === "src/snapshots/secret-names.ts");
  expect(names.some(({ source }) => source.startsWith("^(passwords?|"))).toBe(true);
  expect(names.every(({ bound }) => bound === 255)).toBe(true);
});

it("machine neither asks a server nor waits, by imports or by globals; a method of that name is none", () => {
  const path = "src/machine/team/a.ts";
  const fine = "class A { async fetch() { await this.store.fetch(1); } }";
  expect(runningFaults(path, `${fine}\n// fetch("x")`)).toEqual([]);
  for (const line of ['import { get } from "node:http";', 'await fetch("x");', "setTimeout(() => 1, 2);"])
    expect(runningFaults(path, line)).toEqual([expect.stringContaining("machine decides, local-mcp runs")]);
  expect(runningFaults("src/local-mcp/a.ts", 'await fetch("x");')).toEqual([]);
});

it("a text is cut with a mark by one function: a mark of another kind is a fault, a cut without one is none", () => {
  const fault = [expect.stringContaining("src/cli/a.ts:1: cuts a text with a mark of its own")];
  for (const mark of ["...", " …", " [cut, 3 more]"])
    expect(cutFaults("src/cli/a.ts", `return \`\${text.slice(0, max)}${mark}\`;`)).toEqual(fault);
  expect(cutFaults("src/cli/a.ts", "const id = `${id.slice(0, 8)}: ${name}`;")).toEqual([]);
  expect(cutFaults("src/shared/shorten.ts", "return `${text.slice(0, max)}...`;")).toEqual([]);
});
