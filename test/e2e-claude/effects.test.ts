import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { expect, it } from "vitest";
import { call, ClaudeRig, received } from "#harness/claude/claude-rig.ts";
import { git, write } from "#harness/machine/git-project.ts";

/** A rig whose project has a remote that counts what it receives, with the guard on. */
function aRig(): { readonly rig: ClaudeRig; readonly pushes: () => number; readonly deploys: () => number } {
  const rig = new ClaudeRig();
  mkdirSync(rig.paths.home);
  const commands = [{ words: "deploy.sh *", kind: "deployment" }];
  writeFileSync(rig.paths.config, JSON.stringify({ effects: { guard: "on", commands } }));
  git(rig.root, "init", "-q", "--bare", "-b", "main", "remote");
  write(rig.root, { "deploy.sh": `#!/bin/sh\necho "$1" >> ${rig.root}/deploys\n` });
  git(rig.project, "remote", "add", "origin", `${rig.root}/remote`);
  git(rig.project, "branch", "-M", "main");
  const lines = (name: string): number =>
    existsSync(`${rig.root}/${name}`) ? readFileSync(`${rig.root}/${name}`, "utf8").trim().split("\n").length : 0;
  return {
    rig,
    pushes: () => git(rig.root, "-C", "remote", "reflog", "show", "main").trim().split("\n").length,
    deploys: () => lines("deploys"),
  };
}

const deploy = (rig: ClaudeRig) => call("Bash", { command: `sh ${rig.root}/deploy.sh prod` });

it("in `claude -p` a done effect is not repeated after a kill, and the model reads why", async () => {
  const { rig, deploys } = aRig();
  await rig.killed("deploy it", { steps: [deploy(rig)] });
  expect(deploys()).toBe(1);
  const { model } = await rig.printed("continue", { steps: [deploy(rig), { text: "It is done already." }] });
  expect(deploys()).toBe(1);
  expect(received(model, -1)).toContain("SHIM: done already");
});

it("in a terminal the user is asked once: what the answer let run is not asked of again @night", async () => {
  const { rig, deploys } = aRig();
  await rig.killed("deploy it", { steps: [deploy(rig)] });
  const steps = [deploy(rig), { text: "Deployed again." }, deploy(rig), { text: "And once more." }];
  const args = ["--permission-mode", "default"];
  const { claude } = await rig.typed("continue", { steps, args });
  await claude.shows("SHIM:donealready");
  expect(deploys()).toBe(1);
  claude.type("\r");
  await claude.shows("Deployedagain.");
  expect(deploys()).toBe(2);
  await claude.send("once more");
  await claude.shows("Andoncemore.");
  expect(deploys()).toBe(3);
});

it("without permissions `claude -p` is refused all the same @night", async () => {
  const { rig, deploys } = aRig();
  const env = { IS_SANDBOX: "1" };
  const args = ["--dangerously-skip-permissions"];
  await rig.killed("deploy it", { steps: [deploy(rig)], env, args });
  const { model } = await rig.printed("continue", { steps: [deploy(rig), { text: "Done already." }], env, args });
  expect(deploys()).toBe(1);
  expect(received(model, -1)).toContain("SHIM: done already");
});

it("in a terminal what the user refuses does not run @night", async () => {
  const { rig, deploys } = aRig();
  await rig.killed("deploy it", { steps: [deploy(rig)] });
  const { claude } = await rig.typed("continue", { steps: [deploy(rig), { text: "Then not." }] });
  await claude.shows("SHIM:donealready");
  claude.type("\u001b");
  await claude.shows("Interrupted");
  expect(deploys()).toBe(1);
});
