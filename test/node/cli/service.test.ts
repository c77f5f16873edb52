import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type CliHome, aCliHome, failed } from "#harness/machine/cli-home.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";
import type { Io } from "#src/cli/io.ts";
import { systemdUnit } from "#src/installer/service.ts";
import { expect, it } from "vitest";

interface Rig {
  readonly home: CliHome;
  readonly unit: string;
  /** What was run, one line each. */
  readonly ran: string[];
  /** The word that fails. */
  broken: string | null;
  shim(command: string, ...args: string[]): ReturnType<CliHome["shim"]>;
}

/** A user whose systemd answers. */
function aRig(more: Partial<Io> = {}): Rig {
  const home = aCliHome();
  mkdirSync(home.paths.home, { recursive: true });
  const settings = { watch: { w: { kind: "worker", args: ["--config", "w.yaml"] }, chats: { kind: "sessions" } } };
  writeFileSync(join(home.paths.home, "supervisor.json"), JSON.stringify(settings));
  home.runtime.env["PATH"] = `${join(home.folder, "path")}:/usr/bin:/bin`;
  const unit = join(home.folder, ".config", "systemd", "user", "shim.service");
  const rig: Rig = {
    home,
    unit,
    ran: [],
    broken: null,
    shim: (command, ...args) => home.shimWith({ runQuietly, ...more }, `worker service ${command}`, ...args),
  };
  const runQuietly: Io["runQuietly"] = (command, args) => {
    rig.ran.push([command, ...args].join(" "));
    const isBroken = rig.broken !== null && args.includes(rig.broken);
    return { code: isBroken ? 1 : 0, text: isBroken ? "Failed to connect to bus\n" : "active\n" };
  };
  return rig;
}

it("install writes the unit with absolute paths and starts it; status and uninstall know it", async () => {
  const rig = aRig();
  expect(await rig.shim("status")).toMatchObject({ code: 0, out: "Not installed: `shim worker service install`.\n" });
  const shown = await rig.shim("install --dry-run");
  expect([shown.code, existsSync(rig.unit), rig.ran]).toEqual([0, false, []]);
  const done = await rig.shim("install --yes");
  expect([done.code, done.err, done.out]).toEqual([0, "", expect.stringMatching(/is written.*enable-linger/)]);
  const text = readFileSync(rig.unit, "utf8");
  expect(shown.out).toBe(`# ${rig.unit}\n${text}`);
  const { node, script } = rig.home.io().launch;
  expect(text).toContain(`ExecStart=/usr/bin/env "${node}" "${script}" worker supervise\n`);
  expect(text).toContain(`Environment="SHIM_HOME=${rig.home.paths.home}"\n`);
  // A worker may take 65 s to end.
  expect(text).toContain("TimeoutStopSec=95\n");
  expect(rig.ran).toEqual([
    "systemctl --user show-environment",
    "systemctl --user daemon-reload",
    "systemctl --user enable --now shim.service",
  ]);
  expect((await rig.shim("status --json")).json()).toMatchObject({ isInstalled: true, state: "active" });
  rig.ran.length = 0;
  expect((await rig.shim("uninstall")).code).toBe(1);
  expect([existsSync(rig.unit), rig.ran]).toEqual([true, []]);
  expect((await rig.shim("uninstall --yes")).code).toBe(0);
  expect([existsSync(rig.unit), rig.ran]).toEqual([
    false,
    ["systemctl --user disable --now shim.service", "systemctl --user daemon-reload"],
  ]);
  expect((await rig.shim("uninstall --yes")).code).toBe(3);
});

it("nothing is changed without consent, a supervisor runs, the settings are wrong or the user's systemd does not answer", async () => {
  const rig = aRig();
  expect(await rig.shim("install")).toMatchObject(failed(1, /--yes/));
  rig.broken = "show-environment";
  expect(await rig.shim("install --yes")).toMatchObject(failed(1, /Failed to connect to bus.*--dry-run/));
  const without = aRig({ runQuietly: () => null });
  expect((await without.shim("install --yes")).err).toMatch(/systemctl was not found: nothing was changed/);
  const settings = join(rig.home.paths.home, "supervisor.json");
  const before = readFileSync(settings);
  writeFileSync(settings, "{}");
  expect((await rig.shim("install --yes")).code).toBe(2);
  writeFileSync(settings, before);
  mkdirSync(join(rig.home.paths.home, "supervisor"));
  rig.home.alive.add(77);
  const owner = { boot: "boot-1", pid: 77, start: "s77" };
  writeFileSync(join(rig.home.paths.home, "supervisor", "owner.json"), JSON.stringify(owner));
  expect((await rig.shim("install --yes")).err).toMatch(/is already running, pid 77/);
  expect([existsSync(rig.unit), existsSync(without.unit)]).toEqual([false, false]);
  const asked = aRig({ isInteractive: true, ask: async () => "n" });
  expect(await asked.shim("install")).toMatchObject(failed(1, /nothing was changed/));
  expect(existsSync(asked.unit)).toBe(false);
});

it("a file of the user's own is neither replaced nor removed; what systemctl refuses is said", async () => {
  const rig = aRig();
  mkdirSync(dirname(rig.unit), { recursive: true });
  writeFileSync(rig.unit, "[Unit]\n");
  for (const action of ["install", "uninstall"]) {
    expect(await rig.shim(action, "--yes")).toMatchObject(failed(1, /was not written by SHIM/));
  }
  expect(readFileSync(rig.unit, "utf8")).toBe("[Unit]\n");
  const other = aRig();
  other.broken = "enable";
  expect(await other.shim("install --yes")).toMatchObject(failed(1, /enable --now shim\.service: Failed to connect/));
});

it("where there is no systemd nothing is written", async () => {
  const machine = { ...aCliHome().io().machine, platform: "darwin" as const, homedir: temporaryFolder() };
  const rig = aRig({ machine });
  expect(await rig.shim("install --yes")).toMatchObject(failed(1, /systemctl was not found: nothing was changed/));
  expect([readdirSync(machine.homedir), rig.ran]).toEqual([[], []]);
});

const hasSystemd = spawnSync("systemd-analyze", ["--version"]).status === 0;

/** In a folder whose name means something to each of the three. */
function facts(): Parameters<typeof systemdUnit>[0] {
  const folder = join(temporaryFolder(), `a b %h $HOME "q" \\x & <c>`);
  mkdirSync(folder);
  const node = join(folder, "node");
  writeFileSync(node, "#!/bin/sh\n");
  chmodSync(node, 0o755);
  const launch = { node, script: join(folder, "shim.mjs"), hookScript: "" };
  return { launch, home: folder, path: `/usr/bin:${folder}`, stopSeconds: 95 };
}

it.skipIf(!hasSystemd)("systemd accepts the unit, with any path (needs systemd-analyze)", () => {
  const unit = join(temporaryFolder(), "shim.service");
  for (const [text, status] of [
    [systemdUnit(facts()), 0],
    [systemdUnit(facts()).replace("ExecStart=", "ExecStart=nowhere/"), 1],
  ] as const) {
    writeFileSync(unit, text);
    const ran = spawnSync("systemd-analyze", ["verify", "--man=no", unit], { encoding: "utf8" });
    expect([ran.status, status === 0 ? ran.stderr : ""]).toEqual([status, ""]);
  }
});
