import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { bash, ClaudeRig, received, shimTool } from "#harness/claude/claude-rig.ts";
import { built } from "#harness/machine/mcp-process.ts";
import { git } from "#harness/machine/git-project.ts";

const begun = { steps: [bash("echo begun")] };

it("/shim:resume instructs the model, and the chat continues the dead one", async () => {
  const rig = new ClaudeRig();
  const { id } = await rig.killed("fix the parser", begun);
  const steps = [shimTool("shim_check_recovery", { take: true }), bash("echo on"), { text: "I go on." }];
  const { model } = await rig.printed("/shim:resume", { steps });
  expect(received(model)).toContain("The user wants to continue an earlier chat that SHIM has saved.");
  expect(received(model, -1)).toContain(" ago: fix the parser");
  const [, successor] = rig.sessions();
  expect(rig.session(id)).toMatchObject({ recovery: "recovered", recoveryBy: successor!.id });
});

it("/shim:save instructs the model, and the note of the user is in the checkpoint @night", async () => {
  const rig = new ClaudeRig();
  const notes = { goal: "fix the parser", nextStep: "the lexer comes next" };
  const steps = [bash("echo begun"), shimTool("shim_force_checkpoint", notes), { text: "It is saved." }];
  const { model } = await rig.printed("/shim:save the lexer comes next", { steps });
  expect(received(model)).toContain('What the user wants noted: "the lexer comes next"');
  const [session] = rig.sessions();
  expect(rig.stored(session!.id).checkpoints.map(({ trigger }) => trigger)).toContain("on_demand");
});

it("/shim:who instructs the model, which learns of the chat that was just offered, and nothing changes @night", async () => {
  const rig = new ClaudeRig();
  const { id } = await rig.killed("fix the parser", begun);
  const list = { list: true, detail: "detailed" };
  const steps = [shimTool("shim_session_status"), shimTool("shim_check_recovery", list), { text: "These." }];
  const { model } = await rig.printed("/shim:who", { steps });
  expect(received(model)).toContain("The user asks which chats SHIM knows. Change nothing.");
  expect(received(model, -1)).toMatch(/"died":1,"offeredHere":1/);
  expect(received(model, -1)).toMatch(/"title":"fix the parser"[^}]*"offeredHere":true/);
  expect(rig.session(id).recovery).toBe("offered");
  expect(rig.stored(id).recoveries.map(({ action }) => action)).toEqual(["offered"]);
});

it("/shim:effects instructs the model, which reads what the remote of a push has @night", async () => {
  const rig = new ClaudeRig();
  git(rig.root, "init", "-q", "--bare", "remote");
  git(rig.project, "remote", "add", "origin", `${rig.root}/remote`);
  git(rig.project, "branch", "-M", "main");
  await rig.killed("push it", { steps: [bash("git push origin main 2>&1 | tail -1")] });
  const steps = [shimTool("shim_session_status", { detail: "detailed" }), { text: "It is there." }];
  const { model } = await rig.printed("/shim:effects", { steps });
  expect(received(model)).toContain("it asks the git remotes and the npm registry");
  expect(received(model, -1)).toMatch(
    /git push origin main 2>&1 \(commit \w{12}\): unknown \(its call ended.*asked now: refs\/heads\/main of origin is at \w{12}, the commit of this push/,
  );
});

it("/shim:fork instructs the model, which is given the id of its chat, and nothing is made @night", async () => {
  const rig = new ClaudeRig();
  const steps = [shimTool("shim_session_status"), { text: "In another terminal." }];
  const { model } = await rig.printed("/shim:fork fix the parser, in codex", { steps });
  expect(received(model)).toContain("The user wants to start again from an earlier prompt of this chat");
  expect(received(model)).toContain('"fix the parser, in codex"');
  const [session] = rig.sessions();
  expect(received(model, -1)).toContain(session!.id);
  expect([rig.sessions().length, existsSync(join(rig.paths.home, "work"))]).toEqual([1, false]);
});

it("without the plugin the prompts are slash commands; beside it there are none @night", async () => {
  const rig = new ClaudeRig();
  const shim = { command: process.execPath, args: [built.launcher, "mcp"], env: { SHIM_HOME: rig.paths.home } };
  const answered = { steps: [{ text: "These." }] };
  const alone = await rig.printed("/mcp__shim__who", { ...answered, hasPlugin: false, mcpServers: { shim } });
  expect(received(alone.model)).toContain("The user typed /shim:who, a command of SHIM.");
  expect(received(alone.model)).toContain("The user asks which chats SHIM knows. Change nothing.");
  const beside = await rig.printed("/mcp__plugin_shim_shim__who", answered).catch(() => null);
  expect(JSON.stringify(beside?.model.requests ?? [])).not.toContain("a command of SHIM");
});
