import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { Io } from "#src/cli/io.ts";
import { aCliHome, failed, holding, type CliHome } from "#harness/machine/cli-home.ts";

/** A repository, and a guard in the place of the built one that does what `GUARD` says. */
class Rig {
  readonly home: CliHome = aCliHome();
  hook: string;
  cwd: string;

  constructor() {
    this.cwd = this.home.project;
    this.git("init", "-q", "-b", "main");
    this.git("config", "user.email", "a@example.com");
    this.git("config", "user.name", "a");
    this.hook = join(this.cwd, ".git/hooks/pre-commit");
    const guard = `const paths = require("node:fs").readFileSync(0, "utf8");
      require("node:fs").writeFileSync(${JSON.stringify(this.seen)}, paths);
      process.exit(Number(process.env.GUARD ?? 0));`;
    writeFileSync(join(this.home.folder, "app/dist/commit-guard.cjs"), guard);
  }

  get seen(): string {
    return join(this.home.folder, "seen");
  }

  git(...args: string[]): string {
    const { status, stdout, stderr } = spawnSync("git", args, { cwd: this.cwd, encoding: "utf8" });
    if (status !== 0) throw new Error(`git ${args.join(" ")}: ${stderr}`);
    return stdout;
  }

  /** @returns the exit code, and what hooks have written */
  commit(name: string, guard = 0, ...options: string[]): { code: number | null; text: string } {
    writeFileSync(join(this.cwd, name), name);
    this.git("add", name);
    const env = { ...process.env, GUARD: String(guard) };
    const done = spawnSync("git", ["commit", "-qm", name, ...options], { cwd: this.cwd, encoding: "utf8", env });
    return { code: done.status, text: `${done.stdout}${done.stderr}` };
  }

  guard(command: string): ReturnType<CliHome["shim"]> {
    return this.shim(`team files guard ${command}`);
  }

  shim(command: string): ReturnType<CliHome["shim"]> {
    const { node: _node, ...launch } = this.home.io().launch;
    const real: Partial<Io> = {
      cwd: this.cwd,
      launch: { ...launch, node: process.execPath },
      runQuietly: (command, words) => {
        const { status, stdout, stderr } = spawnSync(command, words, { encoding: "utf8" });
        return { code: status ?? 1, text: `${stdout}${stderr}` };
      },
    };
    return this.home.shimWith(real, command);
  }

  write(path: string, text: string, mode = 0o755): void {
    mkdirSync(join(path, ".."), { recursive: true });
    writeFileSync(path, text);
    chmodSync(path, mode);
  }
}

it("[FI20] the hook gives the guard what is staged; refused is refused, and what cannot be checked is committed with a warning @night", async () => {
  const rig = new Rig();
  const installed = { isInstalled: true, isStale: false, path: rig.hook, kept: null, wasInstalled: false };
  expect((await rig.guard("install --json")).json()).toEqual(installed);
  expect(rig.commit("a b.txt").code).toBe(0);
  expect(readFileSync(rig.seen, "utf8")).toBe("a b.txt\0");
  expect(rig.commit("c.txt", 9).code).toBe(1);
  expect(rig.commit("c.txt", 9, "--no-verify").code).toBe(0);
  expect(rig.commit("d.txt", 1)).toEqual({ code: 0, text: holding("the commit goes on") });
  rig.git("mv", "d.txt", "e.txt");
  expect(rig.commit("f.txt").code).toBe(0);
  expect(readFileSync(rig.seen, "utf8").split("\0")).toEqual(["d.txt", "e.txt", "f.txt", ""]);
});

it("[FI23] an existing hook is kept, and is restored byte for byte; installing twice changes nothing", async () => {
  const rig = new Rig();
  const own = '#!/bin/sh\necho "own \xff"\n';
  rig.write(rig.hook, own, 0o750);
  expect((await rig.guard("status")).code).toBe(3);
  await rig.guard("install");
  const text = readFileSync(rig.hook, "utf8");
  expect((await rig.guard("install")).out).toContain("Already installed");
  expect(readFileSync(rig.hook, "utf8")).toBe(text);
  expect((await rig.guard("status")).out).toContain("after");
  expect((await rig.guard("remove")).out).toContain("is restored");
  expect([readFileSync(rig.hook, "utf8"), statSync(rig.hook).mode & 0o777]).toEqual([own, 0o750]);
  expect(existsSync(`${rig.hook}.before-shim`)).toBe(false);
  expect((await rig.guard("remove")).code).toBe(3);
});

it("[FI23] a link is restored as a link, and of another copy of SHIM the hook is renewed", async () => {
  const rig = new Rig();
  rig.write(join(rig.cwd, "tools/hook.sh"), "#!/bin/sh\nexit 0\n");
  symlinkSync("../../tools/hook.sh", rig.hook);
  await rig.guard("install");
  writeFileSync(rig.hook, readFileSync(rig.hook, "utf8").replace(process.execPath, "/gone/node"));
  expect(await rig.guard("status")).toMatchObject({ code: 1, out: holding("another copy") });
  expect(rig.commit("a.txt").text).toContain("the commit goes on");
  await rig.guard("install");
  expect((await rig.guard("status")).code).toBe(0);
  await rig.guard("remove");
  expect(lstatSync(rig.hook).isSymbolicLink()).toBe(true);
});

it("[FI23] one hook serves all work trees; core.hooksPath is followed, and a folder that others use needs --shared @night", async () => {
  const rig = new Rig();
  rig.commit("first.txt");
  const main = rig.cwd;
  const tree = join(rig.home.folder, "tree");
  rig.git("worktree", "add", "-q", tree);
  rig.cwd = tree;
  await rig.guard("install");
  expect(existsSync(rig.hook)).toBe(true);
  expect(rig.commit("a.txt", 9).code).toBe(1);
  rig.cwd = main;
  await rig.guard("remove");
  rig.git("config", "core.hooksPath", ".hooks");
  await rig.guard("install");
  expect(existsSync(join(main, ".hooks/pre-commit"))).toBe(true);
  expect(rig.commit("b.txt", 9).code).toBe(1);
  rig.git("config", "core.hooksPath", join(rig.home.folder, "all-hooks"));
  expect(await rig.guard("install")).toMatchObject(failed(2, "--shared"));
  expect((await rig.guard("install --shared")).code).toBe(0);
});

it("[FI24] the kept hook runs first under its own name, and stops the commit; one that git would not run is not run @night", async () => {
  const rig = new Rig();
  const kinds = ["#!/bin/sh\n", "#!/usr/bin/env bash\n", "#! /bin/sh -e\n"];
  for (const [at, shebang] of kinds.entries()) {
    rig.write(rig.hook, `${shebang}echo "name=$(basename "$0") folder=$(dirname "$0")"; exit \${OWN:-0}\n`);
    await rig.guard("install");
    expect(rig.commit(`a${at}.txt`).text).toContain("name=pre-commit folder=.git/hooks");
    process.env["OWN"] = "4";
    const stopped = rig.commit(`b${at}.txt`);
    delete process.env["OWN"];
    expect([stopped.code, existsSync(rig.seen)]).toEqual([1, true]);
    expect(readFileSync(rig.seen, "utf8")).not.toContain(`b${at}.txt`);
    await rig.guard("remove");
  }
  rig.write(rig.hook, `#!${process.execPath}\nconsole.log("from node"); process.exit(process.env.OWN ? 1 : 0);\n`);
  await rig.guard("install");
  expect(rig.commit("c.txt")).toMatchObject({ code: 0, text: holding("from node") });
  chmodSync(`${rig.hook}.before-shim`, 0o644);
  expect(rig.commit("d.txt").text).not.toContain("from node");
});

it("[FI23] outside of git, without a build, and where another hook has replaced it, it says so and changes nothing", async () => {
  const rig = new Rig();
  rig.cwd = rig.home.other;
  expect((await rig.guard("status")).code).toBe(3);
  rig.cwd = rig.home.project;
  rig.write(rig.hook, "#!/bin/sh\n");
  await rig.guard("install");
  rig.write(rig.hook, "#!/bin/sh\necho later\n");
  expect(await rig.guard("install")).toMatchObject(failed(1, "in the way"));
  expect((await rig.guard("remove")).err).toContain("in the way");
  expect(readFileSync(rig.hook, "utf8")).toContain("later");
  expect((await rig.home.shim("team files guard install")).err).toContain("git was not found");
});

/** As lefthook installs: a hook of others is renamed, its own written again. */
function reinstall(rig: Rig, own: string): void {
  renameSync(rig.hook, `${rig.hook}.old`);
  rig.write(rig.hook, own);
}

it.each(["lefthook", "husky"])(
  "[FI31] after %s has installed its hook again the guard is brought back, or tidied up",
  async (manager) => {
    const rig = new Rig();
    if (manager === "husky") {
      rig.git("config", "core.hooksPath", ".husky/_");
      rig.hook = join(rig.cwd, ".husky/_/pre-commit");
    }
    const own = `#!/bin/sh\necho "from ${manager}"\n`;
    const again = (): void => (manager === "husky" ? rig.write(rig.hook, own) : reinstall(rig, own));
    const doctor = async (): Promise<string> => (await rig.shim("doctor")).out;
    rig.write(rig.hook, own);
    await rig.guard("install");
    expect(await doctor()).not.toContain("commit guard");
    again();
    expect(rig.commit("a.txt", 9).code).toBe(0);
    expect(await rig.guard("status")).toMatchObject({ code: 3, out: holding("team files guard install") });
    expect(await doctor()).toMatch(/warn +commit_guard: the commit guard of .* is in force no more/);
    expect((await rig.guard("install")).code).toBe(0);
    expect(rig.commit("b.txt", 9)).toMatchObject({ code: 1, text: holding(`from ${manager}`) });
    again();
    expect((await rig.guard("remove")).code).toBe(0);
    expect(readFileSync(rig.hook, "utf8")).toBe(own);
    expect(readdirSync(join(rig.hook, "..")).filter((name) => name.startsWith("pre-commit."))).toEqual(rest(manager));
    expect(await doctor()).not.toContain("commit guard");
  },
);

/** Git's own example is no hook. */
function rest(manager: string): string[] {
  return manager === "husky" ? [] : ["pre-commit.sample"];
}

it("[FI31] a guard that was the only hook is found where lefthook has moved it", async () => {
  const rig = new Rig();
  await rig.guard("install");
  reinstall(rig, "#!/bin/sh\nexit 0\n");
  expect((await rig.shim("doctor")).out).toContain("in force no more");
  expect((await rig.guard("install")).code).toBe(0);
  expect([rig.commit("a.txt", 9).code, existsSync(`${rig.hook}.old`)]).toEqual([1, false]);
  await rig.guard("remove");
  rmSync(rig.hook);
  await rig.guard("install");
  renameSync(rig.hook, `${rig.hook}.old`);
  const gone = holding(`${rig.hook} is gone`, `${rig.hook}.old`, "team files guard install");
  for (const command of ["team files guard status", "doctor"]) {
    const { out } = await rig.shim(command);
    expect(out).toEqual(gone);
    expect(out).not.toContain("in its place");
  }
  expect(await rig.guard("remove")).toMatchObject({ code: 0, out: "Removed. What was left of the guard is gone.\n" });
  expect(existsSync(`${rig.hook}.old`)).toBe(false);
});

it("[FI31] where the kept hook and the present one differ, nothing changes and the commands of both ways are named", async () => {
  const rig = new Rig();
  rig.write(rig.hook, "#!/bin/sh\nexit 0\n");
  await rig.guard("install");
  rig.write(rig.hook, "#!/bin/sh\necho new\n");
  const both = holding(`rm ${rig.hook}.before-shim`, `mv ${rig.hook}.before-shim ${rig.hook}`);
  for (const command of ["install", "remove"]) expect((await rig.guard(command)).err).toEqual(both);
  expect((await rig.guard("status")).out).toEqual(both);
  expect((await rig.shim("doctor")).out).toEqual(both);
  rmSync(rig.hook);
  expect((await rig.guard("install")).err).toContain("is gone");
  renameSync(`${rig.hook}.before-shim`, rig.hook);
  expect((await rig.guard("install")).code).toBe(0);
});
