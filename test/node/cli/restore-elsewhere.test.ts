import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { defaults } from "../../../src/contract/config.ts";
import { writeEdgeConfig } from "../../../src/coordinator-client/edge-config.ts";
import { takePending } from "../../../src/snapshots/pending-snapshots.ts";
import { addKey } from "../../../src/local-mcp/sync/key-ring.ts";
import { createKey } from "../../../src/local-mcp/sync/workspace-key.ts";
import { addSession, aCliHome, checkpointOf, ids, type CliHome } from "../../support/cli-home.ts";
import { commitAll, contents, git, temporaryFolder, write } from "../../support/git-project.ts";
import { given } from "../../support/state-builders.ts";
import { SyncServer, tokenOf } from "../../support/sync-server.ts";

const key = createKey((bytes) => new Uint8Array(bytes).fill(7));

interface Pair {
  readonly server: SyncServer;
  readonly there: CliHome;
  readonly here: CliHome;
}

/** Two machines of one workspace with a clone of one repository each. The first sends its uncommitted files. */
async function aPair(maxFilesBytes = 8_388_608): Promise<Pair> {
  const server = await SyncServer.listen();
  const [there, here] = [aCliHome(), aCliHome()];
  const origin = join(temporaryFolder(), "origin.git");
  git(there.project, "init", "-q", "-b", "main");
  write(there.project, { "a.txt": "committed\n" });
  commitAll(there.project, "first");
  git(there.folder, "clone", "-q", "--bare", there.project, origin);
  git(here.project, "clone", "-q", origin, ".");
  git(there.project, "remote", "add", "origin", origin);
  git(there.project, "fetch", "-q", "origin");
  for (const [home, machine] of [
    [there, "desk"],
    [here, "laptop"],
  ] as const) {
    const edge = { url: server.url, workspace: "team", machine, token: tokenOf(machine) };
    writeEdgeConfig(home.paths.home, edge);
    addKey(home.paths.home, edge, key);
    home.alive.add(process.pid);
    home.now = server.host.now();
  }
  Object.assign(there.runtime, { config: { ...defaults, sync: { files: true, maxFilesBytes } } });
  return { server, there, here };
}

/** A session works, is synced, and dies. */
async function loseAChat({ server, there }: Pair): Promise<void> {
  write(there.project, { "a.txt": "not committed\n", "b.txt": "new\n", ".env": "TOKEN=very-secret-12345\n" });
  addSession(there, { id: ids.dead, pid: 200, title: "fix the parser" });
  await takePending(there.runtime, [ids.dead], new AbortController().signal);
  const actor = { machine: "desk", isAdmin: false };
  const chat = { chat: ids.dead, session: ids.dead, process: `boot:${ids.dead}`, client: "test", machine: "desk" };
  given(await server.host.call("chats.register", chat, actor));
  given(
    await server.host.call("chats.attest-death", { chat: ids.dead, machine: "desk", process: chat.process }, actor),
  );
}

it("[CL131] [RE28] the brief names the command that restores the files of another machine's session", async () => {
  const pair = await aPair();
  const { there, here } = pair;
  await loseAChat(pair);
  const sent = await there.shim("edge", "sync");
  expect([sent.code, sent.out]).toEqual([0, expect.stringContaining("uncommitted files of 1 session")]);
  expect((await there.shim("edge", "status")).out).toContain("Uncommitted files: those of 1 session are stored there");
  const brief = await here.shim("resume", ids.dead, "--print");
  const command = `shim restore ${ids.dead} --files`;
  expect(brief.out).toContain(`uncommitted ones too: \`${command}\``);
  const before = contents(here.project);
  const ran = await here.shim("restore", ids.dead, "--files");
  expect([ran.code, ran.err]).toEqual([0, expect.stringContaining("Fetching")]);
  expect(ran.out).toContain(`The files of ${ids.dead} on desk, as they were`);
  expect(ran.out).toContain("Restored 2 files into");
  // What a snapshot leaves out does not travel.
  expect(ran.out).toMatch(/Never saved:\n {2}\.env: /);
  const folder = `${here.project}-${ids.dead.slice(0, 8)}`;
  expect(readFileSync(join(folder, "a.txt"), "utf8")).toBe("not committed\n");
  expect([existsSync(join(folder, ".env")), contents(here.project)]).toEqual([false, before]);
  const checkpoint = checkpointOf(there, ids.dead);
  const json = await here.shim("restore", checkpoint, "--files", "--branch", "work", "--json");
  expect(json.json()).toMatchObject({
    checkpoint,
    session: ids.dead,
    machine: "desk",
    into: null,
    branch: { name: "work" },
    leftOut: [{ path: ".env" }],
  });
  expect(git(here.project, "show", "work:b.txt")).toBe("new\n");
  // Never over anything that is there.
  const again = await here.shim("restore", ids.dead, "--files");
  expect([again.code, again.err]).toEqual([1, expect.stringContaining("is there and not an empty folder")]);
});

it("[CL151] it says why not: another folder, a missing commit, no answer, an unknown id", async () => {
  const pair = await aPair();
  const { server, there, here } = pair;
  write(there.project, { "a.txt": "second\n" });
  const second = commitAll(there.project, "second");
  git(there.project, "push", "-q", "origin", "main");
  git(there.project, "fetch", "-q", "origin");
  await loseAChat(pair);
  expect((await there.shim("edge", "sync")).code).toBe(0);
  const elsewhere = await here.shimWith({ cwd: here.other }, "restore", ids.dead, "--files");
  expect([elsewhere.code, elsewhere.err]).toEqual([1, expect.stringContaining("this folder is not the project")]);
  const brief = await here.shim("resume", ids.dead, "--print");
  expect(brief.out).toContain(
    `they are based on commit ${second.slice(0, 12)}, which is NOT HERE: \`git fetch\` first`,
  );
  const missing = await here.shim("restore", ids.dead, "--files");
  expect([missing.code, missing.err]).toEqual([1, expect.stringContaining(second)]);
  expect(missing.err).toContain("git fetch");
  expect((await here.shim("restore", "nope", "--files")).code).toBe(3);
  git(here.project, "fetch", "-q", "origin");
  server.isDown = true;
  const down = await here.shim("restore", ids.dead, "--files");
  expect([down.code, down.err]).toEqual([1, expect.stringContaining("Nothing was restored")]);
  server.isDown = false;
  expect((await here.shim("restore", ids.dead, "--files")).code).toBe(0);
});

it("[RE28] [SY86] a brief claims no files that did not arrive, and says why they did not", async () => {
  const pair = await aPair(200);
  const { there, here } = pair;
  await loseAChat(pair);
  await there.shim("edge", "sync");
  expect((await there.shim("edge", "status")).out).toContain(
    "the newest of 1 session are here only: packed they have more than 200 bytes",
  );
  const brief = await here.shim("resume", ids.dead, "--print");
  expect(brief.out).toContain("files as they were: on desk only");
  expect(brief.out).toContain("packed they have more than 200 bytes");
  expect(brief.out).not.toContain("shim restore");
  const none = await here.shim("restore", ids.dead, "--files");
  expect([none.code, none.err]).toEqual([1, expect.stringContaining("desk has sent none")]);
  const off = await aPair();
  Object.assign(off.there.runtime, { config: defaults });
  await loseAChat(off);
  await off.there.shim("edge", "sync");
  expect((await off.there.shim("edge", "status")).out).not.toContain("ncommitted files");
  expect((await off.here.shim("resume", ids.dead, "--print")).out).not.toContain("shim restore");
});
