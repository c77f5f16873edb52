import { chmodSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { write } from "#harness/machine/git-project.ts";
import { ClaudeRig } from "#harness/claude/claude-rig.ts";
import { planEnv, planLimit } from "#harness/claude/usage-limits.ts";

it("the real Claude Code shows in its terminal, with the prompt after a limit, when that ends and the command @night", async () => {
  const rig = new ClaudeRig();
  write(rig.home, { "bin/codex": "#!/bin/sh\n" });
  chmodSync(join(rig.home, "bin", "codex"), 0o755);
  const env = { ...planEnv, PATH: `${join(rig.home, "bin")}:${process.env["PATH"]}` };
  const chat = await rig.typed("fix the parser", { steps: [planLimit(Date.now() + 7_200_000)], env });
  await rig.last(chat.id, "failure");
  expect(chat.claude.screen()).not.toContain("Goonnow");
  await chat.claude.send("try again");
  await chat.claude.shows("thelimitendsat");
  expect(chat.claude.screen()).toContain(`resume${chat.id.slice(0, 8)}--incodex`);
});
