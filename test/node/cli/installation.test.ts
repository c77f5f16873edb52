import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join, dirname } from "node:path";
import { aCliHome, addSession, failed, holding, printed, seed, type CliHome } from "#harness/machine/cli-home.ts";
import { write } from "#harness/machine/git-project.ts";
import type { Io } from "#src/cli/io.ts";
import { isTemporary } from "#src/platform/shim-command.ts";
import { expect, it } from "vitest";
import { parsePs } from "#src/platform/processes.ts";
import { clientNames, detect } from "#src/installer/targets.ts";
import { putCodexInto } from "#harness/machine/client-home.ts";

it("a copy that npx made is known from the path of its launcher, on every system", () => {
  const temporary = [
    "/home/a/.npm/_npx/0f3a/node_modules/shim-mcp/bin/shim.mjs",
    "C:\\Users\\a\\AppData\\Local\\npm-cache\\_npx\\0f3a\\node_modules\\shim-mcp\\bin\\shim.mjs",
    "/Users/a/Library/Caches/pnpm/dlx/x/1/node_modules/.pnpm/shim-mcp@1.0.0/node_modules/shim-mcp/bin/shim.mjs",
    "/tmp/bunx-501-shim-mcp@latest/node_modules/shim-mcp/bin/shim.mjs",
  ];
  const lasting = [
    "/usr/local/lib/node_modules/shim-mcp/bin/shim.mjs",
    "C:\\Users\\a\\AppData\\Roaming\\npm\\node_modules\\shim-mcp\\bin\\shim.mjs",
    "/home/dlx-fan/shim/bin/shim.mjs",
  ];
  expect([...temporary, ...lasting].filter(isTemporary)).toEqual(temporary);
});

/** Started by npx, on a machine with Claude Code. */
function byNpx(home: CliHome): { io: Partial<Io>; package: string; program: string } {
  const folder = join(home.folder, ".npm", "_npx", "0f3a", "node_modules", "shim-mcp");
  write(folder, { "bin/shim.mjs": "", "dist/hook.cjs": "", "dist/shim-hook": "", "dist/web/index.html": "page" });
  mkdirSync(join(home.folder, ".claude"), { recursive: true });
  const script = join(folder, "bin", "shim.mjs");
  const launch = { node: "/opt/node", script, hookScript: join(folder, "dist", "hook.cjs") };
  const env = { ...home.runtime.env, PATH: "/usr/bin:/bin" };
  const io = { launch, env, machine: { ...home.io().machine, env } };
  return { io, package: folder, program: join(home.paths.home, "program") };
}

it("init by npx copies SHIM into its own folder, and connects the clients and the link to the copy; a later one replaces the copy, and leaves no file of the older version and none half-written", async () => {
  const home = aCliHome();
  const { io, package: folder, program } = byNpx(home);
  expect(await home.shimWith(io, "init --dry-run")).toMatchObject(printed(": gets a copy of SHIM"));
  expect(existsSync(program)).toBe(false);
  expect(await home.shimWith(io, "init --yes")).toMatchObject(printed("`npx shim-mcp up`"));
  expect(readFileSync(join(program, "dist", "web", "index.html"), "utf8")).toBe("page");
  expect(readFileSync(join(home.folder, ".claude.json"), "utf8")).toContain(join(program, "bin", "shim.mjs"));
  expect(readFileSync(join(home.folder, ".claude", "settings.json"), "utf8")).not.toContain("_npx");
  const { checks } = (await home.shimWith(io, "doctor --json")).json() as { checks: { name: string }[] };
  const names = new Set(checks.map(({ name }) => name));
  expect([names.has("claude-code:installed"), names.has("claude-code:outdated")]).toEqual([true, false]);
  write(program, { "dist/old.cjs": "gone in the new version" });
  write(folder, { "dist/hook.cjs": "newer hook" });
  expect((await home.shimWith(io, "init --yes")).code).toBe(0);
  expect(readFileSync(join(program, "dist", "hook.cjs"), "utf8")).toBe("newer hook");
  expect(readdirSync(join(program, "dist")).toSorted()).toEqual(["hook.cjs", "shim-hook", "web"]);
});

it("copies of files that were changed since are kept with what is stored, and named", async () => {
  const home = aCliHome();
  const { io } = byNpx(home);
  write(home.folder, { ".claude.json": '{ "a": 1 }\n' });
  await home.shimWith(io, "init --yes");
  const path = join(home.folder, ".claude.json");
  writeFileSync(path, readFileSync(path, "utf8").replace('"a": 1', '"a": 2'));
  const backups = join(home.paths.home, "client-backups");
  const removed = await home.shimWith(io, "init --remove --yes");
  const open = "Chats that are open keep SHIM until they end: Claude Code.";
  expect(removed).toMatchObject(printed(`The files as they were: ${backups}`, open));
  expect(removed.out).not.toContain("start a new one");
  expect([readFileSync(path, "utf8"), readdirSync(home.paths.home)]).toEqual(['{ "a": 2 }\n', ["client-backups"]]);
});

it("uninstall --data deletes what is stored, but not under a chat that runs, nor for one client, nor while a supervisor runs, also one that began during the question", async () => {
  const home = aCliHome();
  mkdirSync(join(home.folder, ".claude"));
  await home.shim("init --yes");
  seed(home);
  const remove = (options: string) => home.shim(`init --remove --data ${options}`);
  expect(await remove("--client claude-code --yes")).toMatchObject(failed(2, "leave --client out"));
  const named = /1 chat of SHIM still runs .* Close it first:\n {2}aaaa1111 "work of aaaa" \(Claude Code, pid 100\)\n$/;
  expect(await remove("--yes")).toMatchObject(failed(1, named));
  home.alive.add(101);
  addSession(home, { id: "dddd4444-0000-4000-8000-000000000005", pid: 101 });
  expect(await remove("--yes")).toMatchObject(failed(1, /2 chats of SHIM still run .* Close them first:\n/));
  expect(existsSync(home.paths.database)).toBe(true);
  home.alive.clear();
  const state = (): unknown[] => [
    readdirSync(home.paths.home),
    readFileSync(join(home.folder, ".claude", "settings.json"), "utf8"),
    readFileSync(join(home.folder, ".claude.json"), "utf8"),
  ];
  const begin = (): void => {
    home.alive.add(77);
    write(home.paths.home, { "supervisor/owner.json": JSON.stringify({ boot: "boot-1", pid: 77, start: "s77" }) });
  };
  const refusal = failed(1, "the supervisor runs (pid 77). First: `shim worker supervise stop`.");
  const terminal = { isTty: true, isInteractive: true, ask: async () => (begin(), "y") };
  mkdirSync(join(home.paths.home, "supervisor"));
  const before = state();
  expect(await home.shimWith(terminal, "init --remove --data")).toMatchObject(refusal);
  expect(await remove("--yes")).toMatchObject(refusal);
  expect(state()).toEqual(before);
  home.alive.clear();
  write(home.paths.home, { "work/fork-1/project/a.ts": "not committed\n" });
  const worktrees = "work: deletes the worktrees of forks and workers, with what is not committed in them.";
  expect(await remove("--dry-run")).toMatchObject(printed("deletes everything that SHIM has stored", worktrees));
  expect(await remove("--yes")).toMatchObject(printed("Everything that SHIM has stored is deleted."));
  expect(existsSync(home.paths.home)).toBe(false);
});

it("a folder that is the user's own, or holds it, is not deleted; a root is not used at all", async () => {
  const home = aCliHome();
  mkdirSync(join(home.folder, ".claude"));
  const at = (SHIM_HOME: string) => ({ env: { ...home.runtime.env, SHIM_HOME } });
  const own = failed(1, "holds your own files, too");
  for (const folder of [home.folder, dirname(home.folder)])
    expect(await home.shimWith(at(folder), "init --remove --data --yes")).toMatchObject(own);
  expect(existsSync(home.project)).toBe(true);
  for (const command of ["init --remove --data --yes", "sessions", "pause 1m"])
    expect(await home.shimWith(at("/"), command)).toMatchObject(failed(2, "which is the root of a disk"));
});

it("what ps prints on macOS gives parent, start, memory and command", () => {
  const text = "  501 104832 Sat Nov  7 09:10:11 2026     /Applications/Claude Helper (Renderer).app/x\n";
  const command = "/Applications/Claude Helper (Renderer).app/x";
  const facts = { parent: 501, residentBytes: 104_832 * 1_024, start: "Sat Nov  7 09:10:11 2026", command };
  expect([text, "", "\n", "ps: illegal option\n"].map(parsePs)).toEqual([facts, null, null, null]);
});

const folders = ".claude .codex .copilot/hooks .config/Claude .config/opencode/plugin .qwen .gemini".split(" ");

it("while a client still has SHIM the command, its copy and the stored data stay, --data or not", async () => {
  const home = aCliHome();
  for (const folder of folders) mkdirSync(join(home.folder, folder), { recursive: true });
  const targets = detect(home.io().machine);
  expect(targets.map(({ client }) => client).toSorted()).toEqual(clientNames.toSorted());
  const env = { ...home.runtime.env, PATH: "/usr/bin:/bin" };
  const io = { env, machine: { ...home.io().machine, env } };
  expect((await home.shimWith(io, "init --yes --no-trust")).code).toBe(0);
  const desktop = targets.find(({ client }) => client === "claude-desktop")?.serversFile ?? "";
  const text = readFileSync(desktop, "utf8");
  writeFileSync(desktop, "{ broken = ");
  const link = join(home.folder, ".local", "bin", "shim");
  const left = { code: 1, out: holding("removes the rest after that") };
  expect(await home.shimWith(io, "init --remove --yes --data")).toMatchObject(left);
  expect([existsSync(home.paths.home), readdirSync(dirname(link))]).toEqual([true, ["shim"]]);
  writeFileSync(desktop, text);
  expect((await home.shimWith(io, "init --remove --yes --data")).code).toBe(0);
  expect([existsSync(home.paths.home), existsSync(link), existsSync(desktop)]).toEqual([false, false, false]);
});

async function trustState(home: CliHome): Promise<unknown> {
  const { checks } = (await home.json("doctor")) as { checks: { name: string; state: string }[] };
  return checks.find(({ name }) => name === "codex:hook_trust")?.state;
}

it("Codex is asked to trust the hooks with the one yes of its user; uninstall gives the files back @night", async () => {
  const home = aCliHome();
  putCodexInto(join(home.folder, "path"));
  const own = '# mine\nmodel = "x"\n';
  write(home.folder, { ".codex/config.toml": own });
  const config = (): string => readFileSync(join(home.folder, ".codex", "config.toml"), "utf8");
  const questions: string[] = [];
  const ask = async (question: string): Promise<string> => (questions.push(question), "y");
  const init = (more = "") =>
    home.shimWith({ isTty: true, isInteractive: true, ask }, `init --client codex --no-link ${more}`);
  expect(await init("--no-trust")).toMatchObject(printed("SHIM is connected."));
  expect([config().includes("trusted_hash"), await trustState(home)]).toEqual([false, "fail"]);
  expect(await init()).toMatchObject(printed("Codex trusts SHIM's 10 hooks."));
  expect([questions.length, await trustState(home)]).toEqual([2, "ok"]);
  expect((await home.shim("init --remove --client codex --yes")).code).toBe(0);
  expect([config(), existsSync(join(home.folder, ".codex", "hooks.json"))]).toEqual([own, false]);
  expect(await trustState(home)).toBeUndefined();
});
