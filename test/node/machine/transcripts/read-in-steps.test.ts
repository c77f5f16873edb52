import { statSync, writeFileSync } from "node:fs";
import { expect, it } from "vitest";
import { readInSteps } from "#src/machine/signals/observe.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import { aLiveClaude, storedSession } from "#harness/machine/claude.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";
import { anAssistantLine, aTranscript } from "#harness/machine/transcripts.ts";

it("a transcript that has grown by much is read in steps, between which others have their turns, and nothing is left out", async () => {
  const runtime = tempRuntime();
  const claude = aLiveClaude(runtime);
  claude.prompt("begin");
  const said = Array.from({ length: 90 }, (_, n) => `answer ${n} ${"word ".repeat(2_000)}`);
  writeFileSync(
    claude.transcript,
    aTranscript(...said.map((text) => anAssistantLine({ content: [{ type: "text", text }] }))),
  );
  const turns = { count: 0, isOver: false };
  const take = (): void => {
    turns.count += 1;
    if (!turns.isOver) setImmediate(take);
  };
  setImmediate(take);
  await readInSteps(runtime, claude.session);
  turns.isOver = true;
  expect(turns.count).toBeGreaterThan(10);
  const { transcriptOffset } = storedSession(runtime, claude.session);
  expect(statSync(claude.transcript).size - transcriptOffset).toBeLessThan(65_537);
  const texts = runtime.store
    .read((sql) => journal.list(sql, claude.session, 0), [])
    .flatMap(({ entry }) => (entry.kind === "assistant" ? [entry.text.split(" ")[1]] : []));
  expect(texts).toEqual(said.slice(0, texts.length).map((_, n) => String(n)));
  expect(texts.length).toBeGreaterThan(80);
});
