import { existsSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { expect, it } from "vitest";
import { claudeBinary } from "../../scripts/install-claude.ts";
import { call, ClaudeRig, received } from "#harness/claude/claude-rig.ts";
import { initialise } from "#harness/claude/set-up.ts";
import { hostsOf, killEvery } from "#harness/machine/process-tree.ts";

/** `shim init` has written the hooks, for this setting. */
function aRig(blockUnchecked: boolean): { readonly rig: ClaudeRig; readonly mcpServers: Record<string, object> } {
  const rig = new ClaudeRig();
  mkdirSync(rig.paths.home);
  writeFileSync(rig.paths.config, JSON.stringify({ team: { blockUnchecked } }));
  return { rig, mcpServers: initialise(rig, claudeBinary()) };
}

const write = (rig: ClaudeRig, name: string) => call("Write", { file_path: rig.path(name), content: "text\n" });

it.each([true, false])(
  "with team.blockUnchecked %s an edit that no host can check is blocked, and else continues @night",
  async (isBlocking) => {
    const { rig, mcpServers } = aRig(isBlocking);
    const steps = [write(rig, "first.ts"), { hold: "turn", ...write(rig, "second.ts") }, { text: "Done." }];
    const chat = await rig.print("fix it", { steps, mcpServers, hasPlugin: false });
    await chat.model.held("turn");
    // No host can be started where the home is a file.
    renameSync(rig.paths.home, `${rig.paths.home}-before`);
    writeFileSync(rig.paths.home, "");
    killEvery(hostsOf(rig.paths.home));
    chat.model.release("turn");
    expect(await chat.claude.waitForExit()).toEqual({ code: 0, signal: null });
    expect(existsSync(rig.path("first.ts"))).toBe(true);
    expect(existsSync(rig.path("second.ts"))).toBe(!isBlocking);
    expect(received(chat.model, -1).includes("SHIM could not check this call")).toBe(isBlocking);
  },
);

it("with team.blockUnchecked no tool is used while SHIM's server cannot be started @night", async () => {
  const { rig, mcpServers } = aRig(true);
  const broken = Object.fromEntries(Object.keys(mcpServers).map((name) => [name, { command: "/nonexistent" }]));
  const steps = [write(rig, "first.ts"), { text: "Done." }];
  const chat = await rig.printed("fix it", { steps, mcpServers: broken, hasPlugin: false });
  expect(existsSync(rig.path("first.ts"))).toBe(false);
  expect(received(chat.model, -1)).toMatch(/not connected/);
});
