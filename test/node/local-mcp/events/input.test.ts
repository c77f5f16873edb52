import { readFileSync, readdirSync } from "node:fs";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { forAll } from "#harness/properties.ts";
import { hookEvents } from "#src/contract/hooks.ts";
import { answerHook, drainInto } from "#src/local-mcp/events/answer-hook.ts";
import { journalKinds, rowCount } from "#harness/machine/claude.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import { readPayload } from "#src/local-mcp/events/payload.ts";
import { join } from "node:path";
import { claudeCode } from "#src/clients/claude-code/claude-code.ts";
import { gemini } from "#src/clients/gemini/gemini.ts";
import { spoolGiven } from "#src/local-mcp/events/spool-event.ts";
import { summarizeUnread } from "#src/local-mcp/events/unread-input.ts";

const session = "20487890-04b4-4fe0-bbd5-6aa531354563";

it("input that is none is logged, without a secret, and changes nothing", () => {
  const runtime = tempRuntime();
  const inputs = ["", "{", "null", "[]", "7", '{"session_id":7}', "{}", `{"session_id":"${"x".repeat(201)}"}`];
  for (const input of [...inputs, `"${"x".repeat(32_000_001)}"`])
    expect(answerHook(runtime, "Stop", () => input, 1)).toBe("");
  expect(answerHook(runtime, "Stop", () => readFileSync("/nonexistent", "utf8"), 1)).toBe("");
  expect(answerHook(runtime, "x ghp_0123456789abcdefghijABCDEFGHIJ012345", () => "{}", 1)).toBe("");
  expect(runtime.logged).toHaveLength(inputs.length + 3);
  expect(runtime.logged.at(-1)).toContain("unknown hook event");
  expect(runtime.logged.join()).not.toContain("ghp_");
  expect(rowCount(runtime, "sessions")).toBe(0);
});

const fields =
  "session_id transcript_path cwd prompt_id agent_id agent_type source model prompt tool_name tool_use_id tool_input " +
  "tool_response duration_ms error trigger compact_summary last_assistant_message reason";

it("for any input a hook prints nothing or JSON that the client knows, and the store stays whole @night", () => {
  const runtime = tempRuntime();
  runtime.processes.start(1);
  const names = fc.constantFrom("Bash", "Write", "Read", "TodoWrite", "TaskCreate", "TaskUpdate", "mcp__x__y");
  const [any, odd] = [fc.jsonValue(), { content: { toString: 1 } }];
  const hostile = fc.oneof(
    fc.json({ maxDepth: 4 }).map((text): unknown => JSON.parse(text)),
    fc.constantFrom<unknown>({ toString: null }, { todos: [odd, null, 7] }, { file_path: 7 }, "\u0000", "\ud800"),
    fc.record({ todos: fc.array(any), subject: any, taskId: any, status: any }),
    fc.record({ task: any, type: any }),
  );
  const inputs = fields.split(" ").map((name) => [name, fc.oneof(hostile, fc.string(), names)]);
  const input = fc.record(Object.fromEntries(inputs), { requiredKeys: [] });
  forAll(400, [fc.constantFrom(...hookEvents), input, fc.boolean(), fc.nat(2)], (event, given, isNamed, pid) => {
    const text = JSON.stringify(isNamed ? { ...given, session_id: session } : given);
    const printed = answerHook(runtime, event, () => text, pid);
    if (printed === "") return;
    const keys = Object.keys(JSON.parse(printed) as object);
    expect(["systemMessage", "hookSpecificOutput"]).toEqual(expect.arrayContaining(keys));
  });
  expect(runtime.store.read((sql) => sql.all("PRAGMA integrity_check"), [])).toEqual([{ integrity_check: "ok" }]);
  expect(runtime.logged.filter((line) => !line.includes("the input of a hook could not be read"))).toEqual([]);
});

const object = { session_id: "s", cwd: "/p", prompt: 'say "}" \\ and 🧩' };
const text = JSON.stringify(object);
const none = { objects: [object], problem: null };

it("byte order marks, NULs and blanks beside an object are not read, nor is a NUL within it", () => {
  for (const given of [`\ufeff${text}`, `\0\0${text}\0`, `\0\ufeff\n${text}\n\0\ufeff`])
    expect(readPayload(given)).toEqual(none);
  expect(readPayload(text.replaceAll(/\W/g, "\0$&\0"))).toEqual(none);
});

it("each of several objects counts, up to eight; text beside them is a problem", () => {
  for (const between of ["", "\n", "\0\n"])
    expect(readPayload(text + between + text)).toEqual({ objects: [object, object], problem: null });
  const problem = "input has text beside its JSON object";
  for (const damaged of [`${text} it's "{`.slice(0, -1), `log: ${text}`, `${text}]`])
    expect(readPayload(damaged)).toEqual({ objects: [object], problem });
  expect(readPayload(text.repeat(100))).toEqual({ objects: Array.from({ length: 8 }, () => object), problem });
});

it("of an object that is cut at any place the complete fields count, and of the prompt what there is", () => {
  const whole = JSON.stringify({ ...object, duration_ms: 123, more: [{ a: 1 }] });
  const values = fc.record({ a: fc.string(), n: fc.integer(), prompt: fc.string(), z: fc.jsonValue() });
  const texts = values.map((value) => JSON.stringify(value));
  forAll(500, [fc.oneof(fc.constant(whole), texts), fc.nat(200)], (given, chars) => {
    const { objects, problem } = readPayload(given.slice(0, Math.max(1, given.length - 1 - chars)));
    expect(problem).toBe("input ends in the middle of its JSON object");
    const { prompt, ...rest } = (objects[0] ?? {}) as Record<string, unknown>;
    const full = JSON.parse(given) as Record<string, unknown>;
    for (const [name, value] of Object.entries(rest)) expect(value).toEqual(full[name]);
    if (prompt === undefined || prompt === full["prompt"]) return;
    const [said = "", mark] = (prompt as string).split(" [cut off: ");
    expect([String(full["prompt"]).startsWith(said), mark]).toEqual([true, "the rest did not arrive]"]);
  });
  for (const part of ['{"session_id":"half', '{"duration_ms":12']) expect(readPayload(part).objects).toEqual([{}]);
  expect(readPayload('{"prompt":"all of it"').objects).toEqual([{ prompt: "all of it" }]);
  const half = { prompt: "half [cut off: the rest did not arrive]" };
  for (const escape of ["\\", "\\u", "\\u00e"]) expect(readPayload(`{"prompt":"half${escape}`).objects).toEqual([half]);
});

it("a field that is not JSON costs no other field, and no name of a field changes what an object is", () => {
  const { objects, problem } = readPayload('{"session_id":"s","n":NaN,"prompt":"p"}');
  expect([objects, problem]).toEqual([[{ session_id: "s", prompt: "p" }], "a field of the input is not JSON"]);
  const [odd] = readPayload('{"__proto__":{"prompt":"p"},"n":NaN}').objects;
  expect(odd?.["prompt"]).toBeUndefined();
});

it("what is no object has none, and a long one of any kind is read in linear time", () => {
  for (const [given, problem] of [
    ["", "input is empty"],
    ["\0\ufeff \n", "input is empty"],
    ["no json", "input is not JSON"],
    ['[{"a":1}]', "input is not a JSON object"],
    ['"{}"', "input is not a JSON object"],
  ] as const)
    expect(readPayload(given)).toEqual({ objects: [], problem });
  for (const part of ["{", '{"a":', "}", '"', "\\", "{}", "[", ',"prompt":"', "\0", " {"])
    expect(readPayload(part.repeat(500_000)).objects.length).toBeLessThan(9);
});

const secret = `ghp_${"0aB".repeat(12)}`;

function aRuntime(): TempRuntime {
  const runtime = tempRuntime();
  runtime.processes.start(7);
  return runtime;
}

const send = (runtime: TempRuntime, event: string, input: string, id?: string, client = claudeCode): string =>
  answerHook(runtime, event, () => input, 7, client, id);

const files = (folder: string): string[] => readdirSync(folder).map((name) => readFileSync(join(folder, name), "utf8"));

it("what is not read of an input is kept without its secrets, once, beside the event that is read of it", () => {
  const runtime = aRuntime();
  const prompt = `{"session_id":"${session}","cwd":"/p","prompt":"fix it","prompt_id":"p1"} trailing ${secret}`;
  for (let n = 0; n < 2; n++) send(runtime, "UserPromptSubmit", prompt, "e1");
  expect(journalKinds(runtime, session)).toContain("prompt");
  const kept = files(runtime.paths.unread).map((text): unknown => JSON.parse(text));
  const text = expect.stringContaining("trailing") as string;
  expect(kept).toMatchObject([{ event: "UserPromptSubmit", session, cwd: "/p", text }]);
  expect(JSON.stringify(kept)).not.toContain("0aB0aB");
});

it("the user learns of it once for each run of a client, with a start or a prompt", () => {
  const runtime = aRuntime();
  expect([send(runtime, "PostToolUse", "no json"), send(runtime, "Stop", "")]).toEqual(["", ""]);
  const whole = JSON.stringify({ session_id: session, prompt: "go on", prompt_id: "p1" });
  expect(send(runtime, "UserPromptSubmit", whole)).toContain("SHIM could not read all");
  expect(send(runtime, "UserPromptSubmit", "no json")).toBe("");
  runtime.processes.start(7);
  expect(send(runtime, "UserPromptSubmit", whole.replace("p1", "p2"))).not.toContain("could not read");
  // Nothing of it could be read, and yet it is known that it was a prompt.
  expect(send(runtime, "BeforeAgent", "{", undefined, gemini)).toContain("SHIM could not read all");
});

it("of inputs that could not be read the last hundred are kept, and counted with their times", () => {
  const runtime = aRuntime();
  expect(summarizeUnread(runtime.paths.unread)).toBeNull();
  const from = runtime.clock.now;
  for (let n = 0; n < 103; n++) {
    send(runtime, "Stop", `no json ${n}`);
    runtime.wait(1_000);
  }
  const times = { firstAt: from + 3_000, lastAt: from + 102_000 };
  const last = "Stop of Claude Code: input is not JSON";
  expect(summarizeUnread(runtime.paths.unread)).toEqual({ count: 100, isFull: true, ...times, last });
});

it("without a host an input that could not be read waits in the spool, and the next host keeps it at its time", () => {
  const runtime = aRuntime();
  const given = { client: claudeCode, env: {}, clientPid: 7, id: "e1" };
  const cut = `{"session_id":"${session}","cwd":"/p","prompt_id":"p1","prompt":"half of ${secret}`;
  spoolGiven(runtime, { ...given, event: "UserPromptSubmit", input: cut });
  const waiting = files(runtime.paths.spool);
  expect(waiting).toHaveLength(2);
  expect(waiting.join("")).not.toContain("0aB0aB");
  const at = runtime.clock.now;
  runtime.wait(60_000);
  drainInto(runtime);
  expect(readdirSync(runtime.paths.spool)).toEqual([]);
  expect(journalKinds(runtime, session)).toContain("prompt");
  expect(summarizeUnread(runtime.paths.unread)).toMatchObject({ count: 1, firstAt: at });
});
