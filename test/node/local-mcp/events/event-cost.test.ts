import { expect, it, vi } from "vitest";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import type { Connection, OpenOptions } from "#src/store/driver.ts";
import { aChat } from "#harness/machine/claude.ts";

/** A chat on a store that notes each statement. */
function aCountedChat() {
  let statements: string[] = [];
  const note = (query: string): void => void statements.push(query);
  const driver = (options: OpenOptions): Connection => {
    const connection = openBetterSqlite3(options);
    return {
      ...connection,
      all: (query, ...values) => (note(query), connection.all(query, ...values)),
      run: (query, ...values) => (note(query), connection.run(query, ...values)),
    };
  };
  const chat = aChat({ driver });
  const during = (work: () => void): string[] => {
    statements = [];
    work();
    return statements;
  };
  return { ...chat, during };
}

const begins = (statements: readonly string[]): string[] => statements.filter((one) => one.startsWith("BEGIN"));
/** The number of statements of the first transaction, after which the answer goes out. */
const untilAnswer = (statements: readonly string[]): number => statements.indexOf("COMMIT") + 1;
const ofWaiting = (statements: readonly string[]): string[] => statements.filter((one) => /SET "waiting"/.test(one));

it.each([
  ["Bash", { command: "ls" }],
  ["Edit", { file_path: "/nonexistent/project/a.ts", old_string: "a", new_string: "b" }],
  ["Read", { file_path: "/nonexistent/project/a.ts" }],
])(
  "an event of %s is identified, recorded and decided on in one transaction, and its readings follow in another",
  (tool, input) => {
    const { claude, during } = aCountedChat();
    claude.start();
    claude.prompt("fix the parser");
    claude.use(tool, input);
    let id = "";
    const before = during(() => void (id = claude.begin(tool, input)));
    const after = during(() => void claude.done(id, tool, input));
    expect([begins(before), begins(after)]).toEqual([["BEGIN IMMEDIATE"], ["BEGIN IMMEDIATE", "BEGIN IMMEDIATE"]]);
    expect(before.length).toBeLessThanOrEqual(7);
    expect(untilAnswer(after)).toBeLessThanOrEqual(7);
    expect(after.length).toBeLessThanOrEqual(18);
  },
);

it("a prompt and the end of a turn are recorded in one transaction", () => {
  const { claude, during } = aCountedChat();
  claude.start();
  claude.prompt("fix the parser");
  claude.use("Bash", { command: "ls" });
  const stop = during(() => void claude.stop());
  const prompt = during(() => void claude.prompt("now the lexer"));
  expect([untilAnswer(stop) <= 12, untilAnswer(prompt) <= 11]).toEqual([true, true]);
});

it("an event looks once whether others wait in the spool", () => {
  const { runtime, claude } = aCountedChat();
  claude.start();
  const { spool } = runtime.paths;
  let reads = 0;
  Object.defineProperty(runtime.paths, "spool", { get: () => ((reads += 1), spool) });
  claude.begin("Bash", { command: "ls" });
  expect(reads).toBe(1);
});

it("that a chat waits for its user is written when it begins and when it ends, not with each event", () => {
  const { claude, during } = aCountedChat();
  const turn = (): void => {
    claude.prompt("fix the parser");
    claude.use("Bash", { command: "ls" });
    claude.stop();
  };
  claude.start();
  expect(ofWaiting(during(turn))).toEqual([]);
  const ask = (): void => void claude.tell("Notification", { notification_type: "permission_prompt", message: "?" });
  expect(ofWaiting(during(ask))).toHaveLength(1);
  expect(ofWaiting(during(ask))).toEqual([]);
  expect(ofWaiting(during(turn))).toHaveLength(1);
  expect(ofWaiting(during(turn))).toEqual([]);
});

/** Texts whose private parts are looked for, which is where each redaction begins. */
function redactedDuring(work: () => void): string[] {
  const spy = vi.spyOn(RegExp.prototype, "exec");
  work();
  const { calls, contexts } = spy.mock;
  const texts = calls.flatMap(([text], at) =>
    (contexts[at] as RegExp | undefined)?.source.includes("private") ? [text] : [],
  );
  spy.mockRestore();
  return texts.filter((text) => text !== "");
}

const twice = (texts: readonly string[]): string[] => texts.filter((text, at) => texts.indexOf(text) < at);

it("no text of an event is redacted twice, and what comes with each event only once", () => {
  const { claude } = aCountedChat();
  claude.start();
  const prompts = redactedDuring(() => void claude.prompt("fix the parser"));
  expect(prompts).toContain("fix the parser");
  expect(twice(prompts)).toEqual([]);
  for (const [tool, input] of [
    ["Edit", { file_path: `${claude.cwd}/a.ts`, old_string: "a", new_string: "b" }],
    ["Bash", { command: `cd ${claude.cwd} && npm publish` }],
  ] as const) {
    let id = "";
    const before = redactedDuring(() => void (id = claude.begin(tool, input)));
    const after = redactedDuring(() => void claude.done(id, tool, input));
    expect(before).toContain(Object.values(input)[0]);
    expect(twice(before)).toEqual([]);
    // Nothing is new at the end of a call but what a command printed.
    expect(after).toEqual(tool === "Bash" ? ["ok"] : []);
  }
});
