import { chmodSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { write } from "#harness/machine/git-project.ts";
import { ClaudeRig } from "#harness/claude/claude-rig.ts";
import type { Step } from "#harness/claude/scripted-model.ts";

const usageLimit: Step = {
  error: { status: 429, type: "rate_limit_error", message: "This request would exceed your account's usage limit." },
  times: 20,
};

it("[LI7] the real Claude Code shows the line in its terminal with the prompt after a limit @night", async () => {
  const rig = new ClaudeRig();
  write(rig.home, { "bin/codex": "#!/bin/sh\n" });
  chmodSync(join(rig.home, "bin", "codex"), 0o755);
  const env = { PATH: `${join(rig.home, "bin")}:${process.env["PATH"]}` };
  const chat = await rig.typed("fix the parser", { steps: [usageLimit], env });
  await rig.last(chat.id, "failure");
  expect(chat.claude.screen()).not.toContain("Goonnow");
  await chat.claude.send("try again");
  await chat.claude.shows("Goonnow");
  expect(chat.claude.screen()).toContain(`resume${chat.id.slice(0, 8)}--incodex`);
});
