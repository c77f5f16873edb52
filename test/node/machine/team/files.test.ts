import { mkdirSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import * as filesTable from "#src/machine/team/reservation-table.ts";
import { toLeasePath } from "#src/machine/team/lease-paths.ts";
import { TeamRig, twoChats, type TeamChat } from "#harness/team/team-rig.ts";

function filesOf({ runtime }: TeamChat): string[] {
  return runtime.store.read(filesTable.list, []).map(({ resource, holderName }) => `${resource} ${holderName}`);
}

function reserve(...paths: string[]): Record<string, unknown> {
  return { action: "reserve", paths };
}

it("several paths are reserved all or none, and the holder of one is named", async () => {
  const { one, other } = await twoChats();
  await one.ask("shim_files", reserve("src/**"));
  expect(await other.refusal("shim_files", reserve("b.ts", "src/x.ts"))).toMatch(
    /^lease_held: Nothing was reserved: src\/\*\* is held by 0000.* "plan it" on .*, for \d+ s\. Ask it with shim_send/,
  );
  const { output } = await other.ask("shim_files", { action: "list" });
  expect(output["files"]).toMatchObject([{ path: "src/**" }]);
  await one.ask("shim_files", { action: "release", paths: ["src/**"] });
  const reserved = await other.ask("shim_files", reserve("b.ts", "src/x.ts"));
  expect(reserved.output["files"]).toMatchObject([{ path: "b.ts" }, { path: "src/x.ts" }]);
  await other.ask("shim_files", reserve("b.ts"));
  expect(await other.refusal("shim_files", reserve("src/*"))).toBe(
    "lease_held: This chat already holds src/x.ts, which overlaps. Release it first, then reserve both.",
  );
  expect((await other.ask("shim_files", { action: "release" })).text).toBe("Released: b.ts, src/x.ts.");
});

it("the hooks' table follows reservations of all chats", async () => {
  const { rig, one, other } = await twoChats();
  await one.ask("shim_files", reserve("a.ts"));
  expect(filesOf(one)).toEqual(["file:p1/a.ts plan it"]);
  await one.ask("shim_files", { action: "release" });
  expect(filesOf(one)).toEqual([]);
  await one.ask("shim_files", reserve("b/**"));
  rig.base.store.write((sql) => sql.run("DELETE FROM team_files"));
  const third = await rig.chat("review it");
  await third.tick();
  await rig.time.pass(500);
  expect(filesOf(other)).toEqual(["file:p1/b/** plan it"]);
  rig.call("leases.force-release", { resource: "file:p1/b/**", reason: "stuck" });
  await rig.time.pass(500);
  expect(filesOf(other)).toEqual([]);
});

it("a reservation that is taken away is reported to its holder, not one that it gives back", async () => {
  const { rig, one } = await twoChats();
  await one.ask("shim_files", reserve("a.ts", "b.ts"));
  await one.ask("shim_files", { action: "release", paths: ["a.ts"] });
  await rig.time.pass(500);
  rig.call("leases.force-release", { resource: "file:p1/b.ts", reason: "stuck" });
  await rig.time.pass(500);
  const text = expect.stringMatching(/^This chat no longer holds b\.ts/) as string;
  expect(await one.news()).toMatchObject([{ kind: "notice", text }]);
});

it("what is taken away while no process serves the chat is reported by the next one", async () => {
  const rig = new TeamRig();
  const one = await rig.chat("plan it");
  await one.tick();
  await one.ask("shim_files", reserve("a.ts"));
  await one.ask("shim_state_set", { key: "$leader/deploy", value: true });
  await one.news();
  await one.team.end("goes_on");
  for (const resource of ["file:p1/a.ts", "leader:deploy"])
    rig.call("leases.force-release", { resource, reason: "stuck" });
  const next = await rig.attach(one.runtime, one.claude, 9_001);
  await next.tick();
  await rig.time.pass(60_000);
  const texts = JSON.stringify(await next.news());
  expect(texts.match(/no longer holds a\.ts|no longer leads deploy/g)).toHaveLength(2);
});

it("a reservation by a link holds where the link leads, so an edit by either name is refused", async () => {
  const { rig, one, other } = await twoChats();
  mkdirSync(join(rig.project, "src"));
  symlinkSync("src", join(rig.project, "link"));
  symlinkSync(tmpdir(), join(rig.project, "away"));
  await one.ask("shim_files", reserve("link/**", "away/b.ts", "new/c.ts"));
  const reserved = filesOf(one).map((file) => file.split(" ")[0]);
  expect(reserved).toEqual(["away/b.ts", "new/c.ts", "src/**"].map((path) => `file:p1/${path}`));
  for (const folder of ["link", "src"]) {
    const file_path = join(rig.project, folder, "a.ts");
    const edit = { tool_name: "Edit", tool_input: { file_path }, tool_use_id: folder };
    expect(other.claude.tell("PreToolUse", edit)).toMatchObject({ hookSpecificOutput: { permissionDecision: "deny" } });
  }
  expect((await one.ask("shim_files", { action: "release", paths: ["link/**"] })).text).toBe("Released: src/**.");
});

it.each([
  ["a.ts", "a.ts"],
  ["./src//a.ts", "src/a.ts"],
  ["src/x/../a.ts", "src/a.ts"],
  ["/p/src/a.ts", "src/a.ts"],
  ["src/", "src"],
  ["src/*", "src/*"],
  ["src/**", "src/**"],
  ["**", "**"],
  ["/p/**", "**"],
])("a path is below the root, given relative or absolute, with ranges at its end: %s", (given, path) => {
  expect(toLeasePath("/p", given)).toEqual({ ok: true, value: path });
});

it("what is none of this is refused with the path", () => {
  const bad = ["..", "../b", "/q/a.ts", ".", "/p", "src/*/a.ts", "src/*.ts", "a\nb", "x".repeat(401)];
  for (const given of bad) expect(toLeasePath("/p", given), given).toMatchObject({ ok: false });
  expect(toLeasePath("/p", "/q/a.ts")).toEqual({ ok: false, error: '"/q/a.ts" is not below /p' });
});
