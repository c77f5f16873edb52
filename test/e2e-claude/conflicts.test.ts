import { join } from "node:path";
import { expect, it } from "vitest";
import { untilFound } from "#harness/claude/claude-code.ts";
import { bash, call, ClaudeRig, received } from "#harness/claude/claude-rig.ts";
import { git } from "#harness/machine/git-project.ts";

it("[CF4] [CF6] two Claude Codes in two work trees learn of their conflict within their turns, before either commits", async () => {
  const rig = new ClaudeRig();
  const other = join(rig.root, "other");
  git(rig.project, "worktree", "add", "--quiet", "-b", "other", other);
  const start = (prompt: string, cwd: string, content: string) =>
    rig.print(prompt, {
      cwd,
      steps: [
        call("Write", { file_path: join(cwd, "new.ts"), content }),
        bash(`printf '${content}' > one.ts`),
        { hold: "told", ...bash("true") },
        { hold: "end", text: "Done." },
      ],
    });
  const chats = [
    await start("write the parser", rig.project, "export const a = 1;\\n"),
    await start("write the lexer", other, "export const b = 2;\\n"),
  ];
  for (const { model } of chats) await model.held("told");
  const sessions = await untilFound(() => (rig.sessions().length === 2 ? rig.sessions() : undefined), "two sessions");
  await untilFound(
    () => sessions.every(({ id }) => rig.news(id).some(({ news }) => news.kind === "conflict")) || undefined,
    "news",
  );
  for (const { model } of chats) model.release("told");
  for (const { model } of chats) {
    await model.held("end");
    expect(received(model, 3)).toMatch(
      /SHIM: other chats work on the same files\.[\s\S]+will not merge by themselves: new\.ts \(added by both\), one\.ts \(your line 1\)\. What may help/,
    );
    model.release("end");
  }
  for (const { claude } of chats) expect(await claude.waitForExit()).toEqual({ code: 0, signal: null });
  for (const folder of [rig.project, other]) expect(git(folder, "rev-list", "--count", "HEAD").trim()).toBe("1");
});
