import { expect, it } from "vitest";
import { untilFound } from "#harness/claude/claude-code.ts";
import {
  bash,
  briefs,
  call,
  ClaudeRig,
  endlessTool,
  hello,
  kill,
  received,
  shimTool,
} from "#harness/claude/claude-rig.ts";

it("finishes a session at /clear; what comes after belongs to the new one @night", async () => {
  const rig = new ClaudeRig();
  const steps = [{ text: "Fixed." }, shimTool("shim_force_checkpoint", { goal: "Another goal" }), { text: "Noted." }];
  const { claude, model, id } = await rig.typed("fix the parser", { steps });
  const first = await rig.last(id, "turn_end");
  await claude.send("/clear");
  const second = await untilFound(() => rig.sessions()[1], "a second session");
  expect(rig.session(first.id)).toMatchObject({ endReason: "clear" });
  await claude.send("do something else");
  await rig.last(second.id, "turn_end");
  expect(received(model, -1)).not.toContain("recovered data");
  // The MCP process is still the one of the first session.
  expect(rig.stored(first.id).checkpoints.map(({ trigger }) => trigger)).not.toContain("on_demand");
  const saved = rig.stored(second.id).checkpoints.find(({ trigger }) => trigger === "on_demand");
  expect(saved?.summary).toContain("Another goal");
  expect(second).toMatchObject({ origin: "clear", owner: first.owner });
  await claude.send("/exit");
  await claude.waitForExit();
  expect(rig.sessions()).toHaveLength(2);
});

it("lets a killed session be resumed: it receives its brief once, and no other chat does @night", async () => {
  const rig = new ClaudeRig();
  const { id } = await rig.killed("fix the parser");
  const resume = { args: ["--resume", id] };

  const again = await rig.print("go on", { ...resume, steps: [{ hold: "answer", text: "Done." }] });
  await again.model.held("answer");
  const [brief, ...more] = briefs(again.model);
  expect(more).toEqual([]);
  expect(brief).toContain("SHIM: this session died");
  expect(brief).toContain("in mid-turn, running Bash exec sleep 600");
  const beside = await rig.printed("hello", hello);
  expect(received(beside.model)).not.toContain("recovered data");
  again.model.release("answer");
  expect(await again.claude.waitForExit()).toEqual({ code: 0, signal: null });
  expect(rig.session(id)).toMatchObject({ endReason: "other", recovery: null });
  expect(rig.sessions()).toHaveLength(2);

  const third = await rig.printed("one more thing", { ...resume, ...hello });
  // The client replays the brief of the first resume; no second one comes.
  expect(briefs(third.model)).toEqual([brief]);
});

it("a resumed session is notified that another one has taken over its work @night", async () => {
  const rig = new ClaudeRig();
  const { id } = await rig.killed("fix the parser");
  await rig.printed("go on", { steps: [shimTool("shim_check_recovery", { take: true }), { text: "Done." }] });
  const resumed = await rig.printed("go on", { ...hello, args: ["--resume", id] });
  const notice = `SHIM: this session was continued by session ${rig.sessions()[1]!.id} in the meantime`;
  expect(received(resumed.model)).toContain(notice);
});

it("keeps two chats in one project apart @night", async () => {
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
  expect(received(right.model)).not.toContain("recovered data");
  left.model.release("left");
  await left.claude.waitForExit();
  right.model.release("right");
  await endlessTool(right.claude);
  await kill(right);

  const [a, b] = rig.sessions();
  const files = (id: string) => rig.stored(id).journal.flatMap(({ entry }) => ("path" in entry ? [entry.path] : []));
  expect([files(a!.id), files(b!.id)]).toEqual([[rig.path("left.ts")], [rig.path("right.ts")]]);
  expect([rig.session(a!.id).endReason, rig.session(b!.id).endReason]).toEqual(["other", null]);
  const found = await rig.nextBriefs();
  expect(found).toHaveLength(1);
  expect(found[0]).toContain(" ago: work on the right");
  expect(found[0]).not.toContain("left.ts");
});
