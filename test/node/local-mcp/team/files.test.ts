import { mkdirSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import * as filesTable from "#src/local-mcp/team/reservation-table.ts";
import { toLeasePath } from "#src/local-mcp/team/lease-paths.ts";
import { twoChats, type TeamChat } from "#harness/team/team-rig.ts";

function filesOf({ runtime }: TeamChat): string[] {
  return runtime.store.read(filesTable.list, []).map(({ resource, holderName }) => `${resource} ${holderName}`);
}

it("[TE12] several paths are reserved all or none, and who has one is named", async () => {
  const { one, other } = await twoChats();
  await one.ask("shim_files", { action: "reserve", paths: ["src/**"] });
  expect(await other.call("shim_files", { action: "reserve", paths: ["b.ts", "src/x.ts"] })).toMatchObject({
    isError: true,
    text: expect.stringMatching(
      /^lease_held: Nothing was reserved: src\/\*\* is held by 0000.* "plan it" on .*, for \d+ s\. Ask it with shim_send/,
    ) as string,
  });
  expect((await other.ask("shim_files", { action: "list" })).output["files"]).toMatchObject([{ path: "src/**" }]);
  await one.ask("shim_files", { action: "release", paths: ["src/**"] });
  expect(await other.ask("shim_files", { action: "reserve", paths: ["b.ts", "src/x.ts"] })).toMatchObject({
    output: { files: [{ path: "b.ts" }, { path: "src/x.ts" }] },
  });
  expect((await other.ask("shim_files", { action: "reserve", paths: ["b.ts"] })).isError).toBe(false);
  expect(await other.call("shim_files", { action: "reserve", paths: ["src/*"] })).toMatchObject({
    isError: true,
    text: "lease_held: This chat already holds src/x.ts, which overlaps. Release it first, then reserve both.",
  });
  expect((await other.ask("shim_files", { action: "release" })).text).toBe("Released: b.ts, src/x.ts.");
});

it("[TE13] the hooks' table follows reservations of all chats", async () => {
  const { rig, one, other } = await twoChats();
  await one.ask("shim_files", { action: "reserve", paths: ["a.ts"] });
  expect(filesOf(one)).toEqual(["file:p1/a.ts plan it"]);
  await one.ask("shim_files", { action: "release" });
  expect(filesOf(one)).toEqual([]);
  await one.ask("shim_files", { action: "reserve", paths: ["b/**"] });
  rig.base.store.write((sql) => sql.run("DELETE FROM team_files"));
  const third = await rig.chat("review it");
  await third.tick();
  await rig.time.pass(500);
  expect(filesOf(other)).toEqual(["file:p1/b/** plan it"]);
  rig.call("leases.force-release", { resource: "file:p1/b/**", reason: "stuck" });
  await rig.time.pass(500);
  expect(filesOf(other)).toEqual([]);
});

it("[TE14] a reservation that is taken away is told to its holder, not one that it gives back", async () => {
  const { rig, one } = await twoChats();
  await one.ask("shim_files", { action: "reserve", paths: ["a.ts", "b.ts"] });
  await one.ask("shim_files", { action: "release", paths: ["a.ts"] });
  rig.call("leases.force-release", { resource: "file:p1/b.ts", reason: "stuck" });
  await rig.time.pass(500);
  expect((await one.ask("shim_inbox")).output["news"]).toMatchObject([
    { kind: "notice", text: expect.stringMatching(/^This chat no longer holds b\.ts/) as string },
  ]);
});

it("[TE14] a reservation that is taken away is told also where another process of the machine has heard of it first", async () => {
  const { rig, one } = await twoChats();
  await one.ask("shim_files", { action: "reserve", paths: ["a.ts"] });
  await rig.time.pass(500);
  rig.call("leases.force-release", { resource: "file:p1/a.ts", reason: "stuck" });
  one.runtime.store.write((sql) => filesTable.remove(sql, "file:p1/a.ts"));
  await rig.time.pass(500);
  expect((await one.ask("shim_inbox")).output["news"]).toMatchObject([
    { kind: "notice", text: expect.stringMatching(/^This chat no longer holds a\.ts/) as string },
  ]);
});

it("[TE11] [FI3] a reservation by a link holds where the link leads, so an edit by either name is refused", async () => {
  const { rig, one, other } = await twoChats();
  mkdirSync(join(rig.project, "src"));
  symlinkSync("src", join(rig.project, "link"));
  symlinkSync(tmpdir(), join(rig.project, "away"));
  await one.ask("shim_files", { action: "reserve", paths: ["link/**", "away/b.ts", "new/c.ts"] });
  expect(filesOf(one).map((file) => file.split(" ")[0])).toEqual([
    "file:p1/away/b.ts",
    "file:p1/new/c.ts",
    "file:p1/src/**",
  ]);
  for (const folder of ["link", "src"]) {
    const file_path = join(rig.project, folder, "a.ts");
    const edit = { tool_name: "Edit", tool_input: { file_path }, tool_use_id: folder };
    expect(other.claude.tell("PreToolUse", edit)).toMatchObject({ hookSpecificOutput: { permissionDecision: "deny" } });
  }
  expect((await one.ask("shim_files", { action: "release", paths: ["link/**"] })).text).toBe("Released: src/**.");
});

it("[TE11] paths are below the root, given relative or absolute, with ranges at their end", () => {
  const good: [string, string][] = [
    ["a.ts", "a.ts"],
    ["./src//a.ts", "src/a.ts"],
    ["src/x/../a.ts", "src/a.ts"],
    ["/p/src/a.ts", "src/a.ts"],
    ["src/", "src"],
    ["src/*", "src/*"],
    ["src/**", "src/**"],
    ["**", "**"],
    ["/p/**", "**"],
  ];
  for (const [given, path] of good) expect(toLeasePath("/p", given), given).toEqual({ ok: true, value: path });
});

it("[TE11] what is none of this is refused with the path", () => {
  const bad = ["..", "../b", "/q/a.ts", ".", "/p", "src/*/a.ts", "src/*.ts", "a\nb", "x".repeat(401)];
  for (const given of bad) expect(toLeasePath("/p", given), given).toMatchObject({ ok: false });
  expect(toLeasePath("/p", "/q/a.ts")).toEqual({ ok: false, error: '"/q/a.ts" is not below /p' });
});
