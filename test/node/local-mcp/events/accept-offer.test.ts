import { expect, it } from "vitest";
import { undo } from "#src/machine/recovery/marks.ts";
import * as recoveries from "#src/machine/sessions/recoveries.ts";
import { aChat, aDeadClaude, anotherClaude, storedSession, type Claude } from "#harness/machine/claude.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";

interface Offered {
  readonly runtime: TempRuntime;
  readonly dead: Claude;
  readonly chat: Claude;
}

function anOffer(env: Record<string, string> = {}): Offered {
  const runtime = tempRuntime({ env });
  const dead = aDeadClaude(runtime);
  const chat = anotherClaude(runtime, dead);
  chat.start();
  return { runtime, dead, chat };
}

function isTaken({ runtime, dead, chat }: Offered): boolean {
  return runtime.store.read((sql) => recoveries.isTaken(sql, dead.session, chat.session), false);
}

it("a user who says to continue has the session without a tool call: the model and the user are told, and the first checkpoint completes it", () => {
  const offered = anOffer();
  const { runtime, dead, chat } = offered;
  const { systemMessage, hookSpecificOutput } = chat.prompt("Yes, continue please.");
  expect(systemMessage).toBe(
    'SHIM: this chat continues "fix the parser" now. Not meant? `shim resume --undo 20487890`',
  );
  const context = hookSpecificOutput?.additionalContext ?? "";
  expect(context).toContain(`the user continues session ${dead.session}, and this chat has it now`);
  expect(context).not.toContain("recovered data");
  expect(isTaken(offered)).toBe(true);
  expect(chat.prompt("continue")).toEqual({});
  chat.stop("Done.");
  expect(storedSession(runtime, dead.session)).toMatchObject({ recovery: "recovered", recoveryBy: chat.session });
  expect(undo(runtime, dead.session)).toBe(true);
});

it.each([
  "continue",
  "Continue where we left off",
  "go on",
  "ok",
  "yes please",
  "weiter",
  "sí, continúa",
  "да, продолжай",
  "继续",
])("%j takes the session that was offered", (words) => {
  const offered = anOffer();
  offered.chat.prompt(words);
  expect(isTaken(offered)).toBe(true);
});

it.each([
  "no",
  "fix the lexer",
  "yes, but first fix the lexer",
  "resume.pdf needs a new layout",
  "continue on error in CI",
  "",
  "   ",
])("%j takes nothing: the model asks, and has its tool", (words) => {
  const offered = anOffer();
  expect(offered.chat.prompt(words).systemMessage).toBeUndefined();
  expect(isTaken(offered)).toBe(false);
});

it("the answer to the model's question counts; in a chat that has begun other work, or has no offer, the words mean that", () => {
  const asked = anOffer();
  asked.chat.prompt("hello");
  asked.chat.stop("Shall I continue with the parser?");
  asked.chat.prompt("yes");
  expect(isTaken(asked)).toBe(true);
  const busy = anOffer();
  busy.chat.prompt("look at the lexer");
  busy.chat.use("Read", { file_path: "lexer.ts" });
  busy.chat.stop("Shall I fix it?");
  busy.chat.prompt("yes");
  expect(isTaken(busy)).toBe(false);
  const talked = anOffer();
  for (const n of [1, 2]) {
    talked.chat.prompt(`a question ${n}`);
    talked.chat.stop("An answer.");
  }
  talked.chat.prompt("go on");
  expect(isTaken(talked)).toBe(false);
  const undone = anOffer();
  undo(undone.runtime, undone.dead.session);
  expect(undone.chat.prompt("continue")).toEqual({});
});

it("a chat that had a sentence about a session closed with nothing open gets its brief with these words", () => {
  const { runtime, claude: closed } = aChat();
  closed.prompt("write the docs");
  closed.stop("They are written.");
  runtime.wait(60_000);
  closed.end("other");
  const next = anotherClaude(runtime, closed);
  expect(next.start()).toContain("with nothing open");
  const { hookSpecificOutput } = next.prompt("continue");
  expect(hookSpecificOutput?.additionalContext).toMatch(/write the docs[^]*Continue this work now/);
});

it("in a worker's task nothing is taken", () => {
  const offered = anOffer();
  const inTask = tempRuntime({ beside: offered.runtime, env: { SHIM_TASK: "1" } });
  anotherClaude(inTask, offered.dead, { session: offered.chat.session, pid: offered.chat.pid }).prompt("continue");
  expect(isTaken(offered)).toBe(false);
});
