import { utimesSync, writeFileSync } from "node:fs";
import { expect, it } from "vitest";
import { capture } from "#src/machine/checkpoints/capture.ts";
import { systemProcesses } from "#src/platform/processes.ts";
import { takePending } from "#src/snapshots/stored-snapshots.ts";
import { aChatInRepository, briefAfter } from "#harness/machine/chat-in-repository.ts";
import { GIT_ENV } from "#harness/machine/git-project.ts";

it("a file that a command wrote is verified against the snapshot: as it was, changed since, or not known", async () => {
  const now = Date.now();
  const { runtime, claude, path } = aChatInRepository(now);
  const write = (name: string, content: string, at: number): void => {
    writeFileSync(path(name), content);
    utimesSync(path(name), at / 1_000, at / 1_000);
  };
  claude.start();
  claude.prompt("Generate the tables");
  for (const name of ["same.txt", "later.txt"]) write(name, "made by a command", now);
  claude.use("Bash", { command: "make tables" });
  capture(runtime, { sessionId: claude.session, trigger: "on_demand" });
  const host = { ...runtime, env: GIT_ENV, processes: systemProcesses };
  await takePending(host, [claude.session], new AbortController().signal);
  write("unsaved.txt", "made after the snapshot", now);
  claude.use("Bash", { command: "make more" });
  claude.kill();
  write("later.txt", "by hand, after its death", now + 60_000);
  const brief = briefAfter(runtime, claude);
  expect(brief).toContain("- same.txt (by a command or by hand): unchanged since the checkpoint");
  expect(brief).toContain("- unsaved.txt (by a command or by hand): not verified");
  expect(brief).toContain("- later.txt (by a command or by hand): CHANGED since the checkpoint");
});
