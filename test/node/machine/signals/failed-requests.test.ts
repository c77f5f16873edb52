import { expect, it } from "vitest";
import { assess } from "#src/learning/policy/risk.ts";
import { aLiveClaude, storedSession } from "#harness/machine/claude.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";
import { anApiErrorLine, anAssistantLine, aRetryLine } from "#harness/machine/transcripts.ts";

type Fields = Readonly<Record<string, unknown>>;

const retry = (overrides: Fields): string => aRetryLine(1, overrides);
const givenUp = (overrides: Fields): string => anApiErrorLine("API Error: Repeated 529", overrides);
const answered = (overrides: Fields): string => anAssistantLine({ id: "msg_answer" }, overrides);

function aChat() {
  const runtime = tempRuntime();
  const claude = aLiveClaude(runtime);
  return {
    runtime,
    /** Lines of the transcript at this moment, which a hook reads a second later. */
    write(...texts: ((overrides: Fields) => string)[]): void {
      for (const text of texts) {
        runtime.wait(1_000);
        claude.transcribe(text({ timestamp: new Date(runtime.now()).toISOString() }));
      }
      runtime.wait(1_000);
      claude.use("Bash", { command: "true" });
    },
    streak: () => storedSession(runtime, claude.session).readings.apiErrors?.value,
    reasons() {
      const { readings } = storedSession(runtime, claude.session);
      return assess(readings, runtime.config.risk, runtime.now()).reasons.map(({ name }) => name);
    },
  };
}

it("failed tries are counted from the transcript until an answer comes", () => {
  const chat = aChat();
  chat.write(answered);
  expect(chat.streak()).toBeUndefined();
  chat.write(retry, retry);
  chat.write(retry, givenUp);
  expect(chat.streak()).toBe(4);
  expect(chat.reasons()).toContain("apiErrors");
  chat.write(retry, answered);
  expect(chat.streak()).toBe(0);
  expect(chat.reasons()).not.toContain("apiErrors");
});

it("a streak is stale after ten minutes, and does not continue after them", () => {
  const chat = aChat();
  chat.write(retry, retry, retry);
  expect(chat.reasons()).toContain("apiErrors");
  chat.runtime.wait(600_001);
  expect(chat.reasons()).not.toContain("apiErrors");
  chat.write(retry);
  expect(chat.streak()).toBe(1);
});

it("failed tries of a sub-agent are none of the chat", () => {
  const chat = aChat();
  chat.write((overrides) => aRetryLine(1, { ...overrides, isSidechain: true }));
  expect(chat.streak()).toBeUndefined();
});
