import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { Io } from "#src/cli/io.ts";
import { Cli } from "#src/cli/cli.ts";
import { checkCommit, type CommitVerdict } from "#src/cli/commands/team/commit-guard/check-commit.ts";
import { openCoordinatorLink } from "#src/cli/coordinator-link.ts";
import { processKey } from "#src/coordinator-client/local/process-key.ts";
import * as clients from "#src/local-mcp/sessions/clients.ts";
import { StoreError } from "#src/store/store-error.ts";
import { saveName } from "#src/local-mcp/sync/find-project.ts";
import * as filesTable from "#src/local-mcp/team/reservation-table.ts";
import * as members from "#src/local-mcp/team/members.ts";
import {
  aCliHome,
  addSession,
  failed,
  holding,
  ids,
  throwing,
  withStore,
  type CliHome,
} from "#harness/machine/cli-home.ts";

/** A repository, and a guard in the place of the built one that does what `GUARD` says. */
class Rig {
  readonly home: CliHome = aCliHome();
  readonly hook: string;
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
    const { node: _node, ...launch } = this.home.io().launch;
    const real: Partial<Io> = {
      cwd: this.cwd,
      launch: { ...launch, node: process.execPath },
      runQuietly: (command, words) => {
        const { status, stdout, stderr } = spawnSync(command, words, { encoding: "utf8" });
        return { code: status ?? 1, text: `${stdout}${stderr}` };
      },
    };
    return this.home.shimWith(real, `files guard ${command}`);
  }

  write(path: string, text: string, mode = 0o755): void {
    mkdirSync(join(path, ".."), { recursive: true });
    writeFileSync(path, text);
    chmodSync(path, mode);
  }
}

it("[FI20] the hook gives the guard what is staged; refused is refused, and what cannot be checked is committed with a warning", async () => {
  const rig = new Rig();
  const installed = { isInstalled: true, isStale: false, path: rig.hook, kept: null };
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

it("[FI23] one hook serves all work trees; core.hooksPath is followed, and a folder that others use needs --shared", async () => {
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

it("[FI24] the kept hook runs first under its own name, and stops the commit; one that git would not run is not run", async () => {
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
  expect((await rig.guard("status")).code).toBe(2);
  rig.cwd = rig.home.project;
  rig.write(rig.hook, "#!/bin/sh\n");
  await rig.guard("install");
  rig.write(rig.hook, "#!/bin/sh\necho later\n");
  expect(await rig.guard("install")).toMatchObject(failed(1, "in the way"));
  expect((await rig.guard("remove")).err).toContain("is kept in");
  expect(readFileSync(rig.hook, "utf8")).toContain("later");
  expect((await rig.home.shim("files guard install")).err).toContain("git was not found");
});

const holder = ids.alive;
const resource = "file:p1/src/**";

/** A machine on which the chat `holder`, with the process 100, has reserved `src/**`. */
function withReservation(): CliHome {
  const home = aCliHome();
  home.alive.add(100);
  addSession(home, { id: holder, pid: 100, title: "the parser" });
  const client = { boot: "boot-1", pid: 100, start: "s100" };
  const process = processKey(client);
  home.runtime.store.write((sql) => {
    saveName(sql, "local", home.project, "p1", home.now);
    clients.moveTo(sql, home.now, client, { givenId: holder, sessionId: holder });
    members.upsert(sql, home.now, { sessionId: holder, workspace: "local", chat: holder, incarnation: 1, process });
    const place = { workspace: "local", machine: "vm", checkout: home.project, since: home.now - 180_000 };
    filesTable.upsert(sql, home.now, { resource, holder, holderName: "the parser", ...place });
  });
  const coordinator = home.coordinator();
  coordinator.call("chats.register", { chat: holder, session: holder, process, machine: "vm", client: "claude-code" });
  const self = { chat: holder, incarnation: 1 };
  coordinator.call("leases.acquire", { self, resource, requestId: "r1", isBound: true });
  return home;
}

interface Around {
  readonly parentPid?: number;
  readonly env?: NodeJS.ProcessEnv;
  readonly patience?: Promise<"late">;
  readonly ask?: Parameters<typeof checkCommit>[2];
}

function commit(home: CliHome, paths: readonly string[], around: Around = {}): Promise<CommitVerdict> {
  const { parentPid = 1, env = {}, patience = new Promise<"late">(() => undefined) } = around;
  const runtime = { ...home.runtime, env: { ...home.runtime.env, ...env } };
  const ask = around.ask ?? (() => openCoordinatorLink(new Cli(home.io())));
  const staged = paths.map((path) => `${path}\0`).join("");
  return checkCommit(runtime, { root: home.project, staged, parentPid }, ask, patience);
}

function inChat(id: string): NodeJS.ProcessEnv {
  return { CLAUDE_CODE_SESSION_ID: id };
}

it("[FI20] a commit with a file that another living chat has reserved is refused, with its holder and how to continue", async () => {
  const home = withReservation();
  expect(await commit(home, ["docs/a.md", "srcs/a.ts", ""])).toEqual({ isRefused: false, text: "" });
  const { isRefused, text } = await commit(home, ["docs/a.md", "src/deep/a b.ts"]);
  expect(isRefused).toBe(true);
  const who = /src\/deep\/a b\.ts: "the parser" \(chat aaaa1111-\S+, on vm\), since 3 min/;
  expect(text).toEqual(holding(who, /shim send aaaa1111-[^]*git commit --no-verify/));
  expect(text).not.toContain("docs/a.md");
  const many = Array.from({ length: 14 }, (_, at) => `src/f${at}.ts`);
  expect((await commit(home, many)).text).toMatch(/src\/f9\.ts[^]*and 4 more/);
});

it("[FI21] the chat itself commits what it has reserved, known by its process or its environment", async () => {
  const home = withReservation();
  home.alive.add(200);
  addSession(home, { id: ids.elsewhere, pid: 200 });
  expect(await commit(home, ["src/a.ts"], { parentPid: 100 })).toEqual({ isRefused: false, text: "" });
  expect((await commit(home, ["src/a.ts"], { env: inChat(holder) })).isRefused).toBe(false);
  expect((await commit(home, ["src/a.ts"], { env: inChat(ids.elsewhere) })).isRefused).toBe(true);
  for (const client of ["CODEX", "COPILOT_AGENT", "QWEN_CODE", "GEMINI"]) {
    const env = { [`${client}_SESSION_ID`]: holder };
    expect((await commit(home, ["src/a.ts"], { env })).isRefused).toBe(false);
  }
});

it("[FI21] what the command line has reserved keeps chats from committing it, not the user", async () => {
  const home = aCliHome();
  expect((await home.shim("files reserve a.ts")).code).toBe(0);
  addSession(home, { id: ids.elsewhere });
  expect((await commit(home, ["a.ts"])).isRefused).toBe(false);
  expect((await commit(home, ["a.ts"], { env: inChat(ids.elsewhere) })).isRefused).toBe(true);
});

it("[FI22] an ended reservation, and one of a chat that has died, is free", async () => {
  const home = withReservation();
  expect((await home.shim("lease force-release", resource, "--reason", "test")).code).toBe(0);
  expect(await commit(home, ["src/a.ts"])).toEqual({ isRefused: false, text: "" });
  const other = withReservation();
  other.alive.delete(100);
  expect(await commit(other, ["src/a.ts"])).toEqual({ isRefused: false, text: "" });
});

it("[FI22] where SHIM cannot answer, the commit succeeds with a warning; switched off, or with nothing stored, without one", async () => {
  const home = withReservation();
  const goesOn = { isRefused: false, text: holding(/not checked \(.*\); the commit continues/) };
  const never = new Promise<never>(() => undefined);
  expect(await commit(home, ["src/a.ts"], { ask: () => never, patience: Promise.resolve("late") })).toEqual(goesOn);
  const write = throwing(new StoreError("store_locked", "the store is locked"));
  const { runtime } = await withStore(home, { write }).makeRuntime();
  expect(await commit({ ...home, runtime }, ["src/a.ts"])).toEqual(goesOn);
  const { config } = home.runtime;
  const off = { ...config, team: { ...config.team, isEnabled: false } };
  expect((await commit({ ...home, runtime: { ...home.runtime, config: off } }, ["src/a.ts"])).text).toBe("");
  expect(await commit(aCliHome(), ["src/a.ts"])).toEqual({ isRefused: false, text: "" });
  home.join("http://127.0.0.1:9", { workspace: "local", machine: "vm", token: "t".repeat(40) });
  expect(await commit(home, ["src/a.ts"])).toEqual(goesOn);
});
