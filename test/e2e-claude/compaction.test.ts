import { expect, it } from "vitest";
import { bash, ClaudeRig, endless, endlessTool, received, shimTool } from "#harness/claude/claude-rig.ts";

const summary = "<analysis>Thoughts.</analysis><summary>Fix the parser: it is half done.</summary>";
const full = { input_tokens: 980_000, output_tokens: 20 };

it("gives back after a compaction what the client's summary lacks, and lists it @night", async () => {
  const rig = new ClaudeRig();
  const notes = { decisions: ["No new dependency, they asked for none"] };
  const chat = await rig.print("fix the parser", {
    steps: [
      shimTool("shim_force_checkpoint", notes),
      { ...bash("echo big"), usage: full },
      bash("echo small"),
      endless,
    ],
    summary,
  });
  await endlessTool(chat.claude);
  const [session, ...others] = rig.sessions();
  expect(others).toEqual([]);
  const { journal, checkpoints } = rig.stored(session!.id);
  const entries = journal.map(({ entry }) => entry);
  expect(entries).toContainEqual({ kind: "compacting", trigger: "auto" });
  expect(entries).toContainEqual({ kind: "compacted", summary: "Fix the parser: it is half done." });
  expect(checkpoints.map(({ trigger }) => trigger)).toContain("compact");
  const text = received(chat.model, -1);
  expect(text).toContain("No new dependency, they asked for none");
  const [given, ...more] = entries.filter(({ kind }) => kind === "given_back");
  expect(more).toEqual([]);
  expect(given).toMatchObject({
    text: expect.stringMatching(/The summary lacks the following[\s\S]*- No new dependency/),
  });
  // The prompt stands in the summary.
  expect(given).not.toMatchObject({ text: expect.stringContaining("fix the parser") });
});

it("does the same at the next prompt for a compaction that the user asked for @night", async () => {
  const rig = new ClaudeRig();
  const steps = [bash("echo one"), { text: "One." }, { text: "Two." }];
  const { claude, model, id } = await rig.typed("how does the first thing work?", { steps, summary });
  await rig.turns(id, 1);
  await claude.send("/compact");
  await rig.until(id, (_, { journal }) => journal.some(({ entry }) => entry.kind === "compacted"), "the summary");
  await claude.send("do the second thing");
  await rig.turns(id, 2);
  expect(received(model, -1)).toContain("The summary lacks the following");
  expect(received(model, -1)).toContain("- how does the first thing work?");
  expect(rig.stored(id).journal.map(({ entry }) => entry)).toContainEqual({ kind: "compacting", trigger: "manual" });
  await claude.send("/exit");
  await claude.waitForExit();
  expect(rig.session(id)).toMatchObject({ endReason: "prompt_input_exit" });
});
