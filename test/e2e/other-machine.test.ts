import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import { writeEdgeConfig } from "#src/coordinator-client/edge-config.ts";
import type { Paths } from "#src/platform/paths.ts";
import { addKey } from "#src/local-mcp/sync/key-ring.ts";
import { createKey } from "#src/local-mcp/sync/workspace-key.ts";
import { EdgeRuntime } from "#harness/edge/edge-runtime.ts";
import { git, temporaryFolder } from "#harness/machine/git-project.ts";
import { answered, built, envOf, killAll, sessionOf, startServer, storeOf } from "#harness/machine/mcp-process.ts";
import { tempHome } from "#harness/store/temp-store.ts";

/** A chat that was killed counts as gone after its grace; what is sealed is on its way for a moment. */
const patience = { timeout: 45_000, interval: 300 };

const key = createKey((bytes) => crypto.getRandomValues(new Uint8Array(bytes)));

/** A machine of the workspace with a clone of its own. */
async function aMachine(edge: EdgeRuntime, machine: string): Promise<{ paths: Paths; clone: string }> {
  const paths = tempHome();
  const { token } = await edge.call("tokens.create", { machine, scope: "work" });
  const place = { url: edge.url, workspace: edge.workspace };
  mkdirSync(paths.home, { recursive: true, mode: 0o700 });
  writeEdgeConfig(paths.home, { ...place, machine, token });
  addKey(paths.home, place, key);
  const clone = join(temporaryFolder(), `app-on-${machine}`);
  mkdirSync(clone);
  git(clone, "init", "-q", "-b", "main");
  git(clone, "remote", "add", "origin", "git@example.com:ann/app.git");
  return { paths, clone };
}

it(
  "[RE20] [RE22] [RE23] [RE25] a chat that is killed on one machine goes on on another, once, and its own machine learns of it",
  { timeout: 150_000 },
  async () => {
    const edge = await EdgeRuntime.open();
    const [rig, laptop] = [await aMachine(edge, "desk"), await aMachine(edge, "laptop")];
    writeFileSync(join(rig.clone, "parser.ts"), "export const parser = 1;\n");
    writeFileSync(join(laptop.clone, "parser.ts"), "export const parser = 2;\n");
    const first = await startServer(rig.paths);
    const work = { goal: "fix the parser", nextStep: "test the lexer", project: rig.clone };
    const { session: dead } = await answered(first, "shim_force_checkpoint", {
      ...work,
      files: [join(rig.clone, "parser.ts")],
    });
    await answered(first, "shim_chats", {});
    await vi.waitFor(async () => {
      const { sessions } = await edge.call("sync.list", {});
      expect(sessions).toMatchObject([{ session: dead, machine: "desk", checkpoints: 1 }]);
    }, patience);
    killAll(first);
    await first.ended;

    const second = await startServer(laptop.paths);
    const asked = await vi.waitFor(async () => {
      const answer = await answered(second, "shim_check_recovery", { project: laptop.clone });
      expect(answer["incomplete"]).toMatchObject([{ session: dead, machine: "desk" }]);
      return answer;
    }, patience);
    const brief = String(asked["brief"]);
    for (const part of ["on another machine (desk)", "fix the parser", "next step: test the lexer", "not synced: "])
      expect(brief).toContain(part);
    expect(brief).toContain("parser.ts (noted): DIFFERENT here");
    // Its own lease outlives it for as long as it could have trusted it.
    await vi.waitFor(
      () => answered(second, "shim_check_recovery", { project: laptop.clone, of: dead, take: true }),
      patience,
    );
    const { leases } = await edge.call("leases.list", { prefix: `session:${String(dead)}` });
    expect(leases).toMatchObject([{ holder: asked["session"], isBound: true }]);

    const third = await startServer(rig.paths);
    const refused = await third.callTool("shim_check_recovery", { project: rig.clone, of: dead, take: true });
    expect(refused).toMatchObject({
      isError: true,
      text: expect.stringContaining(`continued by chat ${String(asked["session"])} on laptop`) as string,
    });
    const store = storeOf(rig.paths);
    await vi.waitFor(() => {
      expect(sessionOf(store, dead)).toMatchObject({ recovery: "recovered", recoveryBy: asked["session"] });
    }, patience);
    expect(await answered(third, "shim_check_recovery", { project: rig.clone })).toMatchObject({ incomplete: [] });

    // Given back where it was taken, it is open on both machines again.
    const undo = [built.launcher, "resume", "--undo", String(dead)];
    const said = execFileSync(process.execPath, undo, {
      env: envOf(laptop.paths),
      cwd: laptop.clone,
      encoding: "utf8",
    });
    expect(said).toContain("counts as incomplete again");
    const listed = execFileSync(process.execPath, [built.launcher, "sessions", "--all-machines", "--json"], {
      env: envOf(laptop.paths),
      cwd: laptop.clone,
      encoding: "utf8",
    });
    const { elsewhere } = JSON.parse(listed) as { readonly elsewhere: readonly { readonly id: string }[] };
    expect(elsewhere.find(({ id }) => id === dead)).toMatchObject({ state: "incomplete", takenBy: null });
  },
);
