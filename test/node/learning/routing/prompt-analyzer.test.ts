import * as fc from "fast-check";
import { expect, it } from "vitest";
import { analyzeTask } from "#src/learning/routing/prompt-analyzer.ts";

it("where nothing is found the evidence is none, which is not simple", () => {
  for (const text of [
    "",
    "  \n",
    "hello",
    "Mach es bitte schöner.",
    "これをお願いします",
    "do what we discussed",
    "🙂",
  ])
    expect([text, analyzeTask(text)]).toEqual([text, { kind: null, complexity: 1, evidence: "none" }]);
});

it("kind, size and complexity follow what is asked for", () => {
  expect(analyzeTask("Fix the bug in src/a.ts and add a test in test/a.test.ts.")).toMatchObject({
    kind: "test",
    evidence: "strong",
  });
  expect(analyzeTask("Rename the class.")).toMatchObject({ kind: "refactor", evidence: "weak" });
  const folders = Array.from({ length: 12 }, (_, at) => `- src/part${at}/main.ts`);
  const large = `Migrate and refactor these, then run the tests:\n${folders.join("\n")}\n`;
  expect(analyzeTask(large).complexity).toBeGreaterThanOrEqual(6);
  expect(analyzeTask(large)).toMatchObject({ evidence: "strong" });
});

it("code between fences asks for nothing", () => {
  const code = "```ts\n// refactor, migrate and test\nimport x from './docs/readme.md';\n```";
  expect(analyzeTask(code).evidence).toBe("none");
  expect(analyzeTask(`Explain this:\n${code}`).kind).toBeNull();
});

it("other languages are read as far as they have the words, and by their paths", () => {
  expect(analyzeTask("Schreibe einen Test für src/parser.ts.")).toMatchObject({ kind: "test", evidence: "strong" });
  expect(analyzeTask("パーサーを直してください: src/parser/main.ts src/lexer/main.ts").evidence).toBe("strong");
  expect(analyzeTask("它在 1.5.2 版本, e.g. example.com, 3.14").evidence).toBe("none");
});

it("a task is a text, a job or an object with texts", () => {
  const job = { title: "Parser", text: "", files: [{ path: "a/b.ts" }, { path: "c/d.ts" }], kinds: ["fix"] };
  expect(analyzeTask(job)).toMatchObject({ kind: "fix", evidence: "strong" });
  expect(analyzeTask({ prompt: "Fix src/a.ts", more: ["and add tests"] })).toMatchObject({ evidence: "strong" });
  for (const nothing of [null, 5, true, [], {}, { a: { b: [1] } }]) expect(analyzeTask(nothing).evidence).toBe("none");
});

it("any text has the same answer each time @night", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 400 }), (text) => {
      const analysis = analyzeTask(text);
      expect(analysis).toEqual(analyzeTask(text));
      expect(analysis.complexity).toBeGreaterThanOrEqual(1);
    }),
  );
});
