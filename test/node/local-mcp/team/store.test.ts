import { rmSync, writeFileSync } from "node:fs";
import { expect, it, vi } from "vitest";
import { edgeConfigPath } from "#src/coordinator-client/edge-config.ts";
import { StoreError } from "#src/store/store-error.ts";
import { rowCount } from "#harness/machine/claude.ts";
import { TeamRig, twoChats, type TeamChat } from "#harness/team/team-rig.ts";

function fail(): never {
  throw new StoreError("store_full", "the disk is full");
}

/** From now on the chat's store takes nothing. @returns it does again */
function fillDisk({ runtime: { store } }: TeamChat): () => void {
  const spies = [vi.spyOn(store, "write").mockImplementation(fail), vi.spyOn(store, "read").mockImplementation(fail)];
  return () => {
    for (const spy of spies) spy.mockRestore();
  };
}

it("[TE21] a store that takes nothing for a while ends no process: what was heard meanwhile is told later", async () => {
  const { rig, one, other } = await twoChats();
  await other.ask("shim_files", { action: "reserve", paths: ["a.ts"] });
  await other.ask("shim_submit", { tasks: [{ type: "build" }] });
  await other.ask("shim_next");
  const self = { chat: one.claude.session, incarnation: 1 };
  const heal = fillDisk(other);
  rig.call("elections.campaign", { self, name: "deploy", requestId: "r1" });
  rig.call("leases.force-release", { resource: "file:p1/a.ts", reason: "stuck" });
  await rig.time.pass(60_000);
  heal();
  await rig.time.pass(30_000);
  const told = ((await other.ask("shim_inbox")).output["news"] as { kind: string }[]).map(({ kind }) => kind);
  expect(told).toEqual(expect.arrayContaining(["claim_lost", "leader_changed", "notice"]));
});

it("[TE21] a chat that was registered while the store took nothing hears its messages later", async () => {
  const rig = new TeamRig();
  const [one, other] = [await rig.chat("plan it"), await rig.chat("build it")];
  await one.tick();
  const write = vi.spyOn(other.runtime.store, "write").mockImplementation(fail);
  await other.tick();
  await rig.time.pass(30_000);
  write.mockRestore();
  await rig.time.pass(30_000);
  await one.ask("shim_send", { to: other.claude.session, text: "hello" });
  await rig.time.pass(1_000);
  expect(rowCount(rig.base, "team_news")).toBe(1);
});

it("[TE21] an edge.json that cannot be used is logged once, named to the chat by its tools, and used when it is repaired", async () => {
  const rig = new TeamRig();
  const one = await rig.chat("plan it");
  const file = edgeConfigPath(rig.base.paths.home);
  writeFileSync(file, "{");
  const before = one.runtime.logged.length;
  for (let ticks = 0; ticks < 5; ticks++) await one.tick();
  expect(one.runtime.logged.slice(before)).toEqual([expect.stringContaining("edge.json")]);
  expect(await one.call("shim_chats")).toMatchObject({
    isError: true,
    text: expect.stringContaining("edge.json") as string,
  });
  rmSync(file);
  await one.tick();
  expect((await one.ask("shim_chats")).isError).toBe(false);
});
