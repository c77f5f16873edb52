import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { apply } from "#src/installer/apply.ts";
import { writeAtomically } from "#src/platform/private-files.ts";
import type { Plan } from "#src/installer/file-edits.ts";
import { renderPlan } from "#src/installer/render-plan.ts";
import { aClientHome, contents, launch, T0, valueOf, type ClientHome } from "#harness/machine/client-home.ts";

const mode = (path: string): number => statSync(path).mode & 0o777;

function carryOut(home: ClientHome, plan: Plan, backups = home.backups): ReturnType<typeof apply> {
  return apply(plan, backups, T0);
}

it("keeps a copy of each file before it changes it, in a folder that only the user can read", () => {
  const home = aClientHome();
  home.write(home.servers, '{ "token": "secret" }');
  chmodSync(home.servers, 0o640);
  const plan = valueOf(home.planInstall(home.code));
  const backup = valueOf(carryOut(home, plan)) ?? "";
  expect(backup).toBe(join(home.backups, "2023-11-14T22-13-20.000Z-000"));
  expect(readFileSync(join(backup, "0.json"), "utf8")).toBe('{ "token": "secret" }');
  expect(JSON.parse(readFileSync(join(backup, "manifest.json"), "utf8"))).toMatchObject({
    version: 1,
    action: "install",
    client: "claude-code",
    at: T0,
    files: [
      { path: home.servers, before: { copy: "0.json" } },
      { path: home.settings, before: null },
    ],
  });
  expect([mode(home.backups), mode(backup), mode(join(backup, "0.json"))]).toEqual([0o700, 0o700, 0o600]);
});

it("keeps the mode of a file, gives a new one to the user alone, and leaves no other file behind", () => {
  const home = aClientHome();
  home.write(home.servers, "{}");
  chmodSync(home.servers, 0o644);
  home.install();
  expect([mode(home.servers), mode(home.settings)]).toEqual([0o644, 0o600]);
  expect(readdirSync(home.folder).toSorted()).toEqual([".claude", ".claude.json", "shim"]);
  expect(readdirSync(join(home.folder, ".claude"))).toEqual(["settings.json"]);
});

it("a linked file stays a link; what it leads to is changed, and back", () => {
  const home = aClientHome();
  const dotfiles = join(home.folder, "dotfiles");
  home.write(join(dotfiles, "settings.json"), '{"model": "opus"}');
  mkdirSync(join(home.folder, ".claude"));
  symlinkSync("../dotfiles/settings.json", home.settings);
  home.install();
  expect(lstatSync(home.settings).isSymbolicLink()).toBe(true);
  expect(readdirSync(dotfiles)).toEqual(["settings.json"]);
  expect(readFileSync(join(dotfiles, "settings.json"), "utf8")).toContain("SessionStart");
  home.uninstall();
  expect(lstatSync(home.settings).isSymbolicLink()).toBe(true);
  expect(readFileSync(join(dotfiles, "settings.json"), "utf8")).toBe('{"model": "opus"}');
});

it("refuses a link that leads nowhere", () => {
  const home = aClientHome();
  symlinkSync("gone.json", home.servers);
  const refused = carryOut(home, valueOf(home.planInstall(home.code)));
  expect(refused).toMatchObject({ ok: false, error: { code: "config_unreadable", path: home.servers } });
  expect(existsSync(home.backups)).toBe(false);
});

it("refuses when a file changed since the plan, and changes none", () => {
  const home = aClientHome();
  home.write(home.settings, "{}");
  const plan = valueOf(home.planInstall(home.code));
  home.write(home.settings, '{"model": "opus"}');
  expect(carryOut(home, plan)).toMatchObject({ ok: false, error: { code: "config_changed", path: home.settings } });
  expect(contents(home)).toEqual([null, '{"model": "opus"}']);
  rmSync(home.settings);
  mkdirSync(home.settings);
  expect(carryOut(home, plan)).toMatchObject({ ok: false, error: { code: "config_unreadable" } });
});

it("an edit that cannot be written takes back those before it, with the backup", () => {
  const home = aClientHome();
  home.write(home.servers, '{"a": 1}');
  const plan = valueOf(home.planInstall(home.code));
  const [first] = plan.edits;
  if (!first) throw new Error("no edit");
  home.write(join(home.folder, "file"), "in the way of a folder");
  const blocked = { path: join(home.folder, "file", "settings.json"), before: null, after: "{}", summary: [] };
  const refused = carryOut(home, { ...plan, edits: [first, blocked] });
  expect(refused).toMatchObject({ ok: false, error: { code: "write_failed", path: blocked.path } });
  expect(home.read(home.servers)).toBe('{"a": 1}');
  expect(readdirSync(home.backups)).toEqual([]);
});

it("says so when taking back fails too, and keeps the backup then", () => {
  const home = aClientHome();
  home.write(home.servers, "{}");
  const plan = valueOf(home.planInstall(home.code));
  const edits = [
    { path: home.servers, before: "{}", after: null, summary: [] },
    { path: join(home.servers, "now", "a-folder.json"), before: null, after: "1", summary: [] },
    { path: join(home.servers, "now", "a-folder.json"), before: null, after: "2", summary: [] },
  ];
  const refused = carryOut(home, { ...plan, edits });
  expect(refused).toMatchObject({ ok: false, error: { code: "config_changed" } });
  const [backup = ""] = readdirSync(home.backups);
  expect(!refused.ok && refused.error.message).toContain("Rolling back the rest failed too");
  expect(!refused.ok && refused.error.message).toContain(`The backup is ${join(home.backups, backup)}.`);
});

it("refuses when a file changes between two edits of a plan", () => {
  const home = aClientHome();
  home.write(home.servers, '{"a": 1}');
  const plan = valueOf(home.planInstall(home.code));
  const edit = { path: home.servers, before: '{"a": 1}', after: "{}", summary: [] };
  const refused = carryOut(home, { ...plan, edits: [edit, edit] });
  expect(refused).toMatchObject({ ok: false, error: { code: "config_changed", path: home.servers } });
  expect(home.read(home.servers)).toBe('{"a": 1}');
});

it("refuses when the backup cannot be taken", () => {
  const home = aClientHome();
  home.write(join(home.folder, "file"), "");
  const refused = carryOut(home, valueOf(home.planInstall(home.code)), join(home.folder, "file", "backups"));
  expect(refused).toMatchObject({ ok: false, error: { code: "write_failed" } });
  expect(contents(home)).toEqual([null, null]);
});

it("two plans of one moment get a backup each, and a plan without edits none", () => {
  const home = aClientHome();
  carryOut(home, valueOf(home.planInstall(home.code)));
  carryOut(home, valueOf(home.planInstall(home.desktop)));
  expect(valueOf(carryOut(home, valueOf(home.planInstall(home.code))))).toBeNull();
  expect(readdirSync(home.backups)).toEqual(["2023-11-14T22-13-20.000Z-000", "2023-11-14T22-13-20.000Z-001"]);
});

function stop(): void {
  throw new Error("stopped");
}

it("a write that is stopped leaves the file as it was and no other file", () => {
  const home = aClientHome();
  home.write(home.settings, "old");
  expect(() => writeAtomically(home.settings, "new", { mode: 0o600, check: stop })).toThrow("stopped");
  expect(home.read(home.settings)).toBe("old");
  expect(readdirSync(join(home.folder, ".claude"))).toEqual(["settings.json"]);
  writeFileSync(join(home.folder, ".claude", `.settings.json.shim-${process.pid}.tmp`), "left by a killed process");
  writeAtomically(home.settings, "new", { mode: 0o600 });
  expect(readdirSync(join(home.folder, ".claude"))).toEqual(["settings.json"]);
});

it("shows a plan as a diff with what it means, without the neighbours' secrets", () => {
  const home = aClientHome();
  const servers = { mcpServers: { other: { command: "x", env: { API_KEY: "sk-abcdefghijklmnop" } } }, last: 1 };
  home.write(home.desktop.serversFile, `${JSON.stringify(servers, null, 2)}\n`);
  expect(renderPlan(valueOf(home.planInstall(home.desktop)))).toBe(`Set up Claude Desktop
--- ${home.desktop.serversFile}
+++ ${home.desktop.serversFile}
# adds the MCP server "shim"
+     },
+     "shim": {
+       "command": "/opt/node/bin/node",
+       "args": [
+         "/src/shim/bin/shim.mjs",
+         "mcp"
+       ]
`);
});

it("shows new, deleted and unchanged files, and notes", () => {
  const home = aClientHome();
  const plan = valueOf(home.planInstall(home.desktop));
  expect(renderPlan(plan)).toContain(`--- (no file)\n+++ ${home.desktop.serversFile}\n# adds`);
  home.install(home.desktop);
  expect(renderPlan(valueOf(home.planInstall(home.desktop)))).toBe("Set up Claude Desktop\nNothing to change.\n");
  expect(renderPlan(valueOf(home.planUninstall(home.desktop)))).toBe(
    `Remove from Claude Desktop\n--- ${home.desktop.serversFile}\n+++ (deleted)\n# removes the MCP server\n# deletes the file, which SHIM made\n`,
  );
  expect(renderPlan({ ...plan, edits: [], notes: ["mind"] })).toContain("Note: mind\n");
});

function many(from: number): string {
  return Array.from({ length: 2_100 }, (_none, at) => `line ${from + at}`).join("\n");
}

it("shows of a long single line only what changes, and of two large files all", () => {
  const home = aClientHome();
  const long = JSON.stringify({ a: "x".repeat(500) });
  home.write(home.desktop.serversFile, long);
  const lines = renderPlan(valueOf(home.planInstall(home.desktop))).split("\n");
  expect(lines[4]).toBe("- ……");
  expect(lines[5]).toBe(
    `+ …,"mcpServers":{"shim":{"command":"/opt/node/bin/node","args":["/src/shim/bin/shim.mjs","mcp"]}}…`,
  );
  const edit = { path: "/x", before: many(0), after: many(5_000), summary: [] };
  const shown = renderPlan({ action: "install", target: home.code, edits: [edit], notes: [] });
  expect(shown.split("\n").filter((line) => line.startsWith("- "))).toHaveLength(2_100);
  expect(shown.split("\n").filter((line) => line.startsWith("+ "))).toHaveLength(2_100);
});

it("a corrected path shows as one line out and one in", () => {
  const home = aClientHome();
  home.install(home.desktop);
  const plan = valueOf(home.planInstall(home.desktop, { ...launch, node: "/new/node" }));
  expect(renderPlan(plan)).toContain('-       "command": "/opt/node/bin/node",\n+       "command": "/new/node",\n');
});

it("shows changes that lie apart with what is between them left out", () => {
  const home = aClientHome();
  const between = Array.from({ length: 9 }, (_none, at) => `  "k${at}": ${at},\n`).join("");
  home.write(
    home.settings,
    `{\n  "statusLine": { "type": "command", "command": "/old/bin/shim.mjs statusline" },\n${between}  "last": 1\n}\n`,
  );
  expect(renderPlan(valueOf(home.planInstall(home.code)))).toContain(`
-   "statusLine": { "type": "command", "command": "/old/bin/shim.mjs statusline" },
+   "statusLine": { "type": "command", "command": "/opt/node/bin/node /src/shim/bin/shim.mjs statusline" },
@@
-   "last": 1
+   "last": 1,
+   "hooks": {
`);
});
