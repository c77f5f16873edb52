import * as fc from "fast-check";
import { expect, it } from "vitest";
import { analyzePrompt, analyzeTask } from "#src/routing/prompt-analyzer.ts";

const trace = `TypeError: Cannot read properties of undefined (reading 'test')
    at parse (/srv/app/src/parser/test.js:10:5)
    at Object.<anonymous> (/srv/app/src/main.js:3:1)`;

it("[RT7] where nothing is found the evidence is none, which is not simple", () => {
  for (const text of [
    "",
    "  \n",
    "hello",
    "Mach es bitte schöner.",
    "これをお願いします",
    "do what we discussed",
    "🙂",
  ])
    expect([text, analyzePrompt(text)]).toEqual([
      text,
      { kind: null, size: "small", complexity: 1, evidence: "none", signals: [] },
    ]);
});

it("[RT5] kind, size and complexity follow what is asked for", () => {
  expect(analyzePrompt("Fix the bug in src/a.ts and add a test in test/a.test.ts.")).toMatchObject({
    kind: "test",
    evidence: "strong",
    size: "small",
  });
  expect(analyzePrompt("Rename the class.")).toMatchObject({ kind: "refactor", evidence: "weak" });
  const folders = Array.from({ length: 12 }, (_, at) => `- src/part${at}/main.ts`);
  const large = `Migrate and refactor these, then run the tests:\n${folders.join("\n")}\n`;
  expect(analyzePrompt(large).complexity).toBeGreaterThanOrEqual(6);
  expect(analyzePrompt(large)).toMatchObject({ evidence: "strong" });
});

it("[RT5] a stack trace is something to fix, and its words and paths ask for nothing", () => {
  expect(analyzePrompt(trace)).toMatchObject({ kind: "fix", evidence: "weak", signals: ["fix"] });
  const python =
    'Traceback (most recent call last):\n  File "/srv/tests/migrate.py", line 3, in <module>\nValueError: docs';
  expect(analyzePrompt(python)).toMatchObject({ kind: "fix", signals: ["fix"] });
});

it("[RT5] code between fences asks for nothing", () => {
  const code = "```ts\n// refactor, migrate and test\nimport x from './docs/readme.md';\n```";
  expect(analyzePrompt(code).evidence).toBe("none");
  expect(analyzePrompt(`Explain this:\n${code}`).kind).toBeNull();
});

it("[RT5] other languages are read as far as they have the words, and by their paths", () => {
  expect(analyzePrompt("Schreibe einen Test für src/parser.ts.")).toMatchObject({ kind: "test", evidence: "strong" });
  expect(analyzePrompt("パーサーを直してください: src/parser/main.ts src/lexer/main.ts").evidence).toBe("strong");
  expect(analyzePrompt("它在 1.5.2 版本, e.g. example.com, 3.14").evidence).toBe("none");
});

it("[RT6] what a client or a tool wrapped around a prompt does not count", () => {
  const reminder = "<system-reminder>\nRefactor and migrate all tests in src/a.ts, src/b/c.ts.\n</system-reminder>";
  expect(analyzePrompt(reminder).evidence).toBe("none");
  expect(analyzePrompt(`${reminder}Fix src/a.ts${reminder}`)).toEqual(analyzePrompt("Fix src/a.ts"));
  expect(analyzePrompt("hello <system-reminder> migrate src/a.ts").evidence).toBe("none");
  expect(analyzePrompt("<task-notification>fix</task-notification><tool_use_error>fix</tool_use_error>").evidence).toBe(
    "none",
  );
});

it("[RT5] a task is a text, a job or an object with texts", () => {
  const job = { title: "Parser", text: "", files: [{ path: "a/b.ts" }, { path: "c/d.ts" }], kinds: ["fix"] };
  expect(analyzeTask(job)).toMatchObject({ kind: "fix", evidence: "strong" });
  expect(analyzeTask({ prompt: "Fix src/a.ts", more: ["and add tests"] })).toMatchObject({ evidence: "strong" });
  expect(analyzeTask("Fix src/a.ts")).toEqual(analyzePrompt("Fix src/a.ts"));
  for (const nothing of [null, 5, true, [], {}, { a: { b: [1] } }]) expect(analyzeTask(nothing).evidence).toBe("none");
});

it("[RT5] any text has the same answer each time @night", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 400 }), fc.boolean(), (text, isTagged) => {
      const whole = isTagged ? `<system-reminder>${text}` : text;
      const analysis = analyzePrompt(whole);
      expect(analysis).toEqual(analyzePrompt(whole));
      expect(analysis.complexity).toBeGreaterThanOrEqual(1);
    }),
  );
});
