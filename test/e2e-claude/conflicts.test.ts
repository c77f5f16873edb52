import { join } from "node:path";
import { expect, it } from "vitest";
import { untilFound } from "#harness/claude/claude-code.ts";
import { bash, call, ClaudeRig, received } from "#harness/claude/claude-rig.ts";
import type { Step } from "#harness/claude/scripted-model.ts";
import { git } from "#harness/machine/git-project.ts";

it("two Claude Codes in two work trees learn of their conflict within their turns, before either commits", async () => {
  const rig = new ClaudeRig();
  const other = join(rig.root, "other");
  git(rig.project, "worktree", "add", "--quiet", "-b", "other", other);
  const start = (prompt: string, cwd: string, content: string) =>
    rig.print(prompt, {
      cwd,
      steps: [bash(`printf '${content}' > one.ts`), { hold: "told", ...bash("true") }, { hold: "end", text: "Done." }],
    });
  const chats = [
    await start("write the parser", rig.project, "export const a = 1;\\n"),
    await start("write the lexer", other, "export const b = 2;\\n"),
  ];
  for (const { model } of chats) await model.held("told");
  await untilFound(() => rig.hasConflicts(2), "news for both");
  for (const { model } of chats) model.release("told");
  for (const { model } of chats) {
    await model.held("end");
    expect(received(model, 2)).toMatch(
      /SHIM: other chats work on the same files\.[\s\S]+will not merge by themselves: one\.ts \(your line 1\)\. What may help/,
    );
    model.release("end");
  }
  for (const { claude } of chats) expect(await claude.waitForExit()).toEqual({ code: 0, signal: null });
  for (const folder of [rig.project, other]) expect(git(folder, "rev-list", "--count", "HEAD").trim()).toBe("1");
});

/** Two chats in one work tree, each with one call. @returns what each has heard at its next one */
async function beside(toFirst: (rig: ClaudeRig) => Step, toSecond: (rig: ClaudeRig) => Step): Promise<string[]> {
  const rig = new ClaudeRig();
  const rest: Step[] = [
    { hold: "told", ...bash("true") },
    { hold: "end", text: "Done." },
  ];
  const first = await rig.print("write the parser", { steps: [toFirst(rig), ...rest] });
  await first.model.held("told");
  const second = await rig.print("write the lexer", { steps: [toSecond(rig), ...rest] });
  await second.model.held("told");
  await untilFound(() => rig.hasConflicts(2), "news for both");
  for (const { model } of [first, second]) model.release("told");
  for (const { model } of [first, second]) await model.held("end");
  for (const { model } of [first, second]) model.release("end");
  for (const { claude } of [first, second]) expect(await claude.waitForExit()).toEqual({ code: 0, signal: null });
  return [received(first.model, 2), received(second.model, 2)];
}

function write(rig: ClaudeRig, name: string): Step {
  return call("Write", { file_path: rig.path(name), content: "x\n" });
}

it("two Claude Codes that edit one work tree learn it", async () => {
  const told = await beside(
    (rig) => write(rig, "a.ts"),
    (rig) => write(rig, "b.ts"),
  );
  for (const text of told) expect(text).toContain("edits files in the same work tree");
});

it("two Claude Codes in one work tree learn that one of them has switched its branch @night", async () => {
  const [first, second] = await beside(
    () => bash("true"),
    () => bash("git switch -c lexer"),
  );
  expect(first).toMatch(/went from main to lexer while a call of "write the lexer" \(chat \w+\) ran/);
  expect(second).toContain("went from main to lexer while a call of this chat ran");
});
