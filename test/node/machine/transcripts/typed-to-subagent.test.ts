import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import { catchUp } from "#src/machine/sessions/transcripts/record-transcript.ts";
import { aChatAtWork, stateOf } from "#harness/machine/claude.ts";
import { aTranscript, aUserLine } from "#harness/machine/transcripts.ts";

const typed = (words: string): string =>
  `The user sent a new message while you were working:\n${words}\n\nThis is how Claude Code surfaces messages the user sends mid-turn.`;

it("words that the user types to a sub-agent are a prompt, once, that opens no turn of the chat", () => {
  const { runtime, claude } = aChatAtWork("begin");
  claude.stop("It works on.");
  const file = join(dirname(claude.transcript), claude.session, "subagents", "agent-a1.jsonl");
  const about = { isSidechain: true, agentId: "a1", isMeta: true, timestamp: new Date(runtime.now()).toISOString() };
  const by = (kind: string) => ({ ...about, origin: { kind } });
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(claude.transcript, "");
  writeFileSync(
    file,
    aTranscript(
      aUserLine("count the berths", { ...about, isMeta: false }),
      aUserLine(typed("use the winter rate"), by("human")),
      aUserLine(typed("use the summer rate"), by("coordinator")),
    ),
  );
  for (let reading = 0; reading < 2; reading += 1)
    runtime.store.write((sql) => catchUp(sql, runtime.now(), claude.session));
  const state = stateOf(runtime, claude.session);
  expect(state?.prompts.map(({ text }) => text)).toEqual(["begin", "use the winter rate [to a sub-agent]"]);
  expect(state?.life.turn?.over).toMatchObject({ how: "done" });
});
