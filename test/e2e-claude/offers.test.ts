import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { transcriptPath } from "#harness/claude/claude-code.ts";
import { bash, briefs, ClaudeRig, hello, received } from "#harness/claude/claude-rig.ts";
import { git } from "#harness/machine/git-project.ts";

const begun = { steps: [bash("echo begun")] };

it("of two chats that start at the same time one is given the dead session @night", async () => {
  const rig = new ClaudeRig();
  const { id } = await rig.killed("fix the parser", begun);
  const chats = await Promise.all(["left", "right"].map((prompt) => rig.printed(prompt, hello)));
  expect(chats.flatMap(({ model }) => briefs(model))).toHaveLength(1);
  expect(rig.stored(id).recoveries.map(({ action }) => action)).toEqual(["offered"]);
});

it("prints one line for a script and keeps the offer for a chat with a user @night", async () => {
  const rig = new ClaudeRig();
  const { id } = await rig.killed("fix the parser", begun);
  const script = await rig.printed("write a commit message", { ...hello, env: { CLAUDE_CODE_ENTRYPOINT: "cli" } });
  expect(briefs(script.model)).toEqual([]);
  expect(received(script.model)).toContain(`SHIM: session ${id} of this project died`);
  expect(rig.session(id).recovery).toBeNull();
  expect(await rig.nextBriefs()).toHaveLength(1);
});

it('"continue" gives the chat the dead session, without a call of SHIM\'s tools @night', async () => {
  const rig = new ClaudeRig();
  const { id } = await rig.killed("fix the parser", begun);
  const next = await rig.printed("continue", { steps: [bash("echo on"), { text: "I go on." }] });
  expect(briefs(next.model)).toHaveLength(1);
  expect(received(next.model)).toContain(`the user continues session ${id}, and this chat has it now`);
  expect(rig.session(id).recovery).toBe("recovered");
});

it("gives a dead session to a chat of its own project only, in whatever folder of it @night", async () => {
  const rig = new ClaudeRig();
  await rig.killed("fix the parser", begun);
  const elsewhere = join(rig.root, "elsewhere");
  const inside = rig.path("src");
  for (const folder of [elsewhere, inside]) mkdirSync(folder);
  git(elsewhere, "init", "-q");
  const stranger = await rig.printed("hello", { ...hello, cwd: elsewhere });
  expect(received(stranger.model)).not.toContain("recovered data");
  const heir = await rig.printed("hello", { ...hello, cwd: inside });
  expect(briefs(heir.model)).toHaveLength(1);
});

it("keeps offering a session that the client should resume and does not find @night", async () => {
  const rig = new ClaudeRig();
  const { id } = await rig.killed("fix the parser", begun);
  rmSync(transcriptPath(rig.home, rig.project, id));
  const failed = await rig.print("go on", { args: ["--resume", id], ...hello });
  expect(await failed.claude.waitForExit()).toEqual({ code: 1, signal: null });
  expect(failed.claude.output.stderr).toContain("No conversation found");
  expect(rig.session(id)).toMatchObject({ endedAt: null, recovery: null });
  expect((await rig.nextBriefs())[0]).toContain(`<shim-recovered-session-${id.slice(0, 8)}>`);
});

it("takes a session that is opened a second time while it lives for two @night", async () => {
  const rig = new ClaudeRig();
  const first = await rig.print("fix the parser", { steps: [bash("echo begun"), { hold: "end", text: "Fixed." }] });
  await first.model.held("end");
  const [living] = rig.sessions();
  const second = await rig.printed("try it otherwise", { args: ["--resume", living!.id], ...hello });
  expect(received(second.model)).not.toContain("recovered data");
  const [, fork] = rig.sessions();
  expect(fork).toMatchObject({ origin: "fork", parentId: living!.id, endReason: "other" });
  expect(rig.session(living!.id)).toMatchObject({ endedAt: null });
  first.model.release("end");
  await first.claude.waitForExit();
  const prompts = (id: string) =>
    rig.stored(id).journal.flatMap(({ entry }) => (entry.kind === "prompt" ? [entry.text] : []));
  expect(rig.session(living!.id)).toMatchObject({ endReason: "other" });
  expect([prompts(living!.id), prompts(fork!.id)]).toEqual([["fix the parser"], ["try it otherwise"]]);
});
