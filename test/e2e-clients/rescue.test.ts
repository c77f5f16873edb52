import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { fail, ClientRig, poisonCommand, refusingPoison } from "#harness/clients/chat-rig.ts";
import { codex, copilot, noModel, opencode, qwen, type RealClient } from "#harness/clients/real-clients.ts";
import { codexClient, programOf } from "../../scripts/install-clients.ts";

interface Rescued {
  readonly reason: string;
  readonly why: string;
  readonly done: { readonly copy: { readonly session: string; readonly file: string | null } };
}

it.each([codex, copilot, qwen, opencode])(
  "$name continues the copy of a session that its API refuses with each prompt",
  async (client: RealClient) => {
    const rig = new ClientRig(client);
    const end = async (prompt: string, steps: ReturnType<typeof refusingPoison>, session: string | null) => {
      const { process } = await rig.start(prompt, steps, session);
      const { code } = await process.waitForExit();
      await rig.endsStored();
      return code;
    };
    const codes = [await end("the word is pear", refusingPoison(null), null)];
    const { id } = await rig.begun();
    codes.push(await end("press the red button", refusingPoison(client.shell(poisonCommand)), id));
    codes.push(await end("try the blue one", refusingPoison(null), id));
    const { transcriptPath: path } = rig.session(id);
    const before = path === null ? null : readFileSync(path);
    const { reason, why, done } = JSON.parse(rig.shim("rescue", id, "--yes", "--json")) as Rescued;
    expect(reason).toBe("poisoned");
    const accepted: string[] = [];
    codes.push(await end("go on", refusingPoison(null, accepted), done.copy.session));
    const request = accepted.find((text) => text.includes("go on")) ?? fail("no request was accepted");
    expect(request).toContain("the word is pear");
    expect(request).not.toContain("try the blue one");
    // OpenCode has a database, and each of its commands takes long.
    if (path === null) return;
    expect(codes.map((code) => code === 0)).toEqual([true, false, false, true]);
    expect(why).toContain("its last 2 prompts");
    expect(readFileSync(path)).toEqual(before);
    expect(JSON.parse(rig.shim("rescue", done.copy.session, "--json"))).toMatchObject({ reason: null });
  },
);

it("Codex continues after its lock was set aside, and after its archive gave the session back", async () => {
  const rig = new ClientRig(codex);
  await rig.run("the word is pear", refusingPoison(null));
  const { id } = await rig.begun();
  const isContinued = async (): Promise<boolean> => {
    const { process } = await rig.start("go on", refusingPoison(null), id);
    return (await process.waitForExit()).code === 0;
  };
  mkdirSync(join(rig.home, ".codex", "thread-writer-locks", `${id}.lock`), { recursive: true });
  expect(await isContinued()).toBe(false);
  expect(JSON.parse(rig.shim("rescue", id, "--yes", "--json"))).toMatchObject({ reason: "locked" });
  expect(await isContinued()).toBe(true);
  execFileSync(programOf(codexClient), ["archive", id], { cwd: rig.project, env: rig.env(noModel) });
  expect(await isContinued()).toBe(false);
  expect(JSON.parse(rig.shim("rescue", id, "--yes", "--json"))).toMatchObject({ reason: "invisible" });
  expect(await isContinued()).toBe(true);
});
