import { expect, it } from "vitest";
import { bash, briefs, ClaudeRig, endless, endlessTool, kill, received, shimTool } from "#harness/claude/claude-rig.ts";

const summary = "<analysis>Thoughts.</analysis><summary>The parser is half done.</summary>";
const full = { input_tokens: 980_000, output_tokens: 20 };

it("[HO3] saves before a compaction, gives the state back after it, and keeps the client's summary", async () => {
  const rig = new ClaudeRig();
  const notes = {
    goal: "Parse empty input",
    decisions: ["No new dependency, they asked for none"],
    nextStep: "Write the test",
  };
  const chat = await rig.print("fix the parser", {
    steps: [shimTool("shim_force_checkpoint", notes), { ...bash("echo big"), usage: full }, endless],
    summary,
  });
  await endlessTool(chat.claude);
  const [session, ...others] = rig.sessions();
  expect(others).toEqual([]);
  const { journal, checkpoints } = rig.stored(session!.id);
  const entries = journal.map(({ entry }) => entry);
  expect(entries).toContainEqual({ kind: "compacting", trigger: "auto" });
  expect(entries).toContainEqual({ kind: "compacted", summary: "The parser is half done." });
  expect(checkpoints.map(({ trigger }) => trigger)).toContain("compact");
  const [brief, ...more] = briefs(chat.model, -1);
  expect(more).toEqual([]);
  for (const line of [
    "SHIM: this conversation was compacted",
    "goal: Parse empty input",
    "- No new dependency, they asked for none",
    "next step: Write the test",
  ])
    expect(brief).toContain(line);
  // Before the compaction nothing was to be told.
  expect(briefs(chat.model)).toEqual([]);

  await kill(chat);
  const next = await rig.printed("hello", { steps: [{ text: "Hello." }] });
  const [after] = briefs(next.model);
  expect(after).toContain("summary of the compacted part: The parser is half done.");
  expect(after).toContain("goal: Parse empty input");
});

it("[HO3] does the same for a compaction that the user asked for", async () => {
  const rig = new ClaudeRig();
  const steps = [bash("echo one"), { text: "One." }, { text: "Two." }];
  const { claude, model, id } = await rig.typed("do the first thing", { steps, summary });
  await rig.turns(id, 1);
  await claude.send("/compact");
  await rig.until(id, (_, { journal }) => journal.some(({ entry }) => entry.kind === "compacted"), "the summary");
  await claude.send("do the second thing");
  await rig.turns(id, 2);
  expect(briefs(model, -1)).toHaveLength(1);
  expect(received(model, -1)).toContain("goal: do the first thing");
  expect(rig.stored(id).journal.map(({ entry }) => entry)).toContainEqual({ kind: "compacting", trigger: "manual" });
  await claude.send("/exit");
  await claude.waitForExit();
  expect(rig.session(id)).toMatchObject({ endReason: "prompt_input_exit" });
});
