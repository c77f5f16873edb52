import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type CliHome, aCliHome, failed, printed, seed } from "#harness/machine/cli-home.ts";
import { write } from "#harness/machine/git-project.ts";
import type { Io } from "#src/cli/io.ts";
import { isTemporary } from "#src/platform/shim-command.ts";
import { parsePs } from "#src/platform/processes.ts";
import { expect, it } from "vitest";

it("a copy that npx made is known from the path of its launcher, on every system", () => {
  const temporary = [
    "/home/a/.npm/_npx/0f3a/node_modules/shim-mcp/bin/shim.mjs",
    "C:\\Users\\a\\AppData\\Local\\npm-cache\\_npx\\0f3a\\node_modules\\shim-mcp\\bin\\shim.mjs",
    "/Users/a/Library/Caches/pnpm/dlx/x/1/node_modules/.pnpm/shim-mcp@1.0.0/node_modules/shim-mcp/bin/shim.mjs",
    "/tmp/bunx-501-shim-mcp@latest/node_modules/shim-mcp/bin/shim.mjs",
  ];
  const lasting = [
    "/home/a/shim/bin/shim.mjs",
    "C:\\src\\shim\\bin\\shim.mjs",
    "/usr/local/lib/node_modules/shim-mcp/bin/shim.mjs",
    "C:\\Users\\a\\AppData\\Roaming\\npm\\node_modules\\shim-mcp\\bin\\shim.mjs",
    "/home/dlx-fan/shim/bin/shim.mjs",
  ];
  expect([...temporary, ...lasting].filter(isTemporary)).toEqual(temporary);
});

/** Started by npx, on a machine with Claude Code. */
function byNpx(home: CliHome): { io: Partial<Io>; package: string; program: string } {
  const folder = join(home.folder, ".npm", "_npx", "0f3a", "node_modules", "shim-mcp");
  const files = {
    "bin/shim.mjs": "launcher",
    "dist/hook.cjs": "hook",
    "dist/shim-hook": "script",
    "dist/web/index.html": "page",
  };
  write(folder, files);
  mkdirSync(join(home.folder, ".claude"), { recursive: true });
  const launch = {
    node: "/opt/node",
    script: join(folder, "bin", "shim.mjs"),
    hookScript: join(folder, "dist", "hook.cjs"),
  };
  const env = { ...home.runtime.env, PATH: "/usr/bin:/bin" };
  const io = { launch, env, machine: { ...home.io().machine, env } };
  return { io, package: folder, program: join(home.paths.home, "program") };
}

it("init by npx copies SHIM into its own folder, and connects the clients and the link to the copy", async () => {
  const home = aCliHome();
  const { io, program } = byNpx(home);
  const preview = await home.shimWith(io, "init --dry-run");
  expect(preview).toMatchObject(printed(": gets a copy of SHIM"));
  expect(existsSync(program)).toBe(false);
  expect(await home.shimWith(io, "init --yes")).toMatchObject(printed("`npx shim-mcp up`"));
  expect(readFileSync(join(program, "dist", "web", "index.html"), "utf8")).toBe("page");
  expect(readFileSync(join(home.folder, ".claude.json"), "utf8")).toContain(join(program, "bin", "shim.mjs"));
  expect(readFileSync(join(home.folder, ".claude", "settings.json"), "utf8")).not.toContain("_npx");
  const { checks } = (await home.shimWith(io, "doctor --json")).json() as { checks: { name: string; state: string }[] };
  const clients = checks.filter(({ name }) => name.startsWith("claude-code:"));
  expect(clients.map(({ name, state }) => [name, state])).toContainEqual(["claude-code:installed", "ok"]);
  expect(clients.map(({ name }) => name)).not.toContain("claude-code:outdated");
});

it("a later init replaces the copy, and leaves no file of the older version and none half-written", async () => {
  const home = aCliHome();
  const { io, package: folder, program } = byNpx(home);
  await home.shimWith(io, "init --yes");
  write(program, { "dist/old.cjs": "gone in the new version" });
  write(folder, { "dist/hook.cjs": "newer hook" });
  expect((await home.shimWith(io, "init --yes")).code).toBe(0);
  expect(readFileSync(join(program, "dist", "hook.cjs"), "utf8")).toBe("newer hook");
  expect(readdirSync(join(program, "dist")).toSorted()).toEqual(["hook.cjs", "shim-hook", "web"]);
});

it("uninstall leaves nothing of init, where the clients' files have their first texts again", async () => {
  const home = aCliHome();
  const { io } = byNpx(home);
  write(home.folder, { ".claude/settings.json": "{}\n", ".cache/shim/v8/one": "compiled" });
  const before = readdirSync(home.folder, { recursive: true }).map(String).toSorted();
  await home.shimWith(io, "init --yes");
  expect(await home.shimWith(io, "init --remove --yes")).toMatchObject(
    printed("removes the copy of SHIM", "SHIM is removed."),
  );
  expect(readdirSync(home.folder, { recursive: true }).map(String).toSorted()).toEqual(
    before.filter((name) => !name.startsWith(".cache")),
  );
});

it("copies of files that somebody changed since are kept with what is stored, and named", async () => {
  const home = aCliHome();
  const { io } = byNpx(home);
  write(home.folder, { ".claude.json": '{ "a": 1 }\n' });
  await home.shimWith(io, "init --yes");
  const path = join(home.folder, ".claude.json");
  writeFileSync(path, readFileSync(path, "utf8").replace('"a": 1', '"a": 2'));
  const backups = join(home.paths.home, "client-backups");
  expect(await home.shimWith(io, "init --remove --yes")).toMatchObject(
    printed(`The files as they were: ${backups}`, `Stored data stays in ${home.paths.home}`),
  );
  expect(readFileSync(path, "utf8")).toBe('{ "a": 2 }\n');
  expect(readdirSync(home.paths.home)).toEqual(["client-backups"]);
});

it("compiled code is removed also where no client has SHIM any more", async () => {
  const home = aCliHome();
  write(home.folder, { ".cache/shim/v8/one": "compiled" });
  expect(await home.shim("init --remove --yes")).toMatchObject(printed("removes the compiled code"));
  expect(existsSync(join(home.folder, ".cache"))).toBe(false);
});

it("uninstall --data deletes what is stored, but not under a chat that runs, nor for one client", async () => {
  const home = aCliHome();
  mkdirSync(join(home.folder, ".claude"));
  await home.shim("init --yes");
  seed(home);
  expect(await home.shim("init --remove --data --client claude-code --yes")).toMatchObject(
    failed(2, "leave --client out"),
  );
  expect(await home.shim("init --remove --data --yes")).toMatchObject(failed(1, "1 chat of SHIM still runs"));
  expect(existsSync(home.paths.database)).toBe(true);
  home.alive.clear();
  expect(await home.shim("init --remove --data --dry-run")).toMatchObject(
    printed("deletes everything that SHIM has stored"),
  );
  expect(await home.shim("init --remove --data --yes")).toMatchObject(
    printed("Everything that SHIM has stored is deleted."),
  );
  expect(existsSync(home.paths.home)).toBe(false);
});

it("a folder that is the user's own, or holds it, is not deleted", async () => {
  const home = aCliHome();
  mkdirSync(join(home.folder, ".claude"));
  for (const SHIM_HOME of [home.folder, "/"]) {
    const env = { ...home.runtime.env, SHIM_HOME };
    expect(await home.shimWith({ env }, "init --remove --data --yes")).toMatchObject(
      failed(1, "holds your own files, too"),
    );
  }
  expect(existsSync(home.project)).toBe(true);
});

it("what ps prints on macOS gives parent, start, memory and command", () => {
  const texts = [
    "  501 104832 Fri Nov 20 10:00:05 2026     /Applications/Claude.app/Contents/MacOS/Claude\n",
    "    1   2048 Sat Nov  7 09:10:11 2026     /Applications/Claude Helper (Renderer).app/x\n",
  ];
  expect(texts.map(parsePs)).toEqual([
    {
      parent: 501,
      residentBytes: 104_832 * 1_024,
      start: "Fri Nov 20 10:00:05 2026",
      command: "/Applications/Claude.app/Contents/MacOS/Claude",
    },
    {
      parent: 1,
      residentBytes: 2_048 * 1_024,
      start: "Sat Nov  7 09:10:11 2026",
      command: "/Applications/Claude Helper (Renderer).app/x",
    },
  ]);
  expect(["", "\n", "ps: illegal option\n"].map(parsePs)).toEqual([null, null, null]);
});
