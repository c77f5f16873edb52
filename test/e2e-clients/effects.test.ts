import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { expect, it } from "vitest";
import { findChild } from "#harness/claude/claude-code.ts";
import { received } from "#harness/claude/claude-rig.ts";
import { type ChatRig, longTool } from "#harness/clients/chat-rig.ts";
import { ClientRig } from "#harness/clients/client-rig.ts";
import { CodexRig, endlessShell, shell } from "#harness/clients/codex-rig.ts";
import { otherClients } from "#harness/clients/real-clients.ts";
import { write } from "#harness/machine/git-project.ts";

/** Turns the guard on for a deployment that counts itself. @returns its command */
function aDeployment(rig: ChatRig): string {
  const commands = [{ words: "deploy.sh *", kind: "deployment" }];
  mkdirSync(rig.paths.home, { recursive: true });
  writeFileSync(rig.paths.config, JSON.stringify({ effects: { guard: "on", commands } }));
  write(rig.root, { "deploy.sh": `echo "$1" >> ${rig.root}/deploys\n` });
  return `sh ${rig.root}/deploy.sh prod`;
}

function deploys({ root }: ChatRig): number {
  const path = `${root}/deploys`;
  return existsSync(path) ? readFileSync(path, "utf8").trim().split("\n").length : 0;
}

it.each(otherClients.map((client) => [client.name, client] as const))(
  "%s: after a kill a done deployment is refused with the reason, and runs after the user's next prompt @night",
  async (_name, client) => {
    const rig = new ClientRig(client);
    const deploy = { tools: [client.shell(aDeployment(rig))] };
    await rig.kill(await rig.atTool("deploy it", [deploy]));
    expect(deploys(rig)).toBe(1);
    const refused = await rig.run("continue", [deploy, deploy, { text: "It is done already." }]);
    expect(deploys(rig)).toBe(1);
    expect(received(refused.model, -1)).toContain("SHIM: done already");
    // Qwen Code ignores calls with the ids of earlier ones, which the stand-in counts from one again.
    const before = { tools: [client.shell("echo one")] };
    const steps = [before, before, deploy, { text: "Deployed." }];
    await rig.run("yes, deploy it again", steps, rig.sessions().at(-1)?.id ?? null);
    expect(deploys(rig)).toBe(2);
  },
);

it("Codex: a deployment that has perhaps failed is refused after a kill, until the user's next prompt @night", async () => {
  const rig = new CodexRig();
  const deploy = shell(aDeployment(rig));
  const { codex } = await rig.exec("deploy it", { steps: [deploy, endlessShell] });
  await findChild(codex.pid, longTool);
  codex.kill("SIGKILL");
  await codex.waitForExit();
  expect(deploys(rig)).toBe(1);
  const refused = await rig.executed("continue", { steps: [deploy, { text: "It is done already." }] });
  expect(deploys(rig)).toBe(1);
  expect(received(refused.model, -1)).toContain("SHIM: perhaps done already");
  await rig.executed("yes, again", { steps: [deploy, { text: "Deployed." }] }, rig.sessions().at(-1)?.id);
  expect(deploys(rig)).toBe(2);
});
