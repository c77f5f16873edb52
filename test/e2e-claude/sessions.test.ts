import { expect, it } from "vitest";
import { untilFound } from "#harness/claude/claude-code.ts";
import { bash, briefs, call, ClaudeRig, endless, endlessTool, shimTool, told } from "#harness/claude/claude-rig.ts";

const answer = { steps: [{ text: "Hello." }] };

it("[ID2] finishes a session at /clear; what comes after belongs to the new one", async () => {
  const rig = new ClaudeRig();
  const { claude, model } = await rig.terminal({
    steps: [{ text: "Fixed." }, shimTool("shim_force_checkpoint", { goal: "Another goal" }), { text: "Noted." }],
  });
  await claude.send("fix the parser");
  const first = await untilFound(() => rig.sessions()[0], "a session");
  await rig.until(first.id, (_, { journal }) => journal.at(-1)?.entry.kind === "turn_end", "the answer");
  await claude.send("/clear");
  const second = await untilFound(() => rig.sessions()[1], "a second session");
  expect(rig.session(first.id)).toMatchObject({ endReason: "clear" });
  await claude.send("do something else");
  await rig.until(second.id, (_, { journal }) => journal.at(-1)?.entry.kind === "turn_end", "the second answer");
  expect(told(model, -1)).not.toContain("recovered data");
  // The MCP process is still the one of the first session.
  expect(rig.stored(first.id).checkpoints.map(({ trigger }) => trigger)).not.toContain("on_demand");
  expect(rig.stored(second.id).checkpoints.find(({ trigger }) => trigger === "on_demand")?.summary).toContain(
    "Another goal",
  );
  expect(second).toMatchObject({ origin: "clear", owner: first.owner });
  await claude.send("/exit");
  await claude.waitForExit();
  expect(rig.sessions()).toHaveLength(2);
});

it("[RE10] lets a killed session be resumed: it learns once what happened, and nobody else is offered it", async () => {
  const rig = new ClaudeRig();
  const first = await rig.print("fix the parser", { steps: [{ text: "I begin." }, endless].slice(1) });
  await endlessTool(first.claude);
  first.claude.kill("SIGKILL");
  await first.claude.waitForExit();
  const [dead] = rig.sessions();
  const resume = { args: ["--resume", dead!.id] };

  const again = await rig.print("go on", { ...resume, steps: [{ hold: "answer", text: "Done." }] });
  await again.model.held("answer");
  const [brief, ...more] = briefs(told(again.model));
  expect(more).toEqual([]);
  expect(brief).toContain("SHIM: this session died");
  expect(brief).toContain("was running when it died: Bash exec sleep 600");
  const beside = await rig.printed("hello", answer);
  expect(told(beside.model)).not.toContain("recovered data");
  again.model.release("answer");
  expect(await again.claude.waitForExit()).toEqual({ code: 0, signal: null });
  expect(rig.session(dead!.id)).toMatchObject({ endReason: "other", recovery: null });
  expect(rig.sessions()).toHaveLength(2);

  const third = await rig.printed("one more thing", { ...resume, steps: [{ text: "Done." }] });
  // The client replays the brief of the first resume; no second one comes.
  expect(briefs(told(third.model))).toEqual([brief]);
});

it("[RE10] tells a resumed session that another one has taken over its work", async () => {
  const rig = new ClaudeRig();
  const first = await rig.print("fix the parser", { steps: [endless] });
  await endlessTool(first.claude);
  first.claude.kill("SIGKILL");
  await first.claude.waitForExit();
  await rig.printed("go on", { steps: [shimTool("shim_check_recovery", { take: true }), { text: "Done." }] });
  const [dead, successor] = rig.sessions();
  const resumed = await rig.printed("go on", { args: ["--resume", dead!.id], steps: [{ text: "Done." }] });
  expect(told(resumed.model)).toContain(`SHIM: this session was continued by session ${successor!.id} in the meantime`);
});

it("takes a fork for a session of its own; the one it came from stays on offer", async () => {
  const rig = new ClaudeRig();
  const first = await rig.print("fix the parser", { steps: [endless] });
  await endlessTool(first.claude);
  first.claude.kill("SIGKILL");
  await first.claude.waitForExit();
  const [dead] = rig.sessions();
  await rig.printed("try it otherwise", {
    args: ["--resume", dead!.id, "--fork-session"],
    steps: [{ text: "Done." }],
  });
  expect(rig.sessions()).toMatchObject([
    { id: dead!.id, endedAt: null, recovery: null },
    { origin: "fork", endReason: "other" },
  ]);
  const next = await rig.printed("hello", answer);
  expect(briefs(told(next.model))[0]).toContain(dead!.id);
});

it("[RE5] keeps two chats in one project apart", async () => {
  const rig = new ClaudeRig();
  const write = (name: string) => call("Write", { file_path: rig.path(name), content: "export {};\n" });
  const left = await rig.print("work on the left", {
    steps: [write("left.ts"), { hold: "left", text: "Left done." }],
  });
  await left.model.held("left");
  const right = await rig.print("work on the right", {
    steps: [write("right.ts"), { hold: "right", ...bash("exec sleep 600") }],
  });
  await right.model.held("right");
  expect(told(right.model)).not.toContain("recovered data");
  left.model.release("left");
  await left.claude.waitForExit();
  right.model.release("right");
  await endlessTool(right.claude);
  right.claude.kill("SIGKILL");
  await right.claude.waitForExit();

  const [a, b] = rig.sessions();
  const files = (id: string) => rig.stored(id).journal.flatMap(({ entry }) => ("path" in entry ? [entry.path] : []));
  expect([files(a!.id), files(b!.id)]).toEqual([[rig.path("left.ts")], [rig.path("right.ts")]]);
  expect([rig.session(a!.id).endReason, rig.session(b!.id).endReason]).toEqual(["other", null]);
  const next = await rig.printed("hello", answer);
  const found = briefs(told(next.model));
  expect(found).toHaveLength(1);
  expect(found[0]).toContain("goal: work on the right");
  expect(found[0]).not.toContain("left.ts");
});
